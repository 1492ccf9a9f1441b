"""Columns among the inputs that say again what another column holds: the model's own answer, or the size of an image's file."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile._case import Case
from ruleout.profile._outputs import Outputs
from ruleout.profile._table import Table

Floats = NDArray[np.float64]
_ROUNDED = 6e-4
"""How far a probability that was logged twice may be from itself: one copy is often rounded to three places."""

_ALL = 0.99
_LEAST = 100
_VALUES = 20
"""Rows, and values that differ, which are no coincidence."""


def echoes(case: Case) -> tuple[str, ...]:
    """Numeric inputs that are, in the reference, a probability that the model gave to the same row.

    Its score, one class's, or how sure it is of the class it chose. No model takes what it is about to say; one that
    is there and asks for the column does take it, whatever it holds.
    """
    asked = _asked(case)
    told = _told(case.served["reference"])
    found = []
    for name in case.of_kind("numeric"):
        if name in asked or not case.reference.has(name):
            continue
        values = case.reference.numeric(name)
        known = np.isfinite(values)
        if known.sum() < _LEAST:
            continue
        # Few columns are alike; how many values differ is worth sorting for in these alone.
        alike = any(float(_same(values[known], one[known]).mean()) >= _ALL for one in told)
        if alike and len(np.unique(values[known])) >= _VALUES:
            found.append(name)
    return tuple(found)


def file_sizes(case: Case) -> tuple[str, ...]:
    """Numeric inputs that are the length of an image's file, in both windows, and that no model at hand asks for.

    They move with whatever is done to the images, and are no cause of their own.
    """
    asked = _asked(case)
    pictures = [n for n in case.of_kind("image") if case.reference.has(n) and case.current.has(n)]
    found = []
    for name in case.of_kind("numeric"):
        if name in asked or not (case.reference.has(name) and case.current.has(name)):
            continue
        if any(_sizes(case.reference, name, p) and _sizes(case.current, name, p) for p in pictures):
            found.append(name)
    return tuple(found)


def _asked(case: Case) -> set[str]:
    """Columns that models at hand read by name."""
    return {name for model in case.models.values() for name in getattr(model, "requires", ())}


def _sizes(table: Table, name: str, picture: str) -> bool:
    """Whether a column holds the number of bytes of the images beside it."""
    files = table.frame.get_column(picture)
    if files.dtype != pl.Binary:
        return False
    long = files.bin.size().cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(long)
    return bool(
        known.sum() >= _LEAST and (table.numeric(name)[known] == long[known]).mean() >= _ALL
    )


def _told(served: Outputs) -> list[Floats]:
    """Every probability (n,) that an answer holds."""
    if served.scores is not None:
        sure = np.nanmax(np.where(np.isfinite(served.scores), served.scores, -np.inf), axis=1)
        return [*served.scores.T, sure]
    score = served.score
    if score is None or not np.isfinite(score).any():
        return []
    if np.nanmin(score) < 0 or np.nanmax(score) > 1:
        return [score]
    return [score, np.maximum(score, 1 - score)]


def _same(a: Floats, b: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.abs(a - b) <= _ROUNDED)
