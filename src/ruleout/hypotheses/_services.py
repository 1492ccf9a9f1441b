"""Hypotheses about services, as the diagnosis tells them, and beside those about tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ruleout import modes
from ruleout._records import Hypothesis, SafeguardGap, Status, Symptom
from ruleout.hypotheses._propose import Numbered

if TYPE_CHECKING:
    from ruleout.attribution.services import Null, ServiceHypothesis, ServicesResult


def service_hypotheses(result: ServicesResult, rows: Sequence[Numbered]) -> list[Hypothesis]:
    """The services' hypotheses in the public form, likeliest first; the null where it has mass."""
    told = [_one(one, result.symptom, rows) for one in result.hypotheses]
    told += [_null(one, rows) for one in result.nulls]
    return ranked(told)


def _null(one: Null, rows: Sequence[Numbered]) -> Hypothesis:
    mode = modes.mode(one.mode)
    heard = tuple(r.evidence.id for r in rows if r.evidence.signal == one.mode)
    return Hypothesis(
        rank=0,
        failure_mode=one.mode,
        layer=mode.layer,
        subject=one.subject,
        probability=one.probability,
        status="supported",
        evidence_for=heard,
        remedies=mode.advice(one.subject.names),
    )


def _one(one: ServiceHypothesis, symptom: Symptom, rows: Sequence[Numbered]) -> Hypothesis:
    mode = modes.mode(one.failure_mode)
    names = set(one.subject.names)
    heard = [
        r.evidence
        for r in rows
        if r.finding is not None
        and (not r.evidence.subject.names or names & set(r.evidence.subject.names))
    ]
    return Hypothesis(
        rank=0,
        failure_mode=one.failure_mode,
        layer=mode.layer,
        subject=one.subject,
        probability=one.probability,
        status=_status(one),
        role=one.role,
        explained=one.explained,
        evidence_for=tuple(
            e.id for e in heard if e.signal in one.signals or one.failure_mode in e.supports
        ),
        evidence_against=tuple(e.id for e in heard if one.failure_mode in e.against),
        onset=one.onset or symptom.onset,
        change=one.change,
        chain=one.chain,
        remedies=mode.advice(one.subject.names),
    )


def _status(one: ServiceHypothesis) -> Status:
    undone = one.explained
    if (
        undone is not None
        and undone.fraction >= 0.5
        and undone.low >= 0.2
        and one.probability >= 0.3
    ):
        return "confirmed"
    return "supported" if one.probability >= 0.1 else "possible"


def ranked(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """The hypotheses by probability, with their ranks."""
    ordered = sorted(hypotheses, key=lambda h: (-h.probability, h.failure_mode, h.subject.names))
    return [replace(h, rank=i + 1) for i, h in enumerate(ordered)]


def beside(
    tables: Sequence[Hypothesis],
    services: Sequence[Hypothesis],
    unknown: float,
    sources: Mapping[str, Sequence[str]],
) -> list[Hypothesis]:
    """One list for both: services take the mass that the tables leave to "something else".

    A table cause whose inputs come from a suspected service (by lineage) names it in its chain.
    """
    faults = [h for h in services if not modes.mode(h.failure_mode).is_null]
    suspects = {h.subject.names[0]: h for h in faults if h.subject.names and h.probability >= 0.1}
    linked = [_with_service(h, suspects, sources) for h in tables]
    return ranked([*linked, *(replace(h, probability=h.probability * unknown) for h in faults)])


def _with_service(
    told: Hypothesis, suspects: Mapping[str, Hypothesis], sources: Mapping[str, Sequence[str]]
) -> Hypothesis:
    names = set(told.subject.names)
    for source, fed in sources.items():
        if source in suspects and (names & set(fed) or source in names):
            return replace(told, chain=(source, *(n for n in told.chain if n != source)))
    return told


def linked_gaps(gaps: Sequence[SafeguardGap], rows: Sequence[Numbered]) -> tuple[SafeguardGap, ...]:
    """The missing safeguards, each with the evidence that shows it missing."""
    return tuple(
        replace(
            gap,
            evidence=tuple(
                r.evidence.id
                for r in rows
                if r.evidence.signal == f"missing_{gap.safeguard}"
                and set(r.evidence.subject.names) & set(gap.on)
            ),
        )
        for gap in gaps
    )
