"""What was measured is named; what was not is neither called well nor ruled out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ruleout
from linked_world import ROLES, START, Frames, broken, quiet
from ruleout import IncidentError, SourceError
from ruleout._diagnose import run
from ruleout.incident import from_frames
from ruleout.profile import METRICS, metric_for, same_metric

UNLABELLED = {k: v for k, v in ROLES.items() if k != "target"}
UNANSWERED = {k: v for k, v in ROLES.items() if k in ("timestamp", "id", "features")}


def diagnosed(frames: Frames, roles: dict[str, Any] = ROLES, **more: Any) -> Any:
    reference, current = frames
    parts = {"task": "binary", **roles, **more}
    return ruleout.diagnose(reference=reference, current=current, **parts).diagnosis


def statement(diagnosis: Any, check: str = "metric_change") -> str:
    return next(
        (e.statement for e in diagnosis.evidence if e.check == check), "no evidence of the metric"
    )


def test_where_nothing_is_measured_nothing_is_called_usual() -> None:
    """Without labels and answers no change of any metric is told, and chance is not ruled in or out."""
    reference, current = (f.drop("label", "said", "score", strict=False) for f in quiet())
    told = diagnosed((reference, current), UNANSWERED)
    assert told.verdict == "inconclusive"
    assert told.symptom.metric is None
    assert told.symptom.significant is None
    assert "random_fluctuation" not in {h.failure_mode for h in told.hypotheses}
    assert "random_fluctuation" not in {r.failure_mode for r in told.ruled_out}
    assert {n.failure_mode: n.needs for n in told.not_checked}["random_fluctuation"] == (
        "data.columns.target"
    )


def test_inputs_that_broke_are_named_though_nothing_is_measured() -> None:
    """A thousandfold income leads also where no metric says that it does harm."""
    reference, current = (
        f.drop("label", "said", "score", strict=False) for f in broken(pl.col("income") * 1000)
    )
    told = diagnosed((reference, current), UNANSWERED)
    assert told.hypotheses[0].failure_mode == "unit_change"


def test_without_labels_the_shift_of_the_answers_is_the_metric() -> None:
    """The shift is told by its own name, against what chance alone would give, inside its interval."""
    told = diagnosed(broken(pl.col("income") * 1000), UNLABELLED, metric="accuracy")
    symptom = told.symptom
    assert symptom.metric == "output_shift"
    assert symptom.significant
    assert 0 < symptom.reference < symptom.current
    assert symptom.low <= symptom.change <= symptom.high
    assert "stands for accuracy, which cannot be measured" in statement(told)


@pytest.mark.parametrize("rows", [500, 3000])
def test_answers_of_two_quiet_windows_shift_as_chance_has_it(rows: int) -> None:
    """However few the rows, the scatter of a histogram is no shift."""
    reference, current = (f.head(rows) for f in quiet())
    told = diagnosed((reference, current), UNLABELLED)
    assert told.symptom.significant is not True
    assert told.symptom.low < 0 < told.symptom.high


def test_a_fault_that_turned_few_answers_is_not_lost_to_chance() -> None:
    """Ages lost in one row of twenty shift the answers hardly more than chance does, and still lead."""
    lost = pl.Series(np.random.default_rng(9).random(3000) < 0.05)
    age = pl.when(lost).then(None).otherwise(pl.col("age"))
    told = diagnosed(broken(age.alias("age")), UNLABELLED)
    assert told.symptom.significant is not True
    assert told.hypotheses[0].failure_mode == "silent_nulls"


@pytest.mark.parametrize("sizes", [(0, 3000), (3000, 0), (0, 0), (1, 1), (2, 2), (3000, 1)])
def test_hardly_a_row_rules_nothing_out(sizes: tuple[int, int]) -> None:
    """Of windows with no rows, or fewer than any test could use, no mode is cleared and no change is real."""
    reference, current = quiet()
    told = diagnosed((reference.head(sizes[0]), current.head(sizes[1])))
    assert told.ruled_out == ()
    assert told.symptom.change is None
    assert told.symptom.significant is None
    assert told.verdict == "inconclusive"


def test_texts_that_are_all_missing_rule_no_truncation_out() -> None:
    """Where no text was logged, nobody knows whether texts were cut."""
    frames = tuple(f.with_columns(note=pl.lit(None, dtype=pl.String)) for f in quiet())
    told = diagnosed(frames, {**ROLES, "text": "note"})  # type: ignore[arg-type]
    assert "context_truncation" not in {r.failure_mode for r in told.ruled_out}


@pytest.mark.parametrize(
    ("task", "name", "meant"),
    [("binary", "acuracy", "accuracy"), ("binary", "roc_acu", "auc"), ("binary", "f1_scor", "f1")],
)
def test_a_slip_in_the_metric_is_refused(task: str, name: str, meant: str) -> None:
    """A name that is nearly a metric of the task is told with the one that was meant."""
    with pytest.raises(IncidentError, match=f"symptom.metric is '{name}'.*mean '{meant}'"):
        diagnosed(quiet(), task=task, metric=name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rmse", "stands for rmse, which the task binary does not have"),
        ("checkout_rate", "stands for checkout_rate, which the rows cannot give"),
        ("error_rate", "stands for error_rate"),
        ("mcc", "stands for mcc, which the rows cannot give"),
    ],
)
def test_another_metric_goes_by_its_own_name(name: str, why: str) -> None:
    """What the rows cannot give is measured by the task's default, which says so."""
    told = diagnosed(broken(pl.col("income") * 1000), metric=name)
    assert told.symptom.metric == "accuracy"
    assert told.symptom.significant
    assert why in statement(told)


