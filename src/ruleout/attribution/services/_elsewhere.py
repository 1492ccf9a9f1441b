"""Causes that are no change of ours: load, the machine, bad data, names, certificates, providers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._kinds import OFFERED, WITHHELD, Kind, words
from ruleout.attribution.services._load import unfelt
from ruleout.attribution.services._sayings import DEVICE, NAMES

_PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        "network_fault",
        rf"{NAMES}|no route|unreachable|packet loss",
        "names or networks fail",
    ),
    (
        "network_fault",
        r"certificate|x509|tls handshake|ssl(v3|_error)|handshake failure",
        "certificates or handshakes fail",
    ),
    (
        "rate_limited",
        r"\b429\b|too many requests|rate.?limit|quota",
        "a quota or a rate limit is hit",
    ),
    (
        "slow_dependency",
        r"third.?party|\bprovider\b|external (api|service)|vendor|\b[a-z0-9-]+\.(com|io|net|org)\b",
        "an outside provider fails",
    ),
    (
        "noisy_neighbour",
        r"co-?tenant|neighbou?r|evict|preempt|(memory|disk)pressure|throttling container|runqueue|oom.?kill",
        "the machine is contended",
    ),
    (
        "traffic_surge",
        r"shedding load|overload|elevated request volume|worker pool saturated|load shed",
        "more is asked than can be served",
    ),
)

_AS_EVER = 1.25
"""Callers that are asked at most this many times as much as usual bring no surge."""

_REFUSED = 0.8
"""Departure from which on a metric of refusals by a quota counts."""

_NOT_MEANT = {
    "noisy_neighbour": re.compile(r"\b(kv|cache|lru|sequences?|blocks?|tokens?|keys?)\b"),
}
"""Words beside which a mode's own mean something else: entries of a cache are evicted, sequences preempted."""

_RECORD = re.compile(r"\b(?=(?:[A-Za-z_-]*\d){5})[A-Za-z0-9_-]{6,}\b")
"""An identifier of one record: at least five digits in it."""


class Elsewhere(NamedTuple):
    """A cause that is no change, with its weight of evidence in nats."""

    mode: str
    entity: str
    weight: float
    statement: str


def elsewhere(
    departed: pl.DataFrame,
    errors: pl.DataFrame,
    symptom: str | None,
    hosts: frozenset[str],
    names: frozenset[str] = frozenset(),
    kind: Kind = "other",
    edges: Collection[Edge] = (),
) -> list[Elsewhere]:
    """What speaks for a cause that nobody rolled out.

    Args:
        departed: series that departed, as `departures` returns them.
        errors: log lines of the incident that warn or fail.
        symptom: the entity that raised the alarm.
        hosts: entities that are machines, as far as they were declared.
        names: of machines, copies and services, which are no records.
        kind: of the symptom's metric.
        edges: (caller, callee) pairs.
    """
    found = [
        # Load that nobody felt makes nothing fail.
        *([] if unfelt(departed, kind) else _load(departed, symptom, edges)),
        *_machine(departed, symptom, hosts),
        *_poison(errors, symptom, names | hosts),
        *_said(errors, symptom, _refusing(departed)),
    ]
    return sorted(found, key=lambda one: (-one.weight, one.mode))


def _load(departed: pl.DataFrame, symptom: str | None, edges: Collection[Edge]) -> list[Elsewhere]:
    offered = [
        row
        for row in departed.iter_rows(named=True)
        if row["kind"] == "traffic" and row["level"] > 0 and set(words(row["metric"])) & OFFERED
    ]
    rows = [row for row in offered if row["sign"] > 0 and row["score"] > 0.5]
    told = [row for row in offered if row["entity"] == symptom]
    if told and not any(row in rows for row in told):
        # The alarm's own entity is asked no more than usual: what grew, grew behind it.
        return []
    ratios = {row["entity"]: float(row["now"] / row["level"]) for row in rows}
    at_symptom = ratios.get(symptom or "", 0.0)
    wide = sum(ratio > 1.5 for ratio in ratios.values()) >= 3
    ratio = (
        at_symptom if at_symptom > 1.5 else float(np.median(list(ratios.values()))) if wide else 0
    )
    if ratio <= 1.5:
        return []
    entity = symptom if symptom in ratios else max(ratios, key=lambda name: (ratios[name], name))
    if _as_ever(str(entity), {row["entity"]: 1.0 for row in offered} | ratios, edges):
        # Who calls it is asked as ever, and asks again.
        return []
    weight = min(1.6 * float(np.log2(ratio)), 4.0)
    return [
        Elsewhere(
            "traffic_surge", str(entity), weight, f"{entity} is asked {ratio:.1f} times as much"
        )
    ]


