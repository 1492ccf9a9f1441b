"""Do inputs lie where the reference has nothing - in other words, beyond its range - and is the harm there?

Rule for texts: the share of each text's words that no other reference text has, in both windows. Where it rose and the loss rose
with it - current texts of words as well known as ever are answered as well as ever - the texts moved to where the model
never learned anything: a shift of the inputs, which representations learned from the reference cannot see. Texts that
were damaged on their way are full of unknown words too; where a known damage accounts for them, this says nothing.

Rule for numbers: rows of which one input lies beyond all that the reference had, at many values, carry the rise in loss,
and rows within its range are answered as ever. A weighting of the reference cannot reach them, and what learned from it
takes them for its outermost values.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.inputs._calendar import follows_calendar
from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._text_features import LEAST_TEXTS, known_words
from ruleout.checks.inputs.text_damage import look
from ruleout.checks.world._view import NO_HARM
from ruleout.checks.world.new_category import loss_share
from ruleout.profile import Case
from ruleout.profile._text import unknown_share, words
from ruleout.profile._unstructured import texts

Floats = NDArray[np.float64]
MODES = ("covariate_shift",)
_ROSE = 0.05
"""Rise of the mean share of unknown words from which texts are in other words."""

_KNOWN = 50
"""Current rows where the reference lies that are needed to see that they fare as ever."""

_MOST = 0.6
"""Share of the rise in loss that must lie where the reference has nothing."""

_TAIL = 0.003
"""Share of the reference's rows at either end that are no part of its range."""

_BEYOND, _ROOM, _VALUES = 0.03, 0.02, 20
"""Share of rows that must lie beyond the range, by this part of it, at so many values: one value is a default."""


