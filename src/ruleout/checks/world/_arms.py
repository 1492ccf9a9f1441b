"""Whether the groups of a segment are the arms of an experiment rather than parts of a population."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._context import context
from ruleout.checks.reproduction._view import replay
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._twosample import rank_auc

_FEW = 40
_APART = 0.1
"""How much better than by chance the distance from the usual answers must tell two arms apart (AUC less a half)."""

_MOST_ARMS = 8
_ARMS = frozenset(
    {
        "arm",
        "arms",
        "treatment",
        "control",
        "variant",
        "challenger",
        "champion",
        "experiment",
        "bucket",
        "holdout",
    }
)
"""How experiments name their columns and groups in any trade."""

_EXPERIMENT = re.compile(
    r"experiment|bucketing|a/b[ -]test|\bab[ -]test|traffic split", re.IGNORECASE
)


def arms_by_answers(case: Case, name: str) -> str | None:
    """Words for it where groups of one segment get other answers to the same inputs, in both windows alike.

    People of another group ask otherwise; only what was assigned to another model is answered otherwise. A surrogate
    that errs on a kind of people errs on their group: it has a say where no input tells the groups apart.
    """
    seen = replay(case)
    if seen is None or name in case.features:
        return None
    if not seen.exact and _told_apart(case, name):
        return None
    gaps = []
    sides = (
        (seen.reference, case.codes("reference", name)),
        (seen.current, case.codes("current", name)),
    )
    for side, every in sides:
        codes = every[side.rows]
        if len(np.unique(codes[codes >= 0])) != 2:
            return None
        group, known = codes == np.max(codes), np.isfinite(side.gap) & (codes >= 0)
        if min((group & known).sum(), (~group & known).sum()) < _FEW:
            return None
        gaps.append(rank_auc(side.gap[known], group[known]) - 0.5)
    if min(np.abs(gaps)) < _APART or gaps[0] * gaps[1] < 0:
        return None
    return f"the two groups of {name} get other answers to the same inputs (AUC {0.5 + max(np.abs(gaps)):.2f})"


def arms_by_plan(case: Case, name: str) -> str | None:
    """Words for it where a segment's groups are an experiment's by name, and were drawn by lot as an experiment's are.

    Whom the lot puts into a group, it puts there whatever they ask: no input told the groups apart in the reference.
    """
    if name in case.features:
        return None
    groups = [g for g in case.vocabulary(name) if g]
    spoken = {word for g in (name, *groups) for word in re.split(r"[^a-z]+", g.lower())}
    named = bool(spoken & _ARMS)
    started = any(_EXPERIMENT.search(f"{c.entity} {c.description}") for c in case.changes)
    if not 2 <= len(groups) <= _MOST_ARMS or not (named or (started and len(groups) == 2)):
        return None
    if _told_apart(case, name):
        return None
    why = (
        f"{name} is named for an experiment" if named else "the change log speaks of an experiment"
    )
    return f"no input told the groups of {name} apart, and {why}"


def by_lot(case: Case, name: str) -> bool:
    """Whether the groups of a segment that is no input were drawn by lot: no input told them apart in the reference."""
    return name not in case.features and not _told_apart(case, name)


def _told_apart(case: Case, name: str) -> bool:
    """Whether an input tells a segment's largest group from the rest in the reference, or none could be asked."""
    ctx = context(case)
    columns = ctx.without()
    # Where the share moves within the current window, whatever goes with time tells its groups apart.
    codes = case.codes("reference", name)[ctx.rows_before]
    known = codes >= 0
    if len(np.unique(codes[known])) < 2 or not columns.any():
        return True
    largest = int(np.bincount(codes[known]).argmax())
    apart = np.abs(_moments(ctx.before[known][:, columns], codes[known] == largest))
    return bool(apart.max() > _by_chance(int(columns.sum())))


def _moments(x: Floats, group: NDArray[np.bool_]) -> Floats:
    """Z of the difference of means of columns (n, M) between a group and the rest."""
    a, b = x[group], x[~group]
    if min(len(a), len(b)) < _FEW:
        return np.zeros(x.shape[1])
    error = np.sqrt(a.var(axis=0) / len(a) + b.var(axis=0) / len(b))
    return np.asarray((a.mean(axis=0) - b.mean(axis=0)) / np.maximum(error, 1e-12) * (error > 0))


def _by_chance(columns: int) -> float:
    """How many standard errors the largest of so many differences may have by chance, with room (Gumbel)."""
    return math.sqrt(2 * math.log(max(columns, 2))) + 2.0
