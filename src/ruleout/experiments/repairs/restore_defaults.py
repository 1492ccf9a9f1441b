"""Undoing lost values: leave the hit rows out, or lose the same values in the reference."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Damaged, Undone, damaged_rows
from ruleout.profile import Case, Which, text_series

_ENOUGH = 0.04
"""Share of rows that must be left for the metric of the spared rows to speak for all ..."""

_ENOUGH_ROWS = 150
"""... and their least number."""


_HARDLY = 0.01
"""Where so few rows ever held these defaults at once, those that do are hit wherever they are."""

_USUAL = 0.2
"""Where so many rows hold the default rightly, the hit rows cannot be told from them."""


@repair(
    "restore_defaults",
    undoes=(
        "silent_nulls",
        "join_loss",
        "fallback_overload",
        "stale_features",
        "schema_change",
        "malformed_artifact",
    ),
)
def restore_defaults(case: Case, plan: RepairPlan) -> Undone:
    """Keep the rows that were spared, where there are enough; else do the same to the reference.

    The subject's names and `options["values"]` (the default of each as text, `null` for missing)
    say which values are lost.
    """
    lost = list(zip(plan.subject.names, plan.options["values"], strict=True))
    held = [holds(case, name, value) for name, value in lost]
    usual = float(plan.options.get("before", 0.0))
    hit = np.any(held, axis=0) & case.scope_rows(plan.scope)
    together = np.all([holds(case, name, value, "reference") for name, value in lost], axis=0)
    if float(together.mean()) <= _HARDLY:
        hit |= np.all(held, axis=0)  # where a beginning was placed too late
    share = float(hit.mean())
    spared = int((~hit).sum())
    if usual <= _USUAL and spared >= max(_ENOUGH * len(hit), _ENOUGH_ROWS):
        return Undone(keep=~hit, method="exclusion")
    rows = damaged_rows(case)
    spoilt = {name: constant(case, name, value, rows) for name, value in lost}
    return Undone(damaged=Damaged(rows, spoilt, share, hit), method="damage_replay")


def constant(case: Case, name: str, value: str, rows: NDArray[np.int64]) -> pl.Series:
    """The reference's column in the given rows, with every value lost to the default."""
    dtype = case.reference.frame.schema[name]
    told = None if value == "null" else "" if value == '""' else value
    text = pl.Series(name, [told] * len(rows), dtype=pl.String)
    if dtype == pl.Boolean:
        return text.replace_strict({"true": True, "false": False}, default=None, return_dtype=dtype)
    if dtype.is_numeric():
        return text.cast(pl.Float64, strict=False).cast(dtype, strict=False)
    return text if dtype == pl.String else text.cast(dtype, strict=False)


def holds(case: Case, name: str, value: str, which: Which = "current") -> NDArray[np.bool_]:
    """Rows of a window in which an input holds a default, written as text."""
    if case.kind(name) in ("numeric", "datetime"):
        numbers = case.table(which).numeric(name)
        if value == "null":
            return np.asarray(~np.isfinite(numbers))
        return np.asarray(np.isclose(numbers, float(value), rtol=1e-5, atol=0.0))
    text = text_series(case.table(which).frame, name)
    if value == "null":
        return np.asarray(text.is_null().to_numpy())
    wanted = "" if value == '""' else value
    return np.asarray((text == wanted).fill_null(value=False).to_numpy())
