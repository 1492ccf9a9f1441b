"""Which artefact answered: the intended one, an earlier one, some of each, or a new one that is worse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._gap import gap
from ruleout.checks.reproduction._hit import Hit, hit, misassigned
from ruleout.checks.reproduction._locate import Place
from ruleout.checks.reproduction._repairs import described, intended_answers
from ruleout.checks.reproduction._stories import Story, story
from ruleout.checks.reproduction._view import (
    LEAST,
    ROWS,
    SERVED,
    Replay,
    replay,
    serves_now,
    usable_models,
)
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE
from ruleout.profile import Case, Outputs, model_outputs, spread_rows
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled
from ruleout.stats._maps import isotonic, logit
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
    needs=("data.reference", "data.current", "data.columns.prediction"),
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
    elif misassigned(case, found) is None:
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
    rows = found.replay.current.rows[found.rows]
    new = model_outputs(case, "current", found.replay.current.frame.filter(found.rows))
    pair = _Pair(case.truth("current")[rows], found.intended, new)
    head = (
        f"models.current serves{described(found.place.scope)} what models.{found.replay.name} served in "
        "the reference"
    )
    yield from _judged(case, pair, rng, head=head, place=found.place, old=found.replay.name)


def _new_without_old(case: Case, view: Replay, rng: np.random.Generator) -> Iterator[Outcome]:
    """The current model gives current answers, and nobody has the one of the reference.

    What the old one answered is on record for the reference's rows; the new one is asked the same.
    """
    found = [serving for name in usable_models(case) if (serving := serves_now(case, name))]
    if not found:
        yield Abstained(
            ("wrong_version", "mixed_versions", *_RETRAINED),
            "no model at hand reproduces either window",
            "models.previous",
        )
        return
    serving = found[0]
    told = f"models.{serving.name} gives the current answers{described(serving.place.scope)}"
    modes = ("wrong_version", "runtime_numerics", "hardware_fault")
    yield Clear(modes, Subject(), told, 0.01, "reproduction.exact")
    if not view.departed:
        return
    rows = spread_rows(case.reference.rows, ROWS)
    new = model_outputs(case, serving.name, case.reference.frame[rows])
    pair = _Pair(case.truth("reference")[rows], case.outputs("reference").take(rows), new)
    head = f"models.{serving.name} serves{described(serving.place.scope)} and did not serve the reference"
    yield from _judged(case, pair, rng, head=head, place=serving.place, old="surrogate")


class _Pair(NamedTuple):
    """Two versions' answers to the same rows."""

    truth: NDArray[np.generic]
    old: Outputs
    new: Outputs


def _judged(
    case: Case, pair: _Pair, rng: np.random.Generator, *, head: str, place: Place, old: str
) -> Iterator[Outcome]:
    harm, z = _harm(case, pair, rng)
    labelled = np.isfinite(harm)
    if labelled and z < 1.5:
        told = f"{head}; on the same rows it is no worse ({case.metric.name} {-harm:+.3f})"
        yield Clear(_RETRAINED, Subject(), told, 0.01, "version_swap.harmless")
        return
    if labelled:
        head += f"; on the same rows the old version is better by {harm:.3g} in {case.metric.name}"
    strength = min(1.0, z / 5) if labelled else 0.4
    plan = RepairPlan("intended_answers", SERVED, place.scope, {"model": old})
    for mode, share in _shape(case, pair).items():
        if share > 0.05:
            yield Finding(
                f"version_swap.{mode}", SERVED, head, harm, z, None, strength * share, (mode,),
                against=(*ELSEWHERE, "wrong_version", "mixed_versions"),
                scope=place.scope, onset=place.onset, repairs=(plan,),
            )  # fmt: skip


