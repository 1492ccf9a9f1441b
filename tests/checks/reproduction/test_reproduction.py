"""Served answers that do not reproduce, and the explanation of each."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding
from ruleout.checks._run import available
from ruleout.stats._maps import logit

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import DAY, START, cleared, healthy, new_score, old_score, run, supported, undone

ALL = (
    "model_reproduction",
    "version_swap",
    "answer_maps",
    "decision_policy",
    "constant_answers",
    "replicas",
    "assignment",
    "scattered_differences",
    "unlogged_answers",
)
BOTH = {"current": new_score, "previous": old_score}


@pytest.mark.parametrize("models", [BOTH, {}])
def test_a_healthy_system_is_cleared(models: dict[str, Any]) -> None:
    """With the model, or a surrogate, nothing is accused and the model's modes are ruled out."""
    outcomes = run(healthy(models=models).case(), *ALL)
    assert supported(outcomes) == set()
    assert {"wrong_version", "calibration_change", "class_map_mismatch"} <= cleared(outcomes)
    assert {"threshold_change", "fallback_overload"} <= cleared(outcomes)


def test_inputs_that_moved_do_not_accuse_the_model() -> None:
    """A feature in another unit leaves the way from inputs to answers alone, with and without model."""
    for models in (BOTH, {}):
        system = healthy(models=models)
        moved = system.current.with_columns(amount=pl.col("amount") * 40 + 3)
        system.frames["current"] = moved
        outcomes = run(system.serve(new_score(moved)).case(), *ALL)
        assert "wrong_version" not in supported(outcomes)


def test_the_previous_version_is_recognised() -> None:
    """Answers that an earlier model gives, since an instant, are its; replaying the right one mends."""
    system = healthy(models=BOTH)
    since = system.place() > 0.4
    case = system.serve(old_score(system.current), since).case()
    outcomes = run(case, *ALL)
    assert supported(outcomes) == {"wrong_version"}
    found = next(
        o for o in outcomes if isinstance(o, Finding) and o.signal == "other_version.whole"
    )
    assert found.scope.since == pytest.approx(case.current.time[int(0.4 * 3000)], abs=7_000)  # type: ignore[index]
    assert undone(case, outcomes, "wrong_version") > 0.7


def test_some_replicas_on_the_previous_version_are_a_mixed_fleet() -> None:
    """When only some hosts answer as the earlier model, they are named."""
    system = healthy(models=BOTH)
    hosts = system.current["host"].is_in(["b", "d"]).to_numpy()
    outcomes = run(system.serve(old_score(system.current), hosts).case(), *ALL)
    assert supported(outcomes) == {"mixed_versions"}
    found = next(o for o in outcomes if isinstance(o, Finding) and "mixed_versions" in o.supports)
    assert found.subject.names == ("b", "d")


def worse_on_web(frame: pl.DataFrame) -> Any:
    """A retrain that learned one slice upside down."""
    score = new_score(frame)
    return np.where((frame["device"] == "web").to_numpy(), 1 - score, score)


def heavier(frame: pl.DataFrame) -> Any:
    """A retrain that weighs positives more, with a little noise of its own."""
    noise = 0.25 * np.sin(9 * frame["rate"].to_numpy())
    return 1 / (1 + np.exp(-(logit(new_score(frame)) + 2.0 + noise)))


@pytest.mark.parametrize(
    ("model", "mode"), [(worse_on_web, "bad_retrain"), (heavier, "class_weight_change")]
)
@pytest.mark.parametrize("old", [True, False])
def test_a_new_version_is_judged_by_the_2x2(model: Any, mode: str, old: bool) -> None:
    """A new version that is worse on the same rows is blamed, and told by how it differs."""
    models = {"current": model} | ({"previous": new_score} if old else {})
    system = healthy(models=models)
    case = system.serve(model(system.current), system.place() > 0.3).case()
    outcomes = run(case, *ALL)
    assert mode in supported(outcomes)
    assert "wrong_version" not in supported(outcomes)
    assert undone(case, outcomes, mode) > 0.7


