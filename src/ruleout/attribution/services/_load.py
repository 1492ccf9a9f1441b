"""More asked than usual, where it enters; and entities that have fallen silent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._graph import Edge, chain
from ruleout.attribution.services._kinds import OFFERED, Kind, words
from ruleout.attribution.services._quota import lowered
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._windows import Windows

_MORE = 1.6
"""Requests over their usual number from which on they count as a surge."""

_AS_FAR = 1.1
"""Times as much as those it does not lead to that a door must be asked more for the surge to come in by it."""

_WIDE = 3
"""So many entities must be asked more, where the alarm's own is not among them."""

_GUESSED = 0.8
"""Weight where nobody told who calls whom, nor at whom the alarm was raised."""

_SAMPLED = 0.3
"""Weight where requests were counted by their traces, which are seldom all of them."""

_MOMENTS = 6
"""Moments into which the incident is cut; the reference into as long ones."""

_BUSY = 0.75
"""Quantile of the reference's moments that tells how much is asked when it is asked."""

_LOSING = 1.5
"""Departure of what carries telemetry, in its own losses, from which on silence is its doing."""

_HANDED = 0.8
"""What is then taken from whoever is silent."""

_FEW = 50
"""Requests that a stretch of traces must hold to tell a rate."""

_ITEMS = frozenset(["rows", "records", "documents", "items", "events"])
_OF_ITEMS = 5.0
"""Most nats of a surge that is counted in records: they may as well have been sent twice."""

_SURELY = 2.0
"""Nats of a surge from which on it explains what others do under it."""

_AS_MUCH = 0.7
"""Part of the surge's growth, on a log scale, that must have reached an entity to explain its trouble."""

_SOME = 1.3
"""Times its usual number from which on a count of the door's is one of what grew."""

_LEFT = 0.3
_OF_LOAD = {
    "symptom_flow", "added_time", "metric.saturation", "metric.latency", "metric.accelerator", "metric.cpu",
    "seen_by_callers", "seen_below", "own_pool", "metric.error", "beneath", "metric.other",
}  # fmt: skip
_FELT = ["latency", "saturation", "cpu", "memory", "accelerator", "disk"]
_REFUSING = ["quota", "refused", "breaker", "pool"]
_FAILURES = ("error", "availability")
_FEELS = 1.0
"""Departure of anything that load would fill from which on it is felt."""

_UNFELT = 0.3
_NO_MORE = 1.2
"""Requests over their usual number up to which no more come in."""

_LONGER = {"traffic_surge": 0.65, "prompt_change": 0.35}
_SILENT = {
    "hardware_fault": 0.6,
    "memory_leak": 0.15,
    "network_fault": 0.15,
    "observability_failure": 0.1,
}


def offered(
    departed: pl.DataFrame,
    tree: Calls | None,
    period: np.ndarray,
    edges: Collection[Edge],
    symptom: str | None,
) -> list[Signal]:
    """The entity at which more work comes in from outside; at most one.

    Args:
        departed: series that departed, as `departures` returns them.
        tree: the calls, if there are traces.
        period: of every span, as `periods` returns it.
        edges: (caller, callee) pairs.
        symptom: the entity that raised the alarm.
    """
    ratios, sampled = _by_metrics(departed), False
    longer = _by_length(departed)
    ratios |= {name: ratio for name, ratio in longer.items() if ratio > ratios.get(name, 1.0)}
    if departed.filter(pl.col("kind") == "traffic").is_empty():
        items = _more_items(departed, edges)
        if items is not None:
            return [items]
        # Traces alone: whoever keeps traces of slow or failed requests keeps more of them now.
        ratios, sampled = _by_roots(tree, period), True
    grown = {name: ratio for name, ratio in ratios.items() if ratio >= _MORE}
    called = {callee for _, callee in edges}
    doors = _sources([name for name in grown if name not in called], grown, edges) if edges else []
    if tree is None and symptom not in grown and len(grown) < _WIDE:
        return []
    if symptom in grown and symptom not in called:
        entity = str(symptom)
    elif doors:
        # Who leads to the alarm goes before who merely grew as well.
        leads = [name for name in doors if symptom is not None and chain(symptom, name, edges)[1:]]
        entity = max(leads or doors, key=lambda name: (grown[name], name))
    elif grown and not edges:
        entity = str(symptom) if symptom in grown else _foremost(departed, grown)
    else:
        return []
    ratio = grown[entity]
    weight = min(4.0 * float(np.log2(ratio)), 7.0)
    if not edges and entity != symptom:
        weight *= _GUESSED
    if sampled:
        weight *= _SAMPLED
    text = f"{entity} is asked {ratio:.1f} times as much as usual"
    modes = {"traffic_surge": 1.0}
    if ratio == longer.get(entity):
        modes, text = _LONGER, f"what {entity} is asked is {ratio:.1f} times as long as usual"
    return [Signal(entity, "offered_load", weight, modes, text, ratio, ratio - 1)]


