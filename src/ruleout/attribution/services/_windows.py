"""Which part of the telemetry is the reference and which the incident."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ruleout.incident._model import Incident, Window
from ruleout.sources.telemetry import Telemetry


class Windows(NamedTuple):
    """The spans of time that an analysis compares, in epoch seconds."""

    reference: tuple[tuple[float, float], ...]
    """Disjoint reference spans; the first is the declared one, or the data before the incident."""

    current: tuple[float, float]
    noticed: float | None
    declared: bool
    """Whether the reference was told (and holds time), and not inferred."""


def settle_windows(incident: Incident, telemetry: Telemetry) -> Windows | None:
    """The windows to compare, with sensible stand-ins for what was not told.

    None when there is neither a current window, nor an instant of notice, nor any telemetry.
    """
    extent = _extent(telemetry)
    current = _proper(incident.current_window)
    noticed = incident.symptom.noticed_at
    if current is None:
        if extent is None:
            return None
        current = _guess_current(extent, noticed)
    reference = _proper(incident.reference_window)
    if reference is not None:
        return Windows((reference,), current, noticed, declared=True)
    if extent is not None and extent[0] < current[0]:
        return Windows(((extent[0], current[0]),), current, noticed, declared=False)
    # Nothing lies before the incident's window: its own beginning has to stand for the usual.
    begin = max(current[0], extent[0]) if extent is not None else current[0]
    until = noticed if noticed is not None and begin < noticed <= current[1] else current[1]
    cut = begin + 0.3 * (until - begin)
    return Windows(((begin, cut),), (cut, current[1]), noticed, declared=False)


def _proper(window: Window | None) -> tuple[float, float] | None:
    return None if window is None or window.end <= window.start else (window.start, window.end)


def _guess_current(extent: tuple[float, float], noticed: float | None) -> tuple[float, float]:
    start, end = extent
    if noticed is not None and start < noticed <= end + (end - start):
        return (noticed - min(600.0, 0.2 * (noticed - start)), max(end, noticed))
    return (end - 0.2 * (end - start), end)


def _extent(telemetry: Telemetry) -> tuple[float, float] | None:
    ends: list[float] = []
    for table, column, unit in (
        (telemetry.metrics, "time", 1.0),
        (telemetry.spans, "start", 1e9),
        (telemetry.logs, "time", 1.0),
    ):
        if table.height:
            values = table[column].to_numpy()
            ends += [float(np.min(values)) / unit, float(np.max(values)) / unit]
    return (min(ends), max(ends) + 1e-3) if ends else None
