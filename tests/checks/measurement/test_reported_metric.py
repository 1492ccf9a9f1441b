"""The reported metric against the rows."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout.checks.symptom import measure
from ruleout.incident._model import TelemetrySpec

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import DAY, START, abstained, cleared, healthy, run, supported


@pytest.mark.parametrize(("level", "defect"), [(0.62, True), (0.74, False)])
def test_a_drop_that_the_rows_do_not_show_is_the_monitors(
    tmp_path: Path, level: float, defect: bool
) -> None:
    """A reported fall without one in the rows is a defect of the monitor; otherwise that is ruled out."""
    times = START + np.arange(0, 9 * DAY, 3_600)
    values = np.where(times < START + 4.5 * DAY, 0.74, level)
    frame = pl.DataFrame(
        {"timestamp": times, "entity": "model", "metric": "Accuracy", "value": values}
    )
    frame.write_parquet(tmp_path / "metrics.parquet")
    case = healthy().case()
    telemetry = TelemetrySpec(metrics=("metrics.parquet",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    outcomes = run(case, "reported_metric")
    assert supported(outcomes) == ({"monitor_defect"} if defect else set())
    assert ("monitor_defect" in cleared(outcomes)) is not defect


@pytest.mark.parametrize("name", ["accuracy_daily", "model_accuracy", "accuracy 24h"])
def test_a_metric_may_be_reported_by_the_day(tmp_path: Path, name: str) -> None:
    """A name with words of its period, and readings that carry dates alone, are the metric's."""
    days = range(9)
    dates = [
        datetime.fromtimestamp(START + d * DAY, UTC).strftime("%Y-%m-%d")
        for d in days
        for _ in "ab"
    ]
    levels = [v for d in days for v in (0.74 if d < 5 else 0.5, 500.0)]
    names = [n for _ in days for n in (name, "rows_joined")]
    frame = pl.DataFrame({"timestamp": dates, "entity": "m", "metric": names, "value": levels})
    frame.write_csv(tmp_path / "metrics.csv")
    case = healthy().case()
    telemetry = TelemetrySpec(metrics=("metrics.csv",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    assert supported(run(case, "reported_metric")) == {"monitor_defect"}


@pytest.mark.parametrize(("usual", "told"), [(None, True), (0.99, False)])
def test_a_longer_name_is_the_metrics_where_it_agreed_with_the_rows(
    tmp_path: Path, usual: float | None, told: bool
) -> None:
    """A panel that holds the metric's name, and gave what the rows give as long as all was well, is that metric."""
    case = healthy().case()
    truth = usual if usual is not None else measure(case).reference
    times = START + np.arange(0, 9 * DAY, 3_600)
    values = np.where(times < START + 4.5 * DAY, truth, truth - 0.3)
    frame = pl.DataFrame(
        {"timestamp": times, "entity": "panel", "metric": "router_accuracy", "value": values}
    )
    frame.write_parquet(tmp_path / "metrics.parquet")
    telemetry = TelemetrySpec(metrics=("metrics.parquet",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    assert ("monitor_defect" in supported(run(case, "reported_metric"))) is told


def test_another_metric_is_an_abstention(tmp_path: Path) -> None:
    """Telemetry without the metric says nothing of it."""
    frame = pl.DataFrame({"timestamp": [START], "entity": ["a"], "metric": ["cpu"], "value": [1.0]})
    frame.write_parquet(tmp_path / "metrics.parquet")
    case = healthy().case()
    telemetry = TelemetrySpec(metrics=("metrics.parquet",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    assert "no metric called 'accuracy'" in abstained(run(case, "reported_metric"))


@pytest.mark.parametrize(
    ("harmed", "lost", "found"), [(False, 400.0, True), (True, 400.0, False), (False, 22.0, False)]
)
def test_samples_that_were_lost_are_the_telemetrys_where_the_rows_are_sound(
    tmp_path: Path, harmed: bool, lost: float, found: bool
) -> None:
    """Dropped samples explain an alarm that the rows do not; where the rows are worse they explain nothing."""
    times = START + np.arange(0, 9 * DAY, 3_600)
    rng = np.random.default_rng(0)
    values = np.where(times < START + 4.5 * DAY, 20.0, lost) * rng.uniform(0.9, 1.1, len(times))
    frame = pl.DataFrame(
        {"timestamp": times, "entity": "otel-agent", "metric": "dropped_samples", "value": values}
    )
    frame.write_parquet(tmp_path / "metrics.parquet")
    case = healthy().case()
    case.significant = harmed
    telemetry = TelemetrySpec(metrics=("metrics.parquet",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    outcomes = run(case, "telemetry_losses")
    assert supported(outcomes) == ({"observability_failure"} if found else set())
    if found:
        onset = datetime.fromisoformat(outcomes[0].onset.at).timestamp()
        assert onset == pytest.approx(
            START + 4.5 * DAY, abs=1.5 * DAY
        )  # the current window begins after a day's gap
