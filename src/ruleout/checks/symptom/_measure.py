"""Rung 1: the metric's change with its interval, and its onset."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Onset
from ruleout.checks.symptom._asked import SHIFT, answer_values, answered, answers_to, few_answers
from ruleout.checks.symptom._order import spread_beside_order, spread_beside_usual
from ruleout.checks.symptom._season import spread_beside_season
from ruleout.profile import Case, Metric, Outputs, Which, iso
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled
from ruleout.stats._changepoint import step
from ruleout.stats._twosample import normal_sf

Floats = NDArray[np.float64]
RESAMPLES = 999
ALPHA = 0.01
SMALLEST_POINTS = 0.01
"""A bounded metric that moved less than a point is no incident at any sample size."""
SMALLEST_SHARE = 0.03
"""... nor is an error that moved by less than this share of its reference."""

_BINS = 20


@dataclass(frozen=True, slots=True)
class Change:
    """The metric's change, with what its interval was made from."""

    metric: Metric
    reference: float
    current: float
    low: float
    high: float
    p_value: float
    harm: float
    """Size of the change in the bad direction; negative where the metric got better."""

    significant: bool
    reference_draws: Floats
    current_draws: Floats
    """Bootstrap values of the metric (RESAMPLES,)."""

    @property
    def change(self) -> float:
        """Current less reference."""
        return self.current - self.reference


def measure(case: Case, name: str = "symptom") -> Change:
    """The symptom's change (cached in the case): block bootstrap by time, or by the rows' order, in both windows."""
    if name not in case.cache:
        case.cache[name] = _measure(case)
    found: Change = case.cache[name]
    return found


def _measure(case: Case) -> Change:
    metric = symptom_metric(case)
    if metric.name == SHIFT and few_answers(case) is not None:
        nothing = np.full(RESAMPLES, math.nan)
        unknown = (math.nan,) * 6
        return Change(
            metric, *unknown, significant=False, reference_draws=nothing, current_draws=nothing
        )
    rng = case.rng("symptom")
    sums = {w: block_sums(case, metric, w) for w in ("reference", "current")}
    values = {w: float(metric.finish(s.sum(axis=0)[None])[0]) for w, s in sums.items()}
    calm = dict.fromkeys(sums, spread_beside_season(case) * spread_beside_order(case))
    calm["current"] *= spread_beside_usual(case)
    draws = {
        w: values[w] + calm[w] * (metric.finish(resampled(s, RESAMPLES, rng)) - values[w])
        for w, s in sums.items()
    }
    if metric.name == SHIFT:
        values["reference"] = _by_chance(case, draws["reference"])
        # A resample lies farther from the reference than the rows it was drawn from.
        draws = {w: np.clip(d - d.mean() + values[w], 0.0, 1.0) for w, d in draws.items()}
    gaps = draws["current"] - draws["reference"]
    gaps = gaps[np.isfinite(gaps)]
    change = values["current"] - values["reference"]
    spread = float(gaps.std()) if len(gaps) > 10 else math.nan
    low, high = np.quantile(gaps, [0.025, 0.975]) if len(gaps) > 10 else (math.nan, math.nan)
    worse = -1 if metric.higher_is_better else 1
    direction = case.incident.symptom.direction
    if direction is not None and answers_to(case, metric):
        worse = -1 if direction == "down" else 1
    harm = worse * change
    z = harm / spread if spread and spread > 0 else (math.inf if harm > 0 else 0.0)
    p_value = normal_sf(z) if math.isfinite(harm) else math.nan
    significant = bool(
        p_value < ALPHA
        and harm >= smallest_harm(metric, values["reference"])
        and (low > 0 or high < 0)
    )
    return Change(
        metric,
        values["reference"],
        values["current"],
        float(low),
        float(high),
        p_value,
        harm,
        significant,
        draws["reference"],
        draws["current"],
    )


def _by_chance(case: Case, draws: Floats) -> float:
    """How far the current answers would lie from the reference's if both were drawn from one distribution.

    The draws of the reference lie as far from it as its own rows scatter; the current rows scatter too.
    """
    rows = [max(answered(case.outputs(w)), 1) for w in ("reference", "current")]
    return float(min(draws.mean() * math.sqrt(1 + rows[0] / rows[1]), 1.0))


