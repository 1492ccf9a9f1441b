"""Each detector's findings as signals on one scale: nats, saturated, calibrated before they are summed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ruleout.attribution.services._behaviour import Change
from ruleout.attribution.services._clues import Clue
from ruleout.attribution.services._disks import unwaited
from ruleout.attribution.services._failures import Refusal
from ruleout.attribution.services._flow import Flow
from ruleout.attribution.services._kinds import clue_of, words
from ruleout.attribution.services._latency import Lag, Lags
from ruleout.attribution.services._machines import of_its_own
from ruleout.attribution.services._records import Signal

_CODE = {"change_regression": 0.7, "malformed_artifact": 0.1, "schema_change": 0.1}
_REFUSED = {
    "network_fault": 0.4,
    "hardware_fault": 0.35,
    "slow_dependency": 0.15,
    "pool_exhaustion": 0.1,
}
_TRIPPED = {"resilience_mistrip": 0.85, "rate_limited": 0.15}
_CUT_SHORT = {
    "resilience_mistrip": 0.4,
    "network_fault": 0.2,
    "hardware_fault": 0.2,
    "slow_dependency": 0.1,
    "pool_exhaustion": 0.1,
}
_FELT = {"change_regression": 0.4, "slow_dependency": 0.4, "network_fault": 0.2}
_RIGHTLY = 0.25
"""Weight of calls that a breaker refuses for good reason: what made it open is told by the calls that arrive."""

_OWN_STATE = [
    "latency",
    "error",
    "availability",
    "cpu",
    "memory",
    "disk",
    "accelerator",
    "saturation",
]
_FAILS = 1.0
_MAYBE_TRIPPED = 0.3
"""Departure of its own failures, and share of a breaker's doing, from which on that is so."""

_KIND_MODES: Mapping[str, Mapping[str, float]] = {
    "cpu": {"cpu_saturation": 0.9, "noisy_neighbour": 0.1},
    "memory": {"memory_leak": 0.8},
    "disk": {"storage_fault": 1.0},
    "network": {"network_fault": 0.6, "traffic_surge": 0.2},
    "traffic": {"traffic_surge": 0.7},
    "saturation": {"pool_exhaustion": 0.5, "queue_backlog": 0.4},
    "cache": {"cache_storm": 1.0},
    "accelerator": {"accelerator_memory": 1.0},
    "latency": {"slow_dependency": 0.45, "network_fault": 0.35, "cpu_saturation": 0.2},
    "error": {"change_regression": 0.75, "slow_dependency": 0.25},
    "availability": {"change_regression": 0.75, "slow_dependency": 0.25},
}
SLOW = {"slow_dependency": 0.75, "cpu_saturation": 0.15, "network_fault": 0.1}
"""Who loses the symptom's time is slow to its callers; why, its own metrics must tell."""

_RESOURCE = {"cpu", "memory", "disk", "accelerator", "error", "availability", "saturation", "cache"}
"""Kinds that point at the entity that shows them; time and traffic also depart in its neighbours."""

_SHARES = {"error", "availability", "cache", "other"}
_BUSY_CORES = 0.1
_AT_REST = 0.2
"""Cores in use below which a processor is at rest, and what is left of a change of it there."""

_NOTICED = 0.5
"""Weight of the loss of the entity that raised the alarm, beside what others lose with it."""

_OUT_OF_TIME = 5.0
"""Times its usual length that somebody's answers take, from which on requests run out of time."""

_TAKEN = {"noisy_neighbour": 0.75, "cpu_saturation": 0.25}
"""Who fills a machine's processor that no service on it takes is a neighbour of them."""

_CEASED = {"network_fault": 0.3, "hardware_fault": 0.3, "slow_dependency": 0.2}
_BESIDE = 4.0
"""Most that a resource's metric can weigh beside traces, in nats; it may weigh `_BARE` where there are none."""

_BARE = 5.0
_HELD = {"held", "in_flight", "device_memory", "heat", "gc"}
"""Places that requests hold while they are served, and what they leave to be collected: more requests hold more."""

_HELD_LONGER = 0.25
"""Weight of places that only slow answers hold: their time is weighed as such."""

