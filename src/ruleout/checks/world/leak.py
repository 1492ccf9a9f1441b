"""An input that knew the label before the model went live, and no longer does.

Rule: what is only known after the fact (a payment, a contact, a closing date) tells the label of a back-test nearly by
itself and tells nothing live. All other inputs tell the labels of both windows alike: labels that went wrong would have lost
these ties, too. And at an equal label the input goes with the others as it did, or went with none of them as a consequence
of the label alone: values that went wrong would have lost that.
Reference: Kaufman et al. (2012) for leakage as what is not legitimately known at the time of a request.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.inputs._context import Context, context
from ruleout.checks.reproduction._another_row import own_links
from ruleout.checks.world._view import LEAST, NO_HARM
from ruleout.profile import Case

Floats = NDArray[np.float64]
MODES = ("target_leakage",)
_KNEW = 0.6
"""Correlation with the label of the reference from which an input may have known it."""

_LOST = 0.5
"""Part of that which may be left."""

_REST = 0.08
"""Correlation of all other inputs with the label from which they can vouch for it ..."""

_STAYED = 0.7
"""... and the part of it that must have stayed."""

_OWN, _BESIDE = 0.12, 0.15
"""Tie to the other inputs at an equal label up to which an input goes with none of them, as such and beside its tie to the label."""

_SURE = 8.0


@check(
    "known_before",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.target"),
)
def known_before(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did one input tell the label of the reference nearly by itself, and tell nothing of the current one?"""
    del rng
    if case.significant is False:
        yield Abstained(MODES, NO_HARM)
        return
    if not (case.labelled("reference") and case.labelled("current")):
        yield Abstained(MODES, "needs labels of both windows", "data.columns.target")
        return
    ctx = context(case)
    if min(len(ctx.before), len(ctx.after)) < LEAST or not ctx.after[:, ctx.label].any():
        yield Abstained(MODES, f"fewer than {LEAST} labelled rows", "data.columns.target")
        return
    best = max(
        (told for name in ctx.names[:-1] if (told := _told(ctx, ctx.of(name))) is not None),
        default=None,
    )
    if best is None:
        yield Abstained(MODES, "no input holds numbers or categories")
        return
    before, after, name = best
    if before < _KNEW:
        text = f"no input told the label by itself (most of all {name}, r = {before:.2f})"
        looked = ctx.names[:-1]
        # Texts, images and columns of too many values were not looked at.
        subject = Subject() if set(looked) == set(case.features) else Subject("feature", looked)
        yield Clear(MODES, subject, text, _KNEW, "leak.none")
        return
    finding = _leak(case, ctx, name, before, after)
    if finding is not None:
        yield finding


def _told(ctx: Context, columns: NDArray[np.bool_]) -> tuple[float, float, str] | None:
    """Correlation of the label with what the columns say of it, in both windows, learned on the reference; and whose they are."""
    x, now = ctx.before[:, columns], ctx.after[:, columns]
    if not x.shape[1]:
        return None
    x, now = np.c_[x, x**2 - 1], np.c_[now, now**2 - 1]
    gram = x.T @ x + 0.01 * len(x) * np.eye(x.shape[1])
    pairs = []
    for k in np.flatnonzero(ctx.label):
        beta = np.linalg.solve(gram, x.T @ ctx.before[:, k])
        pairs.append((_tie(x @ beta, ctx.before[:, k]), _tie(now @ beta, ctx.after[:, k])))
    before, after = max(pairs, default=(0.0, 0.0))
    return before, after, ctx.names[int(ctx.owner[np.flatnonzero(columns)[0]])]


def _tie(said: Floats, label: Floats) -> float:
    return float(np.corrcoef(said, label)[0, 1]) if said.std() > 0 and label.std() > 0 else 0.0


def _leak(case: Case, ctx: Context, name: str, before: float, after: float) -> Finding | None:
    error = float(np.sqrt(1 / len(ctx.before) + 1 / len(ctx.after)))
    gone = np.arctanh(min(before, 0.999)) - np.arctanh(float(np.clip(after, -0.999, 0.999)))
    rest = _told(ctx, ctx.without(name))
    own = own_links(case, name)
    if after > _LOST * before or gone / error < _SURE or rest is None or own is None:
        return None
    if rest[0] < _REST or rest[1] < _STAYED * rest[0]:
        return None
    alone = own[0] < max(_OWN, _BESIDE * before)
    if not alone and (own[1] is None or own[1] < _STAYED * own[0]):
        return None  # Values that lost their ties to their rows are wrong now, whatever they told before.
    text = (
        f"{name} told the label of the reference nearly by itself (r = {before:.2f}) and tells it no longer ({after:.2f}), while the"
        f" other inputs tell it as they did ({rest[0]:.2f}, {rest[1]:.2f} now)"
        + (
            ": at an equal label it went with none of them"
            if alone
            else " and go with it as they did"
        )
    )
    return Finding(
        "leak.known_before", Subject("feature", (name,)), text, before, before - after, None, 1.0, MODES,
        against=("corrupted_labels", "label_noise", "evaluation_bug", "concept_drift"),
    )  # fmt: skip