def test_a_new_version_that_does_no_harm_is_cleared() -> None:
    """Another version that answers as well is not accused."""

    def alike(frame: pl.DataFrame) -> Any:
        return np.clip(new_score(frame) + 0.04 * np.sin(frame["age"].to_numpy() * 7), 0, 1)

    system = healthy(models={"current": alike, "previous": new_score})
    outcomes = run(system.serve(alike(system.current)).case(), *ALL)
    assert "bad_retrain" in cleared(outcomes)
    assert supported(outcomes) == set()


@pytest.mark.parametrize("models", [{"current": new_score}, {}])
def test_a_recalibrated_score_is_a_monotone_map(models: dict[str, Any]) -> None:
    """A temperature and a bias behind the model are found and undone."""
    system = healthy(models=models)
    score = 1 / (1 + np.exp(-(2.2 * logit(new_score(system.current)) + 1.6)))
    case = system.serve(score).case()
    outcomes = run(case, *ALL)
    assert "calibration_change" in supported(outcomes)
    assert "wrong_version" not in supported(outcomes)
    assert undone(case, outcomes, "calibration_change") > 0.7


@pytest.mark.parametrize("models", [{"current": new_score}, {}])
def test_exchanged_class_names_are_a_permutation(models: dict[str, Any]) -> None:
    """One minus the score is the other class's name."""
    system = healthy(models=models)
    case = system.serve(1 - new_score(system.current)).case()
    outcomes = run(case, *ALL)
    assert "class_map_mismatch" in supported(outcomes)
    assert undone(case, outcomes, "class_map_mismatch") > 0.7


def test_class_names_exchanged_in_ever_more_rows_are_told_without_a_model() -> None:
    """A fleet that changes over answers under its own and the other class's name, and another model does neither."""
    system = healthy(models={})
    score = new_score(system.current)
    turned = np.random.default_rng(5).random(system.rows) < np.linspace(0.1, 0.9, system.rows)
    case = system.serve(np.where(turned, 1 - score, score)).case()
    outcomes = run(case, *ALL)
    assert "class_map_mismatch" in supported(outcomes)
    assert undone(case, outcomes, "class_map_mismatch") > 0.7
    other = healthy(models={})
    case = other.serve(old_score(other.current)).case()
    assert "class_map_mismatch" not in supported(run(case, *ALL))


def test_a_line_is_told_by_bare_decisions_alone() -> None:
    """Without scores and without a model, decisions that turned one way, the least sure first, tell of a line."""
    system = healthy(models={})
    system.serve(new_score(system.current), threshold=0.85)
    found = [
        o
        for o in run(system.case(score=None), "decision_policy")
        if isinstance(o, Finding) and o.signal == "threshold.guessed"
    ]
    assert found[0].supports[0] == "threshold_change"


@pytest.mark.parametrize("how", ["model", "fallback", "same"])
def test_other_models_and_fallbacks_draw_no_line(how: str) -> None:
    """Another model turns decisions both ways, and one answer given to some rows turns the surest as well."""
    system = healthy(models={})
    score = new_score(system.current)
    if how == "model":
        score = 0.8 * old_score(system.current)
    elif how == "fallback":
        score = np.where(np.random.default_rng(3).random(system.rows) < 0.5, 0.0, score)
    outcomes = run(system.serve(score).case(score=None), "decision_policy")
    assert "threshold_change" not in supported(outcomes)


@pytest.mark.parametrize("with_scores", [True, False])
def test_a_moved_threshold_shows_in_the_decisions(with_scores: bool) -> None:
    """Scores stay, decisions move: old and new threshold are found."""
    system = healthy()
    system.serve(new_score(system.current), threshold=0.8)
    case = system.case() if with_scores else system.case(score=None)
    outcomes = run(case, *ALL)
    assert "threshold_change" in supported(outcomes)
    found = next(o for o in outcomes if isinstance(o, Finding) and "threshold_change" in o.supports)
    assert found.statistic == pytest.approx(0.8, abs=0.02)
    assert undone(case, outcomes, "threshold_change") > 0.7


