"""Whether a model got better by its own metric while what it was meant for got worse: what it was trained on is a proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.measurement._telemetry import inside, metrics_of
from ruleout.checks.symptom import measure
from ruleout.profile import Case
from ruleout.profile._case import ChangeEvent

MODES = ("proxy_misalignment",)
_POINTS = 5
_MOVED = 3.0
"""Standard deviations of the reference's readings by which an outcome must have moved."""

_NEAR = 0.1
"""Share of the current window by which a new model may come before it, or within it."""

_OBJECTIVE = re.compile(
    r"\b(objective|proxy|reward\w*|trained on|optimi[sz]\w*|surrogate|target(s|ed)?|clicks?|engagement|opens?)\b",
    re.IGNORECASE,
)
"""How people write of what a model is trained for."""

_MODEL = re.compile(
    r"\b(model|version|v\d+|promot\w*|retrain\w*|checkpoint|policy)\b", re.IGNORECASE
)


class _Outcome(NamedTuple):
    """An outcome's mean in both windows, and its change in standard deviations of its usual readings."""

    name: str
    before: float
    now: float
    z: float


@check(
    "proxy",
    layer="model",
    rung="world",
    looks_for=MODES,
    needs=("telemetry.metrics", "telemetry.kpis", "labels", "data.columns.timestamp"),
)
def proxy(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did an outcome move with a new model whose own metric did not fall?

    Rule: the outcome is one of `telemetry.kpis`, and the metric of the labels is as good as before or better. What
    parts it from an outcome that has causes of its own is a model put to work as it fell; words of that change which
    tell of another objective, and a metric that rose, say the rest.
    """
    del rng
    moved = [m for name in case.incident.telemetry.kpis if (m := _moved(case, name)) is not None]
    change = measure(case)
    sign = 1.0 if change.metric.higher_is_better else -1.0
    if not moved or not np.isfinite(change.change):
        why = "no outcome of telemetry.kpis moved between the windows"
        yield Abstained(MODES, why, "telemetry.metrics")
        return
    most = max(moved, key=lambda m: (abs(m.z), m.name))
    if change.significant and sign * change.change < 0:
        told = (
            f"{change.metric.name} got worse as {most.name} moved: the labels bear the outcome out"
        )
        yield Clear(MODES, Subject(), told, 0.1, "proxy.together")
        return
    new = _new_model(case)
    if new is None:
        yield Abstained(MODES, "no model was put to work as the outcome fell", "changes")
        return
    better = change.significant and sign * change.change > 0
    says = _OBJECTIVE.search(new.description) is not None
    how = "got better" if better else "is as before"
    told = (
        f"{most.name} went from {most.before:.4g} to {most.now:.4g} as {new.entity} was changed ({new.description}), "
        f"while {change.metric.name} of its labels {how} ({change.reference:.3g} to {change.current:.3g})"
    )
    yield Finding(
        "proxy.apart", Subject("model", ("current",)), told, most.now - most.before, abs(most.z), None,
        min(0.5 + 0.25 * better + 0.5 * says, 1.0), MODES, against=("random_fluctuation",),
    )  # fmt: skip


def _moved(case: Case, name: str) -> _Outcome | None:
    """Means of an outcome in both windows, where it moved between them; None otherwise."""
    series = metrics_of(case).filter(pl.col("metric") == name)
    before, now = (inside(series, case, which) for which in ("reference", "current"))
    if min(len(before), len(now)) < _POINTS:
        return None
    z = float(now.mean() - before.mean()) / max(float(before.std()), 1e-12)
    return _Outcome(name, float(before.mean()), float(now.mean()), z) if abs(z) > _MOVED else None


def _new_model(case: Case) -> ChangeEvent | None:
    """The one change near the window's beginning that put another model to work."""
    time = case.current.time
    if time is None:
        return None
    first, last = float(np.nanmin(time)), float(np.nanmax(time))
    room = _NEAR * (last - first)
    near = [c for c in case.changes if first - room <= c.at <= first + room]
    made = [c for c in near if c.kind == "model"] or [
        c for c in near if c.kind in {"deploy", "config", "flag"} and _MODEL.search(c.description)
    ]
    return made[0] if len(made) == 1 else None
