"""Calls that a service counts for each of its own requests: code that asks more for the same work."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import words
from ruleout.attribution.services._records import Signal

_CALLS = frozenset(
    [
        "calls",
        "fetches",
        "lookups",
        "queries",
        "reads",
        "requests",
        "rpcs",
        "roundtrips",
        "selects",
        "statements",
        "subqueries",
        "subrequests",
    ]
)
_WORK = frozenset(
    [
        "call",
        "invocation",
        "job",
        "message",
        "operation",
        "page",
        "req",
        "request",
        "search",
        "task",
        "transaction",
    ]
)

_MORE = 1.6
"""Times the usual number of calls for each request from which on it is another way of asking."""

_TRIES = 4.0
"""Times up to which more calls to somebody who fails may be second tries."""

_FAILS = 1.0
"""Departure of failures from which on somebody fails."""

_MOST = 7.0


def per_request(departed: pl.DataFrame, edges: Collection[Edge]) -> list[Signal]:
    """Services that count more calls for each of their requests than they did.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs; the callee named in the metric, or the only one, is excused for what it is asked.
    """
    rows = departed.filter(
        (pl.col("sign") > 0) & (pl.col("score") > 1.0) & (pl.col("level") > 0)
    ).sort("entity", "metric")
    failing = set(
        departed.filter((pl.col("kind") == "error") & (pl.col("score") > _FAILS))["entity"]
    )
    found: dict[str, Signal] = {}
    columns = ("entity", "metric", "level", "middle_now")
    for entity, metric, level, now in rows.select(columns).iter_rows():
        growth = now / level
        if growth < _MORE or not counts_calls(metric):
            continue
        callee = _asked_of(entity, metric, edges)
        below = {b for a, b in edges if a == entity}
        tried = callee in failing if callee else bool(below & failing)
        if tried and growth < _TRIES:
            continue
        weight = min(3.0 * float(np.log2(growth)), _MOST)
        if entity in found and found[entity].weight >= weight:
            continue
        text = f"{entity} makes {now:.3g} calls for each of its requests, {level:.3g} before ({metric})"
        found[entity] = Signal(
            entity,
            "asks_more",
            weight,
            {"change_regression": 1.0},
            text,
            growth,
            growth - 1,
            callee,
        )
    return list(found.values())


def counts_calls(metric: str) -> bool:
    """Whether a metric counts calls for each piece of its owner's own work."""
    parts = words(metric)
    if "per" not in parts:
        return False
    at = parts.index("per")
    return bool(set(parts[:at]) & _CALLS and set(parts[at + 1 : at + 2]) & _WORK)


def _asked_of(entity: str, metric: str, edges: Collection[Edge]) -> str:
    """The callee that a metric's name tells, or the only one; nothing where it stays open."""
    below = sorted({b for a, b in edges if a == entity})
    told = set(words(metric))
    named = [name for name in below if set(words(name)) & told]
    if len(named) == 1:
        return named[0]
    return below[0] if len(below) == 1 else ""