def _sources(
    doors: Sequence[str], grown: Mapping[str, float], edges: Collection[Edge]
) -> list[str]:
    """Those of the doors that grew more than anybody whom none of them leads to.

    Who takes its work from a queue is called by nobody, and is asked more because somebody else fills the queue.
    """
    reached, waiting = set(doors), list(doors)
    while waiting:
        name = waiting.pop()
        further = {b for a, b in edges if a == name} - reached
        reached |= further
        waiting += further
    most = max((ratio for name, ratio in grown.items() if name not in reached), default=0.0)
    return [name for name in doors if grown[name] > _AS_FAR * most]


def unfelt_load(signals: Sequence[Signal], departed: pl.DataFrame, kind: Kind) -> list[Signal]:
    """The signals, those of load less where it filled nothing and slowed nobody down.

    More requests make requests fail by way of something that runs out or takes longer; where neither shows, the
    failures have another reason.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        kind: of the symptom's metric.
    """
    if not unfelt(departed, kind):
        return list(signals)
    return [
        one._replace(weight=_UNFELT * one.weight) if one.name == "offered_load" else one
        for one in signals
    ]


def unfelt(departed: pl.DataFrame, kind: Kind) -> bool:
    """Whether requests fail while nothing that more of them would fill, or slow down, has moved."""
    if kind not in _FAILURES or departed.is_empty():
        return False
    if lowered(departed) is not None:
        return True
    rows = departed.filter(
        pl.col("kind").is_in(_FELT)
        & ~pl.col("clue").is_in(["in_flight", "held", "limit"]).fill_null(value=False)
        & (pl.col("sign") > 0)
    )
    refusing = departed.filter(pl.col("clue").is_in(_REFUSING) & (pl.col("score") > 0.5))
    felt = rows.filter(pl.col("score") > _FEELS).height + refusing.height
    return not felt and bool({"latency", "saturation"} & set(rows["kind"]))


def excused_by_load(signals: Sequence[Signal], departed: pl.DataFrame) -> list[Signal]:
    """The signals, those of whoever is asked as much more as comes in less what that explains."""
    doors = [one for one in signals if one.name == "offered_load" and one.weight > _SURELY]
    if not doors:
        return list(signals)
    door = max(doors, key=lambda one: one.weight)
    work = (pl.col("kind") == "traffic") | (pl.col("clue") == "prompted").fill_null(value=False)
    rows = departed.filter(work & (pl.col("level") > 0))
    columns = ("entity", "about", "metric", "level", "now")
    told = [
        (a if a is not None else e, m, now / was)
        for e, a, m, was, now in rows.select(columns).iter_rows()
    ]
    # One customer's requests grow more than all of them: by the same count is told who got as many more.
    its = {metric: ratio for name, metric, ratio in told if name == door.entity and ratio > _SOME}
    shares: dict[str, float] = {}
    for name, metric, ratio in told:
        base = min(its.get(metric, np.inf), 1 + door.effect)
        shares[name] = max(shares.get(name, 0.0), float(np.log(max(ratio, 1.0)) / np.log(base)))
    if rows.is_empty():
        items = _items(departed).items()
        shares = {
            name: float(np.log(max(ratio, 1.0)) / np.log(1 + door.effect)) for name, ratio in items
        }
    out, taken = [], 0.0
    for one in signals:
        share = shares.get(one.entity, 0.0)
        if one.name not in _OF_LOAD or one.entity == door.entity or share < _AS_MUCH:
            out.append(one)
            continue
        out.append(one._replace(weight=_LEFT * one.weight))
        taken = max(taken, (1 - _LEFT) * one.weight)
    return [one._replace(weight=one.weight + taken) if one is door else one for one in out]


