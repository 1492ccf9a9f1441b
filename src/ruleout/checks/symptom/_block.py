"""The symptom block of a diagnosis, and whether its labels can be trusted yet."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Symptom
from ruleout.checks.symptom._asked import SHIFT
from ruleout.checks.symptom._measure import measure, onset
from ruleout.profile import Case, same_metric


def as_symptom(case: Case) -> Symptom:
    """The symptom block: the metric that was measured, by its own name where the incident's means another."""
    found = measure(case)
    measured, proxy = math.isfinite(found.p_value), found.metric.name == SHIFT
    metric, reference = found.metric, found.reference
    if proxy and not measured and case.labelled("reference"):
        metric = case.metric
        reference = metric.value(
            case.truth("reference"), case.outputs("reference"), case.weight("reference")
        )
    values = [
        v if math.isfinite(v) else None
        for v in (reference, found.current, found.change, found.low, found.high)
    ]
    asked = case.incident.symptom.metric
    name = asked if asked is not None and same_metric(asked, metric) else metric.name
    return Symptom(
        metric=None if all(v is None for v in values) else name,
        reference=values[0],
        current=values[1],
        change=values[2],
        low=values[3],
        high=values[4],
        # Answers that are distributed as before say nothing of a metric that nobody could compute.
        significant=found.significant if measured and (found.significant or not proxy) else None,
        onset=onset(case) if found.significant else None,
        labels=label_state(case),
    )


def label_state(case: Case) -> str:
    """`mature`, `immature`, `missing`, `none`, or `unknown` where the column that should tell holds no instants."""
    if case.incident.data.columns.target is None or case.task == "none":
        return "missing" if case.task != "none" else "none"
    if not case.labelled("current"):
        return "missing"
    if _undated(case):
        return "unknown"
    return "immature" if (immature_rows(case)).mean() > 0.02 else "mature"


def immature_rows(case: Case) -> NDArray[np.bool_]:
    """Current rows whose label was not final when the symptom was noticed, (n,)."""
    name = case.incident.data.columns.label_available_at
    table = case.current
    if name is None or not table.has(name):
        return np.zeros(table.rows, dtype=bool)
    noticed = case.incident.symptom.noticed_at
    if noticed is None:
        if table.time is None or not table.rows:
            return np.zeros(table.rows, dtype=bool)
        noticed = float(np.nanmax(table.time))
    return np.asarray(np.nan_to_num(table.numeric(name), nan=-np.inf) > noticed)


def _undated(case: Case) -> bool:
    name = case.incident.data.columns.label_available_at
    if name is None or not case.current.has(name):
        return False
    return not np.isfinite(case.current.numeric(name)).any()
