"""What callers measure of whom they call: failures and time that a caller only passes on, and pools of its own.

A service behind an interface may measure nothing, or measure it by another name than its callers. A caller that
counts its calls by whom it calls tells how much of its loss comes from there. And where calls wait for a place in
the caller's pool while the callee is as quick as ever, it is the pool that is too small.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._breakers import (
    bears,
    behind_a_breaker,
    failing,
    only_tripped,
    withheld,
)
from ruleout.attribution.services._each import calls_each, like_with_like
from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import Kind, words
from ruleout.attribution.services._own_counts import grown_requests, slower, still, unresolved
from ruleout.attribution.services._pools import own_pools, to_pools
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import SLOW
from ruleout.attribution.services._tries import tried_again

_UNKNOWN = "?"
"""Who calls, where nobody told."""

_MOVED = 0.8
"""Departure of a caller's view from which on it counts; at twice that it counts in full."""

_PASSED = 0.85
_WAITS = 1.5
"""Departure of the time spent waiting for a place in a pool from which on it is no chance."""

_TROUBLED = 1.0
"""Nats of a cache's own trouble from which on its callers ask elsewhere."""

_MORE = 1.2
"""By what factor more than its caller somebody must be asked to be asked in a cache's place."""


_CACHE = {"cache_storm": 1.0}
_FELL_BACK = {"fallback_overload": 1.0}
_TRIPS = {"resilience_mistrip": 1.0}
_BURST = 2.0
"""The same as `_MORE` for the worst tenth of the incident, where a cache misses much for moments only."""

_HANDED = 0.8
_OF_LOAD = {
    "added_time", "symptom_flow", "seen_by_callers", "seen_below", "metric.latency", "metric.cpu", "metric.traffic",
    "metric.saturation", "metric.disk", "asked_again", "own_pool", "offered_load",
}  # fmt: skip
_DOUBLED = 1.8
_MOSTLY = 0.6
"""Growth of a caller's requests, and the part of it that is second tries, from which on they are a storm."""

_TRIGGERED = 0.35
_REASONS = [
    "disk_wait",
    "disk_errors",
    "device",
    "names",
    "losses",
    "locks",
    "gc",
    "oom",
    "throttled",
    "steal",
    "quota",
]
"""What is left of a storm beside a trigger that is still there, and mechanisms that are one."""
_CALLS = frozenset(["attempts", "calls", "requests"])
"""Words of counted calls."""

_SEVERAL = 3.0
_BUSIER = 1.5
"""Growth of a callee's requests, and of the processor it uses, that second tries counted for all callees must make."""

_ALIKE = 50.0
"""Two changes of one kind differ by at most this factor, or they are told in other units."""

_LOST = {"symptom_flow", "metric.error", "metric.availability", "metric.latency", "seen_by_callers"}
_FAILS = {
    "change_regression": 0.5,
    "slow_dependency": 0.3,
    "schema_change": 0.1,
    "network_fault": 0.1,
}
_WIRE = {
    "network_fault": 0.7,
    "resilience_mistrip": 0.1,
    "slow_dependency": 0.1,
    "deadline_inversion": 0.1,
}
_WITHHELD = {"resilience_mistrip": 0.8, "network_fault": 0.2}
_MISSED = {"unreached", "refused_calls", "metric.traffic"}
"""Signals of calls that do not arrive."""


class _View(NamedTuple):
    callee: str
    score: float
    moved: float
    tail: bool


