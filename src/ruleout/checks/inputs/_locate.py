"""Which current rows suffer: all of them, those after an instant, or those of a segment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Onset, Scope
from ruleout.profile import Case, iso, text_series

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_VALUES = 60
_CUTS = 64
_LEAST_ROWS = 8
_MARGIN = 12.0
_PARTED = 0.5


class Located(NamedTuple):
    """A scope and how well it parts the damaged rows from the sound ones."""

    scope: Scope
    rows: Mask
    """(n,) over the sampled rows that were given."""

    inside: float
    """Share of damaged rows inside the scope."""

    outside: float
    """Share of damaged rows outside; 0 when the scope is everything."""

    onset: Onset | None

    @property
    def words(self) -> str:
        """`in all rows`, `since 2026-11-18T12:00:00Z`, `where app = 7.2`."""
        if self.scope.column is not None:
            values = ", ".join(self.scope.values[:3])
            return f"where {self.scope.column} = {values}"
        parts = []
        if self.scope.since is not None:
            parts.append(f"since {iso(self.scope.since)}")
        if self.scope.until is not None:
            parts.append(f"until {iso(self.scope.until)}")
        return " and ".join(parts) or "in all rows"


def locate(case: Case, rows: NDArray[np.int64], member: Floats) -> Located:
    """The scope that explains best which rows are damaged.

    Args:
        case: gives time and segments of the current window.
        rows: (n,) which current rows were looked at, ascending.
        member: (n,) unbiased estimates of each row's membership: mean about 1 among damaged rows
            and about 0 among sound ones; noise is welcome, NaN counts as not looked at.

    The candidates (everything, a span of time, the values of one segment column) compete by the
    squared error that a step saves in units of the noise, a chi-square variable where there is no
    step, less its usual maximum over the number of places that were tried. A scope must also part:
    outside it, damage is at most half as common as inside.
    """
    known = np.isfinite(member)
    values = np.where(known, member, 0.0)
    mean = float(values[known].mean()) if known.any() else 0.0
    everything = Located(Scope(), np.ones(len(rows), bool), mean, 0.0, _start(case))
    if known.sum() < 2 * _LEAST_ROWS:
        return everything
    noise = _noise(values[known])
    best, best_score = everything, 0.0
    for found, choices in (
        *_spans(case, rows, values, known),
        *_segments(case, rows, values, known),
    ):
        score = _gain(values, known, found.rows) / noise - 2.0 * np.log(choices) - _MARGIN
        if score > best_score and found.outside <= _PARTED * found.inside:
            best, best_score = found, float(score)
    return best


def _noise(values: Floats) -> float:
    """Variance of the estimates around a step, from neighbours in time."""
    return max(float(np.mean(np.diff(values) ** 2) / 2.0), 1e-4)


def _gain(values: Floats, known: Mask, rows: Mask) -> float:
    """Squared error that parting `rows` from the rest saves."""
    a, b = values[rows & known], values[~rows & known]
    if len(a) < _LEAST_ROWS or len(b) < _LEAST_ROWS:
        return 0.0
    return float(len(a) * len(b) / (len(a) + len(b)) * (a.mean() - b.mean()) ** 2)


def _mean(values: Floats, mask: Mask) -> float:
    return float(values[mask].mean()) if mask.any() else 0.0


def _spans(
    case: Case, rows: NDArray[np.int64], values: Floats, known: Mask
) -> Iterator[tuple[Located, float]]:
    """Steps up, steps down and pulses in time."""
    if case.current.time is None:
        return
    time = case.current.time[rows]
    if not np.isfinite(time).all() or time[0] == time[-1]:
        return
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    cuts = np.unique(np.linspace(0, n, _CUTS + 1).astype(int))
    first, last = (a.ravel() for a in np.meshgrid(cuts, cuts, indexing="ij"))
    inner = counts[last] - counts[first]
    outer = counts[-1] - inner
    fine = (last > first) & (inner >= _LEAST_ROWS) & (outer >= _LEAST_ROWS)
    first, last, inner, outer = (a[fine] for a in (first, last, inner, outer))
    total = sums[last] - sums[first]
    gap = total / inner - (sums[-1] - total) / outer
    gain = np.where(gap > 0, inner * outer / (inner + outer) * gap**2, 0.0)
    for pick in (last == n, first == 0, first >= 0):
        if pick.any() and gain[pick].max() > 0:
            at = np.flatnonzero(pick)[np.argmax(gain[pick])]
            start = _sharpen(values, known, int(first[at]), n)
            yield _span(case, time, values, known, (start, int(last[at]))), float(pick.sum())


def _sharpen(values: Floats, known: Mask, start: int, n: int) -> int:
    """Move a start by less than a cut to where the step is steepest."""
    if start == 0:
        return 0
    reach = n // _CUTS + 1
    low, high = max(1, start - reach), min(n - 1, start + reach)
    window = slice(max(0, low - reach), min(n, high + reach))
    around = np.arange(low, high + 1)
    gains = []
    for cut in around:
        mask = np.zeros(n, bool)
        mask[cut : window.stop] = True
        near = known.copy()
        near[: window.start] = False
        near[window.stop :] = False
        gains.append(_gain(values, near, mask))
    return int(around[int(np.argmax(gains))]) if max(gains) > 0 else start


def _span(
    case: Case, time: Floats, values: Floats, known: Mask, between: tuple[int, int]
) -> Located:
    (first, last), n = between, len(values)
    mask = np.zeros(n, bool)
    mask[first:last] = True
    since = float(time[first]) if first > 0 else None
    until = float(time[last]) if last < n else None
    onset = _start(case)
    if since is not None:
        slack = max(1, n // (4 * _CUTS))
        low, high = time[max(0, first - slack)], time[min(n - 1, first + slack)]
        onset = Onset(iso(since), iso(float(low)), iso(float(high)))
    inside, outside = _mean(values, mask & known), _mean(values, ~mask & known)
    return Located(Scope(since=since, until=until), mask, inside, outside, onset)


def _segments(
    case: Case, rows: NDArray[np.int64], values: Floats, known: Mask
) -> Iterator[tuple[Located, float]]:
    """Values of one segment column (or categorical input) in which damage concentrates."""
    for name in dict.fromkeys([*case.segments, *case.categorical]):
        if not case.current.has(name):
            continue
        text = text_series(case.current.frame, name).gather(rows).fill_null("").to_numpy()
        kinds, codes = np.unique(text.astype(str), return_inverse=True)
        if not 2 <= len(kinds) <= _MOST_VALUES:
            continue
        counts = np.bincount(codes[known], minlength=len(kinds))
        sums = np.bincount(codes[known], weights=values[known], minlength=len(kinds))
        means = sums / np.maximum(counts, 1)
        found = _worst_values(means, counts)
        if found is None:
            continue
        mask = np.isin(codes, found)
        inside, outside = _mean(values, mask & known), _mean(values, ~mask & known)
        scope = Scope(column=name, values=tuple(str(kinds[k]) for k in found))
        # Every subset of ordered values was a candidate in every column.
        yield Located(scope, mask, inside, outside, _start(case)), float(8 * len(means))


def _worst_values(means: Floats, counts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The values above the widest gap between ordered means."""
    usable = np.flatnonzero(counts >= _LEAST_ROWS)
    if len(usable) < 2:
        return None
    order = usable[np.argsort(-means[usable], kind="stable")]
    drop = means[order][:-1] - means[order][1:]
    cut = int(np.argmax(drop)) + 1
    return np.sort(order[:cut]) if cut < len(means) else None


def _start(case: Case) -> Onset | None:
    """The beginning of the current window, for damage that was there all along."""
    time = case.current.time
    if time is None or not np.isfinite(time).any():
        return None
    first = iso(float(np.nanmin(time)))
    return Onset(first, first, first)
