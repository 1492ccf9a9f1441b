"""One labelled incident of services, answered and compared with its truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ruleout.attribution.services import ServicesResult, Signal, analyse
from ruleout.bench._services_baselines import baseline_ranks
from ruleout.incident import Incident, load
from ruleout.incident._model import Window

NOWHERE = 99
"""Rank of an entity that was not named."""

SOURCES: Mapping[str, tuple[str, ...]] = {
    "all": (),
    "metrics": ("traces", "logs", "topology"),
    "metrics+topology": ("traces", "logs"),
    "traces": ("metrics", "logs", "topology"),
}
"""Parts of the telemetry that are withheld, by the name of what is left."""


class Score(NamedTuple):
    """How one incident was answered."""

    case: str
    system: str
    fault: str
    truth: tuple[str, ...]
    """Entities that count as right."""

    rank: int
    """Place of the first right entity, from 1; 99 when it was not named."""

    probability: float
    """Probability given to the first entity."""

    mode: bool | None
    """Whether the first hypothesis' failure mode is right; None where the truth does not say."""

    change: bool | None
    """Whether the first hypothesis names the right change, or rightly none."""

    decoy: float
    """Probability given to any one change that was planted to mislead."""

    chance: float
    """Chance of the first entity being right when drawn from all."""

    baselines: Mapping[str, int | None]
    """Rank of the first right entity by simple methods; None where a method has nothing to go by."""

    latest: bool | None
    """Whether the most recent change would have been right."""

    seconds: float
    signals: tuple[Signal, ...]
    suspicion: tuple[tuple[str, float], ...]
    right_change: str | None


def score_case(
    folder: Path,
    truth: Mapping[str, Any],
    name: str,
    without: Sequence[str] = (),
    shift: float = 0.0,
) -> Score:
    """Diagnose one incident folder and compare with its truth.

    Args:
        folder: of the incident.
        truth: its entry of `truth.json`.
        name: of the case.
        without: parts of the telemetry that are withheld.
        shift: seconds by which the told windows and the instant of notice are wrong.
    """
    incident = shifted(withheld(load(folder), without), shift)
    started = time.process_time()
    result = analyse(incident, np.random.default_rng(0))
    seconds = time.process_time() - started
    services = tuple(truth["services"])
    right = [i for i, one in enumerate(entities(result), 1) if one in services]
    top = result.hypotheses[0] if result.hypotheses else None
    refs = {one.id: one.ref or "none" for one in result.changes}
    blamed = refs.get(top.change or "", "none") if top else "none"
    return Score(
        case=name,
        system=system_of(name),
        fault=truth.get("fault", incident.symptom.metric or "?"),
        truth=services,
        rank=right[0] if right else NOWHERE,
        probability=result.ranking[0][1] if result.ranking else 0.0,
        mode=bool(top and top.failure_mode in truth["failure_modes"])
        if "failure_modes" in truth
        else None,
        change=blamed == truth["change"] if "change" in truth else None,
        decoy=max((_mass(result, refs, ref) for ref in truth.get("decoys", [])), default=0.0),
        chance=len(services) / max(len(result.ranking), 1),
        baselines=baseline_ranks(incident, services, NOWHERE),
        latest=_latest(result, incident) == truth["change"] if "change" in truth else None,
        seconds=seconds,
        signals=result.signals,
        suspicion=result.suspicion,
        right_change=truth.get("change"),
    )


def withheld(incident: Incident, without: Sequence[str]) -> Incident:
    """The incident without some parts of its telemetry."""
    spec = incident.telemetry
    kept = replace(
        spec,
        metrics=() if "metrics" in without else spec.metrics,
        traces=() if "traces" in without else spec.traces,
        logs=() if "logs" in without else spec.logs,
        topology=() if "topology" in without else spec.topology,
    )
    return replace(incident, telemetry=kept)


def shifted(incident: Incident, seconds: float) -> Incident:
    """The incident as told by somebody whose clock is wrong."""
    if not seconds:
        return incident

    def moved(window: Window | None) -> Window | None:
        return None if window is None else Window(window.start + seconds, window.end + seconds)

    noticed = incident.symptom.noticed_at
    told = replace(incident.symptom, noticed_at=None if noticed is None else noticed + seconds)
    return replace(
        incident,
        symptom=told,
        reference_window=moved(incident.reference_window),
        current_window=moved(incident.current_window),
    )


def entities(result: ServicesResult) -> list[str]:
    """Entities in the order in which a reader of the hypotheses meets them."""
    return list(dict.fromkeys(name for one in result.hypotheses for name in one.subject.names))


def _mass(result: ServicesResult, refs: Mapping[str, str], ref: str) -> float:
    return sum(one.probability for one in result.hypotheses if refs.get(one.change or "") == ref)


def _latest(result: ServicesResult, incident: Incident) -> str:
    """Reference of the last change before the incident was noticed."""
    noticed = incident.symptom.noticed_at
    limit = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(noticed)) if noticed else "9999"
    before = [one for one in result.changes if one.at <= limit]
    return (before[-1].ref or "none") if before else "none"


def system_of(case: str) -> str:
    """The family of a case: its folder, and the part of its name before the first underscore."""
    family, _, rest = case.partition("/")
    head = rest.split("_")[0]
    return f"{family}/{head}" if "_" in rest else family
