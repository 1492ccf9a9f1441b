"""From two tables to a case: windows, kinds of columns, classes, answers and what replays them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from linked_world import ROLES, made, quiet, rows, served
from ruleout._errors import IncidentError, SourceError
from ruleout._records import Scope
from ruleout.checks.world.adversaries import actor_columns
from ruleout.incident import Columns, DataSpec, Incident, TableSpec, from_frames
from ruleout.profile import (
    METRICS,
    Case,
    Outputs,
    agreement,
    build_case,
    decision_threshold,
    iso,
    metric_for,
    numeric_array,
    row_loss,
    spread_rows,
    text_series,
)
from ruleout.profile._echoes import echoes
from ruleout.profile._read import read_window


@pytest.fixture(scope="module")
def case() -> Case:
    """Two quiet windows."""
    return made(quiet())


def case_of(reference: pl.DataFrame, current: pl.DataFrame, **more: Any) -> Case:
    return build_case(from_frames(reference, current, **more))


def test_inputs_are_what_has_no_other_role(case: Case) -> None:
    """Key, time, label, answers and segments are no inputs; the others are, each of its kind."""
    assert case.kinds == {
        "age": "numeric",
        "income": "numeric",
        "visits": "numeric",
        "city": "categorical",
    }
    assert case.segments == ("region",)
    assert case.classes == ("0", "1")


@pytest.mark.parametrize("asked", [False, True])
def test_what_the_model_said_is_no_input(*, asked: bool) -> None:
    """How sure the model was, logged again, explains every answer; a model that asks for such a column takes it."""
    frames = [
        f.with_columns(
            confidence=pl.max_horizontal("score", 1 - pl.col("score")).round(3),
            likeness=(pl.col("score") + 0.01).clip(0, 1),
        )
        for f in quiet()
    ]

    class Asks:
        requires = ("confidence",)

    one = made((frames[0], frames[1]))
    if asked:
        one.models = {"current": Asks()}
        assert echoes(one) == ()
        return
    assert "confidence" not in one.features
    assert "likeness" in one.features
    assert [s.status for s in one.sources if s.name.endswith("confidence")] == ["ok"]


@pytest.mark.parametrize("own", [False, True])
def test_the_size_of_a_file_is_no_input_of_its_own(*, own: bool) -> None:
    """A column that is the length of the image beside it is left out; one that is so no longer may be at fault."""
    frames = []
    for many, factor in ((200, 1), (150, 1000 if own else 1)):
        rng = np.random.default_rng(many)
        files = [bytes(int(size)) for size in rng.integers(900, 1100, many)]
        frames.append(
            pl.DataFrame(
                {
                    "photo": pl.Series(files, dtype=pl.Binary),
                    "size": [len(f) * factor for f in files],
                    "height": rng.normal(size=many),
                }
            )
        )
    columns = Columns(image="photo", features=("size", "height"))
    data = DataSpec(TableSpec(frame=frames[0]), TableSpec(frame=frames[1]), columns)
    case = build_case(Incident("made", "multiclass", data=data))
    assert ("size" in case.features) == own
    assert "size" not in actor_columns(case)
    assert {"photo", "height"} <= set(case.features)


def test_rows_are_in_order_of_time() -> None:
    """Rows given in any order are sorted by their timestamp, labels and answers with them."""
    reference, current = quiet(500)
    mixed = made((reference, current.sample(fraction=1.0, shuffle=True, seed=0)))
    assert mixed.current.time is not None
    assert (np.diff(mixed.current.time) >= 0).all()
    assert mixed.current.frame["key"].to_list() == current["key"].to_list()
    assert mixed.truth("current").tolist() == current["label"].to_list()


def test_codes_are_shared_by_both_windows() -> None:
    """A category has one code in both windows, a value seen only now included; missing is -1."""
    first = pl.DataFrame({"c": ["b", "a", None] * 20})
    second = pl.DataFrame({"c": ["a", "z", None] * 20})
    told = case_of(first, second)
    assert told.vocabulary("c") == ("a", "b", "z")
    assert told.codes("reference", "c")[:3].tolist() == [1, 0, -1]
    assert told.codes("current", "c")[:3].tolist() == [0, 2, -1]


def test_numbers_are_read_from_many_types() -> None:
    """Booleans are 0 and 1, instants epoch seconds, text numbers, and what is missing NaN."""
    frame = pl.DataFrame(
        {
            "yes": [True, False, None],
            "at": [datetime(1970, 1, 2, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC)],
            "text": [" 1.5", "x", None],
        }
    )
    told = {n: numeric_array(frame, n).tolist() for n in frame.columns}
    assert told["yes"][:2] == [1.0, 0.0]
    assert told["at"][0] == 86_400
    assert told["text"][0] == 1.5
    assert [sum(map(math.isnan, v)) for v in told.values()] == [1, 1, 2]
    assert np.isnan(numeric_array(frame, "absent")).all()


def test_whole_floats_are_written_as_integers() -> None:
    """A code that became 1.0 beside a null is the same category as 1."""
    frame = pl.DataFrame({"a": [1.0, None], "b": [1.5, 2.0]})
    assert text_series(frame, "a").to_list() == ["1", None]
    assert text_series(frame, "b").to_list() == ["1.5", "2.0"]


def test_dates_in_text_are_dates() -> None:
    """Texts that are all dates are datetimes, other texts categories."""
    frame = pl.DataFrame({"day": ["2024-01-01", "2024-02-01"] * 20, "word": ["2024-01", "b"] * 20})
    told = case_of(frame, frame.head(40))
    assert (told.kind("day"), told.kind("word")) == ("datetime", "categorical")


def test_the_positive_class_is_the_one_declared() -> None:
    """`positive` decides which class is the positive one; a value that there is not is refused."""
    frame = pl.DataFrame({"y": ["good", "bad"] * 30, "p": ["bad", "bad"] * 30, "x": range(60)})
    roles: dict[str, Any] = {"task": "binary", "target": "y", "prediction": "p"}
    assert case_of(frame, frame.head(40), positive="bad", **roles).classes == ("good", "bad")
    with pytest.raises(
        IncidentError, match=r"the arguments: data\.columns\.positive is 'ugly'.*valid: bad, good"
    ):
        case_of(frame, frame.head(40), positive="ugly", **roles)


def test_unknown_labels_are_minus_one() -> None:
    """Missing labels are unknown, and their loss is not a number."""
    reference, current = quiet(500)
    part = current.with_columns(
        pl.when(pl.int_range(pl.len()) < 100).then(None).otherwise(pl.col("label")).alias("label")
    )
    told = made((reference, part))
    assert (told.truth("current")[:100] == -1).all()
    assert np.isnan(told.loss("current")[:100]).all()
    assert np.isfinite(told.loss("current")[100:]).all()


def test_scores_alone_give_decisions() -> None:
    """Without logged decisions the score is cut at one half."""
    reference, current = (f.drop("said") for f in quiet(500))
    roles = {k: v for k, v in ROLES.items() if k != "prediction"}
    told = build_case(from_frames(reference, current, task="binary", **roles)).outputs("current")
    assert told.score is not None
    assert (told.decision == (told.score >= 0.5)).all()


def test_the_threshold_in_force_is_read_from_the_log() -> None:
    """Decisions made at 0.3 show that cut; one that one half explains is one half."""
    score = np.random.default_rng(0).random(500)
    assert decision_threshold(score, (score >= 0.3).astype(int)) == pytest.approx(0.3, abs=0.02)
    assert decision_threshold(score, (score >= 0.5).astype(int)) == 0.5
    assert decision_threshold(score, np.ones(500, dtype=int)) == 0.5


def test_a_scope_covers_its_rows(case: Case) -> None:
    """A scope is a stretch of time, values of a column, or both; an empty one covers all."""
    assert case.current.time is not None
    middle = float(case.current.time[1500])
    west = (case.current.frame["region"] == "west").to_numpy()
    assert case.scope_rows(Scope()).all()
    assert case.scope_rows(Scope(since=middle)).sum() == 1500
    both = Scope(until=middle, column="region", values=("west",))
    assert (case.scope_rows(both) == (west & (np.arange(3000) < 1500))).all()


def test_random_choices_depend_on_seed_and_name(case: Case) -> None:
    """The same name draws the same numbers, another name others."""
    one, same, other = (case.rng(n).random(4).tolist() for n in ("a", "a", "b"))
    assert one == same != other


def test_a_surrogate_learns_what_was_served(case: Case) -> None:
    """Without a model, a booster replays the answers, closely on rows that it has not seen."""
    assert case.predictor is not None
    assert case.predictor.kind == "surrogate"
    assert case.predictor.fidelity > 0.9
    replayed = case.predictor.predict(case.current.frame)
    assert (replayed.decision == case.outputs("current").decision).mean() > 0.93


def answering(frame: Any) -> Any:
    """The model that served."""
    return served(pl.DataFrame(frame))["score"].to_numpy()


def guessing(frame: Any) -> Any:
    """A model that did not."""
    return np.random.default_rng(len(frame)).random(len(frame))


def with_model(model: Any, *, trust: bool) -> Case:
    incident = from_frames(*quiet(800), task="binary", model=model, **ROLES)
    return build_case(incident, trust_model=trust)


def test_a_model_that_reproduces_is_preferred() -> None:
    """A model that gives what was served replays it; one that does not is replaced by a surrogate."""
    good, bad = with_model(answering, trust=True), with_model(guessing, trust=True)
    assert good.predictor is not None
    assert bad.predictor is not None
    assert (good.predictor.kind, good.predictor.fidelity) == ("model", 1.0)
    assert bad.predictor.kind == "surrogate"


def test_code_is_not_run_without_trust() -> None:
    """A model that would execute code is a failed source unless it is trusted, and the reason says how."""
    told = with_model(answering, trust=False)
    (status,) = [s for s in told.sources if s.name == "models.current"]
    assert status.status == "failed"
    assert "trust_model=True" in (status.reason or "")
    assert not told.models


def test_nothing_replays_where_nothing_was_served() -> None:
    """Without answers there is no predictor, and the rest of the case stands."""
    told = case_of(rows(400, 0).drop("said", "score"), rows(400, 1).drop("said", "score"))
    assert told.predictor is None
    assert told.current.rows == 400


def test_agreement_is_the_share_of_equal_answers(case: Case) -> None:
    """Equal answers agree wholly, turned ones not at all, and nothing has no agreement."""
    said = Outputs(np.array([0, 1, 1, -1], dtype=np.int32))
    turned = Outputs(np.array([1, 0, 0, 0], dtype=np.int32))
    assert agreement(case, said, said) == 1.0
    assert agreement(case, said, turned) == 0.0
    assert math.isnan(agreement(case, said.take(np.array([3])), turned.take(np.array([3]))))


def test_an_empty_window_is_a_source_without_rows() -> None:
    """A current table without rows is read, and said to be empty."""
    reference, current = quiet(300)
    told = made((reference, current.head(0)))
    status = {s.name: s.status for s in told.sources}
    assert status["data.reference"] == "ok"
    assert status["data.current"] == "empty"


def test_a_table_that_is_not_there_is_named(tmp_path: Any) -> None:
    """A missing file is a failed source with the reason, and a window without rows."""
    reference, _ = quiet(300)
    found = build_case(from_frames(reference, tmp_path / "gone.parquet", task="binary", **ROLES))
    assert isinstance(found.unread["data.current"], SourceError)
    assert "gone.parquet" in str(found.unread["data.current"])
    assert {s.name: s.status for s in found.sources} == {
        "data.reference": "ok",
        "data.current": "failed",
    }
    assert found.current.rows == 0


TRUTH = np.array([1, 1, 1, 0, 0, -1], dtype=np.int32)
SAID = Outputs(
    np.array([1, 1, 0, 1, 0, 0], dtype=np.int32), np.array([0.9, 0.8, 0.4, 0.6, 0.2, 0.1])
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 3 / 5),
        ("precision", 2 / 3),
        ("recall", 2 / 3),
        ("f1", 2 / 3),
        ("balanced_accuracy", (2 / 3 + 1 / 2) / 2),
        ("auc", 5 / 6),
        ("brier", (0.01 + 0.04 + 0.36 + 0.36 + 0.04) / 5),
        ("log_loss", -np.log([0.9, 0.8, 0.4, 0.4, 0.8]).mean()),
    ],
)
def test_metrics_of_classes_are_those_of_the_textbook(name: str, expected: float) -> None:
    """Over the rows whose label is known, each metric has its usual value."""
    assert METRICS[name].value(TRUTH, SAID) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mae", 1.0), ("mse", 5 / 3), ("rmse", math.sqrt(5 / 3)), ("bias", 1 / 3), ("r2", 1 - 5 / 8)],
)
def test_metrics_of_numbers_are_those_of_the_textbook(name: str, expected: float) -> None:
    """Over the rows whose label is known, each metric has its usual value."""
    truth = np.array([1.0, 3.0, 5.0, np.nan])
    said = Outputs(np.array([2.0, 2.0, 6.0, 0.0]))
    if name in ("mse", "rmse", "r2"):
        said = Outputs(np.array([2.0, 3.0, 7.0, 0.0]))
    assert METRICS[name].value(truth, said) == pytest.approx(expected)


def test_sums_of_blocks_are_the_whole() -> None:
    """A metric from the sums over blocks is the metric over all rows."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400).astype(np.int32)
    score = np.round(rng.random(400), 3)
    said = Outputs((score > 0.5).astype(np.int32), score)
    block = np.arange(400) // 100
    for name in ("accuracy", "f1", "auc", "log_loss", "balanced_accuracy"):
        metric = METRICS[name]
        sums = metric.sums(truth, said, block, 4)
        assert float(metric.finish(sums.sum(axis=0)[None])[0]) == pytest.approx(
            metric.value(truth, said)
        )


