"""From evidence to probability: sums of weights, one readable row each, then a softmax with an unknown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ruleout import modes
from ruleout._records import Subject
from ruleout.hypotheses._propose import Candidate, Numbered, touches
from ruleout.hypotheses._weights import CLEAR, load_weights, weight

ENTRY = -5.0
"""Log-odds of any one (mode, subject) pair against "something else", before its prior and evidence."""

TEMPERATURE = 1.0


def weigh(candidates: Sequence[Candidate], rows: Sequence[Numbered], unknown: float = 0.0) -> float:
    """Set weights, logits and probabilities of the candidates; return the mass on "something else".

    Of several findings of one signal, a hypothesis hears the strongest only: they are rarely
    independent.
    """
    for candidate in candidates:
        _sum(candidate, rows)
    top = max([unknown, *(c.logit for c in candidates)])
    scale = {id(c): math.exp((c.logit - top) / TEMPERATURE) for c in candidates}
    rest = math.exp((unknown - top) / TEMPERATURE)
    total = rest + sum(scale.values())
    for candidate in candidates:
        candidate.probability = scale[id(candidate)] / total
    return rest / total


def _sum(candidate: Candidate, rows: Sequence[Numbered]) -> None:
    candidate.weights = {"prior": ENTRY + modes.mode(candidate.mode).prior}
    by_signal: dict[tuple[str, bool], tuple[float, str]] = {}
    for row in rows:
        nats = _nats(candidate, row)
        key = (row.evidence.signal, nats > 0)
        if nats and abs(nats) > abs(by_signal.get(key, (0.0, ""))[0]):
            by_signal[key] = (nats, row.evidence.id)
    for nats, name in by_signal.values():
        candidate.weights[name] = nats
    undone = undo_weight(candidate)
    if undone:
        candidate.weights["undo"] = undone
    candidate.logit = sum(candidate.weights.values())


def _nats(candidate: Candidate, row: Numbered) -> float:
    mode, evidence = candidate.mode, row.evidence
    if row.clear is not None:
        return (
            CLEAR
            if mode in row.clear.modes and _cleared(evidence.subject, candidate.subject)
            else 0.0
        )
    supports = mode in evidence.supports
    against = mode in evidence.against
    if supports and not _same(evidence.subject, candidate.subject):
        return 0.0
    if not supports and not touches(evidence.subject, candidate.subject):
        return 0.0
    return evidence.strength * weight(evidence.signal, mode, supports=supports, against=against)


def _same(a: Subject, b: Subject) -> bool:
    return not a.names or set(a.names) == set(b.names)


def _cleared(cleared: Subject, subject: Subject) -> bool:
    """A clear about one subject says nothing of the others; one about none speaks for all."""
    return not cleared.names or set(subject.names) <= set(cleared.names)


def undo_weight(candidate: Candidate) -> float:
    """What the replay of the repair is worth, in nats: much if it restores the metric, dear if not."""
    told = candidate.explained
    if told is None:
        return 0.0
    table = load_weights().get(f"undo.{told.method}") or load_weights()["undo"]
    sure = max(0.0, min(1.0, (told.low + 0.1) / 0.5)) if told.fraction > 0.1 else 0.0
    if told.fraction >= 0.1:
        return table["restores"] * min(1.0, told.fraction / 0.8) * (0.4 + 0.6 * sure)
    hopeless = 1.0 if told.high < 0.3 else 0.4
    return table["fails"] * hopeless
