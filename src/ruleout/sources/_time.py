"""Instants in whatever a table keeps them in, as epoch seconds."""

from __future__ import annotations

import polars as pl

from ruleout._errors import SourceError

_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))
"""(least median magnitude, ticks a second): nano-, micro-, milliseconds, seconds."""

_ZONED = "%Y-%m-%dT%H:%M:%S%.f%#z"
_LOCAL = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")


def epoch_seconds(series: pl.Series) -> pl.Series:
    """A column of instants as Float64 epoch seconds (UTC), null where an instant is missing or unreadable.

    Datetimes without a zone, dates, and ISO 8601 texts without an offset are read as UTC. Numbers are epochs in
    seconds, or in milli-, micro- or nanoseconds if that is what their magnitude says.

    Raises:
        SourceError: the column's type cannot hold instants.
    """
    # polars applies many methods of a series through an expression on its name, and expands `^a$`.
    return _seconds(series.alias("t"), series.name).alias(series.name)


def _seconds(series: pl.Series, name: str) -> pl.Series:
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        ticks = {"ms": 1e3, "us": 1e6, "ns": 1e9}[dtype.time_unit]
        return series.to_physical().cast(pl.Float64) / ticks
    if dtype == pl.Date:
        return series.to_physical().cast(pl.Float64) * 86_400.0
    if dtype.is_numeric():
        return _from_numbers(series.cast(pl.Float64))
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return _from_text(series.cast(pl.String))
    if dtype == pl.Null:
        return series.cast(pl.Float64)
    raise SourceError(
        f"the column {name!r} is of type {dtype}; times are datetimes, dates, ISO 8601 texts or epochs"
    )


def epoch_expression(position: int) -> pl.Expr:
    """`epoch_seconds` of the column at a position, for a lazy frame.

    By position, because a column may be called `*` or `^a$`, which a name would expand.
    """
    return pl.nth(position).map_batches(epoch_seconds, return_dtype=pl.Float64, is_elementwise=True)


def _from_numbers(series: pl.Series) -> pl.Series:
    finite = series.set(~series.is_finite().fill_null(value=False), None)
    size = finite.abs().median()
    if not isinstance(size, float):
        return finite
    return finite / next(ticks for least, ticks in _UNITS if size >= least)


def _from_text(series: pl.Series) -> pl.Series:
    """The usual single format first, all formats only for what that leaves over."""
    seconds = _parse(series, _guess(series))
    left = seconds.is_null() & series.is_not_null()
    if not left.any():
        return seconds
    return seconds.zip_with(~left, _from_mixed_text(series))


def _guess(series: pl.Series) -> str | None:
    index = series.is_not_null().arg_max()
    first = series[index] if index is not None else None
    if first is None or len(first) < 10:
        return None
    separator = first[10:11] or "T"
    zoned = first[-1] in "Zz" or "+" in first[10:] or "-" in first[10:]
    if len(first) == 10:
        return "%Y-%m-%d"
    return (_ZONED if zoned else _LOCAL[0]).replace("T", separator)


def _parse(series: pl.Series, layout: str | None) -> pl.Series:
    if layout is None:
        return pl.Series([None] * len(series), dtype=pl.Float64)
    zone = "UTC" if "%#z" in layout else None
    parsed = series.str.to_datetime(layout, time_unit="us", time_zone=zone, strict=False)
    return parsed.to_physical().cast(pl.Float64) / 1e6


def _from_mixed_text(series: pl.Series) -> pl.Series:
    text = (
        series.str.strip_chars()
        .str.replace(r"^(\d{4})/(\d{2})/(\d{2})", "$1-$2-$3")
        .str.replace(r"^(\d{4}-\d{2}-\d{2})$", "${1}T00:00")
        .str.replace(r"^(\d{4}-\d{2}-\d{2}) +", "${1}T")
        .str.replace(r" ?(?:[Zz]|UTC|GMT)$", "+00:00")
        .str.replace(r"(T\d{2}:\d{2})([+-])", "${1}:00$2")
    )
    parsed = [_parse(text, layout) for layout in (_ZONED, *_LOCAL)]
    numbers = _from_numbers(text.cast(pl.Float64, strict=False))
    names = [str(i) for i in range(4)]
    frame = pl.DataFrame(dict(zip(names, [*parsed, numbers], strict=True)))
    return frame.select(pl.coalesce(names)).to_series()
