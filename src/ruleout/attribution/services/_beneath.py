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
from ruleout.attribution.services._rank import TEMPERATURE
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

_UNSEEN = {"losses", "restarts", "oom", "names"}
"""Mechanisms at a callee that its own measure of the symptom does not show."""

_GONE = {"silence": 1.0, "unreached": 1.0, "asked_again": 2.5}
"""Signals of the same, and how many times their weight counts."""

_WIRE = {"network_fault": 0.6, "slow_dependency": 0.4}


class _Trouble(NamedTuple):
    nats: float
    unseen: bool


def beneath(
    signals: Sequence[Signal],
    departed: pl.DataFrame,
    edges: Collection[Edge],
    kind: Kind,
) -> list[Signal]:
    """The signals, with what callers lose shared with callees that do not measure it.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs; without them everything stays as it is.
        kind: of the symptom's metric.
    """
    loss = {one.entity: one for one in signals if one.name == "symptom_flow"}
    trouble = _troubles(signals, departed, kind)
    measured = set(departed.filter(pl.col("kind") == kind)["entity"])
    callers: dict[str, set[str]] = {}
    callees: dict[str, set[str]] = {}
    for caller, callee in edges:
        if caller != callee:
            callers.setdefault(callee, set()).add(caller)
            callees.setdefault(caller, set()).add(callee)
    kept: dict[str, float] = {}
    given: list[Signal] = []
    for name, lost in loss.items():
        own = trouble.get(name, _Trouble(0.0, unseen=False)).nats
        if lost.weight < _LOSES or own >= _SURE:
            continue
        able = {
            one: trouble[one].nats
            for one in callees.get(name, set())
            if one in trouble and (trouble[one].unseen or one not in measured)
        }
        worst = max(sorted(able), key=lambda one: able[one], default=None)
        if worst is not None and able[worst] > max(_TROUBLE, own):
            excuse = min(able[worst] / _SURE, 1.0)
            kept[name] = 1 - _EXCUSED * excuse
            given.append(_granted(worst, name, _GRANTED * excuse * lost.weight, {}))
        elif own < _TROUBLE:
            open_to = [
                one
                for one in sorted(callees.get(name, set()))
                if one not in measured or (kind == "latency" and _all_lose(callers[one], loss))
            ]
            if open_to:
                kept[name] = _OPEN
                behind = _SHARED + TEMPERATURE * float(np.log(len(open_to)))
                weight = max(_OPEN * lost.weight - behind, 0.0)
                given += [_granted(one, name, weight, _WIRE) for one in open_to]
    told = [
        one._replace(weight=one.weight * kept.get(one.entity, 1.0))
        if one.name in {"symptom_flow", "metric.error", "metric.availability", "metric.latency"}
        else one
        for one in signals
    ]
    return told + given


def _all_lose(callers: Collection[str], loss: Mapping[str, Signal]) -> bool:
    return all(one in loss and loss[one].weight > 1.0 for one in callers)


def _granted(name: str, caller: str, weight: float, modes: Mapping[str, float]) -> Signal:
    text = f"{caller} loses by itself what calls to {name} may have cost it unseen"
    return Signal(name, "beneath", weight, modes, text, weight, weight)


def _troubles(signals: Sequence[Signal], departed: pl.DataFrame, kind: Kind) -> dict[str, _Trouble]:
    """The worst trouble of its own of each entity, in nats, and whether its own answers would hide it.

    Calls are made again because they fail; where they are merely slow, many are asked more for other reasons.
    """
    hidden = {
        (row["entity"], f"metric.{row['kind']}")
        for row in departed.filter(pl.col("score") > 1.0).iter_rows(named=True)
        if row["clue"] in _UNSEEN
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
        nats = one.weight * _GONE.get(one.name, 1.0)
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
