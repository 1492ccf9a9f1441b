"""Answers under one another's names, seen in the confusion of labels with answers alone.

Rule: of the errors that each class has gained since the reference, nearly all must go to one other class, and those
targets must form a one-to-one map of several classes. A model that merely got worse errs towards its neighbours, as
it did before. Whether answers or labels were renamed shows in which of the two marginals moved; where both kept
theirs, the finding supports both. Needs no model.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.profile import Case
from ruleout.stats._matching import assign

Floats = NDArray[np.float64]
_LEAST_ROWS = 15
_LEAST_GAIN = 0.03
_ONE_WAY = 0.7


class Renaming(NamedTuple):
    """A one-to-one map of classes that the gained errors follow."""

    order: tuple[int, ...]
    """Answer given for each class: `order[true]`."""

    share: float
    """Share of the gained errors that follow the map."""

    gained: float
    """Share of all rows that are gained errors."""

    moved: int
    """Classes with another's name."""


@check(
    "confusion_map",
    layer="integration",
    rung="reproduction",
    looks_for=("class_map_mismatch",),
    needs=("data.reference", "data.current", "labels"),
)
def confusion_map(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Do the errors that appeared follow a renaming of classes?"""
    del rng
    size = len(case.classes)
    if not 3 <= size <= 200:
        yield Abstained(
            ("class_map_mismatch",),
            f"a renaming of {size} classes cannot be told from labels alone",
        )
        return
    found = renaming(_confusion(case, "reference"), _confusion(case, "current"))
    if found is None:
        told = "the errors that appeared follow no renaming of classes"
        yield Clear((), Subject(), told, _LEAST_GAIN, "class_map.no_renaming")
        return
    names = [f"{case.classes[i]} as {case.classes[j]}" for i, j in enumerate(found.order) if i != j]
    told = (
        f"{found.share:.0%} of the errors that appeared ({found.gained:.1%} of rows) follow one renaming of "
        f"{found.moved} classes: {', '.join(names[:3])}"
    )
    yield Finding(
        "class_map.confusion",
        Subject("model", ("current",) if "current" in case.incident.models else ()),
        told,
        found.share,
        found.gained / 0.01,
        None,
        min(1.0, found.share),
        ("class_map_mismatch",),
        ("concept_drift", "label_noise", "covariate_shift", "prior_shift", "runtime_numerics"),
        repairs=(
            RepairPlan(
                "class_map", Subject("model"), options={"order": found.order, "names_only": True}
            ),
        ),
    )


def _confusion(case: Case, which: str) -> Floats:
    """Counts (K, K) of truth by answer in one window."""
    size = len(case.classes)
    truth, said = case.truth(which), case.outputs(which).decision  # type: ignore[arg-type]
    known = (truth != -1) & (said != -1)
    key = truth[known].astype(np.int64) * size + said[known].astype(np.int64)
    return np.bincount(key, minlength=size * size).reshape(size, size).astype(float)


def renaming(before: Floats, after: Floats) -> Renaming | None:
    """The renaming that gained errors follow, from two confusion counts (K, K); None if there is none."""
    n = after.sum(axis=1)
    big = (n >= _LEAST_ROWS) & (before.sum(axis=1) >= _LEAST_ROWS)
    if big.sum() < 3:
        return None
    rates = [m / np.maximum(m.sum(axis=1, keepdims=True), 1) for m in (before, after)]
    gained = np.maximum(rates[1] - rates[0], 0.0) * n[:, None]
    np.fill_diagonal(gained, 0.0)
    gained[~big] = 0.0
    total = float(gained.sum())
    if total < _LEAST_GAIN * n.sum():
        return None
    # A class that gained nothing keeps its name.
    stay = np.diag(np.full(len(n), 0.05 * total / len(n)))
    order = assign(-(gained + stay))
    followed = float(gained[np.arange(len(n)), order].sum())
    moved = int((order != np.arange(len(n))).sum())
    if followed < _ONE_WAY * total or moved < 2:
        return None
    lost = 1.0 - np.diag(rates[1])[order != np.arange(len(n))]
    told = Renaming(tuple(int(i) for i in order), followed / total, total / float(n.sum()), moved)
    return told if lost.min() > 0.1 else None
