"""From ranked entities, modes and changes to hypotheses whose probabilities sum to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from ruleout._records import AlignedChange, Onset, Subject, SubjectKind
from ruleout.attribution.services._blame import Verdict, error_lines
from ruleout.attribution.services._by_changes import breaks_contract, by_changes
from ruleout.attribution.services._copies import copies, ill_machine
from ruleout.attribution.services._elsewhere import Elsewhere
from ruleout.attribution.services._graph import chain
from ruleout.attribution.services._kinds import clue_of
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._onset import onset
from ruleout.attribution.services._places import machine_of
from ruleout.attribution.services._records import ServiceHypothesis, Signal
from ruleout.attribution.services._sayings import quiet_lines
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._symptom import as_onset, iso

_ENTITIES = 10
_NAMED = 5
_SHARPEN = 1.7
"""Power of the modes' shares: the first is right more often than its share of the weight says."""

_OF_MACHINES = ("hardware_fault", "noisy_neighbour")
"""Modes of a machine: where one copy of a service shows them, its machine is named."""

_OF_ANSWERS = (
    "rate_limited",
    "guardrail_overblock",
    "schema_change",
    "queue_backlog",
    "slow_runtime",
    "stale_index",
)
_COUNTED = 0.6
"""Modes that callers repeat in their own lines and times, and the departure from which on somebody counts one."""

_BY_TIME = 1.5
"""The same for a runtime, whose only count is its time."""

_OUTSIDE = frozenset(
    [
        "external",
        "provider",
        "third-party",
        "third_party",
        "thirdparty",
        "vendor",
        "saas",
        "partner",
    ]
)
"""Kinds of entities, as the incident tells them, that others run."""

_WITHHELD = "resilience_mistrip"
_COPIES = frozenset(["replica", "instance", "pod", "task", "container"])
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
    if seen.telemetry.logs.height:
        quiet = quiet_lines(seen.telemetry.logs, seen.windows)
        errors = pl.concat([errors, quiet.select(errors.columns)])
    none = 1.0 if verdict is None else verdict.none
    for entity, probability in ranking[:_ENTITIES]:
        told = mode_shares(signals, entity, seen.departed, errors, _machine(seen, entity, signals))
        told = by_changes(told, entity, seen.changes, signals, seen.windows.current[0])
        if seen.telemetry.kinds.get(entity, "").lower() in _OUTSIDE:
            told = _somebody_elses(told)
        built = any(s.entity == entity and s.name == "one_version" for s in signals)
        # One build alone that suffers is that build's doing, whatever else was noted; and so is a habit of
        # calling that only code has.
        habit = any(s.entity == entity and s.name == "asks_more" for s in signals)
        known = verdict is not None and not (built or habit)
        shares = _modes(entity, told, () if built else others, changes=known)
        found += [
            _one(seen, mode, _owner(seen, mode, entity), probability * none * share, signals)
            for mode, share in shares.items()
            if share > 0
        ]
    if verdict is not None:
        found += _with_change(seen, ranking, signals, verdict, errors)
    leaders = {entity for entity, _ in ranking[:_NAMED]}
    kept = [
        one
        for one in _by_known(_joined(found), verdict)
        if one.probability >= _LEAST or (one.subject.names[0] in leaders and one.probability > 0)
    ]
    return tuple(
        sorted(kept, key=lambda one: (-one.probability, one.failure_mode, one.subject.names))
    )


def _somebody_elses(shares: dict[str, float]) -> dict[str, float]:
    """The modes of an outside party: whatever it changed, to us it is slow or fails."""
    out = dict(shares)
    for mode in ("change_regression", "malformed_artifact"):
        out["slow_dependency"] = out.get("slow_dependency", 0.0) + out.pop(mode, 0.0)
    return out


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


