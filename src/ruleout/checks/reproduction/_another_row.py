"""Logged values that are neither right nor a map of what is right: old, swapped, made otherwise, or ahead."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._context import context
from ruleout.checks.inputs.staleness import adjusted
from ruleout.checks.measurement._labels import association, profiles, window_profiles
from ruleout.checks.reproduction._relations import Relation, lag_of
from ruleout.profile import Case, Which, numeric_array

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
_TIED = 0.2
"""Correlation with the label from which a recomputed value can be said to know it."""

_OWN = 0.12
"""Correlation with the other inputs at an equal label, from which a value belongs to its row."""

_BESIDE = 0.25
"""... and what it may be beside its tie to the label: few distinct rows make such correlations large."""

_BINS = 20
_WIDE = 60


def another_row(
    case: Case, rows: Rows, offline: pl.DataFrame, name: str, differ: Mask, *, thin: bool
) -> Relation | None:
    """What a numeric log that does not follow its recomputed value holds instead, where that can be told.

    Args:
        case: both windows.
        rows: positions (n,) in the current sample of the recomputed rows.
        offline: those rows as recomputed.
        name: the input.
        differ: which of them differ (n,).
        thin: whether the logged values are a part of the right ones; counts that thinned out are new, too.
    """
    right, logged = numeric_array(offline, name), case.current.numeric(name)[rows]
    return (
        _exchanged(case, rows, offline, name, differ)
        or _old(case, rows, right, name, differ)
        or _ahead(case, rows, right, name, differ)
        or (None if thin else _made_otherwise(case, logged[differ], right[differ], name))
    )


def _exchanged(
    case: Case, rows: Rows, offline: pl.DataFrame, name: str, differ: Mask
) -> Relation | None:
    """The log has another input's value."""
    logged = case.current.numeric(name)[rows]
    if len(np.unique(logged[differ])) <= 2:
        return None
    for other in case.features:
        if other == name or case.kind(other) != case.kind(name) or other not in offline.columns:
            continue
        same = np.abs(logged - numeric_array(offline, other)) < 1e-9
        if same[differ].mean() > 0.9:
            return Relation("swap", f"holds {other}")
    return None


def _old(case: Case, rows: Rows, right: Floats, name: str, differ: Mask) -> Relation | None:
    """The log has an older row's value."""
    column = case.current.numeric(name)
    usual = _repeats(case.reference.numeric(name), np.arange(3, case.reference.rows))
    # Few values left (counts that thinned out) repeat by chance, in any order of the rows.
    order = case.rng(f"parity {name}")
    for chance in (column, column[rows[differ]]):
        shuffled = order.permutation(chance)
        usual = max(usual, _repeats(shuffled, np.arange(3, len(shuffled))))
    if _repeats(column, rows[differ]) > 0.4 + 0.6 * usual:
        return Relation("old", "repeats what it was some rows earlier")
    if len(np.unique(right[differ])) > 0.05 * differ.sum():
        lag, share = lag_of(column, rows[differ], right[differ])
        if share > 0.5:
            return Relation("old", f"is what it was {abs(lag)} rows earlier", float(lag))
    return None


def _repeats(column: Floats, rows: Rows) -> float:
    """Share of `rows` (m,) that hold the value of one of the three rows before."""
    rows = rows[rows >= 3]
    if not len(rows):
        return 0.0
    before = [column[rows] == column[rows - back] for back in (1, 2, 3)]
    return float(np.any(before, axis=0).mean())


def _ahead(case: Case, rows: Rows, right: Floats, name: str, differ: Mask) -> Relation | None:
    """What is recomputed after the fact follows from the label, and from nothing else of its row.

    A cause of the label is tied to the other inputs at an equal label (they share an effect, if
    nothing else); a consequence of the label alone is not.
    """
    logged = case.current.numeric(name)[rows]
    if differ.mean() <= 0.9 * (1 - _by_chance(logged, right)):
        return None
    tied = _knows_label(case, rows, right)
    own = own_link(case, name)
    if tied is None or own is None or own >= max(_OWN, _BESIDE * tied):
        return None
    return Relation(
        "ahead", "lacks what the recomputed value knows of the label and of nothing else"
    )


def _by_chance(logged: Floats, right: Floats) -> float:
    """Share of rows in which two unrelated columns of these values would agree: much, where they count."""
    both = np.concatenate([logged, right])
    index = np.unique(both, return_inverse=True)[1]
    shares = [np.bincount(i, minlength=index.max() + 1) / len(i) for i in np.split(index, 2)]
    return float(shares[0] @ shares[1])


