"""Troubles of a machine that nothing on it accounts for: those are its own, and not its services'."""

from __future__ import annotations

import polars as pl

from ruleout.attribution.services._kinds import clue_of, words

_SHARE = frozenset(
    ["pct", "perc", "percent", "ratio", "usage", "util", "utilisation", "utilization", "used"]
)
_FULL = 0.8
"""Share of its processor that a machine must use for it to be taken."""

_MOVED, _SURELY = 1.0, 1.5
"""Departure from which on a service works more, and from which on a machine does."""

_STILL = 0.5
_SEVERAL = 3
"""So many services, or machines, must measure the same to say that none of the others did it."""

_ITS_OWN, _ALONE = 1.0, 0.8
"""Weight of a processor that no service takes, and of a mechanism that one machine alone shows."""


def of_its_own(table: pl.DataFrame) -> dict[tuple[str, str], float]:
    """(machine, metric) of which nobody else shows the reason, with the part of its weight that it keeps.

    A batch job fills a processor while no service on any machine uses more of one; a network card loses packets
    where the other machines' do not.

    Args:
        table: series that departed, as `departures` returns them.
    """
    own = table.filter(pl.col("about").is_null())
    machines = own.filter(pl.col("host") & (pl.col("sign") > 0))
    busy = own.filter(~pl.col("host") & (pl.col("kind") == "cpu") & pl.col("clue").is_null())
    working = busy.filter((pl.col("sign") > 0) & (pl.col("score") > _MOVED))
    unshared = busy["entity"].n_unique() >= _SEVERAL and working.is_empty()
    found: dict[tuple[str, str], float] = {}
    for row in machines.filter(pl.col("score") > _SURELY).iter_rows(named=True):
        key, clue = (row["entity"], row["metric"]), clue_of(row["metric"])
        if clue is None and row["kind"] == "cpu" and unshared and _full(*key[1:], row["now"]):
            found[key] = _ITS_OWN
        elif clue is not None and clue.primary and _only(machines, *key):
            found[key] = _ALONE
    return found


def _full(metric: str, now: float) -> bool:
    """Whether a share of the processor's time is near to all of it."""
    return bool(_SHARE & set(words(metric))) and _FULL <= (now if now <= 1 else now / 100) <= 1


def _only(machines: pl.DataFrame, name: str, metric: str) -> bool:
    """Whether of several machines that measure the same nobody else's moved."""
    others = machines.filter((pl.col("metric") == metric) & (pl.col("entity") != name))
    quiet = others.filter(pl.col("score") > _STILL).is_empty()
    return others["entity"].n_unique() >= _SEVERAL - 1 and quiet