def passed_below(
    signals: Sequence[Signal],
    departed: pl.DataFrame,
    kind: Kind,
    machines: Collection[str],
    edges: Collection[Edge] = (),
) -> list[Signal]:
    """The signals, with what callers lose handed on to those from whom, by their own count, it comes.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        kind: of the symptom's metric.
        machines: entities that are machines, which nobody calls.
        edges: (caller, callee) pairs.
    """
    pools = own_pools(departed)
    views = _views(departed, kind, machines)
    own = _moved_by_themselves(departed, kind)
    lost = {one.entity: one.weight for one in signals if one.name == "symptom_flow"}
    left: dict[str, float] = {}
    given: dict[str, tuple[float, str]] = {}
    unhurt, lookups = still(departed, kind), unresolved(departed)
    for name in _downwards(lost, views):
        # Who finds nobody's name any more loses its calls by itself, whoever they were for.
        kept = {v.callee for v in views.get(name, []) if name in lookups and v.callee in unhurt}
        kept |= {callee for caller, callee in pools if caller == name}
        seen = [v for v in views.get(name, []) if v.callee not in kept]
        loss = max(lost.get(name, 0.0), given.get(name, (0.0, ""))[0])
        if not seen or loss <= 0:
            continue
        tail = max(seen, key=lambda v: v.moved).tail
        mine = own.get((name, tail), own.get((name, not tail)))
        share = _share(seen, mine, kind)
        left[name] = 1 - share
        total = sum(v.moved for v in seen)
        for view in seen:
            part = loss * share * view.moved / total
            if part > given.get(view.callee, (0.0, ""))[0]:
                given[view.callee] = part, name
    told = [
        one._replace(weight=one.weight * left.get(one.entity, 1.0)) if one.name in _LOST else one
        for one in signals
    ]
    late = unhurt & slower(departed)
    tripped = only_tripped(departed) | behind_a_breaker(departed, edges)
    idle = {callee for _, callee in tripped} & unhurt
    told = [
        one._replace(modes=_WITHHELD) if one.entity in idle and one.name in _MISSED else one
        for one in told
    ]
    for callee, (weight, caller) in sorted(given.items()):
        more = weight * left.get(callee, 1.0) - lost.get(callee, 0.0)
        if more > 0.1:
            modes = SLOW if kind == "latency" else _FAILS
            text = f"{caller} counts what it loses at {callee}"
            if callee in late:
                # It fails nothing, but answers after its caller has stopped waiting.
                modes, text = SLOW, f"{text}, which by its own count only takes longer"
            elif callee in unhurt:
                modes = _WITHHELD if (caller, callee) in tripped else _WIRE
                text = f"{text}, which by its own count is as it was"
            told.append(Signal(callee, "seen_below", more, modes, text, weight, weight, caller))
    return to_pools(told, pools)


def asked_instead(
    signals: Sequence[Signal], departed: pl.DataFrame, edges: Collection[Edge]
) -> list[Signal]:
    """The signals, those of whom a cache's callers ask in its place handed back to the cache.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
    """
    caches = {s.entity for s in signals if s.name == "metric.cache" and s.weight > _TROUBLED}
    ill = failing(departed, edges)
    caches |= ill
    if not caches:
        return list(signals)
    grown, known = grown_requests(departed), set(edges)
    bursts = grown_requests(departed, "now")
    again = {(a, b) for a, b, _, _ in _second_tries(departed)}
    out = list(signals)
    for cache in sorted(caches):
        callers = {a for a, b in edges if b == cache}
        beside = {
            b
            for b in _asked_more(cache, callers, edges, grown, None if cache in ill else bursts)
            # Who is asked more because it is asked again stands in for nobody.
            if not any((a, b) in again for a in callers)
            and b not in callers | caches
            # Whom the failing one needs itself is not asked in its place.
            and (cache not in ill or (cache, b) not in known)
        }
        if not beside:
            continue
        for k, one in enumerate(out):
            part = (
                _HANDED if one.entity in beside else _HANDED / 2 if one.entity in callers else 0.0
            )
            if part and one.name in _OF_LOAD:
                out[k] = one._replace(weight=(1 - part) * one.weight)
        taken = sum(a.weight - b.weight for a, b in zip(signals, out, strict=False))
        told = _in_whose_place(out, taken, (cache, beside, cache in ill), departed)
        if "fallback_overload" in told.modes and any(
            a == cache and b in caches - ill for a, b in edges
        ):
            # It fails for want of its cache; that others are asked in its place follows.
            told = told._replace(weight=(1 - _HANDED) * told.weight)
        out.append(told)
    return out