def _as_ever(name: str, grown: Mapping[str, float], edges: Collection[Edge]) -> bool:
    """Whether those of an entity's callers who count what they are asked are asked no more than usual."""
    calling = {a for a, b in edges if b == name and a != name} & set(grown)
    return bool(calling) and max(grown[caller] for caller in calling) < _AS_EVER


def _machine(departed: pl.DataFrame, symptom: str | None, hosts: frozenset[str]) -> list[Elsewhere]:
    # Where the entity's own demand for the processor has grown, it is no neighbour's doing.
    own = {
        row["entity"]
        for row in departed.iter_rows(named=True)
        if row["kind"] == "cpu"
        and not (row["host"] or set(words(row["metric"])) & WITHHELD)
        and row["now"] > 1.5 * max(row["level"], 1e-9)
    }
    if symptom in own:
        return []
    rows = [
        row
        for row in departed.iter_rows(named=True)
        if (row["host"] or row["entity"] in hosts)
        and row["entity"] not in own
        and row["kind"] in {"cpu", "memory", "disk"}
        and row["sign"] > 0
        and row["score"] > 0.8
        and _strained(row["metric"], row["level"], row["now"])
    ]
    if not rows:
        return []
    worst = max(rows, key=lambda row: (row["score"], row["metric"]))
    return [
        Elsewhere(
            "noisy_neighbour",
            symptom or worst["entity"],
            3.0,
            f"the machine {worst['entity']} shows {worst['metric']} at {worst['now']:.3g} after {worst['level']:.3g}",
        )
    ]


def _strained(metric: str, level: float, now: float) -> bool:
    """Whether a machine is near its limit: over 70% where the metric is a share, else far beyond its usual."""
    share = {"ratio", "rate", "utilization", "utilisation", "util", "pct", "percent", "usage"}
    if set(words(metric)) & share or "%" in metric:
        return now > (0.7 if max(now, level) <= 1.05 else 70.0)
    return now > 3 * max(level, 1e-9)


def _poison(errors: pl.DataFrame, symptom: str | None, names: frozenset[str]) -> list[Elsewhere]:
    """The same record failing again and again."""
    if errors.height < 5:
        return []
    seen: Counter[str] = Counter()
    lines = [text for text in errors["message"].to_list() if text]
    for text in lines:
        seen.update(set(_RECORD.findall(text)) - names)
    if not seen:
        return []
    name, count = min(seen.items(), key=lambda item: (-item[1], item[0]))
    if count < 5 or count < 0.5 * len(lines):
        return []
    return [
        Elsewhere(
            "queue_backlog",
            symptom or "",
            3.5,
            f"{count} of {len(lines)} error lines name the same record, {name}",
        )
    ]


def _refusing(departed: pl.DataFrame) -> str | None:
    """Who counts by its own metric that a quota refuses it; what others' lines say of one is about that entity."""
    rows = departed.filter(
        (pl.col("clue") == "quota") & (pl.col("sign") > 0) & (pl.col("score") > _REFUSED)
    ).sort("score", "entity")
    return str(rows["entity"][-1]) if rows.height else None


def _said(
    errors: pl.DataFrame, symptom: str | None, refusing: str | None = None
) -> list[Elsewhere]:
    lines: Sequence[str] = [text.lower() for text in errors["message"].to_list() if text]
    if not lines:
        return []
    found = []
    for mode, pattern, meaning in _PATTERNS:
        # What an accelerator preempts or runs out of is its own work and memory.
        odd = [
            p for p in (_NOT_MEANT.get(mode), DEVICE if mode == "noisy_neighbour" else None) if p
        ]
        meant = [text for text in lines if not any(re.search(p, text) for p in odd)]
        share = sum(bool(re.search(pattern, text)) for text in meant) / len(lines)
        if share >= 0.2:
            found.append(
                Elsewhere(
                    mode,
                    (refusing if mode == "rate_limited" else None) or symptom or "",
                    2.5 * share,
                    f"{meaning}, say {share:.0%} of the error lines",
                )
            )
    return found
