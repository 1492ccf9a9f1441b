"""Which slice got worse than it was: beam search over conjunctions, confirmed on rows the search has not seen.

A slice is a conjunction of at most three conditions (a range of quantile bins, or one category). Its score is
the difference in differences of the mean loss: how much more it rose inside the slice than outside. Searching
on one half of the rows and testing on the other keeps the p-values honest however many slices were looked at. Each
half is searched once, as a small slice may show in one of them only, and Holm's method pays for all that are taken to
the test. (Search as in SliceFinder, Chung et al. 2019, but on the change of the loss rather than its level: a slice that
was always hard is no news.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import row_folds
from ruleout.stats._twosample import normal_sf

Bins = NDArray[np.int64]
_MOMENTS = 6  # rows, loss and squared loss of both windows
_WIDEST = 12  # more bins than this are not combined into ranges


class Condition(NamedTuple):
    """Rows whose bin in `column` lies in [low, high]."""

    column: int
    low: int
    high: int


class Slice(NamedTuple):
    """A slice with its change, measured on the half of the rows that did not choose it."""

    conditions: tuple[Condition, ...]
    rows: int
    """Current rows inside, both halves."""

    before: float
    """Mean loss inside, reference."""

    after: float
    """Mean loss inside, current."""

    extra: float
    """Rise inside minus rise outside (the half that did not choose the slice)."""

    low: float
    high: float
    """90% interval of `extra`."""

    share: float
    """Share of the whole rise of the mean loss that the slice carries at its current size."""

    p_value: float
    """One-sided, Holm-adjusted over the slices that were tested."""


class _Table(NamedTuple):
    bins: Bins  # (n, F), both windows
    sizes: tuple[int, ...]
    ordered: NDArray[np.bool_]
    moments: Floats  # (n, 6)


def find_slices(
    reference: tuple[Bins, Floats],
    current: tuple[Bins, Floats],
    ordered: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    depth: int = 3,
    beam: int = 24,
    keep: int = 5,
    least: int = 25,
) -> list[Slice]:
    """Slices that got worse, most certain first; empty when none is at adjusted p below 0.05.

    Args:
        reference: bins (n, F) from 0 and the loss (n,), finite.
        current: the same of the current window.
        ordered: which columns' bins have an order, so that ranges of them make sense, (F,).
        rng: splits the rows.
        depth: at most this many conditions.
        beam: how many conjunctions are extended at each depth.
        keep: how many are tested of each half, and returned at most.
        least: rows that a slice needs in each window and half.
    """
    table = _table(reference, current, ordered)
    half = row_folds(table.bins.astype(float), 2, rng) == 0
    tested: list[_Tested] = []
    for chosen in (half, ~half):
        found = _search(table, chosen, depth, beam, least)
        tested += [_Tested(c, *_contrast(table, ~chosen, c)) for c in _diverse(table, found, keep)]
    tested = sorted((t for t in tested if np.isfinite(t.z)), key=lambda t: -t.z)
    sure: dict[tuple[Condition, ...], float] = {}
    worst = 0.0
    for position, one in enumerate(tested):
        worst = max(worst, min(1.0, normal_sf(one.z) * (len(tested) - position)))
        if worst < 0.05:
            sure.setdefault(one.conditions, worst)
    best = {t.conditions: t for t in reversed(tested)}
    kept = _diverse(table, [(c, 0.0) for c in sure], keep)
    return [_describe(table, best[c], sure[c]) for c in kept]


class _Tested(NamedTuple):
    conditions: tuple[Condition, ...]
    extra: float
    se: float

    @property
    def z(self) -> float:
        return self.extra / self.se if self.se > 0 else float("nan")


def _table(
    reference: tuple[Bins, Floats], current: tuple[Bins, Floats], ordered: NDArray[np.bool_]
) -> _Table:
    bins = np.concatenate([reference[0], current[0]])
    loss = np.concatenate([reference[1], current[1]])
    now = np.concatenate([np.zeros(len(reference[1])), np.ones(len(current[1]))])
    one = np.stack([np.ones(len(loss)), loss, loss**2], axis=1)
    moments = np.concatenate([one * (1 - now)[:, None], one * now[:, None]], axis=1)
    sizes = tuple(int(size) + 1 for size in bins.max(axis=0)) if len(bins) else ()
    return _Table(bins, sizes, ordered, moments)


def _search(
    table: _Table, rows: NDArray[np.bool_], depth: int, beam: int, least: int
) -> list[tuple[tuple[Condition, ...], float]]:
    """Best conjunctions on `rows`, best first, every depth together."""
    bins, moments = table.bins[rows], table.moments[rows]
    total = moments.sum(axis=0)
    front: list[tuple[tuple[Condition, ...], float]] = [((), 0.0)]
    found: dict[tuple[Condition, ...], float] = {}
    for level in range(depth):
        grown: dict[tuple[Condition, ...], float] = {}
        for conditions, score in front:
            inside = _member(bins, conditions)
            rows_in, inside_moments = bins[inside], moments[inside]
            used = {c.column for c in conditions}
            for column in range(bins.shape[1]):
                if column in used:
                    continue
                found_here = _literals(
                    table, column, rows_in[:, column], inside_moments, total=total, least=least
                )
                for condition, z in found_here:
                    # a further condition must earn its place, or every slice grows to full depth
                    if z > score + (0.7 if level else 0.0):
                        key = tuple(sorted((*conditions, condition)))
                        grown[key] = max(z, grown.get(key, -np.inf))
        front = sorted(grown.items(), key=lambda item: (-item[1], item[0]))[:beam]
        found.update(front)
    return sorted(found.items(), key=lambda item: (-item[1], len(item[0]), item[0]))


def _member(bins: Bins, conditions: tuple[Condition, ...]) -> NDArray[np.bool_]:
    inside = np.ones(len(bins), dtype=bool)
    for column, low, high in conditions:
        inside &= (bins[:, column] >= low) & (bins[:, column] <= high)
    return inside


def _literals(
    table: _Table, column: int, codes: Bins, moments: Floats, *, total: Floats, least: int
) -> list[tuple[Condition, float]]:
    """The three best conditions on `column` for rows of bins `codes` (n,) and moments (n, 6), with their z."""
    size = table.sizes[column]
    columns = [np.bincount(codes, weights=moments[:, k], minlength=size) for k in range(_MOMENTS)]
    sums: Floats = np.stack(columns, axis=1).astype(float)
    low, high, ranges = _ranges(sums, bool(table.ordered[column]))
    z = _z(ranges, total, least)
    best = np.argsort(-z, kind="stable")[:3]
    return [(Condition(column, int(low[k]), int(high[k])), float(z[k])) for k in best if z[k] > 1.0]


def _ranges(sums: Floats, ordered: bool) -> tuple[Bins, Bins, Floats]:  # noqa: FBT001
    """Sums over single bins, or over every run of neighbouring bins that leaves something out."""
    size = len(sums)
    if not ordered or size > _WIDEST:
        index = np.arange(size)
        return index, index, sums
    low, high = np.triu_indices(size)
    proper = (high - low) < size - 1
    low, high = low[proper], high[proper]
    up = np.concatenate([np.zeros((1, _MOMENTS)), sums.cumsum(axis=0)])
    return low, high, up[high + 1] - up[low]


def _z(inside: Floats, total: Floats, least: int) -> Floats:
    """Standardised difference in differences for rows of sums (K, 6)."""
    outside = total - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        rise, var = _rise(inside)
        rest, rest_var = _rise(outside)
        z = (rise - rest) / np.sqrt(var + rest_var)
    enough = (inside[:, [0, 3]] >= least).all(axis=1) & (outside[:, [0, 3]] >= least).all(axis=1)
    return np.where(enough & np.isfinite(z), z, -np.inf)


def _rise(sums: Floats) -> tuple[Floats, Floats]:
    """Rise of the mean loss and its variance, from sums (K, 6)."""
    n, m = sums[:, 0], sums[:, 3]
    before, after = sums[:, 1] / n, sums[:, 4] / m
    # one pseudo-row of the overall spread: a slice without any loss is not known exactly
    overall = (sums[:, 2] + sums[:, 5]) / (n + m) - ((sums[:, 1] + sums[:, 4]) / (n + m)) ** 2
    var_n = np.maximum(sums[:, 2] / n - before**2, 0.0) + overall / n
    var_m = np.maximum(sums[:, 5] / m - after**2, 0.0) + overall / m
    return after - before, var_n / n + var_m / m


def _diverse(
    table: _Table, found: list[tuple[tuple[Condition, ...], float]], keep: int
) -> list[tuple[Condition, ...]]:
    """The best slices that do not merely restate a better one (Jaccard below 0.5 on the current rows)."""
    now = table.bins[table.moments[:, 3] > 0]
    chosen: list[tuple[Condition, ...]] = []
    masks: list[NDArray[np.bool_]] = []
    for conditions, _ in found[: 20 * keep]:
        mask = _member(now, conditions)
        if all((mask & other).sum() < 0.5 * (mask | other).sum() for other in masks):
            chosen.append(conditions)
            masks.append(mask)
        if len(chosen) == keep:
            break
    return chosen


def _contrast(
    table: _Table, rows: NDArray[np.bool_], conditions: tuple[Condition, ...]
) -> tuple[float, float]:
    inside = _member(table.bins[rows], conditions)
    moments = table.moments[rows]
    total, within = moments.sum(axis=0), moments[inside].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        rise, var = _rise(within[None, :])
        rest, rest_var = _rise((total - within)[None, :])
        return float((rise - rest)[0]), float(np.sqrt(var + rest_var)[0])


def _describe(table: _Table, tested: _Tested, p_value: float) -> Slice:
    inside = _member(table.bins, tested.conditions)
    within, total = table.moments[inside].sum(axis=0), table.moments.sum(axis=0)
    before, after = within[1] / max(within[0], 1.0), within[4] / max(within[3], 1.0)
    whole = total[4] / total[3] - total[1] / total[0]
    carried = (after - before) * within[3] / total[3]
    return Slice(
        conditions=tested.conditions,
        rows=int(within[3]),
        before=float(before),
        after=float(after),
        extra=tested.extra,
        low=tested.extra - 1.645 * tested.se,
        high=tested.extra + 1.645 * tested.se,
        share=float(carried / whole) if abs(whole) > 1e-12 else float("nan"),
        p_value=p_value,
    )
