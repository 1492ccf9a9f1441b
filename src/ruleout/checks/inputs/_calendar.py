"""Inputs that go on with the calendar: the number of a week, the age of a catalogue, a counter of orders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case
from ruleout.stats._ranks import middle_ranks

Floats = NDArray[np.float64]
_LEAST = 50
_CALENDAR = 0.8
"""Least rank correlation with time through the reference."""

_UPWARDS, _WHOLLY = 0.5, 0.9
"""The same where time alone tells nearly all of the input: few numbers, each for long, correlate less."""

_BLOCKS = 40


def follows_calendar(case: Case, name: str) -> bool:
    """Whether an input went on with the calendar all through the reference, as a week's number does (Spearman).

    Its newest values are new each time: that they fill the current window is no fault.
    """
    time = case.reference.time
    if time is None or case.kind(name) != "numeric":
        return False
    values = case.reference.numeric(name)
    known = np.isfinite(values) & np.isfinite(time)
    if known.sum() < _LEAST or np.ptp(values[known]) == 0:
        return False
    rank, at = middle_ranks(values[known]), middle_ranks(time[known])
    tie = abs(float(np.corrcoef(rank, at)[0, 1]))
    return tie > _CALENDAR or (tie > _UPWARDS and _told_by_time(rank, at) > _WHOLLY)


def _told_by_time(rank: Floats, at: Floats) -> float:
    """Share of the variance of ranks (n,) between stretches of time: a week's number is one number for all its rows."""
    block = (at * _BLOCKS / (at.max() + 1)).astype(np.int64)
    count = np.bincount(block, minlength=_BLOCKS)
    means = np.bincount(block, weights=rank, minlength=_BLOCKS) / np.maximum(count, 1)
    return float((count * (means - rank.mean()) ** 2).sum() / ((rank - rank.mean()) ** 2).sum())
