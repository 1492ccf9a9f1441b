"""What telemetry looks like once it has been read: three tables with fixed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from ruleout._records import SourceStatus

METRICS = {"time": pl.Float64, "entity": pl.String, "metric": pl.String, "value": pl.Float64}
SPANS = {
    "trace": pl.String,
    "span": pl.String,
    "parent": pl.String,
    "service": pl.String,
    "name": pl.String,
    "kind": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "error": pl.Boolean,
    "instance": pl.String,
    "host": pl.String,
    "version": pl.String,
    "peer": pl.String,
    "reason": pl.String,
    "code": pl.String,
}
LOGS = {
    "time": pl.Float64,
    "entity": pl.String,
    "severity": pl.String,
    "message": pl.String,
    "trace": pl.String,
}


def empty_metrics() -> pl.DataFrame:
    """A metrics table without rows."""
    return pl.DataFrame(schema=METRICS)


def empty_spans() -> pl.DataFrame:
    """A spans table without rows."""
    return pl.DataFrame(schema=SPANS)


def empty_logs() -> pl.DataFrame:
    """A logs table without rows."""
    return pl.DataFrame(schema=LOGS)


@dataclass(frozen=True)
class Telemetry:
    """Everything the path behind the predictions has told."""

    metrics: pl.DataFrame = field(default_factory=empty_metrics)
    """`time` (epoch seconds), `entity`, `metric`, `value`; finite values only."""

    spans: pl.DataFrame = field(default_factory=empty_spans)
    """One span a row; `start` and `end` in nanoseconds, `error` null where no status was told.

    `instance` and `host` say which copy of the service on which machine, `version` which build of it, and
    `peer` whom a client's span calls, `reason` and `code` why it failed, each where the attributes tell.
    """

    logs: pl.DataFrame = field(default_factory=empty_logs)
    """`time` (epoch seconds), `entity`, `severity`, `message`, `trace`."""

    topology: tuple[tuple[str, str], ...] = ()
    """Declared (caller, callee) pairs."""

    kinds: Mapping[str, str] = field(default_factory=dict)
    """Declared kind of an entity: `service`, `host`, `pod`, ..."""

    kpis: tuple[str, ...] = ()
    """Metrics that are symptoms or outcomes, never causes."""

    sources: tuple[SourceStatus, ...] = ()
