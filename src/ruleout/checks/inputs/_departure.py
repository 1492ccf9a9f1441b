"""How far each input has departed from its reference, in which rows and since when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Onset, Scope
from ruleout.checks.symptom import onset_of
from ruleout.profile import Case, iso, scope_mask
from ruleout.stats._bootstrap import contiguous_blocks
from ruleout.stats._cells import cells, quantiles
from ruleout.stats._changepoint import pulse

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_BINS = 40
_TOP_CATEGORIES = 60
_BLOCKS = 48
_LEAST_SEGMENT = 40
_MOST_VALUES = 40
_LIKE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Departure:
    """One input's departure; rows are those of the current sample."""

    name: str
    distance: float
    """Largest gap of the two distribution functions (numbers) or total variation (categories)."""

    usual: float
    """The same distance between stretches of the reference: a usual day against the others."""

    signal: Floats
    """Per current row, the log ratio of how often its value is seen now and was seen before."""

    level: float
    """Mean of that signal over the reference."""

    scope: Scope
    rows: NDArray[np.bool_]
    """Current rows in the scope."""

    onset: Onset | None

    @property
    def departed(self) -> bool:
        """Whether the input moved by clearly more than usual."""
        return self.distance > 2.0 * self.usual + 0.015

    @property
    def strength(self) -> float:
        """In [0, 1]: how far beyond the usual."""
        return float(np.clip(self.distance / max(4 * self.usual, 0.05), 0.0, 1.0))


def departures(case: Case) -> Mapping[str, Departure]:
    """The departure of every numeric, date and categorical input (cached in the case)."""
    if "departures" not in case.cache:
        names = case.of_kind("numeric", "categorical", "datetime")
        both = [n for n in names if case.reference.has(n) and case.current.has(n)]
        measured = {n: _measure(case, n) for n in both}
        calm = {n for n, m in measured.items() if not m.departed}
        case.cache["departures"] = {n: _departure(case, n, m, calm) for n, m in measured.items()}
    found: Mapping[str, Departure] = case.cache["departures"]
    return found


def values(case: Case, which: str, name: str) -> Floats:
    """A numeric input (n,); a date counts as its age in seconds at the row's own time, where known."""
    table = case.table(which)  # type: ignore[arg-type]
    numbers = table.numeric(name)
    if case.kind(name) == "datetime" and case.reference.time is not None and table.time is not None:
        return np.asarray(table.time - numbers)
    return numbers


def like_rows(case: Case, found: Departure) -> NDArray[np.bool_]:
    """Reference rows (n,) of the segment in which an input departed; all where there are too few."""
    everything = np.ones(case.reference.rows, dtype=bool)
    if found.scope.column is None:
        return everything
    inside = scope_mask(case.reference, Scope(column=found.scope.column, values=found.scope.values))
    return inside if inside.sum() >= _LIKE_ROWS else everything


@dataclass(frozen=True, slots=True)
class _Measured:
    """Distances of one input, and its log ratios by row, before anything is located."""

    distance: float
    usual: float
    before: Floats
    after: Floats
    level: float

    @property
    def departed(self) -> bool:
        return self.distance > 2.0 * self.usual + 0.015


def _measure(case: Case, name: str) -> _Measured:
    before, after = _binned(case, name)
    width = int(max(before.max(initial=0), after.max(initial=0))) + 1
    ordered = case.kind(name) != "categorical"
    counts = np.bincount(before, minlength=width), np.bincount(after, minlength=width)
    shares = [(c + 0.5) / (c.sum() + 0.5 * width) for c in counts]
    ratio = np.log(shares[1] / shares[0])
    distance = _distance(counts[0], counts[1], ordered=ordered)
    usual = _usual(before, width, len(after), ordered=ordered)
    return _Measured(distance, usual, ratio[before], ratio[after], float(shares[0] @ ratio))


def _departure(case: Case, name: str, seen: _Measured, calm: set[str]) -> Departure:
    """The departure of one input; only columns that did not move themselves can say where it is."""
    scope, rows, onset = Scope(), np.ones(len(seen.after), dtype=bool), None
    if seen.departed:
        scope, rows = locate(case, seen.after, seen.level, seen.before, calm=calm - {name})
        onset = onset_of(case, seen.before, seen.after)
    return Departure(name, seen.distance, seen.usual, seen.after, seen.level, scope, rows, onset)


