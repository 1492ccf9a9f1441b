"""Reading a window once: the sample that checks see, and the summary of all its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.sources import epoch_seconds

SAMPLE_ROWS = 200_000


class Scannable(Protocol):
    """A source of rows."""

    def scan(self) -> pl.LazyFrame:
        """The rows, lazily."""


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """What all rows of a window say of one column; merges by addition."""

    rows: int
    nulls: int

    def merge(self, other: ColumnSummary) -> ColumnSummary:
        """The summary of both sets of rows."""
        return ColumnSummary(self.rows + other.rows, self.nulls + other.nulls)


@dataclass(frozen=True, slots=True)
class Profile:
    """Mergeable summary of all rows of a window."""

    rows: int
    columns: Mapping[str, ColumnSummary]

    def merge(self, other: Profile) -> Profile:
        """The profile of both sets of rows; a column that one side lacks counts as null there."""
        names = list(dict.fromkeys([*self.columns, *other.columns]))
        absent_here, absent_there = (
            ColumnSummary(self.rows, self.rows),
            ColumnSummary(other.rows, other.rows),
        )
        merged = {
            n: self.columns.get(n, absent_here).merge(other.columns.get(n, absent_there))
            for n in names
        }
        return Profile(self.rows + other.rows, merged)


def read_window(
    source: Scannable, *, key: str | None, timestamp: str | None, limit: int = SAMPLE_ROWS
) -> tuple[pl.DataFrame, NDArray[np.float64] | None, Profile]:
    """Rows of one window: (sample in order of time, epoch seconds or None, profile of all rows).

    The sample is drawn by a hash of `key` (of the row's number where there is none), so that
    duplicates of a key stay together and reruns agree.
    """
    lazy = source.scan()
    names = lazy.collect_schema().names()
    counts = lazy.select(pl.len().alias("rows"), *_null_counts(lazy)).collect(engine="streaming")
    rows = int(counts.item(0, 0))
    profile = Profile(
        rows, {n: ColumnSummary(rows, int(counts.item(0, 1 + i))) for i, n in enumerate(names)}
    )
    frame = _sample(lazy, names, rows, key, limit)
    if timestamp is None or timestamp not in names:
        return frame, None, profile
    time = np.asarray(epoch_seconds(frame.get_column(timestamp)).to_numpy(), dtype=float)
    order = np.argsort(time, kind="stable")
    return frame[order], time[order], profile


def _null_counts(lazy: pl.LazyFrame) -> list[pl.Expr]:
    # By position: a column may be called `*` or `^a$`, which names would expand.
    width = len(lazy.collect_schema())
    return [pl.nth(i).null_count().alias(f"nulls {i}") for i in range(width)]


def _sample(
    lazy: pl.LazyFrame, names: list[str], rows: int, key: str | None, limit: int
) -> pl.DataFrame:
    if rows <= limit:
        return lazy.collect()
    cut = int(limit / rows * 2**64)
    mark = "row number of ruleout"
    chance = by_row = pl.col(mark).hash(seed=20)
    if key is not None and key in names:
        own = pl.nth(names.index(key) + 1)
        # All unknown keys have one hash, which would keep all of their rows or none.
        chance = pl.when(own.is_null()).then(by_row).otherwise(own.hash(seed=20))
    kept = lazy.with_row_index(mark).filter(chance < cut).drop(mark)
    return kept.collect(engine="streaming")
