"""Instants in whatever form they arrive, as epoch seconds."""

from __future__ import annotations

import polars as pl

from ruleout.sources._time import epoch_seconds


def seconds(column: pl.Series) -> pl.Series:
    """Epoch seconds (Float64, null where unreadable) of datetimes, dates, ISO text or epoch numbers.

    A column of another type holds no instants: all of it is unreadable, as a single bad row would be.
    """
    readable = column.dtype.is_numeric() or column.dtype in (
        pl.String,
        pl.Date,
        pl.Datetime,
        pl.Null,
    )
    if not readable:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    return epoch_seconds(column).fill_nan(None)
