"""The whole analysis of the path behind the predictions, from telemetry to hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout._records import Abstained, Checked, Explained, Finding, SourceStatus, Subject
from ruleout.attribution.services._blame import Verdict, blame, error_lines
from ruleout.attribution.services._charts import charts
from ruleout.attribution.services._detect import detect
from ruleout.attribution.services._elsewhere import Elsewhere, elsewhere
from ruleout.attribution.services._entities import known_names
from ruleout.attribution.services._hypothesise import aligned, between, hypotheses
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._masking import mask
from ruleout.attribution.services._nulls import nulls, shared_out
from ruleout.attribution.services._onlookers import beside_the_path, onlookers, outcomes
from ruleout.attribution.services._ordinary import borne_before
from ruleout.attribution.services._rank import entity_scores, probabilities
from ruleout.attribution.services._records import (
    Null,
    ServiceHypothesis,
    ServicesResult,
    Signal,
)
from ruleout.attribution.services._replay import replay
from ruleout.attribution.services._roles import with_roles
from ruleout.attribution.services._safeguards import amplified, as_records, gaps
from ruleout.attribution.services._scene import Observed, observe
from ruleout.attribution.services._symptom import placed, symptom
from ruleout.attribution.services._windows import settle_windows
from ruleout.incident._model import Incident
from ruleout.sources._changes import Change, load_changes
from ruleout.sources.telemetry import Telemetry, read_telemetry

_SURGE = "traffic_surge"
_FAILURES = ("error", "availability")
_FAILED = {
    "behaviour",
    "refused_calls",
    "metric.error",
    "metric.availability",
    "symptom_flow",
    "silence",
}
"""Signals of failures, beside which masking them means something."""

_OUTCOMES = frozenset({"kpi", "business", "outcome", "metric"})
"""Kinds of entities, as the incident tells them, that stand for what came of it all."""

Progress = Callable[[str], None]


def analyse(
    incident: Incident, rng: np.random.Generator, progress: Progress | None = None
) -> ServicesResult:
    """Root causes among the entities that the incident's telemetry speaks of.

    Works with any subset of metrics, traces, logs, topology and changes. What cannot be read is a
    source with a reason, what cannot be looked for an abstention; nothing is raised for bad data.

    Args:
        incident: validated, with `telemetry`.
        rng: for the interval of the symptom's change.
        progress: told what is going on.
    """
    say = progress or (lambda _text: None)
    say("reading telemetry")
    telemetry = read_telemetry(incident)
    incident = placed(incident, telemetry)
    changes, status = _changes(incident)
    sources = (*telemetry.sources, *status)
    windows = settle_windows(incident, telemetry)
    if windows is None:
        return _nothing(incident, telemetry, sources, rng)
    say("ranking services")
    seen = observe(incident, telemetry, windows, changes)
    found = detect(seen)
    found = found._replace(signals=_of_causes(seen, found.signals))
    ranking, _ = probabilities(entity_scores(found.signals))
    verdict, others = _who_changed(seen, dict(ranking[:5]))
    named = hypotheses(seen, ranking, found.signals, verdict, others)
    named = _explained(seen, named, rng)
    named = with_roles(named, amplified(seen), seen.tree, seen.period)
    named = between(seen, named)
    told = symptom(incident, telemetry, windows, seen.start, rng)
    calm = shared_out(nulls(seen, told, found.signals))
    left = 1 - sum(one.probability for one in calm)
    named = tuple(replace(one, probability=one.probability * left) for one in named)
    missing, guarded = as_records(gaps(seen))
    return ServicesResult(
        symptom=told,
        checked=(*found.checked, _changes_checked(verdict, others), guarded, _nulls_checked(calm)),
        hypotheses=named,
        unknown=max(left - sum(one.probability for one in named), 0.0),
        nulls=tuple(calm),
        safeguard_gaps=missing,
        changes=aligned(verdict),
        sources=sources,
        ranking=tuple(ranking),
        signals=tuple(found.signals),
        suspicion=() if verdict is None else verdict.scores(),
        lineage=_lineage(seen),
        charts=charts(seen, ranking, named[0] if named else None),
        seen=seen,
    )


def _of_causes(seen: Observed, signals: Sequence[Signal]) -> list[Signal]:
    """The signals but for those about outcomes and onlookers.

    An outcome measures nothing else, calls nobody and is called by nobody; an onlooker has the symptom at second hand.
    """
    told = set(seen.incident.telemetry.kpis) | {seen.incident.symptom.metric}
    elsewhere_measured = ~pl.col("metric").is_in(list(told - {None}))
    other = set(seen.telemetry.metrics.filter(elsewhere_measured)["entity"].unique())
    known = other | {name for edge in seen.edges for name in edge}
    known |= set(seen.tree.services) if seen.tree is not None else set()
    known |= set(seen.telemetry.kinds)
    lookers = onlookers(seen)
    # What an onlooker asks more of the front end comes in there.
    moved = [
        one._replace(entity=lookers.get(one.entity, one.entity))
        if one.name == "offered_load"
        else one
        for one in signals
    ]
    never = _declared_outcomes(seen)
    able = known - set(lookers) - beside_the_path(seen) - outcomes(seen) - never
    causes = [one for one in moved if one.entity in able]
    return causes or [one for one in signals if one.entity not in never]


def _declared_outcomes(seen: Observed) -> set[str]:
    """Entities that the incident calls outcomes: by their kind, and nothing is measured of them but its `kpis`."""
    kpis = list(seen.incident.telemetry.kpis)
    measured = seen.telemetry.metrics.filter(~pl.col("metric").is_in(kpis))["entity"]
    kinds = seen.telemetry.kinds
    return {n for n, kind in kinds.items() if kind.lower() in _OUTCOMES} - set(measured)


def _lineage(seen: Observed) -> dict[str, tuple[str, ...]]:
    """Which features each observed entity fills."""
    known = set(seen.telemetry.metrics["entity"].unique()) | set(seen.telemetry.kinds)
    known |= {name for edge in seen.edges for name in edge}
    known |= set(seen.tree.services) if seen.tree is not None else set()
    sources = seen.incident.data.sources
    return {name: tuple(features) for name, features in sorted(sources.items()) if name in known}


def _explained(
    seen: Observed, named: tuple[ServiceHypothesis, ...], rng: np.random.Generator
) -> tuple[ServiceHypothesis, ...]:
    """The hypotheses, with the share of the symptom that goes away without their service's part in it.

    Added time is replayed, failures are masked; where the symptom is not told, failures go first.
    """
    if seen.tree is None:
        return named
    kind = kind_of(seen.incident.symptom.metric or "")
    services = list(dict.fromkeys(name for one in named[:6] for name in one.subject.names))
    slow = replay(seen.tree, seen.period, services, rng) if kind not in _FAILURES else {}
    failing = mask(seen.tree, seen.period, services, rng) if kind != "latency" else {}
    return tuple(replace(one, explained=_undone(one, slow, failing)) for one in named)


def _undone(
    one: ServiceHypothesis, slow: Mapping[str, Explained], failing: Mapping[str, Explained]
) -> Explained | None:
    name = one.subject.names[0]
    if name in failing and _FAILED & set(one.signals):
        return failing[name]
    return slow.get(name) if "added_time" in one.signals else None


def _changes(incident: Incident) -> tuple[tuple[Change, ...], tuple[SourceStatus, ...]]:
    if incident.changes is None:
        return (), ()
    try:
        changes = load_changes(incident)
    except RuleoutError as error:
        return (), (SourceStatus("changes", "failed", None, str(error)),)
    status = "ok" if changes else "empty"
    return changes, (SourceStatus("changes", status, len(changes)),)


def _who_changed(
    seen: Observed, culprits: dict[str, float]
) -> tuple[Verdict | None, list[Elsewhere]]:
    """Which change, or none; and what speaks for causes that are no change."""
    hosts = frozenset(
        name for name, kind in seen.telemetry.kinds.items() if kind in {"host", "node", "machine"}
    )
    errors = error_lines(seen.telemetry, seen.windows)
    spec = seen.incident.symptom
    kind = kind_of(spec.metric or "")
    able = seen.departed.filter(~pl.col("entity").is_in(sorted(_declared_outcomes(seen))))
    others = elsewhere(able, errors, spec.entity, hosts, _names(seen), kind, seen.edges)
    others = [one for one in others if one.mode != _SURGE or not borne_before(seen, one.entity)]
    if not seen.changes:
        return None, others
    return blame(seen, culprits, others), others


def _names(seen: Observed) -> frozenset[str]:
    """Machines, copies, builds and services that the telemetry names."""
    spans = seen.telemetry.spans
    told = set(known_names(seen.telemetry)) | set(seen.machines)
    for name in ("host", "instance", "version"):
        told |= set(spans[name].drop_nulls()) if spans.height else set()
    return frozenset(told)


def _nulls_checked(found: Sequence[Null]) -> Checked:
    """The evidence that the alarm is nobody's fault."""
    findings = [
        Finding(
            one.mode,
            one.subject,
            one.statement,
            one.probability,
            one.probability,
            None,
            one.probability,
            (one.mode,),
        )
        for one in found
    ]
    return Checked("nothing_at_fault", "none", "path", tuple(findings))


