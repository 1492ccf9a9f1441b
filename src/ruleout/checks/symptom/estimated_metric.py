"""What the metric probably is, while labels are missing.

Rule: where one current row in twenty or more has an answer and no label, the metric is estimated from calibrated scores (classes) or
a learned loss (numbers), and its interval is compared with the reference's metric. It holds while the outcome follows from
inputs and score as before; known labels that contradict this are told beside it. An estimate is no measurement: it accuses
nobody and makes no incident. Reference: Garg et al. (2022); see `stats/_estimate.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.symptom._estimated import PerformanceEstimate, estimate_performance
from ruleout.profile import Case

_MISSING = 0.05
"""Share of the current answers without a label, from which a metric is worth estimating."""


@check(
    "estimated_metric",
    layer="none",
    rung="symptom",
    looks_for=(),
    needs=("data.reference", "data.current", "data.columns.target", "data.columns.prediction"),
)
def estimated_metric(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Estimate the metric where current labels are missing, and compare it with the reference's."""
    del rng  # the case's own, so that `ruleout.attribution.estimate_performance` says the same
    if float(np.isnan(case.loss("current")).mean()) < _MISSING:
        return [Abstained((), "labels are there to measure the metric with")]
    told = estimate_performance(case)
    if told is None or not np.isfinite([told.estimate.low, told.estimate.high]).all():
        return [
            Abstained(
                (),
                f"{case.metric.name} cannot be estimated: it takes scores of two classes (accuracy, precision, recall, F1, AUC) "
                "or numbers (mean absolute error), and 200 labels in the reference",
            )
        ]
    e = told.estimate
    text = (
        f"{told.rows} current labels are missing; with them {told.metric} is estimated at {e.value:.4g} "
        f"[{e.low:.4g}, {e.high:.4g}], it was {told.reference:.4g} in the reference"
        f"{f'; {told.caution}' if told.caution else ''}"
    )
    if not _worse(case, told):
        return [Clear((), Subject(), text, (e.high - e.low) / 2, "estimated_metric.steady")]
    return [
        Finding(
            signal="estimated_metric.worse",
            subject=Subject("metric", (told.metric,)),
            statement=text,
            statistic=e.value,
            effect=e.value - told.reference,
            p_value=None,
            strength=1.0,
            supports=(),
        )
    ]


def _worse(case: Case, told: PerformanceEstimate) -> bool:
    """Whether the whole interval is on the bad side of the reference's metric."""
    if case.metric.higher_is_better:
        return told.estimate.high < told.reference
    return told.estimate.low > told.reference