_PLACES = {"descriptors", "in_flight", "held"}
_LITTLE = 1.2
"""Power of the factor by which answers take longer, up to which places that are held have grown by nothing else."""

_COUNTING = 3
"""Entities that must count requests for the others' to be guessed from them."""

_IDLE = 0.02
"""Traffic below this part of the busiest entity's counts as this much."""

_UNASKED = 0.3
"""Weight of what an entity shows that nobody asks anything: no request suffers from it."""

_SEEN = {"latency", "error", "availability"}
"""Kinds that a caller measures of whom it calls."""

_SEEN_BARE, _SEEN_TRACED = 3.0, 1.0
_SEEN_ITSELF = 0.25
"""What is left of such a metric as evidence against the caller."""

_BELOW_LIMIT = 0.2
"""What is left of a pool that is used more and far from its limit, and of a disk's work that nobody waits for."""

_STOLEN = 0.03
"""Rise of the processor's time that others take, as a share of all, from which on it is missed."""

_USED = {"usage", "used", "pct", "perc", "percent", "percentage", "ratio", "util", "utilization"}
_EMPTY, _FILLS = 0.2, 0.4
"""Share of an accelerator's memory that nobody misses, and beyond it, by which its use counts in full."""

_NOTED = 0.25
"""A change by this share of the level has most of its weight."""

_ELSEWHERE = {
    "error": 0.55,
    "availability": 0.55,
    "latency": 0.4,
    "network": 0.2,
    "traffic": 0.2,
    "other": 0.2,
}
"""Weight of kinds that callers of the culprit show as well: failures and time travel up."""


def saturated(value: float, half: float, top: float) -> float:
    """`top` times value/(value + half): half of the top at `half`."""
    return top * value / (value + half) if value > 0 else 0.0


def from_flow(flows: Mapping[str, Flow], kind: str, noticed: str | None = None) -> list[Signal]:
    """Who loses most of the symptom's quantity by its own doing.

    Args:
        flows: by entity.
        kind: of the symptom.
        noticed: the entity that raised the alarm; that its loss goes with itself says nothing where others' is known.
    """
    modes = _KIND_MODES.get(kind, {}) if kind != "latency" else SLOW
    return [
        Signal(
            name,
            "symptom_flow",
            8.0 * flow.score * (_NOTICED if name == noticed and len(flows) > 1 else 1.0),
            modes,
            f"{name} accounts for {flow.share:.0%} of the symptom's {kind}, {flow.own:.0%} of that by itself",
            flow.volume,
            flow.score,
        )
        for name, flow in sorted(flows.items())
        if flow.score > 0.01
    ]


def from_behaviour(changes: Sequence[Change]) -> list[Signal]:
    """Whose code reaches other statements than before."""
    return [
        Signal(
            one.service,
            "behaviour",
            saturated(one.score, 5.0, 7.0),
            _CODE,
            f"{one.service}: {one.statement} in {one.after:.0%} of invocations, {one.before:.0%} before",
            one.score,
            one.after - one.before,
        )
        for one in changes
        if one.score > 0.5
    ]


def from_refusals(found: Sequence[Refusal]) -> list[Signal]:
    """Whose calls, or callers, get no answer any more."""
    return [
        Signal(
            one.service,
            "refused_calls",
            saturated(one.score, 5.0, 9.0) * (_RIGHTLY if one.quick and one.ill else 1.0),
            _refused_modes(one),
            f"{one.after:.0%} of the calls from {one.caller} to {one.callee} fail and never arrive,"
            f" {one.before:.0%} before",
            one.score,
            one.after - one.before,
            one.caller if one.service == one.callee else "",
        )
        for one in found
        if one.score > 0.5
    ]


