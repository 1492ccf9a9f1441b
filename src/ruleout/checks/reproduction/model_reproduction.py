"""Is the model innocent: do logged inputs give the served answers, as they did in the reference?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, SourceStatus, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._hit import Hit, disorder, hit, structure
from ruleout.checks.reproduction._repairs import acquits, described, intended_answers
from ruleout.checks.reproduction._stories import best, coarser, enough, known_model, new_constant
from ruleout.checks.reproduction._view import (
    LEAST,
    SERVED,
    Replay,
    judgeable,
    replay,
    serves_now,
    usable_models,
)
from ruleout.profile import Case

BETWEEN = (
    "wrong_version",
    "mixed_versions",
    "runtime_numerics",
    "calibration_change",
    "class_map_mismatch",
    "hardware_fault",
)
"""Modes that stand between the logged inputs and the served answers."""

RETRAINED = ("bad_retrain", "class_weight_change")
ELSEWHERE = (
    "covariate_shift",
    "prior_shift",
    "concept_drift",
    "new_category",
    "label_noise",
    "corrupted_labels",
    "immature_labels",
    "evaluation_bug",
    "silent_nulls",
    "unit_change",
    "category_recode",
    "stale_features",
    "partial_batch",
    "join_loss",
    "time_shift",
    "selection_bias",
    "adversarial_shift",
    "precision_loss",
    "random_fluctuation",
    "benign_mix",
    "seasonality",
)
"""Modes that change inputs or labels, and leave the way from input to answer alone."""


@check(
    "model_reproduction",
    layer="model",
    rung="reproduction",
    looks_for=(*BETWEEN, *RETRAINED),
    needs=("data.reference", "data.current", "data.columns.prediction"),
)
def model_reproduction(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Answer logged inputs again and compare with what was served, in both windows.

    With a model that reproduces the reference the comparison is exact. Otherwise a booster fitted on
    both windows together asks whether knowing the window helps to predict the answers (a test of the
    conditional, so that inputs that moved do not count).
    """
    view = replay(case)
    if view is None:
        yield Abstained((*BETWEEN, *RETRAINED), _why_not(case), _needs(case))
        return
    found = hit(case)
    if found is None:
        yield from _same_map(view)
        return
    yield from _departs(case, found, rng)


_STRAY, _SLACK = 3.0, 0.05
"""A surrogate whose mean gap is beyond so many times its usual one, and this, does not carry over to current rows."""

_HALF = 0.5
_GARBAGE = 0.9


def _same_map(view: Replay) -> Iterator[Outcome]:
    if view.exact:
        share = float((view.current.gap[np.isfinite(view.current.gap)] <= view.tolerance).mean())
        told = f"models.{view.name} gives {share:.1%} of the served current answers, as in the reference"
        modes: tuple[str, ...] = (*BETWEEN, *RETRAINED) if share > 0.97 else ()
        yield Clear(modes, Subject(), told, 0.004, "reproduction.exact")
        return
    if view.departure > 0.03 and view.z > 3:
        why = (
            f"a surrogate sees the map from inputs to answers move a little ({view.departure:.1%})"
        )
        yield Abstained((*BETWEEN, *RETRAINED), why, "models.current")
        return
    off = float(np.nanmean(view.current.gap))
    if off > _STRAY * view.usual + _SLACK:
        why = f"a surrogate fitted on the reference is off by {off:.2g} on current rows ({view.usual:.2g} there): it tells nothing of them"
        yield Abstained((*BETWEEN, *RETRAINED), why, "models.current")
        return
    told = (
        "served answers depend on the inputs as in the reference: knowing the window explains "
        f"{max(view.departure, 0.0):.1%} of what the inputs leave open"
    )
    large = ("wrong_version", "calibration_change", "class_map_mismatch", *RETRAINED)
    yield Clear(large, Subject(), told, 0.06, "reproduction.surrogate")


