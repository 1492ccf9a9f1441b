"""The first null hypothesis: nothing happened that chance does not do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.symptom._asked import SHIFT, instead, unmeasured
from ruleout.checks.symptom._measure import ALPHA, Change, measure, smallest_harm
from ruleout.profile import Case

_LIKE_CHANCE = 0.3
"""p-value from which a shift of the answers is all that chance would give."""


_SHORT, _REST = 0.35, math.log(50.0)
"""Strength of rest where a change is just short of significant, and how many times likelier by chance one must be to
speak for rest in full."""


@check("metric_change", layer="none", rung="symptom", looks_for=("random_fluctuation",))
def metric_change(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did the metric get worse by more than its own usual variation?

    Block bootstrap by time in both windows (Kuensch, 1989); a change below one point (or 3% of an
    error) is none at any sample size, so that a verdict does not flip with the number of rows.
    """
    del rng
    found = measure(case)
    if not math.isfinite(found.p_value):
        why, needs = unmeasured(case)
        yield Abstained(("random_fluctuation",), why, needs)
        return
    least = smallest_harm(found.metric, found.reference)
    aside = instead(case, found.metric)
    told = f"{_moved(found)}; {aside}" if aside else _moved(found)
    if found.significant:
        yield Clear(("random_fluctuation",), Subject(), told, least, "metric_change")
        return
    # A change just short of being significant is weak evidence of rest: faults that hurt little leave such ones too.
    sure = _SHORT + (1 - _SHORT) * min(1.0, math.log(max(found.p_value / ALPHA, 1.0)) / _REST)
    if found.metric.name == SHIFT:
        # What few answers turned is lost in the scatter of all: only a shift like chance's own speaks for chance.
        sure = min(1.0, found.p_value / _LIKE_CHANCE)
    # Answers may be wrong and distributed as ever: without labels their rest says less.
    yield Finding(
        "answers.steady" if found.metric.name == SHIFT else "metric_change.none",
        Subject(),
        f"{told}{'; that is' if aside else ':'} no worse than usual",
        found.change,
        abs(found.harm),
        found.p_value,
        sure,
        ("random_fluctuation",),
    )


def _moved(found: Change) -> str:
    """The change in words, with its interval."""
    name = found.metric.name.replace("_", " ")
    much = f"(change {found.change:+.3g}, 95% interval {found.low:+.3g} to {found.high:+.3g})"
    if found.metric.name == SHIFT:
        return f"{name} is {found.current:.4g}, by chance it would be {found.reference:.4g} {much}"
    return f"{name} went from {found.reference:.4g} to {found.current:.4g} {much}"
