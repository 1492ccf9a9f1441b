"""What entities count of themselves: who is asked more, who fails no more than before, who takes longer."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._kinds import Kind, words

SOUND = 1.0
"""Departure below which an entity is as it was."""

_ANEW = 50.0

_LOOKUPS = frozenset(
    ["coredns", "dns", "lookup", "lookups", "nxdomain", "resolve", "resolver", "servfail"]
)
"""Words of looking up names, beside those of certificates, which are the other side's."""


def grown_requests(
    departed: pl.DataFrame, column: str = "middle_now"
) -> dict[tuple[str, str], float]:
    """By what factor requests grew: at an entity, ("", entity), and from a caller, (caller, callee).

    Who was asked nothing before, and is now, is asked `_ANEW` times as much.
    """
    rows = departed.filter(
        (pl.col("kind") == "traffic") & ((pl.col("level") > 0) | (pl.col(column) > 0))
    )
    found: dict[tuple[str, str], float] = {}
    for entity, about, level, now in rows.select("entity", "about", "level", column).iter_rows():
        key = ("", entity) if about is None else (entity, about)
        found[key] = max(found.get(key, 0.0), now / max(level, now / _ANEW))
    return found


def still(departed: pl.DataFrame, kind: Kind) -> set[str]:
    """Who measures what is lost, and by its own count loses no more than before."""
    kinds = ["latency"] if kind == "latency" else ["error", "availability"]
    own = departed.filter(pl.col("kind").is_in(kinds) & pl.col("about").is_null())
    worst = own.group_by("entity").agg(pl.col("score").max())
    return set(worst.filter(pl.col("score") < SOUND / 2)["entity"])


def slower(departed: pl.DataFrame) -> set[str]:
    """Who by its own count takes longer than before."""
    rows = departed.filter(
        (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & (pl.col("sign") > 0)
        & (pl.col("score") > SOUND)
    )
    return set(rows["entity"])


def unresolved(departed: pl.DataFrame) -> set[str]:
    """Who counts by itself that it can no longer look up the names of whom it calls."""
    rows = departed.filter(
        (pl.col("clue") == "names")
        & pl.col("about").is_null()
        & ~pl.col("host")
        & (pl.col("sign") > 0)
        & (pl.col("score") > SOUND)
    )
    return {e for e, m in rows.select("entity", "metric").iter_rows() if _LOOKUPS & set(words(m))}
