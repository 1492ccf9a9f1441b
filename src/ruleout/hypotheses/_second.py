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
    second = max(again, key=lambda c: c.probability, default=None)
    if second is None or second.probability < SURE or modes.mode(second.mode).is_null:
        return
    if second.key == lead.key or (
        second.mode == lead.mode and set(second.subject.names) & set(lead.subject.names)
    ):
        return
    alone = next((c for c in candidates if c.key == second.key), None)
    _share_out(lead, alone, second)
    second.probability *= lead.probability
    if alone is not None:
        second.probability = max(second.probability, alone.probability)
        candidates.remove(alone)
    candidates.append(second)
    heard = set(second.weights)
    rows.extend(_once_undone(row, lead) for row in more if row.evidence.id in heard)


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
