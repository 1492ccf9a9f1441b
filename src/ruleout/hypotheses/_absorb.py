"""One cause under several subjects is one hypothesis: what each of its signs names, together."""

from __future__ import annotations

from collections.abc import Sequence

from ruleout._records import Subject
from ruleout.hypotheses._propose import Candidate

_NEAR = 1.0
"""Log-odds by which the wider of two may fall short of the narrower and still take it in."""

_ONE = frozenset(
    {
        "embedding_mismatch", "tokenizer_mismatch", "context_truncation", "stale_index", "prompt_change",
        "provider_model_change", "guardrail_overblock",
    }
)  # fmt: skip
"""Modes of one path through which all rows go: columns that show it show the same."""


def absorb(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates, less those that say of a part what another says of the whole; weighed before, to be weighed again.

    A hypothesis about several inputs takes in one of its mode about some of them, unless that is far likelier: then
    the others are no part of it. Of modes that have one path, the likeliest takes in all.
    """
    left = sorted(candidates, key=lambda c: (-c.logit, c.key))
    kept: list[Candidate] = []
    for wide in sorted(left, key=lambda c: (-len(c.subject.names), -c.logit, c.key)):
        if wide not in left:
            continue
        parts = [c for c in left if c is not wide and _part(c, wide)]
        for part in parts:
            left.remove(part)
            _take_in(wide, part)
    for first in left:
        rival = next((k for k in kept if _one_path(k, first)), None)
        if rival is None:
            kept.append(first)
            continue
        names = dict.fromkeys((*rival.subject.names, *first.subject.names))
        _take_in(rival, first)
        rival.subject = Subject(rival.subject.kind, tuple(names))
    return kept


def _part(narrow: Candidate, wide: Candidate) -> bool:
    """Whether one is said of some of the inputs of which the other is said."""
    return (
        narrow.mode == wide.mode
        and narrow.subject.kind == wide.subject.kind
        and 0 < len(narrow.subject.names) < len(wide.subject.names)
        and set(narrow.subject.names) < set(wide.subject.names)
        and wide.logit >= narrow.logit - _NEAR
    )


def _one_path(one: Candidate, other: Candidate) -> bool:
    kinds = {one.subject.kind, other.subject.kind}
    return one.mode == other.mode and one.mode in _ONE and len(kinds) == 1


def _take_in(whole: Candidate, part: Candidate) -> None:
    whole.known_as = (*whole.known_as, whole.subject, part.subject, *part.known_as)
    if not whole.plans:  # undoing a part would pass for undoing the whole
        whole.proposers.extend(p for p in part.proposers if p not in whole.proposers)
