"""Undoing renamed or permuted codes, and exchanged columns."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.inputs.swaps import crossed
from ruleout.experiments._undone import Undone
from ruleout.profile import Case, text_series


@repair("recode", undoes=("category_recode", "time_shift"))
def recode(case: Case, plan: RepairPlan) -> Undone:
    """Give each current code the name of the reference code that its rows look like."""
    name, rows = plan.subject.names[0], case.scope_rows(plan.scope)
    mapping: dict[str, str] = dict(plan.options["mapping"])
    series = case.current.frame.get_column(name)
    if case.kind(name) == "categorical":
        text = text_series(case.current.frame, name)
        mapped = _where(rows, text.replace(mapping), text)
        dtype = case.reference.frame.schema.get(name, pl.String)
        return Undone(features={name: _as(mapped, dtype).alias(name)})
    numbers = case.current.numeric(name)
    out = numbers.copy()
    for now, was in mapping.items():
        out[rows & (numbers == float(now))] = float(was)
    return Undone(
        features={name: pl.Series(name, out).fill_nan(None).cast(series.dtype, strict=False)}
    )


def _where(
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]], new: pl.Series, old: pl.Series
) -> pl.Series:
    return new.zip_with(pl.Series(rows), old)


def _as(text: pl.Series, dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Text back in the reference's type; booleans by name, everything else stays text."""
    if dtype == pl.Boolean:
        return text.replace_strict(
            {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
        )
    if dtype.is_numeric():
        return text.cast(pl.Float64, strict=False).cast(dtype, strict=False)
    return text


@repair("exchange", undoes=("feature_swap",))
def exchange(case: Case, plan: RepairPlan) -> Undone:
    """Put two columns back in each other's place, in the affected rows; with `options["crossed"]`, in those that show it."""
    first, second = plan.subject.names
    rows = case.scope_rows(plan.scope)
    if plan.options.get("crossed"):
        rows = rows & crossed(case, first, second)
    frame = case.current.frame
    a, b = frame.get_column(first), frame.get_column(second)
    if a.dtype.is_numeric() and b.dtype.is_numeric():
        x, y = case.current.numeric(first), case.current.numeric(second)
        pair = np.where(rows, y, x), np.where(rows, x, y)
        return Undone(
            features={
                n: pl.Series(n, v).fill_nan(None)
                for n, v in zip((first, second), pair, strict=True)
            }
        )
    x_text, y_text = text_series(frame, first), text_series(frame, second)
    return Undone(
        features={
            first: _where(rows, y_text.alias(first), x_text.alias(first)),
            second: _where(rows, x_text.alias(second), y_text.alias(second)),
        }
    )
