"""Undoing an affine map, and what can be undone of lost resolution."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Damaged, Undone, damaged_rows
from ruleout.profile import Case
from ruleout.stats._dial import likely_turned
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


@repair("rescale", undoes=("unit_change", "time_shift", "partial_batch", "train_serve_skew"))
def rescale(case: Case, plan: RepairPlan) -> Undone:
    """Map the affected rows back: (value - offset) / slope."""
    slope, offset = float(plan.options["slope"]), float(plan.options["offset"])
    out = {}
    for name in plan.subject.names:
        values = case.current.numeric(name)
        rows = case.scope_rows(plan.scope)
        if "share" in plan.options:
            rows = rows & likely_other(
                case.reference.numeric(name), (slope, offset), float(plan.options["share"]), values
            )
        if case.kind(name) == "datetime":
            # The relation was found on ages, which run against the clock.
            out[name] = replaced(case, name, values + offset, rows)
        else:
            out[name] = replaced(case, name, (values - offset) / slope, rows)
    return Undone(features=out)


@repair("turn_clock", undoes=("time_shift",))
def turn_clock(case: Case, plan: RepairPlan) -> Undone:
    """Turn the affected rows' clocks back by `options["hours"]`: instants, or hours of the day, which come round.

    With `options["share"]`, only the rows that were more likely turned than not, given that share.
    """
    hours, out = float(plan.options["hours"]), {}
    rows = case.scope_rows(plan.scope)
    for name in plan.subject.names:
        values = case.current.numeric(name)
        back = values - 3600 * hours if case.kind(name) == "datetime" else (values - hours) % 24
        here = rows
        if "share" in plan.options:
            share = float(plan.options["share"])
            here = rows & likely_turned(case.reference.numeric(name), hours, share, values)
        out[name] = replaced(case, name, back, here)
    return Undone(features=out)


@repair("unbend", undoes=("train_serve_skew",))
def unbend(case: Case, plan: RepairPlan) -> Undone:
    """Give each affected row the reference's value of its rank: what any map that keeps the order would undo."""
    out = {}
    rows = case.scope_rows(plan.scope)
    for name in plan.subject.names:
        known, values = case.reference.numeric(name), case.current.numeric(name)
        known, here = np.sort(known[np.isfinite(known)]), rows & np.isfinite(values)
        order = np.sort(values[here])
        low, high = (np.searchsorted(order, values[here], side) for side in ("left", "right"))
        place = 0.5 * (low + high) / max(len(order), 1) * len(known)
        mended = values.copy()
        mended[here] = known[np.minimum(place.astype(int), len(known) - 1)]
        out[name] = replaced(case, name, mended, here)
    return Undone(features=out)


@repair("restore_resolution", undoes=("precision_loss", "train_serve_skew"))
def restore_resolution(case: Case, plan: RepairPlan) -> Undone:
    """Clip or round the reference as the current rows were: what they lost cannot be brought back."""
    name = plan.subject.names[0]
    rows = damaged_rows(case)
    values = case.reference.numeric(name)[rows]
    hit = case.scope_rows(plan.scope)
    if plan.options["kind"] == "clip":
        bound = float(plan.options["bound"])
        coarse = np.minimum(values, bound) if plan.options["upper"] else np.maximum(values, bound)
    else:
        step = float(plan.options["step"])
        coarse = np.round(values / step) * step
    share = float(hit.mean()) * float(plan.options["part"])
    damaged = pl.Series(name, coarse).fill_nan(None)
    dtype = case.reference.frame.schema[name]
    if dtype.is_integer():
        damaged = damaged.round().cast(dtype, strict=False)
    return Undone(
        damaged=Damaged(rows, {name: damaged}, share, case.scope_rows(plan.scope)),
        method="damage_replay",
    )
