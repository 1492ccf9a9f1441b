"""The detectors, each with what it needs and what it looks for, and their outcomes as records."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import polars as pl

from ruleout._records import Abstained, Checked, Clear, Finding, Layer, Outcome, Subject
from ruleout.attribution.services._accused import accused
from ruleout.attribution.services._asked import asked
from ruleout.attribution.services._beneath import beneath
from ruleout.attribution.services._beyond import asks_beyond
from ruleout.attribution.services._blame import error_lines
from ruleout.attribution.services._blind import blind
from ruleout.attribution.services._copies import copies, from_copies
from ruleout.attribution.services._entities import known_names
from ruleout.attribution.services._flow import follow
from ruleout.attribution.services._fresh import excused_by_fresh, fresh, from_fresh
from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._held_up import borne_out, handed_down, held_up
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._load import (
    excused_by_load,
    inward,
    lost_samples,
    offered,
    silent,
    unfelt,
    unfelt_load,
)
from ruleout.attribution.services._ordinary import borne_before
from ruleout.attribution.services._passed_on import excused_by_callers, from_edges
from ruleout.attribution.services._per_request import per_request
from ruleout.attribution.services._places import excused_by_places, from_places
from ruleout.attribution.services._pools import held_for_others
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._rows import excused_by_rows, from_rows
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._shared import from_shared
from ruleout.attribution.services._shift import BROKEN, averaged
from ruleout.attribution.services._signals import from_flow, out_of_time, rightly_refused
from ruleout.attribution.services._sizes import excused_by_size, larger
from ruleout.attribution.services._synonyms import by_one_name
from ruleout.attribution.services._views import anybody, asked_instead, passed_below, retried
from ruleout.attribution.services._warming import replaced, warming

_SHOWN = 8
"""So many findings a detector shows, strongest first."""

_EXCUSED = 0.8
"""So much of a caller's failures a callee explains that surely refuses its calls."""

_REFUSALS = {"refused_calls": 1.0, "silence": 1.0, "unreached": 1.0, "metric.cache": 2.0}
"""Signals of a callee that excuse its callers, and how many times their weight counts for it."""

_TROUBLED = 1.0
"""Nats of its own trouble from which on a cache sends its callers elsewhere."""

_OUTCOME = 0.25
"""Weight of an outcome's loss as evidence against the only one who measures it."""

_CERTAIN = 6.0
"""Nats from which on a refusal is sure."""

_RESOURCES = {
    "cpu": "cpu_saturation",
    "memory": "memory_leak",
    "disk": "storage_fault",
    "accelerator": "accelerator_memory",
    "cache": "cache_storm",
}


class Detector(NamedTuple):
    """A way of finding the entity at fault."""

    name: str
    layer: Layer
    looks_for: tuple[str, ...]
    needs: str
    ready: Callable[[Observed], bool]
    find: Callable[[Observed], list[Signal]]


class Detection(NamedTuple):
    """What all detectors have found."""

    signals: list[Signal]
    checked: list[Checked]


def detect(seen: Observed) -> Detection:
    """Run every detector; one that fails is an abstention with its reason, never silence."""
    signals: list[Signal] = []
    checked = []
    for one in DETECTORS:
        started = time.perf_counter()
        found, outcomes = _run(one, seen)
        signals += found
        seconds = time.perf_counter() - started
        checked.append(Checked(one.name, one.layer, "path", tuple(outcomes), seconds))
    if seen.tree is not None:
        signals = handed_down(signals, held_up(seen.tree, seen.period))
    kind = kind_of(seen.incident.symptom.metric or "")
    if seen.tree is not None and kind == "latency":
        signals = borne_out(signals, seen.tree.services, seen.edges)
    signals = _no_surge(signals)
    signals = excused_by_places(excused(signals, seen.edges), seen.places)
    caches = {s.entity for s in signals if s.name == "metric.cache" and s.weight > _TROUBLED}
    signals = excused_by_callers(signals, seen.calls, caches)
    signals = passed_below(signals, seen.departed, kind, seen.machines, seen.edges)
    signals = asked_instead(signals, seen.departed, seen.edges or anybody(seen.departed))
    signals = held_for_others(signals, seen.departed, seen.edges)
    signals = excused_by_fresh(unfelt_load(signals, seen.departed, kind), seen.edges)
    signals = excused_by_rows(excused_by_load(signals, seen.departed), seen.edges)
    signals = inward(excused_by_size(signals, seen.departed), seen.departed, seen.edges)
    signals = lost_samples(signals, seen.departed)
    if seen.tree is None:
        # Spans tell by themselves who still works.
        signals = [*signals, *blind(seen.departed, seen.edges, seen.incident.symptom.entity)]
    signals = from_shared(signals, seen.departed, seen.edges, seen.machines)
    signals = out_of_time(signals, seen.departed, kind, seen.incident.symptom.entity)
    if seen.tree is None:
        # Traces tell both sides of each call, which metrics only let guess.
        signals = beneath(signals, seen.departed, seen.edges, kind, seen.machines)
    checked.append(Checked("resources", "infrastructure", "path", tuple(_cleared(seen))))
    return Detection(signals, checked)


