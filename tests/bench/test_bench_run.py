"""The whole benchmark as one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ruleout.bench import _run
from ruleout.bench._cli import main
from ruleout.bench._score import read_results
from ruleout.bench.corpus import manifest_recipes, tenth
from ruleout.bench.corpus._plan import Recipe, Wish
from ruleout.bench.fit._design import read_designs


def test_a_plan_picks_its_part_of_the_manifest() -> None:
    """All, a tenth, a number, and other incidents with another offset."""
    assert _run.recipes(_run.Plan(seed=3)) == manifest_recipes(seed=3)
    assert _run.recipes(_run.Plan(part="tenth")) == tenth(manifest_recipes())
    some = _run.recipes(_run.Plan(part="9"))
    assert len(some) == 9
    assert not {r.name for r in some} & {
        r.name for r in _run.recipes(_run.Plan(part="9", offset=1))
    }


def test_a_run_makes_scores_compares_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, designs, baselines and the record of the run are written; a second run repeats nothing."""
    pytest.importorskip("lightgbm")
    wish = Wish("wine", "linear", "strong", "whole", "full")
    line = Recipe("silent_nulls-000", "silent_nulls", 7, None, None, (), wish)
    monkeypatch.setattr(_run, "recipes", lambda plan: [line])
    first = _run.run(tmp_path, _run.Plan(rows=600, words=("ruleout", "bench")))
    assert [r.name for r in first] == ["silent_nulls-000"]
    assert read_designs(tmp_path / "designs.jsonl")[0].rows
    assert json.loads((tmp_path / "run.json").read_text())["made"] == 1
    assert len(read_results(tmp_path / "peer-random.jsonl")) == 1
    stamp = (tmp_path / "peer-random.jsonl").stat().st_mtime_ns
    again = _run.run(tmp_path, _run.Plan(rows=600))
    assert again == first
    assert (tmp_path / "peer-random.jsonl").stat().st_mtime_ns == stamp


def test_a_spread_is_even_and_small_enough() -> None:
    """Peers that take long get every so manieth incident."""
    assert _run.spread("abcdefgh", 4) == ["a", "c", "e", "g"]
    assert _run.spread("ab", 4) == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--part", "half"], "--part"), (["--part", "3", "--peer", "evidently"], "NAME=COMMAND")],
)
def test_a_wrong_request_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """A part that is none and a peer without a command end with status 2."""
    assert main(["run", "--out", str(tmp_path), *words]) == 2
    assert told in capsys.readouterr().err


def test_the_manifest_is_written_by_the_command(tmp_path: Path) -> None:
    """A line for each incident, after one for the version."""
    path = tmp_path / "m.jsonl"
    assert main(["manifest", "--out", str(path), "--part", "12"]) == 0
    assert len(path.read_text().splitlines()) == 13
