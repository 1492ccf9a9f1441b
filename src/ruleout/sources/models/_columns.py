"""Columns of a table as the arrays that models take."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout._errors import ModelError
from ruleout.sources._labels import label_text


def numbers(series: pl.Series) -> np.ndarray:
    """(n,) float64: null is NaN, booleans 0/1, instants epoch seconds, durations seconds.

    Raises:
        ModelError: for text that is not a number.
    """
    dtype = series.dtype
    if dtype in (pl.Date, pl.Datetime):
        return series.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).to_numpy() / 1e6
    if dtype == pl.Duration:
        return series.cast(pl.Duration("us")).cast(pl.Int64).cast(pl.Float64).to_numpy() / 1e6
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        return _parsed(series.cast(pl.String))
    raise ModelError(f"the model reads {series.name!r} as a number, but the column is {dtype}")


def texts(series: pl.Series) -> np.ndarray:
    """(n,) object array of text, the empty string where null."""
    return label_text(series).fill_null("").to_numpy().astype(object)


def matrix(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    """(n, d) float64 of the columns in order; a column of lists of length m takes m places.

    Raises:
        ModelError: when a column is not numeric, or its lists differ in length.
    """
    parts = [_block(frame[column]) for column in columns]
    if not parts:
        return np.empty((frame.height, 0))
    return np.concatenate(parts, axis=1)


def by_name(wanted: Sequence[str], present: Sequence[str]) -> dict[str, str]:
    """The column for each name a model wants, where there is one.

    Exporters replace spaces and signs by underscores, so after the exact name the one column whose
    letters and digits agree is taken.
    """
    loose: dict[str, list[str]] = {}
    for column in present:
        loose.setdefault(_bare(column), []).append(column)
    found = {}
    for name in wanted:
        close = loose.get(_bare(name), [])
        if name in present:
            found[name] = name
        elif len(close) == 1:
            found[name] = close[0]
    return found


def column_for(wanted: Sequence[str], present: Sequence[str]) -> list[str]:
    """Like `by_name`, in order, with the wanted name itself where no column answers to it."""
    found = by_name(wanted, present)
    return [found.get(name, name) for name in wanted]


def _bare(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.lower())


def _parsed(series: pl.Series) -> np.ndarray:
    parsed = series.cast(pl.Float64, strict=False)
    bad = series.filter(parsed.is_null() & series.is_not_null() & (series.str.strip_chars() != ""))
    if len(bad):
        raise ModelError(
            f"the model reads {series.name!r} as a number, but the column holds text such as "
            f"{bad[0]!r}; log the encoded input or export the model with its encoder"
        )
    return parsed.fill_null(float("nan")).to_numpy()


def _block(series: pl.Series) -> np.ndarray:
    dtype = series.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        return _lists(series)
    return numbers(series)[:, None]


def _lists(series: pl.Series) -> np.ndarray:
    flat = series.cast(pl.List(pl.Float64))
    lengths = flat.list.len().drop_nulls().unique()
    if len(lengths) != 1:
        raise ModelError(
            f"the lists of {series.name!r} have {len(lengths)} different lengths; a model needs one"
        )
    width = int(lengths[0])
    block = np.full((len(series), width), np.nan)
    kept = flat.is_not_null().to_numpy()
    block[kept] = flat.drop_nulls().explode().to_numpy().reshape(-1, width)
    return block
