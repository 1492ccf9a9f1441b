"""Give the reference the current mix: of inputs, classes, a segment's groups or hours of the week."""

from __future__ import annotations

import numpy as np

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.world import _view
from ruleout.checks.world._episodes import timed
from ruleout.checks.world.season import season_weight
from ruleout.experiments._undone import Undone
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._prior import balance_weights


@repair(
    "reweight",
    undoes=(
        "covariate_shift",
        "prior_shift",
        "selection_bias",
        "benign_mix",
        "seasonality",
        "experiment_misassignment",
    ),
)
def reweight(case: Case, plan: RepairPlan) -> Undone:
    """Weights of the reference rows; what they reproduce of the change is explained by the mix.

    Options: `to` is `inputs`, `classes`, `segment` (with `column`) or `season`.

    Raises:
        RuleoutError: when the windows lack what the weights are made from.
    """
    to = plan.options.get("to", "inputs")
    if to == "inputs":
        weight = _inputs(case)
    elif to == "classes":
        weight = _classes(case)
    elif to == "segment":
        weight = _segment(case, str(plan.options["column"]))
    elif to == "season":
        weight = _season(case)
    else:
        raise RuleoutError(f"cannot reweight to {to!r}; choose inputs, classes, segment or season")
    return Undone(reference_weight=weight, method="reweighting")


def _inputs(case: Case) -> Floats:
    seen, parts = _view.view(case), _view.split(case)
    if seen is None or parts is None:
        raise RuleoutError("too few labelled rows to weight the reference to the current inputs")
    weight = np.zeros(case.reference.rows)
    weight[seen.reference.rows] = parts.parts.weight
    return weight


def _classes(case: Case) -> Floats:
    before, now = case.truth("reference"), case.truth("current")
    if before.dtype.kind == "f":
        raise RuleoutError(f"a {case.task} has no classes to weight by")
    return balance_weights(before.astype(np.int64), now.astype(np.int64), len(case.classes))


def _segment(case: Case, column: str) -> Floats:
    if not (case.reference.has(column) and case.current.has(column)):
        raise RuleoutError(f"column {column!r} is not in both windows")
    codes = [case.codes(w, column).astype(np.int64) + 1 for w in ("reference", "current")]
    return balance_weights(codes[0], codes[1], len(case.vocabulary(column)) + 1)


def _season(case: Case) -> Floats:
    before, now = timed(case, "reference"), timed(case, "current")
    found = None if before is None or now is None else season_weight(before.time, now.time)
    if before is None or found is None:
        raise RuleoutError("the reference does not cover the current hours and weekdays")
    weight = np.zeros(case.reference.rows)
    weight[before.rows] = found
    return weight