def _no_surge(signals: Sequence[Signal]) -> list[Signal]:
    """The signals, more requests in the place of others no surge where nobody is offered more from outside."""
    if any(one.name == "offered_load" for one in signals):
        return list(signals)
    return [
        one._replace(modes={})
        if one.name == "symptom_flow" and "traffic_surge" in one.modes
        else one
        for one in signals
    ]


def excused(signals: Sequence[Signal], edges: Collection[Edge]) -> list[Signal]:
    """The signals, those of failures less where a callee refuses the calls that would have worked.

    A cache that no longer knows what it is asked excuses likewise who now asks elsewhere.
    """
    refused: dict[str, float] = {}
    for one in signals:
        if one.name in _REFUSALS:
            weight = one.weight * _REFUSALS[one.name]
            refused[one.entity] = max(refused.get(one.entity, 0.0), weight)
    names = {one.entity for one in signals}
    calls = edges or {(caller, callee) for callee in refused for caller in names}
    excuse: dict[str, float] = {}
    for caller, callee in calls:
        weight = refused.get(callee, 0.0)
        if weight > refused.get(caller, 0.0):
            excuse[caller] = max(excuse.get(caller, 0.0), min(weight / _CERTAIN, 1.0))
    return [
        one._replace(weight=one.weight * (1 - _EXCUSED * excuse.get(one.entity, 0.0)))
        if "change_regression" in one.modes
        else one
        for one in signals
    ]


def _run(one: Detector, seen: Observed) -> tuple[list[Signal], list[Outcome]]:
    if not one.ready(seen):
        return [], [Abstained(one.looks_for, f"{one.name} has nothing to look at", one.needs)]
    try:
        found = one.find(seen)
    except BROKEN as error:
        reason = f"{one.name} failed: {type(error).__name__}: {error}"[:300]
        return [], [Abstained(one.looks_for, reason, one.needs)]
    if not found:
        return [], [Abstained(one.looks_for, f"{one.name} saw no departure", one.needs)]
    strongest = sorted(found, key=lambda signal: (-signal.weight, signal.entity))
    return found, [as_finding(signal) for signal in strongest[:_SHOWN]]


def as_finding(signal: Signal) -> Finding:
    """A signal in the words of the engine."""
    return Finding(
        signal=signal.name,
        subject=Subject("service", (signal.entity,)),
        statement=signal.statement,
        statistic=signal.statistic,
        effect=signal.effect,
        p_value=None,
        strength=min(signal.weight / 7.0, 1.0),
        supports=tuple(mode for mode, share in signal.modes.items() if share >= 0.1),
    )


def _cleared(seen: Observed) -> list[Outcome]:
    """Resources that were measured and did not depart anywhere."""
    cleared: list[Outcome] = []
    for kind, mode in _RESOURCES.items():
        rows = seen.departed.filter(seen.departed["kind"] == kind)
        if rows.is_empty():
            cleared.append(
                Abstained((mode,), f"no {kind} metric was recorded", "telemetry.metrics")
            )
        elif float(rows["score"].max() or 0.0) < 0.3:  # type: ignore[arg-type]
            statement = f"none of {rows.height} {kind} series left its range"
            cleared.append(Clear((mode,), Subject(), statement, 3.0, f"metric.{kind}"))
    return cleared


