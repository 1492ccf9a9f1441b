"""Larger pieces of work at the same number of requests: files, clips, pages and bodies as they come in."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import words
from ruleout.attribution.services._records import Signal

_MORE = 1.6
"""Times their usual size from which on pieces of work count as larger."""

_SIZES = frozenset(
    [
        "bytes", "kb", "mb", "kib", "mib", "size", "pixels", "megapixels", "pages", "frames", "chars", "characters",
        "length", "body", "payload",
    ]
)  # fmt: skip
_LASTING = frozenset(["audio", "video", "clip", "clips", "recording", "media", "footage"])
"""What is as large as it lasts."""

_LASTS = frozenset(["seconds", "sec", "secs", "s", "ms", "minutes", "duration"])
_EACH = frozenset(["avg", "average", "mean", "median", "p50", "per"])
_OF_TIME = _LASTS | {"second", "min", "minute", "hour", "day"}
_NOT_IN = frozenset(
    [
        "response", "responses", "out", "output", "egress", "sent", "written", "tx", "transmitted", "reply", "result",
        "results", "heap", "rss", "memory", "mem", "disk", "cache", "cached", "queue", "pool", "batch", "buffer", "log",
    ]
)  # fmt: skip
"""Words of what a service makes or holds; of that, more is a result."""

_BEYOND = 1.5
"""Times as much longer as pieces are larger that an entity may take and still be slow for their size."""

_LEFT = 0.3
_SURELY = 2.0
_OF_SIZE = {
    "symptom_flow", "added_time", "metric.saturation", "metric.latency", "metric.accelerator", "metric.cpu",
    "seen_by_callers", "seen_below", "own_pool", "beneath", "metric.other",
}  # fmt: skip
LARGER = "larger_work"


def larger(departed: pl.DataFrame, edges: Collection[Edge]) -> list[Signal]:
    """The entity at which larger pieces of work come in, its number of requests hardly grown; at most one.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
    """
    rows = departed.filter(
        (pl.col("sign") > 0)
        & (pl.col("level") > 0)
        & (pl.col("score") > 1.0)
        & pl.col("about").is_null()
    )
    called = {callee for _, callee in edges}
    found: dict[str, tuple[float, str]] = {}
    for entity, metric, level, now in rows.select(
        "entity", "metric", "level", "middle_now"
    ).iter_rows():
        if entity not in called and now >= _MORE * level and _a_size(metric):
            found[entity] = max(found.get(entity, (0.0, "")), (now / level, metric))
    if not found:
        return []
    entity = max(found, key=lambda name: (found[name][0], name))
    ratio, metric = found[entity]
    text = f"what {entity} is asked is {ratio:.1f} times as large as usual ({metric})"
    weight = min(4.0 * float(np.log2(ratio)), 7.0)
    return [Signal(entity, LARGER, weight, {"traffic_surge": 1.0}, text, ratio, ratio - 1)]


def _a_size(metric: str) -> bool:
    """Whether a metric tells how large each piece is that comes in."""
    parts = words(metric)
    told = set(parts)
    if told & _NOT_IN or not told & _EACH:
        return False
    if "per" in told and set(parts[parts.index("per") + 1 :]) & _OF_TIME:
        return False
    return bool(told & _SIZES or (told & _LASTING and told & _LASTS))


def excused_by_size(signals: Sequence[Signal], departed: pl.DataFrame) -> list[Signal]:
    """The signals, those of whoever takes about as much longer as its work is larger less what that explains."""
    doors = [one for one in signals if one.name == LARGER and one.weight > _SURELY]
    if not doors:
        return list(signals)
    door = doors[0]
    beyond = _beyond(departed, _BEYOND * (1 + door.effect))
    out, taken = [], 0.0
    for one in signals:
        if one.name not in _OF_SIZE or one.entity == door.entity or one.entity in beyond:
            out.append(one)
            continue
        out.append(one._replace(weight=_LEFT * one.weight))
        taken = max(taken, (1 - _LEFT) * one.weight)
    return [one._replace(weight=one.weight + taken) if one is door else one for one in out]


def _beyond(departed: pl.DataFrame, ratio: float) -> set[str]:
    """Who takes longer in the middle than larger work would: by the quickest of its times, as queues lengthen the rest."""
    timed = departed.filter(
        (pl.col("kind") == "latency") & (pl.col("level") > 0) & pl.col("about").is_null()
    )
    grown = timed.group_by("entity").agg((pl.col("middle_now") / pl.col("level")).min())
    return {str(name) for name, times in grown.iter_rows() if times > ratio}
