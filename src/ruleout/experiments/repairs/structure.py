"""Undoing changes of the table itself."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._errors import ModelError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.inputs.structure import repeated
from ruleout.experiments._undone import Undone
from ruleout.profile import Case


@repair("drop_repeats", undoes=("join_fanout",))
def drop_repeats(case: Case, plan: RepairPlan) -> Undone:
    """Keep the first row of every key."""
    del plan
    return Undone(keep=~repeated(case, "current"))


@repair("rename_column", undoes=("schema_change",))
def rename_column(case: Case, plan: RepairPlan) -> Undone:
    """Fill emptied columns from those that have taken their place, in the old types.

    `options["from"]` names the successor of each of the subject's columns, in their order.

    Raises:
        ModelError: when a new column's values cannot be read in the old type.
    """
    pairs = zip(plan.subject.names, plan.options["from"], strict=True)
    filled = {name: _filled(case, name, str(source)) for name, source in pairs}
    known = [series.is_not_null().to_numpy() for series in filled.values()]
    return Undone(features=filled, keep=np.all(known, axis=0))


def _filled(case: Case, name: str, source: str) -> pl.Series:
    """One column's current values, and its successor's where it has none."""
    frame = case.current.frame
    dtype = case.reference.frame.schema[name]
    carried = frame.get_column(source)
    if dtype.is_numeric() and not carried.dtype.is_numeric():
        digits = carried.cast(pl.String).str.replace_all(r"[^0-9eE+\-.]", "")
        carried = digits.cast(pl.Float64, strict=False)
    carried = carried.cast(dtype, strict=False).alias(name)
    filled = (
        frame.get_column(name).cast(dtype, strict=False).fill_null(carried)
        if name in frame.columns
        else carried
    )
    if filled.is_null().mean() > 0.5:  # type: ignore[operator]
        raise ModelError(
            f"{source} cannot stand for {name}: most of its values do not read as {dtype}"
        )
    return filled
