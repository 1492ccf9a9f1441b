"""Everything the detectors look at, gathered once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl

from ruleout.attribution.services._behaviour import events_of
from ruleout.attribution.services._births import births
from ruleout.attribution.services._calls import Calls, calls
from ruleout.attribution.services._entities import told_edges
from ruleout.attribution.services._graph import Edge, traced_edges
from ruleout.attribution.services._labels import labelled
from ruleout.attribution.services._members import folded
from ruleout.attribution.services._onset import Start
from ruleout.attribution.services._passed_on import Calling, callings
from ruleout.attribution.services._periods import periods
from ruleout.attribution.services._places import Located, located
from ruleout.attribution.services._shift import BROKEN, Looks, begun
from ruleout.attribution.services._symptom import symptom_onset
from ruleout.attribution.services._windows import Windows
from ruleout.incident._model import Incident
from ruleout.sources._changes import Change
from ruleout.sources.telemetry import Telemetry


@dataclass(frozen=True)
class Observed:
    """One incident's telemetry, aligned and compared with its reference."""

    incident: Incident
    telemetry: Telemetry
    windows: Windows
    departed: pl.DataFrame
    """As `departures` returns it; without rows where there are no metrics."""

    tree: Calls | None
    events: pl.DataFrame
    """What happened in the calls, as `events_of` returns it."""

    period: np.ndarray
    """Of every span, as `periods` returns it."""

    looks: Looks
    near: tuple[Windows, ...]
    """`windows` and other beginnings, over which evidence is averaged."""

    trust: tuple[float, ...]
    """How much each of `near` counts; they sum to 1."""

    edges: frozenset[Edge]
    start: Start | None
    """Onset of the symptom's own metric."""

    changes: tuple[Change, ...]

    calls: tuple[Calling, ...]
    """Who calls whom how often in each invocation, as far as spans tell."""

    machines: frozenset[str]
    """Entities that are machines."""

    places: tuple[Located, ...]
    """Machines, copies and builds that hold what services lost, as far as spans tell where they ran."""


def observe(
    incident: Incident,
    telemetry: Telemetry,
    windows: Windows,
    changes: tuple[Change, ...],
) -> Observed:
    """Gather what the detectors share."""
    telemetry = labelled(telemetry, (incident.symptom.metric,))
    telemetry = folded(telemetry, (incident.symptom.entity,))
    tree = calls(telemetry.spans) if telemetry.spans.height else None
    edges = set(telemetry.topology) | told_edges(telemetry)
    period = np.zeros(0, dtype=np.int64)
    events = pl.DataFrame(schema={"row": pl.Int64, "event": pl.String})
    if tree is not None:
        edges |= traced_edges(tree)
        events = events_of(tree, telemetry.logs)
    spec = incident.symptom
    alone = tree is None and (spec.entity is None or spec.metric is None)
    looks = Looks(tree, events, telemetry, alone=alone)
    near: tuple[Windows, ...] = (windows,)
    trust: tuple[float, ...] = (1.0,)
    if tree is not None:
        near, trust = begun(tree, looks, windows)
        windows = near[0]
        period = periods(tree.time, windows)
    departed = looks.table(windows)
    fresh = births(telemetry, departed)
    return Observed(
        incident=incident,
        telemetry=telemetry,
        windows=windows,
        departed=departed,
        tree=tree,
        events=events,
        period=period,
        looks=looks,
        near=near,
        trust=trust,
        edges=frozenset(edges),
        start=symptom_onset(incident, telemetry, windows),
        changes=changes,
        machines=looks.machines,
        places=_of_spans(lambda a, b: located(a, b, fresh), tree, period),
        calls=_of_spans(callings, tree, period),
    )


T = TypeVar("T")


def _of_spans(
    look: Callable[[Calls, np.ndarray], list[T]], tree: Calls | None, period: np.ndarray
) -> tuple[T, ...]:
    if tree is None:
        return ()
    try:
        return tuple(look(tree, period))
    except BROKEN:
        # Odd data must not take the other detectors along; the detector says that it saw nothing.
        return ()
