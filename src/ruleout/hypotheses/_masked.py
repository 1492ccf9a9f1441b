"""Two faults that hide each other: undoing either alone restores nothing, undoing both does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from ruleout._records import Explained, RepairPlan
from ruleout.experiments import shapley_pair
from ruleout.hypotheses._propose import Candidate

Together = Callable[[RepairPlan, RepairPlan], Explained | None]

_STRONG = 0.0
"""Log-odds, before any undoing, from which a candidate's own signs are strong enough to try."""

_MOST = 4
_GAIN = 0.25
"""Both together must explain this much more than the better of the two."""


def unmask(candidates: Sequence[Candidate], together: Together) -> None:
    """Give two candidates their Shapley shares where only undoing both takes the symptom away.

    Tried on the few best-marked candidates whose own repair falls short.
    """
    marked = [
        c
        for c in candidates
        if c.undone_by is not None
        and c.explained is not None
        and c.explained.fraction < 0.6
        and c.logit > _STRONG
    ]
    marked.sort(key=lambda c: (-c.logit, c.key))
    best: tuple[float, Candidate, Candidate, Explained] | None = None
    for one, two in combinations(marked[:_MOST], 2):
        if (
            one.undone_by is None
            or two.undone_by is None
            or set(one.subject.names) & set(two.subject.names)
        ):
            continue
        both = together(one.undone_by, two.undone_by)
        alone = max(c.explained.fraction for c in (one, two) if c.explained is not None)
        if (
            both is not None
            and both.low > 0
            and both.fraction > alone + _GAIN
            and (best is None or both.fraction > best[0])
        ):
            best = both.fraction, one, two, both
    if best is not None:
        _share(best[1], best[2], best[3])


def _share(one: Candidate, two: Candidate, both: Explained) -> None:
    first, second = (c.explained.fraction if c.explained is not None else 0.0 for c in (one, two))
    for candidate, share in zip(
        (one, two), shapley_pair(first, second, both.fraction), strict=True
    ):
        part = max(-1.0, min(1.0, share))
        scale = part / both.fraction if both.fraction else 0.0
        candidate.explained = Explained(
            part, both.low * scale, min(1.0, both.high * scale), both.method
        )
