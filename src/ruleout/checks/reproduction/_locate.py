"""Where flagged rows are: since when, and in which values of a segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Onset, Scope
from ruleout.profile import Case, iso, text_series
from ruleout.stats._changepoint import step

Floats = NDArray[np.float64]
_BLOCKS = 60
_GAIN = 8.0
"""Log likelihood ratio in nats that a later onset must bring against "from the start"."""

_LEAST = 15
"""Rows that a segment's value needs before anything is said of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where flagged rows are found."""

    scope: Scope
    onset: Onset | None
    inside: NDArray[np.bool_]
    """Looked-at rows (n,) that the scope covers."""

    rate: float
    """Mean of the flag inside."""

    outside: float
    """Mean of the flag outside the segment's values after the onset; NaN when there is none."""

    contrast: float
    """Standardised difference of the segment's values against the rest; 0 without a segment."""

    others: int
    """How many values of the segment are not hit."""


def locate(case: Case, rows: NDArray[np.int64], flag: Floats, *, segments: bool = True) -> Place:
    """Find the scope that holds the flagged rows.

    Args:
        case: the case; `rows` are positions in its current sample.
        rows: (n,) ascending.
        flag: (n,) in [0, 1], NaN unknown: how much each row is hit.
        segments: whether to look for values of segment columns.
    """
    value = np.nan_to_num(flag, nan=0.0)
    split = _best_segment(case, rows, flag) if segments else None
    inside = np.ones(len(rows), dtype=bool) if split is None else split.inside
    at = _onset(case, rows, value, inside)
    since = None if at is None else at[0]
    time = case.current.time
    late = np.ones(len(rows), dtype=bool)
    if since is not None and time is not None:
        late = np.nan_to_num(time[rows], nan=-np.inf) >= since
    scope = Scope(since=since)
    if split is not None:
        scope = Scope(since=since, column=split.column, values=split.values)
    covered = inside & late
    rest = ~inside & late
    return Place(
        scope,
        None if at is None else Onset(iso(at[0]), iso(at[1]), iso(at[2])),
        covered,
        float(value[covered].mean()) if covered.any() else 0.0,
        float(value[rest].mean()) if rest.any() else float("nan"),
        0.0 if split is None else split.z,
        0 if split is None else split.others,
    )


@dataclass(frozen=True, slots=True)
class _Split:
    column: str
    values: tuple[str, ...]
    inside: NDArray[np.bool_]
    z: float
    others: int


def _best_segment(case: Case, rows: NDArray[np.int64], flag: Floats) -> _Split | None:
    found = [_split(case, rows, flag, column) for column in case.segments]
    real = [split for split in found if split is not None]
    return max(real, key=lambda split: (split.z, split.column), default=None)


def _split(case: Case, rows: NDArray[np.int64], flag: Floats, column: str) -> _Split | None:
    """Cut the values of one column, ordered by rate, where the two sides differ most."""
    text = text_series(case.current.frame, column)[rows].to_numpy().astype(object)
    known = np.isfinite(flag) & np.array([value is not None for value in text])
    if not known.any():
        return None
    names, index = np.unique(text[known].astype(str), return_inverse=True)
    if not 2 <= len(names) <= 200:
        return None
    counts = np.bincount(index)
    rates = np.bincount(index, weights=flag[known]) / counts
    big = np.flatnonzero(counts >= _LEAST)
    order = big[np.argsort(-rates[big], kind="stable")]
    best: tuple[float, int] = (0.0, 0)
    for cut in range(1, len(order)):
        z = _two_rates(rates, counts, order[:cut], order[cut:])
        best = max(best, (z, cut), key=lambda pair: pair[0])
    z, cut = best
    hit, rest = order[:cut], order[cut:]
    if z < 6 or not _is_apart(rates, counts, hit, rest):
        return None
    chosen = tuple(sorted(str(names[place]) for place in hit))
    inside = np.isin(text.astype(str), chosen)
    return _Split(column, chosen, inside, z, len(rest))


def _two_rates(
    rates: Floats, counts: NDArray[np.int64], a: NDArray[np.int64], b: NDArray[np.int64]
) -> float:
    n = counts[a].sum(), counts[b].sum()
    means = (rates[a] * counts[a]).sum() / n[0], (rates[b] * counts[b]).sum() / n[1]
    both = (means[0] * n[0] + means[1] * n[1]) / (n[0] + n[1])
    noise = np.sqrt(max(both * (1 - both), 1e-6) * (1 / n[0] + 1 / n[1]))
    return float((means[0] - means[1]) / noise)


def _is_apart(
    rates: Floats, counts: NDArray[np.int64], hit: NDArray[np.int64], rest: NDArray[np.int64]
) -> bool:
    """Every hit value well above every other: a fleet cut in two, not a gradient."""
    inside = float((rates[hit] * counts[hit]).sum() / counts[hit].sum())
    outside = float((rates[rest] * counts[rest]).sum() / counts[rest].sum())
    return bool(
        inside > 4 * outside + 0.01
        and rates[hit].min() > 0.4 * inside
        and rates[rest].max() < 0.4 * inside
    )


def _onset(
    case: Case, rows: NDArray[np.int64], value: Floats, inside: NDArray[np.bool_]
) -> tuple[float, float, float] | None:
    """Instant from which the flag is up, with its interval; None when it is up from the start."""
    time = case.current.time
    if time is None or inside.sum() < 60:
        return None
    chosen = np.flatnonzero(inside & np.isfinite(time[rows]))
    if len(chosen) < 60:
        return None
    blocks = min(_BLOCKS, len(chosen) // 15)
    block = np.arange(len(chosen)) * blocks // len(chosen)
    counts = np.bincount(block, minlength=blocks).astype(float)
    means = np.bincount(block, weights=value[chosen], minlength=blocks) / counts
    variance = float(np.mean((value[chosen] - means[block]) ** 2)) + 1e-4
    change = step(means, counts, variance)
    before, after = _level(means, counts, 0, change.at), _level(means, counts, change.at, blocks)
    if change.gain < _GAIN or before > 0.25 * after:
        return None
    fine = _refine(value[chosen], block, change.at)
    starts = np.searchsorted(block, np.arange(blocks))
    instants = time[rows][chosen]
    low, high = instants[starts[change.low]], instants[starts[change.high]]
    at = float(instants[fine])
    return at, min(float(low), at), max(float(high), at)


def _level(means: Floats, counts: Floats, start: int, stop: int) -> float:
    return float((means[start:stop] * counts[start:stop]).sum() / counts[start:stop].sum())


def _refine(value: Floats, block: NDArray[np.int64], at: int) -> int:
    """The row within the neighbouring blocks at which the step splits the values best."""
    low, high = np.searchsorted(block, [max(at - 1, 0), at + 1])
    part = value[low:high]
    if len(part) < 4:
        return int(np.searchsorted(block, at))
    n = np.arange(1, len(part))
    left, total = np.cumsum(part)[:-1], part.sum()
    gain = left**2 / n + (total - left) ** 2 / (len(part) - n)
    return int(low + gain.argmax() + 1)
