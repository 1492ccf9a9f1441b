"""Does the metric that raised the alarm agree with the one recomputed from the rows?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Onset, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.measurement._telemetry import inside, metrics_of
from ruleout.checks.symptom import measure
from ruleout.profile import Case, Which, iso

Floats = NDArray[np.float64]
_MODES = ("monitor_defect",)
_POINTS = 3
_NEAR = 0.02
"""How far a series may be from what the reference's rows give and still be that metric."""

_WINDOWS: tuple[Which, Which] = ("reference", "current")


_LOSSES = re.compile(
    r"drop|discard|lost|losses|missed|rejected|failed_scrape|scrape_fail", re.IGNORECASE
)
_TELLING = re.compile(
    r"telemetry|monitor|metric|scrape|sample|series|span|otel|prometheus|agent|collector|log",
    re.IGNORECASE,
)
_RISEN = 3.0
_FAR = 6.0
"""Robust z beyond which a series of losses has risen."""


@check(
    "telemetry_losses",
    layer="integration",
    rung="measurement",
    looks_for=("observability_failure",),
    needs=("telemetry.metrics", "data.columns.timestamp"),
)
def telemetry_losses(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Where the rows show no harm: does what carries the telemetry count more that it lost?"""
    del rng
    if case.significant is not False:
        return
    best: tuple[float, str, str, float, float] | None = None
    worst = pl.DataFrame()
    for (entity, metric), series in metrics_of(case).group_by(
        ["entity", "metric"], maintain_order=True
    ):
        who, what = str(entity), str(metric)
        if not (_LOSSES.search(what) and _TELLING.search(f"{who} {what}")):
            continue
        sides = [inside(series, case, which) for which in _WINDOWS]
        if min(len(x) for x in sides) < _POINTS:
            continue
        before, now = (float(np.median(x)) for x in sides)
        spread = 1.4826 * float(np.median(np.abs(sides[0] - before))) + 1e-9 + 0.05 * abs(before)
        z = (now - before) / spread
        if z > _FAR and now > _RISEN * max(before, 0.0) and (best is None or z > best[0]):
            best, worst = (z, who, what, before, now), series
    if best is None:
        return
    z, who, what, before, now = best
    told = f"the rows are as good as before, while {who} {what} went from {before:.4g} to {now:.4g}: telemetry was lost"
    yield Finding(
        "telemetry.losses", Subject("service", (who,)), told, now - before, z, None, 1.0,
        ("observability_failure",), against=("monitor_defect", "random_fluctuation"),
        onset=_rose(worst, (before + now) / 2, case),
    )  # fmt: skip


def _rose(series: pl.DataFrame, level: float, case: Case) -> Onset | None:
    """When a series first stayed above a level for three readings of the current window."""
    time = case.current.time
    if time is None or not np.isfinite(time).any():
        return None
    at, value = series["time"].to_numpy(), series["value"].to_numpy()
    above = value > level
    stays = above[:-2] & above[1:-1] & above[2:] & (at[:-2] >= np.nanmin(time))
    if not stays.any():
        return None
    first = int(stays.argmax())
    return Onset(iso(float(at[first])), iso(float(at[max(first - 1, 0)])), iso(float(at[first])))


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
    # A monitor that takes the metric over other rows than the log's is held against its own level.
    scale = means[0] / change.reference if _off(means[0], change.reference) else 1.0
    told, seen = means[1] - means[0], scale * change.change
    noise = abs(scale) * (change.high - change.low) / 3.3 + 1e-9
    apart = abs(told - seen)
    words = f"{name} was reported to change by {told:+.3g}, the rows show {seen:+.3g}"
    if apart < max(3 * noise, 0.35 * abs(told)):
        yield Clear(_MODES, Subject(), words, 3 * noise, "metric.confirmed")
        return
    yield Finding(
        "metric.recomputed", Subject("metric", (name,)), words, told - seen, apart / noise, None,
        float(np.clip(apart / max(abs(told), 1e-9), 0.2, 1.0)), _MODES,
        against=("random_fluctuation",),
    )  # fmt: skip


def _off(told: float, seen: float) -> bool:
    """Whether a reported level is another than the rows', and of the same sign."""
    return told * seen > 0 and abs(told - seen) > _NEAR * abs(seen)


def _reported(case: Case, name: str) -> pl.DataFrame:
    """Instants and values of the reported metrics of that name, whoever reported them."""
    metrics = metrics_of(case)
    every = [str(m) for m in metrics["metric"].unique().sort().to_list()]
    names = [m for m in every if _plain(m) == _plain(name)] or [m for m in every if _is(m, name)]
    entity = case.incident.symptom.entity
    if entity is not None:
        metrics = metrics.filter(pl.col("entity") == entity)
    if not names:
        names = [m for m in every if _speaks_of(m, name) and _agreed(case, metrics, m)][:1]
    return metrics.filter(pl.col("metric").is_in(names))


def _speaks_of(reported: str, name: str) -> bool:
    """Whether a longer name holds all words of a metric's: `router_accuracy`, `fraud.model.roc_auc`."""
    words = [[w for w in re.split(r"[^a-z0-9]+", n.lower()) if w] for n in (reported, name)]
    return bool(words[1]) and set(words[1]) <= set(words[0])


def _agreed(case: Case, metrics: pl.DataFrame, reported: str) -> bool:
    """Whether a series was, in the reference, what the rows give: then it is this metric, whatever it is called."""
    usual = _mean(metrics.filter(pl.col("metric") == reported), case, "reference")
    change = measure(case)
    noise = (change.high - change.low) / 3.3
    return usual is not None and abs(usual - change.reference) <= max(
        2 * noise, _NEAR * abs(change.reference)
    )


_PERIODS = re.compile(
    r"\d*[smhdw]|\d+(min|day|days|hours)?|daily|hourly|weekly|rolling|moving|window|avg|mean|last|live|online|model"
)
"""Words of a name that tell over what time or of what a metric is reported."""


def _is(reported: str, name: str) -> bool:
    """Whether a reported name is a metric's, with words of the time over which it is taken: `auc_daily`, `mae_24h`."""
    words = [w for w in re.split(r"[^a-z0-9]+", reported.lower()) if w]
    rest = [w for w in words if not _PERIODS.fullmatch(w)]
    return len(rest) < len(words) and "".join(rest) == _plain(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _mean(series: pl.DataFrame, case: Case, which: Which) -> float | None:
    values = inside(series, case, which)
    return float(np.mean(values)) if len(values) >= _POINTS else None
