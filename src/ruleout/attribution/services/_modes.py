"""Which failure mode an entity shows: what was measured and moved, what stood still, and what its logs say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._records import Signal

_MEASURED = {
    "cpu": "cpu_saturation",
    "memory": "memory_leak",
    "disk": "storage_fault",
    "accelerator": "accelerator_memory",
    "cache": "cache_storm",
}
"""Resources whose exhaustion would show in a metric of that kind."""

_STILL = 0.4
"""Evidence below this is as good as none."""

_CLEARED = 0.15
"""What is left of a mode whose metric was recorded and stood still."""

_TOLD = 8.0
"""Nats of a mode that all of an entity's error lines name."""

_FOLLOWING = {"metric.error", "metric.availability", "metric.latency", "symptom_flow"}
_REPEATED = 0.4
"""What is left of failures and of lost time as signs of a mode, where calls are made again and again."""

_SPOKEN = 5
"""Error lines of its own from which on an entity speaks for itself; else others' lines about it count."""

_LEAST = 0.1
"""Share of the error lines below which a word is chance."""

_SAYINGS: tuple[tuple[str, str], ...] = (
    (
        "network_fault",
        (
            r"no such host|nxdomain|servfail|name resolution|not resolve|\bdns\b|no route|unreachable|packet loss"
            r"|certificate|x509|tls handshake|ssl(v3|_error)|handshake fail|connection reset|broken pipe"
        ),
    ),
    ("rate_limited", r"\b429\b|too many requests|rate.?limit|quota|throttl"),
    (
        "pool_exhaustion",
        (
            r"\bpool\b|acquir\w+ (a )?connection|too many (open )?(connections|files)|connection limit"
            r"|thread.?pool|no (free|available) (connection|thread|worker)"
        ),
    ),
    ("memory_leak", r"out of memory|\boom\b|oom.?kill|heap space|cannot allocate|gc overhead"),
    (
        "storage_fault",
        r"no space left|disk (is )?full|i/o error|input/output error|read-only file|fsync|disk quota",
    ),
    ("queue_backlog", r"queue (is )?full|consumer lag|backlog|dead.?letter|poison"),
    (
        "schema_change",
        (
            r"no such (table|column)|unknown (column|field)|does not exist|missing (required )?field"
            r"|unmarshal|deserializ|parse error|invalid json|schema"
        ),
    ),
    ("slow_dependency", r"deadlock|lock wait|lock timeout"),
    ("retry_storm", r"retry (limit|budget)|retries exhausted|too many retries"),
    ("noisy_neighbour", r"evict|preempt|cpu throttl|co-?tenant"),
)


def mode_shares(
    signals: Sequence[Signal], entity: str, departed: pl.DataFrame, errors: pl.DataFrame
) -> dict[str, float]:
    """Failure modes of one entity with their shares, likeliest first; they sum to 1.

    Args:
        signals: of all entities.
        entity: whose modes are asked for.
        departed: all series, as `departures` returns them.
        errors: log lines of the incident that warn or fail.
    """
    mine = [one for one in signals if one.entity == entity]
    weight = _weights(mine)
    measured = set(departed.filter((pl.col("entity") == entity) & ~pl.col("host"))["kind"])
    moved = {one.name: one.weight for one in mine}
    for kind, mode in _MEASURED.items():
        if kind in measured and moved.get(f"metric.{kind}", 0.0) < _STILL and mode in weight:
            # It was measured and stood still: whatever took the time, this did not.
            weight["slow_dependency"] += (1 - _CLEARED) * weight[mode]
            weight[mode] *= _CLEARED
    for mode, share in told(errors, entity).items():
        weight[mode] += _TOLD * share
    total = sum(weight.values())
    if total <= 0:
        return {"slow_dependency": 1.0}
    ranked = sorted(weight.items(), key=lambda item: (-item[1], item[0]))
    return {mode: value / total for mode, value in ranked}


def _weights(mine: Sequence[Signal]) -> dict[str, float]:
    weight: dict[str, float] = defaultdict(float)
    # Code that behaves otherwise takes time and processor too; a slow machine reaches the same code.
    code = max((one.weight for one in mine if one.name == "behaviour"), default=0.0)
    # A resource that ran out slows everything down that is measured beside it.
    resource = max((one.weight for one in mine if _names_resource(one)), default=0.0)
    again = any(one.name == "asked_again" for one in mine)
    for one in mine:
        damped = 1.0
        if one.name != "behaviour":
            damped = float(np.exp(-(0.15 if _names_resource(one) else 0.6) * code))
        if one.name in {"added_time", "symptom_flow", "metric.latency", "behaviour"}:
            damped *= float(np.exp(-0.5 * resource))
        if again and one.name in _FOLLOWING:
            damped *= _REPEATED
        if one.name == "asked_again":
            damped = _TOLD
        for mode, share in one.modes.items():
            weight[mode] += one.weight * damped * share
    return weight


def _names_resource(one: Signal) -> bool:
    return one.name in {f"metric.{kind}" for kind in _MEASURED} | {
        "metric.saturation",
        "silence",
        "unreached",
    }


def told(errors: pl.DataFrame, entity: str) -> dict[str, float]:
    """Modes that error lines by or about an entity name, with the share of its telling lines."""
    if errors.is_empty():
        return {}
    name = pl.col("message").str.contains(rf"\b{re.escape(entity)}\b")
    lines = errors.filter(pl.col("entity") == entity)["message"].drop_nulls()
    if len(lines) < _SPOKEN:
        lines = errors.filter((pl.col("entity") == entity) | name)["message"].drop_nulls()
    if lines.is_empty():
        return {}
    text = lines.str.to_lowercase()
    found = {mode: float(text.str.contains(pattern).mean() or 0.0) for mode, pattern in _SAYINGS}  # type: ignore[arg-type]
    return {mode: share for mode, share in found.items() if share >= _LEAST}