def _in_whose_place(
    out: list[Signal], taken: float, who: tuple[str, set[str], bool], departed: pl.DataFrame
) -> Signal:
    """What it says that others are asked in somebody's place; what speaks against whom it excuses is taken from them.

    Args:
        out: the signals so far, which are changed.
        taken: what was taken from those who are asked more.
        who: the one who does not answer, those who are asked, and whether it fails or is a cache that no longer knows.
        departed: series that departed.
    """
    cache, beside, ill = who
    names = ", ".join(sorted(beside))
    tripped = withheld(departed)
    if not ill:
        name, modes = cache, _CACHE
        text = f"{names} is asked for what {cache} no longer answers"
    elif cache in tripped:
        name, modes, taken = tripped[cache], _TRIPS, taken + _HANDED * _take(out, cache)
        text = f"{names} is asked while {name} withholds calls from {cache}, which is as it was"
    elif all(bears(departed, one) for one in beside):
        # It bears what it is asked in the other's place: only the other failed.
        name, modes = cache, _FAILS
        text = f"{names} is asked, and answers, while {cache} fails"
    else:
        name, modes, taken = min(beside), _FELL_BACK, taken + _HANDED * _take(out, cache)
        text = f"{names} is asked while {cache} fails"
    of = cache if name != cache else ""
    return Signal(name, "asked_instead", min(1.0 + taken, 8.0), modes, text, taken, taken, of)


def _asked_more(
    cache: str,
    callers: Collection[str],
    edges: Collection[Edge],
    grown: Mapping[tuple[str, str], float],
    bursts: Mapping[tuple[str, str], float] | None,
) -> set[str]:
    """Whom the callers ask more than they are asked, and than the cache is; for moments, where `bursts` are given."""
    usual = max((_asked_of(a, cache, grown) for a in callers), default=1.0)
    if _UNKNOWN in callers:
        if bursts is None:
            return (
                set()
            )  # Who is asked in the place of somebody who fails, only who calls both can tell.
        usual = max(usual, float(np.median([f for (a, _), f in grown.items() if not a])))
    return {
        b
        for a, b in edges
        if a in callers
        and b != cache
        and ((a, b) in grown or ("", b) in grown)
        and (
            _asked_of(a, b, grown) > _MORE * max(_incoming(a, grown), usual)
            or (bursts is not None and _bursts(a, b, cache, bursts))
        )
    }


def anybody(departed: pl.DataFrame) -> frozenset[Edge]:
    """Edges from one unknown caller to everybody who counts requests, for want of any that was told."""
    asked = departed.filter((pl.col("kind") == "traffic") & pl.col("about").is_null())
    return frozenset((_UNKNOWN, name) for name in asked["entity"].unique())


def _take(signals: list[Signal], name: str) -> float:
    """Leave an entity a part of what speaks against it; return what was taken."""
    taken = 0.0
    for k, one in enumerate(signals):
        if one.entity == name and not one.name.startswith("asked_instead"):
            taken += _HANDED * one.weight
            signals[k] = one._replace(weight=(1 - _HANDED) * one.weight)
    return taken


def _asked_of(caller: str, callee: str, grown: Mapping[tuple[str, str], float]) -> float:
    """By what factor requests from a caller to a callee grew, or to the callee where nobody counts them apart."""
    return grown.get((caller, callee), grown.get(("", callee), 1.0))


def _incoming(name: str, grown: Mapping[tuple[str, str], float]) -> float:
    """By what factor requests to an entity grew, by its own count or its callers'."""
    seen = [factor for (_, callee), factor in grown.items() if callee == name]
    return max(seen, default=1.0)


