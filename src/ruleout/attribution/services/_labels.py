"""Names that metrics carry in their middle, told as labels: `to-stock-errors` is `to-errors{peer="stock"}`.

Exporters that know no labels write whom a series is about between its other words. Left there, words of that name are
taken for what is measured: calls to a `catalog-cache` are no hits of a cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import polars as pl

from ruleout.attribution.services._entities import known_names
from ruleout.sources.telemetry import Telemetry

_RELATIONS = frozenset(
    ["to", "out", "outbound", "upstream", "downstream", "client", "call", "calls", "rpc", "remote"]
) | {"target", "peer", "dependency", "dep", "backend", "breaker", "circuitbreaker", "pool"}
"""Words after which a name is whom an entity calls."""

_CUT = re.compile(r"[-_]")


def labelled(telemetry: Telemetry, kept: Collection[str | None] = ()) -> Telemetry:
    """The telemetry with callees that metrics name in their middle told as labels.

    Args:
        telemetry: as it was read.
        kept: metrics to leave as they are.
    """
    if telemetry.metrics.is_empty():
        return telemetry
    plain = {_CUT.sub("-", name): name for name in sorted(known_names(telemetry))}
    fixed = {*kept, *telemetry.kpis}
    told = {
        metric: found
        for metric in telemetry.metrics["metric"].unique().sort()
        if metric not in fixed and (found := _told(metric, plain)) is not None
    }
    if not told:
        return telemetry
    metrics = telemetry.metrics.with_columns(pl.col("metric").replace(told))
    return replace(telemetry, metrics=metrics)


def _told(metric: str, names: dict[str, str]) -> str | None:
    """A metric's name with the longest entity's name that follows a word for a callee as its label."""
    parts = _CUT.split(metric)
    marks = _CUT.findall(metric)
    if len(parts) < 2 or not set(parts) & _RELATIONS:
        return None
    for first in range(1, len(parts)):
        if parts[first - 1].lower() not in _RELATIONS:
            continue
        for last in range(len(parts), first, -1):
            name = names.get("-".join(parts[first:last]))
            if name is None:
                continue
            left = [*parts[:first], *parts[last:]]
            ties = [*marks[: first - 1], *marks[last - 1 :]]
            rest = "".join(a + b for a, b in zip(left, [*ties, ""], strict=True))
            return f'{rest}{{peer="{name}"}}'
    return None
