"""When copies of services began anew, as their logs tell: replaced under the same name, they count no restart."""

from __future__ import annotations

import re

import polars as pl

from ruleout.sources.telemetry import Telemetry

_BEGUN = r"\b(re)?started\b|\bstarting (up|server|application|container)|warming up|\bbooted\b|ready to serve"
_CRASHED = 1.0
"""Departure of a counter of restarts from which on copies begin because they broke down."""


def births(telemetry: Telemetry, departed: pl.DataFrame) -> pl.DataFrame:
    """`instance` and `time` of every beginning that log lines name, but for those after a breakdown.

    Who runs out of memory and is begun anew is slow for that; its beginnings are no cause.

    Args:
        telemetry: with logs, and spans that name copies.
        departed: as `departures` returns them.
    """
    nothing = pl.DataFrame(schema={"instance": pl.String, "time": pl.Float64})
    spans, logs = telemetry.spans, telemetry.logs
    if spans.is_empty() or logs.is_empty():
        return nothing
    broken = departed.filter(
        pl.col("clue").is_in(["restarts", "oom"])
        & (pl.col("score") > _CRASHED)
        & (pl.col("sign") > 0)
    )["entity"]
    copies = spans.filter(~pl.col("service").is_in(broken.to_list()))["instance"]
    names = copies.drop_nulls().unique().sort().to_list()
    text = pl.col("message").fill_null("")
    lines = logs.filter(text.str.to_lowercase().str.contains(_BEGUN))
    if not names or lines.is_empty():
        return nothing
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    told = lines.select(text.str.extract(f"({pattern})").alias("instance"), pl.col("time"))
    return told.drop_nulls().sort("time")
