"""Inputs that are wrong in all rows of some editions of a file, and right in all rows of the others."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._defaults import names_edition
from ruleout.profile import Case, text_series

Floats = NDArray[np.float64]
_LEAST = 5
"""Rows by which an edition is judged."""

_GOOD, _BAD = 0.05, 0.4
"""Share of its rows that are wrong up to which an edition is good, and from which it is bad; some wrong values are right by chance."""

_SEVERAL = 3
_MOSTLY = 0.9
"""Part of the rows that must be of good or of bad editions."""


def bad_editions(
    case: Case, rows: NDArray[np.int64], flag: Floats
) -> tuple[str, tuple[str, ...]] | None:
    """The column of the current table whose editions part wrong rows from right ones, and its bad editions.

    Args:
        case: both windows.
        rows: positions (n,) in the current sample.
        flag: which of them are wrong (n,).
    """
    for name, kind in case.current.frame.schema.items():
        if not names_edition(name) or kind not in (pl.String, pl.Categorical, pl.Enum):
            continue
        edition = text_series(case.current.frame, name)[rows]
        table = pl.DataFrame({"edition": edition, "wrong": flag}).drop_nulls("edition")
        by = table.group_by("edition").agg(pl.len().alias("n"), pl.col("wrong").mean())
        by = by.filter(pl.col("n") >= _LEAST).sort("edition")
        good, bad = by.filter(pl.col("wrong") <= _GOOD), by.filter(pl.col("wrong") >= _BAD)
        known, *told = (int(np.sum(part["n"].to_numpy())) for part in (by, good, bad))
        if min(good.height, bad.height) >= _SEVERAL and sum(told) >= _MOSTLY * known:
            return name, tuple(bad["edition"].to_list())
    return None