def inward(
    signals: Sequence[Signal], departed: pl.DataFrame, edges: Collection[Edge]
) -> list[Signal]:
    """The signals, a surge no reading of those that ask again: nothing more comes in, and callers count second tries.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        edges: (caller, callee) pairs.
    """
    called = {callee for _, callee in edges}
    rows = departed.filter(
        (pl.col("kind") == "traffic") & (pl.col("level") > 0) & pl.col("about").is_null()
    )
    doors = [
        now / level
        for entity, level, now in rows.select("entity", "level", "middle_now").iter_rows()
        if entity not in called
    ]
    if not doors or max(doors) > _NO_MORE:
        return list(signals)
    again = departed.filter(
        (pl.col("clue") == "retries") & (pl.col("sign") > 0) & (pl.col("score") > _FEELS)
    )
    trying = set(again["entity"])
    # Second tries multiply from caller to callee.
    asked = {b for a, b in edges if a in trying}
    asked |= {b for a, b in edges if a in asked}
    return [
        one._replace(modes={m: p for m, p in one.modes.items() if m != "traffic_surge"})
        if one.entity in asked and one.name != "offered_load"
        else one
        for one in signals
    ]


def _items(departed: pl.DataFrame) -> dict[str, float]:
    """By what factor the records that each entity works through grew, as far as it counts them."""
    result: dict[str, float] = {}
    rows = departed.filter(
        (pl.col("kind") == "other") & (pl.col("level") > 0) & pl.col("about").is_null()
    )
    for entity, metric, level, now in rows.select(
        "entity", "metric", "level", "middle_now"
    ).iter_rows():
        if set(words(metric)) & _ITEMS:
            result[entity] = max(result.get(entity, 0.0), now / level)
    return result


def _more_items(departed: pl.DataFrame, edges: Collection[Edge]) -> Signal | None:
    """More records to work through, from the first that count them on: what is asked of steps that nobody calls.

    A step that makes many of few has its sources as they were.
    """
    found = _items(departed)
    if len(found) < _WIDE or not edges:
        return None
    sources = sorted(name for name in found if not any(a == name and b in found for a, b in edges))
    if not sources or min(found.values()) < _MORE:
        return None
    most, least = max(found.values()), min(found.values())
    entity = max(sources, key=lambda name: (found[name], name))
    if np.log(least) < _AS_MUCH * np.log(most):
        return None
    ratio = found[entity]
    weight = min(4.0 * float(np.log2(ratio)), _OF_ITEMS)
    text = f"{entity} takes in {ratio:.1f} times as many records as usual, and all after it as many more"
    return Signal(entity, "offered_load", weight, {"traffic_surge": 1.0}, text, ratio, ratio - 1)


def _foremost(departed: pl.DataFrame, grown: Mapping[str, float]) -> str:
    """Who likeliest stands in front of the others: the slowest waits for them, else who grew most."""
    rows = departed.filter((pl.col("kind") == "latency") & pl.col("entity").is_in(sorted(grown)))
    slow = dict(rows.group_by("entity").agg(pl.col("level").max()).iter_rows())
    return max(grown, key=lambda name: (slow.get(name, 0.0), grown[name], name))


def _by_metrics(departed: pl.DataFrame) -> dict[str, float]:
    rows = departed.filter(
        (pl.col("kind") == "traffic")
        & (pl.col("sign") > 0)
        & (pl.col("level") > 0)
        & (pl.col("score") > 0.5)
        # What an entity asks of others is no request that comes in.
        & pl.col("about").is_null()
    )
    result: dict[str, float] = {}
    for entity, metric, level, now in rows.select("entity", "metric", "level", "now").iter_rows():
        if set(words(metric)) & OFFERED:
            result[entity] = max(result.get(entity, 0.0), now / level)
    return result


