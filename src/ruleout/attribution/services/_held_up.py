"""Requests that wait in front of a service because whom it calls holds up its workers.

A worker that waits for a slow callee serves nobody else. By Little's law a service needs as many workers as it has
requests a second times the seconds that each holds one; where its callees take longer, its workers run out, and
requests queue before any work on them has begun. That time is the caller's in the traces and the callee's by cause.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._graph import Edge
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import SLOW

_HOLDS = 1.3
"""By what factor an invocation must hold its worker longer on account of its callees."""

_WAITS = 0.3
"""Part of what a service adds by itself that must be waiting before its first call."""

_HANDED = 0.8
_TOLD = 3.5
"""Nats of added time, over all services, from which on traces tell where a symptom of lost time comes from."""

_LITTLE = 0.1
"""Part of all added time below which a service adds none to speak of."""

_FEW = 10


class HeldUp(NamedTuple):
    """One service before which requests wait while its callees are slow."""

    service: str
    waiting: float
    """Part of what it adds by itself that passes before its first call."""

    factor: float
    """By how much longer its callees hold it."""

    by: Mapping[str, float]
    """Shares of that by callee."""


def held_up(tree: Calls, period: np.ndarray) -> list[HeldUp]:
    """Services whose requests wait for workers that wait for others, callers before callees.

    Args:
        tree: the calls.
        period: 2 the incident, 0 and 1 references, -1 neither.
    """
    found = {}
    frames = _invocations(tree, period)
    calls = _holding(tree, period)
    for (service,), rows in frames.group_by("service", maintain_order=True):
        now, usual = rows.filter("now"), rows.filter(~pl.col("now"))
        if min(now.height, usual.height) < _FEW:
            continue
        wait = _mean(now, "head") - _mean(usual, "head")
        own = _mean(now, "own") - _mean(usual, "own")
        mine = calls.filter(pl.col("caller") == service)
        # Who gave up in the queue has held no worker.
        then = _by_callee(mine, now=False, number=int(usual["calls"].sum()))
        held = _by_callee(mine, now=True, number=int(now["calls"].sum()))
        before, after = sum(then.values()), sum(held.values())
        if wait <= 0 or own <= 0 or before <= 0 or after < _HOLDS * before:
            continue
        more = {name: held[name] - then.get(name, 0.0) for name in held}
        more = {name: size for name, size in more.items() if size > 0}
        part = min(wait / own, 1.0)
        if part >= _WAITS and more:
            total = sum(more.values())
            by = {tree.services[name]: size / total for name, size in more.items()}
            name = tree.services[int(str(service))]
            found[name] = HeldUp(name, part, after / before, by)
    return [found[name] for name in _downwards(found)]


def handed_down(signals: Sequence[Signal], found: Sequence[HeldUp]) -> list[Signal]:
    """The signals, the added time of who is held up handed on to whom it waits for."""
    weight = {one.entity: one.weight for one in signals if one.name == "added_time"}
    told: dict[str, str] = {}
    for one in found:
        moved = _HANDED * one.waiting * weight.get(one.service, 0.0)
        if moved <= 0:
            continue
        weight[one.service] -= moved
        for name, share in one.by.items():
            weight[name] = weight.get(name, 0.0) + share * moved
            text = f"requests wait before {one.service}, whose callees hold it {one.factor:.1f} times as long"
            told[name] = f"{text}, {name} most of all" if share == max(one.by.values()) else text
    out = [
        one._replace(weight=weight[one.entity]) if one.name == "added_time" else one
        for one in signals
    ]
    known = {one.entity for one in signals if one.name == "added_time"}
    new = sorted(set(weight) - known)
    return out + [Signal(n, "added_time", weight[n], SLOW, told[n], 0.0, 0.0) for n in new]


def borne_out(
    signals: Sequence[Signal], services: Collection[str], edges: Collection[Edge]
) -> list[Signal]:
    """The signals, what a service seems to lose by itself less where its spans say that its callees add that time.

    Args:
        signals: of all detectors, for a symptom of lost time.
        services: who records spans of its own.
        edges: (caller, callee) pairs.
    """
    added = {one.entity: one.weight for one in signals if one.name == "added_time"}
    total = sum(added.values())
    if total < _TOLD:
        return list(signals)
    kept: dict[str, float] = {}
    for name in services:
        share = sum(added.get(one, 0.0) for one in beneath_of(name, edges)) / total
        if added.get(name, 0.0) < _LITTLE * total:
            kept[name] = 1 - _HANDED * share
    return [
        one._replace(weight=one.weight * kept.get(one.entity, 1.0))
        if one.name == "symptom_flow"
        else one
        for one in signals
    ]


def beneath_of(name: str, edges: Collection[Edge]) -> set[str]:
    """Everybody whom a service calls, and whom those call."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        here = waiting.pop()
        new = {callee for caller, callee in edges if caller == here} - found - {name}
        found |= new
        waiting += sorted(new)
    return found


def _invocations(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """One row an invocation that calls somebody, or is of a kind that does: own time, and that before its first call."""
    n = len(tree.entry)
    entry = tree.entry == np.arange(n)
    start = tree.frame["start"].to_numpy() / 1e6
    calling = np.flatnonzero(~entry)
    first = np.full(n, np.inf)
    np.minimum.at(first, tree.entry[calling], start[calling])
    head = np.where(np.isfinite(first), first - start, tree.duration)
    own = np.bincount(tree.entry, weights=tree.own, minlength=n)
    return (
        pl.DataFrame(
            {
                "service": tree.service,
                "name": tree.frame["name"],
                "calls": np.isfinite(first),
                "head": np.clip(head, 0, tree.duration),
                "own": own,
                "now": period == 2,
                "known": period >= 0,
            }
        )
        .filter(pl.Series(entry) & pl.col("known"))
        .filter(pl.col("calls").filter(~pl.col("now")).mean().over("service", "name") > 0.5)
    )


def _holding(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """Every call that its callee recorded itself, with its length there."""
    entry = tree.entry == np.arange(len(tree.entry))
    recorded = ~tree.frame["span"].fill_null("").str.ends_with("/peer").to_numpy()
    rows = np.flatnonzero(entry & (tree.parent >= 0) & recorded & (period >= 0))
    return pl.DataFrame(
        {
            "caller": tree.service[tree.parent[rows]],
            "callee": tree.service[rows],
            "ms": tree.duration[rows],
            "now": period[rows] == 2,
        }
    ).filter(pl.col("caller") != pl.col("callee"))


def _by_callee(calls: pl.DataFrame, *, now: bool, number: int) -> dict[int, float]:
    """Milliseconds for which each callee holds an invocation."""
    mine = calls.filter(pl.col("now") == now).group_by("callee").agg(pl.col("ms").sum())
    return {code: ms / max(number, 1) for code, ms in mine.sort("callee").iter_rows()}


def _mean(rows: pl.DataFrame, column: str) -> float:
    return float(rows[column].mean())  # type: ignore[arg-type]


def _downwards(found: Mapping[str, HeldUp]) -> list[str]:
    """Callers before whom they wait for, as far as calls go one way."""
    left, order = dict(found), []
    while left:
        waited = {name for one in left.values() for name in one.by if name != one.service}
        ready = [name for name in left if name not in waited] or [min(left)]
        order += ready
        for name in ready:
            del left[name]
    return order