@check(
    "unseen_words",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.text", "data.columns.target"),
)
def unseen_words(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Look for a rise of the loss where texts hold words that the reference does not."""
    del rng
    yield from _unjudged(case) or _told(case)


@check(
    "unseen_range",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.target"),
)
def unseen_range(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Look for a rise of the loss where an input lies beyond all that the reference had."""
    del rng
    told = "no input lies beyond its range with the harm there alone"
    nothing = Clear((), Subject(), told, _BEYOND, "unseen_range.none")
    yield from _unjudged(case) or [_beyond(case) or nothing]


def _unjudged(case: Case) -> list[Outcome]:
    """Why harm cannot be placed at all; nothing where it can."""
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    if not (case.labelled("reference") and case.labelled("current")):
        return [Abstained(MODES, "the loss is not known in both windows", "data.columns.target")]
    return []


def unfamiliar(case: Case) -> bool:
    """Whether the harm lies where the reference has nothing, which its representations and weights cannot show."""
    if not (case.labelled("reference") and case.labelled("current")):
        return False
    return _beyond(case) is not None or any(isinstance(o, Finding) for o in _told(case))


def _beyond(case: Case) -> Finding | None:
    """The input beyond whose range most of the harm lies, computed once."""
    if "unseen range" not in case.cache:
        lost = {d.name for d in defaulted(case)}
        found = [_out_of_range(case, n) for n in case.numeric if n not in lost]
        best = max((f for f in found if f), key=lambda f: (f.effect, f.subject.names), default=None)
        case.cache["unseen range"] = best
    told: Finding | None = case.cache["unseen range"]
    return told


def _out_of_range(case: Case, name: str) -> Finding | None:
    before, now = case.reference.numeric(name), case.current.numeric(name)
    before, loss = before[np.isfinite(before)], case.loss("current")
    seen = np.isfinite(loss) & np.isfinite(now)
    if len(before) < LEAST_TEXTS or seen.sum() < LEAST_TEXTS:
        return None
    # One odd row of the reference is nothing to learn from.
    low, high = (float(v) for v in np.quantile(before, (_TAIL, 1 - _TAIL)))
    room = _ROOM * (high - low)
    beyond = seen & ((now > high + room) | (now < low - room))
    within = seen & ~beyond
    share = float(beyond.sum() / seen.sum())
    if share < _BEYOND or within.sum() < _KNOWN or len(np.unique(now[beyond])) < _VALUES:
        return None
    lies = loss_share(case, beyond)
    base = float(np.nanmean(case.loss("reference")))
    if (
        lies is None
        or lies < _MOST
        or not _as_ever(loss[within], base, float(loss[seen].mean()) - base)
    ):
        return None
    if follows_calendar(case, name):
        return None  # what goes on with time is new each time
    return Finding(
        "unseen_range.harm", Subject("feature", (name,)),
        f"{name} lies beyond what the reference had ({low:.4g} to {high:.4g}, but for {_TAIL:.1%} at each end) in {share:.0%} of rows, "
        f"which carry {lies:.0%} of the rise in loss; the others fare as ever",
        share, lies, None, float(np.clip(lies, 0.0, 1.0)), MODES,
        against=("concept_drift", "corrupted_labels", "label_noise"),
    )  # fmt: skip


def _told(case: Case) -> list[Outcome]:
    """What each text column says, computed once."""
    if "unseen words" not in case.cache:
        names = [n for n in case.of_kind("text") if case.reference.has(n) and case.current.has(n)]
        case.cache["unseen words"] = [_column(case, name) for name in names]
    told: list[Outcome] = case.cache["unseen words"]
    return told


def _column(case: Case, name: str) -> Outcome:
    looked = look(case, name)
    if isinstance(looked, int):
        return Abstained(MODES, f"{looked} comparable texts in {name}", "data.columns.text")
    if looked.damage is not None:
        return Abstained(MODES, f"texts in {name} were damaged on their way")
    known = known_words(case, name)
    before, now = (texts(case, which, name) for which in ("reference", "current"))
    usual = unknown_share(words(before.texts), known.folded_twice)
    share = unknown_share(words(now.texts), known.folded)
    losses = case.loss("reference")[before.rows], case.loss("current")[now.rows]
    seen = [np.isfinite(u) & np.isfinite(x) for u, x in zip((usual, share), losses, strict=True)]
    if min(s.sum() for s in seen) < LEAST_TEXTS:
        return Abstained(MODES, f"too few labelled texts in {name}", "data.columns.target")
    usual, share = usual[seen[0]], share[seen[1]]
    base, loss = float(losses[0][seen[0]].mean()), losses[1][seen[1]]
    rose = float(share.mean() - usual.mean())
    error = float(np.hypot(usual.std() / np.sqrt(len(usual)), share.std() / np.sqrt(len(share))))
    if rose < _ROSE or rose < 5 * error:
        told = f"texts in {name} are in words as well known as before"
        return Clear((), Subject("feature", (name,)), told, _ROSE, "unseen_words.none")
    strange = share > float(np.quantile(usual, 0.9))
    rise = float((loss - base).sum())
    lies = float((loss[strange] - base).sum()) / rise if rise > 0 else 0.0
    words_of = f"{share.mean():.0%} of the words of {name} are in no reference text ({usual.mean():.0%} usually)"
    if (
        (~strange).sum() < _KNOWN
        or lies < _MOST
        or not _as_ever(loss[~strange], base, rise / len(loss))
    ):
        return Abstained(MODES, f"{words_of}, and the harm is not there alone")
    return Finding(
        "unseen_words.harm", Subject("feature", (name,)),
        f"{words_of}; texts with many of them carry {lies:.0%} of the rise in loss, the others fare as ever",
        rose, lies, None, float(np.clip(lies, 0.0, 1.0)), MODES,
        against=("concept_drift", "corrupted_labels", "label_noise"),
    )  # fmt: skip


def _as_ever(loss: Floats, base: float, rise: float) -> bool:
    """Whether rows that lie where the reference does are answered about as well as its own."""
    error = float(loss.std()) / np.sqrt(len(loss)) + 1e-12
    return float(loss.mean()) - base < max(0.3 * rise, 2 * error if rise > 4 * error else 0.0)