def _departs(case: Case, found: Hit, rng: np.random.Generator) -> Iterator[Outcome]:
    view = found.replay
    told = best(case)
    explained = told is not None and told.share > 0.8 and enough(found, told)
    who = f"models.{view.name}" if view.exact else "a surrogate of the reference's model"
    statement = (
        f"{float(view.wrong.mean()):.1%} of the current answers are not what {who} gives for the logged "
        f"inputs{described(found.place.scope)}"
    )
    if explained and told is not None:
        statement += f"; {told.name} explains {told.share:.0%} of that"
    kind = "departs" if view.exact else "departs_surrogate"
    strength = 1.0 if view.exact else min(1.0, view.departure / 0.25)
    yield replace(
        acquits(f"reproduction.{kind}", statement, view.z, ELSEWHERE),
        statistic=view.departure, strength=strength, scope=found.place.scope, onset=found.place.onset,
    )  # fmt: skip
    supports = () if explained else _unexplained(case, found, rng)
    if supports:
        yield Finding(
            f"reproduction.unexplained{'' if view.exact else '_surrogate'}", SERVED,
            "another model seems to have answered: the difference follows the inputs", view.departure,
            view.z, None, strength, supports, scope=found.place.scope, onset=found.place.onset,
            repairs=(intended_answers(found),),
        )  # fmt: skip
    elif not explained and _open(case, found, rng):
        yield Finding(
            "reproduction.open", SERVED,
            "no simple map, version, constant or part of the fleet explains these answers", view.departure,
            view.z, None, strength, ("wrong_version", "bad_retrain", "runtime_numerics"),
            scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found),),
        )  # fmt: skip


def _open(case: Case, found: Hit, rng: np.random.Generator) -> bool:
    """Whether nothing at all has been offered for the answers that do not follow.

    Most rows differ, and too wildly for computing noise: that is what `scattered_differences` leaves.
    """
    told = best(case)
    return (
        not known_model(case)
        and not _one_answer(case)
        and not found.place.contrast
        and (told is None or told.share < _HALF)
        and found.share > _HALF
        and disorder(found, rng) > _GARBAGE
    )


def _one_answer(case: Case) -> bool:
    """Whether many rows got one new answer, and not because all answers are few."""
    everywhere = coarser(case.outputs("reference"), case.outputs("current"))
    return new_constant(case) is not None and not everywhere


def _unexplained(case: Case, found: Hit, rng: np.random.Generator) -> tuple[str, ...]:
    """Another artefact differs as a function of the inputs; garbage and noise do not."""
    serving = [name for name in usable_models(case) if serves_now(case, name) is not None]
    if (
        serving
        or _one_answer(case)
        or found.place.contrast
        or disorder(found, rng) > 0.85
        or structure(case, found, rng) < 0.1
    ):
        return ()
    if new_version(case):
        return ("bad_retrain", "class_weight_change", "wrong_version")
    return ("wrong_version", "bad_retrain")


def new_version(case: Case) -> bool:
    """Whether a new model is on record as deployed since the reference ended."""
    time = case.current.time
    if time is None or not np.isfinite(time).any():
        return False
    last = float(np.nanmax(time))
    before = case.reference.time
    first = float(np.nanmin(time))
    begun = float(np.nanmax(before)) if before is not None and np.isfinite(before).any() else first
    begun = min(begun, first)
    spec = case.incident.models.get("current")
    deployed = spec.deployed_at if spec is not None else None
    if deployed is not None and begun <= deployed <= last:
        return True
    return any(change.kind == "model" and begun <= change.at <= last for change in case.changes)


def _why_not(case: Case) -> str:
    failed = [s for s in case.sources if s.name.startswith("models.") and s.status == "failed"]
    if failed:
        return _reason(failed[0])
    if not case.features:
        return "no input columns to replay"
    if judgeable(case).sum() < LEAST:
        return "inputs moved to where a surrogate of the reference's model knows no answers"
    return "no model reproduces the reference's answers, and no surrogate of it is good enough"


def _reason(status: SourceStatus) -> str:
    return f"{status.name} could not be used: {status.reason}"


def _needs(case: Case) -> str:
    return "data.columns.prediction" if case.models else "models.current"
