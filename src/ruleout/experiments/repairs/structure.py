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
    """Fill an emptied column from the one that has taken its place, in the old type.

    Raises:
        ModelError: when the new column's values cannot be read in the old type.
    """
    name, source = plan.subject.names[0], str(plan.options["from"])
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
    return Undone(features={name: filled}, keep=np.asarray(filled.is_not_null().to_numpy()))