def rightly_refused(signals: Sequence[Signal], departed: pl.DataFrame) -> list[Signal]:
    """The signals, those of breakers less where who is refused fails by its own count at what still arrives.

    Where nothing arrives, and nothing of its own has moved but what it is asked, the breaker has no reason left.
    """
    own = departed.filter(pl.col("about").is_null() & pl.col("kind").is_in(_OWN_STATE))
    worst = own.group_by("entity").agg(pl.col("score").max())
    sound = set(worst.filter(pl.col("score") < _MAYBE_TRIPPED)["entity"])
    signals = [
        one._replace(modes=_TRIPPED)
        if one.modes.get("resilience_mistrip", 0.0) > _MAYBE_TRIPPED and one.entity in sound
        else one
        for one in signals
    ]
    failing = departed.filter(
        (pl.col("kind") == "error")
        & pl.col("about").is_null()
        & (pl.col("clue").is_null() | (pl.col("clue") == "late"))
        & (pl.col("sign") > 0)
        & (pl.col("score") > _FAILS)
    )["entity"].to_list()
    return [
        one._replace(weight=_RIGHTLY * one.weight, modes=_FELT)
        if one.modes.get("resilience_mistrip", 0.0) > _MAYBE_TRIPPED and one.entity in failing
        else one
        for one in signals
    ]


def _refused_modes(one: Refusal) -> Mapping[str, float]:
    """Refused near the caller: its breaker or limiter, rightly or wrongly; else it is lost on the way."""
    if one.quick and one.ill:
        return _FELT
    if one.quick:
        return _TRIPPED if one.sound else _CUT_SHORT
    return _REFUSED


def from_departures(
    table: pl.DataFrame, kpis: Sequence[str], *, alone: bool, traced: Collection[str]
) -> list[Signal]:
    """Whose own metrics left their range, by kind; machine-wide metrics count less.

    Args:
        table: as `departures` returns it.
        kpis: metrics that are never causes.
        alone: whether metrics are all there is to rank by.
        traced: services that traces tell of; none where there are no traces.
    """
    signals = []
    loads, waits = loads_of(table), waits_of(table)
    everywhere, its_own = load_everywhere(table, loads), of_its_own(table)
    idly = unwaited(table)
    for row in table.iter_rows(named=True):
        kind = row["kind"]
        if row["score"] <= 0.3 or row["metric"] in kpis:
            continue
        clue = clue_of(row["metric"])
        share = clue.points if clue is not None else None
        points = share is not None or kind in _RESOURCE
        top = (_BESIDE if traced else _BARE) if points else 4.0 if alone else 1.5
        top *= _ELSEWHERE.get(kind, 1.0) if share is None else share
        waiting = only_waits(row, waits)
        top *= _HELD_LONGER if waiting else 1.0
        part = its_own.get((row["entity"], row["metric"]), _machines_part(row, clue))
        top *= part * row["alone"] ** 2
        top *= _BELOW_LIMIT if (row["entity"], row["metric"]) in idly else 1.0
        if row["full"] is not None:
            top *= 2.0 if row["full"] else _BELOW_LIMIT
        top *= beyond_load(row, loads.get(row["entity"], everywhere)) * matters(row)
        top *= _UNASKED if row["idle"] and row["entity"] not in traced else 1.0
        size = row["up"] if row["sign"] > 0 else row["down"]
        if row["about"] is not None and kind in _SEEN:
            signals.append(_seen(row, traced=bool(traced)))
            top *= _SEEN_ITSELF
        signals.append(
            Signal(
                row["entity"],
                f"metric.{kind}",
                saturated(float(row["score"]), 2.0, top),
                {"pool_exhaustion": 1.0}
                if row["full"]
                else _TAKEN
                if kind == "cpu" and (row["entity"], row["metric"]) in its_own
                else SLOW
                if waiting
                else modes_of(kind, row["metric"], row["sign"]),
                f"{row['entity']} {row['metric']} went from {row['level']:.4g} to {row['now']:.4g}",
                float(np.clip(size, -1e6, 1e6)),
                float(row["score"]),
            )
        )
    return signals


def _machines_part(row: Mapping[str, Any], clue: Clue | None) -> float:
    """Weight of what a machine shows: everything on it moves with its services, but for a mechanism of its own."""
    if not row["host"]:
        return 1.0
    return 0.5 if clue is not None and clue.primary else 0.3


