"""Are the served answers a simple map of the intended ones: renamed classes, a recalibrated score?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._gap import class_codes
from ruleout.checks.reproduction._hit import Hit, hit
from ruleout.checks.reproduction._repairs import described, intended_answers
from ruleout.checks.reproduction._stories import (
    MAPS,
    Story,
    best,
    coarser_where,
    enough,
    flat,
    known_model,
    stories,
)
from ruleout.checks.reproduction._view import SERVED
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE, new_version
from ruleout.profile import Case
from ruleout.stats._maps import isotonic

_ENOUGH = 0.55
_SPARED = 0.5
_FEW = 30


class _Claim(NamedTuple):
    """What a finding says."""

    signal: str
    statement: str
    supports: tuple[str, ...]
    subject: Subject = SERVED


@check(
    "answer_maps",
    layer="model",
    rung="reproduction",
    looks_for=("class_map_mismatch", "calibration_change", "class_weight_change", "feature_swap"),
    needs=("data.columns.prediction",),
)
def answer_maps(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Try one permutation of the classes, one monotone map of the score, one exchange of inputs."""
    del rng
    found = hit(case)
    if found is None:
        return
    told = best(case)
    # A coarse grid on some replicas alone is near a monotone map, and none that anybody meant.
    few = bool(found.place.contrast) and coarser_where(case, found.place.scope)
    if known_model(case) or few:
        return
    yield from _renamed(case, found, told)
    yield from _recalibrated(case, found, told)
    yield from _exchanged(case, found, told)


def _finding(found: Hit, told: Story, claim: _Claim, plans: tuple[RepairPlan, ...]) -> Finding:
    sure = 1.0 if found.replay.exact else 0.85
    strength = sure * float(np.clip((told.share - 0.3) / 0.6, 0.1, 1.0))
    return Finding(
        claim.signal, claim.subject, claim.statement, told.share, found.replay.z, None, strength,
        claim.supports, against=ELSEWHERE, scope=found.place.scope, onset=found.place.onset,
        repairs=plans,
    )  # fmt: skip


def _renamed(case: Case, found: Hit, told: Story | None) -> Iterator[Outcome]:
    story = stories(case).get("permutation")
    if story is None:
        return
    if story.share < 0.3:
        yield Clear(
            ("class_map_mismatch",), Subject(), "no renaming of classes explains the answers", 0.3
        )
        return
    if told is None or told.name != "permutation" or story.share < _ENOUGH:
        return
    order = story.options["order"]
    if _spared(found, order) > _SPARED:
        return  # a wrong list of names is wrong for every row it answers
    moved = [f"{case.classes[k]} as {case.classes[j]}" for k, j in enumerate(order) if k != j]
    part = story.options.get("part")
    which = "" if part is None else f" in {part:.0%} of the rows"
    statement = (
        f"classes carry each other's names ({', '.join(moved[:4])}){which}{described(found.place.scope)}: "
        f"naming them back explains {story.share:.0%} of the difference"
    )
    options = {"order": order, "names_only": False, "part": part is not None}
    plan = RepairPlan("class_map", SERVED, found.place.scope, options)
    claim = _Claim("class_map.permuted", statement, ("class_map_mismatch",))
    yield _finding(found, story, claim, (plan,))


def _spared(found: Hit, order: Sequence[int]) -> float:
    """Share of the rows in place that a renaming would have hit, and whose answers follow all the same."""
    side = found.replay.current
    meant = class_codes(side.intended)
    moves = np.array([k != j for k, j in enumerate(order)])
    inside = found.place.inside & (meant >= 0) & (meant < len(moves))
    hit_by = inside.copy()
    hit_by[inside] = moves[meant[inside]]
    if not found.replay.exact or hit_by.sum() < _FEW:
        return 0.0
    return float(1 - found.replay.wrong[hit_by].mean())


