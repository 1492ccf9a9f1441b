"""Instants in whatever form they arrive, as epoch seconds."""

from __future__ import annotations

import polars as pl

_SCALES = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""An epoch above the first number is in units of one over the second (ns, us, ms)."""


def seconds(column: pl.Series) -> pl.Series:
    """Epoch seconds (Float64, null where unreadable) of datetimes, ISO text or epoch numbers.

    Numbers are seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude.
    """
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.epoch("us").cast(pl.Float64) / 1e6
    if column.dtype == pl.String:
        return _from_text(column)
    if not column.dtype.is_numeric():
        return pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
    values = column.cast(pl.Float64)
    typical = values.drop_nans().abs().median()
    size = float(typical) if isinstance(typical, int | float) else 0.0
    scale = next((unit for bound, unit in _SCALES if size >= bound), 1.0)
    return values.fill_nan(None) / scale


def _from_text(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() < len(column):
        return seconds(numbers)
    zoned = column.str.strip_chars().str.replace(" ", "T").str.replace(r"(Z|[+-]00:?00)$", "")
    plain = zoned.str.to_datetime(time_unit="us", strict=False, format="%Y-%m-%dT%H:%M:%S%.f")
    offset = column.str.to_datetime(
        time_unit="us", strict=False, format="%Y-%m-%dT%H:%M:%S%.f%:z", time_zone="UTC"
    )
    stamped = offset.dt.epoch("us").cast(pl.Float64)
    return pl.DataFrame({"a": plain.dt.epoch("us").cast(pl.Float64), "b": stamped}).select(
        (pl.coalesce("a", "b") / 1e6).alias(column.name)
    )[column.name]
