"""The sample of one window: at most 200,000 rows, in order of time."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.sources import epoch_seconds

Floats = NDArray[np.float64]

_STARTS_AS_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

_LARGEST = 1e60
"""Numbers count as no larger than this, so that their fourth powers can still be summed."""


class Table:
    """The sampled rows of one window, with cached arrays of its columns."""

    def __init__(
        self,
        frame: pl.DataFrame,
        total_rows: int,
        time: Floats | None,
        vocabularies: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.frame = frame
        """Sampled rows, oldest first (in file order without a timestamp)."""
        self.total_rows = total_rows
        """Rows of the whole window."""
        self.time = time
        """Epoch seconds (n,), or None; NaN where a row has none."""
        self._vocabularies = vocabularies or {}
        # Asking the frame each time is quadratic in a wide table.
        self._names = frozenset(frame.columns)
        self._numeric: dict[str, Floats] = {}
        self._codes: dict[str, NDArray[np.int32]] = {}

    @property
    def rows(self) -> int:
        """Sampled rows."""
        return self.frame.height

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that this window has."""
        return tuple(self.frame.columns)

    def has(self, name: str) -> bool:
        """Whether this window has the column."""
        return name in self._names

    def numeric(self, name: str) -> Floats:
        """The column as float64 (n,): missing as NaN, instants as epoch seconds, booleans as 0/1."""
        if name not in self._numeric:
            self._numeric[name] = numeric_array(self.frame, name)
        return self._numeric[name]

    def codes(self, name: str) -> NDArray[np.int32]:
        """The column as int32 codes (n,) into the shared vocabulary; -1 where missing."""
        if name not in self._codes:
            self._codes[name] = code_array(self.frame, name, self._vocabularies[name])
        return self._codes[name]


def numeric_array(frame: pl.DataFrame, name: str) -> Floats:
    """Column `name` as float64, instants (also as text) as epoch seconds; all NaN when the frame lacks it."""
    series: pl.Series | None = frame.get_column(name, default=None)
    if series is None:
        return np.full(frame.height, np.nan)
    if series.dtype.is_temporal() and series.dtype not in (pl.Time, pl.Duration):
        series = epoch_seconds(series)
    if series.dtype in (pl.Categorical, pl.Enum):
        series = series.cast(pl.String)
    if series.dtype == pl.String:
        series = series.str.strip_chars()
        first = series.drop_nulls().head(1)
        if len(first) and _STARTS_AS_DATE.match(first[0]):
            series = epoch_seconds(series)
    values = np.asarray(series.cast(pl.Float64, strict=False).to_numpy(), dtype=float)
    huge = np.isfinite(values) & (np.abs(values) > _LARGEST)
    return np.where(huge, np.copysign(_LARGEST, values), values) if huge.any() else values


def text_series(frame: pl.DataFrame, name: str) -> pl.Series:
    """Column `name` as strings, the form in which categories are compared."""
    series: pl.Series | None = frame.get_column(name, default=None)
    if series is None:
        return pl.Series(name, [None] * frame.height, dtype=pl.String)
    if series.dtype.is_float():
        whole = series.drop_nulls().drop_nans()
        if (whole == whole.round()).all():
            series = series.fill_nan(None).cast(pl.Int64, strict=False)
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return pl.Series(name, [None if v is None else repr(v) for v in series], dtype=pl.String)
    return series.cast(pl.String, strict=False)


def code_array(frame: pl.DataFrame, name: str, vocabulary: tuple[str, ...]) -> NDArray[np.int32]:
    """Codes of column `name` in `vocabulary`; -1 where missing or not in it."""
    text = text_series(frame, name)
    if not vocabulary:
        return np.full(frame.height, -1, dtype=np.int32)
    coded = text.cast(pl.Enum(vocabulary), strict=False).to_physical()
    return np.asarray(coded.cast(pl.Int32).fill_null(-1).to_numpy())