def _bursts(caller: str, callee: str, cache: str, grown: Mapping[tuple[str, str], float]) -> bool:
    """Whether, for moments, a callee is asked far more than its caller and a cache beside it are."""
    usual = max(_incoming(caller, grown), _asked_of(caller, cache, grown))
    return _asked_of(caller, callee, grown) > _BURST * usual


def _downwards(lost: Mapping[str, float], views: Mapping[str, Sequence[_View]]) -> list[str]:
    """Callers before whom they call, as far as calls go one way."""
    order: list[str] = []
    waiting = sorted(lost, key=lambda name: (-lost[name], name))
    called = {view.callee for seen in views.values() for view in seen}
    waiting.sort(key=lambda name: name in called)
    while waiting:
        name = waiting.pop(0)
        if name in order:
            continue
        order.append(name)
        waiting += [view.callee for view in views.get(name, [])]
    return order


def _views(departed: pl.DataFrame, kind: Kind, machines: Collection[str]) -> dict[str, list[_View]]:
    kinds = ["latency"] if kind == "latency" else ["error", "availability"]
    rows = departed.filter(
        pl.col("about").is_not_null()
        & ~pl.col("about").is_in(list(machines))
        & pl.col("kind").is_in(kinds)
        & (pl.col("sign") > 0)
        & (pl.col("score") > _MOVED)
    )
    calls = calls_each(departed) if kind == "latency" else {}
    found: dict[str, list[_View]] = {}
    best = (
        like_with_like(rows)
        .group_by("entity", "about")
        .agg(pl.col("score").max(), pl.col("moved").max(), pl.col("tail").all())
    )
    for entity, callee, score, moved, tail in best.sort("entity", "about").iter_rows():
        if moved > 0:
            each = 1.0 if tail else calls.get((entity, callee), 1.0)
            found.setdefault(entity, []).append(_View(callee, score, moved * each, tail))
    return found


def _moved_by_themselves(departed: pl.DataFrame, kind: Kind) -> dict[tuple[str, bool], float]:
    """By how much each entity's own measures of lost time have grown: its tails, and what is none where it has any."""
    rows = departed.filter(
        pl.col("about").is_null()
        & (pl.col("kind") == kind)
        & (pl.col("sign") > 0)
        & (pl.col("score") > 0)
    )
    told: dict[tuple[str, bool], float] = {}
    for entity, tail, moved in (
        like_with_like(rows, every=True)
        .group_by("entity", "tail")
        .agg(pl.col("moved").max())
        .iter_rows()
    ):
        told[(entity, tail)] = moved
    return told


def _share(seen: Sequence[_View], own: float | None, kind: Kind) -> float:
    """Share of a caller's loss that comes from whom it calls."""
    best = max(view.score for view in seen)
    sure = float(np.clip((best - _MOVED) / _MOVED, 0.0, 1.0))
    if kind == "latency" and own is not None and own > 0:
        part = max(view.moved for view in seen) / own
        if 1 / _ALIKE < part < _ALIKE:
            return _PASSED * sure * min(part, 1.0)
    return _PASSED * sure


def retried(departed: pl.DataFrame) -> list[Signal]:
    """Callees of which most requests are second tries: what keeps them down is their callers' patience."""
    found, ill = [], _still_ill(departed) | _idle(departed)
    for a, b, level, now in _second_tries(departed):
        growth = now / level
        text = f"{a} asks {b} {growth:.1f} times as often, most of it by trying again"
        weight = min(4.0 + 2.0 * float(np.log2(growth)), 9.0) * (_TRIGGERED if b in ill else 1.0)
        # Beside a reason that is still there, second tries are patience first, and a storm second.
        modes = {"retry_storm": _TRIGGERED if b in ill else 1.0}
        found.append(Signal(b, "retried", weight, modes, text, growth, growth - 1, a))
    return found


