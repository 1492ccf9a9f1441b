"""Does the metric that raised the alarm agree with the one recomputed from the rows?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.symptom import measure
from ruleout.profile import Case, Which

_MODES = ("monitor_defect",)
_POINTS = 5
_WINDOWS: tuple[Which, Which] = ("reference", "current")


@check(
    "reported_metric",
    layer="data",
    rung="measurement",
    looks_for=_MODES,
    needs=("telemetry.metrics", "labels", "data.columns.timestamp"),
)
def reported_metric(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Compare the change that was reported with the change that the rows show."""
    del rng
    name = case.incident.symptom.metric or case.metric.name
    series = _reported(case, name)
    means = [_mean(series, case, which) for which in _WINDOWS]
    if means[0] is None or means[1] is None:
        why = f"no metric called {name!r} was reported in both windows"
        yield Abstained(_MODES, why, "telemetry.metrics")
        return
    change = measure(case)
    told, seen = means[1] - means[0], change.change
    noise = (change.high - change.low) / 3.3 + 1e-9
    apart = abs(told - seen)
    words = f"{name} was reported to change by {told:+.3g}, the rows show {seen:+.3g}"
    if apart < max(3 * noise, 0.35 * abs(told)):
        yield Clear(_MODES, Subject(), words, 3 * noise, "metric.confirmed")
        return
    yield Finding(
        "metric.recomputed", Subject("metric", (name,)), words, told - seen, apart / noise, None,
        float(np.clip(apart / max(abs(told), 1e-9), 0.2, 1.0)), _MODES,
    )  # fmt: skip


def _reported(case: Case, name: str) -> pl.DataFrame:
    """Instants and values of the reported metrics of that name, whoever reported them."""
    from ruleout.sources.telemetry import read_telemetry  # tables alone do without

    spec = replace(case.incident.telemetry, traces=(), logs=())
    metrics = read_telemetry(replace(case.incident, telemetry=spec)).metrics
    wanted = _plain(name)
    names = [m for m in metrics["metric"].unique().sort().to_list() if _plain(str(m)) == wanted]
    entity = case.incident.symptom.entity
    chosen = metrics.filter(pl.col("metric").is_in(names))
    return chosen if entity is None else chosen.filter(pl.col("entity") == entity)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _mean(series: pl.DataFrame, case: Case, which: Which) -> float | None:
    time = case.table(which).time
    if time is None or not np.isfinite(time).any():
        return None
    inside = series.filter(pl.col("time").is_between(np.nanmin(time), np.nanmax(time)))
    if inside.height < _POINTS:
        return None
    return float(np.mean(inside["value"].to_numpy()))
