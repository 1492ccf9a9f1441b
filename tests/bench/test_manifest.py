"""The manifest: every incident of the benchmark, written down before it is made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ruleout._errors import IncidentError
from ruleout.bench.corpus import (
    make_recipes,
    manifest_recipes,
    modes,
    read_manifest,
    sample,
    tenth,
    write_manifest,
)
from ruleout.bench.corpus._plan import Kit, Recipe, Wish, wished_kit

ALL = manifest_recipes()


def test_the_manifest_has_two_thousand_incidents_with_names_of_their_own() -> None:
    """At least 2,000 lines, every cause among them, no name twice, the same ones each time."""
    assert len(ALL) >= 2_000
    assert len({r.name for r in ALL}) == len(ALL)
    assert {r.mode for r in ALL} == set(modes())
    assert manifest_recipes() == ALL


def test_the_manifest_covers_what_is_asked_of_a_benchmark() -> None:
    """Two causes, herrings, missing labels, models, probes and times, and benign incidents in numbers."""
    kits = Counter(r.wish.kit for r in ALL if r.wish)
    assert sum(r.second is not None for r in ALL) >= 100
    assert sum("herring" in r.tags for r in ALL) >= 200
    assert min(kits[k] for k in ("no_labels", "no_model", "no_probes", "no_times", "bare")) >= 30
    assert sum(r.mode in {"quiet", "harmless_drift", "seasonality"} for r in ALL) >= 100


def test_twins_differ_in_one_observation() -> None:
    """Every line with an observation has one of the same seed without it."""
    kits: dict[int, set[str]] = {}
    for r in ALL:
        if r.wish is not None and r.wish.kit.startswith("with_"):
            kits[r.seed] = {o.wish.kit for o in ALL if o.seed == r.seed and o.wish}
    assert len(kits) >= 20
    assert all(len({k.partition("_")[2] for k in both}) == 1 < len(both) for both in kits.values())


def test_the_tenth_has_every_stratum() -> None:
    """The part for every day visits every cause and pair, at about a tenth of the size."""
    part = tenth(ALL)
    assert {(r.mode, r.second) for r in part} == {(r.mode, r.second) for r in ALL}
    assert len(ALL) / 12 < len(part) < len(ALL) / 7


@pytest.mark.parametrize("n", [5, 24, 59, 130])
def test_a_sample_is_spread_over_causes(n: int) -> None:
    """A sample has the size asked for, no line twice, and as many causes as it can."""
    part = sample(ALL, n)
    strata = {(r.mode, r.second) for r in ALL}
    assert len({r.name for r in part}) == n
    assert len({(r.mode, r.second) for r in part}) == min(n, len(strata))


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The file gives back the same recipes."""
    write_manifest(tmp_path / "m.jsonl", ALL[:20], 1)
    assert read_manifest(tmp_path / "m.jsonl") == ALL[:20]


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    """A file that would make other incidents than it says is not read."""
    (tmp_path / "m.jsonl").write_text('{"manifest": 0}\n')
    with pytest.raises(IncidentError, match="version"):
        read_manifest(tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("wish", "gone", "kept"),
    [
        ("no_model", {"model", "previous"}, {"golden"}),
        ("no_labels", {"labels"}, {"model"}),
        ("bare", {"model", "golden", "audit", "changes"}, {"labels", "timestamps"}),
        ("with_audit", set(), {"audit", "ids"}),
        ("drawn", {"audit"}, {"model"}),
    ],
)
def test_a_kit_hands_over_what_the_manifest_says(wish: str, gone: set[str], kept: set[str]) -> None:
    """Parts that are asked away are gone, parts that are asked for are there."""
    kit = wished_kit(Kit(audit=False), wish, "unit_change", sources=True)
    assert not gone & set(kit.names())
    assert kept <= set(kit.names())


def test_a_line_is_made_as_it_asks_and_not_made_twice(tmp_path: Path) -> None:
    """Data set, model and kit are those of the line; a second run leaves the folder alone."""
    pytest.importorskip("lightgbm")
    wish = Wish("wine", "boosted", "strong", "whole", "no_probes")
    line = Recipe("silent_nulls-000", "silent_nulls", 7, None, None, (), wish)
    told = make_recipes(tmp_path, [line], rows=800)["silent_nulls-000"]
    assert (told["dataset"], told["model"]) == ("wine", "boosted")
    assert {"parity", "golden", "audit"} & set(told["has"]) == set()
    assert "kit_no_probes" in told["tags"]
    written = (tmp_path / "silent_nulls-000" / "incident.yaml").stat().st_mtime_ns
    make_recipes(tmp_path, [line], rows=800)
    assert (tmp_path / "silent_nulls-000" / "incident.yaml").stat().st_mtime_ns == written
