"""Work that is counted in rows: who brings in more of it, or less, and who multiplies or loses it.

Jobs that follow one another take what the one before has written, so that more rows at the source are more at every
step after it, and take longer at each. The step that writes more or fewer while those that it reads from write what
they did is the one that has changed them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import words
from ruleout.attribution.services._records import Signal

_COUNTED = {"row", "rows", "records", "tuples"}
_WRITTEN = {
    "out",
    "output",
    "written",
    "produced",
    "published",
    "loaded",
    "ingested",
    "processed",
    "extracted",
    "read",
    "count",
    "partition",
}
_MORE = 1.6
_FEWER = 0.75
"""Rows over their usual number, above and below which a step has more or fewer."""

_MOVED = 0.5
_WORTH = 7.0
_SOURCE_MORE = {"traffic_surge": 1.0}
_SOURCE_FEWER = {"partial_batch": 0.9, "join_loss": 0.1}
_STEP_MORE = {"join_fanout": 0.85, "change_regression": 0.15}
_STEP_FEWER = {"join_loss": 0.6, "partial_batch": 0.2, "change_regression": 0.2}
_OF_ROWS = {
    "symptom_flow",
    "metric.latency",
    "added_time",
    "beneath",
    "metric.cpu",
    "metric.other",
    "seen_below",
}
_LEFT = 0.3


def from_rows(departed: pl.DataFrame, edges: Collection[Edge]) -> list[Signal]:
    """The steps at which rows became more or fewer: those that read from no step of which the same is true.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs: who reads from whom.
    """
    ratios = _ratios(departed)
    moved = {name: ratio for name, ratio in ratios.items() if not _FEWER < ratio < _MORE}
    found = []
    for name, ratio in sorted(moved.items()):
        more = ratio > 1
        below = _beneath(name, edges) & set(ratios)
        if any(one in moved and (moved[one] > 1) == more for one in below):
            continue
        if below:
            modes = _STEP_MORE if more else _STEP_FEWER
            text = (
                f"{name} writes {ratio:.2f} times its usual rows, and those before it write theirs"
            )
        else:
            modes = _SOURCE_MORE if more else _SOURCE_FEWER
            text = f"{name} brings in {ratio:.2f} times the usual rows"
        weight = min(4.0 * abs(float(np.log2(ratio))), _WORTH)
        found.append(Signal(name, "rows", weight, modes, text, ratio, ratio - 1))
    return found


def excused_by_rows(signals: list[Signal], edges: Collection[Edge]) -> list[Signal]:
    """The signals, those of steps that have more to do for it less what that explains."""
    sources = {one.entity: one for one in signals if one.name == "rows" and one.effect > 0}
    if not sources:
        return signals
    after = {name for name, _ in edges if _beneath(name, edges) & set(sources)} | set(sources)
    out, taken = [], 0.0
    for one in signals:
        if one.name in _OF_ROWS and one.entity in after:
            out.append(one._replace(weight=_LEFT * one.weight))
            taken = max(taken, (1 - _LEFT) * one.weight)
        else:
            out.append(one)
    first = max(sources.values(), key=lambda one: (one.weight, one.effect, one.entity))
    return [one._replace(weight=one.weight + taken) if one is first else one for one in out]


def _ratios(departed: pl.DataFrame) -> Mapping[str, float]:
    """Rows written over the usual number, by step; 1 where they stayed in their range."""
    rows = departed.filter((pl.col("level") > 0) & pl.col("about").is_null())
    found: dict[str, float] = {}
    columns = ("entity", "metric", "level", "middle_now", "score")
    for entity, metric, level, now, score in rows.select(columns).iter_rows():
        told = set(words(metric))
        if told & _COUNTED and told & _WRITTEN and "per" not in told:
            ratio = now / level if score > _MOVED else 1.0
            known = found.get(entity, 1.0)
            found[entity] = max(known, ratio, key=lambda one: abs(float(np.log(max(one, 1e-3)))))
    return found


def _beneath(name: str, edges: Collection[Edge]) -> set[str]:
    """Everybody from whom one reads, by any way."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        new = {b for a, b in edges if a == one} - found - {name}
        found |= new
        waiting += sorted(new)
    return found
