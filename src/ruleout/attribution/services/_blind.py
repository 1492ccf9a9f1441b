"""Services that count nothing any more while whom they alone call is asked as ever: requests that arrived were made."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._own_counts import SOUND
from ruleout.attribution.services._records import Signal

_NOTHING = 0.01
"""Part of its usual requests below which an entity counts none."""

_AS_EVER = 0.6
"""Part of its usual requests from which on an entity is asked as ever."""

_WORTH = 6.0


def blind(departed: pl.DataFrame, edges: Collection[Edge], symptom: str | None) -> list[Signal]:
    """What speaks for lost telemetry of those who count nothing; at most one signal, at whom the alarm names first.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
        symptom: the entity of the alarm.
    """
    counted = departed.filter(
        (pl.col("kind") == "traffic") & pl.col("about").is_null() & (pl.col("level") > 0)
    )
    left = {
        name: (most, usual)
        for name, most, usual in counted.group_by("entity")
        .agg((pl.col("middle_now") / pl.col("level")).max().alias("left"), pl.col("level").max())
        .iter_rows()
    }
    # Who is seldom asked counts nothing most of the time.
    sure = set(counted.filter((pl.col("sign") < 0) & (pl.col("score") > SOUND))["entity"])
    mute = {name for name, (most, _) in left.items() if most < _NOTHING} & sure
    found: dict[str, list[str]] = {}
    for name in sorted(mute):
        for callee in sorted(b for a, b in edges if a == name and b != name):
            callers = {a for a, b in edges if b == callee}
            if callers <= mute and left.get(callee, (0.0, 0.0))[0] >= _AS_EVER:
                found.setdefault(name, []).append(callee)
    if not found:
        return []
    name = symptom if symptom in found else max(found, key=lambda one: (left[one][1], one))
    text = (
        f"{', '.join(sorted(mute))} count no requests any more, and {', '.join(found[name])}, whom nobody else calls,"
        f" get theirs: they are not down, they are not measured"
    )
    modes = {"observability_failure": 1.0}
    return [Signal(name, "silence", _WORTH, modes, text, float(len(mute)), 1.0)]