def _changes_checked(verdict: Verdict | None, others: list[Elsewhere]) -> Checked:
    """The evidence about changes, and about causes that are none."""
    modes = ("change_regression",)
    findings = [
        Finding(
            "no_change",
            Subject("service", (one.entity,)) if one.entity else Subject(),
            one.statement,
            one.weight,
            one.weight,
            None,
            min(one.weight / 4, 1.0),
            (one.mode,),
        )
        for one in others
    ]
    if verdict is None:
        reason = "no change events were given"
        return Checked(
            "change_alignment",
            "integration",
            "path",
            (*findings, Abstained(modes, reason, "changes")),
        )
    for suspect, share in list(zip(verdict.suspects, verdict.probabilities, strict=True))[:4]:
        findings.append(
            _change_finding(suspect.change, share, (*suspect.risk.reasons, *suspect.shared))
        )
    return Checked("change_alignment", "integration", "path", tuple(findings))


def _change_finding(change: Change, share: float, reasons: tuple[str, ...]) -> Finding:
    why = "; ".join(reasons) or "nothing in its diff speaks for it"
    return Finding(
        "change_alignment",
        Subject("change", (change.ref or change.id,)),
        f"{change.kind} of {change.entity} ({change.id}): {why}"[:400],
        share,
        share,
        None,
        share,
        ("change_regression",),
    )


def _nothing(
    incident: Incident,
    telemetry: Telemetry,
    sources: tuple[SourceStatus, ...],
    rng: np.random.Generator,
) -> ServicesResult:
    """No telemetry at all, and nothing to say when the incident was."""
    reason = "; ".join(s.reason or s.status for s in sources) or "no telemetry was given"
    modes = ("cpu_saturation", "memory_leak", "network_fault", "slow_dependency")
    outcome = Abstained(modes, reason, "telemetry")
    return ServicesResult(
        symptom=symptom(incident, telemetry, None, None, rng),
        checked=(Checked("telemetry", "infrastructure", "path", (outcome,)),),
        hypotheses=(),
        unknown=1.0,
        sources=sources,
    )
