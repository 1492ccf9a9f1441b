"""Pools of a caller's own that are too small for a callee that is as quick as ever."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import SLOW

_WAITS = 1.5
"""Departure of the time spent waiting for a place in a pool from which on it is no chance."""

_SOUND = 1.0
"""Departure below which a callee is as it was."""

_LONGER = 1.3
"""Times its usual time below which a callee is as quick as ever."""

_PART = 0.3
"""Part of what calls take longer that must be spent waiting for a place."""

_PLAINLY, _FAR = 1.5, 3.0
"""Departure of a callee's time, and times its usual, from which on places are held for it."""

_GOOD_PART = 0.1
"""Part of its caller's time that it must take now."""

_LEFT = 0.4
"""What is then left of full pools, and of memory, as a sign of who is at fault."""

_TAKEN = 0.7
"""Of what calls to a sound callee have cost, what is its caller's pool's."""

_OF_CALLS = {"added_time", "symptom_flow", "seen_by_callers", "metric.latency", "refused_calls"}
_OWN = ("latency", "cpu", "disk", "memory", "saturation", "error", "availability", "accelerator")


def own_pools(departed: pl.DataFrame) -> set[tuple[str, str]]:
    """(caller, callee) where calls wait for the caller's own pool, while the callee is as it was."""
    waits = departed.filter(
        (pl.col("clue") == "pool") & pl.col("about").is_not_null() & (pl.col("score") > _WAITS)
    )
    if waits.is_empty():
        return set()
    own = departed.filter(
        pl.col("kind").is_in(_OWN)
        & pl.col("about").is_null()
        & pl.col("clue").ne_missing("in_flight")
    )
    # A tenth more time that is told surely is no trouble that fills a pool.
    little = (pl.col("kind") == "latency") & (pl.col("middle_now") < _LONGER * pl.col("level"))
    own = own.with_columns(pl.when(little).then(0.0).otherwise("score").alias("score"))
    worst = dict(own.group_by("entity").agg(pl.col("score").max()).iter_rows())
    moved = (pl.col("now") - pl.col("level")).max().alias("moved")
    calls = departed.filter((pl.col("kind") == "latency") & pl.col("about").is_not_null())
    longer = {(a, b): m for a, b, m in calls.group_by("entity", "about").agg(moved).iter_rows()}
    waited = waits.group_by("entity", "about").agg(moved).sort("entity", "about").iter_rows()
    return {
        (a, b)
        for a, b, wait in waited
        if b in worst and worst[b] < _SOUND and wait >= _PART * longer.get((a, b), 0.0)
    }


def to_pools(signals: Sequence[Signal], pools: Collection[tuple[str, str]]) -> list[Signal]:
    """What calls to a sound callee cost is taken by the pool in which they waited."""
    out = list(signals)
    for caller, callee in sorted(pools):
        taken = 0.0
        for k, one in enumerate(out):
            if one.entity == callee and one.name in _OF_CALLS:
                taken += _TAKEN * one.weight
                out[k] = one._replace(weight=(1 - _TAKEN) * one.weight)
        text = f"calls from {caller} wait for its pool of places at {callee}, which is as quick as ever"
        out.append(
            Signal(
                caller,
                "own_pool",
                1.0 + taken,
                {"pool_exhaustion": 1.0},
                text,
                taken,
                taken,
                callee,
            )
        )
    return out


def held_for_others(
    signals: Sequence[Signal], departed: pl.DataFrame, edges: Collection[Edge]
) -> list[Signal]:
    """The signals, full pools less where a callee takes far longer: places are held for as long as it takes.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs; without them, who takes less time than another may be its callee.
    """
    full = {
        s.entity for s in signals if s.name == "metric.saturation" and "pool_exhaustion" in s.modes
    }
    rows = departed.filter(
        (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & (pl.col("level") > 0)
        & ~pl.col("host")
    )
    slower = rows.filter(
        (pl.col("sign") > 0)
        & (pl.col("score") > _PLAINLY)
        & (pl.col("now") > _FAR * pl.col("level"))
    )
    held = {name for name in full if _waits_below(name, slower, rows, edges)}
    holding = _holding(departed)
    told = [
        one._replace(weight=_LEFT * one.weight)
        if one.name == "metric.memory" and one.entity in holding
        else one
        for one in signals
    ]
    return [
        one._replace(weight=_LEFT * one.weight, modes=SLOW)
        if one.name == "metric.saturation" and one.entity in held and "pool_exhaustion" in one.modes
        else one
        for one in told
    ]


def _holding(departed: pl.DataFrame) -> set[str]:
    """Who holds many times as many requests and sees somebody whom it calls take far longer: their memory is held with them."""
    grown = (
        (pl.col("sign") > 0)
        & (pl.col("score") > _PLAINLY)
        & (pl.col("middle_now") > _FAR * pl.col("level"))
    )
    held = departed.filter(grown & (pl.col("clue") == "in_flight") & pl.col("about").is_null())
    waits = departed.filter(
        grown
        & (pl.col("kind") == "latency")
        & pl.col("about").is_not_null()
        & (pl.col("level") > 0)
    )
    return set(held["entity"]) & set(waits["entity"])


def _waits_below(
    name: str, slower: pl.DataFrame, rows: pl.DataFrame, edges: Collection[Edge]
) -> bool:
    """Whether somebody whom an entity may call takes a good part of the time that the entity's answers take now."""
    below = {b for a, b in edges if a == name and b != name}
    mine = rows.filter(pl.col("entity") == name).select("metric", "level", "now")
    others = slower.filter(pl.col("entity") != name)
    if edges:
        others = others.filter(pl.col("entity").is_in(sorted(below)))
    both = others.join(mine, on="metric", suffix="_own")
    part = both.filter(
        (pl.col("level") < pl.col("level_own"))
        & (pl.col("now") <= pl.col("now_own"))
        & (pl.col("now") > _GOOD_PART * pl.col("now_own"))
    )
    return part.height > 0
