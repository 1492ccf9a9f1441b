"""Undoing stale values: put them back to their rows, or make the reference as stale."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Damaged, Undone, damaged_rows
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


@repair("relink", undoes=("stale_features", "train_serve_skew", "target_leakage"))
def relink(case: Case, plan: RepairPlan) -> Undone:
    """Cut the reference's values off from their rows too: they are shuffled, as stale ones are to their rows."""
    rows = damaged_rows(case)
    rng = case.rng("relink " + " ".join(plan.subject.names))
    order = rng.permutation(len(rows))
    frame = case.reference.frame
    shuffled = {name: frame.get_column(name)[rows][order] for name in plan.subject.names}
    share = float(case.scope_rows(plan.scope).mean())
    return Undone(damaged=Damaged(rows, shuffled, share), method="damage_replay")
