"""Machines that report errors of their own hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._records import Clear, Subject
from ruleout.incident._model import TelemetrySpec
from served_world import START, abstained, case_of, cleared, findings, outcomes, windows

DAY = 86_400.0


def told(folder: Path, entity: str, metric: str, *, counter: bool = False) -> TelemetrySpec:
    """A count of errors that rises on one machine with the current window, and rests on another."""
    times = START + np.arange(0, 10 * DAY, 3_600.0)
    risen = np.where(times >= START + 8 * DAY, 7.0, 0.0)
    parts = []
    for name, values in ((entity, risen), ("south", np.zeros(len(times)))):
        column = np.cumsum(values) if counter else values
        parts.append(
            pl.DataFrame({"timestamp": times, "entity": name, "metric": metric, "value": column})
        )
    pl.concat(parts).write_csv(folder / "metrics.csv")
    return TelemetrySpec(metrics=(str(folder / "metrics.csv"),))


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Answers of one region turn wrong in the current window."""
    rng = np.random.default_rng(3)
    reference, current = windows(rng)
    wrong = (current["region"] == "west").to_numpy() & (rng.random(current.height) < 0.5)
    said = np.where(wrong, 1 - current["said"].to_numpy(), current["said"].to_numpy())
    return reference, current.with_columns(said=pl.Series(said))


@pytest.mark.parametrize(("metric", "counter"), [("ecc_errors", False), ("gpu_xid_total", True)])
def test_a_machine_that_counts_errors_of_its_own_is_named(
    tmp_path: Path, metric: str, counter: bool
) -> None:
    """Its rows carry the harm and its memory reports errors: the hardware's, not the world's."""
    case = case_of(*frames(), telemetry=told(tmp_path, "west", metric, counter=counter))
    found = findings(case, "machine_errors")["host.errors"]
    assert found.subject == Subject("host", ("west",))
    assert found.effect > 0.6


def test_errors_of_a_machine_that_answers_well_blame_nobody(tmp_path: Path) -> None:
    """Another machine's errors carry no harm, and a series of heat is no count of errors."""
    case = case_of(*frames(), telemetry=told(tmp_path, "north", "ecc_errors"))
    assert findings(case, "machine_errors") == {}
    assert "hardware_fault" in abstained(case, "machine_errors")
    case = case_of(*frames(), telemetry=told(tmp_path, "west", "temperature_celsius"))
    assert findings(case, "machine_errors") == {}


def test_machines_whose_counts_rest_are_not_cleared(tmp_path: Path) -> None:
    """No machine reports more than before: that is told, but hardware may err and count nothing."""
    case = case_of(*frames(), telemetry=told(tmp_path, "nowhere", "ecc_errors"))
    (said,) = outcomes(case, "machine_errors")
    assert isinstance(said, Clear)
    assert said.signal == "host.no_errors"
    assert cleared(case, "machine_errors") == set()