def _knows_label(case: Case, rows: Rows, right: Floats) -> float | None:
    """Correlation with the label of what was recomputed after the fact; None where the model goes with it far more."""
    if not case.labelled("current") or not case.labelled("reference"):
        return None
    label, _ = profiles(
        case.truth("current")[rows], case.outputs("current").take(rows), len(case.classes)
    )
    usual = association(*window_profiles(case, "reference"))
    known = np.isfinite(right)
    if known.sum() < 100:
        return None
    ranks = np.argsort(np.argsort(right[known])).astype(float)
    ranks = (ranks - ranks.mean())[:, None]
    tied = max(abs(association(label[known][:, [k]], ranks)) for k in range(label.shape[1]))
    return tied if tied > 0.35 * usual and tied > _TIED else None


def own_link(case: Case, name: str) -> float | None:
    """Correlation in [0, 1] of an input with the other inputs among reference rows of an equal label.

    Within classes, or within twentieths of a numeric label, of ranks and their squares, adjusted for
    the number of columns; None where there are no labels or no other inputs.
    """
    both = own_links(case, name)
    return None if both is None else both[0]


def own_links(case: Case, name: str) -> tuple[float, float | None] | None:
    """`own_link`, and what is left of that very tie among current rows of an equal label; None there without labels."""
    ctx = context(case)
    if name not in ctx.names or not case.labelled("reference"):
        return None
    rest = ctx.without(name)
    first = np.flatnonzero(ctx.of(name))[0]
    old = _labelled(case, "reference", ctx.rows_before, ctx.before[:, rest], ctx.before[:, first])
    if old is None or not rest.any():
        return None
    x, y = old
    beta = np.linalg.solve(x.T @ x + 0.01 * len(x) * np.eye(x.shape[1]), x.T @ y)
    said = x @ beta
    if y.std() == 0 or said.std() == 0:
        return 0.0, None
    before = max(adjusted(float(np.corrcoef(said, y)[0, 1]), len(y), x.shape[1]), 0.0)
    new = _labelled(case, "current", ctx.rows_after, ctx.after[:, rest], ctx.after[:, first])
    if new is None:
        return before, None
    said, y = new[0] @ beta, new[1]
    return before, float(np.corrcoef(said, y)[0, 1]) if said.std() > 0 and y.std() > 0 else 0.0


def _labelled(
    case: Case, which: Which, rows: Rows, rest: Floats, column: Floats
) -> tuple[Floats, Floats] | None:
    """Other inputs (m, p) with their squares, and an input (m,), less what rows of an equal label have in common."""
    if not case.labelled(which):
        return None
    truth = case.truth(which)[rows].astype(float)
    known = np.isfinite(truth) if case.task == "regression" else truth >= 0
    if known.sum() < 100:
        return None
    rest = rest[known]
    if rest.shape[1] <= _WIDE:
        rest = np.concatenate([rest, rest**2], axis=1)
    group = _groups(truth[known])
    return _within(rest, group), _within(column[known][:, None], group)[:, 0]


def _groups(truth: Floats) -> NDArray[np.int64]:
    """Rows (n,) by class, or by twentieth of a label of many values."""
    values = np.unique(truth)
    if len(values) > _BINS:
        values = np.unique(np.quantile(truth, np.linspace(0, 1, _BINS + 1)[1:-1]))
        return np.searchsorted(values, truth, "right").astype(np.int64)
    return np.searchsorted(values, truth).astype(np.int64)


def _within(columns: Floats, group: NDArray[np.int64]) -> Floats:
    """Columns (n, p) less the means of their rows' groups."""
    size = int(group.max()) + 1
    counts = np.maximum(np.bincount(group, minlength=size), 1)[:, None]
    sums = np.zeros((size, columns.shape[1]))
    np.add.at(sums, group, columns)
    return np.asarray(columns - (sums / counts)[group])


def _made_otherwise(case: Case, logged: Floats, right: Floats, name: str) -> Relation | None:
    """Values that were never seen in this input, though the right ones were: another code path made them."""
    seen = np.unique(np.concatenate([case.reference.numeric(name), right]))
    shares = [
        float((~np.isin(values[np.isfinite(values)], known)).mean())
        if np.isfinite(values).any()
        else 0.0
        for values, known in ((logged, seen), (right, case.reference.numeric(name)))
    ]
    error = math.sqrt(0.25 / max(len(logged), 1))
    if shares[0] < shares[1] + 0.1 + 3 * error:
        return None
    told = f"is made otherwise ({shares[0]:.0%} of its values were never seen in this input)"
    return Relation("otherwise", told, shares[0])
