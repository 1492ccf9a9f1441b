"""Sums and counts over a part of their events: every value is low, each by a share of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MEANS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.88)
_SPREADS = (1.5, 4.0, 12.0, 60.0)
_PARTS = (1.0, 0.8, 0.6, 0.4, 0.25)
_SAMPLE = 2_000


class Thinning(NamedTuple):
    """A part of the values keeps a random share of itself."""

    part: float
    """Share of the values that are low."""

    mean: float
    """Mean share that these keep."""

    spread: float
    """Concentration of the Beta distribution of the shares; small is wide."""

    distance_before: float
    """Kolmogorov-Smirnov distance of the two samples."""

    distance_after: float
    """The same once the earlier sample is thinned likewise."""

    whole: bool
    """Whether values are whole numbers."""


def thinned(values: Floats, told: Thinning, rng: np.random.Generator) -> Floats:
    """`values` (n,) with a random part of them thinned as `told`."""
    share = rng.beta(told.mean * told.spread, (1 - told.mean) * told.spread, len(values))
    share = np.where(rng.random(len(values)) < told.part, share, 1.0)
    return _whole(values * share) if told.whole else values * share


def thinning(before: Floats, after: Floats) -> Thinning | None:
    """The thinning that leads from one sample to the other best; None where values are not low throughout.

    Args:
        before: non-negative values (n,), none missing.
        after: the same later, (m,).

    Low throughout: no quantile is higher than it was, and the mean falls by a tenth or more.
    """
    if min(len(before), len(after)) < 100 or before.min() < 0 or after.min() < 0:
        return None
    levels = np.linspace(0.05, 0.95, 19)
    was, now = np.quantile(before, levels), np.quantile(after, levels)
    if (now > was * 1.03 + 1e-12).any() or not after.mean() < 0.9 * before.mean():
        return None
    old, new = _spread_sample(before), np.sort(_spread_sample(after))
    whole = bool(np.array_equal(old, np.round(old)) and np.array_equal(new, np.round(new)))
    apart = _distance(old, new)
    draws = np.random.default_rng(0)
    uniform = draws.permutation((np.arange(len(old)) + 0.5) / len(old))
    best: Thinning | None = None
    for spread in _SPREADS:
        for mean in _MEANS:
            share = _beta(mean, spread, uniform, draws)
            low = _whole(old * share) if whole else old * share
            for part in _PARTS:
                kept = np.where(draws.random(len(old)) < part, low, old)
                rest = _distance(kept, new)
                if best is None or rest < best.distance_after:
                    best = Thinning(part, mean, spread, apart, rest, whole)
    return best


def _beta(mean: float, spread: float, uniform: Floats, rng: np.random.Generator) -> Floats:
    """A stratified sample of shares: sorted draws, handed out in the order of `uniform`."""
    draws = np.sort(rng.beta(mean * spread, (1 - mean) * spread, len(uniform)))
    return np.asarray(draws[(uniform * len(uniform)).astype(np.int64)])


def _whole(values: Floats) -> Floats:
    """Whole numbers: events are counted, and a share of one is none or one."""
    return np.floor(values + 0.5)


def _spread_sample(values: Floats) -> Floats:
    if len(values) <= _SAMPLE:
        return values
    return np.asarray(values[np.linspace(0, len(values) - 1, _SAMPLE).astype(np.int64)])


def _distance(values: Floats, ordered: Floats) -> float:
    """Kolmogorov-Smirnov distance; the second sample is sorted."""
    own = np.sort(values)
    points = np.concatenate([own, ordered])
    gap = np.searchsorted(own, points, "right") / len(own) - np.searchsorted(
        ordered, points, "right"
    ) / len(ordered)
    return float(np.abs(gap).max())