def _recalibrated(case: Case, found: Hit, told: Story | None) -> Iterator[Outcome]:
    shares = {n: stories(case)[n] for n in ("affine", "monotone") if n in stories(case)}
    if not shares:
        return
    top = max(shares.values(), key=lambda story: story.share)
    if top.share < 0.3:
        yield Clear(
            ("calibration_change",),
            Subject(),
            "no monotone map of the score explains the answers",
            0.3,
        )
        return
    line = shares.get("affine")
    if told is None or told.name not in MAPS or not enough(found, top):
        return
    if line is not None and not 0.08 < line.options["slope"] < 12:
        return  # answers that do not depend on the intended ones are no recalibration of them
    statement = (
        f"served scores are a monotone map of the intended ones{described(found.place.scope)}"
    )
    if line is not None and line.share > top.share - 0.1:
        shift = line.options["shift"]
        statement += f" (slope {line.options['slope']:.2f}" + (
            f", shift {shift[0]:+.2f} in log-odds)" if len(shift) == 1 else ")"
        )
    statement += f"; undoing it explains {top.share:.0%} of the difference"
    options = {"model": found.replay.name}
    plan = RepairPlan("inverse_map", SERVED, found.place.scope, options)
    signal, supports, noise = _kind_of_map(case, found, top, line)
    if signal == "score_map.flat" and found.place.contrast:
        return  # another model on a part of the fleet: its replicas say so
    yield _finding(
        found, top, _Claim(signal, statement + noise, supports), (plan, intended_answers(found))
    )


def _kind_of_map(
    case: Case, found: Hit, top: Story, line: Story | None
) -> tuple[str, tuple[str, ...], str]:
    """The signal of a monotone map, the modes it speaks for, and words on its noise."""
    if found.replay.exact and top.share > 0.95:
        return "score_map.exact", ("calibration_change",), ""
    if case.task != "binary":
        return "score_map.monotone", ("calibration_change", "bad_retrain"), ""
    supports: tuple[str, ...] = ("calibration_change", "class_weight_change")
    signal, words, excess = "score_map.monotone", "", _excess_noise(found)
    if excess is not None:
        signal = "score_map.pure" if excess < 1.25 else "score_map.noisy"
        words = f", with {excess:.2f} times the noise that a mere map would leave"
        if signal == "score_map.noisy" and line is not None and flat(line):
            return "score_map.flat", ("wrong_version", "bad_retrain"), words
    return ("score_map.new_version" if new_version(case) else signal), supports, words


def _excess_noise(found: Hit) -> float | None:
    """Scatter around the map, in units of what a mere map of the reference's answers would show.

    The map is put behind the reference's served answers, and the surrogate's scatter around that is
    the yardstick: another training scatters more, a refitted post-processor does not.
    """
    x, y = found.intended.score, found.served.score
    side = found.replay.reference
    before, meant = side.served.score, side.intended.score
    if found.replay.exact or x is None or y is None or before is None or meant is None:
        return None
    known = np.isfinite(before) & np.isfinite(meant)
    through = isotonic(x, y)
    usual = _scatter(meant[known], through(before[known]))
    return _scatter(x, y) / max(usual, 1e-9)


def _scatter(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Mean distance of `y` from a monotone map of `x`, fitted on one half and judged on the other."""
    odd = np.arange(len(x)) % 2 == 1
    return float(np.abs(isotonic(x[odd], y[odd])(x[~odd]) - y[~odd]).mean())


def _exchanged(case: Case, found: Hit, told: Story | None) -> Iterator[Outcome]:
    story = stories(case).get("swap")
    if story is None or told is None or told.name != "swap" or story.share < 0.6:
        return
    a, b = story.options["columns"]
    statement = (
        f"the model answers as if {a} and {b} were in each other's place{described(found.place.scope)}: "
        f"exchanging them gives {story.share:.0%} of the answers"
    )
    subject = Subject("feature", (a, b))
    plan = intended_answers(found, subject)
    claim = _Claim("inputs.exchanged", statement, ("feature_swap",), subject)
    yield _finding(found, story, claim, (plan,))
