"""What would be left of the failures had one service not failed.

A request fails from where its deepest failures are: failed spans of which no call failed, and calls
that never arrived. With one service's failures masked, a failed request comes out well when nothing
else failed in it; the share of the added failures that this takes away is `explained`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ruleout._records import Explained
from ruleout.attribution.services._calls import Calls, roots_of
from ruleout.attribution.services._failures import failed_spans, outgoing, passing_on

_RESAMPLES = 200
_LEAST = 30
"""Requests that either period must hold."""

_RISE = 0.03
"""Rise of the share of failed requests from which on there is something to explain."""


def mask(
    tree: Calls, period: np.ndarray, services: Sequence[str], rng: np.random.Generator
) -> dict[str, Explained]:
    """Share of the added failures of requests that goes away when one service's are masked.

    Args:
        tree: the calls.
        period: 2 the incident, 0 and 1 references, -1 neither.
        services: whose failures are masked, one service at a time.
        rng: for the interval, a bootstrap over requests.
    """
    failed = failed_spans(tree)
    roots = np.flatnonzero(tree.parent < 0)
    now = roots[period[roots] == 2]
    usual = roots[(period[roots] == 0) | (period[roots] == 1)]
    if len(now) < _LEAST or len(usual) < _LEAST:
        return {}
    base = float(failed[usual].mean())
    if failed[now].mean() - base < _RISE:
        return {}
    root = roots_of(tree.parent)
    place = np.full(len(tree.parent), -1)
    place[now] = np.arange(len(now))
    owner = _origins(tree)
    counted = (owner >= 0) & (place[root] >= 0)
    every = np.bincount(place[root[counted]], minlength=len(now))
    result = {}
    for name in services:
        if name not in tree.services:
            continue
        mine = counted & (owner == tree.services.index(name))
        own = np.bincount(place[root[mine]], minlength=len(now))
        saved = (failed[now] & (own > 0) & (own == every)).astype(float)
        result[name] = _explained(saved, failed[now].astype(float), base, rng)
    return result


def _origins(tree: Calls) -> np.ndarray:
    """Code of the service at which a failure begins, by span; -1 where none does.

    A call that failed without an answer is charged to the service that did not answer.
    """
    failed = failed_spans(tree)
    calls = outgoing(tree)
    owner = np.where(failed, tree.service, -1)
    owner[np.isin(tree.entry, passing_on(tree, calls))] = -1
    answered = calls.row[~calls.lost]
    owner[answered] = -1
    unheard = calls.lost & failed[calls.row]
    owner[calls.row[unheard]] = calls.callee[unheard]
    return owner


def _explained(
    saved: np.ndarray, failed: np.ndarray, base: float, rng: np.random.Generator
) -> Explained:
    draws = rng.integers(0, len(saved), size=(_RESAMPLES, len(saved)))
    extra = np.maximum(failed[draws].mean(1) - base, 1e-9)
    shares = np.sort(np.clip(saved[draws].mean(1) / extra, 0, 1))
    fraction = float(np.clip(saved.mean() / max(failed.mean() - base, 1e-9), 0, 1))
    low, high = shares[int(0.025 * _RESAMPLES)], shares[int(0.975 * _RESAMPLES) - 1]
    return Explained(
        round(fraction, 4), round(float(low), 4), round(float(high), 4), "error_masking"
    )
