"""What would be left of the symptom had one service taken its usual time.

Each request's time is the sum of what every span on it adds by itself. For one service those parts
are put back to their reference means, and the requests are added up again; the share of the added
time that goes away is `explained`. Work done in parallel makes it an upper bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout._records import Explained
from ruleout.attribution.services._calls import Calls, roots_of

_RESAMPLES = 200
_LEAST = 30
"""Requests that either period must hold."""


def replay(
    tree: Calls, period: np.ndarray, services: Sequence[str], rng: np.random.Generator
) -> dict[str, Explained]:
    """Share of the added time of requests that goes away when one service is put back.

    Args:
        tree: the calls.
        period: 2 the incident, 0 and 1 references, -1 neither.
        services: whose time is put back, one at a time.
        rng: for the interval, a bootstrap over requests.
    """
    roots = np.flatnonzero(tree.parent < 0)
    now = roots[period[roots] == 2]
    usual = roots[(period[roots] == 1) | (period[roots] == 0)]
    if len(now) < _LEAST or len(usual) < _LEAST:
        return {}
    operation = tree.frame["name"].to_numpy()
    extra = tree.duration[now] - _usual_length(operation, tree.duration, now, usual)
    if extra.mean() < 0.1 * tree.duration[usual].mean():
        return {}
    root_of = roots_of(tree.parent)
    place = np.full(len(tree.parent), -1)
    place[now] = np.arange(len(now))
    more = beyond_usual(tree, period)
    result = {}
    for name in services:
        if name not in tree.services:
            continue
        owner = _owner(tree)
        mine = (owner == tree.services.index(name)) & (place[root_of] >= 0)
        saved = np.bincount(place[root_of[mine]], weights=more[mine], minlength=len(now))
        result[name] = _explained(saved, extra, rng)
    return result


def _explained(saved: np.ndarray, extra: np.ndarray, rng: np.random.Generator) -> Explained:
    draws = rng.integers(0, len(saved), size=(_RESAMPLES, len(saved)))
    lost = np.maximum(extra[draws].mean(1), 1e-9)
    shares = np.sort(np.clip(saved[draws].mean(1) / lost, 0, 1))
    fraction = float(np.clip(saved.mean() / max(extra.mean(), 1e-9), 0, 1))
    low, high = shares[int(0.025 * _RESAMPLES)], shares[int(0.975 * _RESAMPLES) - 1]
    return Explained(
        round(fraction, 4), round(float(low), 4), round(float(high), 4), "trace_replay"
    )


def _usual_length(
    operation: np.ndarray, duration: np.ndarray, now: np.ndarray, usual: np.ndarray
) -> np.ndarray:
    """Mean reference length of each incident request, by its operation."""
    names, code = np.unique(operation[np.concatenate([now, usual])], return_inverse=True)
    before = code[len(now) :]
    count = np.bincount(before, minlength=len(names))
    total = np.bincount(before, weights=duration[usual], minlength=len(names))
    overall = float(duration[usual].mean())
    mean = np.where(count > 0, total / np.maximum(count, 1), overall)
    return np.asarray(mean[code[: len(now)]])


def _owner(tree: Calls) -> np.ndarray:
    """The service that each span's own time is charged to: the callee for a client's side of a call."""
    n = len(tree.parent)
    entry = tree.entry == np.arange(n)
    crossing = np.flatnonzero(entry & (tree.parent >= 0))
    owner = tree.service.copy()
    sides = tree.parent[crossing]
    client = ~entry[sides] & (tree.children[sides] == 1)
    owner[sides[client]] = tree.service[crossing[client]]
    return owner


def beyond_usual(tree: Calls, period: np.ndarray) -> np.ndarray:
    """Own milliseconds of each incident span less the reference mean of its operation."""
    table = pl.DataFrame(
        {
            "row": np.arange(len(period)),
            "service": tree.service,
            "name": tree.frame["name"],
            "own": tree.own,
            "period": period,
        }
    )
    usual = (
        table.filter(pl.col("period").is_in([0, 1]))
        .group_by("service", "name")
        .agg(pl.col("own").mean().alias("usual"))
    )
    joined = table.join(usual, on=["service", "name"], how="left", maintain_order="left")
    more = (joined["own"] - joined["usual"].fill_null(0.0)).to_numpy()
    return np.where(period == 2, more, 0.0)
