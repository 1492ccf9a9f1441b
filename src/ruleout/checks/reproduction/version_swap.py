"""Which artefact answered: the intended one, an earlier one, some of each, or a new one that is worse."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._gap import gap
from ruleout.checks.reproduction._hit import Hit, hit
from ruleout.checks.reproduction._repairs import described, intended_answers
from ruleout.checks.reproduction._stories import Story, stories, story
from ruleout.checks.reproduction._view import EXACT, SERVED, Replay, matches, replay, usable_models
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE
from ruleout.profile import Case, Outputs, model_outputs
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled
from ruleout.stats._maps import logit
from ruleout.stats._twosample import rank_auc

Mask = NDArray[np.bool_]
_RETRAINED = ("bad_retrain", "class_weight_change", "calibration_change")
_SEVERAL = 0.04
"""Share of telling rows that the intended version must have served for the fleet to be mixed."""


@check(
    "version_swap",
    layer="model",
    rung="reproduction",
    looks_for=("wrong_version", "mixed_versions", *_RETRAINED),
    needs=("models.current", "models.previous", "data.columns.prediction"),
)
def version_swap(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Replay logged inputs through every version at hand (the 2x2 of window and version)."""
    if not usable_models(case):
        yield Abstained(
            ("wrong_version", "mixed_versions"), "no model to replay", "models.previous"
        )
        return
    view, found = replay(case), hit(case)
    if view is not None and not view.exact:
        yield from _new_without_old(case, view, rng)
        return
    told = story(case, "version")
    if view is None or found is None:
        return
    if told is None or told.share < 0.5:
        if told is not None and told.share < 0.1:
            yield Clear(
                (), SERVED, f"models.{told.options['model']} gives {told.share:.1%} of them", 0.1
            )
        return
    if told.options["model"] == "current":
        yield from _new_version(case, found, rng)
    else:
        yield _other_version(case, found, told)


def _other_version(case: Case, found: Hit, told: Story) -> Finding:
    """An artefact that should not serve does: for all rows of the place, or for some."""
    name = str(told.options["model"])
    kept = _kept(case, found, name)
    mixed = found.place.contrast > 0 or kept > _SEVERAL
    which = "mixed_versions" if mixed else "wrong_version"
    subject = SERVED
    if found.place.contrast > 0:
        subject = Subject("host", found.place.scope.values)
    statement = (
        f"models.{name} gives {told.share:.1%} of the answers that models.{found.replay.name} does not "
        f"give{described(found.place.scope)}; {kept:.0%} of the telling rows there still come from the latter"
    )
    both = not mixed and kept > 0.01
    return Finding(
        f"other_version.{'mixed' if mixed else 'whole'}",
        subject,
        statement,
        told.share,
        found.replay.z,
        None,
        float(np.clip((told.share - 0.5) / 0.45, 0.1, 1.0)),
        (which, "mixed_versions") if both else (which,),
        against=ELSEWHERE,
        scope=found.place.scope,
        onset=found.place.onset,
        repairs=(intended_answers(found, subject),),
    )


def _kept(case: Case, found: Hit, name: str) -> float:
    """Among rows of the place where the versions differ, the share that the intended one served."""
    side, view = found.replay.current, found.replay
    inside = found.place.inside
    try:
        other = model_outputs(case, name, side.frame.filter(inside))
    except RuleoutError:
        return 0.0
    mine = side.gap[inside] <= view.tolerance
    theirs = gap(side.served.take(inside), other, view.spread) <= view.tolerance
    telling = mine != theirs
    return float((mine & telling).sum() / telling.sum()) if telling.any() else 0.0


def _new_version(case: Case, found: Hit, rng: np.random.Generator) -> Iterator[Outcome]:
    """A new version answers by design; is it worse than the old one on the same rows?"""
    view, rows = found.replay, found.rows
    positions = view.current.rows[rows]
    harm, z = _harm(case, positions, found.intended, rng)
    labelled = np.isfinite(harm)
    statement = (
        f"models.current serves{described(found.place.scope)} what models.{view.name} served in the "
        "reference"
    )
    if labelled and z < 1.5:
        told = f"{statement}; on the same rows it is no worse ({case.metric.name} {-harm:+.3f})"
        yield Clear(_RETRAINED, Subject(), told, 0.01, "version_swap.harmless")
        return
    if labelled:
        statement += (
            f"; on the same rows the old version is better by {harm:.3f} in {case.metric.name}"
        )
    strength = min(1.0, z / 5) if labelled else 0.4
    shape = _shape(case, found)
    for mode, share in shape.items():
        if share > 0.05:
            yield Finding(
                f"version_swap.{mode}", SERVED, statement, harm, z, None, strength * share, (mode,),
                against=(*ELSEWHERE, "wrong_version", "mixed_versions"),
                scope=found.place.scope, onset=found.place.onset,
                repairs=(intended_answers(found),),
            )  # fmt: skip


