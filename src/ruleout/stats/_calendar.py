"""Hours and weekdays of instants, as cells to weigh by and as indicators to regress on. All in UTC."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = 86_400
BINS = 12
"""Bins of two hours in a day."""

CELLS = BINS * 7

_TWICE = 2
"""Days that hours need to be seen more than once; weekdays need more than a week."""

_WEEKS = 20
"""Days from which each weekday can have a level of its own; from 8 days, weekends can."""


def hours(time: Floats) -> NDArray[np.int64]:
    """Bin of two hours of the day, 0 to 11, of each instant (n,) in epoch seconds."""
    return np.asarray((time % DAY // (DAY // BINS)).astype(np.int64))


def weekdays(time: Floats) -> NDArray[np.int64]:
    """Weekday of each instant (n,), Monday is 0."""
    return np.asarray(((time // DAY).astype(np.int64) + 3) % 7)  # 1970-01-01 was a Thursday


def calendar_cells(time: Floats, *, weekday: bool) -> NDArray[np.int64]:
    """Cell (n,) below `CELLS` of each instant: its bin of hours, by weekday if asked."""
    return hours(time) + BINS * weekdays(time) if weekday else hours(time)


def repeated(days: float, *, weekday: bool) -> bool:
    """Whether so many days hold the hours, or the weekdays, more than once."""
    return days >= (8 if weekday else _TWICE)


def calendar_indicators(time: Floats, days: float) -> Floats:
    """Indicators (n, k) of bins of hours and of weekdays, the first of each left out, as many as so many days can tell apart."""
    parts = []
    if repeated(days, weekday=False):
        parts.append(hours(time)[:, None] == np.arange(1, BINS))
    if days >= _WEEKS:
        parts.append(weekdays(time)[:, None] == np.arange(1, 7))
    elif repeated(days, weekday=True):
        parts.append(weekdays(time)[:, None] >= 5)
    told = np.concatenate(parts, axis=1) if parts else np.empty((len(time), 0))
    return np.asarray(told, dtype=np.float64)