def _by_known(
    found: Sequence[ServiceHypothesis], verdict: Verdict | None
) -> list[ServiceHypothesis]:
    """The hypotheses, changed code that nobody told of counted to the one change of that very entity that was told.

    Two changes of it leave open which of them it was; then it stays open.
    """
    if verdict is None:
        return list(found)
    about = {one.change.id: one.change.entity for one in verdict.suspects}
    out = list(found)
    for one in found:
        if one.failure_mode != "change_regression" or one.change is not None:
            continue
        same = [h for h in found if h.change is not None and h.subject == one.subject]
        named = [h for h in same if about.get(str(h.change)) in h.subject.names]
        if len(named) != 1 or named[0].probability < one.probability:
            continue
        out.remove(one)
        at = out.index(named[0])
        out[at] = replace(named[0], probability=named[0].probability + one.probability)
    return out


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
    errors: pl.DataFrame,
) -> list[ServiceHypothesis]:
    found = []
    entities = ranking[:3]
    lines = errors["message"].drop_nulls().to_list()
    for suspect, share in zip(verdict.suspects, verdict.probabilities, strict=True):
        if share < 0.01:
            continue
        broken = breaks_contract(suspect.change, lines)
        mode = "schema_change" if broken else "change_regression"
        for entity, probability in entities:
            made = _one(seen, mode, entity, share * probability, signals)
            told = (*made.signals, "change_alignment")
            found.append(replace(made, change=suspect.change.id, signals=told))
    return found


def _one(
    seen: Observed, mode: str, entity: str, probability: float, signals: Sequence[Signal]
) -> ServiceHypothesis:
    spec = seen.incident.symptom
    way = chain(entity, spec.entity, seen.edges)
    return ServiceHypothesis(
        failure_mode=mode,
        subject=_subject(seen, mode, entity, signals),
        probability=probability,
        chain=(*way, spec.metric) if spec.metric else way,
        onset=_onset(seen, entity),
        signals=tuple(sorted({s.name for s in signals if s.entity == entity})),
    )


def _owner(seen: Observed, mode: str, entity: str) -> str:
    """Who shows the mechanism of a mode: the entity, or the one whom it calls where only that one counts it.

    A caller's lines repeat what a callee answers; a quota or a filter that is counted at the callee is the callee's.
    A gateway measures what its workers take for each token; the runtime is theirs.
    """
    if seen.departed.is_empty() or mode not in _OF_ANSWERS:
        return entity
    rows = seen.departed.filter(
        pl.col("clue").is_not_null()
        & pl.col("about").is_null()
        & (pl.col("sign") > 0)
        & (pl.col("score") > _COUNTED)
    )
    worst: dict[str, float] = {}
    for name, metric, score in rows.select("entity", "metric", "score").iter_rows():
        clue = clue_of(metric)
        if clue is None or clue.modes.get(mode, 0.0) <= 0.5:
            continue
        if clue.primary if mode != "slow_runtime" else score > _BY_TIME and not clue.primary:
            worst[name] = max(worst.get(name, 0.0), score)
    below = {b for a, b in seen.edges if a == entity and b in worst}
    # Who searches sees how old the answers are; the index is its holder's.
    if not below or (entity in worst and mode != "stale_index"):
        return entity
    return max(below, key=lambda name: (worst[name], name))


def _subject(seen: Observed, mode: str, entity: str, signals: Sequence[Signal]) -> Subject:
    """The machine or the edge, where the mode is of such, else the entity."""
    machine = _machine(seen, entity, signals) if mode in _OF_MACHINES else None
    if machine is not None:
        return Subject("host", (machine,))
    if mode == "resilience_mistrip":
        # A breaker is its caller's, whoever is cut off by it.
        mine = [
            s for s in signals if s.entity == entity and s.of and "resilience_mistrip" in s.modes
        ]
        cut = max(
            (s for s in mine if s.name == "asked_instead"), key=lambda s: s.weight, default=None
        )
        if cut is not None:
            return Subject("edge", (entity, cut.of))
        told = [s for s in signals if s.name == "refused_calls" and s.entity == entity and s.of]
        if told:
            return Subject("edge", (max(told, key=lambda s: s.weight).of, entity))
    return Subject(_kind(seen, entity), (entity,))


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
    return ill_machine(seen.departed, entity, found, seen.machines, _runs_on(seen, entity))


def _runs_on(seen: Observed, entity: str) -> set[str]:
    """The machines beneath an entity or its copies, as far as the topology tells them."""
    below = {b for a, b in seen.edges if a == entity}
    copied = {b for b in below if seen.telemetry.kinds.get(b, "") in _COPIES}
    return (below | {b for a, b in seen.edges if a in copied}) & seen.machines


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
