"""Inputs that go on with the calendar: the number of a week, the age of a catalogue, a counter of orders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case
from ruleout.stats._calendar import weekdays
from ruleout.stats._ranks import middle_ranks

Floats = NDArray[np.float64]
_LEAST = 50
_CALENDAR = 0.8
"""Least rank correlation with time through the reference."""

_DAYS = 7
_ONE = 0.98
"""Share of the rows of a weekday that must hold its value."""

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


def follows_weekday(case: Case, name: str) -> bool:
    """Whether the day of the week tells an input's value in the reference, and tells it still.

    A window of one weekday holds one value of such an input, and nobody filled it in.
    """
    before, now = case.reference.time, case.current.time
    if before is None or now is None or case.kind(name) not in ("numeric", "categorical"):
        return False
    known, told = _levels(case, name)
    here = [np.isfinite(t) & (v >= 0) for t, v in ((before, known), (now, told))]
    if min(h.sum() for h in here) < _LEAST or known.max() < 1 or known.max() >= _DAYS:
        return False
    day = [weekdays(t[h]) for t, h in zip((before, now), here, strict=True)]
    table = np.zeros((_DAYS, int(max(known.max(), told.max())) + 1))
    np.add.at(table, (day[0], known[here[0]]), 1)
    usual = table.argmax(axis=1)
    if table.max(axis=1).sum() < _ONE * table.sum() or len(np.unique(usual[np.unique(day[0])])) < 2:
        return False
    return bool((usual[day[1]] == told[here[1]]).mean() > _ONE)


def _levels(case: Case, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The values of both windows (n,), (m,) as numbers from nought up, -1 where there is none."""
    if case.kind(name) == "categorical":
        return case.codes("reference", name).astype(np.int64), case.codes("current", name).astype(
            np.int64
        )
    both = np.concatenate([case.reference.numeric(name), case.current.numeric(name)])
    out = np.full(len(both), -1, dtype=np.int64)
    known = np.isfinite(both)
    out[known] = np.unique(both[known], return_inverse=True)[1]
    return out[: case.reference.rows], out[case.reference.rows :]


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
