"""A second cause, found once the first had been undone, takes its place in the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ruleout import modes
from ruleout._records import Explained
from ruleout.experiments import shapley_pair
from ruleout.hypotheses._propose import Candidate, Numbered

SURE = 0.5
"""Probability at which the second pass's leader is taken for a cause of its own."""

_TIED, _SOME = 0.35, 0.75
"""Or this much of its own, where some fault or other has that much: two that cannot be told apart share it."""

_MOST = 0.8
"""Probability of the first cause, again, beyond which nothing of the second pass is trusted."""


def join_second(
    lead: Candidate,
    candidates: list[Candidate],
    rows: list[Numbered],
    again: Sequence[Candidate],
    more: Sequence[Numbered],
) -> None:
    """Add the leader of the second pass, with the evidence it stands on, if it is another cause.

    Both are root causes then, each with a probability of its own; what they explain is shared out by
    Shapley values over the two repairs.
    """
    others = [c for c in again if not _same(c, lead)]
    second = max(others, key=lambda c: c.probability, default=None)
    if second is None or modes.mode(second.mode).is_null:
        return
    # What the first left behind where it was undone incompletely is no cause of its own.
    rest = 1 - min(_MOST, sum(c.probability for c in again if _same(c, lead)))
    told = sum(c.probability for c in others if not modes.mode(c.mode).is_null)
    if second.probability < SURE * rest and not (
        told >= _SOME * rest and second.probability >= _TIED * rest
    ):
        return
    second.probability = min(1.0, second.probability / rest)
    alone = next((c for c in candidates if c.key == second.key), None)
    _share_out(lead, alone, second)
    second.probability *= lead.probability
    if alone is not None:
        second.probability = max(second.probability, alone.probability)
        candidates.remove(alone)
    candidates.append(second)
    heard = set(second.weights)
    rows.extend(_once_undone(row, lead) for row in more if row.evidence.id in heard)


def _same(one: Candidate, lead: Candidate) -> bool:
    return one.key == lead.key or (
        one.mode == lead.mode and bool(set(one.subject.names) & set(lead.subject.names))
    )


def _once_undone(row: Numbered, lead: Candidate) -> Numbered:
    names = ", ".join(lead.subject.names)
    told = f"once {lead.mode.replace('_', ' ')}{' of ' + names if names else ''} is undone: {row.evidence.statement}"
    return Numbered(replace(row.evidence, statement=told), row.finding, row.clear)


def _share_out(lead: Candidate, alone: Candidate | None, second: Candidate) -> None:
    first, rest = lead.explained, second.explained
    if first is None or rest is None:
        return
    together = first.fraction + (1 - first.fraction) * rest.fraction
    by_itself = (
        alone.explained.fraction
        if alone is not None and alone.explained
        else together - first.fraction
    )
    one, two = shapley_pair(first.fraction, by_itself, together)
    lead.explained = _moved(first, one)
    second.explained = _moved(rest, two)


def _moved(told: Explained, fraction: float) -> Explained:
    """The same interval's width around the shared fraction."""
    low, high = fraction - (told.fraction - told.low), fraction + (told.high - told.fraction)
    bounded = [min(1.0, max(-1.0, v)) for v in (fraction, low, high)]
    return Explained(bounded[0], bounded[1], bounded[2], told.method)
