"""The first null hypothesis: nothing happened that chance does not do."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.symptom._measure import ALPHA, measure, smallest_harm
from ruleout.profile import Case


@check("metric_change", layer="none", rung="symptom", looks_for=("random_fluctuation",))
def metric_change(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did the metric get worse by more than its own usual variation?

    Block bootstrap by time in both windows (Kuensch, 1989); a change below one point (or 3% of an
    error) is none at any sample size, so that a verdict does not flip with the number of rows.
    """
    del rng
    found = measure(case)
    name = found.metric.name.replace("_", " ")
    if not math.isfinite(found.p_value):
        yield Abstained(
            ("random_fluctuation",), "the metric cannot be computed in both windows", "labels"
        )
        return
    least = smallest_harm(found.metric, found.reference)
    told = (
        f"{name} went from {found.reference:.4g} to {found.current:.4g} "
        f"(change {found.change:+.3g}, 95% interval {found.low:+.3g} to {found.high:+.3g})"
    )
    if found.significant:
        yield Clear(("random_fluctuation",), Subject(), told, least, "metric_change")
        return
    # A change just short of being significant is weak evidence of rest.
    sure = min(1.0, 0.75 + 0.25 * min(1.0, found.p_value / (10 * ALPHA)))
    # Answers may be wrong and distributed as ever: without labels their rest says less.
    yield Finding(
        "answers.steady" if found.metric.name == "output_shift" else "metric_change.none",
        Subject(),
        f"{told}: no worse than usual",
        found.change,
        abs(found.harm),
        found.p_value,
        sure,
        ("random_fluctuation",),
    )
