"""What is read from and written to disks that nobody waits for."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._kinds import words

_MOVED = frozenset(
    ["read", "reads", "write", "writes", "written", "bytes", "kb", "mb", "iops", "io", "throughput"]
)
_STILL = 0.5
"""Departure below which the time that is waited for a disk is as it was."""


def unwaited(departed: pl.DataFrame) -> set[tuple[str, str]]:
    """(entity, metric) of work that a disk does, where the time waited for that very disk is measured and as it was.

    Args:
        departed: series that departed, as `departures` returns them.
    """
    own = departed.filter(pl.col("about").is_null() & (pl.col("kind") == "disk"))
    waits = own.filter(pl.col("clue") == "disk_wait")
    worst = waits.group_by("entity").agg(pl.col("score").max())
    calm = worst.filter(pl.col("score") < _STILL)["entity"]
    work = own.filter(pl.col("clue").is_null() & pl.col("entity").is_in(calm.to_list()))
    return {
        (e, m) for e, m in work.select("entity", "metric").iter_rows() if _MOVED & set(words(m))
    }
