"""Rung 1 of the ladder: is there an incident?"""

from ruleout.checks.symptom._asked import SHIFT, answer_values
from ruleout.checks.symptom._block import as_symptom, immature_rows, label_state
from ruleout.checks.symptom._measure import (
    Change,
    block_sums,
    measure,
    onset,
    onset_of,
    smallest_harm,
    symptom_metric,
)

__all__ = [
    "SHIFT",
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
