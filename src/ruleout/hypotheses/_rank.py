"""From weighed candidates to the ranked list, the ledger of what was ruled out, and the verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ruleout import modes
from ruleout._records import (
    Abstained,
    Checked,
    Explained,
    Hypothesis,
    Remedy,
    RuledOut,
    Status,
    Symptom,
    Verdict,
)
from ruleout.hypotheses._propose import Candidate, Numbered

DECISION = 0.5
"""Probability at which a hypothesis is called the cause."""

LISTED = 0.002
"""Hypotheses below this are not worth a line."""

_CONFIRMING = {"repair_replay", "surrogate_replay", "version_swap", "trace_replay", "damage_replay"}


def rank(
    candidates: Sequence[Candidate],
    checked: Sequence[Checked],
    symptom: Symptom,
    changes: Mapping[tuple[str, str, tuple[str, ...]], str],
) -> tuple[Hypothesis, ...]:
    """Hypotheses, likeliest first; `changes` names the aligned change of a candidate's key."""
    ordered = sorted(candidates, key=lambda c: (-c.probability, c.key))
    kept = [c for i, c in enumerate(ordered) if i < 3 or c.probability >= LISTED]
    told = [_hypothesis(i + 1, c, checked, symptom, changes.get(c.key)) for i, c in enumerate(kept)]
    # Of many equals none is likely, and yet one of them it is.
    spread = sum(h.probability for h in told) >= DECISION
    open_ = 0.5 * told[0].probability if spread else 1.0
    return tuple(
        replace(h, status="possible") if h.status == "ruled_out" and h.probability >= open_ else h
        for h in told
    )


def _hypothesis(
    place: int,
    candidate: Candidate,
    checked: Sequence[Checked],
    symptom: Symptom,
    change: str | None,
) -> Hypothesis:
    mode = modes.mode(candidate.mode)
    heard = {k: v for k, v in candidate.weights.items() if k.startswith("E")}
    return Hypothesis(
        rank=place,
        failure_mode=candidate.mode,
        layer=mode.layer,
        subject=candidate.subject,
        probability=candidate.probability,
        status=_status(candidate),
        explained=within(candidate.explained),
        evidence_for=tuple(k for k, v in heard.items() if v > 0),
        evidence_against=tuple(k for k, v in heard.items() if v < 0),
        not_checked=tuple(dict.fromkeys(_blind_spots(candidate.mode, checked))),
        onset=candidate.onset or symptom.onset,
        change=change,
        chain=_chain(candidate, symptom),
        remedies=_remedies(candidate, symptom),
        weights=dict(candidate.weights),
    )


def within(told: Explained | None) -> Explained | None:
    """What was explained, as a share: undoing that makes matters worse takes nothing away."""
    if told is None:
        return None
    fraction, low, high = (min(max(v, 0.0), 1.0) for v in (told.fraction, told.low, told.high))
    return replace(told, fraction=fraction, low=low, high=high)


def _status(candidate: Candidate) -> Status:
    told = candidate.explained
    if candidate.probability < 0.005:
        return "ruled_out"
    if (
        told
        and told.method in _CONFIRMING
        and told.fraction >= 0.5
        and told.low >= 0.2
        and candidate.probability >= 0.3
    ):
        return "confirmed"
    return "supported" if candidate.probability >= 0.1 else "possible"


_KINDS_OF_INPUT = ("data.columns.image", "data.columns.text", "data.columns.embedding")


def _blind_spots(mode: str, checked: Sequence[Checked]) -> list[str]:
    """What would let checks look for this mode that could not; a kind of input that is not there is no gap."""
    return [
        outcome.needs
        for done in checked
        for outcome in done.outcomes
        if isinstance(outcome, Abstained)
        and mode in outcome.modes
        and outcome.needs
        and outcome.needs not in _KINDS_OF_INPUT
    ]


def _chain(candidate: Candidate, symptom: Symptom) -> tuple[str, ...]:
    """How the fault reaches the symptom, by names of the incident."""
    if not candidate.subject.names or symptom.metric is None:
        return ()
    middle = ("prediction",) if candidate.subject.kind == "feature" else ()
    return (candidate.subject.names[0], *middle, symptom.metric)


def _remedies(candidate: Candidate, symptom: Symptom) -> tuple[Remedy, ...]:
    told, gain = candidate.explained, None
    if told is not None and symptom.change is not None:
        gain = -symptom.change * max(0.0, told.fraction)
    out = modes.mode(candidate.mode).advice(candidate.subject.names, candidate.subject.kind)
    return tuple(
        Remedy(r.kind, r.action, r.reversible, gain if r.kind == "mitigate" and i == 0 else None)
        for i, r in enumerate(out)
    )


def verdict(hypotheses: Sequence[Hypothesis]) -> Verdict:
    """`no_incident` if a null leads and decides, `cause_found` if a fault does, else `inconclusive`."""
    if not hypotheses or hypotheses[0].probability < DECISION:
        return "inconclusive"
    return "no_incident" if hypotheses[0].layer == "none" else "cause_found"


def ruled_out(
    candidates: Sequence[Candidate], rows: Sequence[Numbered], named: Collection[str] = ()
) -> tuple[RuledOut, ...]:
    """Modes that a check looked for and did not find, and candidates that the evidence sank.

    Modes in `named` are hypotheses still and stay out of the list.
    """
    alive = {c.mode for c in candidates if c.probability >= LISTED} | set(named)
    because: dict[str, list[str]] = {}
    for row in rows:
        if row.clear is not None:
            for mode in row.clear.modes:
                because.setdefault(mode, []).append(row.evidence.id)
    out = [
        RuledOut(mode, None, tuple(names[:6]))
        for mode, names in because.items()
        if mode not in alive
    ]
    listed = {r.failure_mode for r in out}
    for candidate in sorted(candidates, key=lambda c: c.key):
        sunk = [k for k, v in candidate.weights.items() if k.startswith("E") and v < -1]
        if (
            candidate.probability < LISTED
            and sunk
            and candidate.mode not in listed
            and candidate.mode not in alive
        ):
            out.append(RuledOut(candidate.mode, candidate.subject, tuple(sunk)))
    return tuple(sorted(out, key=lambda r: r.failure_mode))
