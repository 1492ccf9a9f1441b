"""Simple explanations of answers that do not follow: each with the share of the gap it explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import Scope
from ruleout.checks.reproduction._class_names import renamed
from ruleout.checks.reproduction._gap import (
    answer_vector,
    class_codes,
    gap,
    has_scores,
)
from ruleout.checks.reproduction._hit import Hit, hit
from ruleout.checks.reproduction._view import replay, serves_now, usable_models
from ruleout.profile import Case, Outputs, model_outputs, spread_rows
from ruleout.stats._maps import affine, isotonic, line_of_logs, logit, logs
from ruleout.stats._ranks import middle_ranks

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_CONSTANT_ROWS = 20_000
_NEW = 0.02
"""Share of current answers that a new constant must make up."""

_TOGETHER = 0.8
"""Least rank correlation of rounded answers with a surrogate's."""

_SWAP_ROWS = 300
_SWAP_PAIRS = 150
_AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class Story:
    """One explanation."""

    name: str
    share: float
    """Of the gap on the rows to be explained, in [-1, 1]."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """What a repair needs to undo it."""


def stories(case: Case) -> Mapping[str, Story]:
    """All explanations of a case by name, computed once; empty when nothing departs."""
    if "reproduction stories" not in case.cache:
        found = hit(case)
        told = [] if found is None else _tell(case, found)
        case.cache["reproduction stories"] = {story.name: story for story in told}
    known: Mapping[str, Story] = case.cache["reproduction stories"]
    return known


def story(case: Case, name: str) -> Story | None:
    """One explanation, if it could be tried."""
    return stories(case).get(name)


def best(case: Case) -> Story | None:
    """The explanation that explains most; simpler ones first when they tie."""
    order = ("constant", "version", "permutation", "affine", "monotone", "swap")
    told = [stories(case)[name] for name in order if name in stories(case)]
    top = max((story.share for story in told), default=0.0)
    return next((story for story in told if story.share > top - 0.03), None) if top > 0.3 else None


def known_model(case: Case) -> bool:
    """Whether a model at hand gives the answers that do not follow."""
    told = story(case, "version")
    if told is not None and told.share > 0.5:
        return True
    return any(serves_now(case, name) is not None for name in usable_models(case))


def _tell(case: Case, found: Hit) -> list[Story]:
    told = [_constant(case, found), _version(case, found), _permutation(case, found)]
    if has_scores(found.served) and has_scores(found.intended):
        told += [_affine(found), _monotone(found)]
    real = [story for story in told if story is not None]
    if found.replay.exact and max((story.share for story in real), default=0.0) < 0.8:
        swapped = _swap(case, found)
        real += [swapped] if swapped is not None else []
    return real


def _constant(case: Case, found: Hit) -> Story | None:
    """One answer, rare in the reference, given whatever was asked."""
    value, share = common_answer(found.served)
    if value is None:
        return None
    usual = float(is_answer(case.outputs("reference"), value).mean())
    if not has_scores(found.served):
        # With bare decisions a changed row can only show another class; say less of two classes.
        sure = 1.2 if len(case.classes) > 2 else max(0.5, 2.0 * _whatever_the_score(found))
        share = (share - 0.5) * sure
    elif found.replay.exact:
        share = share if usual < 0.2 * share else 0.0
    else:
        share = (share - usual) / max(found.share, 1e-9) if usual < 0.2 * share else 0.0
    return Story("constant", float(min(share, 1.0)), {"answer": value})


def _whatever_the_score(found: Hit) -> float:
    """How evenly rows of the other class lost their decision, near the threshold and far from it, in [0, 1].

    Another threshold, another model or noise turn the near ones; one answer for all turns each alike.
    """
    side = found.replay.current
    score = side.intended.score
    if score is None or not found.replay.exact:
        return 0.0
    wrong = np.zeros(len(score), dtype=bool)
    wrong[found.rows] = True
    turned = class_codes(side.intended) == int(np.median(class_codes(side.intended)[wrong]))
    middle = float(np.median(score[turned]))
    rates = [float(wrong[turned & part].mean()) for part in (score < middle, score >= middle)]
    if max(rates) <= 0 or (wrong & ~turned).sum() > 0.02 * wrong.sum():
        return 0.0
    return float(np.clip(min(rates) / max(rates) / 0.8, 0.0, 1.0))


def common_answer(outputs: Outputs) -> tuple[tuple[float, ...] | None, float]:
    """The commonest answer as numbers, and its share; None when there are no answers."""
    rows = _rounded(outputs)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        return None, 0.0
    keys, counts = np.unique(rows, axis=0, return_counts=True)
    top = int(counts.argmax())
    return tuple(float(v) for v in keys[top]), float(counts[top] / len(rows))


class Constant(NamedTuple):
    """One answer that many current rows got and hardly any of the reference."""

    value: tuple[float, ...]
    share: float
    usual: float


def new_constant(case: Case) -> Constant | None:
    """The commonest current answer, if it is new as such; None for bare decisions."""
    before, after = case.outputs("reference"), case.outputs("current")
    if not has_scores(after) or not has_scores(before) or not case.reference.rows:
        return None
    value, share = common_answer(after.take(spread_rows(case.current.rows, _CONSTANT_ROWS)))
    if value is None:
        return None
    usual = float(
        is_answer(before.take(spread_rows(case.reference.rows, _CONSTANT_ROWS)), value).mean()
    )
    return Constant(value, share, usual) if share >= max(_NEW, 4 * usual + _NEW) else None


def is_answer(outputs: Outputs, value: tuple[float, ...]) -> NDArray[np.bool_]:
    """Rows (n,) that were given that very answer."""
    rows = _rounded(outputs)
    if rows.shape[1] != len(value):
        return np.zeros(len(rows), dtype=bool)
    return np.asarray((np.abs(rows - np.array(value)) <= 1e-9).all(axis=1))


def _rounded(outputs: Outputs) -> Floats:
    if outputs.decision.dtype.kind == "f":
        return np.round(outputs.decision.astype(float), 9)[:, None]
    if outputs.score is not None:
        return np.round(outputs.score, 9)[:, None]
    if outputs.scores is not None:
        return np.round(outputs.scores, 9)
    codes = class_codes(outputs)
    return np.where(codes < 0, np.nan, codes.astype(float))[:, None]


def _version(case: Case, found: Hit) -> Story | None:
    """Another model at hand gives these answers."""
    if not found.replay.exact:
        return None
    frame = found.replay.current.frame.filter(found.rows)
    told = []
    for name in usable_models(case):
        if name == found.replay.name:
            continue
        try:
            answers = model_outputs(case, name, frame)
        except RuleoutError:
            continue
        distance = gap(found.served, answers, found.replay.spread)
        known = distance[np.isfinite(distance)]
        if len(known):
            same = float((known <= found.replay.tolerance).mean())
            told.append(Story("version", same, {"model": name}))
    return max(told, key=lambda story: story.share, default=None)


def _permutation(case: Case, found: Hit) -> Story | None:
    """The outputs carry each other's names."""
    told = renamed(len(case.classes), found)
    return None if told is None else Story("permutation", told[0], told[1])


