"""The null hypotheses of an incident that is seen in telemetry: what spoke against each, or what nobody could see."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ruleout._records import Abstained, Checked, Clear, Subject, Symptom
from ruleout.incident import Incident

if TYPE_CHECKING:
    from ruleout.attribution.services import ServicesResult

_OF_SYMPTOM = ("random_fluctuation", "already_recovered")
_DAY = 86_400.0


def null_checks(incident: Incident, result: ServicesResult) -> Checked:
    """One outcome for every null that has no mass of its own: against it, or why it was not looked for."""
    found = {one.mode for one in result.nulls}
    outcomes = [
        outcome
        for outcome in (*_of_symptom(incident, result), *_of_path(incident, result))
        if not set(outcome.modes) & found
    ]
    return Checked("nothing_ruled_out", "none", "path", tuple(outcomes))


def as_asked(incident: Incident, symptom: Symptom) -> Symptom:
    """The symptom; a metric that moved against the direction of which the incident complains is no symptom of it."""
    return replace(symptom, significant=False) if _against(incident, symptom) else symptom


def _against(incident: Incident, symptom: Symptom) -> bool:
    asked, change = incident.symptom.direction, symptom.change
    if asked is None or change is None:
        return False
    return bool(symptom.significant) and (change < 0 if asked == "up" else change > 0)


def _of_symptom(incident: Incident, result: ServicesResult) -> Iterator[Clear | Abstained]:
    """Whether the symptom's own metric is more than chance, and whether it is over."""
    told, why = result.symptom, missing_symptom(incident, result)
    if told.change is None:
        for mode in _OF_SYMPTOM:
            yield Abstained((mode,), why, why)
        return
    moved = (
        f"{told.metric} went from {told.reference:.4g} to {told.current:.4g} "
        f"(change {told.change:+.3g}, 95% interval {told.low:+.3g} to {told.high:+.3g})"
    )
    if _against(incident, told):
        why = f"symptom.direction: {told.metric} changed by {told.change:+.3g}, which is not {incident.symptom.direction}"
        yield Abstained(("random_fluctuation",), why, why)
    elif told.significant:
        yield Clear(("random_fluctuation",), Subject(), moved, 0.0, "metric_change")
    else:
        why = f"{moved}: neither sure to be more than chance nor within the usual range"
        yield Abstained(("random_fluctuation",), why, "telemetry.metrics")
    over = f"{told.metric} has not gone back to its usual range for long"
    yield Clear(("already_recovered",), Subject(), over, 0.0, "recovered.none")


def _of_path(incident: Incident, result: ServicesResult) -> Iterator[Clear | Abstained]:
    """Whether anything was announced, whether requests bear the metric out, and what only tables show."""
    changes = result.seen.changes if result.seen is not None else ()
    if changes:
        told = f"none of the {len(changes)} changes announces a disturbance just before the symptom"
        yield Clear(("planned_event",), Subject(), told, 0.0, "planned.none")
    else:
        yield Abstained(("planned_event",), "no change events were given", "changes")
    lacks = "telemetry.traces" if not incident.telemetry.traces else "symptom.metric"
    borne_out = result.symptom.change is not None and bool(incident.telemetry.traces)
    if borne_out:
        told = f"nothing that the requests say contradicts {result.symptom.metric}"
        yield Clear(("monitor_defect",), Subject(), told, 0.0, "monitor.none")
    else:
        yield Abstained(("monitor_defect",), "no requests to compare the metric with", lacks)
    yield _of_season(result)
    yield _of_mix(incident, result)


def _of_season(result: ServicesResult) -> Clear | Abstained:
    """Whether the days before were like this at this hour, where any was recorded."""
    seen, mode = result.seen, ("seasonality",)
    rows = None if seen is None else seen.telemetry.metrics
    if seen is None or rows is None or rows.is_empty() or result.symptom.change is None:
        return Abstained(mode, "no metric of the symptom to compare", "telemetry.metrics")
    reached = seen.windows.current[0] - float(rows["time"].min())  # type: ignore[arg-type]
    if reached < _DAY:
        why = "telemetry does not reach back to this hour of an earlier day"
        return Abstained(mode, why, "telemetry.metrics")
    told = f"{result.symptom.metric} was not like this at this hour of the days before"
    return Clear(mode, Subject(), told, 0.0, "season.none")


def _of_mix(incident: Incident, result: ServicesResult) -> Clear | Abstained:
    """Whether more is asked of what always took longer, where requests are told apart."""
    mode = ("benign_mix",)
    if result.seen is None or result.seen.tree is None or not incident.telemetry.traces:
        return Abstained(mode, "no requests to tell apart by kind", "telemetry.traces")
    told = "requests of one kind differ from those of the same kind before"
    return Clear(mode, Subject(), told, 0.0, "mix.none")


def missing_symptom(incident: Incident, result: ServicesResult) -> str:
    """Why the symptom's own metric was not measured: what the incident does not name, or telemetry does not have."""
    spec = incident.symptom
    if spec.metric is None or spec.entity is None:
        return "symptom.metric" if spec.metric is None else "symptom.entity"
    if result.seen is None:
        return "telemetry.metrics"
    metrics = result.seen.telemetry.metrics
    known = sorted(metrics["entity"].unique().to_list())
    if spec.entity not in known:
        return f"symptom.entity: telemetry reports no metric of {spec.entity!r}{_meant(spec.entity, known)}"
    own = sorted(metrics.filter(metrics["entity"] == spec.entity)["metric"].unique().to_list())
    if spec.metric not in own:
        return f"symptom.metric: {spec.entity} reports no {spec.metric!r}{_meant(spec.metric, own)}"
    return f"telemetry.metrics: too few values of {spec.metric} in the two windows"


def _meant(word: str, options: list[str]) -> str:
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
