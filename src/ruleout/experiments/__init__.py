"""Undoing things: repairs, replay, joint causes."""

from ruleout.experiments._charts import Tried, charts
from ruleout.experiments._replay import explain, replayed_outputs
from ruleout.experiments._residual import repaired_case, shapley_pair
from ruleout.experiments._subjects import subject_charts
from ruleout.experiments._undo import Bench
from ruleout.experiments._undone import Undone

__all__ = [
    "Bench",
    "Tried",
    "Undone",
    "charts",
    "explain",
    "repaired_case",
    "replayed_outputs",
    "shapley_pair",
    "subject_charts",
]
