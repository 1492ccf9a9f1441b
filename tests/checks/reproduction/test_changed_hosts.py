"""Changes of some machines, and the rows of just these."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding, Outcome
from ruleout.incident._model import TelemetrySpec
from ruleout.profile import Case

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import DAY, START, cleared, healthy, run


@dataclass(frozen=True)
class Change:
    """A change as the sources deliver it."""

    id: str
    at: float
    entity: str
    description: str
    kind: str = "deploy"
    ref: str | None = None


MIDDLE = START + 7 * DAY


def _hit(hosts: tuple[str, ...], *changes: Change, column: str | None = None) -> Case:
    """Scores are lost on some hosts from the middle of the window on; a column may name them in full."""
    system = healthy()
    rows = np.isin(system.current["host"].to_numpy(), hosts) & (system.place() > 0.5)
    system.serve(np.random.default_rng(1).random(system.rows), where=rows)
    system.models = {}
    if column is not None:
        for which, frame in system.frames.items():
            full = frame.with_columns((pl.lit("host-") + pl.col("host")).alias("full"))
            system.frames[which] = full.drop("host").rename({"full": column})
        system.columns["segments"] = (column,)
    case = system.case()
    case.changes = changes
    return case


def _signals(outcomes: list[Outcome]) -> list[str]:
    return [o.signal for o in outcomes if isinstance(o, Finding)]


def test_what_was_changed_and_went_wrong_alone_is_the_changes_doing() -> None:
    """Two machines changed within the hour, and worse since then: the change is named, with its machines."""
    changes = [Change(f"C{k}", MIDDLE + 600 * k, host, "client 4.7") for k, host in enumerate("ab")]
    outcomes = run(_hit(("a", "b"), *changes), "changed_hosts")
    assert _signals(outcomes) == ["hosts.changed"]
    assert next(o for o in outcomes if isinstance(o, Finding)).subject.names == ("a", "b")


@pytest.mark.parametrize(
    ("words", "column", "told"),
    [
        ("scorer-model 7.1 on host-a, host-b: parser rewritten", "host", True),
        ("scorer-model on host-a, host-b: other weights", "host", False),
        ("scorer 7.1: parser rewritten", "host", False),
        ("new feed for host-a and host-b", "branch", False),
    ],
)
def test_a_change_may_name_its_machines_in_words(words: str, column: str, told: bool) -> None:
    """A service that was changed on two machines is told by their names; people and places may be named for other reasons."""
    case = _hit(("a", "b"), Change("C1", MIDDLE, "scorer-model", words), column=column)
    assert _signals(run(case, "changed_hosts")) == ["hosts.changed"] * told


@pytest.mark.parametrize("words", ["client 4.7", "model v8"])
def test_a_change_of_machines_that_are_well_did_nothing(words: str) -> None:
    """Machines that were changed and fare as before acquit the change; another model is told by its answers."""
    outcomes = run(_hit(("a", "b"), Change("C1", MIDDLE, "c", words)), "changed_hosts")
    assert _signals(outcomes) == []
    told = any("fares no worse" in str(getattr(o, "statement", "")) for o in outcomes)
    assert told is (words == "client 4.7")
    assert "change_regression" not in cleared(outcomes)


@pytest.mark.parametrize("better", [True, False])
def test_an_outcome_that_fell_with_a_new_model_tells_of_its_objective(
    tmp_path: Path, *, better: bool
) -> None:
    """The labels are as good as before, what they stand for is not; where labels are worse too, they bear it out."""
    times = np.arange(START, START + 9 * DAY, 3_600.0)
    noise = np.random.default_rng(2).normal(size=len(times))
    sold = np.where(times < START + 5 * DAY, 11.0, 7.0) + 0.2 * noise
    frame = pl.DataFrame({"timestamp": times, "entity": "sales", "metric": "sold", "value": sold})
    frame.write_parquet(tmp_path / "metrics.parquet")
    case = _hit(()) if better else _hit(("a", "b", "c", "d"))
    said = "promote version 11: trained on calls answered"
    case.changes = (Change("C1", START + 5 * DAY, "lead-score", said, "model"),)
    telemetry = TelemetrySpec(metrics=("metrics.parquet",), kpis=("sold",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    outcomes = run(case, "proxy")
    assert (_signals(outcomes) == ["proxy.apart"]) is better
    assert ("proxy_misalignment" in cleared(outcomes)) is not better
    assert any("got worse" in getattr(o, "statement", "") for o in outcomes) is not better
