"""When a series left its usual range, and whether it stepped or crept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._windows import Windows


class Start(NamedTuple):
    """The onset of a departure."""

    at: float
    """Epoch seconds of the first sample beyond the usual range that stays there."""

    low: float
    """Last sample that was still usual."""

    ramp: float
    """Seconds from a tenth to nine tenths of the departure; 0 for a step."""

    size: float
    """Departure in units of the usual spread."""


def onset(series: pl.DataFrame, windows: Windows, sign: int = 0) -> Start | None:
    """The onset of one series' departure; None where it does not depart.

    Args:
        series: `time` and `value` of one series.
        windows: the incident's windows; the usual range is the reference's, and where the series was
            still usual when the current window began, that part's too.
        sign: +1 or -1 for the bad direction, 0 when either counts.
    """
    ordered = series.sort("time")
    time, value = ordered["time"].to_numpy(), ordered["value"].to_numpy()
    inside = (time >= windows.current[0]) & (time <= windows.current[1])
    usual = np.zeros(len(time), dtype=bool)
    for low, high in windows.reference:
        usual |= (time >= low) & (time < high)
    if usual.sum() < 3 or inside.sum() < 2:
        return None
    level = float(np.median(value[usual]))
    spread = max(1.4826 * float(np.median(np.abs(value[usual] - level))), 0.02 * abs(level), 1e-9)
    # A departure may begin inside the declared reference: the whole record up to the end is searched.
    record = time <= windows.current[1]
    if windows.reference[0][0] > windows.current[1]:
        record = inside
    time, value = time[record], value[record]
    away = (value - level) / spread
    if sign:
        away = sign * away
    else:
        away = away * (1 if abs(away[-1:].sum()) == away[-1:].sum() else -1)
    peak = float(np.quantile(away[-max(len(away) // 8, 2) :], 0.75)) if len(away) else 0.0
    peak = max(peak, float(np.max(away[time >= windows.current[0]], initial=0.0)))
    if peak < 4:
        return None
    beyond = away > max(3.0, 0.05 * peak)
    first = _stays(beyond)
    if first is None:
        return None
    after = away[first:]
    tenth = int(np.argmax(after >= 0.1 * peak))
    full = int(np.argmax(after >= 0.9 * peak))
    step = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    ramp = float(time[first + full] - time[first + tenth])
    return Start(
        float(time[first]),
        float(time[first - 1]) if first else float(time[0]),
        ramp if ramp > 5 * step else 0.0,
        peak,
    )


_LASTS = 3
"""Samples that must follow a beginning: of the last one or two nobody knows whether they stay."""


def _stays(beyond: np.ndarray) -> int | None:
    """The first index from which at least four fifths of what follows (up to 10 points) is beyond."""
    for index in np.flatnonzero(beyond[: len(beyond) - _LASTS + 1]):
        if beyond[index : index + 10].mean() >= 0.8:
            return int(index)
    return None
