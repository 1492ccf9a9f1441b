"""Undoing damage to texts where it can be undone, and doing it to the reference where it cannot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Damaged, Undone, surrogate
from ruleout.profile import Case
from ruleout.profile._image import sample_rows
from ruleout.profile._unstructured import texts
from ruleout.stats._garble import GARBLINGS

Change = Callable[[str], str]

_REFERENCE_ROWS = 2_000
_REPLAYED_ROWS = 4_000


@repair("text_inverse", undoes=("tokenizer_mismatch",))
def text_inverse(case: Case, plan: RepairPlan) -> Undone:
    """Decode, unescape or rejoin the texts in scope; what is lost is taken from the reference too.

    Raises:
        RuleoutError: when the plan names no known damage.
    """
    garbling = GARBLINGS.get(str(plan.options.get("damage")))
    if garbling is None:
        raise RuleoutError(f"unknown damage {plan.options.get('damage')!r} of a text")
    if garbling.inverse is None or surrogate(case) or plan.options.get("served"):
        return _damaged(case, plan, garbling.damage)
    name = plan.subject.names[0]
    looked = sample_rows(case.current.rows, _REPLAYED_ROWS)
    inside = np.zeros(case.current.rows, bool)
    inside[looked] = case.scope_rows(plan.scope)[looked]
    series = case.current.frame.get_column(name).cast(pl.String)
    mended = [
        garbling.inverse(text) if hit and text is not None else text
        for text, hit in zip(series.to_list(), inside, strict=True)
    ]
    keep = _only(case, looked)
    return Undone(features={name: pl.Series(name, mended, dtype=pl.String)}, keep=keep)


@repair("text_cut", undoes=("context_truncation",))
def text_cut(case: Case, plan: RepairPlan) -> Undone:
    """Cut reference texts at the same limit and measure the harm there."""
    limit = int(plan.options["limit"])
    if plan.options["unit"] == "length":
        return _damaged(case, plan, lambda text: text[:limit])
    return _damaged(case, plan, lambda text: " ".join(text.split()[:limit]))


@repair("text_loss", undoes=("silent_nulls",))
def text_loss(case: Case, plan: RepairPlan) -> Undone:
    """Leave out the rows whose text is empty or replaced by one and the same text."""
    name = plan.subject.names[0]
    sample = texts(case, "current", name)
    lost = sample.statistics["empty"] > 0
    if plan.options.get("signal") == "text.repeated":
        counts = sample.texts.filter(pl.Series(~lost)).value_counts(sort=True, name="n")
        top = counts.filter(pl.col("n") == counts["n"][0]).get_column(counts.columns[0]).sort()[0]
        lost = np.asarray((sample.texts == top).fill_null(value=False).to_numpy())
    keep = np.zeros(case.current.rows, bool)
    keep[sample.rows[~lost]] = True
    return Undone(keep=keep, method="exclusion")


def _only(case: Case, looked: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """The rows to judge by, when not all of them were looked at."""
    if len(looked) == case.current.rows:
        return None
    keep = np.zeros(case.current.rows, bool)
    keep[looked] = True
    return keep


def _damaged(case: Case, plan: RepairPlan, change: Change) -> Undone:
    name = plan.subject.names[0]
    rows = sample_rows(case.reference.rows, _REFERENCE_ROWS)
    plain = case.reference.frame.get_column(name).cast(pl.String).gather(rows)
    spoilt = [None if text is None else change(text) for text in plain.to_list()]
    column = pl.Series(name, spoilt, dtype=pl.String)
    share = float(case.scope_rows(plan.scope).mean()) if case.current.rows else 0.0
    return Undone(
        damaged=Damaged(rows, {name: column}, share, case.scope_rows(plan.scope)),
        method="damage_replay",
    )
