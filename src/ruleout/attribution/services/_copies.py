"""Copies of services and their machines, told from metrics: labels say which copy is measured, and where it runs."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from ruleout.attribution.services._entities import about
from ruleout.attribution.services._places import PLACE_MODES
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import matters

_COPY = re.compile(
    r"\b(?:pod|copy|instance|container|replica|task)\s*[=:]\s*\"?([^\",}\]]+)", re.IGNORECASE
)
_MACHINE = re.compile(r"\b(?:node|host|hostname)\s*[=:]\s*\"?([^\",}\]]+)", re.IGNORECASE)

_SICK = 1.2
"""Departure from which on a copy suffers."""

_WELL = 0.4
"""Part of the worst copy's departure up to which another is well."""

_WORTH = 5.0
_SHARED = 2
"""Services whose copies on one machine alone suffer: then it is the machine."""


class Copy(NamedTuple):
    """One copy of a service."""

    entity: str
    name: str
    machine: str | None
    score: float


def copies(departed: pl.DataFrame, machines: Collection[str]) -> list[Copy]:
    """Copies of which time or failures are measured apart, with the worst departure of each.

    Args:
        departed: as `departures` returns them.
        machines: entities that are machines.
    """
    rows = departed.filter(pl.col("kind").is_in(["latency", "error", "availability"]))
    worst: dict[tuple[str, str], Copy] = {}
    for entity, metric, score, sign in rows.select("entity", "metric", "score", "sign").iter_rows():
        copy, machine = _COPY.search(metric), _MACHINE.search(metric)
        host = machine.group(1).strip() if machine else about(metric, entity, machines)
        name = copy.group(1).strip() if copy else host
        if name is None or entity in machines:
            continue
        found = Copy(entity, name, host, score if sign > 0 else 0.0)
        if found.score >= worst.get((entity, name), found).score:
            worst[entity, name] = found
    return [worst[key] for key in sorted(worst)]


def from_copies(found: Collection[Copy]) -> list[Signal]:
    """What speaks for single copies, and for machines of which several services' copies suffer."""
    signals: list[Signal] = []
    by_machine: dict[str, list[str]] = {}
    for entity in sorted({one.entity for one in found}):
        mine = [one for one in found if one.entity == entity]
        most = max(one.score for one in mine)
        sick = [one for one in mine if one.score > max(_WELL * most, _SICK)]
        well = [one for one in mine if one.score <= _WELL * most]
        if not sick or len(well) < len(sick):
            continue
        places = {one.machine for one in sick}
        machine = next(iter(places)) if len(places) == 1 else None
        if len(sick) > 1 and machine is None:
            continue
        names = ", ".join(one.name for one in sick[:3])
        text = f"{entity} suffers in copy {names} and hardly in the {len(well)} others"
        weight = _WORTH * len(well) / len(mine)
        signals.append(
            Signal(
                entity,
                "one_instance",
                weight,
                PLACE_MODES["instance"],
                text,
                most,
                most,
                machine or "",
            )
        )
        if machine is not None:
            by_machine.setdefault(machine, []).append(entity)
    for machine, entities in sorted(by_machine.items()):
        if len(entities) >= _SHARED:
            text = f"{', '.join(entities[:4])} suffer on {machine} and hardly anywhere else"
            signals.append(
                Signal(
                    machine,
                    "one_host",
                    _WORTH,
                    PLACE_MODES["host"],
                    text,
                    float(len(entities)),
                    1.0,
                )
            )
    return signals


def ill_machine(
    departed: pl.DataFrame,
    entity: str,
    found: Collection[Copy],
    machines: Collection[str],
    drawn: Collection[str] = (),
) -> str | None:
    """The one machine with a trouble of its own, where an entity has copies on it or nobody told where it runs.

    Of several, the worst, where the topology has the entity on all of them.

    Args:
        departed: as `departures` returns them.
        entity: whose machine is asked for.
        found: copies, as `copies` returns them.
        machines: entities that are machines.
        drawn: those of them on which the topology has the entity.
    """
    mine = ({one.machine for one in found if one.entity == entity} - {None}) | set(drawn)
    rows = departed.filter(
        pl.col("entity").is_in(list(machines))
        & pl.col("clue").is_in(_TELLING)
        & (pl.col("score") > _SICK)
    )
    worst: dict[str, float] = {}
    for row in rows.iter_rows(named=True):
        if drawn and row["entity"] not in mine:
            continue
        worst[row["entity"]] = max(worst.get(row["entity"], 0.0), row["score"] * matters(row))
    ranked = sorted(worst.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] < _SICK / 2:
        return None
    name = ranked[0][0]
    as_ill = {other for other, score in ranked if score > 0.5 * ranked[0][1]}
    if len(as_ill) > 1 and not as_ill <= set(drawn):
        return None
    return name if not mine or name in mine else None


_TELLING = [
    "steal",
    "device",
    "device_memory",
    "heat",
    "clock",
    "clock_offset",
    "losses",
    "disk_wait",
]