@pytest.mark.parametrize("name", ["accuracy", "Accuracy", "acc"])
def test_a_metric_keeps_the_incidents_word_for_it(name: str) -> None:
    """Another spelling of the metric that was measured is no other metric."""
    told = diagnosed(quiet(), metric=name)
    assert told.symptom.metric == name
    assert "stands for" not in statement(told)


def test_the_direction_of_another_metric_is_not_the_direction_of_what_stands_for_it() -> None:
    """An error rate that rose is an accuracy that fell."""
    incident = from_frames(*broken(pl.col("income") * 1000), task="binary", **ROLES)
    asked = replace(incident.symptom, metric="error_rate", direction="up")
    told = run(replace(incident, symptom=asked))
    assert told.symptom.change < 0
    assert told.symptom.significant


@pytest.mark.parametrize(("name", "same"), [("roc_auc", True), ("AUC", True), ("gini", False), ("ndcg", False), ("live_auc", False)])  # fmt: skip
def test_names_that_mean_just_that_metric(name: str, same: bool) -> None:
    """What moves with a metric is not the metric, though it is measured by it."""
    assert metric_for("binary", name) is METRICS["auc"]
    assert same_metric(name, METRICS["auc"]) is same


def test_labels_that_nothing_dates_are_not_called_final() -> None:
    """A column of times that holds none says neither that labels are final nor that they are not."""
    reference, current = (f.with_columns(final=pl.lit("soon")) for f in quiet())
    told = diagnosed((reference, current), {**ROLES, "label_available_at": "final"})
    assert told.symptom.labels == "unknown"
    assert "immature_labels" not in {r.failure_mode for r in told.ruled_out}
    dated = current.with_columns(final=pl.lit(datetime.fromtimestamp(START, UTC)))
    told = diagnosed((reference, dated), {**ROLES, "label_available_at": "final"})
    assert told.symptom.labels == "mature"


def test_a_regression_has_no_accuracy() -> None:
    """The mean absolute error stands for an accuracy that numbers do not have."""
    rng = np.random.default_rng(0)
    frames = [
        pl.DataFrame({"x": (x := rng.normal(0, 1, 800)), "y": 2 * x, "said": 2 * x + 0.1 + extra})
        for extra in (0.0, 3.0)
    ]
    roles = {"target": "y", "prediction": "said"}
    told = diagnosed(tuple(frames), roles, task="regression", metric="accuracy")  # type: ignore[arg-type]
    assert told.symptom.metric == "mae"
    assert "which the task regression does not have" in statement(told)


def _folder(folder: Path, **more: str) -> Path:
    """An incident folder whose current table is not there."""
    reference, _ = quiet()
    reference.write_parquet(folder / "reference.parquet")
    expected = np.linspace(0.1, 0.9, 80)
    pl.DataFrame(
        {"income": expected, "expected": expected, "served_score": expected}
    ).write_parquet(folder / "golden.parquet")
    roles = "".join(
        f"    {k}: {v}\n" for k, v in {**ROLES, **more}.items() if isinstance(v, str | int)
    )
    (folder / "incident.yaml").write_text(
        "version: 1\ntitle: gone\ntask: binary\ndata:\n  reference: reference.parquet\n"
        f"  current: nowhere.parquet\n  columns:\n{roles}"
    )
    return folder


def test_a_table_that_cannot_be_read_is_no_end_where_a_probe_can(tmp_path: Path) -> None:
    """The golden set is still looked at; the table is a failed source, with the modes that it would have served."""
    folder = _folder(tmp_path)
    with (folder / "incident.yaml").open("a") as file:
        file.write("probes:\n  golden: {inputs: golden.parquet, expected: expected}\n")
    told = ruleout.diagnose(folder).diagnosis
    assert {s.name: s.status for s in told.run.sources}["data.current"] == "failed"
    assert {e.check for e in told.evidence} == {"golden_set"}
    blind = {n.failure_mode for n in told.not_checked if n.needs.startswith("data.current: ")}
    assert {"unit_change", "covariate_shift"} <= blind
    assert "random_fluctuation" not in {r.failure_mode for r in told.ruled_out}


def test_a_table_that_cannot_be_read_is_an_error_where_nothing_else_can(tmp_path: Path) -> None:
    """A reference alone has nothing to tell."""
    with pytest.raises(SourceError, match=r"data.current: .*nowhere.parquet does not exist"):
        ruleout.diagnose(_folder(tmp_path))
