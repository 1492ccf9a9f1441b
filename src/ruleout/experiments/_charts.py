"""Chart data of the whole diagnosis: the symptom over time, undone, explained, and who is hit.

Plain JSON-ready mappings, as `ruleout.postmortem.KINDS` describes them; small at any number of rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import AlignedChange, Explained, RepairPlan, Symptom
from ruleout.checks.symptom import SHIFT, Change, measure
from ruleout.checks.world._view import Split
from ruleout.checks.world.decomposition import waterfall as _waterfall_of_parts
from ruleout.experiments._replay import replayed_outputs
from ruleout.experiments._undo import Bench
from ruleout.experiments._undone import Undone
from ruleout.profile import Case, Metric, Which, same_metric
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled
from ruleout.stats._twosample import normal_sf

Floats = NDArray[np.float64]
Chart = dict[str, Any]

_BLOCK = 250
"""Rows of a point of the metric over time: about two points of accuracy as its noise."""

_FEW = 10
"""A block with fewer known answers has no point: where labels run out, the last one would be of a row or two."""

_POINTS = 48
_PARTS = 8
_RESAMPLES = 200
_SLICES = 24
_FEWEST = 60
_CLASSES = 200
_VALUES = 20
_BOTH: tuple[Which, Which] = ("reference", "current")
_ALPHA = 0.001


class Tried(NamedTuple):
    """A cause that was undone: what to call it, by which repair, and what that took away."""

    label: str
    plan: RepairPlan
    explained: Explained


def charts(
    case: Case,
    symptom: Symptom,
    changes: Sequence[AlignedChange],
    bench: Bench,
    tried: Sequence[Tried],
) -> dict[str, Chart]:
    """Charts by name; one that cannot be drawn from this case is left out."""
    change = measure(case)
    if not math.isfinite(change.change):
        return {}
    made = {
        "metric": metric_over_time(case, symptom, changes),
        "undo": undo(case, bench, tried),
        "waterfall": waterfall(case, tried),
        "parts": parts(case) if symptom.significant else {},
        "slices": slices(case) if symptom.significant else {},
        "confusion": confusion(case) if symptom.significant else {},
    }
    return {name: chart for name, chart in made.items() if chart}


def metric_over_time(case: Case, symptom: Symptom, changes: Sequence[AlignedChange]) -> Chart:
    """The metric by blocks of rows in the order of time, with onset, windows and changes."""
    spans = {w: _span(case, w) for w in ("reference", "current")}
    known = sorted(span for span in spans.values() if span is not None)
    if len(known) < 2 or known[1][0] < known[0][0] + 0.8 * (known[0][1] - known[0][0]):
        return {}
    first, second = known
    order: tuple[Which, Which] = ("reference", "current")
    if spans["current"] == first:
        order = ("current", "reference")
    points = [
        *_points(case, order[0]),
        _Point(second[0], None, None, None),
        *_points(case, order[1]),
    ]
    onset = symptom.onset
    marks = [
        {"at": c.at, "label": f"{c.kind} {c.entity}: {c.description}"[:160], "id": c.id}
        for c in changes[:40]
    ]
    return {
        "kind": "metric_over_time",
        "metric": _name(case),
        "times": [p.at for p in points],
        "values": [p.value for p in points],
        "low": [p.low for p in points],
        "high": [p.high for p in points],
        "reference": _plain(measure(case).reference),
        "windows": {which: list(span) for which, span in spans.items() if span},
        **({"onset": {"at": onset.at, "low": onset.low, "high": onset.high}} if onset else {}),
        **({"changes": marks} if marks else {}),
    }


class _Point(NamedTuple):
    at: float
    value: float | None
    low: float | None
    high: float | None


def _span(case: Case, which: Which) -> tuple[float, float] | None:
    time = case.table(which).time
    if time is None or len(time) < _FEWEST or not np.isfinite(time).all() or time[0] == time[-1]:
        return None
    return float(time[0]), float(time[-1])


def _points(case: Case, which: Which) -> list[_Point]:
    """The metric of equal blocks of rows, each with a 90% interval from its own parts."""
    table, metric = case.table(which), measure(case).metric
    rows = table.rows
    blocks = int(np.clip(rows // _BLOCK, 4, _POINTS))
    parts = contiguous_blocks(rows, blocks * _PARTS)
    sums = metric.sums(
        case.truth(which), case.outputs(which), parts, blocks * _PARTS, case.weight(which)
    )
    each = sums.reshape(blocks, _PARTS, -1)
    rng = case.rng(f"chart {which}")
    draws = rng.multinomial(_PARTS, np.full(_PARTS, 1 / _PARTS), size=_RESAMPLES)
    totals = each.sum(axis=1)
    values = np.where(totals[:, -1] >= _FEW, metric.finish(totals), np.nan)
    spread = np.where(np.isfinite(values)[:, None], metric.finish(draws @ each), np.nan)
    # A block without an answer is a gap, and so is its interval.
    low, high = np.quantile(
        np.where(np.isfinite(spread), spread, values[:, None]), [0.05, 0.95], axis=1
    )
    time = np.asarray(table.time)
    at = [float(np.median(time[i])) for i in np.array_split(np.arange(rows), blocks)]
    return [
        _Point(t, _plain(v), _plain(a), _plain(b))
        for t, v, a, b in zip(at, values, low, high, strict=True)
    ]


def _plain(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _name(case: Case) -> str:
    metric = measure(case).metric
    if metric.name == SHIFT:
        return "shift of the answers"
    asked = case.incident.symptom.metric
    # What somebody else reports under a name of their own is not what is drawn here.
    return asked if asked and same_metric(asked, metric) else metric.name


def undo(case: Case, bench: Bench, tried: Sequence[Tried]) -> Chart:
    """The metric in the reference, in the incident, and with each cause undone."""
    change = measure(case)
    rows = [
        ("reference", change.reference, *_interval(change.reference_draws)),
        ("current", change.current, *_interval(change.current_draws)),
    ]
    for cause in tried:
        made = bench.undone(cause.plan)
        found = None if made is None else _undone_value(case, change, made)
        if found is not None:
            rows.append((f"without {cause.label}", *found))
    if len(rows) == 2:
        return {}
    return {
        "kind": "undo",
        "metric": _name(case),
        "labels": [r[0] for r in rows],
        "values": [_plain(r[1]) for r in rows],
        "low": [_plain(r[2]) for r in rows],
        "high": [_plain(r[3]) for r in rows],
    }


def _interval(draws: Floats) -> tuple[float, float]:
    known = draws[np.isfinite(draws)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.05, 0.95])
    return float(low), float(high)


def _undone_value(case: Case, change: Change, undone: Undone) -> tuple[float, float, float] | None:
    """The current metric plus what the repair gains, with its 90% interval."""
    if undone.reference_weight is not None:
        # The reference is made to look like now, so there is no repaired current window.
        return None
    answers = replayed_outputs(case, undone)
    if answers is None:
        return None
    begun, becomes = answers
    truth = case.truth("current")
    weight = undone.weight
    if undone.keep is not None:
        weight = np.where(undone.keep, 1.0 if weight is None else weight, 0.0)
    blocks = block_count(case.current.rows)
    index = contiguous_blocks(case.current.rows, blocks)
    parts = [
        change.metric.sums(truth, case.outputs("current"), index, blocks, case.weight("current")),
        change.metric.sums(truth, begun, index, blocks, case.weight("current")),
        change.metric.sums(
            truth if undone.truth is None else undone.truth,
            becomes,
            index,
            blocks,
            case.weight("current", weight),
        ),
    ]

    def gained(sums: Floats) -> Floats:
        was, start, end = (change.metric.finish(s) for s in np.split(sums, 3, axis=-1))
        return np.asarray(was + end - start)

    sums = np.concatenate(parts, axis=1)
    value = float(gained(sums.sum(axis=0)[None])[0])
    # The same blocks are drawn for all three, so that what they share cancels.
    draws = gained(resampled(sums, _RESAMPLES, case.rng("chart undo")))
    return (value, *_interval(draws)) if math.isfinite(value) else None


def parts(case: Case) -> Chart:
    """Class balance, inputs, outcome given inputs and unseen inputs, where a check split the change."""
    found = case.cache.get("world split")
    return dict(_waterfall_of_parts(case, found)) if isinstance(found, Split) else {}


def waterfall(case: Case, tried: Sequence[Tried]) -> Chart:
    """What each cause explains of the change, as far as the shares do not overlap."""
    kept: list[Tried] = []
    for cause in tried:
        share = cause.explained.fraction
        if share >= 0.05 and sum(k.explained.fraction for k in kept) + share <= 1.05:
            kept.append(cause)
    if not kept:
        return {}
    change = measure(case)
    size = change.change
    return {
        "kind": "waterfall",
        "metric": _name(case),
        "start": _plain(change.reference),
        "end": _plain(change.current),
        "steps": [
            {
                "label": k.label,
                "value": _plain(k.explained.fraction * size),
                "low": _plain(k.explained.low * size),
                "high": _plain(k.explained.high * size),
            }
            for k in kept
        ],
    }


def slices(case: Case) -> Chart:
    """The metric by value of each declared segment; a value is hit when it lost more than the rest.

    "More" is tested on the metric itself: its change inside less its change outside, against that
    difference's block bootstrap, at 0.1% over all slices.
    """
    metric = measure(case).metric
    rows: list[Chart] = []
    tests: list[float] = []
    for name in case.segments:
        values, before, after = _by_value(case, metric, name)
        for k, value in enumerate(values):
            then, now = before[k].sum(axis=0), after[k].sum(axis=0)
            was, is_ = (float(metric.finish(s[None])[0]) for s in (then, now))
            if min(then[-1], now[-1]) < _FEWEST or not math.isfinite(was + is_):
                continue
            if not _has_rest(before, then) and not _has_rest(after, now):
                continue  # a slice of everything is none
            tests.append(_worse(case, metric, before, after, k))
            rows.append(
                {
                    "name": f"{name} = {value}",
                    "n": int(now[-1]),
                    "before": _plain(was),
                    "after": _plain(is_),
                }
            )
    for row, p_value in zip(rows, tests, strict=True):
        row["hit"] = bool(p_value < _ALPHA / len(rows))
    if not rows:
        return {}
    rows.sort(key=lambda r: (not r["hit"], -abs(r["after"] - r["before"]), r["name"]))
    return {"kind": "slices", "metric": _name(case), "rows": rows[:_SLICES]}


def _has_rest(every: Floats, inside: Floats) -> bool:
    """Whether enough rows are outside of a slice, so that it can have lost more than they did."""
    return bool(every.sum(axis=(0, 1))[-1] - inside[-1] >= _FEWEST)


def _by_value(case: Case, metric: Metric, name: str) -> tuple[list[str], Floats, Floats]:
    """The commonest values of a segment, and the metric's sums (values + 1, blocks, m) in both windows.

    The last entry holds all other rows.
    """
    codes = {w: case.codes(w, name) for w in _BOTH}
    every = case.vocabulary(name)
    count = np.bincount(codes["current"][codes["current"] >= 0], minlength=len(every))
    kept = np.argsort(-count, kind="stable")[:_VALUES]
    place = np.full(len(every) + 1, len(kept))
    place[kept] = np.arange(len(kept))
    found = []
    for which in _BOTH:
        rows = case.table(which).rows
        blocks = block_count(rows)
        cell = place[codes[which]] * blocks + contiguous_blocks(rows, blocks)
        size = (len(kept) + 1) * blocks
        sums = metric.sums(case.truth(which), case.outputs(which), cell, size, case.weight(which))
        found.append(sums.reshape(len(kept) + 1, blocks, -1))
    return [every[i] for i in kept], found[0], found[1]


def _worse(case: Case, metric: Metric, before: Floats, after: Floats, k: int) -> float:
    """One-sided p-value of: the metric moved further in slice `k` than outside, the symptom's way."""
    rng = case.rng(f"chart slice {k}")
    moved: Floats = np.zeros(_RESAMPLES + 1)
    for sign, sums in ((-1.0, before), (1.0, after)):
        inside, outside = sums[k], sums.sum(axis=0) - sums[k]
        both = np.concatenate([inside, outside], axis=1)
        drawn = np.concatenate([both.sum(axis=0)[None], resampled(both, _RESAMPLES, rng)])
        within, without = (metric.finish(part) for part in np.split(drawn, 2, axis=1))
        moved = moved + sign * (within - without)
    spread = float(np.nanstd(moved[1:])) if np.isfinite(moved[1:]).any() else 0.0
    if not math.isfinite(moved[0]) or spread <= 0:
        return 1.0
    return normal_sf(math.copysign(1.0, measure(case).change) * float(moved[0]) / spread)


def confusion(case: Case) -> Chart:
    """Counts of true against predicted class in both windows."""
    size = len(case.classes)
    if not 2 <= size <= _CLASSES or measure(case).metric.name == SHIFT:
        return {}
    return {
        "kind": "confusion",
        "classes": [str(c) for c in case.classes],
        "reference": _counts(case, "reference", size),
        "current": _counts(case, "current", size),
    }


def _counts(case: Case, which: Which, size: int) -> list[list[int]]:
    truth, said = case.truth(which).astype(np.int64), case.outputs(which).decision.astype(np.int64)
    known = (truth >= 0) & (said >= 0) & (truth < size) & (said < size)
    flat = np.bincount(truth[known] * size + said[known], minlength=size * size)
    return [[int(v) for v in row] for row in flat.reshape(size, size)]
