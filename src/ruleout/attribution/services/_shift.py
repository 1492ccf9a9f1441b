"""When the incident really began, where the told window is a little early or late.

A window that begins a minute too soon or too late mixes sick requests with sound ones, and both sides
look alike. Of beginnings around the told one, the one is taken at which one service stands out most
against the next. What a single beginning shows is partly chance and goes as it moves; what a fault
shows stays. So evidence is averaged over neighbouring beginnings, before they are compared and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._behaviour import behaviour
from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._entities import known_names, machines
from ruleout.attribution.services._failures import Outgoing, outgoing, refusals
from ruleout.attribution.services._latency import lags
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._periods import periods
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import (
    from_behaviour,
    from_departures,
    from_lags,
    from_refusals,
)
from ruleout.attribution.services._windows import Windows
from ruleout.sources.telemetry import Telemetry

BROKEN = (ArithmeticError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What odd data can raise inside a detector; it must not take the other detectors along."""

_FURTHEST = 120.0
"""Seconds that the told beginning may be off."""

_STEPS = 4
"""Beginnings that are tried on either side of the told one."""

_DOUBT = 0.2
"""Nats that a beginning must gain for each step away from the told one."""

_HEAT = 0.4
"""Nats of contrast that make one beginning e times as credible as another."""

_LEAST = 20
"""Requests that either side must hold."""

_MOST = 200_000
"""Spans beyond which the told beginning is taken as it is."""


class Looks:
    """Signals of the detectors that compare two stretches of time, for any beginning; each made once."""

    def __init__(
        self,
        tree: Calls | None,
        events: pl.DataFrame,
        telemetry: Telemetry,
        *,
        alone: bool,
    ) -> None:
        self._tree, self._events, self._metrics = tree, events, telemetry.metrics
        self._kpis, self._alone = telemetry.kpis, alone
        self.machines, self._names = machines(telemetry), known_names(telemetry)
        self._calls: Outgoing | None = None
        self._made: dict[tuple[str, Windows], list[Signal]] = {}

    def added_time(self, windows: Windows) -> list[Signal]:
        """Who adds time to requests."""
        return self._once("added_time", windows, self._added_time)

    def behaviour(self, windows: Windows) -> list[Signal]:
        """Whose code reaches other statements."""
        return self._once("behaviour", windows, self._behaviour)

    def refused(self, windows: Windows) -> list[Signal]:
        """Whose calls, or callers, get no answer."""
        return self._once("refused", windows, self._refused)

    def departures(self, windows: Windows) -> list[Signal]:
        """Whose metrics left their range."""
        return self._once("departures", windows, self._departures)

    def _once(
        self, name: str, windows: Windows, make: Callable[[Windows], list[Signal]]
    ) -> list[Signal]:
        key = (name, windows)
        if key not in self._made:
            self._made[key] = make(windows)
        return self._made[key]

    def _added_time(self, windows: Windows) -> list[Signal]:
        tree = self._tree
        if tree is None:
            return []
        return from_lags(lags(tree, periods(tree.time, windows), self._outgoing(tree)))

    def _behaviour(self, windows: Windows) -> list[Signal]:
        tree = self._tree
        if tree is None:
            return []
        return from_behaviour(behaviour(tree, self._events, periods(tree.time, windows)))

    def _refused(self, windows: Windows) -> list[Signal]:
        tree = self._tree
        if tree is None:
            return []
        calls = self._outgoing(tree)
        return from_refusals(refusals(tree, calls, periods(tree.time, windows)))

    def _outgoing(self, tree: Calls) -> Outgoing:
        if self._calls is None:
            self._calls = outgoing(tree)
        return self._calls

    def table(self, windows: Windows) -> pl.DataFrame:
        """How far each metric has departed, as `departures` returns it."""
        return departures(self._metrics, windows, self.machines, self._names)

    def _departures(self, windows: Windows) -> list[Signal]:
        table = self.table(windows)
        traced = () if self._tree is None else self._tree.services
        return from_departures(table, self._kpis, alone=self._alone, traced=traced)


