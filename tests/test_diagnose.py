"""Whole incidents of one small world: from two tables to the named cause."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import ruleout
from linked_world import ROLES, Frames, broken, late, quiet, served
from ruleout._diagnose import _by_version
from ruleout._records import Hypothesis, Subject
from ruleout.incident import Columns, DataSpec, Incident, TableSpec
from ruleout.incident._model import ModelSpec
from ruleout.postmortem._words import subject_text

_SCHEMA = Path(__file__).parents[1] / "docs" / "diagnosis.schema.json"


def diagnosed(frames: Frames, **more: Any) -> ruleout.Answer:
    reference, current = frames
    answer = ruleout.diagnose(
        reference=reference,
        current=current,
        task="binary",
        metric="accuracy",
        **{**ROLES, **more},
    )
    jsonschema.validate(json.loads(answer.to_json()), json.loads(_SCHEMA.read_text()))
    return answer


def lost(name: str, share: float) -> Frames:
    hit = np.random.default_rng(9).random(3000) < share
    return broken(pl.when(pl.Series(hit)).then(None).otherwise(pl.col(name)).alias(name))


def stale() -> Frames:
    reference, current = quiet()
    return reference, served(
        current.with_columns(pl.col("income").gather(np.arange(3000) // 12 * 12))
    )


def repeated() -> Frames:
    reference, current = quiet()
    again = current.sample(900, with_replacement=True, seed=3)
    return reference, pl.concat([current, again]).sort("ts")


CAUSES: dict[str, tuple[Callable[[], Frames], str, tuple[str, ...]]] = {
    "thousands for units": (
        lambda: broken(pl.col("income") * 1000),
        "unit_change",
        ("income",),
    ),
    "months for years": (lambda: broken(pl.col("age") * 12), "unit_change", ("age",)),
    "half of the ages lost": (lambda: lost("age", 0.5), "silent_nulls", ("age",)),
    "codes permuted": (
        lambda: broken(pl.col("city").replace({"aa": "bb", "bb": "aa", "cc": "dd", "dd": "cc"})),
        "category_recode",
        ("city",),
    ),
    "columns exchanged": (
        lambda: broken(pl.col("income").alias("age"), pl.col("age").alias("income")),
        "feature_swap",
        ("age", "income"),
    ),
    "values repeated": (stale, "stale_features", ("income",)),
    "incomes cut": (
        lambda: broken(pl.col("income").clip(upper_bound=40.0)),
        "precision_loss",
        ("income",),
    ),
    "rows twice": (repeated, "join_fanout", ("key",)),
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_fault_that_was_made_leads(name: str) -> None:
    """Each of these faults, made to a quiet world, is the first hypothesis, with its input."""
    make, mode, names = CAUSES[name]
    first = diagnosed(make()).hypotheses[0]
    assert (first.failure_mode, tuple(sorted(first.subject.names))) == (mode, names)


def test_a_unit_is_confirmed_by_undoing_it() -> None:
    """Divided back, the metric returns: the cause is confirmed with most of the symptom explained."""
    answer = diagnosed(broken(pl.col("income") * 1000))
    first = answer.hypotheses[0]
    assert answer.verdict == "cause_found"
    assert first.status == "confirmed"
    assert first.explained is not None
    assert first.explained.fraction > 0.7
    assert first.explained.low <= first.explained.fraction <= first.explained.high
    assert answer.diagnosis.symptom.significant


def test_a_quiet_pair_has_no_cause() -> None:
    """Two windows of one world are no incident, and nothing in them is called a cause."""
    answer = diagnosed(quiet())
    assert answer.verdict != "cause_found"
    assert answer.diagnosis.symptom.significant is not True
    assert {r.failure_mode for r in answer.diagnosis.ruled_out} >= {"unit_change", "feature_swap"}


def test_a_fault_of_the_second_day_is_dated() -> None:
    """A unit that changed in the middle of the window is found with the hour it began."""
    reference, current = quiet()
    income = pl.when(late(current)).then(pl.col("income") * 1000).otherwise(pl.col("income"))
    first = diagnosed((reference, served(current.with_columns(income.alias("income"))))).hypotheses[
        0
    ]
    assert first.failure_mode == "unit_change"
    assert first.onset is not None
    assert first.onset.low <= first.onset.at <= first.onset.high
    assert first.onset.at.startswith(("2023-11-21", "2023-11-20T2", "2023-11-22"))


def test_two_faults_are_both_named() -> None:
    """Lost ages and a permuted code at once: both are believed, each with a share of its own."""
    reference, current = lost("age", 0.5)
    swapped = {"aa": "bb", "bb": "aa", "cc": "dd", "dd": "cc"}
    current = served(current.with_columns(pl.col("city").replace(swapped)))
    answer = diagnosed((reference, current))
    believed = {h.failure_mode for h in answer.hypotheses if h.probability > 0.5}
    assert believed == {"silent_nulls", "category_recode"}
    assert sum(h.explained.fraction for h in answer.hypotheses[:2] if h.explained) <= 1.0


def test_probabilities_are_bounded_and_ranked() -> None:
    """Hypotheses come by probability, ranks count from 1, evidence they cite is there."""
    answer = diagnosed(lost("age", 0.5))
    told = [h.probability for h in answer.hypotheses]
    assert told == sorted(told, reverse=True)
    assert all(0 <= p <= 1 for p in told)
    assert [h.rank for h in answer.hypotheses] == list(range(1, len(told) + 1))
    known = {e.id for e in answer.diagnosis.evidence}
    cited = {i for h in answer.hypotheses for i in (*h.evidence_for, *h.evidence_against)}
    assert cited <= known


def test_a_repeat_gives_the_same_diagnosis() -> None:
    """The same tables and seed give the same answer, but for the time it took."""
    told = [json.loads(diagnosed(lost("age", 0.3)).to_json()) for _ in range(2)]
    for one in told:
        one.pop("run")
    assert told[0] == told[1]


def test_progress_is_told() -> None:
    """Whoever listens hears what is going on, from the tables to the repairs."""
    from ruleout._diagnose import run
    from ruleout.incident import from_frames

    heard: list[str] = []
    run(from_frames(*quiet(400), task="binary", **ROLES), progress=heard.append)
    assert heard[0] == "reading tables"
    assert "running checks" in heard


def test_a_model_is_named_by_its_version_as_well() -> None:
    """Whoever reads of the current model sees which one that is; without a version its role has to do."""
    told = Hypothesis(
        1, "threshold_change", "model", Subject("model", ("current",)), 0.9, "supported"
    )
    data = DataSpec(TableSpec(uri="a"), TableSpec(uri="b"), Columns())
    named = Incident("t", "binary", data=data, models={"current": ModelSpec("m", version="7")})
    subject = _by_version(told, named).subject
    assert subject.names == ("current", "7")
    assert subject_text(subject) == "the current model (7)"
    plain = _by_version(
        told, Incident("t", "binary", data=data, models={"current": ModelSpec("m")})
    )
    assert subject_text(plain.subject) == "the current model"
