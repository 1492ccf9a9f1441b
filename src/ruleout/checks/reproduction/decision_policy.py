"""Do decisions follow from scores as they did: the same threshold, the same largest score?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._bare_line import Line, moved_line
from ruleout.checks.reproduction._gap import class_codes, has_scores
from ruleout.checks.reproduction._hit import hit
from ruleout.checks.reproduction._locate import Place, locate
from ruleout.checks.reproduction._repairs import described, intended_answers
from ruleout.checks.reproduction._stories import best
from ruleout.checks.reproduction._view import SERVED, replay
from ruleout.profile import Case, Outputs, Which, decision_threshold, spread_rows
from ruleout.stats._maps import relabelling

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ROWS = 20_000
_LEAST = 100
_SEEN = 0.003
"""Share of decisions off the old threshold that counts."""

_AGAINST = (
    "calibration_change",
    "class_weight_change",
    "prior_shift",
    "concept_drift",
    "wrong_version",
)


@check(
    "decision_policy",
    layer="model",
    rung="reproduction",
    looks_for=("threshold_change", "class_map_mismatch"),
    needs=("data.reference", "data.current"),
)
def decision_policy(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Compare logged decisions with those that the reference's rule makes of the logged scores."""
    if case.task == "multiclass":
        yield from _largest_score(case)
        return
    if case.task != "binary":
        return
    columns = case.incident.data.columns
    if columns.prediction is None or not case.current.has(columns.prediction):
        yield Abstained(
            ("threshold_change",), "decisions were not logged", "data.columns.prediction"
        )
        return
    pairs = [_score_and_decision(case, which) for which in ("reference", "current")]
    if pairs[0] is None or pairs[1] is None:
        line = moved_line(case, rng)
        if line is not None:
            yield _guessed(case, line)
            return
        yield Abstained(
            ("threshold_change",), "no scores beside the decisions", "data.columns.score"
        )
        return
    told = best(case)
    if told is not None and told.name == "version" and told.share > 0.8:
        return  # another model decided
    yield from _compare(case, pairs[0], pairs[1])


def _guessed(case: Case, line: Line) -> Finding:
    """A line that moved, told by bare decisions alone."""
    found = hit(case)
    scope = Scope() if found is None else found.place.scope
    told = (
        f"{line.after:.1%} of the decisions{described(scope)} are positive, {line.before:.1%} before, and those that turned "
        f"({line.turned:.1%}) turned one way: a line was drawn elsewhere, or the scores, which were not logged, were moved"
    )
    plans = () if found is None else (intended_answers(found),)
    return Finding(
        "threshold.guessed", SERVED, told, line.after - line.before, line.turned, None, line.sure,
        ("threshold_change", "calibration_change", "class_weight_change"), against=("wrong_version", "bad_retrain"),
        scope=scope, onset=None if found is None else found.place.onset, repairs=plans,
    )  # fmt: skip


class _Pair:
    """Scores and decisions of some rows of a window."""

    def __init__(
        self, rows: NDArray[np.int64], score: Floats, decision: NDArray[np.generic]
    ) -> None:
        known = np.isfinite(score) & (decision != -1)
        self.rows, self.score, self.decision = rows[known], score[known], decision[known] == 1

    def off(self, threshold: float) -> Mask:
        """Rows whose decision a threshold does not give; a hair's breadth is rounding."""
        sure = np.abs(self.score - threshold) > 1e-6
        return np.asarray(((self.score >= threshold) != self.decision) & sure)


def _score_and_decision(case: Case, which: Which) -> _Pair | None:
    """Logged scores, or those of a model that reproduces the reference."""
    rows = spread_rows(case.table(which).rows, _ROWS)
    served = case.outputs(which).take(rows)
    score = served.score
    view = replay(case)
    if score is None and view is not None and view.exact:
        side = view.reference if which == "reference" else view.current
        rows, served, score = side.rows, side.served, side.intended.score
    if score is None:
        return None
    pair = _Pair(rows, score, served.decision)
    return pair if len(pair.rows) >= _LEAST else None


def _compare(case: Case, before: _Pair, after: _Pair) -> Iterator[Outcome]:
    old = decision_threshold(before.score, before.decision.astype(np.int32))
    if before.off(old).mean() > 0.02:
        why = f"no threshold gives the reference's decisions (the best, {old:.3g}, misses {before.off(old).mean():.1%})"
        yield Abstained(("threshold_change",), why)
        return
    off = after.off(old)
    usual = float(before.off(old).mean())
    if off.sum() < 10 or off.mean() < usual + _SEEN:
        told = f"current decisions follow from their scores at the old threshold {old:.3g} ({1 - off.mean():.1%})"
        yield Clear(("threshold_change",), Subject(), told, _SEEN, "threshold.same")
        return
    place = locate(case, after.rows, off.astype(float))
    new = decision_threshold(
        after.score[place.inside], after.decision[place.inside].astype(np.int32)
    )
    left = float((after.off(new) & place.inside).sum()) / float(max((off & place.inside).sum(), 1))
    share = float(np.clip(1 - left, 0.0, 1.0))
    if share < 0.8:
        band = _band(after, off, old, logged=has_scores(case.outputs("current")))
        new, share = max((new, share), band, key=lambda pair: pair[1])
    if not has_scores(case.outputs("current")) and _one_class(after, place, off, old):
        yield _given(case, place, off)
    if share < 0.5:
        why = f"{off.mean():.1%} of decisions leave the old threshold {old:.3g}, but no new one gives them"
        yield Abstained(("threshold_change",), why)
        return
    yield _moved(case, place, (old, new), share, off)


