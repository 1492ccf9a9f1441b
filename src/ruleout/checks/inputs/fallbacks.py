"""Values that were lost while telemetry says that a caller stopped asking, or answered by a default."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import polars as pl

from ruleout._records import Abstained, Finding, Onset, Outcome
from ruleout._registry import check
from ruleout.checks.inputs._defaults import defaulted, source_of, together, undoing
from ruleout.checks.inputs._departure import departures
from ruleout.checks.measurement._telemetry import inside, metrics_of
from ruleout.profile import Case

MODES = ("fallback_overload",)
_FELL_BACK = r"(?i)breaker|fall[._ -]?back|short[._ -]?circuit|fail[._ -]?over|degraded|default(s|ed)?[._ -]served"
"""How callers' metrics are called that count what was not asked for, or not answered by whom it was asked of."""

_POINTS = 5
_RISEN = 4.0
"""Standard deviations of the reference's readings by which such a metric must have risen."""

_WITHIN = 0.5
"""Share of the rise that must have come with the values, where these were lost within the window."""


@check(
    "fallbacks",
    layer="integration",
    rung="inputs",
    looks_for=MODES,
    needs=("telemetry.metrics", "data.columns.timestamp"),
)
def fallbacks(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Where inputs hold defaults: did callers' own counts of fallbacks, or an open breaker, rise as they came?"""
    del rng
    metrics = metrics_of(case).filter(pl.col("metric").str.contains(_FELL_BACK))
    if metrics.is_empty():
        yield Abstained(MODES, "no metric counts fallbacks or open breakers", "telemetry.metrics")
        return
    for group in together(defaulted(case)):
        moved = departures(case)[group[0].name]
        told = _rose(case, metrics, moved.onset)
        if told is None:
            continue
        names = tuple(d.name for d in group)
        plan = undoing(group, moved.scope)
        yield Finding(
            "defaults.fell_back", source_of(case, names),
            f"{', '.join(names[:4])} hold defaults while {told}", group[0].after, 10.0, None, 1.0, MODES,
            against=(), scope=moved.scope, onset=moved.onset, repairs=(plan,),
        )  # fmt: skip


def _rose(case: Case, metrics: pl.DataFrame, onset: Onset | None) -> str | None:
    """Words for a metric that rose when values were lost; None without any. What rose earlier or later is another matter."""
    since = None if onset is None else datetime.fromisoformat(onset.at).timestamp()
    for (entity, metric), series in metrics.group_by(["entity", "metric"], maintain_order=True):
        steady = _per_reading(series)
        before, whole = (inside(steady, case, which) for which in ("reference", "current"))
        late = steady if since is None else steady.filter(pl.col("time") >= since)
        now = inside(late, case, "current")
        if min(len(before), len(now)) < _POINTS:
            continue
        rise = float(now.mean() - before.mean())
        if rise <= max(_RISEN * float(before.std()), 0.2 * abs(float(before.mean())), 1e-9):
            continue
        early = whole[: len(whole) - len(now)]
        if len(early) >= _POINTS and now.mean() - early.mean() < _WITHIN * rise:
            continue
        return f"{metric} of {entity} went from {before.mean():.3g} to {now.mean():.3g} a reading"
    return None


def _per_reading(series: pl.DataFrame) -> pl.DataFrame:
    """Counters that only ever grow, read as their growth."""
    steps = series["value"].diff().drop_nulls()
    if len(steps) and bool((steps >= 0).all()) and float((steps > 0).mean() or 0.0) > 0.5:  # type: ignore[arg-type]
        return series[1:].with_columns(value=steps)
    return series
