"""From ranked entities, modes and changes to hypotheses whose probabilities sum to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from ruleout._records import AlignedChange, Onset, Subject, SubjectKind
from ruleout.attribution.services._blame import Verdict, error_lines
from ruleout.attribution.services._copies import copies, ill_machine
from ruleout.attribution.services._elsewhere import Elsewhere
from ruleout.attribution.services._graph import chain
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._onset import onset
from ruleout.attribution.services._places import machine_of
from ruleout.attribution.services._records import ServiceHypothesis, Signal
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._symptom import as_onset, iso

_ENTITIES = 10
_NAMED = 5
_SHARPEN = 1.7
"""Power of the modes' shares: the first is right more often than its share of the weight says."""

_OF_MACHINES = ("hardware_fault", "noisy_neighbour")
"""Modes of a machine: where one copy of a service shows them, its machine is named."""

_WITHHELD = "resilience_mistrip"
_LEAST = 0.004
"""Hypotheses below this probability are left to the unknown, but for the first few entities'."""


def hypotheses(
    seen: Observed,
    ranking: Sequence[tuple[str, float]],
    signals: Sequence[Signal],
    verdict: Verdict | None,
    others: Sequence[Elsewhere],
) -> tuple[ServiceHypothesis, ...]:
    """Every (mode, entity, change) that is worth naming, likeliest first."""
    found = []
    errors = error_lines(seen.telemetry, seen.windows)
    none = 1.0 if verdict is None else verdict.none
    for entity, probability in ranking[:_ENTITIES]:
        told = mode_shares(signals, entity, seen.departed, errors, _machine(seen, entity, signals))
        built = any(s.entity == entity and s.name == "one_version" for s in signals)
        # One build alone that suffers is that build's doing, whatever else was noted.
        known = verdict is not None and not built
        shares = _modes(entity, told, () if built else others, changes=known)
        found += [
            _one(seen, mode, entity, probability * none * share, signals)
            for mode, share in shares.items()
            if share > 0
        ]
    if verdict is not None:
        found += _with_change(seen, ranking, signals, verdict)
    leaders = {entity for entity, _ in ranking[:_NAMED]}
    kept = [
        one
        for one in _joined(found)
        if one.probability >= _LEAST or (one.subject.names[0] in leaders and one.probability > 0)
    ]
    return tuple(
        sorted(kept, key=lambda one: (-one.probability, one.failure_mode, one.subject.names))
    )


def _joined(found: Sequence[ServiceHypothesis]) -> list[ServiceHypothesis]:
    """The hypotheses, those of one mode at one subject as one: copies on one machine suffer from the same."""
    best: dict[tuple[str, Subject, str | None], ServiceHypothesis] = {}
    for one in sorted(found, key=lambda h: -h.probability):
        key = (one.failure_mode, one.subject, one.change)
        if key not in best:
            best[key] = one
            continue
        known = best[key]
        told = tuple(sorted({*known.signals, *one.signals}))
        total = known.probability + one.probability
        best[key] = replace(known, probability=total, signals=told)
    return list(best.values())


def _modes(
    entity: str, shares: dict[str, float], others: Sequence[Elsewhere], *, changes: bool
) -> dict[str, float]:
    """Failure modes of an entity that no change did, with shares that sum to 1."""
    told = [one for one in others if one.entity == entity][:2]
    if told:
        strong = sum(one.weight for one in told)
        rest = 1 / (1 + strong)
        shares = {mode: share * rest for mode, share in shares.items()}
        for one in told:
            shares[one.mode] = shares.get(one.mode, 0.0) + (1 - rest) * one.weight / strong
    if changes:
        # With the known changes cleared, changed code is no longer the likeliest reading.
        shares["change_regression"] = 0.3 * shares.get("change_regression", 0.0)
    sharp = {mode: share**_SHARPEN for mode, share in shares.items()}
    total = sum(sharp.values()) or 1.0
    return {mode: share / total for mode, share in sharp.items()}


def _with_change(
    seen: Observed,
    ranking: Sequence[tuple[str, float]],
    signals: Sequence[Signal],
    verdict: Verdict,
) -> list[ServiceHypothesis]:
    found = []
    entities = ranking[:3]
    for suspect, share in zip(verdict.suspects, verdict.probabilities, strict=True):
        if share < 0.01:
            continue
        for entity, probability in entities:
            made = _one(seen, "change_regression", entity, share * probability, signals)
            told = (*made.signals, "change_alignment")
            found.append(replace(made, change=suspect.change.id, signals=told))
    return found


