"""Frames in memory."""

from __future__ import annotations

import datetime as dt
import enum
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ruleout._errors import SourceError
from ruleout.incident import TableSpec
from ruleout.sources import open_table


class Colour(enum.Enum):
    RED = 1


def read(frame: Any) -> pl.DataFrame:
    return open_table(TableSpec(frame=frame), Path(), "data.reference").read()


NEW_YEAR = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - the point is that it has no zone
ZONED = pd.Series(pd.to_datetime(["2026-01-01", None])).dt.tz_localize("Asia/Tokyo")
INSTANT = dt.datetime(2025, 12, 31, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (pd.Series([1, 2]), pl.Int64, [1, 2]),
        (pd.Series([1, 2], dtype="uint8"), pl.UInt8, [1, 2]),
        (pd.Series([1.5, np.nan]), pl.Float64, [1.5, None]),
        (pd.Series([1.5, np.inf], dtype="float16"), pl.Float32, [1.5, float("inf")]),
        (pd.Series([True, False]), pl.Boolean, [True, False]),
        (pd.Series([1, None], dtype="Int64"), pl.Int64, [1, None]),
        (pd.Series([1.5, None], dtype="Float32"), pl.Float64, [1.5, None]),
        (pd.Series([True, None], dtype="boolean"), pl.Boolean, [True, None]),
        (pd.Series([2**63, None], dtype="UInt64"), pl.UInt64, [2**63, None]),
        (pd.Series(["a", None]), pl.String, ["a", None]),
        (pd.Series(["a", None], dtype="string"), pl.String, ["a", None]),
        (pd.Series(["a", None], dtype=object), pl.String, ["a", None]),
        (pd.Series([1, "x"], dtype=object), pl.String, ["1", "x"]),
        (pd.Series([1, 2.5], dtype=object), pl.Float64, [1.0, 2.5]),
        (pd.Series([True, None], dtype=object), pl.Boolean, [True, None]),
        (pd.Series(["b", None, "a"], dtype="category"), pl.String, ["b", None, "a"]),
        (pd.Series([3, None], dtype="category"), pl.Int64, [3, None]),
        (pd.Series(pd.to_datetime(["2026-01-01", None])), pl.Datetime("us"), [NEW_YEAR, None]),
        (ZONED, pl.Datetime("us", "UTC"), [INSTANT, None]),
        (pd.Series([dt.date(2026, 1, 1), None], dtype=object), pl.Date, [dt.date(2026, 1, 1), None]),
        (pd.to_timedelta(pd.Series([1, None]), unit="h"), pl.Duration("us"), [dt.timedelta(hours=1), None]),
        (pd.Series([b"\x89PNG", None], dtype=object), pl.Binary, [b"\x89PNG", None]),
        (pd.Series([np.array([1.0, 2.0]), None], dtype=object), pl.List(pl.Float64), [[1.0, 2.0], None]),
        (pd.Series([Colour.RED, None], dtype=object), pl.Int64, [1, None]),
        (pd.Series(pd.period_range("2026-01", periods=1, freq="M")), pl.String, ["2026-01"]),
        (pd.Series([None, None], dtype=object), pl.Null, [None, None]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), pl.Int64, [1, None]),
    ],
)  # fmt: skip
def test_pandas_columns(values: pd.Series, dtype: Any, expected: list[Any]) -> None:
    """Every kind of pandas column becomes its polars kind, missing values null, zones UTC, mixtures text."""
    column = read(pd.DataFrame({"x": values}))["x"]
    assert column.dtype == dtype
    assert column.to_list() == expected


def test_column_names_become_text() -> None:
    """Numbered columns are called by their numbers."""
    assert read(pd.DataFrame([[1, 2]])).columns == ["0", "1"]


def test_names_that_look_like_patterns() -> None:
    """A column called `^a$` or `*` is only a column, of every kind."""
    frame = pd.DataFrame(
        {
            "a": [1],
            "^a$": [ZONED[0]],
            "*": pd.Categorical(["x"]),
            "^.*$": pd.array([None], dtype="Int64"),
        }
    )
    assert read(frame).row(0) == (1, INSTANT, "x", None)


def test_repeated_columns_are_refused() -> None:
    """Two columns of one name are refused by that name."""
    with pytest.raises(SourceError, match="'a' occurs more than once"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_polars_frames_pass_through() -> None:
    """Polars frames, lazy ones too, are read as they are."""
    frame = pl.DataFrame({"a": [1]})
    assert read(frame).equals(frame)
    assert read(frame.lazy()).equals(frame)


def test_other_objects_are_refused() -> None:
    """What is no table is refused by its type."""
    with pytest.raises(SourceError, match="a dict is not a table"):
        read({"a": [1]})


def test_pandas_is_not_imported() -> None:
    """A user without pandas frames does not pay for pandas, nor for pyarrow."""
    code = "import sys, ruleout.sources; print({'pandas', 'pyarrow', 'duckdb', 'psycopg'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