def test_unknown_metrics_fall_back_to_the_tasks_own() -> None:
    """A name in any spelling is found; one that is none of the task's gives the task's default."""
    assert metric_for("binary", "ROC-AUC").name == "auc"
    assert metric_for("binary", "profit").name == "accuracy"
    assert metric_for("regression", "accuracy").name == "mae"
    assert metric_for("multiclass", "F1").name == "macro_f1"
    assert metric_for("ranking", None).name == "auc"


def test_loss_is_error_or_distance() -> None:
    """A wrong class costs 1, a number its distance, an unknown label nothing that can be told."""
    wrong = row_loss(TRUTH, SAID)
    assert wrong[:5].tolist() == [0, 0, 1, 1, 0]
    assert math.isnan(wrong[5])
    assert row_loss(np.array([1.0, 4.0]), Outputs(np.array([3.0, 4.0]))).tolist() == [2.0, 0.0]


def test_rows_are_spread_over_time() -> None:
    """At most as many rows as asked for, from the first to the last."""
    assert spread_rows(5, 10).tolist() == [0, 1, 2, 3, 4]
    told = spread_rows(1000, 10)
    assert len(told) == 10
    assert (told[0], told[-1]) == (0, 999)


def test_instants_are_written_in_utc() -> None:
    """Epoch seconds are ISO 8601 to the second; what is no instant is refused."""
    assert iso(0.4) == "1970-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="nan"):
        iso(math.nan)


def test_rows_without_a_key_are_sampled_like_others() -> None:
    """Of a window that is too large, as many rows without a key are kept as with one; repeats of a key stay together."""
    keys = [None if i % 2 else i // 4 for i in range(4000)]
    frame = pl.DataFrame({"key": keys, "x": range(4000)})

    class Rows:
        def scan(self) -> pl.LazyFrame:
            return frame.lazy()

    kept, _, profile = read_window(Rows(), key="key", timestamp=None, limit=1000)
    assert profile.rows == 4000
    assert kept.columns == ["key", "x"]
    assert kept["key"].null_count() == pytest.approx(500, abs=80)
    assert set(kept["key"].drop_nulls().value_counts()["count"]) == {2}
