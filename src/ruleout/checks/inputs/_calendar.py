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
_HOURS = 400
_CLOCK = 0.75
"""Share of an input's variance between stretches of time from which on it is the clock's; chance gives an eighth."""


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


def follows_clock(case: Case, name: str) -> bool:
    """Whether time tells an input's value all through the current window, as it tells an hour and a weekday.

    Whatever began within the window is tied to such an input, which is no place where it happened.
    """
    time = case.current.time
    if time is None or case.kind(name) not in ("numeric", "categorical"):
        return False
    if case.kind(name) == "numeric":
        values = case.current.numeric(name)
    else:
        codes = case.codes("current", name).astype(float)
        values = np.where(codes < 0, np.nan, codes)
    known = np.isfinite(values) & np.isfinite(time)
    if known.sum() < _LEAST or np.ptp(values[known]) == 0:
        return False
    rank, at = middle_ranks(values[known]), middle_ranks(time[known])
    return _told_by_time(rank, at, min(int(known.sum()) // 8, _HOURS)) > _CLOCK


def _told_by_time(rank: Floats, at: Floats, blocks: int = _BLOCKS) -> float:
    """Share of the variance of ranks (n,) between stretches of time: a week's number is one number for all its rows."""
    block = (at * blocks / (at.max() + 1)).astype(np.int64)
    count = np.bincount(block, minlength=blocks)
    means = np.bincount(block, weights=rank, minlength=blocks) / np.maximum(count, 1)
    return float((count * (means - rank.mean()) ** 2).sum() / ((rank - rank.mean()) ** 2).sum())
