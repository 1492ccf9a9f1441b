"""Blame that a caller shares with whom it calls, where the callee's part shows in nothing that the callee measures.

A service that measures its own answers does not see the time they spend on the wire, and one that is down
or measures no such thing shows nothing of the symptom: its callers then seem to lose time, or to fail, by
themselves. A callee with a trouble of its own that would do that excuses its caller; where none has one,
and the caller has none either, the callees keep a part of the probability.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import Kind, clue_of
from ruleout.attribution.services._metrics import SHARES
from ruleout.attribution.services._rank import TEMPERATURE, entity_scores
from ruleout.attribution.services._records import Signal

_LOSES = 2.0
"""Nats of the symptom's flow from which on somebody is asked for an excuse."""

_TROUBLE = 1.2
"""Nats of a trouble of its own below which an entity is well."""

_SURE = 3.0
"""Nats from which on a callee's trouble excuses its caller as far as any does."""

_EXCUSED = 0.75
_GRANTED = 0.5
"""Of a caller's loss, what a sure excuse takes off, and what the callee is given for it."""

_SHARED = 2.2
"""Nats by which callees without a sign of trouble stay, together, behind the caller that seems to lose by itself."""

_OPEN = 0.92
"""What is left of a caller's loss that may as well have come about beneath it."""

_UNTOLD = 4.5
"""Most nats of a loss by oneself where nobody told who calls whom, and nothing of one's own has moved."""

_AS_MUCH = 0.6
"""Part of its caller's departure that a callee must show in its own measure to be what its caller waits for."""

_GUESSED = 0.7
"""Weight of a trouble at somebody who is only guessed to be called."""

_UNSEEN = {"losses", "restarts", "oom", "names", "steal", "device", "clock", "heat", "quota"}
"""Mechanisms at a callee that its own measure of the symptom does not show."""

_GONE = {"silence": 1.0, "unreached": 1.0, "asked_again": 2.5, "accused": 1.0}
"""Signals of the same, and how many times their weight counts."""

_OUTRIGHT = {"quota": 2.0}
"""Mechanisms that refuse requests outright, and how many times what a metric says of them counts for failures."""

_LOST = {"symptom_flow", "metric.error", "metric.availability", "metric.latency"}
_WIRE = {"network_fault": 0.6, "slow_dependency": 0.4}


class _Trouble(NamedTuple):
    nats: float
    unseen: bool


class _Scene(NamedTuple):
    loss: Mapping[str, Signal]
    """Who loses the symptom's quantity by its own doing."""

    trouble: Mapping[str, _Trouble]
    measured: Collection[str]
    """Who measures the symptom's quantity itself."""

    shown: Mapping[str, float]
    """Nats that each entity has already."""

    slow: bool
    """Whether the symptom is lost time, and not failures."""

    edges: frozenset[Edge]
    unplaced: frozenset[str]
    """Machines, and others that nobody is known to call: they may lie beneath anybody."""

    def nats(self, name: str) -> float:
        return self.trouble[name].nats if name in self.trouble else 0.0

    moved: Mapping[str, float]
    """How far each entity's own measure of the symptom's quantity departed."""

    def explains(self, name: str, caller: str) -> bool:
        """Whether an entity's trouble would not show in its own measure of the symptom, or shows there as much."""
        shown = self.moved.get(name, 0.0) >= _AS_MUCH * self.moved.get(caller, np.inf)
        return self.trouble[name].unseen or name not in self.measured or shown

    def open_to(self, name: str) -> bool:
        """Whether an entity may cost its callers what it does not show: it measures nothing, or all of them lose."""
        callers = [caller for caller, callee in self.edges if callee == name]
        lose = all(one in self.loss and self.loss[one].weight > 1.0 for one in callers)
        return name not in self.measured or (self.slow and lose)