def _flow(seen: Observed) -> list[Signal]:
    spec = seen.incident.symptom
    if spec.entity is None or spec.metric is None:
        return []
    told = (spec.entity, spec.metric)
    renamed = by_one_name(seen.telemetry.metrics, seen.departed, told, seen.edges)
    flows = follow(renamed.metrics, seen.windows, told, sorted(seen.edges), renamed.names)
    found = from_flow(flows, kind_of(spec.metric), spec.entity)
    return _outcomes(found, spec.metric, seen.incident.telemetry.kpis)


def _outcomes(found: list[Signal], metric: str, kpis: Collection[str]) -> list[Signal]:
    """The signals; who alone measures an outcome is who notices it, and where it comes about is another question."""
    if len(found) != 1 or metric not in kpis:
        return found
    return [one._replace(weight=_OUTCOME * one.weight) for one in found]


def _behaviour(seen: Observed) -> list[Signal]:
    return averaged([seen.looks.behaviour(one) for one in seen.near], seen.trust)


def _lags(seen: Observed) -> list[Signal]:
    return averaged([seen.looks.added_time(one) for one in seen.near], seen.trust)


def _refused(seen: Observed) -> list[Signal]:
    found = averaged([seen.looks.refused(one) for one in seen.near], seen.trust)
    return rightly_refused(found, seen.departed)


def _offered(seen: Observed) -> list[Signal]:
    spec = seen.incident.symptom
    found = offered(seen.departed, seen.tree, seen.period, seen.edges, spec.entity)
    return [one for one in found if not borne_before(seen, one.entity)]


def _larger(seen: Observed) -> list[Signal]:
    kind = kind_of(seen.incident.symptom.metric or "")
    return [] if unfelt(seen.departed, kind) else larger(seen.departed, seen.edges)


def _asked(seen: Observed) -> list[Signal]:
    return asked(seen.departed, seen.edges)


def _silent(seen: Observed) -> list[Signal]:
    return silent(seen.telemetry.metrics, seen.windows)


def _departures(seen: Observed) -> list[Signal]:
    return averaged([seen.looks.departures(one) for one in seen.near], seen.trust)


def _passed_on(seen: Observed) -> list[Signal]:
    return from_edges(seen.calls)


def _counted(seen: Observed) -> list[Signal]:
    traced = {one.entity for one in from_edges(seen.calls) if one.name == "asks_more"}
    counted = per_request(seen.departed, seen.edges)
    told = {one.entity for one in counted} | traced
    beyond = [one for one in asks_beyond(seen.departed, seen.edges) if one.entity not in told]
    return [*(one for one in counted if one.entity not in traced), *beyond]


def _placed(seen: Observed) -> list[Signal]:
    return from_places(seen.places)


def _retried(seen: Observed) -> list[Signal]:
    return retried(seen.departed)


def _accused(seen: Observed) -> list[Signal]:
    before = seen.windows._replace(current=seen.windows.reference[0])
    errors, usual = (error_lines(seen.telemetry, one) for one in (seen.windows, before))
    # Lines of the incident are read beyond its end; those of the reference must not reach into the incident.
    usual = usual.filter(pl.col("time") < before.current[1])
    names = known_names(seen.telemetry) - seen.machines
    speaking = set(seen.telemetry.metrics["entity"].unique())
    if seen.tree is not None:
        speaking |= set(seen.tree.services)
    now, then = (end - begin for begin, end in (seen.windows.current, before.current))
    length = now / max(then, 1.0)
    return accused(errors, usual, names, names - speaking, length)


def _copied(seen: Observed) -> list[Signal]:
    return from_copies(copies(seen.departed, seen.machines))


def _begun_anew(seen: Observed) -> list[Signal]:
    metrics, windows = seen.telemetry.metrics, seen.windows
    return from_fresh(
        [*fresh(metrics, windows), *warming(metrics, windows), *replaced(metrics, windows)]
    )


