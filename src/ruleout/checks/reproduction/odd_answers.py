"""Answers that follow no model: one constant, one bad replica, scattered noise, none logged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._gap import has_scores, known_answers
from ruleout.checks.reproduction._hit import Hit, difference, disorder, hit, structure
from ruleout.checks.reproduction._locate import Place, locate
from ruleout.checks.reproduction._repairs import described, intended_answers
from ruleout.checks.reproduction._stories import (
    asked_for,
    best,
    coarser,
    coarser_where,
    is_answer,
    known_model,
    new_constant,
    rounded,
    stories,
)
from ruleout.checks.reproduction._view import SERVED, replay
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE
from ruleout.profile import Case, spread_rows

Mask = NDArray[np.bool_]
_ROWS = 20_000
_GIVEN = 0.95
_SEEN = 0.03
"""Share of rows beyond a surrogate's tolerance below which it says nothing of single answers."""


PIPELINE = Subject("pipeline", ())


@check(
    "constant_answers",
    layer="integration",
    rung="reproduction",
    looks_for=("fallback_overload", "observability_failure"),
    needs=("data.columns.prediction",),
)
def constant_answers(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Look for one answer that the reference hardly gave and many current rows got, whatever they asked."""
    del rng
    if not has_scores(case.outputs("current")) or not has_scores(case.outputs("reference")):
        yield from _constant_decisions(case)
        return
    new = new_constant(case)
    rows = spread_rows(case.current.rows, _ROWS)
    after = case.outputs("current").take(rows)
    flagged = is_answer(after, new.value) if new is not None else np.zeros(len(rows), dtype=bool)
    if new is None or flagged.sum() < 20:
        told = "no answer is given to many rows at once"
        yield Clear(("fallback_overload",), Subject(), told, 0.02)
        return
    if asked_for(case, rows, flagged) or _by_a_version(case):
        return
    if coarser(case.outputs("reference"), after.take(np.flatnonzero(~flagged))):
        told = "many rows share an answer because all answers now lie on a coarse grid"
        yield Clear(("fallback_overload",), Subject(), told, 0.1)
        return
    value, share, usual = new
    place = locate(case, rows, flagged.astype(float))
    if place.contrast and coarser_where(case, place.scope):
        return
    shown = ", ".join(f"{v:.4g}" for v in value[:4]) + (", ..." if len(value) > 4 else "")
    told = f"{share:.1%} of the current rows get the very same answer ({shown}), {usual:.1%} in the reference"
    yield _constant(
        case, place, value, share - usual, told=told + described(place.scope), n=len(rows)
    )


def _by_a_version(case: Case) -> bool:
    """Whether a model at hand gives all these answers: one of few leaves answers many rows alike."""
    told = stories(case).get("version")
    return told is not None and told.share > _GIVEN


def _constant(
    case: Case, place: Place, value: tuple[float, ...], share: float, *, told: str, n: int
) -> Finding:
    """All zeros are no probabilities: the log was filled, not the answer. Else it is a fallback."""
    supports: tuple[str, ...]
    blank = case.task != "regression" and all(v == 0.0 for v in value)
    one_host = place.contrast > 0 and len(place.scope.values) == 1 and place.others >= 2
    if blank:
        signal, supports = "constant.blank", ("observability_failure", "fallback_overload")
    elif one_host:
        signal, supports = "constant.one_host", ("hardware_fault", "fallback_overload")
    else:
        signal, supports = "constant.new", ("fallback_overload",)
    subject = (
        Subject("host", place.scope.values)
        if place.contrast > 0 and (blank or one_host)
        else PIPELINE
    )
    options = {"answer": value}
    return Finding(
        signal, subject, told, share, share * np.sqrt(n) / np.sqrt(share * (1 - share) + 1e-4), None,
        min(1.0, 0.5 + share * 5), supports, against=ELSEWHERE, scope=place.scope, onset=place.onset,
        repairs=(RepairPlan("without_constant", subject, place.scope, options),),
    )  # fmt: skip


def _constant_decisions(case: Case) -> Iterator[Outcome]:
    """Bare decisions: rows that do not follow all got the same class."""
    found, told = hit(case), stories(case).get("constant")
    if found is None or told is None or told.share < 0.4:
        return
    name = case.classes[int(told.options["answer"][0])] if case.classes else ""
    statement = f"answers that do not follow are nearly all {name!r}{described(found.place.scope)}"
    yield Finding(
        "constant.decision", PIPELINE, statement, told.share, found.replay.z, None, told.share,
        ("fallback_overload",), against=(), scope=found.place.scope, onset=found.place.onset,
        repairs=(intended_answers(found, PIPELINE),),
    )  # fmt: skip


@check(
    "scattered_differences",
    layer="model",
    rung="reproduction",
    looks_for=("runtime_numerics",),
    needs=("data.columns.prediction",),
)
def scattered_differences(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do answers differ as computing noise does: everywhere, in both directions, not following the inputs?"""
    found = hit(case)
    if found is None or found.place.contrast or known_model(case):
        return
    if not found.replay.exact and found.replay.wrong.mean() < _SEEN:
        return
    simple = best(case)
    coarse = coarser(case.outputs("reference"), case.outputs("current")) and rounded(found)
    if simple is not None and simple.share > 0.6 and not coarse:
        return
    garbage, follows = disorder(found, rng), structure(case, found, rng)
    balanced = _both_ways(found)
    if (follows > 0.25 and not coarse) or (garbage > 0.9 and found.share > 0.5):
        yield Clear(
            ("runtime_numerics",),
            Subject(),
            f"the difference follows the inputs ({follows:.0%})",
            0.25,
        )
        return
    rare = found.share < 0.45
    told = (
        f"{found.share:.0%} of the answers differ by {found.before:.3f} on average, "
        f"{'now and then' if rare else 'nearly everywhere'}, in both directions, whatever the inputs"
    )
    strength = float(np.clip(1 - follows / 0.25, 0.2, 1.0)) * (0.6 + 0.4 * balanced)
    if coarse:
        told += "; scores sit on a coarse grid"
        strength = 1.0
    yield Finding(
        "numerics.scattered" if found.replay.exact else "numerics.surrogate",
        SERVED, told, found.before, found.replay.z, None, strength, ("runtime_numerics",),
        against=(*ELSEWHERE, "wrong_version", "bad_retrain"), scope=found.place.scope,
        onset=found.place.onset, repairs=(intended_answers(found),),
    )  # fmt: skip


def _both_ways(found: Hit) -> float:
    """1 if as many differences are up as down, 0 if all go one way."""
    moved = difference(found)
    moved = moved[np.isfinite(moved) & (moved != 0)]
    up = float((moved > 0).mean()) if len(moved) else 0.5
    return float(1 - 2 * abs(up - 0.5))


@check(
    "unlogged_answers",
    layer="integration",
    rung="reproduction",
    looks_for=("observability_failure",),
    needs=("data.columns.prediction",),
)
def unlogged_answers(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Are rows there whose answer is missing from the log?"""
    del rng
    rows = [spread_rows(case.table(which).rows, _ROWS) for which in ("reference", "current")]
    before = ~known_answers(case.outputs("reference").take(rows[0]))
    after = ~known_answers(case.outputs("current").take(rows[1]))
    if not len(before) or not len(after) or after.all() or before.all():
        return
    more = float(after.mean() - before.mean())
    if more < 0.01 or after.sum() < 20:
        yield Clear(
            ("observability_failure",), Subject(), "answers are logged for all rows as before", 0.01
        )
        return
    place = locate(case, rows[1], after.astype(float))
    told = (
        f"{after.mean():.1%} of the current rows have no logged answer ({before.mean():.1%} before)"
    )
    subject = Subject("host", place.scope.values) if place.contrast else PIPELINE
    yield Finding(
        "answers.unlogged", subject, told + described(place.scope), more, more * np.sqrt(len(after)) * 2,
        None, min(1.0, 0.5 + more * 3), ("observability_failure",), against=("random_fluctuation",), scope=place.scope, onset=place.onset,
        repairs=(intended_answers_for(case, place, subject),),
    )  # fmt: skip


def intended_answers_for(case: Case, place: Place, subject: Subject) -> RepairPlan:
    """Fill in what the rows were most likely answered."""
    view = replay(case)
    options = {"model": view.name if view is not None else "surrogate", "only_unknown": True}
    return RepairPlan("intended_answers", subject, place.scope, options)
