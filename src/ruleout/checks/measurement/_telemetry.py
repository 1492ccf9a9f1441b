"""Telemetry beside the tables: its metrics, and what of them lies within a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile import Case, Which


def metrics_of(case: Case) -> pl.DataFrame:
    """All metrics of the telemetry, in order of time; read once.

    Raises:
        SourceError: when they cannot be read.
    """
    if "telemetry metrics" not in case.cache:
        from ruleout.sources.telemetry import read_telemetry  # tables alone do without

        spec = replace(case.incident.telemetry, traces=(), logs=())
        read = read_telemetry(replace(case.incident, telemetry=spec))
        case.cache["telemetry metrics"] = read.metrics.sort("time")
    metrics: pl.DataFrame = case.cache["telemetry metrics"]
    return metrics


def inside(series: pl.DataFrame, case: Case, which: Which) -> NDArray[np.float64]:
    """Values of a series within a window (k,); none where the rows carry no time."""
    time = case.table(which).time
    if time is None or not np.isfinite(time).any():
        return np.empty(0)
    within = series.filter(pl.col("time").is_between(np.nanmin(time), np.nanmax(time)))
    return np.asarray(within["value"].to_numpy(), dtype=np.float64)
