"""Whether something comes again and again, at even distances."""

from __future__ import annotations

import numpy as np

_AGAIN = 3
"""Times that something must have come, the incident's among them, to come again and again."""

_EVEN = 0.15
"""Part by which the distances between its comings may differ."""

_HALF = 0.5
_AS_FAR = 0.75
"""Part of the incident's height that each must have reached."""


def recurs(time: np.ndarray, value: np.ndarray, usual: np.ndarray, now: np.ndarray) -> int:
    """How often something came at even distances, the incident's among them; 0 where it did not.

    Args:
        time: of the samples.
        value: the samples; more is worse.
        usual: which samples are the past's.
        now: which are the incident's.
    """
    size = max(int(now.sum()) // 4, 1)
    known = usual | now
    if known.sum() < 2 * size:
        return 0
    kernel = np.ones(size) / size
    smooth = np.convolve(value[known], kernel, mode="valid")
    middle = np.convolve(time[known], kernel, mode="valid")
    start = float(time[now].min())
    level = float(np.median(value[usual]))
    height = float(smooth[middle >= start].max(initial=level)) - level
    if height <= 0:
        return 0
    high = smooth > level + _HALF * height
    edges = np.flatnonzero(np.diff(np.r_[False, high, False].astype(int)))
    came = []
    for first, last in edges.reshape(-1, 2):
        peak = float(smooth[first:last].max())
        if peak - level >= _AS_FAR * height:
            came.append(float(middle[first:last].mean()))
    gaps = np.diff(came)
    if len(came) < _AGAIN or came[-1] < start:
        return 0
    return len(came) if np.ptp(gaps) <= _EVEN * float(np.median(gaps)) else 0
