"""Second tries that nobody counts as such: calls beyond the caller's own requests, as many of which fail."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._own_counts import grown_requests

_MORE, _SAME = 1.8, 1.25
"""Growth of calls to somebody, and of the caller's own requests, between which the rest are second tries."""

_MOSTLY = 0.6
"""Part of what was added that must fail."""

_SLOWER, _SURELY = 3.0, 1.5
"""Times as long as usual that the callee must take, and how surely: who fails at once is tried again as well, and bears it."""


def tried_again(departed: pl.DataFrame) -> list[tuple[str, str, float, float]]:
    """(caller, callee, calls before, calls now) where as many calls fail as were added, to somebody who is far slower.

    Args:
        departed: series that departed, as `departures` returns them.
    """
    columns = ("entity", "about", "level", "middle_now")
    counted = departed.filter(pl.col("about").is_not_null() & (pl.col("sign") > 0))
    failing = counted.filter((pl.col("kind") == "error") & pl.col("clue").is_null())
    fails = {(a, b): now for a, b, _, now in failing.select(columns).iter_rows()}
    slow = departed.filter(
        (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & (pl.col("score") > _SURELY)
        & (pl.col("middle_now") >= _SLOWER * pl.col("level"))
    )
    slower, grown = set(slow["entity"]), grown_requests(departed)
    calls = counted.filter((pl.col("kind") == "traffic") & (pl.col("level") > 0))
    return [
        (a, b, level, now)
        for a, b, level, now in calls.select(columns).iter_rows()
        if now >= _MORE * level
        and grown.get(("", a), _MORE) <= _SAME
        and b in slower
        and fails.get((a, b), 0.0) >= _MOSTLY * (now - level)
    ]
