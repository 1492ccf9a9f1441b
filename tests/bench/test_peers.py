"""Baselines and peers on the same incidents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._errors import RuleoutError
from ruleout.bench import peers
from ruleout.bench._score import compare
from ruleout.bench.peers._baselines import baselines, largest_psi, usual_suspect
from ruleout.profile import Case
from ruleout.sources._changes import Change
from served_world import FEATURES, answered, case_of, windows


def moved(by: float) -> Case:
    """A case in which the amounts of the current window lie higher."""
    reference, current = windows(np.random.default_rng(5), 1_500)
    return case_of(
        reference, answered(current.with_columns(pl.col("amount") + by), current["label"])
    )


def truth(mode: str = "covariate_shift", names: tuple[str, ...] = ("amount",)) -> dict[str, Any]:
    """The truth of an incident about a feature."""
    return {
        "mode": mode,
        "also": [],
        "subject": {"kind": "feature", "names": list(names)},
        "accepted": [],
        "null": False,
        "second": None,
        "identifiable": True,
        "dataset": "toy",
        "model": "linear",
        "tags": [],
    }


@pytest.mark.parametrize("name", ["largest PSI", "largest KS", "largest z-score"])
def test_a_drift_score_names_the_column_that_moved_most(name: str) -> None:
    """With one column moved by a standard deviation, every drift score puts it first."""
    guess = baselines([truth()])[name]
    assert guess(moved(1.0))[0] == ("covariate_shift", "feature", ("amount",))


@pytest.mark.parametrize("name", ["largest PSI", "largest z-score"])
def test_a_drift_score_is_calm_where_nothing_moved(name: str) -> None:
    """Two windows of one world are no incident to a drift score with a usual threshold."""
    assert baselines([truth()])[name](moved(0.0)) == [("random_fluctuation", "none", ())]


def test_psi_counts_a_new_category() -> None:
    """A category that the reference does not know is a drift."""
    reference, current = windows(np.random.default_rng(6), 1_500)
    case = case_of(reference, current.with_columns(pl.lit("d").alias("kind")))
    assert largest_psi(case)[0][2] == ("kind",)


def test_the_nearest_change_is_blamed_first() -> None:
    """Changes are blamed by nearness to the window, for what was changed; without a log there is no answer."""
    case = moved(0.0)
    guess = baselines([truth()])["most recent change"]
    assert guess(case) == []
    case.changes = tuple(
        Change(
            id=f"c{k}", at=float(k), kind=kind, entity=entity, description="", ref=None, diff=None
        )
        for k, (kind, entity) in enumerate([("model", "ranker"), ("deploy", "gateway")])
    )
    assert [g[:1] + g[2] for g in guess(case)] == [
        ("change_regression", "gateway"),
        ("wrong_version", "ranker"),
    ]


def test_the_usual_suspects_are_those_of_the_corpus() -> None:
    """The commonest causes of the scored incidents are blamed, the commonest first."""
    guess = usual_suspect([truth("unit_change"), truth("unit_change"), truth("label_noise")])
    assert [g[0] for g in guess(moved(1.0))] == ["unit_change", "label_noise"]


def test_a_guess_of_a_column_alone_has_a_right_subject_and_no_right_mode() -> None:
    """A peer that names the column and no cause is half right."""
    result = compare("i", truth(), peers.answered([(None, "feature", ("amount",))]), 0.0)
    assert (result.right, result.named) == (False, True)


def test_no_guess_is_no_answer() -> None:
    """An empty list accuses nobody and finds nothing."""
    result = compare("i", truth(), peers.answered([]), 0.0)
    assert (result.right, result.top3, result.verdict) == (False, (), "inconclusive")


def corpus(folder: Path) -> list[str]:
    """Two incidents on disk with their truth."""
    names = ["one", "two"]
    reference, current = windows(np.random.default_rng(7), 600)
    hurt = answered(current.with_columns(pl.col("amount") + 1), current["label"])
    for name in names:
        (folder / name).mkdir()
        reference.write_parquet(folder / name / "reference.parquet")
        hurt.write_parquet(folder / name / "current.parquet")
        roles = "timestamp: ts, target: label, prediction: said, score: score, positive: 1"
        (folder / name / "incident.yaml").write_text(
            "version: 1\ntitle: worse\ntask: binary\ndata:\n  reference: reference.parquet\n"
            f"  current: current.parquet\n  columns: {{{roles}, features: [{', '.join(FEATURES)}]}}\n"
        )
    (folder / "truth.json").write_text(json.dumps(dict.fromkeys(names, truth())))
    return names


ADAPTER = """
import json, sys
from pathlib import Path
for line in sys.stdin:
    roles = json.loads((Path(line.strip()) / "roles.json").read_text())
    print(json.dumps([["covariate_shift", "feature", roles["features"][:1]]]), flush=True)
"""


def test_a_peer_answers_from_an_environment_of_its_own(tmp_path: Path) -> None:
    """A command that reads folders and writes guesses is scored like everybody."""
    names = corpus(tmp_path)
    script = tmp_path / "adapter.py"
    script.write_text(ADAPTER)
    results = peers.run_peer(tmp_path, names, f"{sys.executable} {script}", 30.0)
    assert [r.right for r in results] == [True, True]


@pytest.mark.parametrize(
    ("body", "told"), [("import time; time.sleep(9)", "within"), ("print('boom')", "boom")]
)
def test_a_peer_that_hangs_or_fails_gives_no_answer(tmp_path: Path, body: str, told: str) -> None:
    """What a peer cannot answer is no answer, with the reason beside it."""
    names = corpus(tmp_path)
    script = tmp_path / "adapter.py"
    script.write_text(body)
    (result,) = peers.run_peer(tmp_path, names[:1], f"{sys.executable} {script}", 1.5)
    assert told in result.failure
    assert result.top3 == ()


def test_a_peer_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    """A command that is not there is an error of the request."""
    with pytest.raises(RuleoutError, match="no-such-program"):
        peers.run_peer(tmp_path, corpus(tmp_path), "no-such-program", 1.0)


def test_all_baselines_answer_all_incidents(tmp_path: Path) -> None:
    """Every baseline has a result for every incident."""
    names = corpus(tmp_path)
    told = peers.run_baselines(tmp_path, names)
    assert len(told) == 6
    assert all([r.name for r in results] == names for results in told.values())
    assert all(r.right for r in told["largest PSI"])