def beneath(
    signals: Sequence[Signal],
    departed: pl.DataFrame,
    edges: Collection[Edge],
    kind: Kind,
    machines: Collection[str] = (),
) -> list[Signal]:
    """The signals, with what callers lose shared with callees that do not measure it.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs; without them anybody may be called.
        kind: of the symptom's metric.
        machines: entities that are machines.
    """
    placed = {name for edge in edges for name in edge}
    scene = _Scene(
        {one.entity: one for one in signals if one.name == "symptom_flow"},
        _troubles(signals, departed, kind),
        set(departed.filter(pl.col("kind") == kind)["entity"]),
        entity_scores(signals),
        kind == "latency",
        frozenset(edge for edge in edges if edge[0] != edge[1]),
        frozenset(set(departed["entity"]) - placed) | frozenset(machines),
        _moved(departed, kind),
    )
    kept: dict[str, float] = {}
    given: list[Signal] = []
    for name in scene.loss:
        left, granted = _asked_beneath(name, scene)
        kept[name] = left
        given += granted
    told = [
        one._replace(weight=one.weight * kept.get(one.entity, 1.0)) if one.name in _LOST else one
        for one in signals
    ]
    return told + given


def _asked_beneath(name: str, scene: _Scene) -> tuple[float, list[Signal]]:
    """What is left of one entity's loss, and what is granted to others for it."""
    lost = scene.loss[name].weight
    own = scene.nats(name)
    if lost < _LOSES or own >= _SURE:
        return 1.0, []
    under = sorted({callee for caller, callee in scene.edges if caller == name})
    asked = {*under, *scene.unplaced} if scene.edges else set(scene.trouble)
    able = {
        one: scene.nats(one) * (1.0 if one in under else _GUESSED)
        for one in sorted(asked)
        if one != name and one in scene.trouble and scene.explains(one, name)
    }
    worst = max(able, key=lambda one: able[one], default=None)
    if worst is not None and able[worst] > max(_TROUBLE, own):
        excuse = min(able[worst] / _SURE, 1.0)
        return 1 - _EXCUSED * excuse, [_granted(worst, name, _GRANTED * excuse * lost, {})]
    if own >= _TROUBLE:
        return 1.0, []
    if not scene.edges:
        return min(1.0, _UNTOLD / lost), []
    open_to = [one for one in under if scene.open_to(one)]
    if not open_to:
        return 1.0, []
    most = _OPEN * lost - _SHARED - TEMPERATURE * float(np.log(len(open_to)))
    granted = [
        _granted(one, name, most - scene.shown.get(one, 0.0), _WIRE)
        for one in open_to
        if most > scene.shown.get(one, 0.0)
    ]
    return _OPEN, granted


def _moved(departed: pl.DataFrame, kind: Kind) -> dict[str, float]:
    rows = departed.filter(
        (pl.col("kind") == kind) & pl.col("about").is_null() & (pl.col("sign") > 0)
    )
    return dict(rows.group_by("entity").agg(pl.col("score").max()).iter_rows())


def _granted(name: str, caller: str, weight: float, modes: Mapping[str, float]) -> Signal:
    text = f"{caller} loses by itself what calls to {name} may have cost it unseen"
    return Signal(name, "beneath", weight, modes, text, weight, weight, caller)


def _troubles(signals: Sequence[Signal], departed: pl.DataFrame, kind: Kind) -> dict[str, _Trouble]:
    """The worst trouble of its own of each entity, in nats, and whether its own answers would hide it.

    Calls are made again because they fail; where they are merely slow, many are asked more for other reasons.
    """
    hidden = {
        (row["entity"], f"metric.{row['kind']}")
        for row in departed.filter(pl.col("score") > 1.0).iter_rows(named=True)
        if row["clue"] in _UNSEEN
    }
    outright = {
        (row["entity"], f"metric.{row['kind']}"): _OUTRIGHT[row["clue"]]
        for row in departed.filter(pl.col("score") > 1.0).iter_rows(named=True)
        if row["clue"] in _OUTRIGHT and kind in SHARES
    }
    primary = {
        (row["entity"], f"metric.{row['kind']}")
        for row in departed.filter(pl.col("score") > 1.0).iter_rows(named=True)
        if _points(row["metric"], row["kind"])
    }
    found: dict[str, _Trouble] = {}
    for one in signals:
        if one.name == "asked_again" and kind not in SHARES:
            continue
        key = (one.entity, one.name)
        nats = one.weight * _GONE.get(one.name, outright.get(key, 1.0))
        if (key in primary or one.name in _GONE) and nats > found.get(
            one.entity, _Trouble(0.0, unseen=False)
        ).nats:
            found[one.entity] = _Trouble(nats, one.name in _GONE or key in hidden)
    return found


def _points(metric: str, kind: str) -> bool:
    clue = clue_of(metric)
    if clue is not None:
        return clue.primary
    return kind in {"cpu", "memory", "disk", "accelerator", "cache"}
