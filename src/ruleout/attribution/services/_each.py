"""What calls cost one request: means beside means and tails beside tails, times the calls that a request makes."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._kinds import words

_TAILS = frozenset(["p90", "p95", "p99", "p999", "max", "upper", "90", "95", "99", "999"])


def like_with_like(rows: pl.DataFrame, *, every: bool = False) -> pl.DataFrame:
    """Rows with `moved`, by how much each measure changed, and `tail`, whether it is one of the slowest requests.

    Args:
        rows: of series that departed, as `departures` returns them.
        every: whether tails are kept where the same pair has another measure as well.
    """
    tail = pl.Series(
        "tail", [bool(_TAILS & set(words(m))) for m in rows["metric"]], dtype=pl.Boolean
    )
    told = rows.with_columns((pl.col("now") - pl.col("level")).abs().alias("moved"), tail)
    alone = pl.col("tail").all().over("entity", "about")
    return told if every else told.filter(~pl.col("tail") | alone)


def calls_each(departed: pl.DataFrame) -> dict[tuple[str, str], float]:
    """How often each caller asks each callee for one of its own requests, where both are counted; at least once."""
    counted = departed.filter((pl.col("kind") == "traffic") & (pl.col("middle_now") > 0))
    own = counted.filter(pl.col("about").is_null())
    asked = dict(own.group_by("entity").agg(pl.col("middle_now").max()).iter_rows())
    made = counted.filter(pl.col("about").is_not_null())
    made = made.group_by("entity", "about").agg(pl.col("middle_now").max())
    return {(a, b): max(now / asked[a], 1.0) for a, b, now in made.iter_rows() if a in asked}
