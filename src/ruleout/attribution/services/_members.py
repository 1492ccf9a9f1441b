"""Copies that report under names of their own, told under the service whose copies they are.

Collectors measure requests by service and resources by pod or task. A service whose pods run out of memory shows
nothing of it under its own name, and its pods lose nothing that anybody asked for; only together do they tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import polars as pl

from ruleout.attribution.services._kinds import kind_of
from ruleout.sources.telemetry import Telemetry

_ORDINAL = re.compile(r"-(\d{1,3}|[a-z0-9]{5,11}-[a-z0-9]{4,6})$")
"""How schedulers name copies: by an ordinal, or by a hash of the build and one of the copy."""

_ASKED = {"latency", "traffic"}
_PLACES = {"host", "node", "machine", "vm"}
_BENEATH = _PLACES | {"device", "gpu", "accelerator"}
_COPIES = {"replica", "instance", "pod", "task", "container"}


def members(telemetry: Telemetry) -> dict[str, str]:
    """The service of every entity that is one of its copies: as spans tell, or as both their names do."""
    known = set(telemetry.metrics["entity"].unique())
    named = {name for edge in telemetry.topology for name in edge}
    spans = telemetry.spans
    traced = set(spans["service"].unique()) if spans.height else set()
    services = named | traced
    found: dict[str, str] = {}
    if spans.height:
        pairs = spans.select("instance", "service").drop_nulls().unique()
        alone = pairs.filter(pl.col("instance").is_unique())
        found = {copy: name for copy, name in alone.iter_rows() if copy in known}
        # Some draw copies as what their service calls; whoever calls others, or is a machine, is more than a copy.
        calling = {caller for caller, _ in telemetry.topology}
        drawn = {copy for copy, name in found.items() if (name, copy) in telemetry.topology}
        drawn = {one for one in drawn - calling if telemetry.kinds.get(one, "") not in _PLACES}
        services = services - (drawn - traced)
    asked = _asked(telemetry)
    for name in sorted(known - services - set(found) - asked):
        told = _ORDINAL.search(name)
        whose = name[: told.start()] if told else None
        if whose in services | asked and telemetry.kinds.get(name, "") not in _PLACES:
            found[name] = str(whose)
    return {copy: name for copy, name in found.items() if copy not in services} | _drawn(
        telemetry, known
    )


def _drawn(telemetry: Telemetry, known: Collection[str]) -> dict[str, str]:
    """The service of each declared copy that the topology has as its only callee's, and that calls nobody but machines."""
    kinds = {name: kind.lower() for name, kind in telemetry.kinds.items()}
    callers: dict[str, set[str]] = {}
    busy = set()
    for a, b in telemetry.topology:
        callers.setdefault(b, set()).add(a)
        if kinds.get(b, "") not in _BENEATH:
            busy.add(a)
    return {
        name: next(iter(by))
        for name, by in sorted(callers.items())
        if kinds.get(name, "") in _COPIES and name in known and name not in busy and len(by) == 1
    }


def _asked(telemetry: Telemetry) -> set[str]:
    """Entities that measure what they are asked: services, under their own names."""
    pairs = telemetry.metrics.select("entity", "metric").unique().iter_rows()
    return {entity for entity, metric in pairs if kind_of(metric) in _ASKED}


def folded(telemetry: Telemetry, kept: Collection[str | None] = ()) -> Telemetry:
    """The telemetry with what copies measure told of their services, each series under its copy's label.

    Args:
        telemetry: as it was read.
        kept: entities to leave as they are.
    """
    if telemetry.metrics.is_empty():
        return telemetry
    whose = {copy: name for copy, name in members(telemetry).items() if copy not in set(kept)}
    if not whose:
        return telemetry
    mine = pl.col("entity").is_in(list(whose))
    label = pl.col("metric") + '{copy="' + pl.col("entity") + '"}'
    metrics = telemetry.metrics.with_columns(
        pl.when(mine).then(label).otherwise("metric").alias("metric"),
        pl.col("entity").replace(whose).alias("entity"),
    )
    edges = {(whose.get(a, a), whose.get(b, b)) for a, b in telemetry.topology}
    topology = tuple(sorted(edge for edge in edges if edge[0] != edge[1]))
    return replace(telemetry, metrics=metrics, topology=topology)
