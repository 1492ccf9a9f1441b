"""The symptom's own quantity where a callee measures it by another name than its caller does.

An entity of which nobody else measures the symptom's metric would seem to lose all of it by itself. A callee that
measures the same kind of quantity, in a unit that its name tells, can be compared with it all the same.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import kind_of, words

_SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "millis": 1e-3,
    "milliseconds": 1e-3, "us": 1e-6, "micros": 1e-6, "microseconds": 1e-6, "ns": 1e-9, "nanos": 1e-9,
}  # fmt: skip


class Renamed(NamedTuple):
    """Metrics in which callees' measures bear the symptom's name."""

    metrics: pl.DataFrame
    names: frozenset[str]
    """Entities whose own measure was taken for the symptom's."""


def by_one_name(
    metrics: pl.DataFrame,
    departed: pl.DataFrame,
    symptom: tuple[str, str],
    edges: Collection[Edge],
) -> Renamed:
    """The metrics, with the likest measure of each callee of the symptom's entity told as the symptom's metric.

    Only time is compared, and only in a known unit; who measures the symptom's metric itself keeps it.

    Args:
        metrics: long metrics, as `Telemetry.metrics`.
        departed: as `departures` returns it.
        symptom: the entity and the metric that raised the alarm.
        edges: (caller, callee) pairs.
    """
    entity, metric = symptom
    unit = _unit(metric)
    if unit is None or kind_of(metric) != "latency":
        return Renamed(metrics, frozenset())
    measured = set(departed.filter(pl.col("metric") == metric)["entity"])
    below = {callee for caller, callee in edges if caller == entity} - measured
    own = departed.filter(
        pl.col("entity").is_in(list(below))
        & (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & pl.col("clue").is_null()
    )
    parts, names = [metrics], set()
    for name in sorted(below & set(own["entity"])):
        rows = own.filter(pl.col("entity") == name)
        known = [one for one in rows["metric"] if _unit(one) is not None]
        if not known:
            continue
        best = max(known, key=lambda one: (_overlap(one, metric), one))
        scale = (_unit(best) or 1.0) / unit
        told = metrics.filter((pl.col("entity") == name) & (pl.col("metric") == best))
        parts.append(
            told.with_columns(
                pl.lit(metric, dtype=metrics.schema["metric"]).alias("metric"),
                pl.col("value") * scale,
            )
        )
        names.add(name)
    return Renamed(pl.concat(parts) if names else metrics, frozenset(names))


def _unit(metric: str) -> float | None:
    """Seconds that a metric's unit holds, as far as its name tells."""
    found = {_SECONDS[word] for word in words(metric) if word in _SECONDS}
    return found.pop() if len(found) == 1 else None


def _overlap(one: str, other: str) -> float:
    mine, theirs = set(words(one)), set(words(other))
    return len(mine & theirs) / len(mine | theirs)
