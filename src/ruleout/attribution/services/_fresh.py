"""Copies that have no past: begun in the incident, slow at first, and later as quick as the rest.

A copy that has just begun loads what it needs, compiles and fills its caches. Its series begin with the incident, so
that nothing of it departs from a reference; beside its siblings, and beside itself a while later, it still tells.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._places import PLACE_MODES
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._windows import Windows

_LEAST = 6
"""Samples that a series of a new copy must hold."""

_WARM = 3.0
"""How many times longer than later, and than its siblings, a copy takes at first."""

_WORTH = 8.0
_LEFT = 0.3
_LOAD = "offered_load"
_EXPLAINED = {_LOAD, "symptom_flow", "metric.latency", "added_time"}
_ORDINAL = re.compile(r"[-_.]?(\d+|[a-z0-9]{5,10}-[a-z0-9]{4,6})$")


class Fresh(NamedTuple):
    """One copy that began in the incident."""

    entity: str
    metric: str
    first: float
    """Median of its first third."""

    later: float
    """Median of its last third."""

    usual: float
    """Median of its siblings over the incident; of a whole service, that of the reference."""

    whole: bool = False
    """Whether it is a service to which copies were added, which are not measured one by one."""


def fresh(metrics: pl.DataFrame, windows: Windows) -> list[Fresh]:
    """Copies whose time is measured from the incident on only, and falls to what their siblings take.

    Args:
        metrics: long metrics, as `Telemetry.metrics`.
        windows: the incident's windows.
    """
    start, end = windows.current
    names = [name for name in metrics["metric"].unique().to_list() if kind_of(name) == "latency"]
    rows = metrics.filter(pl.col("metric").is_in(names))
    old = rows.filter(pl.col("time") < start).select("entity", "metric").unique()
    now = rows.filter((pl.col("time") >= start) & (pl.col("time") <= end)).sort("time")
    known = now.join(old, on=["entity", "metric"], how="semi")
    new = now.join(old, on=["entity", "metric"], how="anti")
    found, names = [], sorted(known["entity"].unique())
    for (entity, metric), part in new.group_by("entity", "metric", maintain_order=True):
        if part.height < _LEAST:
            continue
        siblings = [name for name in names if _stem(name) == _stem(str(entity))]
        beside = known.filter((pl.col("metric") == metric) & pl.col("entity").is_in(siblings))
        if beside.is_empty():
            continue
        value = part["value"].to_numpy()
        third = max(part.height // 3, 2)
        first, later = float(np.median(value[:third])), float(np.median(value[-third:]))
        usual = float(np.median(beside["value"].to_numpy()))
        if first > _WARM * max(later, usual, 1e-12):
            found.append(Fresh(str(entity), str(metric), first, later, usual))
    return found


def from_fresh(found: list[Fresh]) -> list[Signal]:
    """What speaks for copies that were slow while they were new."""
    best: dict[str, Fresh] = {}
    for one in found:
        known = best.get(one.entity)
        if known is None or one.first / max(one.later, 1e-12) > known.first / max(
            known.later, 1e-12
        ):
            best[one.entity] = one
    return [
        Signal(
            name,
            "one_young",
            _WORTH,
            PLACE_MODES["young"],
            _text(one),
            one.first / max(one.usual, 1e-12),
            one.first - one.later,
        )
        for name, one in sorted(best.items())
    ]


def _text(one: Fresh) -> str:
    if one.whole:
        return (
            f"{one.entity} shows {one.metric} at {one.first:.4g} while copies added to it are new, {one.later:.4g} later"
            f" under as much load and {one.usual:.4g} before"
        )
    return (
        f"{one.entity}, begun in the incident, shows {one.metric} at {one.first:.4g} at first, {one.later:.4g} later"
        f" and {one.usual:.4g} at its siblings"
    )


def excused_by_fresh(signals: list[Signal], edges: Collection[Edge]) -> list[Signal]:
    """The signals, those of who asks new copies, and of load, less what the copies' first minutes explain.

    Their siblings carry the same load and are quick: it takes more than load to be as slow.
    """
    young = [one for one in signals if one.name == "one_young" and one.statistic > _WARM]
    if not young:
        return signals
    names = {one.entity for one in young}
    asking = {a for a, b in edges if b in names} | {s.entity for s in signals if s.name == _LOAD}
    out, taken = [], 0.0
    for one in signals:
        if one.name in _EXPLAINED and one.entity in asking - names:
            out.append(one._replace(weight=_LEFT * one.weight))
            taken = max(taken, (1 - _LEFT) * one.weight)
        else:
            out.append(one)
    first = max(young, key=lambda one: (one.statistic, one.entity))
    return [one._replace(weight=one.weight + taken) if one is first else one for one in out]


def _stem(name: str) -> str:
    return _ORDINAL.sub("", name)
