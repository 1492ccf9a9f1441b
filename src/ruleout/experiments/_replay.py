"""Undoing a hypothesis on logged data, and the share of the symptom that goes away with it."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Explained
from ruleout.checks.symptom import SHIFT, Change, answer_values, measure
from ruleout.experiments._damage import replay_damage
from ruleout.experiments._undone import Undone
from ruleout.profile import Case, Outputs, Predictor
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled

Floats = NDArray[np.float64]
_RESAMPLES = 300
_TURNED = 0.1
"""Standard deviations of the scores by which an answer must move to count as another one."""

_HARDLY = 0.02
_KEPT = 4
"""Replays that are kept for the charts: the likeliest hypotheses are undone first, and they are drawn."""


def replayed_outputs(case: Case, undone: Undone) -> tuple[Outputs, Outputs] | None:
    """The answers before and after the repair; rows that it leaves alone keep what was served.

    Where inputs change, both sides are replayed: what is served differs from a replay for reasons
    (another version, a surrogate's error) that are not the repair's merit. None when inputs changed
    and nothing can replay them: a model that reads numbers taken from an image says nothing of another image.
    """
    served = case.outputs("current")
    if undone.outputs is not None:
        return served, undone.outputs
    if not undone.features:
        return served, served
    if case.predictor is None or _unread(case, undone, case.predictor):
        return None
    kept: list[tuple[Undone, tuple[Outputs, Outputs]]] = case.cache.setdefault("replayed", [])
    for known, answers in kept:
        if known is undone:
            return answers
    answers = _replayed(case, undone, case.predictor)
    if len(kept) < _KEPT:
        kept.append((undone, answers))
    return answers


def _unread(case: Case, undone: Undone, predictor: Predictor) -> bool:
    """Whether only images, texts or vectors change that the model does not read as they are."""
    names = set(undone.features)
    raw = names <= set(case.of_kind("image", "text", "embedding"))
    return raw and predictor.reads is not None and not names & predictor.reads


def _replayed(case: Case, undone: Undone, predictor: Predictor) -> tuple[Outputs, Outputs]:
    served, frame = case.outputs("current"), case.current.frame
    changed = np.zeros(frame.height, dtype=bool)
    for name, column in undone.features.items():
        changed |= _differs(frame, name, column)
    if not changed.any():
        return served, served
    repaired = frame.with_columns([c.alias(n) for n, c in undone.features.items()])
    rows = np.flatnonzero(changed)
    if predictor.kind == "model":
        key = "replayed current"
        if key not in case.cache:
            case.cache[key] = predictor.predict(frame)
        before = served.where(changed, case.cache[key])
    else:
        before = _scatter(served, rows, predictor.predict(frame[rows]))
    return before, _scatter(served, rows, predictor.predict(repaired[rows]))


def _differs(frame: pl.DataFrame, name: str, column: pl.Series) -> NDArray[np.bool_]:
    if name not in frame.columns or frame.schema[name] != column.dtype:
        return np.ones(frame.height, dtype=bool)
    if column.dtype.is_nested() or column.dtype == pl.Object:
        pairs = zip(frame.get_column(name).to_list(), column.to_list(), strict=True)
        return np.array([a != b for a, b in pairs], dtype=bool)
    return np.asarray((~frame.get_column(name).eq_missing(column)).to_numpy())


def _scatter(served: Outputs, rows: NDArray[np.int64], answers: Outputs) -> Outputs:
    decision = served.decision.copy()
    decision[rows] = answers.decision.astype(decision.dtype)
    return Outputs(
        decision, _put(served.score, rows, answers.score), _put(served.scores, rows, answers.scores)
    )


def _put(mine: Floats | None, rows: NDArray[np.int64], other: Floats | None) -> Floats | None:
    if mine is None or other is None:
        return None
    out = mine.copy()
    out[rows] = other
    return out


def explain(case: Case, undone: Undone) -> Explained | None:
    """Share of the symptom that the repair takes away, with a 90% interval; None if unanswerable."""
    change = measure(case)
    if change.metric.name == SHIFT and not change.significant:
        return _idle(case, undone)
    rng = case.rng("explain")
    if undone.damaged is not None:
        draws = replay_damage(case, change, undone.damaged, rng)
    elif undone.reference_weight is not None:
        draws = _reweighted_reference(case, change, undone.reference_weight, rng)
    else:
        draws = _repaired_current(case, change, undone, rng)
    if draws is None:
        return None
    point, samples = draws
    samples = samples[np.isfinite(samples)]
    if not math.isfinite(point) or len(samples) < 50:
        return None
    low, high = np.quantile(samples, [0.05, 0.95])
    # Few blocks that carry all of a change leave draws to one side of it.
    low, high = min(float(low), point), max(float(high), point)
    return Explained(_clip(point), _clip(float(low)), _clip(float(high)), _method(case, undone))


def _idle(case: Case, undone: Undone) -> Explained | None:
    """Without labels and without a shift of the answers there is no symptom to take away: None.

    But a repair of inputs that turns hardly an answer undoes nothing that could have done harm.
    """
    answers = replayed_outputs(case, undone) if undone.features else None
    if answers is None:
        return None
    start, outputs = answers
    before, after = answer_values(start), answer_values(outputs)
    spread = float(np.nanstd(before)) or 1.0 if len(case.classes) <= 2 else 0.0
    moved = float(np.nanmean(np.abs(after - before) > _TURNED * spread))
    return Explained(0.0, 0.0, 0.0, _method(case, undone)) if moved < _HARDLY else None


def _method(case: Case, undone: Undone) -> str:
    replayed = undone.features and undone.outputs is None and case.predictor is not None
    if (
        replayed
        and case.predictor is not None
        and case.predictor.kind == "surrogate"
        and undone.method == "repair_replay"
    ):
        return "surrogate_replay"
    return undone.method


def _clip(share: float) -> float:
    return float(np.clip(share, -1.0, 1.0))


def _repaired_current(
    case: Case, change: Change, undone: Undone, rng: np.random.Generator
) -> tuple[float, Floats] | None:
    answers = replayed_outputs(case, undone)
    if answers is None:
        return None
    start, outputs = answers
    truth = case.truth("current") if undone.truth is None else undone.truth
    weight = undone.weight
    if undone.keep is not None:
        weight = np.where(undone.keep, 1.0 if weight is None else weight, 0.0)
    metric = change.metric
    rows = case.current.rows
    blocks = block_count(rows)
    index = contiguous_blocks(rows, blocks)
    own = case.weight("current")
    before = metric.sums(case.truth("current"), case.outputs("current"), index, blocks, own)
    begin = metric.sums(case.truth("current"), start, index, blocks, own)
    after = metric.sums(truth, outputs, index, blocks, case.weight("current", weight))
    # The same blocks are drawn for all sides: the comparison is paired.
    three = resampled(np.concatenate([before, begin, after], axis=1), _RESAMPLES, rng)
    width = before.shape[1]
    was, begun, becomes = (metric.finish(three[:, i * width : (i + 1) * width]) for i in range(3))
    gap = _surrogate_gap(case, undone)
    reference = rng.choice(change.reference_draws, _RESAMPLES) - gap
    totals = [float(metric.finish(s.sum(axis=0)[None])[0]) for s in (before, begin, after)]
    point = _gained(totals[0], totals[1], totals[2], change.reference - gap)
    return point, _all_gained(was, begun, becomes, reference)


def _gained(was: float, begun: float, becomes: float, target: float) -> float:
    """Share of the way from `was` to `target` that going from `begun` to `becomes` covers."""
    return (becomes - begun) / (target - was) if target != was else math.nan


def _all_gained(was: Floats, begun: Floats, becomes: Floats, target: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((becomes - begun) / (target - was))


def _surrogate_gap(case: Case, undone: Undone) -> float:
    """What a surrogate loses by itself: its metric on unseen reference rows against what was served."""
    if not undone.features or case.predictor is None or case.predictor.kind == "model":
        return 0.0
    if "surrogate gap" not in case.cache:
        rows = case.cache.get("surrogate held", np.arange(min(case.reference.rows, 4000)))
        metric = measure(case).metric
        truth, served = case.truth("reference")[rows], case.outputs("reference").take(rows)
        replayed = case.predictor.predict(case.reference.frame[rows])
        weight = case.weight("reference")
        weight = None if weight is None else weight[rows]
        gap = metric.value(truth, served, weight) - metric.value(truth, replayed, weight)
        case.cache["surrogate gap"] = gap if math.isfinite(gap) else 0.0
    share = _changed_share(case, undone)
    return float(case.cache["surrogate gap"]) * share


def _changed_share(case: Case, undone: Undone) -> float:
    changed = np.zeros(case.current.rows, dtype=bool)
    for name, column in undone.features.items():
        changed |= _differs(case.current.frame, name, column)
    return float(changed.mean()) if len(changed) else 0.0


def _reweighted_reference(
    case: Case, change: Change, weight: Floats, rng: np.random.Generator
) -> tuple[float, Floats]:
    """How far the reference, weighted to look like the current window, goes towards its metric."""
    metric = change.metric
    rows = case.reference.rows
    blocks = block_count(rows)
    index = contiguous_blocks(rows, blocks)
    truth, served = case.truth("reference"), case.outputs("reference")
    plain = metric.sums(truth, served, index, blocks, case.weight("reference"))
    weighted = metric.sums(truth, served, index, blocks, case.weight("reference", weight))
    both = resampled(np.concatenate([plain, weighted], axis=1), _RESAMPLES, rng)
    width = plain.shape[1]
    was, becomes = metric.finish(both[:, :width]), metric.finish(both[:, width:])
    current = rng.choice(change.current_draws, _RESAMPLES)
    reached = float(metric.finish(weighted.sum(axis=0)[None])[0])
    point = _gained(change.reference, change.reference, reached, change.current)
    return point, _all_gained(was, was, becomes, current)
