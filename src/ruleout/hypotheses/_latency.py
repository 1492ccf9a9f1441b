"""Hypotheses about a symptom of the path (latency, errors) when there are tables beside the telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ruleout import modes
from ruleout._records import Hypothesis, Status, Symptom
from ruleout.hypotheses._propose import Numbered
from ruleout.hypotheses._services import ranked

if TYPE_CHECKING:
    from ruleout.attribution.latency import Ladder, Suspect

_SHARPEN = 1.7
"""Power of the shares of added time: a cause of most of it did it, one of little may be noise."""

_REST = 0.05
"""Share of the added time that the stages never account for with certainty."""

_LEAST = 0.002


def along_path(
    services: Sequence[Hypothesis],
    tables: Sequence[Hypothesis],
    unknown: float,
    told: tuple[Ladder | None, Sequence[Numbered], Symptom],
) -> list[Hypothesis]:
    """One list for a symptom of the path.

    What a service is suspected of is parted by the stages in which its requests lost their time. Causes in
    the tables that no stage leads to take from `unknown` alone: they did not move the symptom's own metric
    as far as anybody can tell.

    Args:
        services: hypotheses from telemetry.
        tables: hypotheses from the tables, about the tables' own metric.
        unknown: mass that telemetry leaves.
        told: the stages with their evidence, and the symptom.
    """
    found, rows, symptom = told
    suspects = () if found is None else found.suspects
    if found is not None and found.sure:
        services = _without_nulls(services)
    kept: list[Hypothesis] = []
    named: list[Hypothesis] = []
    for one in dict.fromkeys(suspect.service for suspect in suspects):
        mine = [h for h in services if one in h.subject.names]
        parts = [suspect for suspect in suspects if suspect.service == one]
        mass = sum(h.probability for h in mine)
        rest = max(1 - sum(p.explained.fraction for p in parts), _REST) ** _SHARPEN
        total = rest + sum(p.explained.fraction**_SHARPEN for p in parts)
        kept += [replace(h, probability=h.probability * rest / total) for h in mine]
        change = _change(mine)
        named += [
            _hypothesis(p, mass * p.explained.fraction**_SHARPEN / total, change, rows, symptom)
            for p in parts
        ]
    others = {suspect.service for suspect in suspects}
    kept += [h for h in services if not others & set(h.subject.names)]
    by_key = {(h.failure_mode, h.subject): h for h in named}
    beside = []
    for h in tables:
        same = by_key.get((h.failure_mode, h.subject))
        if same is not None:
            evidence = tuple(dict.fromkeys((*h.evidence_for, *same.evidence_for)))
            named[named.index(same)] = replace(same, evidence_for=evidence)
        elif not modes.mode(h.failure_mode).is_null and h.probability * unknown >= _LEAST:
            beside.append(replace(h, probability=h.probability * unknown))
    return ranked([*named, *kept, *beside])


def _without_nulls(services: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The faults with the nulls' mass: the requests themselves say that something is the matter."""
    faults = [h for h in services if not modes.mode(h.failure_mode).is_null]
    null = sum(h.probability for h in services) - sum(h.probability for h in faults)
    return [replace(h, probability=h.probability / (1 - null)) for h in faults if null < 1]


def _change(mine: Sequence[Hypothesis]) -> str | None:
    """The change that telemetry names for a service: half as likely as all else together, or more."""
    by_change: dict[str, float] = {}
    for h in mine:
        if h.change is not None:
            by_change[h.change] = by_change.get(h.change, 0.0) + h.probability
    best = max(by_change, key=lambda name: (by_change[name], name), default=None)
    total = sum(h.probability for h in mine)
    return best if best is not None and by_change[best] >= total / 3 else None


def _hypothesis(
    suspect: Suspect,
    probability: float,
    change: str | None,
    rows: Sequence[Numbered],
    symptom: Symptom,
) -> Hypothesis:
    mode = modes.mode(suspect.mode)
    share = suspect.explained
    heard = [r.evidence for r in rows if r.finding is not None]
    confirmed = share.fraction >= 0.5 and share.low >= 0.2 and probability >= 0.3
    status: Status = "confirmed" if confirmed else "supported" if probability >= 0.1 else "possible"
    return Hypothesis(
        rank=0,
        failure_mode=suspect.mode,
        layer=mode.layer,
        subject=suspect.subject,
        probability=probability,
        status=status,
        explained=share,
        evidence_for=tuple(
            e.id for e in heard if suspect.mode in e.supports and e.subject == suspect.subject
        ),
        onset=symptom.onset,
        change=change,
        chain=(*suspect.chain, symptom.metric) if symptom.metric else suspect.chain,
        remedies=mode.advice(suspect.subject.names),
    )
