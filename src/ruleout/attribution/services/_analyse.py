"""The whole analysis of the path behind the predictions, from telemetry to hypotheses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ruleout._records import Subject, Symptom
from ruleout.attribution.services._behaviour import behaviour
from ruleout.attribution.services._calls import calls
from ruleout.attribution.services._flow import follow
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._latency import lags
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._periods import periods
from ruleout.attribution.services._rank import entity_scores, mode_shares, probabilities
from ruleout.attribution.services._records import ServiceHypothesis, ServicesResult, Signal
from ruleout.attribution.services._signals import (
    from_behaviour,
    from_departures,
    from_flow,
    from_lags,
)
from ruleout.attribution.services._windows import Windows, settle_windows
from ruleout.incident._model import Incident
from ruleout.sources.telemetry import Telemetry, read_telemetry

Progress = Callable[[str], None]


def analyse(
    incident: Incident, rng: np.random.Generator, progress: Progress | None = None
) -> ServicesResult:
    """Root causes among the entities that the incident's telemetry speaks of."""
    _ = rng
    say = progress or (lambda _text: None)
    say("reading telemetry")
    telemetry = read_telemetry(incident)
    windows = settle_windows(incident, telemetry)
    if windows is None:
        return _nothing(incident, telemetry)
    say("ranking services")
    signals = _signals(incident, telemetry, windows)
    ranking, unknown = probabilities(entity_scores(signals))
    return ServicesResult(
        symptom=_symptom(incident),
        checked=(),
        hypotheses=_hypotheses(ranking, signals),
        unknown=unknown,
        no_incident=0.0,
        sources=telemetry.sources,
        ranking=tuple(ranking),
    )


def _signals(incident: Incident, telemetry: Telemetry, windows: Windows) -> list[Signal]:
    signals: list[Signal] = []
    spec = incident.symptom
    flows = {}
    if spec.entity and spec.metric and telemetry.metrics.height:
        flows = follow(telemetry.metrics, windows, (spec.entity, spec.metric), telemetry.topology)
        signals += from_flow(flows, kind_of(spec.metric))
    if telemetry.spans.height:
        tree = calls(telemetry.spans)
        period = periods(tree.time, windows)
        signals += from_lags(lags(tree, period))
        signals += from_behaviour(behaviour(tree, telemetry.logs, period))
    if telemetry.metrics.height:
        alone = not (flows or telemetry.spans.height)
        table = departures(telemetry.metrics, windows)
        signals += from_departures(table, telemetry.kpis, alone=alone)
    return signals


def _hypotheses(
    ranking: list[tuple[str, float]], signals: list[Signal]
) -> tuple[ServiceHypothesis, ...]:
    found = [
        ServiceHypothesis(
            failure_mode=mode,
            subject=Subject("service", (entity,)),
            probability=probability * share,
            signals=tuple(sorted({one.name for one in signals if one.entity == entity})),
        )
        for entity, probability in ranking[:10]
        for mode, share in mode_shares(signals, entity)
    ]
    return tuple(sorted(found, key=lambda one: -one.probability))


def _symptom(incident: Incident) -> Symptom:
    return Symptom(incident.symptom.metric, None, None, None, None, None, None, None, "none")


def _nothing(incident: Incident, telemetry: Telemetry) -> ServicesResult:
    return ServicesResult(
        symptom=_symptom(incident),
        checked=(),
        hypotheses=(),
        unknown=1.0,
        no_incident=0.0,
        sources=telemetry.sources,
    )
