"""Fitting weights and calibration on closed incidents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.bench.fit._calibrate import EVERYTHING, fit_calibration
from ruleout.bench.fit._cli import main
from ruleout.bench.fit._closed import closed_incidents, collect
from ruleout.bench.fit._design import Design, Heard, Row, read_designs, write_designs
from ruleout.bench.fit._judge import answer, compared, data_set, families, marks, splits, train
from ruleout.bench.fit._solve import as_table, fit, loss, problem
from ruleout.bench.fit._write import checked
from ruleout.cli._main import main as command
from ruleout.hypotheses import PLAIN, Calibration, load_weights, prior
from served_world import FEATURES, answered, windows

UNIT, DRIFT = (
    ("quantile_relation.unit", "unit_change"),
    ("shift_decomposition.inputs", "covariate_shift"),
)


def truth(mode: str, names: list[str], dataset: str = "toy", **more: Any) -> dict[str, Any]:
    """The truth of an incident that one column caused."""
    return {
        "mode": mode,
        "also": [],
        "subject": {"kind": "feature", "names": names},
        "accepted": [],
        "null": False,
        "second": None,
        "identifiable": True,
        "dataset": dataset,
        "model": "linear",
        "tags": [],
        **more,
    }


def row(mode: str, name: str, *terms: Heard, before: float = -4.0) -> Row:
    """One hypothesis about one column."""
    return Row(mode, "feature", (name,), before, terms)


def heard(what: tuple[str, str], strength: float = 1.0) -> Heard:
    """A listed signal."""
    return Heard(*what, strength, 3.0)


def drifting(n: int, dataset: str = "toy") -> list[Design]:
    """Incidents in which drift is the cause, though a unit speaks as loudly."""
    rows = (row("unit_change", "a", heard(UNIT)), row("covariate_shift", "b", heard(DRIFT)))
    return [Design(f"i{k}", rows, truth("covariate_shift", ["b"], dataset)) for k in range(n)]


def wrong_unit(folder: Path) -> Path:
    """An incident folder in which one column is served in another unit."""
    folder.mkdir(parents=True)
    reference, current = windows(np.random.default_rng(3), 2_000)
    hurt = current.with_columns(pl.col("amount") * 10)
    reference.write_parquet(folder / "reference.parquet")
    answered(hurt, current["label"]).write_parquet(folder / "current.parquet")
    roles = "timestamp: ts, target: label, prediction: said, score: score, positive: 1"
    (folder / "incident.yaml").write_text(
        "version: 1\ntitle: worse\ntask: binary\nsymptom: {metric: accuracy}\n"
        "data:\n  reference: reference.parquet\n  current: current.parquet\n"
        f"  columns: {{{roles}, features: [{', '.join(FEATURES)}], categorical: [kind]}}\n"
    )
    return folder


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    """Central differences agree with the gradient, also where nothing listed is right."""
    lost = Design("x", drifting(1)[0].rows, truth("label_noise", ["y"]))
    told = problem([*drifting(3), lost], marks)
    weights = told.start + np.linspace(-0.3, 0.4, len(told.start))
    _, slope = loss(told, weights)
    for k in range(len(weights)):
        step = np.zeros(len(weights))
        step[k] = 1e-5
        rise = (loss(told, weights + step)[0] - loss(told, weights - step)[0]) / 2e-5
        assert rise == pytest.approx(slope[k], abs=1e-5)


def test_a_weight_that_was_wrong_loses_and_one_that_was_right_gains() -> None:
    """Thirty incidents of drift move the weight of drift up and that of the unit down."""
    told = problem(drifting(30), marks)
    new = dict(zip(told.parameters, fit(told) - told.start, strict=True))
    assert new[DRIFT] > 0.3
    assert new[UNIT] < -0.3


def test_no_weight_changes_its_sign() -> None:
    """However often a sign misled, it never comes to speak for the opposite."""
    told = problem(drifting(500), marks)
    new = fit(told, spread=50.0)
    assert (new * told.start >= 0).all()


def test_few_incidents_move_little() -> None:
    """One incident moves no weight by more than one spread."""
    told = problem(drifting(1), marks)
    assert np.abs(fit(told, spread=0.5) - told.start).max() < 0.5


def test_only_weights_that_moved_are_written() -> None:
    """The table of a fit that changed nothing is empty."""
    told = problem(drifting(1), marks)
    assert as_table(told, told.start) == {}


def test_calibration_of_the_overconfident_is_less_sure() -> None:
    """Nine right of twelve at log-odds of 6 come out near 0.75, and the order stays."""
    logits = [np.array([6.0, 0.0])] * 120
    right = [np.array([k % 4 != 0, False]) for k in range(120)]
    how = fit_calibration(logits, right, parts=EVERYTHING)
    chances, rest = how.spread(logits[0])
    assert chances[0] == pytest.approx(0.75, abs=0.06)
    assert chances[0] > chances[1]
    assert chances.sum() + rest == pytest.approx(1.0)


def test_the_lapse_alone_leaves_the_rest() -> None:
    """By default only the lapse is fitted: a quarter wrong at certainty is a lapse of a quarter."""
    right = [np.array([k % 4 != 0]) for k in range(200)]
    how = fit_calibration([np.array([12.0])] * 200, right)
    assert (how.temperature, how.unknown) == (1.0, 0.0)
    assert how.lapse == pytest.approx(0.25, abs=0.04)


def test_without_incidents_the_calibration_stays() -> None:
    """Nothing seen, nothing changed."""
    before = Calibration(1.3, 0.2, 0.01)
    assert fit_calibration([], [], before=before) == before


def test_equals_stay_equal_under_any_calibration() -> None:
    """Two hypotheses that cannot be told apart share their mass."""
    chances, _ = Calibration(2.0, 1.0, 0.05).spread(np.array([3.0, 3.0, 1.0]))
    assert chances[0] == chances[1] > chances[2]


def test_an_answer_of_a_design_has_the_verdict_of_a_diagnosis() -> None:
    """Sure of a fault: a cause; sure of a null: no incident; unsure: inconclusive."""
    rows = (row("unit_change", "a"), row("random_fluctuation", "b"))
    one = Design("i", rows, truth("unit_change", ["a"]))
    told = [answer(one, np.array(x), PLAIN)["verdict"] for x in ([5, 0], [0, 5], [0, 0])]
    assert told == ["cause_found", "no_incident", "inconclusive"]


def test_designs_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A file of designs gives back the same designs."""
    designs = drifting(2)
    write_designs(tmp_path / "d.jsonl", designs)
    assert read_designs(tmp_path / "d.jsonl") == designs