def _by_length(departed: pl.DataFrame) -> dict[str, float]:
    """By how much what models are asked has become longer; each such request is more work."""
    rows = departed.filter(
        (pl.col("clue") == "prompted")
        & (pl.col("sign") > 0)
        & (pl.col("level") > 0)
        & (pl.col("score") > 0.5)
        & pl.col("about").is_null()
    )
    grown = (pl.col("middle_now") / pl.col("level")).max().alias("grown")
    return dict(rows.group_by("entity").agg(grown).iter_rows())


def _by_roots(tree: Calls | None, period: np.ndarray) -> dict[str, float]:
    """By how much the rate of requests that enter at each service exceeds that of the reference's busy moments.

    Reference traces may hold pauses, and stretches in which little was asked.
    """
    if tree is None or not (period == 2).any():
        return {}
    root = tree.parent < 0
    length = float(np.ptp(tree.time[period == 2])) / _MOMENTS
    if length <= 0:
        return {}
    result = {}
    for code in range(len(tree.services)):
        mine = root & (tree.service == code)
        now, then = tree.time[mine & (period == 2)], tree.time[mine & (period == 1)]
        if min(len(now), len(then)) >= _FEW:
            usual = float(np.quantile(_moments(then, length), _BUSY))
            result[tree.services[code]] = float(np.median(_moments(now, length))) / usual
    return result


def _moments(time: np.ndarray, length: float) -> np.ndarray:
    """Requests in each stretch of `length` seconds that holds any."""
    counts = np.bincount(((time - time.min()) / length).astype(np.int64))
    return counts[counts > 0].astype(float)


def silent(metrics: pl.DataFrame, windows: Windows) -> list[Signal]:
    """Entities whose series end or pause in the incident while the others' go on."""
    start, end = windows.current
    known = sum(high - low for low, high in windows.reference)
    if known <= 0 or metrics.is_empty():
        return []
    time = pl.col("time")
    before = pl.any_horizontal([(time >= a) & (time < b) for a, b in windows.reference])
    now = (time >= start) & (time <= end)
    counts = (
        metrics.lazy()
        .group_by("entity", "metric")
        .agg(before.sum().alias("then"), now.sum().alias("now"))
        .filter(pl.col("then") > 0)
        .collect()
        .with_columns((pl.col("then") * (end - start) / known).alias("due"))
        .filter(pl.col("due") >= 5)
        .with_columns((pl.col("now") / pl.col("due")).clip(upper_bound=1.0).alias("share"))
    )
    if counts.is_empty():
        return []
    # The best recorded of an entity's series: what is only measured under load may pause alone.
    by_entity = counts.group_by("entity").agg(pl.col("share").max()).sort("entity")
    usual = float(np.median(by_entity["share"].to_numpy()))
    if usual < 0.8:
        return []
    return [
        Signal(
            entity,
            "silence",
            8.0 * (1 - share),
            _SILENT,
            f"{entity} tells only {share:.0%} of the samples that were due",
            1 - share,
            1 - share,
        )
        for entity, share in by_entity.iter_rows()
        if share < 0.6 * usual
    ]


def lost_samples(signals: Sequence[Signal], departed: pl.DataFrame) -> list[Signal]:
    """The signals, silence handed to whoever carries the telemetry where that counts what it lost.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
    """
    losing = departed.filter(
        (pl.col("clue") == "telemetry") & (pl.col("sign") > 0) & (pl.col("score") > _LOSING)
    ).sort("score", "entity")
    if losing.is_empty():
        return list(signals)
    carrier = str(losing["entity"][-1])
    taken = [s for s in signals if s.name == "silence" and s.entity != carrier]
    if not taken:
        return list(signals)
    out = [
        one._replace(weight=(1 - _HANDED) * one.weight) if one in taken else one for one in signals
    ]
    most = _HANDED * max(one.weight for one in taken)
    names = ", ".join(sorted(one.entity for one in taken)[:6])
    text = f"{carrier} counts telemetry that it lost, while {names} went silent"
    modes = {"observability_failure": 1.0}
    return [*out, Signal(carrier, "silence", most, modes, text, most, most)]