def _affine(found: Hit) -> Story | None:
    """A line in the logit (temperature and bias), or in the value."""
    x, y = _scale(found.intended), _scale(found.served)
    if x is None or y is None or x.shape != y.shape:
        return None
    if x.shape[1] > 1:
        line = line_of_logs(x, y)
    else:
        known = np.isfinite(x[:, 0]) & np.isfinite(y[:, 0])
        told = affine(x[known, 0], y[known, 0])
        line = (told.slope, np.array([told.shift])) if known.sum() >= 50 else None
    if line is None:
        return None
    slope, shift = line
    moved = _unscale(found.intended, slope * x + shift)
    options = {"slope": slope, "shift": tuple(float(v) for v in shift)}
    return Story("affine", found.explained(moved), options)


def _scale(outputs: Outputs) -> Floats | None:
    """Answers on the scale where a calibration is a line: logits, log shares, values."""
    if outputs.decision.dtype.kind == "f":
        return outputs.decision.astype(float)[:, None]
    if outputs.score is not None:
        return logit(outputs.score)[:, None]
    if outputs.scores is None:
        return None
    return logs(outputs.scores)


def _unscale(like: Outputs, values: Floats) -> Outputs:
    if like.decision.dtype.kind == "f":
        return Outputs(values[:, 0])
    if like.score is not None:
        return replace(like, score=1 / (1 + np.exp(-values[:, 0])))
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return replace(like, scores=grown / grown.sum(axis=1, keepdims=True))