def _harm(case: Case, pair: _Pair, rng: np.random.Generator) -> tuple[float, float]:
    """How much better the old version's metric is, and its z by paired block bootstrap; NaN unlabelled."""
    loss = case.metric.loss(pair.truth, pair.new)
    if np.isfinite(loss).sum() < LEAST:
        return float("nan"), 0.0
    sign = 1.0 if case.metric.higher_is_better else -1.0
    rows = len(pair.truth)
    blocks = block_count(rows)
    index = contiguous_blocks(rows, blocks)
    sums = [case.metric.sums(pair.truth, said, index, blocks) for said in (pair.old, pair.new)]
    width = sums[0].shape[1]
    drawn = resampled(np.concatenate(sums, axis=1), 200, rng)
    draws = sign * (case.metric.finish(drawn[:, :width]) - case.metric.finish(drawn[:, width:]))
    values = [float(case.metric.finish(s.sum(axis=0)[None])[0]) for s in sums]
    better = sign * (np.nan_to_num(values[0]) - np.nan_to_num(values[1]))
    noise = float(np.nanstd(draws)) + 1e-9
    return float(better), float(better / noise)


def _shape(case: Case, pair: _Pair) -> dict[str, float]:
    """How the new version differs: a pure map of the score, a shift of the odds, or otherwise."""
    old, new = pair.old.score, pair.new.score
    if case.task != "binary" or old is None or new is None:
        shifted = _one_way(pair) if case.task == "binary" else 0.0
        return {"bad_retrain": 1.0 - 0.85 * shifted, "class_weight_change": shifted}
    known = np.isfinite(old) & np.isfinite(new)
    odd = np.arange(len(old)) % 2 == 1
    fitted = isotonic(old[known & odd], new[known & odd])
    left = np.abs(fitted(old[known & ~odd]) - new[known & ~odd]).mean()
    whole = np.abs(new[known & ~odd] - old[known & ~odd]).mean()
    if left < 0.02 * whole:
        # A calibrator is rarely shipped as another artefact; a model that was trained too little is.
        return {"bad_retrain": 0.9, "calibration_change": 0.75, "class_weight_change": 0.3}
    shifted = _shift_share(pair)
    return {"bad_retrain": 1.0 - 0.85 * shifted, "class_weight_change": shifted}


def _one_way(pair: _Pair) -> float:
    """Bare decisions: 1 if all changed ones changed toward one class and the errors trade places."""
    old, new = pair.old.decision.astype(np.int64), pair.new.decision.astype(np.int64)
    changed = (old >= 0) & (new >= 0) & (old != new)
    if changed.sum() < 30:
        return 0.0
    up = float((new[changed] == 1).mean())
    return float(np.clip((abs(2 * up - 1) - 0.8) / 0.15, 0.0, 1.0))


def _shift_share(pair: _Pair) -> float:
    """How far the difference of the versions is a shift of the odds that leaves the ranking alone."""
    before, after = pair.old.score, pair.new.score
    if before is None or after is None:
        return 0.0
    # Extreme scores of boosted trees are cut off; the middle of either tells the shift.
    middle = ((before > 0.02) & (before < 0.98)) | ((after > 0.02) & (after < 0.98))
    move = logit(np.clip(after, 1e-3, 1 - 1e-3)) - logit(np.clip(before, 1e-3, 1 - 1e-3))
    move = move[middle & np.isfinite(move)]
    if len(move) < 50:
        return 0.0
    centre = float(np.median(move))
    one_way = float((np.sign(move) == np.sign(centre)).mean()) if abs(centre) > 0.2 else 0.5
    truth = pair.truth.astype(np.int64)
    known = (truth >= 0) & np.isfinite(before) & np.isfinite(after)
    ranking = 1.0
    if known.sum() >= 100 and 0 < (truth[known] == 1).sum() < known.sum():
        old = rank_auc(before[known], truth[known] == 1)
        new = rank_auc(after[known], truth[known] == 1)
        ranking = float(np.clip(1.2 - (old - new) / max(old - 0.5, 0.05) / 0.15, 0.0, 1.0))
    return float(np.clip((one_way - 0.75) / 0.2, 0.0, 1.0)) * ranking
