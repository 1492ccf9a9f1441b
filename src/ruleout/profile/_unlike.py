"""Inputs that one window holds as single values and the other as lists or structs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from ruleout._records import SourceStatus
from ruleout.incident import is_nested
from ruleout.profile._read import ColumnSummary, Profile
from ruleout.profile._table import Table


def without_unlike(
    names: Iterable[str], tables: dict[Any, Table], profiles: dict[Any, Profile]
) -> tuple[dict[Any, Table], dict[Any, Profile], list[SourceStatus]]:
    """The windows with such inputs emptied in the current one: nothing in them can be read as before.

    Args:
        names: the inputs.
        tables: both windows' samples.
        profiles: both windows' summaries.

    Returns:
        Tables, profiles, and one failed source for each input that was emptied.
    """
    before, after, profile = tables["reference"].frame, tables["current"], profiles["current"]
    unlike = [
        name for name in names if name in before.columns and after.has(name)
        if pl.Null not in (before.schema[name], after.frame.schema[name])
        if is_nested(before.schema[name]) != is_nested(after.frame.schema[name])
    ]  # fmt: skip
    if not unlike:
        return tables, profiles, []
    rows, dtypes = after.frame.height, before.schema
    frame = after.frame.with_columns(
        pl.Series(name, [None] * rows, dtype=dtypes[name]) for name in unlike
    )
    empty = dict.fromkeys(unlike, ColumnSummary(profile.rows, profile.rows))
    failed = [
        SourceStatus(
            f"data.current: {name}",
            "failed",
            None,
            f"it is {after.frame.schema[name]} here and {dtypes[name]} in data.reference; it counts as empty",
        )
        for name in unlike
    ]
    return (
        {**tables, "current": Table(frame, after.total_rows, after.time)},
        {**profiles, "current": Profile(profile.rows, {**profile.columns, **empty})},
        failed,
    )