def _monotone(found: Hit) -> Story | None:
    """Any non-decreasing map of the score or value, fitted on one half and judged on the other."""
    x, y = _single(found.intended), _single(found.served)
    if x is None or y is None:
        return None
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 50:
        return None
    odd = np.arange(len(x)) % 2 == 1
    mapped = np.full(len(x), np.nan)
    for part in (odd, ~odd):
        mapped[~part] = isotonic(x[part & known], y[part & known])(x[~part])
    answers = (
        Outputs(mapped)
        if found.served.decision.dtype.kind == "f"
        else replace(found.intended, score=mapped)
    )
    return Story("monotone", found.explained(answers))


def _single(outputs: Outputs) -> Floats | None:
    return outputs.decision.astype(float) if outputs.decision.dtype.kind == "f" else outputs.score


def _swap(case: Case, found: Hit) -> Story | None:
    """The model got two of its inputs in each other's place; the log has them right."""
    rows = np.flatnonzero(found.rows)[:_SWAP_ROWS]
    frame = found.replay.current.frame[rows]
    served = found.served.take(np.arange(len(rows)))
    pairs = _pairs(case)[:_SWAP_PAIRS]
    told: list[Story] = []
    for pair, answers in zip(pairs, _exchanged(found.replay.predict, frame, pairs), strict=True):
        if answers is None:
            continue
        distance = gap(served, answers, found.replay.spread)
        same = float((np.nan_to_num(distance, nan=1.0) <= found.replay.tolerance).mean())
        told.append(Story("swap", same, {"columns": pair}))
    return max(told, key=lambda story: story.share, default=None)


def _exchanged(
    predict: Callable[[pl.DataFrame], Outputs], frame: pl.DataFrame, pairs: list[tuple[str, str]]
) -> list[Outputs | None]:
    """Answers with the two inputs of each pair exchanged; None where the model cannot take them.

    Most of a small replay is spent on entering it, so tables of one type are replayed as one.
    """
    n = frame.height
    tables = [
        frame.with_columns(_in_place_of(frame, b, a), _in_place_of(frame, a, b)) for a, b in pairs
    ]
    told: list[Outputs | None] = [None] * len(pairs)
    alike = [k for k, table in enumerate(tables) if table.schema == frame.schema]
    for start in range(0, len(alike), _AT_ONCE):
        part = alike[start : start + _AT_ONCE]
        answers = _tried(predict, pl.concat([tables[k] for k in part]))
        for place, k in enumerate(part):
            if answers is not None:
                told[k] = answers.take(np.arange(place * n, (place + 1) * n))
    for k, table in enumerate(tables):
        if told[k] is None:
            told[k] = _tried(predict, table)
    return told


def _tried(predict: Callable[[pl.DataFrame], Outputs], table: pl.DataFrame) -> Outputs | None:
    try:
        return predict(table)
    except RuleoutError:
        return None


def _in_place_of(frame: pl.DataFrame, source: str, name: str) -> pl.Series:
    """One input's values under another's name, in its type where they fit."""
    values, dtype = frame[source].alias(name), frame[name].dtype
    if dtype.is_integer() and values.dtype.is_float():
        return values  # A type that cuts fractions off would not hold what the model got.
    return values.cast(dtype) if dtype.is_numeric() else values


def _pairs(case: Case) -> list[tuple[str, str]]:
    """Pairs of inputs of one type, or both of them numbers; those whose values overlap most come first."""
    schema = case.current.frame.schema
    pairs = [
        (a, b)
        for a, b in combinations(case.features, 2)
        if case.kind(a) == case.kind(b)
        and (schema.get(a) == schema.get(b) or case.kind(a) == "numeric")
        and a in schema
        and b in schema
    ]
    return sorted(pairs, key=lambda pair: (-_overlap(case, *pair), pair))