def _one_class(after: _Pair, place: Place, off: Mask, old: float) -> bool:
    """Whether rows that the old line parts into two classes all got one, in place and since the first that left it."""
    since = place.inside.copy()
    since[: int(off.argmax())] = False
    said, meant = float(after.decision[since].mean()), float((after.score[since] >= old).mean())
    return not 0.02 < said < 0.98 and 0.1 < meant < 0.9


def _given(case: Case, place: Place, flagged: Mask) -> Finding:
    """Beyond all scores a line is none: whoever gives one answer to all leaves the same decisions."""
    off, n = float(flagged.mean()), len(flagged)
    told = (
        f"all decisions{described(place.scope)} are one class, {off:.1%} of them against their scores: one answer was "
        "given to all, or a line moved beyond all scores, which were not logged"
    )
    pipeline = Subject("pipeline", ())
    options = {"model": "current" if "current" in case.models else "surrogate"}
    return Finding(
        "threshold.one_class", pipeline, told, off, off * np.sqrt(n) / np.sqrt(max(off * (1 - off), 1e-4)), None, 1.0,
        ("fallback_overload",), against=_AGAINST, scope=place.scope, onset=place.onset,
        repairs=(RepairPlan("intended_answers", pipeline, place.scope, options),),
    )  # fmt: skip


def _band(after: _Pair, off: Mask, old: float, *, logged: bool) -> tuple[float, float]:
    """A new threshold for some rows only: all decisions that left lie between it and the old one.

    Returns:
        The threshold, and how surely it is one: all changed in one direction, and within the band
        as many near the new threshold as near the old.
    """
    score = after.score[off]
    up = score >= old
    one_way = max(float(up.mean()), 1 - float(up.mean()))
    if one_way < 0.98:
        return old, 0.0
    new = float(np.quantile(score, 0.995 if up.mean() > 0.5 else 0.005))
    inside = (after.score >= min(old, new)) & (after.score <= max(old, new))
    far = np.abs(after.score - old) > 0.5 * abs(new - old)
    rates = [
        float(off[inside & part].mean()) if (inside & part).any() else 0.0 for part in (far, ~far)
    ]
    even = min(rates) / max(*rates, 1e-9)
    beyond = after.score > max(old, new) if new > old else after.score < min(old, new)
    if beyond.sum() < 0.05 * inside.sum() and not logged:
        # Everything on that side was hit, high or low: one answer was given, no line was moved. Scores that were
        # logged as they were say that the decision alone was another.
        return old, 0.0
    return new, 0.85 * float(np.clip(even / 0.6, 0.0, 1.0))


def _moved(
    case: Case, place: Place, cuts: tuple[float, float], share: float, flagged: Mask
) -> Finding:
    old, new = cuts
    off, n = float(flagged.mean()), len(flagged)
    told = (
        f"decisions are taken at {new:.3g} instead of {old:.3g}{described(place.scope)}: "
        f"{off:.1%} of the scores are decided otherwise than before"
    )
    # Scores that were pushed up and decided at the old line give the same decisions.
    logged = has_scores(case.outputs("current"))
    blind: tuple[str, ...] = () if logged else ("calibration_change",)
    return Finding(
        "threshold.moved" if logged else "threshold.blind",
        SERVED,
        told if logged else f"{told}; or the scores, which were not logged, were moved",
        new,
        off * np.sqrt(n) / np.sqrt(max(off * (1 - off), 1e-4)),
        None,
        share,
        ("threshold_change", *blind),
        against=tuple(m for m in _AGAINST if m not in blind),
        scope=place.scope,
        onset=place.onset,
        repairs=(RepairPlan("old_threshold", SERVED, place.scope, {"threshold": old}),),
    )


def _largest_score(case: Case) -> Iterator[Outcome]:
    """Multiclass: is the class of the largest score the one that is named?"""
    sides: list[tuple[NDArray[np.int64], Outputs]] = []
    for which in ("reference", "current"):
        rows = spread_rows(case.table(which).rows, _ROWS)
        sides.append((rows, case.outputs(which).take(rows)))
    if any(served.scores is None for _, served in sides):
        yield Abstained(
            ("class_map_mismatch",), "class probabilities were not logged", "data.columns.scores"
        )
        return
    before, after = (_argmax_table(served, len(case.classes)) for _, served in sides)
    if min(before.sum(), after.sum()) < _LEAST or np.trace(before) < 0.98 * before.sum():
        yield Abstained(
            ("class_map_mismatch",), "named classes are not those of the largest score anyway"
        )
        return
    off = 1 - np.trace(after) / after.sum()
    if off < _SEEN * 3:
        return
    order = relabelling(after)
    fixed = after[np.arange(len(order)), order].sum() / after.sum()
    share = float(np.clip((fixed - (1 - off)) / off, 0.0, 1.0))
    if share < 0.5 or (order == np.arange(len(order))).all():
        return
    told = f"{off:.1%} of decisions carry another name than their largest score; one renaming of classes mends {share:.0%}"
    yield Finding(
        "class_map.renamed", SERVED, told, float(off), float(off * np.sqrt(after.sum())), None, share,
        ("class_map_mismatch",),
        repairs=(RepairPlan("class_map", SERVED, options={"order": tuple(int(k) for k in order), "names_only": True}),),
    )  # fmt: skip


def _argmax_table(served: Outputs, classes: int) -> NDArray[np.int64]:
    table = np.zeros((classes, classes), dtype=np.int64)
    if served.scores is not None:
        known = np.isfinite(served.scores).all(axis=1) & (class_codes(served) >= 0)
        largest = np.nan_to_num(served.scores[known]).argmax(axis=1)
        np.add.at(table, (largest, class_codes(served)[known]), 1)
    return table