def _seen(row: Mapping[str, Any], *, traced: bool) -> Signal:
    """A callee's answers as a caller measures them."""
    weight = saturated(float(row["score"]), 2.0, _SEEN_TRACED if traced else _SEEN_BARE)
    return Signal(
        row["about"],
        "seen_by_callers",
        weight * row["alone"],
        SLOW if row["kind"] == "latency" else _KIND_MODES[row["kind"]],
        f"{row['entity']} sees {row['metric']} go from {row['level']:.4g} to {row['now']:.4g}",
        float(row["score"]),
        float(row["score"]),
    )


def modes_of(kind: str, metric: str, sign: int) -> Mapping[str, float]:
    """Modes that a departure of a metric speaks for."""
    if kind == "traffic" and sign < 0:
        return _CEASED
    clue = clue_of(metric)
    if clue is None:
        return _KIND_MODES.get(kind, {})
    return clue.modes if sign > 0 else clue.down


def matters(row: Mapping[str, Any]) -> float:
    """From 0 to 1: whether a change is large beside the usual level, and not only beside its noise.

    Shares (errors, availability, hit rates) are left to their own scale: a point of them matters.
    """
    if row["clue"] == "steal":
        whole = 100.0 if row["now"] > 1 else 1.0
        return float(np.clip((row["now"] - row["level"]) / (_STOLEN * whole), 0.0, 1.0))
    if row["clue"] == "device_memory":
        return _fullness(row["metric"], row["level"], row["now"])
    if row["kind"] == "cpu" and row["clue"] is None and in_cores(row["metric"]):
        return float(np.clip(max(row["now"], row["level"]) / _BUSY_CORES, _AT_REST, 1.0))
    if row["kind"] in _SHARES or row["level"] == 0:
        return 1.0
    return float(-np.expm1(-abs(row["now"] / row["level"] - 1) / _NOTED))


def in_cores(metric: str) -> bool:
    """Whether a processor's use is told in cores, or in seconds of it a second."""
    told = set(words(metric))
    return "cores" in told or {"cpu", "seconds"} <= told


def _fullness(metric: str, level: float, now: float) -> float:
    """From 0.1 to 1: how near to full a share of an accelerator's memory is; 1 where no share is told."""
    most = max(level, now)
    if not set(words(metric)) & _USED or not 0 < most <= 100:
        return 1.0
    return float(np.clip((now / (100.0 if most > 1 else 1.0) - _EMPTY) / _FILLS, 0.1, 1.0))


def much_stolen() -> pl.Expr:
    """Whether stolen time, a share or a percentage, has risen by what somebody would miss."""
    whole = pl.when(pl.col("now") > 1).then(100.0).otherwise(1.0)
    return (pl.col("now") - pl.col("level")) >= _STOLEN * whole


def loads_of(table: pl.DataFrame) -> dict[str, float]:
    """By what factor the traffic of each entity, or the length of what it is asked, has grown; at least 1."""
    work = (pl.col("kind") == "traffic") | (pl.col("clue") == "prompted").fill_null(value=False)
    traffic = table.filter(work & pl.col("about").is_null())
    # What was hardly ever asked, and still is, has no level of its own to grow from.
    least = _IDLE * pl.col("level").max().over("metric")
    known = (pl.col("level") > 0) & (pl.col("now") > least)
    level = pl.when(known).then("level").otherwise(pl.max_horizontal("level", least))
    grown = traffic.with_columns(level.alias("level")).filter(
        (pl.col("level") > 0) & (pl.col("sign") > 0)
    )
    result: dict[str, float] = {}
    for entity, usual, now in grown.select("entity", "level", "now").iter_rows():
        result[entity] = max(result.get(entity, 1.0), now / usual)
    return result


def load_everywhere(table: pl.DataFrame, loads: Mapping[str, float]) -> float:
    """By what factor requests have grown for nine of ten entities that count them: what those that do not are asked."""
    counted = table.filter((pl.col("kind") == "traffic") & pl.col("about").is_null())
    counting = counted["entity"].unique()
    if len(counting) < _COUNTING:
        return 1.0
    return float(np.quantile([loads.get(name, 1.0) for name in counting], 0.1, method="lower"))