@pytest.mark.parametrize("models", [{"current": new_score}, {}])
def test_a_constant_answer_is_a_fallback(models: dict[str, Any]) -> None:
    """One score given to a share of rows whatever their inputs is a fallback."""
    system = healthy(models=models)
    bursts = np.random.default_rng(1).random(30).repeat(100) < 0.5
    case = system.serve(np.full(system.rows, 0.31), bursts).case()
    outcomes = run(case, *ALL)
    assert supported(outcomes) == {"fallback_overload"}
    assert undone(case, outcomes, "fallback_overload") > 0.68


@pytest.mark.parametrize("models", [{"current": new_score}, {}])
def test_one_bad_host_is_found(models: dict[str, Any]) -> None:
    """Garbage from one replica is a hardware fault of that host."""
    system = healthy(models=models)
    noise = np.random.default_rng(2).random(system.rows)
    outcomes = run(system.serve(noise, (system.current["host"] == "c").to_numpy()).case(), *ALL)
    found = next(o for o in outcomes if isinstance(o, Finding) and "hardware_fault" in o.supports)
    assert found.subject.names == ("c",)
    assert "wrong_version" not in supported(outcomes)


def test_noise_everywhere_is_numerics() -> None:
    """Small errors in both directions that the inputs do not predict are the runtime's."""
    system = healthy()
    noise = np.random.default_rng(3).normal(0, 0.8, system.rows)
    score = 1 / (1 + np.exp(-(logit(new_score(system.current)) + noise)))
    outcomes = run(system.serve(score).case(), *ALL)
    assert supported(outcomes) == {"runtime_numerics"}


def test_exchanged_inputs_are_found_where_the_log_is_right() -> None:
    """If the model got two inputs in each other's place, exchanging them gives what was served."""
    system = healthy()
    turned = system.current.with_columns(amount=pl.col("age"), age=pl.col("amount"))
    outcomes = run(system.serve(new_score(turned)).case(), *ALL)
    found = next(o for o in outcomes if isinstance(o, Finding) and o.signal == "inputs.exchanged")
    assert found.subject.names == ("amount", "age")


def test_an_arm_with_the_wrong_share_is_misassigned() -> None:
    """Answers of another model in a group whose share was changed are an experiment gone wrong."""
    system = healthy(models=BOTH)
    rng = np.random.default_rng(4)
    arms = [np.where(rng.random(system.rows) < share, "B", "A") for share in (0.5, 0.75)]
    system.frames["reference"] = system.frames["reference"].with_columns(arm=pl.Series(arms[0]))
    system.change(arm=arms[1]).serve(old_score(system.current), arms[1] == "B")
    outcomes = run(system.case(segments=("host", "arm")), *ALL)
    assert supported(outcomes) == {"experiment_misassignment"}


def test_lost_answers_are_a_fault_of_the_log() -> None:
    """Rows whose answer is missing are the telemetry's, not the model's."""
    system = healthy()
    lost = pl.Series(np.random.default_rng(5).random(system.rows) < 0.2)
    system.frames["current"] = system.current.with_columns(
        said=pl.when(~lost).then("said"), score=pl.when(~lost).then("score")
    )
    assert supported(run(system.case(), *ALL)) == {"observability_failure"}


def test_a_model_that_cannot_score_is_an_abstention() -> None:
    """A crashing model is named with its error, and a surrogate takes its place."""

    def crash(frame: pl.DataFrame) -> Any:
        raise ValueError(f"no column left of {frame.width}")

    case = healthy(models={"current": crash}).case()
    outcomes = run(case, *ALL)
    assert supported(outcomes) == set()
    assert any("no column left" in (s.reason or "") for s in case.sources)


def test_nothing_to_replay_is_an_abstention() -> None:
    """Without models and inputs the check says why it did not look."""
    case = healthy(models={}).case(features=())
    outcomes = run(case, "model_reproduction")
    assert "no input columns" in outcomes[0].reason  # type: ignore[union-attr]


