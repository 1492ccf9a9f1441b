"""Spans as calls: who called whom, what a call did itself, and which invocation each span belongs to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

_CROWD = 32
"""Siblings with children under one parent beyond which their overlaps are not looked at."""


class Calls(NamedTuple):
    """Spans in order, with their place in the call tree; all arrays have one item a span."""

    frame: pl.DataFrame
    """The spans, sorted by start; `time` is the start in epoch seconds."""

    parent: np.ndarray
    """Row of the parent span, -1 for a root."""

    entry: np.ndarray
    """Row of the span with which this one's service was entered."""

    duration: np.ndarray
    """Milliseconds."""

    own: np.ndarray
    """Milliseconds not covered by any child."""

    children: np.ndarray
    """Number of child spans."""

    service: np.ndarray
    """Code of the service, into `services`."""

    services: tuple[str, ...]

    @property
    def time(self) -> np.ndarray:
        """Start of each span in epoch seconds."""
        return self.frame["time"].to_numpy()


def calls(spans: pl.DataFrame) -> Calls:
    """The call forest of a spans table.

    A parent is looked up inside the trace, and where it is not there by a span id that is unique in
    the whole table. Cycles are cut. Who is called and records nothing itself (a database, a provider) gets
    a span for each call, as long as its caller's.
    """
    frame = _with_silent_peers(spans)
    frame = frame.with_columns((pl.col("start") / 1e9).alias("time")).sort(
        "start", "end", "span", descending=[False, True, False], nulls_last=True
    )
    parent = _parents(frame)
    names = tuple(sorted(frame["service"].unique().to_list()))
    codes = {name: code for code, name in enumerate(names)}
    service = frame["service"].replace_strict(codes, return_dtype=pl.Int64).to_numpy()
    start, end = frame["start"].to_numpy(), frame["end"].to_numpy()
    duration = (end - start) / 1e6
    children = np.bincount(parent[parent >= 0], minlength=len(parent))
    own = duration - _covered(parent, start, end) / 1e6
    own -= _shadowed(parent, children, start, end) / 1e6
    entry = _entries(parent, service)
    return Calls(frame, parent, entry, duration, np.maximum(own, 0), children, service, names)


def _with_silent_peers(spans: pl.DataFrame) -> pl.DataFrame:
    """The spans, and one for each call to somebody who is named as called and has no span of its own.

    Else the time and the failures of what is called would be its caller's own.
    """
    recorded = spans["service"].unique().to_list()
    asked = spans.filter(pl.col("peer").is_not_null() & ~pl.col("peer").is_in(recorded))
    if asked.is_empty():
        return spans
    nothing = {name: pl.lit(None, dtype=pl.String) for name in ("instance", "host", "version")}
    theirs = asked.with_columns(
        (pl.col("span") + "/peer").alias("span"),
        pl.col("span").alias("parent"),
        pl.col("peer").alias("service"),
        pl.lit("server").alias("kind"),
        pl.lit(None, dtype=pl.String).alias("peer"),
        **nothing,
    )
    return pl.concat([spans, theirs])


def _parents(frame: pl.DataFrame) -> np.ndarray:
    rows = frame.select("trace", "span", "parent").with_row_index("row")
    keys = rows.select("trace", "span", pl.col("row").alias("found")).unique(
        ["trace", "span"], keep="first", maintain_order=True
    )
    alone = rows.select("span", pl.col("row").alias("single")).filter(pl.col("span").is_unique())
    linked = rows.join(
        keys,
        left_on=["trace", "parent"],
        right_on=["trace", "span"],
        how="left",
        maintain_order="left",
        nulls_equal=False,
    ).join(alone, left_on="parent", right_on="span", how="left", maintain_order="left")
    parent = (
        linked.select(pl.coalesce("found", "single").cast(pl.Int64).fill_null(-1))
        .to_series()
        .to_numpy()
        .copy()
    )
    return _without_loops(parent)


def _without_loops(parent: np.ndarray) -> np.ndarray:
    """Spans that are their own ancestors become roots: broken or hostile telemetry holds such."""
    pointer = np.where(parent >= 0, parent, -1)
    for _ in range(int(np.ceil(np.log2(max(len(parent), 2)))) + 1):
        live = pointer >= 0
        if not live.any():
            return parent
        pointer[live] = pointer[pointer[live]]
    parent[pointer >= 0] = -1
    return parent


def _covered(parent: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Nanoseconds of each span that its children cover, overlaps counted once."""
    child = np.flatnonzero(parent >= 0)
    order = child[np.argsort(parent[child], kind="stable")]
    owner = parent[order]
    low = np.maximum(start[order], start[owner])
    high = np.minimum(end[order], end[owner])
    group = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]) if len(owner) else owner
    # The furthest end so far within a group, by lifting each group above the one before.
    base = np.repeat(np.arange(len(group)), np.diff(np.r_[group, len(owner)]))
    span = (high.max(initial=0) - low.min(initial=0) + 1) if len(owner) else 1
    lifted = (high - low.min(initial=0)).astype(float) + base * float(span)
    reach = np.maximum.accumulate(lifted) - base * float(span) + low.min(initial=0)
    before = np.r_[-np.inf, reach[:-1]] if len(owner) else reach
    before[group] = -np.inf
    fresh = np.maximum(high - np.maximum(low, before), 0)
    return np.bincount(owner, weights=fresh, minlength=len(parent))


def _shadowed(
    parent: np.ndarray, children: np.ndarray, start: np.ndarray, end: np.ndarray
) -> np.ndarray:
    """Nanoseconds of childless spans during which a sibling with children was at work.

    Instrumented handlers often run beside the call that they make: that time is the call's.
    """
    rows = np.arange(len(parent))
    table = pl.DataFrame({"row": rows, "parent": parent, "start": start, "end": end})
    leaf = (parent >= 0) & (children == 0)
    busy = (parent >= 0) & (children > 0)
    pairs = table.filter(pl.Series(leaf)).join(
        table.filter(pl.Series(busy)).filter(pl.len().over("parent") <= _CROWD),
        on="parent",
        suffix="_busy",
    )
    overlap = pl.min_horizontal("end", "end_busy") - pl.max_horizontal("start", "start_busy")
    lost = pairs.group_by("row").agg(overlap.clip(lower_bound=0).max().alias("lost"))
    result = np.zeros(len(parent))
    result[lost["row"].to_numpy()] = lost["lost"].to_numpy()
    return result


def _entries(parent: np.ndarray, service: np.ndarray) -> np.ndarray:
    rows = np.arange(len(parent))
    inside = (parent >= 0) & (service[parent] == service)
    pointer = np.where(inside, parent, rows)
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further


def roots_of(parent: np.ndarray) -> np.ndarray:
    """Row of the root span of every span."""
    pointer = np.where(parent >= 0, parent, np.arange(len(parent)))
    while True:
        further = pointer[pointer]
        if np.array_equal(further, pointer):
            return pointer
        pointer = further
