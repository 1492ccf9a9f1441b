"""Outcomes that the incident declares, and models that are slower by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_services_modes import _row, _table

from ruleout.attribution.services import analyse
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._records import Signal
from ruleout.incident import Incident, SymptomSpec, TelemetrySpec, Window
from ruleout.sources.telemetry import empty_logs

START = 1_700_000_000.0


def test_a_declared_outcome_is_no_component(tmp_path: Path) -> None:
    """What came of it all fell, and complaints doubled: nobody asks a business anything."""
    times = START + np.arange(0, 12 * 3600, 300.0)
    late = times >= START + 9 * 3600
    noise = 1 + 0.02 * np.random.default_rng(0).normal(size=len(times))
    series = {
        "sold_per_100_calls": np.where(late, 7.0, 11.0) * noise,
        "complaints_per_1k_calls": np.where(late, 6.0, 3.0) * noise,
    }
    pl.concat(
        pl.DataFrame({"timestamp": times, "entity": "business", "metric": name, "value": values})
        for name, values in series.items()
    ).write_parquet(tmp_path / "metrics.parquet")
    incident = Incident(
        title="sales",
        task="none",
        symptom=SymptomSpec(metric="sold_per_100_calls", entity="business", direction="down"),
        reference_window=Window(START, START + 9 * 3600),
        current_window=Window(START + 9 * 3600, START + 12 * 3600),
        telemetry=TelemetrySpec(
            metrics=("metrics.parquet",), entities={"business": "kpi"}, kpis=tuple(series)
        ),
        folder=tmp_path,
    )
    told = analyse(incident, np.random.default_rng(0))
    assert not [h for h in told.hypotheses if "business" in h.subject.names]
    about = [
        f for done in told.checked for f in done.outcomes if getattr(f, "signal", "") == "no_change"
    ]
    assert not [f for f in about if "business" in f.subject.names]


@pytest.mark.parametrize(("asked", "mode"), [(1.2, "slow_runtime"), (2.0, "slow_dependency")])
def test_a_model_that_takes_longer_under_much_the_same_load_runs_slower(
    asked: float, mode: str
) -> None:
    """A fifth more requests is no reason for twice the time; twice as many may be."""
    table = _table(
        _row("rank", "model_compute_ms", "latency", now=2.4),
        _row("rank", "requests", "traffic", score=2.0, now=asked),
        _row("rank", "cpu", "cpu", score=2.0, now=asked),
    )
    flow = Signal("rank", "symptom_flow", 4.0, {"slow_dependency": 1.0}, "told", 4.0, 4.0)
    shares = mode_shares([flow], "rank", table, empty_logs())
    assert next(iter(shares)) == mode
