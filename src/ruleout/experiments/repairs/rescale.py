"""Undoing an affine map, and what can be undone of lost resolution."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Undone
from ruleout.experiments.repairs.restore_defaults import impute
from ruleout.profile import Case
from ruleout.stats._relation import likely_other


def replaced(
    case: Case, name: str, values: NDArray[np.float64], rows: NDArray[np.bool_]
) -> pl.Series:
    """The numeric column `name` with `values` in the masked rows; its type is kept where it fits."""
    series = case.current.frame.get_column(name)
    merged = np.where(rows, values, case.current.numeric(name))
    if series.dtype.is_temporal():
        stamps = pl.Series(name, np.round(merged * 1e6), strict=False).cast(pl.Int64, strict=False)
        return stamps.cast(pl.Datetime("us")).dt.replace_time_zone(
            getattr(series.dtype, "time_zone", None)
        )
    if series.dtype.is_integer() and np.allclose(
        merged[np.isfinite(merged)], np.round(merged[np.isfinite(merged)])
    ):
        return pl.Series(name, merged).fill_nan(None).cast(series.dtype, strict=False)
    return pl.Series(name, merged).fill_nan(None)


@repair("rescale", undoes=("unit_change", "time_shift", "partial_batch"))
def rescale(case: Case, plan: RepairPlan) -> Undone:
    """Map the affected rows back: (value - offset) / slope."""
    slope, offset = float(plan.options["slope"]), float(plan.options["offset"])
    out = {}
    for name in plan.subject.names:
        values = case.current.numeric(name)
        rows = case.scope_rows(plan.scope)
        if "share" in plan.options:
            rows = rows & likely_other(
                case.reference.numeric(name), slope, float(plan.options["share"]), values
            )
        if case.kind(name) == "datetime":
            # The relation was found on ages, which run against the clock.
            out[name] = replaced(case, name, values + offset, rows)
        else:
            out[name] = replaced(case, name, (values - offset) / slope, rows)
    return Undone(features=out)


@repair("restore_resolution", undoes=("precision_loss",))
def restore_resolution(case: Case, plan: RepairPlan) -> Undone:
    """Draw what was lost from the reference: the tail beyond a clip, or the values inside a grid cell.

    The rows' own values are gone; a draw that agrees with the other inputs is the nearest thing, so
    values are predicted from them and held to the side of the bound or the cell they came from.
    """
    name = plan.subject.names[0]
    values, rows = (
        case.current.numeric(name),
        case.scope_rows(plan.scope) & np.isfinite(case.current.numeric(name)),
    )
    if plan.options["kind"] == "clip":
        bound = float(plan.options["bound"])
        rows &= values == bound
        guess = _numbers(impute(case, name, rows))
        tail = case.reference.numeric(name)
        upper = bool(plan.options["upper"])
        tail = tail[(tail >= bound) if upper else (tail <= bound)]
        middle = float(np.median(tail)) if len(tail) else bound
        guess = np.where((guess > bound) if upper else (guess < bound), guess, middle)
    else:
        step = float(plan.options["step"])
        rows &= np.abs(values / step - np.round(values / step)) < 1e-6
        guess = np.clip(_numbers(impute(case, name, rows)), values - step / 2, values + step / 2)
    return Undone(features={name: replaced(case, name, guess, rows)}, method="surrogate_replay")


def _numbers(series: pl.Series) -> NDArray[np.float64]:
    return np.asarray(series.cast(pl.Float64).to_numpy(), dtype=float)
