"""What the names of entities and of their metrics tell: who is a machine, and whose work a metric measures."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from ruleout.attribution.services._kinds import kind_of, words
from ruleout.sources.telemetry import Telemetry

_MACHINES = {"host", "node", "machine", "vm", "device", "gpu", "accelerator"}
_OF_MACHINES = frozenset(
    ["steal", "stolen", "iowait", "load1", "filesystem", "node", "retransmits", "retrans"]
)
_OF_SERVICES = {"latency", "traffic", "error", "availability"}
_LEAST = 2
"""Metrics of a machine that an entity must have to be taken for one."""

_LABEL = re.compile(r"[\[{(]([^\]})]*)[\]})]|\"([^\"]*)\"")
_PLACE = re.compile(
    r"\b(node|host|hostname|instance|pod|copy|container|zone|az|rack)\s*[=:]\s*[^,}\s]+"
)
"""Labels that tell where a copy runs, and nothing of whom it calls."""

_PARTS = re.compile(r"[.:/|,=\s]+")


def machines(telemetry: Telemetry) -> frozenset[str]:
    """Entities that are machines: declared, told by spans, or by measuring what machines do and services do not."""
    kinds: Mapping[str, str] = telemetry.kinds
    found = {name for name, kind in kinds.items() if kind.lower() in _MACHINES}
    if telemetry.spans.height:
        found |= set(telemetry.spans["host"].drop_nulls().unique())
        found -= set(telemetry.spans["service"].unique())
    by_entity: dict[str, set[str]] = {}
    for entity, metric in telemetry.metrics.select("entity", "metric").unique().iter_rows():
        by_entity.setdefault(entity, set()).add(metric)
    for entity, metrics in by_entity.items():
        if entity in kinds or {kind_of(one) for one in metrics} & _OF_SERVICES:
            continue
        telling = [one for one in metrics if set(words(one)) & _OF_MACHINES]
        if len(telling) >= _LEAST:
            found.add(entity)
    return frozenset(found)


def known_names(telemetry: Telemetry) -> frozenset[str]:
    """Everybody whom the telemetry names: with metrics, spans, a kind or a place in the topology."""
    found = set(telemetry.metrics["entity"].unique()) | set(telemetry.kinds)
    found |= {name for edge in telemetry.topology for name in edge}
    if telemetry.spans.height:
        found |= set(telemetry.spans["service"].unique())
        found |= set(telemetry.spans["peer"].drop_nulls().unique())
    return frozenset(found)


def about(metric: str, entity: str, names: Collection[str]) -> str | None:
    """The other entity that a metric's label names: a caller's view of whom it calls; None for most."""
    parts = {_PLACE.sub("", part) for found in _LABEL.findall(metric) for part in found if part}
    parts |= {piece.strip("\"'") for part in list(parts) for piece in _PARTS.split(part)}
    parts |= set(_PARTS.split(_LABEL.sub("", metric))[1:])
    told = sorted(part for part in parts if part in names and part != entity)
    return max(told, key=len, default=None)


def told_edges(telemetry: Telemetry) -> set[tuple[str, str]]:
    """(caller, callee) where a caller's metric names in its label whom it calls."""
    names = known_names(telemetry)
    pairs = telemetry.metrics.select("entity", "metric").unique().iter_rows()
    found = ((entity, about(metric, entity, names)) for entity, metric in pairs)
    places = machines(telemetry)
    return {(a, b) for a, b in found if b is not None and b not in places}
