"""A version that began to answer beside the old ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding, Outcome

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import System, cleared, healthy, run


def _fleet(system: System, *, harm: bool, all_since: bool = False) -> System:
    """Machines c and d answer by version 4, at random where it does harm; or everybody does from the middle on."""
    rng = np.random.default_rng(3)
    host = system.current["host"].to_numpy()
    late = system.place() > 0.5
    new = late if all_since else np.isin(host, ["c", "d"]) & (system.place() > 0.2)
    system.frames["reference"] = system.frames["reference"].with_columns(model_tag=pl.lit("v3"))
    if harm:
        system.serve(rng.random(system.rows), where=new)
    system.change(model_tag=np.where(new, "v4", "v3"))
    system.models = {}
    return system


def _told(system: System) -> list[Outcome]:
    return run(system.case(segments=("host", "model_tag")), "new_version")


def test_a_version_beside_the_old_one_is_a_mixed_fleet_on_its_machines() -> None:
    """The machines that it answers on are named where these tell the versions apart."""
    found = [o for o in _told(_fleet(healthy(), harm=True)) if isinstance(o, Finding)]
    assert [f.signal for f in found] == ["version.beside", "version.explains"]
    assert found[0].supports[0] == "mixed_versions"
    assert set(found[0].subject.names) == {"v4"}


@pytest.mark.parametrize("all_since", [False, True])
def test_a_harmless_version_and_a_release_are_no_mixture(*, all_since: bool) -> None:
    """What brings no loss, or answers everybody once it came, mixes nothing."""
    outcomes = _told(_fleet(healthy(), harm=all_since, all_since=all_since))
    assert not [o for o in outcomes if isinstance(o, Finding)]
    assert "mixed_versions" not in cleared(outcomes)  # cleared for that column alone


def test_machines_are_named_where_they_tell_the_versions_apart() -> None:
    """Without rows of the old version on them, the machines are the subject."""
    system = _fleet(healthy(), harm=True)
    host = system.current["host"].to_numpy()
    new = np.isin(host, ["c", "d"])
    system.serve(np.random.default_rng(4).random(system.rows), where=new)
    system.change(model_tag=np.where(new, "v4", "v3"))
    found = [o for o in _told(system) if isinstance(o, Finding)]
    assert found[0].subject.kind == "host"
    assert set(found[0].subject.names) == {"c", "d"}


@pytest.mark.parametrize(
    ("column", "mode"), [("index_build", "malformed_artifact"), ("model_build", "mixed_versions")]
)
def test_an_edition_of_an_index_is_no_model(column: str, mode: str) -> None:
    """A build of what is looked up that comes beside the others and brings the loss was written badly."""
    system = _fleet(healthy(), harm=True)
    for which in ("reference", "current"):
        system.frames[which] = system.frames[which].rename({"model_tag": column})
    outcomes = run(system.case(segments=("host", column)), "new_version")
    assert next(o for o in outcomes if isinstance(o, Finding)).supports[0] == mode
