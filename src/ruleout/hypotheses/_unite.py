"""Several inputs that broke in one way at one moment broke of one cause: a hypothesis about all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ruleout._records import RepairPlan, Scope, Subject
from ruleout.hypotheses._propose import Candidate, Numbered

_ALIKE = frozenset({"unit_change", "precision_loss", "category_recode", "partial_batch"})
"""Modes that a step on the way does to each of the inputs that pass it."""

_TOLD = 0.8
"""Log-odds from which an input is taken to be broken in that way itself, its prior included."""

_TOGETHER = 900.0
"""Seconds between the moments at which inputs broke that count as one, beside what their intervals allow."""


def unite(candidates: Sequence[Candidate], sources: Mapping[str, Sequence[str]]) -> list[Candidate]:
    """Hypotheses about inputs that are each told to be broken alike, in the same rows; weighed before.

    Inputs of different sources stay apart where the incident says which is whose (`sources`, columns by source).
    """
    groups: list[list[Candidate]] = []
    told = [c for c in candidates if c.mode in _ALIKE and c.logit > _TOLD]
    for one in sorted(told, key=lambda c: (-c.logit, c.key)):
        if one.subject.kind != "feature" or len(one.subject.names) != 1:
            continue
        for group in groups:
            if _alike(group[0], one, sources):
                group.append(one)
                break
        else:
            groups.append([one])
    return [_joint(group) for group in groups if len(group) > 1]


def _alike(one: Candidate, other: Candidate, sources: Mapping[str, Sequence[str]]) -> bool:
    if one.mode != other.mode or one.subject == other.subject:
        return False
    mine, others = (_source(c.subject.names[0], sources) for c in (one, other))
    if mine != others:
        return False
    places = [_place(c) for c in (one, other)]
    return places[0] == places[1] and _at_once(one, other)


def _source(name: str, sources: Mapping[str, Sequence[str]]) -> str:
    return next((s for s, columns in sorted(sources.items()) if name in columns), "")


def _place(candidate: Candidate) -> tuple[str | None, tuple[str, ...]]:
    """The segment to which its strongest finding confines it."""
    scope = next((p.finding.scope for p in candidate.proposers if p.finding), Scope())
    return scope.column, tuple(sorted(scope.values))


def _at_once(one: Candidate, other: Candidate) -> bool:
    first, second = one.onset, other.onset
    if first is None or second is None:
        return first is second
    low = max(_seconds(first.low), _seconds(second.low))
    high = min(_seconds(first.high), _seconds(second.high))
    apart = abs(_seconds(first.at) - _seconds(second.at))
    return low <= high + _TOGETHER or apart <= _TOGETHER


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def _joint(group: Sequence[Candidate]) -> Candidate:
    names = tuple(c.subject.names[0] for c in group)
    subject = Subject("feature", names)
    proposers: list[Numbered] = []
    for one in group:
        proposers.extend(p for p in one.proposers if p not in proposers)
    return Candidate(
        group[0].mode,
        subject,
        proposers,
        known_as=tuple(c.subject for c in group),
        joint=tuple(_joint_plans(group, subject)),
    )


def _joint_plans(group: Sequence[Candidate], subject: Subject) -> list[RepairPlan]:
    """For every repair that each input has, the plan to carry it out on all of them."""
    kinds = [dict.fromkeys(p.repair for p in c.plans) for c in group]
    made = []
    for kind in kinds[0]:
        if all(kind in others for others in kinds):
            plans = tuple(next(p for p in c.plans if p.repair == kind) for c in group)
            made.append(RepairPlan("several", subject, plans[0].scope, {"plans": plans}))
    return made