def _new_without_old(case: Case, view: Replay, rng: np.random.Generator) -> Iterator[Outcome]:
    """The current model gives the current answers, and nobody has the one of the reference."""
    serving = [n for n in usable_models(case) if matches(case, n).get("current", 0.0) >= EXACT]
    if not serving:
        yield Abstained(
            ("wrong_version", "mixed_versions", *_RETRAINED),
            "no model at hand reproduces either window",
            "models.previous",
        )
        return
    yield Clear(
        ("wrong_version", "mixed_versions", "runtime_numerics", "hardware_fault"),
        Subject(),
        f"models.{serving[0]} gives the current answers",
        0.01,
        "reproduction.exact",
    )
    if not view.departed:
        return
    harm, z = _harm(case, view.current.rows, view.current.intended, rng)
    told = f"models.{serving[0]} serves now and did not serve the reference"
    if np.isfinite(harm):
        told += (
            f"; a surrogate of the earlier model would do {harm:+.3f} better in {case.metric.name}"
        )
    plan = RepairPlan("intended_answers", SERVED, Scope(), {"model": "surrogate"})
    yield Finding(
        "version_swap.unknown_old", SERVED, told, harm, view.z, None,
        0.3 if not np.isfinite(harm) else float(np.clip(z / 6, 0.15, 1.0)),
        ("bad_retrain", "class_weight_change") if case.task == "binary" else ("bad_retrain",),
        repairs=(plan,),
    )  # fmt: skip


def _harm(
    case: Case, rows: NDArray[np.int64], answers: Outputs, rng: np.random.Generator
) -> tuple[float, float]:
    """How much better the metric is with `answers`, and its z by paired block bootstrap; NaN unlabelled."""
    truth, served = case.truth("current")[rows], case.outputs("current").take(rows)
    loss = case.metric.loss(truth, served)
    if np.isfinite(loss).sum() < 100:
        return float("nan"), 0.0
    sign = 1.0 if case.metric.higher_is_better else -1.0
    blocks = block_count(len(rows))
    index = contiguous_blocks(len(rows), blocks)
    sums = [case.metric.sums(truth, said, index, blocks) for said in (answers, served)]
    width = sums[0].shape[1]
    drawn = resampled(np.concatenate(sums, axis=1), 200, rng)
    draws = sign * (case.metric.finish(drawn[:, :width]) - case.metric.finish(drawn[:, width:]))
    better = sign * (case.metric.value(truth, answers) - case.metric.value(truth, served))
    noise = float(np.nanstd(draws)) + 1e-9
    return float(better), float(better / noise)


def _shape(case: Case, found: Hit) -> dict[str, float]:
    """How the new version differs: a pure map of the score, a shift of the odds, or otherwise."""
    told = stories(case)
    line = told.get("affine")
    pure = max((told[name].share for name in ("affine", "monotone") if name in told), default=0.0)
    if pure > 0.97 and case.task != "regression":
        return {"calibration_change": 1.0, "class_weight_change": 0.2}
    shifted = 0.0
    if case.task == "binary" and line is not None and found.served.score is not None:
        shifted = _shift_share(case, found)
    return {"bad_retrain": 1.0 - 0.85 * shifted, "class_weight_change": shifted}


def _shift_share(case: Case, found: Hit) -> float:
    """How far the difference of the versions is a shift of the odds that leaves the ranking alone."""
    before, after = found.intended.score, found.served.score
    if before is None or after is None:
        return 0.0
    move = logit(after) - logit(before)
    # Extreme scores of boosted trees are cut off; the middle tells the shift.
    middle = (before > 0.02) & (before < 0.98)
    move = move[middle] if middle.sum() >= 50 else move
    centre, noise = float(np.median(move)), float(np.quantile(np.abs(move - np.median(move)), 0.7))
    constant = centre**2 / (centre**2 + noise**2 + 1e-9)
    rows = found.replay.current.rows[found.rows]
    truth = case.truth("current")[rows].astype(np.int64)
    known = truth >= 0
    ranking = 1.0
    if known.sum() >= 100 and 0 < (truth[known] == 1).sum() < known.sum():
        old = rank_auc(before[known], truth[known] == 1)
        new = rank_auc(after[known], truth[known] == 1)
        lost = (old - new) / max(old - 0.5, 0.05)
        ranking = float(np.clip(1 - lost / 0.15, 0.0, 1.0))
    return float(np.clip((constant - 0.3) / 0.5, 0.0, 1.0)) * ranking
