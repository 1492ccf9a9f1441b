"""How one sample of a quantity could have been made from another: affine maps, clipping, rounding."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._twosample import kolmogorov_sf, ks

Floats = NDArray[np.float64]

_PROBS = np.linspace(0.02, 0.98, 49)


class Affine(NamedTuple):
    """after = slope * before + offset, fitted on quantiles."""

    slope: float
    offset: float
    r: float
    """Correlation of the two sets of quantiles."""

    distance_before: float
    """Kolmogorov-Smirnov distance of the samples as they are."""

    distance_after: float
    """... and once the map has been undone."""

    noise: float
    """Distance that two samples of these sizes show by chance (5% level)."""

    @property
    def mends(self) -> bool:
        """Whether undoing the map brings the samples together: to chance, or nearly."""
        return self.distance_before > 3 * self.noise and self.distance_after < max(
            1.5 * self.noise, 0.12 * self.distance_before
        )


def noise_distance(n: int, m: int, level: float = 1.36) -> float:
    """Kolmogorov-Smirnov distance that samples of n and m rows exceed by chance in 5% of cases."""
    return level * math.sqrt((n + m) / max(n * m, 1))


def affine(before: Floats, after: Floats) -> list[Affine]:
    """Candidate maps, simplest first: scale alone, offset alone, both; NaN must have been left out.

    A heavy tie in the middle makes quantiles flat, so positive scales are also fitted as the shift
    of logarithms. Returns nothing for samples under 30 rows or without spread.
    """
    if min(len(before), len(after)) < 30:
        return []
    q0, q1 = np.quantile(before, _PROBS), np.quantile(after, _PROBS)
    if np.ptp(q0) <= 0 or np.ptp(q1) <= 0:
        return []
    r = float(np.corrcoef(q0, q1)[0, 1])
    slope, offset = np.polyfit(q0, q1, 1)
    pairs = {(float((q0 * q1).sum() / (q0 * q0).sum()), 0.0), (1.0, float(np.median(q1 - q0)))}
    same = (np.sign(q0) == np.sign(q1)) & (q0 != 0) & (q1 != 0)
    if same.sum() >= 5:
        pairs.add((float(np.exp(np.median(np.log(q1[same] / q0[same])))), 0.0))
    flipped = np.quantile(-after, _PROBS)
    pairs.add((-float((q0 * flipped).sum() / (q0 * q0).sum()), 0.0))
    ordered = [*sorted(pairs, key=lambda p: (p[1] != 0, p[0])), (float(slope), float(offset))]
    raw = ks(before, after).effect
    noise = noise_distance(len(before), len(after))
    return [
        Affine(a, b, r, raw, ks(before, (after - b) / a).effect, noise)
        for a, b in ordered
        if a != 0
    ]


ROUND_FACTORS: tuple[float, ...] = tuple(
    sorted(
        {10.0**k for k in range(-9, 10) if k}
        | {
            1 / f
            for f in (
                60,
                3600,
                86400,
                1440,
                24,
                7,
                12,
                365,
                52,
                1024,
                1024**2,
                2.20462,
                25.4,
                2.54,
                0.3048,
                1.60934,
                4.184,
                0.453592,
                28.3495,
                3.78541,
                1.8,
            )
        }
        | {
            60.0,
            3600.0,
            86400.0,
            1440.0,
            24.0,
            7.0,
            12.0,
            365.0,
            52.0,
            1024.0,
            1024.0**2,
            2.20462,
            25.4,
            2.54,
            0.3048,
            1.60934,
            4.184,
            0.453592,
            28.3495,
            3.78541,
            1.8,
        }
        | {60e3, 1 / 60e3, 3600e3, 1 / 3600e3, 0.0254, 39.3701, 907.185, 0.836127}
    )
)
"""Ratios of units in use: powers of ten, time, bytes, mass, length, energy, volume."""


def nearest_round(slope: float, tolerance: float = 0.03) -> float | None:
    """The usual unit ratio within `tolerance` (relative) of a slope; None if there is none."""
    if slope <= 0:
        return -1.0 if abs(slope + 1) <= tolerance else None
    best = min(ROUND_FACTORS, key=lambda f: abs(math.log(slope / f)))
    return best if abs(slope / best - 1) <= tolerance else None


class Clip(NamedTuple):
    """Values beyond a bound were set to it."""

    bound: float
    upper: bool
    share_at: float
    """Share of the later sample that sits on the bound."""

    share_beyond: float
    """Share of the earlier sample at or beyond the bound."""


def clip(before: Floats, after: Floats) -> Clip | None:
    """A new mass at an end of the range that the earlier sample went past, or None.

    The mass at the bound must equal what the earlier sample had at or beyond it: a sentinel takes
    from everywhere, a clip only from the tail. A constant is no clip.
    """
    if min(len(before), len(after)) < 50:
        return None
    for upper in (True, False):
        sign = 1.0 if upper else -1.0
        a, b = sign * before, sign * after
        bound = float(b.max())
        at, beyond = float((b == bound).mean()), float((a >= bound).mean())
        was_at = float((a == bound).mean())
        if at > 0.98:
            continue
        noise = 4 * math.sqrt(max(beyond, 0.002) * (1 - beyond) * (1 / len(a) + 1 / len(b)))
        if (
            at - was_at > 0.01
            and beyond - was_at > 0.01
            and abs(at - beyond) < noise + 0.1 * beyond
        ):
            return Clip(sign * bound, upper, at, beyond)
    return None


GRIDS: tuple[float, ...] = tuple(
    sorted(
        {m * 10.0**k for k in range(-6, 7) for m in (1, 2, 2.5, 5)}
        | {0.125, 15.0, 30.0, 12.0, 24.0, 64.0, 256.0, 32.0, 16.0}
    )
)


def grid(before: Floats, after: Floats) -> float | None:
    """The coarsest grid that the later sample sits on and the earlier one does not; None if none."""
    spread = float(np.ptp(before)) if len(before) else 0.0
    if min(len(before), len(after)) < 50 or spread <= 0:
        return None
    fewer = len(np.unique(after)) < 0.8 * len(np.unique(before[: len(after)]))
    if not fewer:
        return None
    for step in sorted(GRIDS, reverse=True):
        if step > spread:
            continue
        if on_grid(after, step) > 0.99 and on_grid(before, step) < 0.6:
            return step
    return None


def on_grid(values: Floats, step: float) -> float:
    """Share of values that are multiples of `step`."""
    ratio = values / step
    return float((np.abs(ratio - np.round(ratio)) < 1e-6 * np.maximum(1.0, np.abs(ratio))).mean())


def distance_p(distance: float, n: int, m: int) -> float:
    """P-value of a Kolmogorov-Smirnov distance."""
    return kolmogorov_sf(distance * math.sqrt(n * m / max(n + m, 1)))
