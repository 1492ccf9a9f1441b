"""Simple maps between two sets of answers: monotone, affine in the logit, and a relabelling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class MonotoneMap:
    """A non-decreasing step function, interpolated between its knots."""

    x: Floats
    y: Floats

    def __call__(self, values: Floats) -> Floats:
        """Map (n,) values; outside the knots the ends continue."""
        return np.interp(values, self.x, self.y)

    def inverse(self, values: Floats) -> Floats:
        """A value (n,) that maps to each of `values`: the middle of those that do."""
        low = np.interp(values, _rising(self.y, 1), self.x)
        high = np.interp(values, _rising(self.y, -1), self.x)
        return 0.5 * (low + high)


def isotonic(x: Floats, y: Floats) -> MonotoneMap:
    """Least-squares non-decreasing map from `x` (n,) to `y` (n,) by pooling adjacent violators.

    Method: Ayer et al. (1955). Equal `x` are averaged first.

    Raises:
        ValueError: for no values.
    """
    if not len(x):
        raise ValueError("an isotonic fit needs at least one value, got none")
    knots, inverse = np.unique(x, return_inverse=True)
    weight = np.bincount(inverse).astype(float)
    means = np.bincount(inverse, weights=y) / weight
    levels: list[float] = []
    masses: list[float] = []
    spans: list[int] = []
    for mean, mass in zip(means.tolist(), weight.tolist(), strict=True):
        level, size, span = mean, mass, 1
        while levels and levels[-1] >= level:
            previous, heavy = levels.pop(), masses.pop()
            level = (previous * heavy + level * size) / (heavy + size)
            size += heavy
            span += spans.pop()
        levels.append(level)
        masses.append(size)
        spans.append(span)
    return MonotoneMap(knots, np.repeat(levels, spans))


def logit(p: Floats) -> Floats:
    """Log-odds of probabilities, cut off at one in a million."""
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return np.log(clipped / (1 - clipped))


@dataclass(frozen=True, slots=True)
class Affine:
    """`slope * x + shift`, fitted robustly."""

    slope: float
    shift: float

    def __call__(self, x: Floats) -> Floats:
        """Map (n,) values."""
        return self.slope * x + self.shift


def affine(x: Floats, y: Floats, *, rounds: int = 5) -> Affine:
    """A line through (n,) points by re-weighted least squares with Huber weights."""
    weight = np.ones(len(x))
    line = Affine(1.0, float(np.median(y - x)) if len(x) else 0.0)
    for _ in range(rounds):
        total = weight.sum()
        mx, my = (weight * x).sum() / total, (weight * y).sum() / total
        spread = (weight * (x - mx) ** 2).sum()
        if spread <= 1e-12 * total:
            return Affine(1.0, float(my - mx))
        slope = float((weight * (x - mx) * (y - my)).sum() / spread)
        line = Affine(slope, float(my - slope * mx))
        rest = np.abs(y - line(x))
        scale = 1.5 * float(np.median(rest)) + 1e-9
        weight = np.minimum(1.0, scale / np.maximum(rest, 1e-12))
    return line


_KEPT = float(np.log(1e-6))
"""Smaller shares are of the precision that they were written in."""

_ENOUGH = 50


def logs(shares: Floats) -> Floats:
    """Logarithms of class shares (n, K); the least number there is stands for nought."""
    return np.asarray(np.log(np.clip(np.nan_to_num(shares), 1e-300, 1.0)))


def line_of_logs(before: Floats, after: Floats) -> tuple[float, Floats] | None:
    """One slope and a shift (K,) for each class from log shares (n, K) to others: a temperature and biases.

    Told by the shares that were large enough to be kept on both sides, less their row's mean, as shares are known
    but for a factor a row. None where fewer than 50 rows have two of them. Guo et al., 2017 (temperature and
    vector scaling).
    """
    kept = (before > _KEPT) & (after > _KEPT)
    rows = kept.sum(axis=1) >= 2
    if rows.sum() < _ENOUGH:
        return None
    inside = kept[rows]
    x, y = (_centred(v[rows], inside) for v in (before, after))
    slope = float(affine(x[inside], y[inside]).slope)
    shift = np.zeros(before.shape[1])
    told = inside.sum(axis=0) >= _ENOUGH
    rest = np.where(inside, y - slope * x, np.nan)[:, told]
    shift[told] = np.nanmedian(rest, axis=0)
    return slope, shift


def _centred(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Log shares (n, K) less the mean of the kept ones of their row."""
    return np.asarray(
        values
        - np.where(kept, values, 0.0).sum(axis=1, keepdims=True) / kept.sum(axis=1, keepdims=True)
    )


def relabelling(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """The permutation (K,) of columns that puts most of a confusion `table` (K, K) on the diagonal.

    Entry k is the column that row k is called by. Greedy on the largest cells, then improved by
    exchanging pairs; rows without counts keep their own name where it is free.
    """
    size = len(table)
    chosen = np.full(size, -1, dtype=np.int64)
    free = np.ones(size, dtype=bool)
    for cell in np.argsort(-table, axis=None, kind="stable"):
        row, column = divmod(int(cell), size)
        if table[row, column] <= 0:
            break
        if chosen[row] < 0 and free[column]:
            chosen[row], free[column] = column, False
    for row in np.flatnonzero(chosen < 0).tolist():
        spare = row if free[row] else int(np.flatnonzero(free)[0])
        chosen[row], free[spare] = spare, False
    return _exchanged(table, chosen)


def _exchanged(table: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Exchange pairs while that helps (at most K rounds)."""
    size = len(table)
    for _ in range(size):
        now = table[np.arange(size), chosen]
        swapped = table[:, chosen] + table[:, chosen].T
        gain = swapped - now[:, None] - now[None, :]
        best = int(gain.argmax())
        row, other = divmod(best, size)
        if gain[row, other] <= 0:
            break
        chosen[row], chosen[other] = chosen[other], chosen[row]
    return chosen


def _rising(values: Floats, side: int) -> Floats:
    """Values nudged by less than can matter so that they rise strictly."""
    nudge = np.arange(len(values)) * 1e-12
    return values + nudge if side > 0 else values - nudge[::-1]
