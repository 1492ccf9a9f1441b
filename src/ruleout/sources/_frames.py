"""Frames that are already in memory, as polars frames.

pandas is never imported here: if the user handed over a pandas frame, pandas is loaded already. Columns are
converted one by one, without pyarrow, so that object columns of mixed content become text instead of an error.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import SourceError


def as_polars(frame: Any, name: str) -> pl.LazyFrame:
    """A polars or pandas frame as a lazy frame; `name` is what errors call it.

    Raises:
        SourceError: it is neither, or two of its columns have one name.
    """
    if isinstance(frame, pl.LazyFrame):
        return frame
    if isinstance(frame, pl.DataFrame):
        return frame.lazy()
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        return _from_pandas(frame, name).lazy()
    if hasattr(frame, "__arrow_c_stream__"):
        return pl.DataFrame(frame).lazy()
    raise SourceError(
        f"{name}: a {type(frame).__name__} is not a table; give a polars or pandas frame, or a path"
    )


def refuse_repeated(names: Iterable[str], where: str) -> None:
    """Two columns of one name cannot be told apart.

    Raises:
        SourceError: a name occurs twice.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        shown = ", ".join(map(repr, repeated[:5]))
        raise SourceError(
            f"{where}: the column name {shown} occurs more than once; rename or drop one"
        )


def _from_pandas(frame: Any, name: str) -> pl.DataFrame:
    names = [str(column) for column in frame.columns]
    refuse_repeated(names, name)
    columns = [_column(frame.iloc[:, i]).alias(label) for i, label in enumerate(names)]
    return pl.DataFrame(columns)


def _column(column: Any) -> pl.Series:
    """One pandas column; missing values of every kind become null."""
    kind = str(getattr(column.dtype, "kind", "O"))
    native = isinstance(column.dtype, np.dtype)
    if hasattr(column, "cat"):
        return _categories(column)
    if kind == "M":
        return _instants(column)
    if native and kind in "iufbm":
        return _numbers(column.to_numpy())
    missing = column.isna().to_numpy()
    if kind in "iufb":
        return _nullable(column, missing, kind)
    values = column.to_numpy(dtype=object)
    return _objects([None if no else v for v, no in zip(values, missing, strict=True)])


def _numbers(values: np.ndarray[Any, Any]) -> pl.Series:
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.dtype.kind == "m":
        values = values.astype("timedelta64[us]")
    return pl.Series(np.ascontiguousarray(values), nan_to_null=values.dtype.kind == "f")


def _instants(column: Any) -> pl.Series:
    """Datetimes: pandas keeps zoned ones in UTC underneath."""
    zoned = getattr(column.dtype, "tz", None) is not None or "tz=" in str(column.dtype)
    plain = column.dt.tz_convert("UTC").dt.tz_localize(None) if zoned else column
    series = pl.Series(plain.to_numpy().astype("datetime64[us]"))
    return series.dt.replace_time_zone("UTC") if zoned else series


def _categories(column: Any) -> pl.Series:
    levels = _objects([None if level != level else level for level in column.cat.categories])  # noqa: PLR0124 - NaN is the level unequal to itself
    codes = pl.Series(column.cat.codes.to_numpy().astype(np.int64))
    return levels.gather(codes.set(codes < 0, None))


def _nullable(column: Any, missing: Any, kind: str) -> pl.Series:
    """Masked and Arrow-backed numbers and booleans."""
    dtype = {"i": np.int64, "u": np.uint64, "f": np.float64, "b": np.bool_}[kind]
    filled = column.fillna(value=False if kind == "b" else 0) if missing.any() else column
    series = pl.Series(filled.to_numpy(dtype=dtype))
    return series.set(pl.Series(missing), None) if missing.any() else series


def _objects(values: list[Any]) -> pl.Series:
    """Python objects: of one kind as that kind, of several as text."""
    values = [value.value if isinstance(value, Enum) else value for value in values]
    kinds = {type(value) for value in values if value is not None}
    if kinds == {np.ndarray}:
        values = [None if value is None else value.tolist() for value in values]
    elif len(kinds) > 1 and not kinds <= {int, float, bool, np.int64, np.float64}:
        values = [None if value is None else _text(value) for value in values]
    try:
        series = pl.Series(values, strict=False)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        series = pl.Series(values, dtype=pl.Object)
    if series.dtype != pl.Object:
        return series
    # Classes that polars does not know (periods, intervals) still have a text.
    return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