def _overlap(case: Case, a: str, b: str) -> float:
    if case.kind(a) == "numeric":
        one, other = _middle(case, a), _middle(case, b)
        both = min(one[1], other[1]) - max(one[0], other[0])
        return both / max(one[1] - one[0], other[1] - other[0], 1e-12)
    shared = (
        set(case.vocabulary(a)) & set(case.vocabulary(b)) if case.kind(a) == "categorical" else ()
    )
    return float(len(shared) > 0)


def _middle(case: Case, name: str) -> tuple[float, float]:
    """The middle nine tenths of an input's reference values."""
    known: dict[str, tuple[float, float]] = case.cache.setdefault("middle nine tenths", {})
    if name not in known:
        low, high = np.nanquantile(case.reference.numeric(name), [0.05, 0.95])
        known[name] = float(low), float(high)
    return known[name]


def coarser(before: Outputs, after: Outputs) -> bool:
    """Whether the scores now take far fewer values."""
    shares = []
    for outputs in (before, after):
        score = outputs.score if outputs.scores is None else outputs.scores[:, 0]
        if outputs.decision.dtype.kind == "f":
            score = outputs.decision.astype(np.float64)
        score = score[np.isfinite(score)][:5_000] if score is not None else None
        if score is None or len(score) < 200:
            return False
        shares.append(len(np.unique(np.round(score, 9))) / len(score))
    return shares[1] < 0.1 and shares[1] < 0.25 * shares[0]


def coarser_where(case: Case, scope: Scope) -> bool:
    """Whether the scores of the rows in a scope take far fewer values than the reference's, near to the intended ones."""
    inside = np.flatnonzero(case.scope_rows(scope))
    if not coarser(case.outputs("reference"), case.outputs("current").take(inside)):
        return False
    found = hit(case)
    return found is None or rounded(found)


def asked_for(case: Case, rows: NDArray[np.int64], flagged: Mask) -> bool:
    """Whether the intended model gives these rows that answer too: then their inputs asked for it."""
    view = replay(case)
    if view is None or not view.exact:
        return view is not None and not view.departed
    hits = np.isin(view.current.rows, rows[flagged])
    return bool(hits.any() and view.wrong[hits].mean() < 0.5)


MAPS = ("affine", "monotone")
_FLAT = 0.5


def enough(found: Hit, told: Story) -> bool:
    """Whether a story leaves no more than it may.

    Where the intended answers are known exactly a mere map of them leaves nothing; another model, much alike, does.
    A surrogate leaves its own error.
    """
    if told.name not in MAPS:
        return told.share > 0.8
    return told.share >= (0.95 if found.replay.exact else 0.75)


def flat(line: Story) -> bool:
    """Whether a line in log-odds is so flat that its answers are those of somebody who knows less."""
    return line.name == "affine" and line.options["slope"] < _FLAT


def rounded(found: Hit) -> bool:
    """Whether answers that do not follow lie within a step or two of their grid from the intended ones.

    Another model's answers, or rows' answers given to other rows, may take few values too, but lie anywhere.
    A surrogate's own error is no step: there the two need only go together (Spearman).
    """
    side = answer_vector(found.served), answer_vector(found.intended)
    top = int(np.nan_to_num(side[0]).std(axis=0).argmax())
    served, intended = (x[:, top] for x in side)
    known = np.isfinite(served) & np.isfinite(intended)
    served, intended = served[known], intended[known]
    levels = np.unique(served)
    if len(levels) < 2:
        return False
    if not found.replay.exact:
        ranks = middle_ranks(served), middle_ranks(intended)
        return float(np.corrcoef(*ranks)[0, 1]) > _TOGETHER
    # A grid of relative precision has wider steps further out: each answer is beside its own.
    place = np.searchsorted(levels, served)
    low, high = levels[np.maximum(place - 2, 0)], levels[np.minimum(place + 2, len(levels) - 1)]
    room = 0.5 * (high - low).mean()
    near = (intended >= low - room) & (intended <= high + room)
    return float(near.mean()) > 0.9
