"""Undoing stale values: put them back to their rows, or predict them from the rest of the row."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Undone
from ruleout.experiments.repairs.restore_defaults import impute
from ruleout.profile import Case


@repair("shift_rows", undoes=("stale_features",))
def shift_rows(case: Case, plan: RepairPlan) -> Undone:
    """Give each row the value that arrived `rows` later; the last rows, whose values never came, are left out."""
    name, late = plan.subject.names[0], int(plan.options["rows"])
    series = case.current.frame.get_column(name)
    keep = np.ones(len(series), dtype=bool)
    keep[len(series) - late :] = False
    moved = pl.concat([series[late:], series[:late]])
    return Undone(features={name: moved}, keep=keep)


@repair("reimpute", undoes=("stale_features", "train_serve_skew", "target_leakage"))
def reimpute(case: Case, plan: RepairPlan) -> Undone:
    """Predict the value from the rest of its row, as learned on the reference."""
    rows = case.scope_rows(plan.scope)
    filled = {name: impute(case, name, rows) for name in plan.subject.names}
    return Undone(features=filled, method="surrogate_replay")
