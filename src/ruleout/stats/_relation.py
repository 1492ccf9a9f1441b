"""How one sample of a quantity could have been made from another: affine maps, clipping, rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    tops = _atom(before), _atom(after)
    if tops[0] and tops[1]:
        pairs.add((tops[1] / tops[0], 0.0))
    pairs |= {(unit, 0.0) for a, b in list(pairs) if b == 0 and (unit := nearest_round(a, 0.12))}
    flipped = np.quantile(-after, _PROBS)
    pairs.add((-float((q0 * flipped).sum() / (q0 * q0).sum()), 0.0))
    pairs |= {
        p
        for p in _TEMPERATURES
        if abs(p[0] * float(np.median(q0)) + p[1] - float(np.median(q1))) < np.ptp(q1)
    }
    ordered = [*sorted(pairs, key=lambda p: (p[1] != 0, p[0])), (float(slope), float(offset))]
    raw = ks(before, after).effect
    noise = noise_distance(len(before), len(after))
    whole = bool(np.array_equal(before, np.round(before)))
    return [
        Affine(a, b, r, raw, ks(before, _undone(after, a, b, tops[0], whole=whole)).effect, noise)
        for a, b in ordered
        if a != 0
    ]


_TEMPERATURES = ((1.8, 32.0), (1 / 1.8, -32 / 1.8))
"""Fahrenheit from Celsius, and back."""


def _atom(values: Floats) -> float | None:
    """The value that more than one row in twenty holds and most rows of any; None if there is none."""
    points, counts = np.unique(values, return_counts=True)
    return float(points[counts.argmax()]) if counts.max() > 0.05 * len(values) else None


def _undone(
    after: Floats, slope: float, offset: float, atom: float | None, *, whole: bool
) -> Floats:
    """The map undone; ties tell samples apart by a hair, so what comes near them is put on them.

    On the value that many hold, and on whole numbers where all are `whole`.
    """
    back = (after - offset) / slope
    if atom is not None:
        back = np.where(np.abs(back - atom) < 1e-6 * abs(atom), atom, back)
    if not whole:
        return back
    near = np.round(back)
    return near if float(np.median(np.abs(back - near))) < _NEAR else back


_NEAR = 0.1


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


def _rarity(factor: float) -> float:
    """What a unit ratio must make up for against a power of ten, the commonest kind."""
    power = math.log10(factor)
    return 0.0 if abs(power - round(power)) < 1e-9 else 0.01


def nearest_round(slope: float, tolerance: float = 0.03) -> float | None:
    """The usual unit ratio within `tolerance` (relative) of a slope; None if there is none."""
    if slope <= 0:
        return -1.0 if abs(slope + 1) <= tolerance else None
    best = min(ROUND_FACTORS, key=lambda f: abs(math.log(slope / f)) + _rarity(f))
    return best if abs(slope / best - 1) <= tolerance else None


class Clip(NamedTuple):
    """Values beyond a bound were set to it, in all or a part of the rows."""

    bound: float
    upper: bool
    share_at: float
    """Share of the later sample that sits on the bound."""

    share_beyond: float
    """Share of the earlier sample beyond the bound."""

    part: float
    """Share of the rows beyond the bound that were set to it."""


_TOP = 5


def clip(before: Floats, after: Floats) -> Clip | None:
    """A new mass on a bound that took its rows from one side alone, or None.

    A default takes from everywhere: both sides of it thin out alike. A clip takes from the far side
    of its bound and leaves the near side as it was.
    """
    if min(len(before), len(after)) < 50:
        return None
    points, counts = np.unique(after, return_counts=True)
    # The value that gained most, which need not be the commonest: noughts may always have been many.
    top = np.argsort(-counts)[:_TOP]
    usual = np.array([float((before == v).mean()) for v in points[top]])
    best = int((counts[top] / len(after) - usual).argmax())
    bound = float(points[top][best])
    at, was_at = float(counts[top][best] / len(after)), float(usual[best])
    mass = at - was_at
    if mass < 0.01:
        return None
    sides = [
        (float((before < bound).mean()), float((after < bound).mean())),
        (float((before > bound).mean()), float((after > bound).mean())),
    ]
    found = []
    for upper, (taken, kept) in ((True, (sides[1], sides[0])), (False, (sides[0], sides[1]))):
        noise = math.sqrt(max(kept[0], 0.002) * (1 / len(before) + 1 / len(after)))
        lost, gone = taken[0] - taken[1], kept[0] - kept[1]
        # A default would thin the near side by as much as the far one; a clip leaves it alone.
        if_default = kept[0] * mass
        if if_default < 4 * noise or taken[0] <= 0.01:
            continue
        # Where nothing at all is left beyond, only a bound took it: the world may have moved besides.
        full = taken[1] == 0 and taken[0] > 4 * noise
        slack = max(4 * noise, (0.3 if full else 0.15) * mass)
        room = (0.8 if full else 0.5) * if_default
        if abs(gone) < room and abs(lost - mass) < slack:
            found.append(Clip(bound, upper, at, taken[0], min(1.0, lost / taken[0])))
    return found[0] if len(found) == 1 else None


GRIDS: tuple[float, ...] = tuple(
    sorted(
        {m * 10.0**k for k in range(-6, 7) for m in (1, 2, 2.5, 5)}
        | {0.125, 15.0, 30.0, 12.0, 24.0, 64.0, 256.0, 32.0, 16.0}
    )
)


_NOUGHTS = 0.005
"""Share of noughts up to which they are new, and as good a point of a grid as any."""

_GLANCE = 2_000
"""Rows that decide whether a grid is worth measuring on all of them."""


def grid(before: Floats, after: Floats) -> tuple[float, float] | None:
    """The coarsest grid that many later values sit on and the earlier do not: (step, share on it now).

    Several points of the grid must be in use: one alone is a default. None if there is no such grid.
    """
    spread = float(np.quantile(before, 0.99) - np.quantile(before, 0.01)) if len(before) else 0.0
    if len(before) and float((before == 0).mean()) > _NOUGHTS:
        before, after = before[before != 0], after[after != 0]  # nought is on every grid
    if min(len(before), len(after)) < 50 or spread <= 0:
        return None
    few = after[:: max(1, len(after) // _GLANCE)]
    best: tuple[float, float, float] | None = None
    for step in sorted(GRIDS, reverse=True):
        # A glance at some rows tells most steps apart: 0.06 is four standard errors of that share.
        if step > 1.5 * spread or on_grid(few, step) < (0.06 if len(few) < len(after) else 0.12):
            continue
        now, was = on_grid(after, step), on_grid(before, step)
        if now - was < 0.12 or now < 2 * was:
            continue
        # One value alone is a default: the rest must have moved to the grid as well.
        points, counts = np.unique(after, return_counts=True)
        top = points[counts.argmax()]
        if on_grid(after[after != top], step) - was < 0.2 * (now - was):
            continue
        near = after[np.abs(after / step - np.round(after / step)) < 1e-6]
        points, counts = np.unique(np.round(near / step), return_counts=True)
        several = len(points) >= 2 and np.sort(counts)[-2] > 0.03 * len(near) + 3
        # Every fifth whole number is a multiple of 5: a finer grid that holds clearly more is the one.
        if several and (best is None or now - was > best[2] + 0.05):
            best = step, now, now - was
    return None if best is None else best[:2]


def on_grid(values: Floats, step: float) -> float:
    """Share of values that are multiples of `step`; 0 for no values."""
    if not len(values):
        return 0.0
    ratio = values / step
    return float((np.abs(ratio - np.round(ratio)) < 1e-6 * np.maximum(1.0, np.abs(ratio))).mean())


def distance_p(distance: float, n: int, m: int) -> float:
    """P-value of a Kolmogorov-Smirnov distance."""
    return kolmogorov_sf(distance * math.sqrt(n * m / max(n + m, 1)))


class Mixture(NamedTuple):
    """A part of the later sample comes from another distribution, the rest from the earlier one."""

    share: float
    """Share of rows from the other distribution."""

    distance_before: float
    """Largest gap of the distribution functions without the mixture."""

    distance_after: float
    """... and with it."""


def mixture(before: Floats, other: Floats, after: Floats) -> Mixture:
    """Least-squares share of `other` in `after`, the rest being `before`; all free of NaN."""
    a, b, c = np.sort(before), np.sort(other), np.sort(after)
    points = np.unique(np.concatenate([x[:: max(1, len(x) // 400)] for x in (a, b, c)]))
    f, g, h = (np.searchsorted(x, points, side="right") / len(x) for x in (a, b, c))
    towards = g - f
    scale = float(towards @ towards)
    share = float(np.clip((h - f) @ towards / scale, 0.0, 1.0)) if scale > 0 else 0.0
    return Mixture(share, float(np.abs(h - f).max()), float(np.abs(h - f - share * towards).max()))


TEMPERATURES = ((1.8, 32.0), (1 / 1.8, -32 / 1.8), (1.0, 273.15), (1.0, -273.15))
"""Slope and offset from Celsius to Fahrenheit and to Kelvin, and back."""

_UNITS = (*((factor, 0.0) for factor in ROUND_FACTORS), *TEMPERATURES)


def part_in_unit(
    before: Floats, after: Floats, units: Sequence[tuple[float, float]] = _UNITS
) -> tuple[tuple[float, float], Mixture] | None:
    """The unit in which an unknown part of the later rows arrives: ((slope, offset), mixture), or None."""
    if min(len(before), len(after)) < 100:
        return None
    noise = noise_distance(len(before), len(after))
    told = {unit: mixture(before, before * unit[0] + unit[1], after) for unit in units}
    least = min(told.values(), key=lambda m: m.distance_after).distance_after if told else 1.0
    close = [u for u, m in told.items() if m.distance_after <= least + 0.3 * noise]
    first = min(
        close,
        key=lambda u: (_rarity(u[0]) if u[1] == 0 else 0.02, told[u].distance_after),
        default=None,
    )
    best = None if first is None else (first, told[first])
    if best is None or best[1].share < 0.03 or best[1].distance_before < 3 * noise:
        return None
    return (
        best if best[1].distance_after < max(1.2 * noise, 0.12 * best[1].distance_before) else None
    )


def likely_other(
    before: Floats, unit: tuple[float, float], share: float, values: Floats
) -> NDArray[np.bool_]:
    """Rows (n,) of `values` that more likely came in the other unit (slope, offset), given the share that did."""
    known = np.sort(before[np.isfinite(before)])
    edges = np.unique(np.quantile(known, np.linspace(0, 1, 41)))
    if len(edges) < 3:
        return np.zeros(len(values), dtype=bool)
    width = np.diff(edges)
    density = np.histogram(known, edges)[0] / len(known) / np.maximum(width, 1e-12)

    def at(x: Floats) -> Floats:
        place = np.searchsorted(edges, x, side="right") - 1
        inside = (x >= edges[0]) & (x <= edges[-1])
        return np.where(inside, density[np.clip(place, 0, len(density) - 1)], 0.0)

    with np.errstate(invalid="ignore"):
        other = share * at((values - unit[1]) / unit[0]) / abs(unit[0])
        own = (1 - share) * at(values)
    return np.asarray(np.isfinite(values) & (other > own))