def smallest_harm(metric: Metric, reference: float) -> float:
    """The least change that matters, in the metric's units."""
    if metric.name == SHIFT:
        return 0.03
    return SMALLEST_POINTS if metric.bounded else SMALLEST_SHARE * abs(reference)


def symptom_metric(case: Case) -> Metric:
    """The incident's metric, or the shift of the answers where labels are missing."""
    if case.labelled("current") and case.labelled("reference"):
        return case.metric
    if "output shift" not in case.cache:
        case.cache["output shift"] = _output_shift(case)
    shift: Metric = case.cache["output shift"]
    return shift


def block_sums(case: Case, metric: Metric, which: Which) -> Floats:
    """Sums (blocks, m) of the metric's parts over contiguous blocks of one window."""
    rows = case.table(which).rows
    blocks = block_count(rows)
    index = contiguous_blocks(rows, blocks)
    return metric.sums(case.truth(which), case.outputs(which), index, blocks, case.weight(which))


def _output_shift(case: Case) -> Metric:
    """Total variation of the answers' distribution from the reference's: 0 is no shift."""
    values = answer_values(case.outputs("reference"))
    known = values[np.isfinite(values) & (values != -1)]
    if not len(known):
        known = np.zeros(1)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    if len(case.classes) > 2 or (case.outputs("reference").score is None and case.classes):
        edges = np.arange(len(case.classes)) - 0.5
    size = 2 * (len(edges) + 1)

    def cells(outputs: Outputs) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Cell of each answer, its value and for two classes its decision too; and which answers are known."""
        given = answer_values(outputs)
        cell = 2 * np.searchsorted(edges, given, side="right")
        if outputs.score is not None and len(case.classes) == 2:
            cell = cell + (outputs.decision == 1)
        return cell.astype(np.int64), np.isfinite(given) & (given != -1)

    cell, answered = cells(case.outputs("reference"))
    weight = case.weight("reference")
    counted = answered.astype(float) if weight is None else np.where(answered, weight, 0.0)
    base = np.bincount(cell, weights=counted, minlength=size) / max(float(counted.sum()), 1e-9)

    def parts(truth: NDArray[np.generic], outputs: Outputs) -> Floats:
        del truth
        cell, answered = cells(outputs)
        out = np.eye(size)[cell]
        out[~answered] = np.nan
        return out

    def finish(sums: Floats) -> Floats:
        total = np.maximum(sums[..., -1:], 1e-9)
        return np.asarray(0.5 * np.abs(sums[..., :-1] / total - base).sum(axis=-1))

    return Metric(SHIFT, False, True, parts, finish)


def onset(case: Case) -> Onset | None:
    """When the loss changed level: a posterior over the current window, with the reference as history."""
    if case.current.time is None or not case.labelled("current"):
        return None
    return onset_of(case, case.loss("reference"), case.loss("current"))


def onset_of(case: Case, reference: Floats, current: Floats) -> Onset | None:
    """When a per-row signal (n,) changed level inside the current window; None without times."""
    time = case.current.time
    if time is None or len(current) < 40 or not np.isfinite(time).all():
        return None
    blocks = int(np.clip(len(current) // 40, 4, 80))
    index = contiguous_blocks(len(current), blocks)
    known = np.isfinite(current)
    weight = np.bincount(index, weights=known, minlength=blocks).astype(float)
    total = np.bincount(index, weights=np.where(known, current, 0.0), minlength=blocks)
    known_reference = reference[np.isfinite(reference)]
    if not len(known_reference) or not weight.all():
        return None
    # The reference stands before the window as one long, well-measured block.
    values = np.r_[known_reference.mean(), total / weight]
    weights = np.r_[min(len(known_reference), 4.0 * len(current)), weight]
    variance = float(known_reference.var() + current[known].var()) / 2 or 1e-9
    found = step(values, weights, variance)
    starts = np.r_[time[np.searchsorted(index, np.arange(blocks))], time[-1]]
    at, low, high = (
        float(starts[np.clip(i - 1, 0, blocks)]) for i in (found.at, found.low, found.high)
    )
    return Onset(iso(at), iso(low), iso(high))
