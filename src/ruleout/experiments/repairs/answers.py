"""Giving rows the answers they should have got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.reproduction._class_names import flipped, permuted
from ruleout.checks.reproduction._gap import gap, known_answers
from ruleout.checks.reproduction._stories import is_answer
from ruleout.checks.reproduction._view import Replay, replay
from ruleout.experiments._undone import Undone
from ruleout.profile import Case, Outputs
from ruleout.stats._maps import isotonic, line_of_logs, logs

Mask = NDArray[np.bool_]


@repair(
    "intended_answers",
    undoes=(
        "threshold_change",
        "wrong_version",
        "mixed_versions",
        "bad_retrain",
        "class_weight_change",
        "calibration_change",
        "runtime_numerics",
        "hardware_fault",
        "change_regression",
        "fallback_overload",
        "feature_swap",
        "observability_failure",
        "experiment_misassignment",
        "tokenizer_mismatch",
        "context_truncation",
        "image_preprocessing",
        "prompt_change",
        "provider_model_change",
        "guardrail_overblock",
    ),
)
def intended_answers(case: Case, plan: RepairPlan) -> Undone:
    """Answer the rows in scope as whoever answered the reference would.

    Raises:
        RuleoutError: when nothing can stand in for it.
    """
    view = _view(case)
    served = case.outputs("current")
    rows = case.scope_rows(plan.scope)
    if plan.options.get("only_unknown"):
        rows &= ~known_answers(served)
    chosen = np.flatnonzero(rows)
    answers = view.predict(case.current.frame[chosen])
    if view.exact:
        # Rows that are answered as intended keep their answer to the last digit.
        same = gap(served.take(chosen), answers, view.spread) <= view.tolerance
        answers = answers.where(same, served.take(chosen))
    method = "version_swap" if view.exact else "surrogate_replay"
    return Undone(outputs=_put(served, chosen, answers), method=method)


@repair("old_threshold", undoes=("threshold_change", "calibration_change", "change_regression"))
def old_threshold(case: Case, plan: RepairPlan) -> Undone:
    """Decide the rows in scope by the threshold of the reference, or by the largest score of many.

    Raises:
        RuleoutError: when there are no scores to decide by.
    """
    if case.task == "multiclass":
        return _by_largest_score(case, plan)
    served = case.outputs("current")
    score = served.score
    if score is None:
        score = _view(case).predict(case.current.frame).score
    if score is None:
        raise RuleoutError("there are no scores to decide by")
    decided = (score >= float(plan.options["threshold"])).astype(np.int32)
    rows = case.scope_rows(plan.scope) & np.isfinite(score)
    return Undone(outputs=replace(served, decision=np.where(rows, decided, served.decision)))


def _by_largest_score(case: Case, plan: RepairPlan) -> Undone:
    served = case.outputs("current")
    scores = served.scores
    if scores is None:
        scores = _view(case).predict(case.current.frame).scores
    if scores is None:
        raise RuleoutError("there are no scores to decide by")
    rows = case.scope_rows(plan.scope) & np.isfinite(scores).all(axis=1)
    decided = np.nan_to_num(scores).argmax(axis=1).astype(served.decision.dtype)
    return Undone(outputs=replace(served, decision=np.where(rows, decided, served.decision)))


@repair("class_map", undoes=("class_map_mismatch",))
def class_map(case: Case, plan: RepairPlan) -> Undone:
    """Give classes their own names back in the rows in scope; with `options["part"]`, in those nearer to the other name."""
    served = case.outputs("current")
    rows = case.scope_rows(plan.scope)
    order = np.argsort(np.asarray(plan.options["order"], dtype=np.int64))
    turned = flipped(served) if len(order) == 2 else permuted(served, order)
    if plan.options.get("names_only"):
        turned = replace(turned, score=served.score, scores=served.scores)
    elif served.score is not None and case.threshold is not None:
        turned = _decided(turned, case.threshold)
    if plan.options.get("part"):
        view = _view(case)
        meant = view.predict(case.current.frame)
        own, other = (gap(side, meant, view.spread) for side in (served, turned))
        rows = rows & (other < own)
    return Undone(outputs=served.where(rows, turned))


@repair("inverse_map", undoes=("calibration_change", "class_weight_change"))
def inverse_map(case: Case, plan: RepairPlan) -> Undone:
    """Undo the monotone map from intended to served scores in the rows in scope, and decide anew.

    Raises:
        RuleoutError: when answers carry no scores.
    """
    view = _view(case)
    served = case.outputs("current")
    inside = case.scope_rows(plan.scope)
    looked = inside[view.current.rows] & np.isfinite(view.current.gap)
    meant, said = view.current.intended.take(looked), view.current.served.take(looked)
    if served.score is not None and meant.score is not None and said.score is not None:
        undo = isotonic(meant.score, said.score)
        score = undo.inverse(np.nan_to_num(served.score))
        turned = _decided(replace(served, score=score), case.threshold or 0.5)
    elif served.scores is not None and meant.scores is not None and said.scores is not None:
        turned = _sharpened_back(served, meant.scores, said.scores)
    elif served.decision.dtype.kind == "f":
        values = isotonic(meant.decision.astype(float), said.decision.astype(float))
        turned = Outputs(values.inverse(np.nan_to_num(served.decision.astype(float))))
    else:
        raise RuleoutError("answers carry no scores whose map could be undone")
    known = known_answers(served)
    return Undone(outputs=served.where(inside & known, turned))


def _sharpened_back(
    served: Outputs, meant: NDArray[np.float64], said: NDArray[np.float64]
) -> Outputs:
    """Undo a temperature and biases in the logarithms of class probabilities (n, K)."""
    line = line_of_logs(logs(meant), logs(said))
    slope, shift = line if line is not None and abs(line[0]) > 0.05 else (1.0, 0.0)
    values = (logs(said if served.scores is None else served.scores) - shift) / slope
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    scores = grown / grown.sum(axis=1, keepdims=True)
    return Outputs(scores.argmax(axis=1).astype(np.int32), None, scores)


@repair(
    "without_constant",
    undoes=("fallback_overload", "hardware_fault", "observability_failure", "change_regression"),
)
def without_constant(case: Case, plan: RepairPlan) -> Undone:
    """Answer the rows that got the constant; where nothing can answer them, leave them out.

    Raises:
        RuleoutError: when no row would be left.
    """
    served = case.outputs("current")
    value: Sequence[float] = plan.options["answer"]
    rows = case.scope_rows(plan.scope) & is_answer(served, tuple(value))
    view = replay(case)
    if view is None:
        if rows.all():
            raise RuleoutError("every row got the constant; leaving them out would leave nothing")
        return Undone(keep=~rows, method="exclusion")
    chosen = np.flatnonzero(rows)
    answers = view.predict(case.current.frame[chosen])
    method = "version_swap" if view.exact else "surrogate_replay"
    return Undone(outputs=_put(served, chosen, answers), method=method)


def _view(case: Case) -> Replay:
    view = replay(case)
    if view is None:
        raise RuleoutError("neither a model nor a surrogate stands in for the reference's model")
    return view


def _decided(outputs: Outputs, threshold: float) -> Outputs:
    score = outputs.score
    if score is None:
        return outputs
    return replace(outputs, decision=(score >= threshold).astype(np.int32))


def _put(served: Outputs, rows: NDArray[np.int64], answers: Outputs) -> Outputs:
    """Served answers with those of some rows replaced; kinds of answer that only one has are dropped."""
    decision = served.decision.copy()
    decision[rows] = answers.decision.astype(decision.dtype)
    score, scores = served.score, served.scores
    if score is not None and answers.score is not None:
        score = score.copy()
        score[rows] = answers.score
    if scores is not None and answers.scores is not None:
        scores = scores.copy()
        scores[rows] = answers.scores
    return Outputs(decision, score, scores)