def _one(
    seen: Observed, mode: str, entity: str, probability: float, signals: Sequence[Signal]
) -> ServiceHypothesis:
    spec = seen.incident.symptom
    way = chain(entity, spec.entity, seen.edges)
    machine = _machine(seen, entity, signals) if mode in _OF_MACHINES else None
    return ServiceHypothesis(
        failure_mode=mode,
        subject=Subject("host", (machine,)) if machine else Subject(_kind(seen, entity), (entity,)),
        probability=probability,
        chain=(*way, spec.metric) if spec.metric else way,
        onset=_onset(seen, entity),
        signals=tuple(sorted({s.name for s in signals if s.entity == entity})),
    )


def between(seen: Observed, named: Sequence[ServiceHypothesis]) -> tuple[ServiceHypothesis, ...]:
    """The hypotheses, a breaker or limiter that trips told of who keeps it and whom it keeps from being asked.

    Calls that a caller's own safeguard withholds are missed at the callee, which can do nothing about it.
    """
    own = set(_breakers(seen).filter(pl.col("about").is_null())["entity"])
    out = []
    for one in named:
        caller = None
        if one.failure_mode == _WITHHELD and one.subject.kind == "service":
            name = one.subject.names[0]
            caller = _keeper(seen, name) if name not in own else None
        edge = one.subject if caller is None else Subject("edge", (caller, *one.subject.names))
        out.append(replace(one, subject=edge))
    return tuple(out)


def _keeper(seen: Observed, callee: str) -> str | None:
    """Whose safeguard keeps calls from a callee: by its own measure, or because nobody else calls it."""
    rows = _breakers(seen).filter(pl.col("about") == callee).sort("score", "entity")
    if rows.height:
        return str(rows["entity"][-1])
    callers = {a for a, b in seen.edges if b == callee and a != callee}
    return callers.pop() if len(callers) == 1 else None


def _breakers(seen: Observed) -> pl.DataFrame:
    return seen.departed.filter((pl.col("clue") == "breaker") & (pl.col("score") > 1.0))


def _machine(seen: Observed, entity: str, signals: Sequence[Signal]) -> str | None:
    """The machine on which an entity suffers: of its one sick copy, or one whose own trouble would explain it."""
    told = machine_of(entity, seen.places)
    if told is not None:
        return told
    copied = [s for s in signals if s.name == "one_instance" and s.entity == entity and s.of]
    if copied:
        return max(copied, key=lambda s: s.weight).of
    granted = [
        s for s in signals if s.name == "beneath" and s.of == entity and s.entity in seen.machines
    ]
    if granted:
        return max(granted, key=lambda s: s.weight).entity
    if entity in seen.machines:
        return None
    found = copies(seen.departed, seen.machines)
    return ill_machine(seen.departed, entity, found, seen.machines)


def _kind(seen: Observed, entity: str) -> SubjectKind:
    return "host" if entity in seen.machines else "service"


def _onset(seen: Observed, entity: str) -> Onset | None:
    """When the entity's strongest metric departed."""
    rows = seen.departed.filter((pl.col("entity") == entity) & (pl.col("score") > 0.5))
    if rows.is_empty():
        return as_onset(seen.start) if entity == seen.incident.symptom.entity else None
    best = rows.sort("score", "metric", descending=[True, False])["metric"][0]
    series = seen.telemetry.metrics.filter(
        (pl.col("entity") == entity) & (pl.col("metric") == best)
    )
    return as_onset(onset(series, seen.windows))


def aligned(verdict: Verdict | None) -> tuple[AlignedChange, ...]:
    """Every event of every change that could have done it, in order of time."""
    if verdict is None:
        return ()
    rows = {}
    for suspect in verdict.suspects:
        rows[suspect.change.id] = AlignedChange(
            suspect.change.id,
            iso(suspect.change.at),
            suspect.change.kind,
            suspect.change.entity,
            suspect.change.description,
            suspect.change.ref,
            round(suspect.alignment if suspect.timing > -5 else 0.0, 3),
        )
    return tuple(sorted(rows.values(), key=lambda one: (one.at, one.id)))