def _still_ill(departed: pl.DataFrame) -> set[str]:
    """Who has a trouble of another kind, or calls somebody who still takes longer or fails: a reason to try again."""
    own = departed.filter(
        pl.col("about").is_null()
        & pl.col("clue").is_in(_REASONS)
        & (pl.col("sign") > 0)
        & (pl.col("score") > _WAITS)
    )
    below = departed.filter(
        pl.col("about").is_not_null()
        & pl.col("kind").is_in(["latency", "error"])
        & (pl.col("sign") > 0)
        & (pl.col("score") > _WAITS)
        & (pl.col("middle_now") > _DOUBLED * pl.col("level"))
        & ~pl.col("clue").is_in(["late", "breaker", "fallback"]).fill_null(value=False)
    )
    # A processor that has no more to give to several times the requests is filled by these.
    full = [name for (a, name), f in grown_requests(departed).items() if not a and f >= _SEVERAL]
    filled = pl.col("entity").is_in(full) & (pl.col("clue") == "throttled")
    return set(own.filter(~filled)["entity"]) | set(below["entity"])


def _second_tries(departed: pl.DataFrame) -> list[tuple[str, str, float, float]]:
    """(caller, callee, requests before, requests now) where most of what was added are second tries.

    Who counts its second tries of all callees together is taken by its word where one callee has most of the growth,
    and is not seen to work no more than before: a callee that merely fails is tried again as well.
    """
    rows = departed.filter(pl.col("about").is_not_null())
    again = departed.filter((pl.col("clue") == "retries") & (pl.col("score") > _WAITS))
    calls = rows.filter(
        pl.col("kind").is_in(["traffic", "other"])
        & pl.col("clue").ne_missing("retries")
        & (pl.col("level") > 0)
    )
    asked = {
        (a, b): (level, now)
        for a, b, metric, kind, level, now in calls.select(
            "entity", "about", "metric", "kind", "level", "middle_now"
        ).iter_rows()
        if kind == "traffic" or set(words(metric)) & _CALLS
    }
    idle = _idle(departed)
    found = []
    for a, named, more in again.select("entity", "about", "middle_now").iter_rows():
        mine = {c: (was, now) for (who, c), (was, now) in asked.items() if who == a}
        b = named if named is not None else _most_asked(mine, idle)
        level, now = mine.get(b, (0.0, 0.0)) if b is not None else (0.0, 0.0)
        if (
            b is not None
            and level > 0
            and now >= _DOUBLED * level
            and more >= _MOSTLY * (now - level)
        ):
            found.append((a, b, level, now))
    known = {(a, b) for a, b, _, _ in found}
    return found + [one for one in tried_again(departed) if one[:2] not in known]


def _most_asked(asked: Mapping[str, tuple[float, float]], idle: Collection[str]) -> str | None:
    """The one callee that has most of the growth of a caller's calls, unless it is seen to work no more for it."""
    added = {c: max(now - was, 0.0) for c, (was, now) in asked.items()}
    most = max(added, key=lambda c: (added[c], c), default=None)
    if most is None or most in idle or added[most] < _MOSTLY * sum(added.values()):
        return None
    return most


def _idle(departed: pl.DataFrame) -> set[str]:
    """Whose processor is measured, and who is not asked several times as much by its own count or its callers', or works no more for it."""
    own = departed.filter(pl.col("about").is_null() & (pl.col("kind") == "cpu"))
    grown = grown_requests(departed)
    busy = own.filter(
        (pl.col("sign") > 0)
        & (pl.col("score") > _WAITS)
        & (pl.col("middle_now") > _BUSIER * pl.col("level"))
    )
    # Who is overwhelmed counts what it has got through, and its callers what they ask of it.
    asked = [(name, factor) for (_, name), factor in grown.items()]
    loaded = {name for name, factor in asked if factor >= _SEVERAL} & set(busy["entity"])
    return set(own["entity"]) - loaded
