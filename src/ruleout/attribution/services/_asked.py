"""Who is asked much less, or much more, than those who ask would account for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import ASKED, words
from ruleout.attribution.services._metrics import SHARES
from ruleout.attribution.services._records import Signal

_GONE = 0.3
"""Part of its usual requests below which an entity counts as cut off."""

_HELD = 0.6
"""Part of its usual requests above which an entity is asked as ever."""

_MORE = 1.5
_SAME = 1.25
"""An entity that is asked `_MORE` times as much by callers that are asked at most `_SAME` times as much."""

_UNHURT = 0.2
"""Weight of being cut off where no caller fails for it."""

_NOTED = 0.1
"""Of the busiest caller's requests, the part that an entity must usually get to count in full."""

_CUT = {
    "network_fault": 0.5,
    "hardware_fault": 0.2,
    "slow_dependency": 0.15,
    "change_regression": 0.15,
}
_AGAIN = {"retry_storm": 0.75, "cache_storm": 0.25}


class _Asked(NamedTuple):
    ratio: float
    """Requests now over the usual ones; 1 where they stayed within their range."""

    usual: float
    """Of the usual requests, those of the busiest entity being 1."""


def asked(departed: pl.DataFrame, edges: Collection[Edge]) -> list[Signal]:
    """Entities that requests no longer reach, and such as are asked again and again.

    Args:
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs; without them nothing can be told.
    """
    known = _traffic(departed)
    callers: dict[str, set[str]] = {}
    callees: dict[str, set[str]] = {}
    for caller, callee in edges:
        if caller in known and callee in known and caller != callee:
            callers.setdefault(callee, set()).add(caller)
            callees.setdefault(caller, set()).add(callee)
    failing = _failing(departed)
    found = []
    for name, (ratio, _) in known.items():
        above = callers.get(name, set())
        beside = set().union(*(callees.get(one, set()) for one in above)) - {name}
        if ratio <= _GONE and above:
            # Who cannot be reached makes those fail that need it.
            hurt = 1.0 if failing is None or failing & above else _UNHURT
            found += _cut_off(name, known, above, beside, hurt)
        elif ratio >= _MORE and above and max(known[x].ratio for x in above) <= _SAME:
            text = f"{name} is asked {ratio:.1f} times as much as usual, its callers are not"
            found.append(Signal(name, "asked_again", 1.0, _AGAIN, text, ratio, ratio - 1))
    return found


def _cut_off(
    name: str,
    known: Mapping[str, _Asked],
    above: Collection[str],
    beside: Collection[str],
    trust: float,
) -> list[Signal]:
    """The signal that an entity is not reached, where its callers are asked as ever and ask others."""
    ratio, usual = known[name]
    if float(np.median([known[one].ratio for one in above])) < _HELD:
        return []
    share = float(np.mean([known[one].ratio >= _HELD for one in beside])) if beside else 0.6
    busy = max(known[one].usual for one in above)
    # What was seldom asked cannot have hurt many.
    weight = trust * (2.0 + 4.0 * share) * min(usual / (_NOTED * busy), 1.0)
    text = f"{name} gets {ratio:.0%} of its usual requests, while those around it get theirs"
    return [Signal(name, "unreached", weight, _CUT, text, 1 - ratio, 1 - ratio)]


def _failing(departed: pl.DataFrame) -> set[str] | None:
    """Entities whose failures rose; None where nobody's are measured."""
    measured = departed.filter(pl.col("kind").is_in(SHARES))
    if measured.is_empty():
        return None
    return set(measured.filter(pl.col("score") > 0.5)["entity"])


def _traffic(departed: pl.DataFrame) -> dict[str, _Asked]:
    rows = departed.filter((pl.col("kind") == "traffic") & (pl.col("level") > 0) & ~pl.col("idle"))
    usual = pl.col("level") / pl.col("level").max().over("metric")
    columns = ("entity", "metric", "level", "middle_now", "score", "usual")
    found: dict[str, list[tuple[float, float]]] = {}
    for entity, metric, level, now, score, size in (
        rows.with_columns(usual.alias("usual")).select(columns).iter_rows()
    ):
        if set(words(metric)) & ASKED:
            ratio = max(now / level, 1e-3) if score > 0.5 else 1.0
            found.setdefault(entity, []).append((float(np.log(ratio)), size))
    return {
        name: _Asked(
            float(np.exp(np.median([log for log, _ in values]))), max(size for _, size in values)
        )
        for name, values in found.items()
    }
