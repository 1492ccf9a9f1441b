"""Callers that ask one callee far more than they are asked themselves, by the counts of either side.

Nothing fails that would have to be tried again, and nobody else answers less in the callee's place: then the same
requests are served with more calls, which only the caller's own code decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._own_counts import grown_requests
from ruleout.attribution.services._records import Signal

_MORE = 2.0
"""By what factor calls must grow beyond the caller's own requests."""

_SAME = 1.25
"""By what factor callers may be asked more, where only the callee counts its calls."""

_LESS = 0.6
"""Part of its usual requests below which another callee no longer answers."""

_FAILS = 1.0
"""Departure of failures, of second tries and of caches from which on they are another reason to ask."""

_SLOWER = 2.0
"""Times as much slower as any other caller that the one of several must be whose calls have grown."""

_SURELY = 1.5
"""Departure of a count of calls from which on it has grown by more than chance."""

_LONGER = 1.3
"""Times as long as usual that the caller's answers must take."""

_MOST = 6.0
_REASONS = ["retries", "late", "breaker"]


def asks_beyond(departed: pl.DataFrame, edges: Collection[Edge]) -> list[Signal]:
    """Who asks a callee at least twice as much as its own requests account for.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
    """
    grown = grown_requests(departed)
    # Who is seldom asked is asked many times as much by chance; and more calls take their caller's time.
    surely = departed.filter((pl.col("level") > 0) & (pl.col("score") > _SURELY))
    slower = _slower(departed)
    more = grown_requests(surely)
    ill, again = _ill(departed), _again(departed)
    found: dict[str, Signal] = {}
    for callee in sorted({b for _, b in edges}):
        callers = {a for a, b in edges if b == callee and a != callee}
        told = _asking(callee, callers, grown, more, slower)
        if told is None or callee in ill or slower.get(told[0], 1.0) < _LONGER:
            continue
        caller, growth = told
        beside = {b for a, b in edges if a == caller} - {callee}
        fewer = any(grown.get((caller, b), grown.get(("", b), 1.0)) < _LESS for b in beside)
        if fewer or caller in again or beside & ill:
            continue
        weight = min(2.0 * float(np.log2(growth)), _MOST)
        if caller not in found or found[caller].weight < weight:
            text = (
                f"{caller} asks {callee} {growth:.1f} times as much as its own requests account for"
            )
            modes = {"change_regression": 1.0}
            found[caller] = Signal(
                caller, "asks_more", weight, modes, text, growth, growth - 1, callee
            )
    return list(found.values())


def _asking(
    callee: str,
    callers: Collection[str],
    grown: Mapping[tuple[str, str], float],
    more: Mapping[tuple[str, str], float],
    slower: Mapping[str, float],
) -> tuple[str, float] | None:
    """Who asks a callee more than its own requests account for, and how much more; None where nobody is told to."""
    own = {name: max(grown[("", name)], 1.0) for name in callers if ("", name) in grown}
    counted = {name: more[(name, callee)] / own[name] for name in own if (name, callee) in more}
    most = max(counted, key=lambda name: (counted[name], name), default=None)
    if most is not None:
        return (most, counted[most]) if counted[most] >= _MORE else None
    growth = more.get(("", callee), 1.0)
    if growth < _MORE or not own or len(own) < len(callers) or max(own.values()) > _SAME:
        return None
    first, *others = sorted(callers, key=lambda name: (-slower.get(name, 1.0), name))
    if others and slower.get(first, 1.0) < _SLOWER * max(slower.get(n, 1.0) for n in others):
        return None
    return first, growth


def _slower(departed: pl.DataFrame) -> dict[str, float]:
    """By what factor each entity's own answers surely take longer."""
    rows = departed.filter(
        (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & (pl.col("level") > 0)
        & (pl.col("score") > _FAILS)
    )
    longer = rows.group_by("entity").agg((pl.col("middle_now") / pl.col("level")).max())
    return dict(longer.iter_rows())


def _ill(departed: pl.DataFrame) -> set[str]:
    """Who fails, by its own count or by more of its calls than were added, and caches that answer less."""
    moved = departed.filter(pl.col("score") > _FAILS)
    failing = moved.filter(pl.col("kind").is_in(["error", "availability"]))
    own = set(failing.filter(pl.col("about").is_null() & pl.col("clue").is_null())["entity"])
    calls = grown_requests(departed)
    counted = failing.filter(pl.col("about").is_not_null() & (pl.col("sign") > 0))
    seen = {
        b
        for a, b, level, now in counted.select("entity", "about", "level", "middle_now").iter_rows()
        # As many more of more calls fail as ever.
        if now > _SLOWER * max(level, 1e-9) * max(calls.get((a, b), 1.0), 1.0)
    }
    return own | seen | set(moved.filter(pl.col("kind") == "cache")["entity"])


def _again(departed: pl.DataFrame) -> set[str]:
    """Who has another reason to call: it tries again, gives up, or its own cache answers less."""
    reason = pl.col("clue").is_in(_REASONS) | (pl.col("kind") == "cache")
    return set(departed.filter((pl.col("score") > _FAILS) & reason)["entity"])
