"""When the incident really began, where the told window is a little early or late.

A window that begins a minute too soon or too late mixes sick requests with sound ones, and both sides
look alike. Of a few beginnings around the told one, the one is taken at which the two sides differ most.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.attribution.services._behaviour import behaviour
from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._latency import lags
from ruleout.attribution.services._periods import periods
from ruleout.attribution.services._signals import from_behaviour, from_lags
from ruleout.attribution.services._windows import Windows

_FURTHEST = 60.0
"""Seconds that the told beginning may be off."""

_DOUBT = 2.0
"""Nats that another beginning than the told one must gain."""

_MOST = 200_000
"""Spans beyond which the told beginning is taken as it is."""


def begun(tree: Calls, events: pl.DataFrame, windows: Windows) -> Windows:
    """The windows with the beginning that parts the requests best."""
    start, end = windows.current
    reach = min(_FURTHEST, (end - start) / 3)
    if len(tree.parent) > _MOST or reach < 5:
        return windows
    told = _evidence(tree, events, windows)
    best, most = windows, told + _DOUBT
    for offset in (-reach, -reach / 2, reach / 2, reach):
        moved = windows._replace(current=(start + offset, end))
        if not _enough(tree, moved):
            continue
        found = _evidence(tree, events, moved)
        if found > most:
            best, most = moved, found
    return best


def _enough(tree: Calls, windows: Windows) -> bool:
    """Whether both sides still hold requests to compare."""
    period = periods(tree.time, windows)
    roots = tree.parent < 0
    return bool((roots & (period == 2)).sum() >= 20 and (roots & (period == 1)).sum() >= 20)


def _evidence(tree: Calls, events: pl.DataFrame, windows: Windows) -> float:
    """Weight of the strongest service's evidence from the calls alone."""
    period = periods(tree.time, windows)
    total: dict[str, float] = {}
    for one in from_lags(lags(tree, period)) + from_behaviour(behaviour(tree, events, period)):
        total[one.entity] = total.get(one.entity, 0.0) + one.weight
    return float(np.max(list(total.values()), initial=0.0))
