"""Giving rows the features that were recomputed for them."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.reproduction.feature_parity import ON_THE_WAY, parity_rows
from ruleout.checks.reproduction.raw_parity import MODES as RAW
from ruleout.experiments._undone import Undone
from ruleout.profile import Case


@repair("parity_values", undoes=(*ON_THE_WAY, *RAW, "fallback_overload", "join_fanout"))
def parity_values(case: Case, plan: RepairPlan) -> Undone:
    """Replay recomputed features of the plan's subject, on the rows that have them.

    Raises:
        RuleoutError: when no recomputed row belongs to a sampled current row.
    """
    joined = parity_rows(case)
    if joined is None or not len(joined.rows):
        raise RuleoutError("no recomputed row belongs to a sampled current row")
    keep = np.zeros(case.current.rows, dtype=bool)
    keep[joined.rows] = True
    out = {}
    for name in plan.subject.names:
        logged = case.current.frame.get_column(name)
        fresh = joined.offline.get_column(name)
        if logged.dtype not in (fresh.dtype, pl.Null):
            kind = (
                pl.Float64
                if logged.dtype.is_numeric() and fresh.dtype.is_numeric()
                else fresh.dtype
            )
            logged, fresh = logged.cast(kind, strict=False), fresh.cast(kind, strict=False)
        elif logged.dtype == pl.Null:
            logged = logged.cast(fresh.dtype)
        out[name] = logged.clone().scatter(joined.rows, fresh)
    return Undone(features=out, keep=keep)
