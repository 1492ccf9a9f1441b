"""Rung 1 of the ladder: is there an incident?"""

from ruleout.checks.symptom._measure import (
    Change,
    answer_values,
    as_symptom,
    block_sums,
    immature_rows,
    label_state,
    measure,
    onset,
    onset_of,
    smallest_harm,
    symptom_metric,
)

__all__ = [
    "Change",
    "answer_values",
    "as_symptom",
    "block_sums",
    "immature_rows",
    "label_state",
    "measure",
    "onset",
    "onset_of",
    "smallest_harm",
    "symptom_metric",
]