def test_every_incident_is_held_out_once() -> None:
    """The folds part the incidents, and no group is on both sides."""
    designs = [*drifting(2, "a"), *drifting(3, "b"), *drifting(1, "c")]
    parts = splits(designs, data_set)
    assert sorted(k for _, held in parts for k in held) == list(range(6))
    for inside, held in parts:
        assert not {data_set(designs[k]) for k in inside} & {data_set(designs[k]) for k in held}


def test_families_hold_neighbours_together() -> None:
    """Neighbours in the catalogue are held out together, and all nulls."""
    same = [families(Design("i", (), truth(m, []))) for m in ("seasonality", "benign_mix")]
    other = families(Design("i", (), truth("unit_change", [])))
    assert same[0] == same[1] != other


def test_figures_out_of_fold_compare_the_ways() -> None:
    """Learning on two data sets what a third one needs is seen in the figures."""
    designs = [d for name in "abc" for d in drifting(12, name)]
    figures = compared(designs, data_set)
    assert figures["fitted"]["top1_identifiable"] == 1.0
    assert figures["fitted"]["brier"] < figures["uncalibrated"]["brier"]


def test_a_fit_applies_to_incidents_it_has_not_seen() -> None:
    """Signals that were never heard in training keep the weight that ships."""
    fitted = train(drifting(6))
    strange = Heard("slow_decline.ramp", "model_staleness", 1.0, 3.0)
    other = Design(
        "o", (row("model_staleness", "a", strange, before=-5.0),), truth("unit_change", [])
    )
    shipped = load_weights()["slow_decline.ramp"]["model_staleness"]
    assert fitted.logits([other])[0][0] == pytest.approx(shipped - 5.0)