def _binned(case: Case, name: str) -> tuple[Codes, Codes]:
    """Both windows' values as bin numbers; missing is bin 0, rare categories share one bin."""
    if case.kind(name) == "categorical":
        codes = [case.codes(w, name).astype(np.int64) + 1 for w in ("reference", "current")]
        width = len(case.vocabulary(name)) + 1
        if width > _TOP_CATEGORIES:
            total = np.bincount(np.concatenate(codes), minlength=width)
            keep = np.argsort(-total[1:], kind="stable")[: _TOP_CATEGORIES - 2] + 1
            lookup = np.full(width, _TOP_CATEGORIES - 1)
            lookup[0], lookup[keep] = 0, np.arange(1, len(keep) + 1)
            # A value never seen before must stay apart from the merely rare.
            lookup[
                (np.bincount(codes[0], minlength=width) == 0) & (lookup == _TOP_CATEGORIES - 1)
            ] = _TOP_CATEGORIES
            codes = [lookup[c] for c in codes]
        return codes[0], codes[1]
    a, b = values(case, "reference", name), values(case, "current", name)
    known = a[np.isfinite(a)]
    edges = _edges(known) if len(known) else np.empty(0)
    return _bin(a, edges), _bin(b, edges)


def _edges(known: Floats) -> Floats:
    """Quantile edges, with a bin of its own for every value that many rows share."""
    points, counts = np.unique(known, return_counts=True)
    heavy = points[counts > 0.01 * len(known)]
    if len(heavy) > _BINS:
        heavy = points[np.argsort(-counts, kind="stable")[:_BINS]]
    ends = np.nextafter(np.r_[heavy, known.max()], np.inf)
    return np.unique(np.r_[quantiles(known, np.linspace(0, 1, _BINS + 1)), heavy, ends])


def _bin(x: Floats, edges: Floats) -> Codes:
    known = np.isfinite(x)
    if known.all():
        return cells(edges, x) + 1
    out = np.zeros(len(x), dtype=np.int64)
    out[known] = cells(edges, x[known]) + 1
    return out


def _distance(before: NDArray[np.int_], after: NDArray[np.int_], *, ordered: bool) -> float:
    a, b = before / max(before.sum(), 1), after / max(after.sum(), 1)
    if not ordered:
        return 0.5 * float(np.abs(a - b).sum())
    # Bin 0 is "missing" and has no place in the order.
    return float(max(np.abs(np.cumsum(a[1:] - b[1:])).max(initial=0.0), abs(a[0] - b[0])))


