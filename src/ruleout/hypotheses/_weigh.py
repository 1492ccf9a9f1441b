"""From evidence to probability: sums of weights, one readable row each, then a softmax with an unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ruleout import modes
from ruleout._records import Subject
from ruleout.hypotheses._calibration import load_calibration
from ruleout.hypotheses._propose import Candidate, Numbered, touches
from ruleout.hypotheses._weights import AGAINST, CLEAR, LIKE, SUPPORT, load_weights, worth

ENTRY = -5.0
"""Log-odds of any one (mode, subject) pair against "something else", before its prior and evidence."""


def weigh(candidates: Sequence[Candidate], rows: Sequence[Numbered]) -> float:
    """Set weights, logits and probabilities of the candidates; return the mass on "something else".

    Of several findings of one signal, a hypothesis hears the strongest only: they are rarely
    independent.
    """
    for candidate in candidates:
        _sum(candidate, rows)
    idle = _idle(candidates)
    for candidate in candidates:
        if candidate.mode in _OF_POPULATION:
            _forget(candidate, idle)
    proof = _proof(candidates)
    for candidate in candidates:
        table = None if proof is None or candidate is proof else _besides(proof, candidate)
        if table is not None:
            candidate.weights["elsewhere"] = load_weights()[table]["restores"]
            candidate.logit += candidate.weights["elsewhere"]
    probabilities, rest = load_calibration().spread(np.array([c.logit for c in candidates]))
    for candidate, probability in zip(candidates, probabilities, strict=True):
        candidate.probability = float(probability)
    return rest


_OF_POPULATION = frozenset({"covariate_shift", "selection_bias", "benign_mix"})
"""What also happens beside a fault of the inputs that did no harm."""


def _idle(candidates: Sequence[Candidate]) -> set[str]:
    """Evidence for hypotheses that were undone and explained nothing, and for no other that was undone."""
    failed, held = set[str](), set[str]()
    for candidate in candidates:
        undone = undo_term(candidate)
        if undone is not None:
            spoke = {name for name, nats in candidate.weights.items() if nats > 0}
            (failed if undone[1] == "fails" and undone[2] == 1.0 else held).update(spoke)
    return failed - held


def _forget(candidate: Candidate, idle: set[str]) -> None:
    """Drop what spoke against a candidate by naming a cause that turned out to explain nothing."""
    for name in [n for n, nats in candidate.weights.items() if nats < 0 and n in idle]:
        candidate.logit -= candidate.weights.pop(name)


_LOOKS_ALIKE = frozenset(
    {
        "concept_drift", "corrupted_labels", "label_noise", "evaluation_bug", "covariate_shift", "model_staleness",
        "adversarial_shift", "selection_bias", "feedback_loop",
    }
)  # fmt: skip
"""What broken inputs or answers look like to checks that compare labels with inputs as they were logged."""

_AUDIT, _OF_LABELS = "label_audit", ("concept_drift",)
"""What is found by looking at labels again bears on any change of what labels follow from, whichever input it names."""

_REPLAYED = ("repair_replay", "surrogate_replay", "version_swap")
_FITTED = ("category_recode",)
"""Repairs that may have been fitted to the labels and prove nothing about them."""


def _proof(candidates: Sequence[Candidate]) -> Candidate | None:
    """A hypothesis whose undoing, replayed, brings the whole metric back, if there is one.

    The labels then go with the repaired rows as they always did.
    """
    proven = [
        c
        for c in candidates
        if c.explained is not None
        and c.explained.method in _REPLAYED
        and c.explained.fraction >= 0.85
        and c.explained.low >= 0.75
        and c.mode not in (*_LOOKS_ALIKE, *_FITTED)
    ]
    return max(proven, key=lambda c: c.logit, default=None)


def _besides(proof: Candidate, candidate: Candidate) -> str | None:
    """The table of what a proof by undoing leaves another hypothesis; None where it leaves it alone.

    Nothing is over while what brought the metric down goes on in all rows.
    """
    if candidate.mode in _LOOKS_ALIKE:
        return "undo.elsewhere"
    scope = None if proof.undone_by is None else proof.undone_by.scope
    lasts = scope is not None and scope.until is None and scope.column is None
    return "undo.lasting" if lasts and candidate.mode == "already_recovered" else None


def _sum(candidate: Candidate, rows: Sequence[Numbered]) -> None:
    candidate.weights = {"prior": prior(candidate.mode)}
    by_signal: dict[tuple[str, bool], tuple[float, str]] = {}
    for term in heard(candidate, rows):
        nats = term.strength * worth(term.signal, candidate.mode, term.default)
        key = (term.signal, nats > 0)
        if nats and abs(nats) > abs(by_signal.get(key, (0.0, ""))[0]):
            by_signal[key] = (nats, term.evidence)
    for nats, name in by_signal.values():
        candidate.weights[name] = nats
    undone = undo_weight(candidate)
    if undone:
        candidate.weights["undo"] = undone
    candidate.logit = sum(candidate.weights.values())


def prior(mode: str) -> float:
    """Log-odds of a hypothesis before anything was heard of it."""
    return ENTRY + modes.mode(mode).prior


@dataclass(frozen=True, slots=True)
class Term:
    """One outcome as a candidate hears it."""

    evidence: str
    signal: str
    """The finding's; `clear.` and the check's for a clear."""

    strength: float
    default: float
    """Nats at full strength where the weights say nothing of the signal and the mode."""


def heard(candidate: Candidate, rows: Sequence[Numbered]) -> Iterator[Term]:
    """The outcomes that bear on a candidate, by its mode and by its subject."""
    mode = candidate.mode
    for row in rows:
        evidence = row.evidence
        if row.clear is not None:
            if mode in row.clear.modes and _cleared(evidence.subject, candidate.subject):
                yield Term(evidence.id, f"clear.{evidence.signal}", evidence.strength, CLEAR)
            continue
        supports = mode in evidence.supports
        looked_at = evidence.check == _AUDIT and mode in _OF_LABELS
        about = (candidate.subject, *candidate.known_as)
        bears = (
            any(_same(evidence.subject, s) for s in about)
            if supports
            else _speaks_of(evidence.subject, candidate.subject)
        )
        if looked_at or bears:
            against = {mode, LIKE.get(mode, mode)} & set(evidence.against)
            default = SUPPORT if supports else AGAINST if against else 0.0
            yield Term(evidence.id, evidence.signal, evidence.strength, default)


def _speaks_of(about: Subject, subject: Subject) -> bool:
    """Broken inputs part labels from what inputs say of them: that bears on the labels, whichever input it is."""
    return subject.kind == "label" or touches(about, subject)


def _same(a: Subject, b: Subject) -> bool:
    return not a.names or set(a.names) == set(b.names)


def _cleared(cleared: Subject, subject: Subject) -> bool:
    """A clear about one subject says nothing of the others; one about none speaks for all."""
    return not cleared.names or set(subject.names) <= set(cleared.names)


def undo_weight(candidate: Candidate) -> float:
    """What the replay of the repair is worth, in nats: much if it restores the metric, dear if not."""
    term = undo_term(candidate)
    return 0.0 if term is None else load_weights()[term[0]][term[1]] * term[2]


def undo_term(candidate: Candidate) -> tuple[str, str, float] | None:
    """The replay as evidence: its table of weights, `restores` or `fails`, and how strongly."""
    told = candidate.explained
    if told is None:
        return None
    # The most particular table there is: of the method and mode, of the method, of any undoing.
    tables = (f"undo.{told.method}.{candidate.mode}", f"undo.{told.method}")
    table = next((t for t in tables if t in load_weights()), "undo")
    sure = max(0.0, min(1.0, (told.low + 0.1) / 0.5)) if told.fraction > 0.1 else 0.0
    if told.fraction >= 0.1:
        return table, "restores", min(1.0, told.fraction / 0.8) * (0.4 + 0.6 * sure)
    return table, "fails", 1.0 if told.high < 0.3 else 0.4
