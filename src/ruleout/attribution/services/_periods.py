"""Which spans belong to the incident, to the reference beside it, and to references apart from it."""

from __future__ import annotations

import numpy as np

from ruleout.attribution.services._windows import Windows

_APART = 120.0
"""Seconds without a request that part one stretch of reference from the next."""


def periods(time: np.ndarray, windows: Windows) -> np.ndarray:
    """2 for the incident, 1 for the stretch next to it, 0 for stretches apart, -1 for none.

    Everything before the incident's window is a reference, the guard before it included: where the
    declared reference window holds no spans there is nothing else to compare with.

    Args:
        time: (n,) start of each span in epoch seconds.
        windows: the windows of the incident.
    """
    start, end = windows.current
    current = (time >= start) & (time <= end)
    before = np.sort(time[time < start])
    edge = -np.inf
    if len(before):
        gaps = np.diff(np.r_[before, start])
        wide = np.flatnonzero(gaps > _APART)
        if len(wide) and wide[-1] + 1 < len(before):
            edge = before[wide[-1]] + 0.5
    result = np.where(time >= edge, 1, 0)
    result[time > end] = 0 if not windows.declared else _after(windows)
    result[current] = 2
    return result


def _after(windows: Windows) -> int:
    """Whether what follows the incident is a reference (it was declared to lie there)."""
    return 0 if any(low >= windows.current[1] for low, _ in windows.reference) else -1
