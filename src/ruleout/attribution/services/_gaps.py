"""A metric that breaks off while what is measured beside it goes on: whoever records it has stopped, and nobody else."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._scene import Observed

_MISSED = 10
"""Samples in a row that must be missing ..."""

_PART = 0.3
"""... and the part of the incident that they must be."""

_BESIDE = 0.8
"""Part of its due samples that another metric must have there to go on."""

_CALM = 1.0
"""Departure of others from which on there may have been nothing left to measure."""


def broken_off(seen: Observed, entity: str, metric: str) -> str | None:
    """The symptom's metric has no samples, or zeros, where its entity's other metrics go on and requests are served.

    Args:
        seen: the incident.
        entity: that raised the alarm.
        metric: by which it did.
    """
    if kind_of(metric) != "latency":
        # Only a length of time cannot be nothing: no failures and no requests are both told by zeros.
        return None
    own = seen.telemetry.metrics.filter(pl.col("entity") == entity).sort("time")
    rows = own.filter((pl.col("metric") == metric) & (pl.col("value") > 0))
    start, end = seen.windows.current
    then = rows.filter(pl.col("time") < start)["time"].to_numpy()
    if len(then) <= _MISSED:
        return None
    step = float(np.median(np.diff(then)))
    marks = np.r_[
        max(then[-1], start), rows.filter(pl.col("time") >= start)["time"].to_numpy(), end
    ]
    at = int(np.argmax(np.diff(marks)))
    low, high = float(marks[at]), float(marks[at + 1])
    if high - low < max(_MISSED * step, _PART * (end - start)):
        return None
    beside = own.filter((pl.col("metric") != metric) & pl.col("time").is_between(low, high, "none"))
    going = beside.filter(pl.col("value") > 0).group_by("metric").len()
    asked = [
        name
        for name, number in going.iter_rows()
        if kind_of(name) == "traffic" and number * step >= _BESIDE * (high - low)
    ]
    moved = seen.departed.filter(
        (pl.col("entity") == entity) & pl.col("metric").ne(metric) & (pl.col("score") > _CALM)
    )
    if not asked or moved.height:
        return None
    return (
        f"{metric} of {entity} has no samples for {(high - low) / step:.0f} times as long as it has between two, and"
        f" {min(asked)} goes on"
    )
