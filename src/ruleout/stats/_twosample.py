"""Two-sample statistics on arrays, with their p-values."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class TwoSample(NamedTuple):
    """What every two-sample test returns, whatever its statistic."""

    p_value: float
    effect: float
    n: tuple[int, int]


def kolmogorov_sf(z: float) -> float:
    """Upper tail of the Kolmogorov distribution at `z` (asymptotic series)."""
    if z < 0.2:
        return 1.0
    if z < 1.18:  # the other series converges faster for small z (Marsaglia et al. 2003)
        factor = math.sqrt(2 * math.pi) / z
        terms = (math.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * z * z)) for k in range(1, 5))
        return min(1.0, max(0.0, 1.0 - factor * sum(terms)))
    terms = (math.copysign(math.exp(-2 * k * k * z * z), k % 2 - 0.5) for k in range(1, 6))
    return float(min(1.0, 2 * sum(terms)))


def ks(before: Floats, after: Floats) -> TwoSample:
    """Two-sample Kolmogorov-Smirnov distance; NaN is left out.

    The p-value is asymptotic and conservative under ties.
    """
    a, b = np.sort(before[~np.isnan(before)]), np.sort(after[~np.isnan(after)])
    return ks_sorted(a, b)


def ks_sorted(a: Floats, b: Floats) -> TwoSample:
    """`ks` for arrays that are sorted and free of NaN."""
    if not len(a) or not len(b):
        return TwoSample(1.0, 0.0, (len(a), len(b)))
    distance = max(_largest_gap(a, b), _largest_gap(b, a))
    size = math.sqrt(len(a) * len(b) / (len(a) + len(b)))
    return TwoSample(kolmogorov_sf(distance * size), distance, (len(a), len(b)))


def _largest_gap(a: Floats, b: Floats) -> float:
    """The largest gap of two distribution functions at the values of `a`; both sorted."""
    upto = np.append(np.flatnonzero(a[1:] != a[:-1]) + 1, len(a))  # where a run of equals ends
    gap = upto / len(a) - np.searchsorted(b, a[upto - 1], "right") / len(b)
    return float(np.abs(gap).max())


def normal_sf(z: float) -> float:
    """Upper tail of the standard normal."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def proportions(hits: tuple[float, float], n: tuple[float, float]) -> TwoSample:
    """Two-sided test of equal shares; effect is the difference after minus before."""
    if min(n) <= 0:
        return TwoSample(1.0, 0.0, (int(n[0]), int(n[1])))
    shares = hits[0] / n[0], hits[1] / n[1]
    pooled = (sum(hits) + 0.5) / (sum(n) + 1)
    z = (shares[1] - shares[0]) / math.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    return TwoSample(2 * normal_sf(abs(z)), shares[1] - shares[0], (int(n[0]), int(n[1])))


def chi_square_sf(statistic: float, freedom: int) -> float:
    """Upper tail of chi-square by the cube-root normal approximation (Wilson and Hilferty 1931)."""
    if freedom < 1 or statistic <= 0:
        return 1.0
    spread = 2 / (9 * freedom)
    return normal_sf(((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def categories(before: NDArray[np.int_], after: NDArray[np.int_]) -> TwoSample:
    """Chi-square of two count vectors (K,); effect is the total variation distance in [0, 1]."""
    n = float(before.sum()), float(after.sum())
    if min(n) <= 0:
        return TwoSample(1.0, 0.0, (int(n[0]), int(n[1])))
    total = before + after
    seen = total > 0
    expected = total[seen] * (n[1] / sum(n))
    statistic = float(((after[seen] - expected) ** 2 / (expected * (n[0] / sum(n)))).sum())
    distance = 0.5 * float(np.abs(before / n[0] - after / n[1]).sum())
    return TwoSample(
        chi_square_sf(statistic, int(seen.sum()) - 1), distance, (int(n[0]), int(n[1]))
    )


def more_often(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Fisher's exact probability that so many or more hits fall after; each side is (hits, all).

    Holds where hits are few, as chi-square does not; assumes independent trials.
    """
    hits, n = before[0] + after[0], before[1] + after[1]

    def ways(of: int, k: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)

    most = min(hits, after[1])
    return sum(
        math.exp(ways(after[1], k) + ways(before[1], hits - k) - ways(n, hits))
        for k in range(max(after[0], hits - before[1]), most + 1)
    )


def rank_auc(scores: Floats, positive: NDArray[np.bool_], weight: Floats | None = None) -> float:
    """Area under the ROC curve with ties at one half; NaN when a class is absent."""
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    weights = np.ones(len(scores)) if weight is None else weight[order]
    pos = np.where(positive[order], weights, 0.0)
    neg = weights - pos
    total_pos, total_neg = float(pos.sum()), float(neg.sum())
    if total_pos <= 0 or total_neg <= 0:
        return math.nan
    starts = np.flatnonzero(np.r_[True, sorted_scores[1:] != sorted_scores[:-1]])
    group_pos, group_neg = np.add.reduceat(pos, starts), np.add.reduceat(neg, starts)
    below = np.cumsum(group_neg) - group_neg
    return float((group_pos * (below + 0.5 * group_neg)).sum() / (total_pos * total_neg))