def _usual(before: Codes, width: int, rows: int, *, ordered: bool) -> float:
    """The largest distance between a stretch of the reference, as long as the window, and the rest.

    Never below what sampling alone gives at these sizes.
    """
    n = len(before)
    if n == 0 or rows == 0:
        return 1.0
    chance = math.sqrt(1 / n + 1 / rows) * (0.9 if ordered else 0.4 * math.sqrt(min(width, 60)))
    stretches = int(np.clip(n // max(min(rows, n // 2), 1), 2, 7))
    index = contiguous_blocks(n, stretches)
    table = np.bincount(index * width + before, minlength=stretches * width).reshape(
        stretches, width
    )
    total = table.sum(axis=0)
    gaps = [_distance(total - row, row, ordered=ordered) for row in table]
    return max(chance, max(gaps) * math.sqrt(min(1.0, (n / stretches) / rows)))


def locate(
    case: Case,
    signal: Floats,
    level: float,
    reference_signal: Floats,
    *,
    calm: set[str] | None = None,
) -> tuple[Scope, NDArray[np.bool_]]:
    """The rows in which a per-row signal left its reference level: a stretch of time, a segment, or all."""
    time_scope, rows = _in_time(
        case, signal, level, float(reference_signal.var() + signal.var()) / 2
    )
    segment = _in_segment(case, signal, reference_signal, rows, calm)
    if segment is None:
        return time_scope, rows
    name, hit = segment
    vocabulary = case.vocabulary(name)
    scope = Scope(time_scope.since, time_scope.until, name, tuple(vocabulary[i] for i in hit))
    return scope, rows & np.isin(case.codes("current", name), hit)


def _in_time(
    case: Case, signal: Floats, level: float, variance: float
) -> tuple[Scope, NDArray[np.bool_]]:
    everything = np.ones(len(signal), dtype=bool)
    time = case.current.time
    if time is None or len(signal) < 200 or not np.isfinite(time).all():
        return Scope(), everything
    blocks = int(np.clip(len(signal) // 40, 4, _BLOCKS))
    index = contiguous_blocks(len(signal), blocks)
    weight = np.bincount(index, minlength=blocks).astype(float)
    means = np.bincount(index, weights=signal, minlength=blocks) / weight
    found = pulse(means, weight, level, max(variance, 1e-9))
    inside = slice(found.start, found.stop)
    outside = np.r_[means[: found.start], means[found.stop :]]
    rise = float(np.average(means[inside], weights=weight[inside])) - level
    if len(outside) < 2 or rise <= 0 or float(outside.mean()) - level > 0.25 * rise:
        return Scope(), everything
    starts = np.searchsorted(index, np.arange(blocks))
    since = float(time[starts[found.start]]) if found.start > 0 else None
    until = float(time[starts[found.stop]]) if found.stop < blocks else None
    rows = everything.copy()
    if since is not None:
        rows &= time >= since
    if until is not None:
        rows &= time < until
    return Scope(since, until), rows


def _in_segment(
    case: Case,
    signal: Floats,
    reference_signal: Floats,
    rows: NDArray[np.bool_],
    calm: set[str] | None,
) -> tuple[str, list[int]] | None:
    """The column and value codes that hold the departure, when the other values show none."""
    best: tuple[float, str, list[int]] | None = None
    declared = set(case.segments)
    inputs = case.categorical if calm is None else [n for n in case.categorical if n in calm]
    for name in dict.fromkeys([*case.segments, *inputs]):
        if not 2 <= len(case.vocabulary(name)) <= _MOST_VALUES:
            continue
        rise, n = _rise_by_value(case, name, signal, reference_signal, rows)
        hit = _split(rise, n)
        if hit is None:
            continue
        apart = float(rise[hit].mean()) * (1.2 if name in declared else 1.0)
        if best is None or apart > best[0]:
            best = apart, name, hit
    return None if best is None else (best[1], best[2])


def _rise_by_value(
    case: Case, name: str, signal: Floats, reference_signal: Floats, rows: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    width = len(case.vocabulary(name)) + 1
    now, was = case.codes("current", name) + 1, case.codes("reference", name) + 1
    n = np.bincount(now[rows], minlength=width).astype(float)
    m = np.bincount(was, minlength=width).astype(float)
    mean_now = np.bincount(now[rows], weights=signal[rows], minlength=width) / np.maximum(n, 1)
    pooled = float(reference_signal.mean()) if len(reference_signal) else 0.0
    sums = np.bincount(was, weights=reference_signal, minlength=width)
    mean_was = (sums + 20 * pooled) / (m + 20)
    return (mean_now - mean_was)[1:], n[1:]


def _split(rise: Floats, n: Floats) -> list[int] | None:
    """Values whose mean signal rose, if they are well apart from values where it did not."""
    big = np.flatnonzero(n >= _LEAST_SEGMENT)
    if len(big) < 2:
        return None
    order = big[np.argsort(-rise[big], kind="stable")]
    gaps = rise[order[:-1]] - rise[order[1:]]
    cut = int(gaps.argmax()) + 1
    hit, spared = order[:cut], order[cut:]
    top = float(np.average(rise[hit], weights=n[hit]))
    rest = float(np.average(rise[spared], weights=n[spared]))
    if top <= 0 or rest > 0.2 * top or n[spared].sum() < 0.08 * n[big].sum():
        return None
    return sorted(int(i) for i in hit)


def scope_words(found: Departure) -> str:
    """The scope as words for a sentence; empty when all rows are meant."""
    words = []
    if found.scope.column is not None:
        shown = ", ".join(found.scope.values[:3]) + (", ..." if len(found.scope.values) > 3 else "")
        words.append(f"where {found.scope.column} is {shown}")
    if found.scope.since is not None:
        words.append(f"since {iso(found.scope.since)}")
    if found.scope.until is not None:
        words.append(f"until {iso(found.scope.until)}")
    return (" " + ", ".join(words)) if words else ""