def _spans(seen: Observed) -> bool:
    return seen.tree is not None


DETECTORS: Sequence[Detector] = (
    Detector(
        "symptom_flow",
        "integration",
        ("slow_dependency",),
        "telemetry.metrics with the symptom's own",
        lambda seen: bool(
            seen.telemetry.metrics.height
            and seen.incident.symptom.entity
            and seen.incident.symptom.metric
        ),
        _flow,
    ),
    Detector(
        "added_time",
        "infrastructure",
        ("cpu_saturation", "network_fault", "slow_dependency"),
        "telemetry.traces",
        _spans,
        _lags,
    ),
    Detector(
        "behaviour",
        "integration",
        ("change_regression", "malformed_artifact"),
        "telemetry.traces",
        _spans,
        _behaviour,
    ),
    Detector(
        "refused_calls",
        "infrastructure",
        ("network_fault", "hardware_fault", "pool_exhaustion"),
        "telemetry.traces",
        _spans,
        _refused,
    ),
    Detector(
        "passed_on",
        "integration",
        ("deadline_inversion", "change_regression", "cache_storm"),
        "telemetry.traces",
        _spans,
        _passed_on,
    ),
    Detector(
        "calls_per_request",
        "integration",
        ("change_regression",),
        "telemetry.metrics of calls for each request",
        lambda seen: seen.telemetry.metrics.height > 0,
        _counted,
    ),
    Detector(
        "one_place",
        "infrastructure",
        ("noisy_neighbour", "hardware_fault", "cold_start", "change_regression"),
        "telemetry.traces with the attributes host.name, service.instance.id or service.version",
        _spans,
        _placed,
    ),
    Detector(
        "second_tries",
        "integration",
        ("retry_storm",),
        "telemetry.metrics of retries by callee",
        lambda seen: seen.telemetry.metrics.height > 0,
        _retried,
    ),
    Detector(
        "one_copy",
        "infrastructure",
        ("noisy_neighbour", "hardware_fault"),
        "telemetry.metrics with a label of the copy, where traces do not tell where it ran",
        lambda seen: seen.telemetry.metrics.height > 0 and not seen.places,
        _copied,
    ),
    Detector(
        "new_copies",
        "infrastructure",
        ("cold_start",),
        "telemetry.metrics of copies",
        lambda seen: seen.telemetry.metrics.height > 0 and not seen.places,
        _begun_anew,
    ),
    Detector(
        "rows",
        "data",
        ("traffic_surge", "partial_batch", "join_fanout", "join_loss"),
        "telemetry.metrics of rows written",
        lambda seen: seen.telemetry.metrics.height > 0,
        lambda seen: from_rows(seen.departed, seen.edges),
    ),
    Detector(
        "accused",
        "infrastructure",
        ("network_fault", "schema_change"),
        "telemetry.logs",
        lambda seen: seen.telemetry.logs.height > 0,
        _accused,
    ),
    Detector(
        "metric_departure",
        "infrastructure",
        tuple(_RESOURCES.values()),
        "telemetry.metrics",
        lambda seen: seen.telemetry.metrics.height > 0,
        _departures,
    ),
    Detector(
        "offered_load",
        "infrastructure",
        ("traffic_surge",),
        "telemetry.metrics",
        lambda seen: seen.telemetry.metrics.height > 0 or seen.tree is not None,
        _offered,
    ),
    Detector(
        "larger_work",
        "data",
        ("traffic_surge",),
        "telemetry.metrics of the size of what is asked",
        lambda seen: seen.telemetry.metrics.height > 0,
        _larger,
    ),
    Detector(
        "traffic_balance",
        "integration",
        ("network_fault", "retry_storm"),
        "telemetry.metrics with topology and without traces",
        # Traces tell each call that fails or is made again, which metrics only let guess.
        lambda seen: bool(seen.edges) and seen.tree is None,
        _asked,
    ),
    Detector(
        "silence",
        "infrastructure",
        ("hardware_fault",),
        "telemetry.metrics",
        lambda seen: seen.telemetry.metrics.height > 0,
        _silent,
    ),
)