def averaged(
    parts: Sequence[Sequence[Signal]], trust: Sequence[float] | None = None
) -> list[Signal]:
    """Signals of several looks at the same incident: mean weight and modes, told by the strongest look.

    Args:
        parts: the signals of each look.
        trust: how much each look counts; alike when not told.
    """
    heard: dict[tuple[str, str], list[Signal]] = defaultdict(list)
    shares = np.ones(len(parts)) if trust is None else np.asarray(trust, dtype=float)
    for part, share in zip(parts, shares / shares.sum(), strict=True):
        best: dict[tuple[str, str], Signal] = {}
        for one in part:
            key = (one.entity, one.name)
            if key not in best or one.weight > best[key].weight:
                best[key] = one
        for key, one in best.items():
            heard[key].append(one._replace(weight=float(share) * one.weight))
    return [_mean(found) for found in heard.values()]


def _mean(found: Sequence[Signal]) -> Signal:
    total = sum(one.weight for one in found)
    modes: dict[str, float] = defaultdict(float)
    for one in found:
        for mode, share in one.modes.items():
            modes[mode] += share * one.weight / max(total, 1e-12)
    strongest = max(found, key=lambda one: one.weight)
    return strongest._replace(weight=total, modes=dict(modes))


def begun(
    tree: Calls, looks: Looks, windows: Windows
) -> tuple[tuple[Windows, ...], tuple[float, ...]]:
    """The windows with beginnings that part the requests well, best first, and how much each counts."""
    start, end = windows.current
    reach = min(_FURTHEST, 2 * (end - start) / 3)
    alone = (windows,), (1.0,)
    if len(tree.parent) > _MOST or reach < 5:
        return alone
    step = reach / _STEPS
    tried = {
        place: windows._replace(current=(start + place * step, end)) if place else windows
        for place in range(-_STEPS, _STEPS + 1)
    }
    usable = {place: one for place, one in tried.items() if _enough(tree, one)}
    if not usable:
        return alone
    try:
        gains = {
            place: _contrast(looks, _near(usable, place)) - _DOUBT * abs(place) for place in usable
        }
    except BROKEN:
        return alone
    order = sorted(usable, key=lambda place: (-gains[place], abs(place), -place))
    trust = np.zeros(len(order))
    for place in order:
        # What speaks for a beginning has been seen over its neighbours as well.
        share = np.exp((gains[place] - gains[order[0]]) / _HEAT)
        beside = [one for one in (place - 1, place, place + 1) if one in usable]
        for one in beside:
            trust[order.index(one)] += share / len(beside)
    return tuple(usable[place] for place in order), tuple(float(x) for x in trust / trust.sum())


def _near(usable: dict[int, Windows], place: int) -> tuple[Windows, ...]:
    """A beginning and its neighbours, itself first."""
    order = (place, place - 1, place + 1)
    return tuple(usable[one] for one in order if one in usable)


def _enough(tree: Calls, windows: Windows) -> bool:
    """Whether both sides still hold requests to compare."""
    period = periods(tree.time, windows)
    roots = tree.parent < 0
    return bool((roots & (period == 2)).sum() >= _LEAST and (roots & (period == 1)).sum() >= _LEAST)


def _contrast(looks: Looks, near: Sequence[Windows]) -> float:
    """By how much the strongest service's evidence exceeds the next one's, over several beginnings."""
    total: dict[str, float] = {}
    for find in (looks.added_time, looks.behaviour, looks.refused, looks.departures):
        for one in averaged([find(windows) for windows in near]):
            total[one.entity] = total.get(one.entity, 0.0) + one.weight
    first, second = np.sort([0.0, 0.0, *total.values()])[[-1, -2]]
    return float(first - second)
