"""Requests as they arrive where the alarm was raised, over time: as they are, and each beside its own kind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ruleout.attribution.services._failures import failed_spans
from ruleout.attribution.services._scene import Observed
from ruleout.stats._twosample import categories, more_often

_LEAST = 40
"""Requests that either side must hold."""

_MOMENTS = 12
"""Moments into which the incident is cut, where each then holds `_EACH` requests; the past into as long ones."""

_EACH = 5
Pair = tuple[np.ndarray, np.ndarray]
"""One quantity by moment, before and during the incident; more is worse."""


class Requests(NamedTuple):
    """What became of requests, moment by moment."""

    number: int
    """Requests of the incident."""

    plain: tuple[Pair, ...]
    """Mean length, and the share that failed."""

    alike: tuple[Pair, ...]
    """The same beside the past of each request's own kind: its length in units of its scatter, on a log scale, and failures."""

    by_mix: float
    """Part of the change of the mean length that more or less of each kind alone would have made."""

    same_mix: float
    """Probability that kinds are asked in the same shares as before."""

    more: str
    """The kind whose share has grown most."""

    same_failures: float
    """Probability that as many of them fail as before: where none did, a single one proves nothing."""


def requests_of(seen: Observed) -> Requests | None:
    """Requests at the alarm's entity, or where they enter; None where traces hold too few."""
    tree = seen.tree
    if tree is None:
        return None
    entry = tree.entry == np.arange(len(tree.entry))
    entity = seen.incident.symptom.entity
    if entity is not None:
        if entity not in tree.services:
            return None
        mine = entry & (tree.service == tree.services.index(entity))
    else:
        mine = tree.parent < 0
    rows = np.flatnonzero(mine & (seen.period >= 0))
    now = seen.period[rows] == 2
    if min(now.sum(), (~now).sum()) < _LEAST:
        return None
    name = tree.frame["name"].fill_null("").to_numpy()[rows].astype(str)
    label = np.char.add(np.char.add(tree.service[rows].astype(str), " "), name)
    kinds, kind = np.unique(label, return_inverse=True)
    failed = failed_spans(tree)[rows].astype(float)
    length, past = tree.duration[rows], ~now
    short = np.log(np.maximum(length, 1e-6))
    place = _places(tree.time[rows], now)
    plain = (_pair(length, place, now), _pair(failed, place, now))
    more = length - _by_kind(length, kind, len(kinds), past)
    scatter = np.sqrt(_by_kind(more**2, kind, len(kinds), past))
    beside = (
        more / np.maximum(scatter, 1e-6),
        short - _by_kind(short, kind, len(kinds), past),
        failed - _by_kind(failed, kind, len(kinds), past),
    )
    # A kind that was never asked before has no past: it is told by its share, not by its length.
    known = np.isfinite(beside[0])
    alike = tuple(_pair(one[known], place[known], now[known]) for one in beside)
    same, most = _mix(kind, now, len(kinds))
    grown = float(length[now].mean() - length[past].mean())
    meant = _by_kind(length, kind, len(kinds), past)[now]
    mixed = float(np.nanmean(meant) - length[past].mean()) / grown if grown else 0.0
    was, came = ((int(failed[side].sum()), int(side.sum())) for side in (past, now))
    return Requests(
        int(now.sum()),
        plain,
        alike,
        mixed,
        same,
        str(name[np.argmax(kind == most)]),
        more_often(was, came),
    )


def _by_kind(values: np.ndarray, kind: np.ndarray, n: int, past: np.ndarray) -> np.ndarray:
    """Mean of the past's values by kind, for each request; NaN where its kind has next to no past."""
    count = np.bincount(kind[past], minlength=n)
    total = np.bincount(kind[past], weights=values[past], minlength=n)
    return np.asarray(np.where(count >= _EACH, total / np.maximum(count, 1), np.nan)[kind])


def _places(time: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The moment of each request, counted from the incident's beginning."""
    moments = int(min(_MOMENTS, max(now.sum() // _EACH, 4)))
    begin = float(time[now].min())
    width = max((float(time[now].max()) - begin) / moments, 1e-6)
    return np.asarray(np.floor((time - begin) / width).astype(np.int64))


def _pair(values: np.ndarray, place: np.ndarray, now: np.ndarray) -> Pair:
    """Means by moment, in order of time; moments with next to no requests are left out."""
    out = []
    for side in (~now, now):
        codes, index = np.unique(place[side], return_inverse=True)
        count = np.bincount(index, minlength=len(codes))
        total = np.bincount(index, weights=values[side], minlength=len(codes))
        full = count >= 0.5 * np.median(count) if len(count) else count > 0
        out.append((total / np.maximum(count, 1))[full])
    return out[0], out[1]


def _mix(kind: np.ndarray, now: np.ndarray, n: int) -> tuple[float, int]:
    """Probability of shares as unlike as these by chance (chi-square), and the kind with the greatest gain."""
    before, after = (np.bincount(kind[side], minlength=n) for side in (~now, now))
    gain = after / after.sum() - before / before.sum()
    return categories(before, after).p_value, int(np.argmax(gain))
