"""From sources to a case: samples, profiles, roles of columns, answers and their replay."""

from ruleout.profile._build import build_case
from ruleout.profile._case import (
    DATE_COLUMNS,
    Case,
    ChangeEvent,
    Kind,
    Representation,
    Which,
    scope_mask,
)
from ruleout.profile._clock import iso
from ruleout.profile._generation import PARTS, Role, generation_columns
from ruleout.profile._metric import (
    METRICS,
    Metric,
    known_metric,
    metric_for,
    names_quality,
    row_loss,
    same_metric,
    task_has,
)
from ruleout.profile._outputs import Outputs
from ruleout.profile._predictor import Predictor, decision_threshold
from ruleout.profile._read import ColumnSummary, Profile, read_window
from ruleout.profile._replayer import agreement, model_outputs, spread_rows
from ruleout.profile._table import Table, numeric_array, text_series

__all__ = [
    "DATE_COLUMNS",
    "METRICS",
    "PARTS",
    "Case",
    "ChangeEvent",
    "ColumnSummary",
    "Kind",
    "Metric",
    "Outputs",
    "Predictor",
    "Profile",
    "Representation",
    "Role",
    "Table",
    "Which",
    "agreement",
    "build_case",
    "decision_threshold",
    "generation_columns",
    "iso",
    "known_metric",
    "metric_for",
    "model_outputs",
    "names_quality",
    "numeric_array",
    "read_window",
    "row_loss",
    "same_metric",
    "scope_mask",
    "spread_rows",
    "task_has",
    "text_series",
]