def test_a_replica_of_few_digits_is_numerics() -> None:
    """Answers on a coarse grid from one host alone are low precision there, not a broken device."""
    system = healthy()
    coarse = np.round(new_score(system.current) * 8) / 8
    outcomes = run(system.serve(coarse, (system.current["host"] == "c").to_numpy()).case(), *ALL)
    assert supported(outcomes) == {"runtime_numerics"}


def test_a_threshold_seen_in_decisions_alone_may_be_a_moved_score() -> None:
    """Without logged scores, a lower line and higher scores give the same decisions."""
    system = healthy()
    system.serve(new_score(system.current), threshold=0.3)
    outcomes = run(system.case(score=None), "decision_policy")
    assert supported(outcomes) == {"threshold_change", "calibration_change"}


@pytest.mark.parametrize(("day", "first"), [(5.0, True), (2.0, False)])
def test_errors_from_the_first_rows_of_a_model_are_noticed(day: float, first: bool) -> None:
    """A model that went to work with the window and was as wrong from its first row was never right."""
    system = healthy()
    system.serve(old_score(system.current))
    case = system.case()
    spec = replace(case.incident.models["current"], deployed_at=START + day * DAY)
    case = replace(case, incident=replace(case.incident, models={"current": spec}))
    signals = {o.signal for o in run(case, "from_launch") if isinstance(o, Finding)}
    assert signals == ({"launch.first_rows"} if first else set())


def _few_leaves(frame: pl.DataFrame) -> np.ndarray:
    """An earlier model of two leaves for most rows."""
    return (
        np.where(frame["amount"].to_numpy() > 0, 0.6, 0.3)
        + 1e-3 * (frame["rate"].to_numpy() > 1.5) * frame["rate"].to_numpy()
    )


def test_a_version_of_few_leaves_is_no_fallback() -> None:
    """One answer for many rows comes from a model at hand that gives it."""
    system = healthy(models={"current": new_score, "previous": _few_leaves})
    system.serve(_few_leaves(system.current), system.place() > 0.4)
    assert supported(run(system.case(), *ALL)) == {"wrong_version"}


def test_answers_that_nearly_follow_a_map_are_another_models() -> None:
    """Where the right answers are known exactly, what a map leaves over is no recalibration."""
    system = healthy()
    squeezed = 1 / (1 + np.exp(-0.4 * logit(new_score(system.current))))
    other = np.clip(squeezed + 0.06 * np.sin(3 * system.current["rate"].to_numpy()), 0.01, 0.99)
    assert "calibration_change" not in supported(run(system.serve(other).case(), *ALL))
    assert "calibration_change" in supported(run(healthy().serve(squeezed).case(), *ALL))


def test_a_renaming_that_spares_most_rows_is_none() -> None:
    """A wrong list of names is wrong for every row; now and then is another fault."""
    system = healthy()
    score = system.current["score"].to_numpy()
    for share, told in ((1.0, True), (0.1, False)):
        turned = np.random.default_rng(4).random(system.rows) < share
        found = supported(run(healthy().serve(1 - score, turned).case(), "answer_maps"))
        assert ("class_map_mismatch" in found) == told


@pytest.mark.parametrize(("line", "fallback"), [(2.0, True), (0.7, False)])
def test_one_class_for_all_may_be_a_fallback_where_no_scores_were_logged(
    line: float, fallback: bool
) -> None:
    """A line beyond all scores leaves what one answer for everybody leaves."""
    system = healthy()
    late = system.place() > 0.4
    said = np.where(late, (new_score(system.current) >= line).astype(int), system.current["said"])
    case = system.change(said=said).case(score=None)
    assert ("fallback_overload" in supported(run(case, "decision_policy"))) == fallback


def test_a_score_alone_says_what_was_answered() -> None:
    """A log without decisions is looked at by its scores: checks of the answers do not abstain."""
    case = healthy().case(prediction=None)
    assert available(case, "data.columns.prediction")
    assert not available(healthy().case(prediction=None, score=None), "data.columns.prediction")
