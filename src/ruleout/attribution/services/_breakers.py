"""Breakers that keep back what would have been served, and who is asked only while somebody else fails."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import words
from ruleout.attribution.services._own_counts import SOUND, grown_requests, still
from ruleout.attribution.services._pools import own_pools

_MOVED = 0.8
"""Departure of a caller's view from which on it counts."""

_FEWER = 0.6
"""Part of its requests below which an entity that fails is no longer asked."""

_KEPT_BACK = 0.7
"""Part of the failures that a caller counts which its breaker's own must be to be all of them."""

_STATE = frozenset(["state", "status", "open", "opened", "closed"])
"""Words of a breaker's state, which is no count of calls."""

_RARELY = 0.02
"""Part of its requests now that somebody was asked before who stands by for others."""


_LONGER = (
    (pl.col("kind") == "latency")
    & pl.col("about").is_null()
    & (pl.col("sign") > 0)
    & (pl.col("score") > SOUND)
    & (pl.col("middle_now") > 1.5 * pl.col("level"))
)


def failing(departed: pl.DataFrame, edges: Collection[Edge] = ()) -> set[str]:
    """Who fails or is cut off, and gets far fewer requests than it did, or in whose place its caller asks who stands by.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
    """
    bad = departed.filter(
        pl.col("kind").is_in(["error", "availability"])
        & (pl.col("sign") > 0)
        & (pl.col("score") > SOUND)
    )
    found = set(bad.filter(pl.col("about").is_null())["entity"]) | set(bad["about"].drop_nulls())
    grown, spare = grown_requests(departed), standby(departed)
    asking = {a for a, b in edges if b in spare}
    counted = bad.filter(pl.col("about").is_not_null() & pl.col("entity").is_in(sorted(asking)))
    return {name for name in found if grown.get(("", name), 1.0) < _FEWER} | (
        set(counted["about"]) - spare
    )


def standby(departed: pl.DataFrame) -> set[str]:
    """Who was hardly asked anything before, and is now."""
    asked = departed.filter(
        (pl.col("kind") == "traffic")
        & pl.col("about").is_null()
        & (pl.col("score") > _MOVED)
        & (pl.col("middle_now") > 0)
    )
    usual = asked.group_by("entity").agg((pl.col("level") / pl.col("middle_now")).max())
    return set(usual.filter(pl.col("level") < _RARELY)["entity"])


def sound(departed: pl.DataFrame) -> set[str]:
    """Who by its own count fails no more than before, and mostly takes no longer: a moment of slowness may be over."""
    return still(departed, "error") - set(departed.filter(_LONGER)["entity"])


def bears(departed: pl.DataFrame, name: str) -> bool:
    """Whether somebody measured what an entity answers, and neither it nor its callers count that it fails or takes longer."""
    of = (pl.col("entity") == name) & pl.col("about").is_null() | (pl.col("about") == name)
    told = departed.filter(of & pl.col("kind").is_in(["error", "availability", "latency"]))
    fails = (pl.col("kind") != "latency") & (pl.col("sign") > 0) & (pl.col("score") > SOUND)
    return told.height > 0 and told.filter(fails | _LONGER).is_empty()


def withheld(departed: pl.DataFrame) -> dict[str, str]:
    """Whose breaker keeps requests from each callee that by its own count neither fails more nor takes longer."""
    well = sound(departed)
    return {callee: caller for caller, callee in only_tripped(departed) if callee in well}


def only_tripped(departed: pl.DataFrame) -> set[tuple[str, str]]:
    """(caller, callee) where all that the caller counts of failing calls is its breaker, and none that was made fails.

    Who counts calls that were kept back among those that failed counts hardly more of them than were kept back.
    """
    rows = departed.filter(
        pl.col("about").is_not_null()
        & (pl.col("kind") == "error")
        & (pl.col("sign") > 0)
        & (pl.col("score") > _MOVED)
    )
    breaker = pl.col("clue").eq_missing("breaker")
    state = pl.Series(
        [bool(_STATE & set(words(name))) for name in rows["metric"]], dtype=pl.Boolean
    )
    rows = rows.with_columns(pl.when(state).then(0.0).otherwise("now").alias("counted"))
    kept, fail = (pl.col("counted").filter(one).max().fill_null(0.0) for one in (breaker, ~breaker))
    only = (
        rows.group_by("entity", "about")
        .agg(
            kept.alias("kept"),
            fail.alias("fail"),
            # It is open most of the time, and not for a moment.
            (breaker & (pl.col("middle_now") > 0)).any().alias("tells"),
        )
        .filter(pl.col("tells") & (pl.col("kept") >= _KEPT_BACK * pl.col("fail")))
    )
    # Where calls wait for a place in the caller's own pool, it trips for that.
    return set(only.select("entity", "about").iter_rows()) - own_pools(departed)


def behind_a_breaker(departed: pl.DataFrame, edges: Collection[Edge]) -> set[tuple[str, str]]:
    """(caller, callee) where a caller whose breaker opened, of whom it does not say, asks the callee hardly any more.

    A callee that fails or takes longer is withheld from rightly.
    """
    opened = departed.filter(
        (pl.col("clue") == "breaker")
        & pl.col("about").is_null()
        & (pl.col("sign") > 0)
        & (pl.col("score") > _MOVED)
    )
    callers = set(opened["entity"])
    if not callers:
        return set()
    well, grown = sound(departed), grown_requests(departed)
    return {
        (a, b) for a, b in edges if a in callers and b in well and grown.get(("", b), 1.0) < _FEWER
    }
