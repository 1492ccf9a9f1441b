"""Missing events cannot be brought back: the reference's sums lose as many."""

from __future__ import annotations

import polars as pl

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Damaged, Undone, damaged_rows
from ruleout.profile import Case
from ruleout.stats._thinning import Thinning, thinned


@repair("thin_out", undoes=("partial_batch", "train_serve_skew"))
def thin_out(case: Case, plan: RepairPlan) -> Undone:
    """Let the reference's values keep a random share of themselves, as the current ones do."""
    rows = damaged_rows(case)
    rng = case.rng("thin_out " + " ".join(plan.subject.names))
    lost = {}
    for name in plan.subject.names:
        part, mean, spread, whole = plan.options[name]
        told = Thinning(part, mean, spread, 0.0, 0.0, whole)
        series = pl.Series(name, thinned(case.reference.numeric(name)[rows], told, rng))
        dtype = case.reference.frame.schema[name]
        lost[name] = series.fill_nan(None).cast(dtype, strict=False)
    share = float(case.scope_rows(plan.scope).mean())
    return Undone(
        damaged=Damaged(rows, lost, share, case.scope_rows(plan.scope)), method="damage_replay"
    )
