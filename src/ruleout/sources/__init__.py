"""Where evidence comes from: tables, changes, probes, models and telemetry, each as a polars frame."""

from ruleout.sources._changes import KINDS, Change, load_changes
from ruleout.sources._files import readable
from ruleout.sources._fingerprint import fingerprint, input_files
from ruleout.sources._probes import check_keys, load_audit, load_golden, load_parity
from ruleout.sources._reasons import steady
from ruleout.sources._tables import (
    TableSource,
    open_table,
    reference_and_current,
    tables_found,
    with_task,
)
from ruleout.sources._time import epoch_expression, epoch_seconds

__all__ = [
    "KINDS",
    "Change",
    "TableSource",
    "check_keys",
    "epoch_expression",
    "epoch_seconds",
    "fingerprint",
    "input_files",
    "load_audit",
    "load_changes",
    "load_golden",
    "load_parity",
    "open_table",
    "readable",
    "reference_and_current",
    "steady",
    "tables_found",
    "with_task",
]
