"""Machines with a trouble of their own under several services that do not call each other: what these share is the machine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._own_counts import grown_requests
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import matters, modes_of

_TELLING = ["steal", "device", "heat", "clock", "disk_wait"]
_PLAINLY = 1.5
"""Departure of a machine's trouble, and of a service's time, from which on nobody doubts them; growth of load that makes either."""

_FULL = 0.85
"""Part of a machine's processor from which on it has none left."""

_HANDED = 0.8
_MOST = 8.0
_OTHERS = ("one_", "silence")


def from_shared(
    signals: Sequence[Signal],
    departed: pl.DataFrame,
    edges: Collection[Edge],
    machines: Collection[str],
) -> list[Signal]:
    """The signals, those of services that take longer on one ill machine handed to it.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs, with machines as whom services call.
        machines: entities that are machines.
    """
    longer = pl.col("about").is_null() & (pl.col("kind") == "latency")
    slow = longer & (pl.col("sign") > 0) & (pl.col("score") > _PLAINLY)
    slow &= pl.col("middle_now") > _PLAINLY * pl.col("level")
    measured = set(departed.filter(longer)["entity"])
    grown, known = grown_requests(departed), set(edges)
    ill = {
        name
        for name in departed.filter(slow)["entity"]
        if grown.get(("", name), 1.0) < _PLAINLY and name not in machines
    }
    found: dict[str, tuple[set[str], float, dict[str, float]]] = {}
    for row in departed.filter(pl.col("entity").is_in(list(machines))).iter_rows(named=True):
        name, trouble = row["entity"], row["score"] * matters(row)
        on = {a for a, b in edges if b == name} & measured
        if trouble <= max(_PLAINLY, found.get(name, (set(), 0.0))[1]) or not _tells(row):
            continue
        here = on & ill
        apart = any(
            (a, b) not in known and (b, a) not in known for a, b in combinations(sorted(here), 2)
        )
        if apart and 2 * len(here) >= len(on):
            found[name] = here, trouble, dict(modes_of(row["kind"], row["metric"], row["sign"]))
    if len(found) != 1:
        return list(signals)
    ((name, (here, trouble, modes)),) = found.items()
    out = [
        one._replace(weight=(1 - _HANDED) * one.weight)
        if one.entity in here and not one.name.startswith(_OTHERS)
        else one
        for one in signals
    ]
    taken = sum(a.weight - b.weight for a, b in zip(signals, out, strict=True))
    text = f"{', '.join(sorted(here))} take longer on {name}, asked no more, and it has a trouble of its own"
    weight = min(1.0 + taken, _MOST)
    return [*out, Signal(name, "one_host", weight, modes, text, trouble, taken)]


def _tells(row: dict[str, object]) -> bool:
    """Whether a machine's series tells a trouble that slows down all who work on it."""
    level, now = float(str(row["level"])), float(str(row["now"]))
    whole = 100.0 if max(level, now) > 1.5 else 1.0
    busy = row["kind"] == "cpu" and row["clue"] is None and level < _FULL * whole <= now <= whole
    return (row["sign"] == 1 and (busy or row["clue"] in _TELLING)) or row["clue"] == "clock"