def waits_of(table: pl.DataFrame) -> dict[str, float]:
    """By what factor the time that each entity's answers take has grown, where it has."""
    slower = table.filter(
        (pl.col("kind") == "latency")
        & pl.col("about").is_null()
        & (pl.col("sign") > 0)
        & (pl.col("level") > 0)
    )
    grown = slower.group_by("entity").agg((pl.col("now") / pl.col("level")).max())
    return dict(grown.iter_rows())


def only_waits(row: Mapping[str, Any], waits: Mapping[str, float]) -> bool:
    """Whether more of a place is held only because each request takes longer (Little, 1961), and no limit is told."""
    if row["clue"] not in _PLACES or row["full"] is not None or row["sign"] < 0:
        return False
    wait = waits.get(row["entity"], 1.0)
    if wait <= 1 or row["level"] <= 0 or row["now"] <= row["level"]:
        return False
    return bool(row["now"] / row["level"] <= wait**_LITTLE)


def beyond_load(row: Mapping[str, Any], load: float) -> float:
    """The share of a resource's rise, on a log scale, that its traffic does not account for."""
    follows = row["kind"] in {"cpu", "disk", "network"} or row["clue"] in _HELD
    if not follows or row["sign"] < 0 or load <= 1:
        return 1.0
    if row["level"] <= 0 or row["now"] <= row["level"]:
        return 1.0
    return float(np.clip(1 - np.log(load) / np.log(row["now"] / row["level"]), 0.1, 1))


def from_lags(found: Lags) -> list[Signal]:
    """Who adds time to requests, and in which manner."""
    if found.added <= 0:
        return []
    # Time that is small beside the usual length of a request is seldom what anybody noticed.
    weight = found.added / (found.added + 0.05 * found.usual + 1.0)
    weight *= 1.0 if found.measured else 0.45
    return [
        Signal(
            lag.service,
            "added_time",
            7.0 * weight * lag.share,
            _lag_modes(lag),
            f"{lag.service} adds {_ms(lag.total)} ms to a request ({_ms(lag.own)} itself, {_ms(lag.inbound)} on the way"
            f" in, {_ms(lag.outbound)} on the way out), {lag.share:.0%} of all that was added",
            lag.total,
            lag.share,
        )
        for lag in found.by_service
        if lag.share > 0.02
    ]


def _lag_modes(lag: Lag) -> Mapping[str, float]:
    if lag.inbound > 3 * (lag.own + lag.outbound) and lag.steady:
        return {"network_fault": 0.75, "slow_dependency": 0.15, "cpu_saturation": 0.1}
    return {
        "cpu_saturation": 0.6,
        "slow_dependency": 0.15,
        "network_fault": 0.1,
        "noisy_neighbour": 0.1,
    }


def _ms(time: float) -> str:
    """Milliseconds; whole ones where there are many, never as a power of ten."""
    return f"{time:,.0f}" if abs(time) >= 100 else f"{time:.3g}"


def out_of_time(
    signals: Sequence[Signal], departed: pl.DataFrame, kind: str, noticed: str | None
) -> list[Signal]:
    """The signals, failures at the alarm's entity less where somebody else takes far longer and it does not.

    Requests that run out of time fail at the door, and nowhere else; what they waited for is slow.

    Args:
        signals: of all detectors.
        departed: series that departed, as `departures` returns them.
        kind: of the symptom's metric.
        noticed: the entity that raised the alarm.
    """
    if kind not in {"error", "availability"} or departed.is_empty():
        return list(signals)
    slower = departed.filter((pl.col("kind") == "latency") & (pl.col("score") > _FAILS))
    waits = waits_of(slower)
    longest = max((wait for name, wait in waits.items() if name != noticed), default=1.0)
    if longest < _OUT_OF_TIME or longest < 2 * waits.get(noticed or "", 1.0):
        return list(signals)
    failing = {"symptom_flow", "metric.error", "metric.availability"}
    return [
        one._replace(weight=_NOTICED * one.weight)
        if one.entity == noticed and one.name in failing
        else one
        for one in signals
    ]