def test_a_closed_incident_is_diagnosed_and_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An incident folder with its cause gives a folder of weights that a diagnosis takes up."""
    folder = wrong_unit(tmp_path / "closed" / "one")
    (folder / "cause.yaml").write_text("mode: unit_change\nnames: [amount]\n", encoding="utf-8")
    designs = list(collect(closed_incidents([tmp_path / "closed"])))
    assert any(marks(designs[0]))
    told = problem(designs, marks)
    sure = PLAIN.spread(told.logits(told.start))[0].max()
    assert sure > 0.8
    row_of_unit = next(r for r in designs[0].rows if r.mode == "unit_change")
    assert row_of_unit.prior == pytest.approx(prior("unit_change"))
    write_designs(tmp_path / "d.jsonl", designs * 4)
    out = tmp_path / "weights"
    assert main(["closed", "--designs", str(tmp_path / "d.jsonl"), "-o", str(out)]) == 0
    assert "4 incidents" in capsys.readouterr().out
    (out / "fitted.toml").write_text('["quantile_relation.unit"]\nunit_change = 9.5\n')
    monkeypatch.setenv("RULEOUT_WEIGHTS", str(out))
    assert load_weights()["quantile_relation.unit"]["unit_change"] == 9.5
    assert len(load_weights()["quantile_relation.unit"]) > 1


@pytest.mark.parametrize(
    "text", ["mode: gremlins", "cause: rust", "[]", "{", "mode: unit_change\nalso: drift", ""]
)
def test_a_cause_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    """An unknown mode and a file without one end with the file's name."""
    (tmp_path / "cause.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(IncidentError, match=r"cause\.yaml"):
        closed_incidents([tmp_path])


def test_files_that_something_else_wrote_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A truth or designs that cannot be read end with status 2 and the file's name."""
    (tmp_path / "truth.json").write_text("{")
    assert main([str(tmp_path)]) == 2
    assert "truth.json" in capsys.readouterr().err
    assert main([str(tmp_path), "--designs", str(tmp_path / "truth.json")]) == 2
    assert "holds no designs" in capsys.readouterr().err


def test_what_is_all_of_one_kind_cannot_be_held_out() -> None:
    """Figures are given by what there are two of; of the rest it is said that there is one."""
    told = checked([*drifting(2), *drifting(1, "other")], 1.0)
    assert "data set     fitted" in told
    assert "mode family  cannot be held out: all 3 incidents are of one" in told


def test_a_folder_without_closed_incidents_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing to learn from ends with status 2 and what to write."""
    assert main([str(tmp_path)]) == 2
    assert "cause.yaml" in capsys.readouterr().err


def test_a_corpus_is_closed_by_its_truth(tmp_path: Path) -> None:
    """Every incident of a `truth.json` is a closed one."""
    (tmp_path / "truth.json").write_text(json.dumps({"i": truth("unit_change", ["a"])}))
    assert [folder.name for folder, _ in closed_incidents([tmp_path])] == ["i"]


def test_the_command_takes_a_folder_of_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`diagnose --weights` answers with one's own numbers, and refuses a folder that is not there."""
    monkeypatch.setenv("RULEOUT_WEIGHTS", "")
    folder = wrong_unit(tmp_path / "one")
    own = tmp_path / "own"
    own.mkdir()
    (own / "calibration.toml").write_text("lapse = 0.4\n")
    line = ["diagnose", str(folder), "--json", "-", "--quiet", "--weights"]
    assert command([*line, str(own)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"]["unknown"] >= 0.4
    assert command([*line, str(tmp_path / "gone")]) == 2
    assert "gone" in capsys.readouterr().err
    assert command([*line, str(folder)]) == 2
    assert f"{str(folder)!r}; that folder holds no weights" in capsys.readouterr().err


def test_a_folder_of_weights_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and the folder."""
    monkeypatch.setenv("RULEOUT_WEIGHTS", "/nowhere/at/all")
    with pytest.raises(IncidentError, match="RULEOUT_WEIGHTS"):
        load_weights()
