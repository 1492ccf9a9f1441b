"""Where evidence comes from: tables, changes, probes, models and telemetry, each as a polars frame."""

from ruleout.sources._files import readable
from ruleout.sources._tables import TableSource, open_table, reference_and_current, with_task
from ruleout.sources._time import epoch_expression, epoch_seconds

__all__ = [
    "TableSource",
    "epoch_expression",
    "epoch_seconds",
    "open_table",
    "readable",
    "reference_and_current",
    "with_task",
]
