"""A quota that has become smaller, told from a quota that too much is asked of."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._kinds import OFFERED, words

_REFUSES = 0.8
"""Departure from which on a count of refusals counts."""

_FEWER = 0.85
"""Part of the answers that were given before below which clearly fewer are given."""

_SHARES = frozenset(["ratio", "rate", "share", "pct", "percent", "percentage", "fraction"])


def lowered(departed: pl.DataFrame) -> str | None:
    """Who refuses calls by a quota, is asked no less than before, and answers fewer than it did.

    More requests fill a quota, and as many as ever are answered up to it. Where fewer are, the quota is not what it was.

    Args:
        departed: series that departed, as `departures` returns them.
    """
    own = departed.filter(pl.col("about").is_null())
    refusing = own.filter(
        (pl.col("clue") == "quota") & (pl.col("sign") > 0) & (pl.col("score") > _REFUSES)
    )
    for entity in refusing.sort("score", "entity", descending=True)["entity"].unique(
        maintain_order=True
    ):
        rows = own.filter(pl.col("entity") == entity)
        asked = _asked(rows)
        failing = _failing(rows, asked)
        if asked is None or failing is None or asked[1] < asked[0]:
            continue
        was, now = (many * (1 - share) for many, share in zip(asked, failing, strict=True))
        if now < _FEWER * was:
            return str(entity)
    return None


def _asked(rows: pl.DataFrame) -> tuple[float, float] | None:
    """Requests before and now."""
    traffic = rows.filter((pl.col("kind") == "traffic") & (pl.col("level") > 0)).sort("metric")
    for metric, was, now in traffic.select("metric", "level", "middle_now").iter_rows():
        if set(words(metric)) & OFFERED:
            return was, now
    return None


def _failing(rows: pl.DataFrame, asked: tuple[float, float] | None) -> tuple[float, float] | None:
    """Shares of the requests that failed before and fail now, whether told as such or of a hundred."""
    errors = rows.filter((pl.col("kind") == "error") & pl.col("clue").is_null()).sort(
        "score", descending=True
    )
    for metric, was, now, most in errors.select("metric", "level", "middle_now", "now").iter_rows():
        if asked is not None and set(words(metric)) & _SHARES:
            whole = 100.0 if max(was, most) > 1 else 1.0
            return min(was / whole, 1.0), min(now / whole, 1.0)
    return None
