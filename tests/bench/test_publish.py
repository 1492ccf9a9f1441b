"""The benchmark's page from stored results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ruleout._errors import RuleoutError
from ruleout.bench import publish
from ruleout.bench._cli import main
from ruleout.bench._score import Result, read_results, write_results
from ruleout.bench.publish import _figures as figures

BASE = Result(
    name="unit_change-000",
    mode="unit_change",
    subject=("amount",),
    second=None,
    null=False,
    identifiable=True,
    dataset="wine",
    model="linear",
    tags=(),
    answer="unit_change",
    answered=("amount",),
    probability=0.9,
    verdict="cause_found",
    top3=("unit_change",),
    right_mode=True,
    right=True,
    in_top3=True,
    accused=False,
    both=False,
    seconds=1.0,
    layer="data",
)
WRONG = replace(
    BASE,
    name="label_noise-001",
    mode="label_noise",
    answer="concept_drift",
    probability=0.7,
    right_mode=False,
    right=False,
    in_top3=False,
    because="the labels | moved",
    tags=("herring",),
)
QUIET = replace(
    BASE,
    name="quiet-000",
    mode="random_fluctuation",
    null=True,
    layer="none",
    verdict="no_incident",
)
ACCUSED = replace(
    QUIET, name="quiet-001", right=False, right_mode=False, accused=True, probability=0.6
)
TWO = replace(BASE, name="pair-000", second="label_noise", both=True, tags=("two_causes",))
ALL = [BASE, WRONG, QUIET, ACCUSED, TWO]


def run_folder(folder: Path, results: list[Result]) -> Path:
    """What a run leaves behind."""
    folder.mkdir()
    write_results(folder / "results.jsonl", results)
    write_results(folder / "peer-largest_PSI.jsonl", [WRONG])
    about = {
        "command": "ruleout bench run --part 5",
        "version": "1",
        "seed": 3,
        "date": "2026-01-01",
    }
    (folder / "run.json").write_text(json.dumps(about))
    return folder


def test_the_page_is_written_with_its_charts(tmp_path: Path) -> None:
    """Every chart that the page shows is there, and the same results give the same bytes."""
    folder = run_folder(tmp_path / "run", ALL)
    page = publish.write_page(folder, tmp_path / "docs")
    text = page.read_text()
    shown = [part.split(")")[0] for part in text.split("](benchmark/")[1:]]
    assert len(shown) > 6
    assert all((tmp_path / "docs" / "benchmark" / name).is_file() for name in shown)
    publish.write_page(folder, tmp_path / "docs")
    assert page.read_text() == text


def test_the_page_tells_command_seed_and_date(tmp_path: Path) -> None:
    """Anyone can repeat the run."""
    page = publish.write_page(run_folder(tmp_path / "run", ALL), tmp_path).read_text()
    assert "ruleout bench run --part 5" in page
    assert "seed 3" in page
    assert "2026-01-01" in page


def test_mistakes_are_listed_with_the_accused_first(tmp_path: Path) -> None:
    """A false accusation leads the list, and no statement breaks the table."""
    page = publish.write_page(run_folder(tmp_path / "run", ALL), tmp_path).read_text()
    worst = page[page.index("## The worst mistakes") :]
    assert worst.index("quiet-001") < worst.index("label_noise-001")
    assert "the labels / moved" in worst


def test_another_corpus_stands_beside(tmp_path: Path) -> None:
    """A corpus given with `--also` has a column of its own in the first table."""
    main_run, other = run_folder(tmp_path / "run", ALL), run_folder(tmp_path / "elsewhere", [BASE])
    assert main(["publish", str(main_run), "--also", str(other), "--out", str(tmp_path)]) == 0
    assert "| figure | run | elsewhere |" in (tmp_path / "benchmark.md").read_text()


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    """There is nothing to publish, and how to get something."""
    with pytest.raises(RuleoutError, match="bench run"):
        publish.write_page(tmp_path, tmp_path)


def test_an_interval_grows_when_modes_differ() -> None:
    """Ten incidents of two modes that stand or fall together are two, not ten."""
    together = [BASE] * 5 + [WRONG] * 5
    mixed = [replace(r, mode=f"m{k}") for k, r in enumerate(together)]
    wide, narrow = figures.share(together, figures.right), figures.share(mixed, figures.right)
    assert wide.value == narrow.value == 0.5
    assert wide.high - wide.low > narrow.high - narrow.low


def test_the_surest_answers_come_first_in_coverage() -> None:
    """At the coverage of the surest answer nothing is wrong; at all of them the share wrong is."""
    at, wrong = figures.covered([WRONG, BASE])
    assert at.tolist() == [0.5, 1.0]
    assert wrong.tolist() == [0.0, 0.5]
    assert figures.right_at([WRONG, BASE], 0.5) == 1.0


def test_reliability_counts_every_answer_once() -> None:
    """The bins hold all answers, each with what was said and what was seen."""
    bins = figures.reliability(ALL)
    assert sum(b.n for b in bins) == len(ALL)
    low = min(bins, key=lambda b: b.said)
    assert (round(low.said, 2), low.seen) == (0.6, 0.0)


def test_the_published_figures_are_those_of_the_published_results() -> None:
    """Whoever counts the results beside the page gets the figures on the page."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "benchmark.md").read_text(encoding="utf-8")
    results = read_results(docs / "benchmark" / "results.jsonl")
    for figure, value in figures.headline(results).items():
        assert f"| {figure} | {value} |" in page, figure
    shown = {part.split(")")[0] for part in page.split("](benchmark/")[1:]}
    assert shown == {p.name for p in (docs / "benchmark").glob("*.svg")}
