"""Inputs that go on with the calendar: the number of a week, the age of a catalogue, a counter of orders."""

from __future__ import annotations

import numpy as np

from ruleout.profile import Case
from ruleout.stats._ranks import middle_ranks

_LEAST = 50
_CALENDAR = 0.8
"""Least rank correlation with time through the reference."""


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
    ranks = middle_ranks(values[known]), middle_ranks(time[known])
    return abs(float(np.corrcoef(*ranks)[0, 1])) > _CALENDAR
