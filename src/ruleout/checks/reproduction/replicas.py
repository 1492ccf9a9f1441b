"""Answers that fail on some replicas or in some group alone: which fault, and is the group as planned?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ruleout._records import Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._hit import Hit, disorder, hit, misassigned, obedience
from ruleout.checks.reproduction._repairs import acquits, described, intended_answers
from ruleout.checks.reproduction._stories import best, coarser_where, flat, known_model, stories
from ruleout.checks.reproduction._view import SERVED
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE
from ruleout.profile import Case


@check(
    "replicas",
    layer="infrastructure",
    rung="reproduction",
    looks_for=("hardware_fault", "mixed_versions", "change_regression"),
    needs=("data.columns.prediction", "data.columns.segments"),
)
def replicas(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do answers fail to follow on some replicas alone, and is what they give garbage or another model's?"""
    found = hit(case)
    if found is None or not case.segments:
        return
    if not found.place.contrast:
        told = "answers that do not follow are spread over all values of the segments"
        yield Clear(("hardware_fault", "mixed_versions"), Subject(), told, 0.25, "replicas.even")
        return
    if coarser_where(case, found.place.scope) and not known_model(case):
        yield _coarse(found)
        return
    simple = best(case)
    mapped = simple is not None and simple.share > 0.75 and simple.name != "constant"
    line = stories(case).get("affine")
    mapped = mapped and not (line is not None and flat(line) and not found.replay.exact)
    # A simple map of the intended answers, another model at hand, or a group wrongly assigned says
    # what happened; the replicas then only say where.
    if mapped or known_model(case) or misassigned(case, found) is not None:
        return
    yield _on_replicas(case, found, disorder(found, rng), obedience(case, found, rng))


def _coarse(found: Hit) -> Finding:
    """The right model in too few digits, on a part of the fleet."""
    told = f"answers sit on a coarse grid{described(found.place.scope)}: computed in low precision there"
    return Finding(
        "numerics.coarse", SERVED, told, found.share, found.place.contrast, None, 1.0,
        ("runtime_numerics",), against=(*ELSEWHERE, "wrong_version", "bad_retrain"),
        scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found),),
    )  # fmt: skip


def _on_replicas(case: Case, found: Hit, garbage: float, follows: float) -> Finding:
    values = found.place.scope.values
    simple = best(case)
    changed = _changed_alone(case, values)
    supports: tuple[str, ...]
    lost = (garbage > 0.6 and follows < 0.5) or (simple is not None and simple.name == "constant")
    if lost:
        told = f"answers have nothing to do with their inputs (they predict {max(follows, 0.0):.0%} of them)"
        if changed is not None:
            signal, supports = "replicas.changed", ("change_regression", "hardware_fault")
        elif len(values) == 1:
            signal, supports = "replicas.garbage", ("hardware_fault", "mixed_versions")
        else:
            signal, supports = (
                "replicas.several",
                ("hardware_fault", "mixed_versions", "change_regression"),
            )
    else:
        told = f"answers differ as another model's would (the inputs predict {follows:.0%} of them)"
        signal, supports = "replicas.other_model", ("mixed_versions",)
        if changed is not None:
            signal, supports = "replicas.other_changed", ("mixed_versions", "change_regression")
    subject = Subject("host", values)
    return Finding(
        signal, subject, told + described(found.place.scope), garbage, found.place.contrast, None,
        1.0 if found.replay.exact else 0.8, supports, against=ELSEWHERE,
        scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found, subject),),
    )  # fmt: skip


@check(
    "assignment",
    layer="integration",
    rung="reproduction",
    looks_for=("experiment_misassignment",),
    needs=("data.columns.prediction", "data.columns.segments"),
)
def assignment(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do the rows that do not follow belong to a group whose share was changed: an arm gone wrong?"""
    del rng
    found = hit(case)
    if found is None or not found.place.contrast:
        return
    moved = misassigned(case, found)
    column, values = found.place.scope.column or "", found.place.scope.values
    if moved is None:
        told = f"the shares of {column} are those of the reference"
        yield Clear(("experiment_misassignment",), Subject(), told, 0.03, "assignment.kept")
        return
    before, after, p_value = moved
    told = (
        f"answers do not follow where {column} is {', '.join(values[:4])}, and its share went from "
        f"{before:.1%} to {after:.1%}: requests are assigned otherwise than planned"
    )
    subject = Subject("segment", (column,))
    yield Finding(
        "assignment.ratio", subject, told, after - before, abs(after - before) * np.sqrt(case.current.rows),
        p_value, 1.0, ("experiment_misassignment",),
        scope=found.place.scope, onset=found.place.onset, repairs=(intended_answers(found, subject),),
    )  # fmt: skip
    others = ("mixed_versions", "hardware_fault", "wrong_version")
    yield acquits("assignment.explains", told, 10.0, others)


def _changed_alone(case: Case, values: tuple[str, ...]) -> str | None:
    """A change that names the hit values and no other: its id."""
    for change in case.changes:
        named = {part.strip() for part in change.entity.replace(";", ",").split(",")}
        if named and named <= set(values) and len(named) >= 0.6 * len(values):
            return change.id
    return None
