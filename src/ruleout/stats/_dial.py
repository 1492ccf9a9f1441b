"""Hours of the day as a distribution on a dial: is one window the other, turned?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOURS = 24
_LEAST = 500
_EXCESS = 4.0
"""Chi-square by degree of freedom from which two dials differ beyond chance."""

_LEFT = 0.15
"""What a turn may leave of that excess: a population that changed is no turned copy of itself."""

_NEAR = 3
"""Turns by a few hours more or less, of another share of the rows, look much alike."""

_SECOND = 2.5
"""How many times as much the best turn elsewhere must leave."""


_EVENING = 0.01
"""Share of rows in the last hour of the day below which a count is as likely as a clock."""


class Turn(NamedTuple):
    """A part of the later hours is so many hours off."""

    hours: int
    """From -11 to 12."""

    share: float
    """Share of rows that were turned."""

    distance_before: float
    """Total variation between the dials as they are."""

    distance_after: float
    """... and once the turned part of the earlier one is taken into account."""


def of_a_day(values: Floats) -> bool:
    """Whether values (n,) lie from 0 to under 24, as hours of the day do, be it those of a shop's opening alone."""
    known = values[np.isfinite(values)]
    return bool(len(known) >= 100 and known.min() >= 0 and known.max() < HOURS)


def on_dial(values: Floats) -> bool:
    """Whether values (n,) lie on the face of a clock: from 0 to under 24, and on most of its hours."""
    known = values[np.isfinite(values)]
    return of_a_day(known) and len(np.unique(np.floor(known))) >= HOURS // 2


def round_the_clock(values: Floats) -> bool:
    """Whether values (n,) go round a dial: a count of up to 23 also lies on one, but thins out towards its end."""
    known = values[np.isfinite(values)]
    if not on_dial(known):
        return False
    counts = np.bincount(np.floor(known).astype(np.int64), minlength=HOURS)
    return bool((counts > 0).sum() >= HOURS - 4 and counts[-1] >= _EVENING * len(known))


def past_midnight(before: Floats, told: Turn) -> bool:
    """Whether a turn took some of the hours (n,) over midnight: no count does that, however few hours it lies on."""
    later = np.floor(before) + told.hours
    return bool(((later < 0) | (later >= HOURS)).mean() >= _EVENING)


def turned(before: Floats, after: Floats) -> Turn | None:
    """The turn of a part of the later hours (m,) that makes both dials alike; None where there is none.

    A mixture of the earlier dial with itself, turned, is fitted by least squares for every turn. It counts if
    it takes nearly all that chance does not explain, and no turn but its neighbours does about as well.
    """
    if min(len(before), len(after)) < _LEAST:
        return None
    was, now = (np.bincount(np.floor(x).astype(np.int64), minlength=HOURS) for x in (before, after))
    p, q = was / was.sum(), now / now.sum()
    error = (p + 0.5 / was.sum()) * (1 / was.sum() + 1 / now.sum())

    def excess(rest: Floats) -> float:
        return float((rest**2 / error).sum() / (HOURS - 1) - 1)

    whole = excess(q - p)
    if whole < _EXCESS:
        return None

    def fit(other: Floats, hours: int) -> tuple[float, int, float, float]:
        towards = other - p
        scale = float(towards @ towards)
        share = float(np.clip((q - p) @ towards / scale, 0.0, 1.0)) if scale > 0 else 0.0
        rest = q - p - share * towards
        return excess(rest), hours, share, 0.5 * float(np.abs(rest).sum())

    fits = [fit(np.roll(p, h), h) for h in range(2, HOURS - 1)]  # an hour is left to summer time
    left, hours, share, distance = min(fits)
    # People who come at any hour flatten a dial much as a half-turned copy does.
    if fit(np.full(HOURS, 1 / HOURS), 0)[0] < _SECOND * (left + 1):
        return None
    others = [f[0] for f in fits if abs((f[1] - hours + HOURS // 2) % HOURS - HOURS // 2) > _NEAR]
    if left > _LEFT * whole + 1 or min(others) < _SECOND * (left + 1) or share < 0.05:
        return None
    signed = hours - HOURS if hours > HOURS // 2 else hours
    return Turn(signed, share, 0.5 * float(np.abs(q - p).sum()), distance)


def likely_turned(before: Floats, hours: float, share: float, values: Floats) -> NDArray[np.bool_]:
    """Rows (n,) of `values` that were more likely turned than not, given the share of rows that were."""
    known = before[np.isfinite(before)]
    counts = np.bincount(np.floor(known).astype(np.int64) % HOURS, minlength=HOURS)
    p = counts / max(counts.sum(), 1)
    at = np.floor(np.where(np.isfinite(values), values, 0)).astype(np.int64) % HOURS
    back = np.floor((at - hours) % HOURS).astype(np.int64)
    return np.asarray(np.isfinite(values) & (share * p[back] > (1 - share) * p[at]))
