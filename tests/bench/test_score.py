"""Comparing a diagnosis with the truth of its incident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ruleout.bench import _score
from ruleout.bench._cli import main


def _truth(**changes: Any) -> dict[str, Any]:
    truth: dict[str, Any] = {
        "mode": "unit_change",
        "also": [],
        "subject": {"kind": "feature", "names": ["weight"]},
        "accepted": [],
        "null": False,
        "second": None,
        "identifiable": True,
        "dataset": "toy",
        "model": "linear",
        "tags": [],
    }
    return {**truth, **changes}


def _answer(
    *hypotheses: tuple[str, list[str], float], verdict: str = "cause_found"
) -> dict[str, Any]:
    listed = [
        {"failure_mode": m, "subject": {"kind": "feature", "names": n}, "probability": p}
        for m, n, p in hypotheses
    ]
    return {"hypotheses": listed, "verdict": verdict}


def _compare(truth: dict[str, Any], answer: dict[str, Any]) -> _score.Result:
    return _score.compare("i", truth, answer, 0.1)


def test_mode_and_subject_must_both_be_right() -> None:
    """The right mode on the wrong column is half an answer."""
    right = _compare(_truth(), _answer(("unit_change", ["weight"], 0.9)))
    half = _compare(_truth(), _answer(("unit_change", ["height"], 0.9)))
    assert (right.right_mode, right.right) == (True, True)
    assert (half.right_mode, half.right) == (True, False)


def test_naming_every_column_is_not_naming_the_right_one() -> None:
    """A subject with more wrong names than right ones does not count."""
    shotgun = _compare(_truth(), _answer(("unit_change", ["a", "b", "weight"], 0.9)))
    assert shotgun.right_mode
    assert not shotgun.right


def test_a_mode_that_cannot_be_told_apart_counts() -> None:
    """Where the evidence cannot part two modes, either is right."""
    truth = _truth(mode="concept_drift", also=["corrupted_labels"])
    assert _compare(truth, _answer(("corrupted_labels", ["y"], 0.5))).right


def test_the_third_answer_counts_for_top_three_only() -> None:
    """Rank three is in the first three and is not the answer."""
    answer = _answer(("prior_shift", ["y"], 0.5), ("x", [], 0.3), ("unit_change", ["weight"], 0.1))
    result = _compare(_truth(), answer)
    assert (result.right, result.in_top3) == (False, True)


def test_accusing_the_innocent_is_recorded() -> None:
    """A cause found in a quiet incident is a false accusation; staying calm is right."""
    quiet = _truth(mode="random_fluctuation", null=True, subject={"kind": "none", "names": []})
    accused = _compare(quiet, _answer(("unit_change", ["weight"], 0.9)))
    calm = _compare(quiet, _answer(("seasonality", [], 0.6), verdict="no_incident"))
    unsure = _compare(quiet, _answer(("unit_change", ["weight"], 0.3), verdict="inconclusive"))
    assert (accused.accused, accused.right) == (True, False)
    assert (calm.accused, calm.right) == (False, True)
    assert (unsure.accused, unsure.right) == (False, False)


def test_both_causes_of_two_must_be_among_three() -> None:
    """With two faults either may come first, and both must be named."""
    other = _truth(mode="label_noise", subject={"kind": "label", "names": ["y"]})
    truth = _truth(second=other)
    both = _compare(truth, _answer(("label_noise", ["y"], 0.6), ("unit_change", ["weight"], 0.4)))
    one = _compare(truth, _answer(("label_noise", ["y"], 0.6), ("prior_shift", ["y"], 0.4)))
    assert (both.right, both.both) == (True, True)
    assert (one.right, one.both) == (True, False)


def test_calibration_of_a_perfect_and_of_a_boastful_judge() -> None:
    """Probabilities that come true cost nothing; certainty that fails half the time costs a half."""
    right = _compare(_truth(), _answer(("unit_change", ["weight"], 1.0)))
    wrong = _compare(_truth(), _answer(("prior_shift", ["y"], 1.0)))
    assert _score.calibration([right, right]) == (0.0, 0.0)
    assert _score.calibration([right, wrong]) == (0.5, 0.5)


def test_a_crash_is_a_wrong_answer_that_says_so(tmp_path: Path) -> None:
    """An incident that cannot be read is scored as a failure with its message, and reported."""
    (tmp_path / "truth.json").write_text(json.dumps({"missing": _truth()}), encoding="utf-8")
    results = _score.score_corpus(tmp_path)
    assert "missing" in results[0].failure
    assert not results[0].right
    assert "1 mistakes" in _score.report(results)


def test_results_are_written_as_they_come_and_read_back(tmp_path: Path) -> None:
    """Each result is a line of JSON, from which the same result is read."""
    (tmp_path / "truth.json").write_text(json.dumps({"missing": _truth()}), encoding="utf-8")
    results = _score.score_corpus(tmp_path, out=tmp_path / "r.jsonl")
    assert _score.read_results(tmp_path / "r.jsonl") == results


def test_the_command_refuses_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown recipe and a folder without truth end with status 2 and a way out."""
    assert main(["make", "--out", str(tmp_path), "--only", "gremlins"]) == 2
    assert "gremlins" in capsys.readouterr().err
    assert main(["score", str(tmp_path)]) == 2
    assert "truth.json" in capsys.readouterr().err
