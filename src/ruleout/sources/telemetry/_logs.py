"""Log lines as one table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ruleout._errors import SourceError
from ruleout.sources.telemetry._files import read_frame
from ruleout.sources.telemetry._records import LOGS
from ruleout.sources.telemetry._times import seconds

_NAMES = {
    "entity": ("entity", "service"),
    "severity": ("severity", "level"),
    "message": ("message", "body", "log"),
    "trace": ("trace_id", "trace", "traceId"),
}


def read_logs(path: Path) -> pl.DataFrame:
    """Log lines of a file as (time, entity, severity, message, trace).

    Raises:
        SourceError: when there is no time or no message column.
    """
    frame = read_frame(path)
    clock = next((name for name in ("timestamp", "time", "ts") if name in frame.columns), None)
    found = {
        role: next((name for name in names if name in frame.columns), None)
        for role, names in _NAMES.items()
    }
    if clock is None or found["message"] is None:
        raise SourceError(
            f"{path.name}: columns {frame.columns[:6]} lack `timestamp` or `message`; rename them"
        )
    parts = [
        pl.lit(None, dtype=pl.String).alias(role)
        if name is None
        else pl.col(name).cast(pl.String, strict=False).alias(role)
        for role, name in found.items()
    ]
    table = frame.select(seconds(frame[clock]).alias("time"), *parts)
    return table.filter(pl.col("time").is_finite() & pl.col("message").is_not_null()).select(
        list(LOGS)
    )
