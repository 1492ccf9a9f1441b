"""Undoing lost values: leave the hit rows out, or fill them from what the other inputs say."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import ModelError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Undone
from ruleout.profile import Case, spread_rows, text_series
from ruleout.stats import _boosting as boosting

_ENOUGH = 0.04
"""Share of rows that must be left for the metric of the spared rows to speak for all ..."""

_ENOUGH_ROWS = 150
"""... and their least number."""

_USUAL = 0.2
"""Where so many rows hold the default rightly, the hit rows cannot be told from them."""


@repair(
    "restore_defaults",
    undoes=("silent_nulls", "join_loss", "fallback_overload", "stale_features", "schema_change"),
)
def restore_defaults(case: Case, plan: RepairPlan) -> Undone:
    """Keep the rows that were spared, where there are enough; else impute from co-features.

    The subject's names and `options["values"]` (the default of each as text, `null` for missing)
    say which values are lost.
    """
    hit = np.zeros(case.current.rows, dtype=bool)
    for name, value in zip(plan.subject.names, plan.options["values"], strict=True):
        hit |= holds(case, name, value)
    hit &= case.scope_rows(plan.scope)
    if float(plan.options.get("before", 0.0)) > _USUAL:
        raise ModelError(
            f"{plan.options['before']:.0%} of reference rows hold the default of {plan.subject.names[0]} rightly; "
            "which rows lost their value cannot be told"
        )
    spared = int((~hit).sum())
    if spared >= max(_ENOUGH * len(hit), _ENOUGH_ROWS):
        return Undone(keep=~hit, method="exclusion")
    filled = {
        name: impute(case, name, hit & holds(case, name, value))
        for name, value in zip(plan.subject.names, plan.options["values"], strict=True)
    }
    return Undone(features=filled, method="surrogate_replay")


def holds(case: Case, name: str, value: str) -> NDArray[np.bool_]:
    """Current rows in which an input holds a default, written as text."""
    if case.kind(name) in ("numeric", "datetime"):
        numbers = case.current.numeric(name)
        if value == "null":
            return ~np.isfinite(numbers)
        return np.isclose(numbers, float(value), rtol=1e-5, atol=0.0) | (numbers == float(value))
    text = text_series(case.current.frame, name)
    if value == "null":
        return np.asarray(text.is_null().to_numpy())
    wanted = "" if value == '""' else value
    return np.asarray((text == wanted).fill_null(value=False).to_numpy())


def impute(case: Case, name: str, hit: NDArray[np.bool_]) -> pl.Series:
    """The input with its hit rows predicted from the other inputs, learned on the reference."""
    series = case.current.frame.get_column(name)
    x_before, coded = case.encode(case.reference.frame)
    x_after, _ = case.encode(case.current.frame)
    column = _column(case, name)
    if column is None or not hit.any():
        return series
    others = np.arange(x_before.shape[1]) != column
    rows = spread_rows(len(x_before), 12_000)
    target = x_before[rows, column]
    known = np.isfinite(target)
    rng = case.rng(f"impute {name}")
    if case.kind(name) == "categorical":
        return _impute_codes(case, name, series, hit, rng)
    fitted = boosting.fit(
        x_before[rows][known][:, others],
        target[known],
        rng=rng,
        categorical=coded[others],
        trees=60,
    )
    guess = fitted.raw(x_after[hit][:, others])[:, 0]
    values = case.current.numeric(name).copy()
    values[hit] = guess
    return pl.Series(name, values).cast(series.dtype if series.dtype.is_float() else pl.Float64)


def _impute_codes(
    case: Case, name: str, series: pl.Series, hit: NDArray[np.bool_], rng: np.random.Generator
) -> pl.Series:
    """Draw categories at the reference's rates: right on average where nothing better is known."""
    before = case.codes("reference", name)
    known = before[before >= 0]
    drawn = rng.choice(known, int(hit.sum())) if len(known) else np.empty(0, dtype=int)
    words = np.asarray(text_series(case.current.frame, name).to_list(), dtype=object)
    vocabulary = np.asarray(case.vocabulary(name), dtype=object)
    if len(drawn):
        words[hit] = vocabulary[drawn]
    filled = pl.Series(name, words.tolist(), dtype=pl.String)
    if series.dtype == pl.Boolean:
        return filled.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    return filled


def _column(case: Case, name: str) -> int | None:
    """Position of a plain input in the encoded matrix."""
    position = 0
    for other, kind in case.kinds.items():
        if other == name:
            return position
        if other in case.representations:
            position += len(case.representations[other].names)
        elif kind in ("numeric", "datetime", "categorical"):
            position += 1
    return None
