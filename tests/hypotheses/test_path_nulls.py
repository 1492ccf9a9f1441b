"""What is said of the null hypotheses where an incident is seen in telemetry alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._diagnose import run
from ruleout._records import Diagnosis
from ruleout.incident import load

NULLS = {
    "random_fluctuation", "seasonality", "benign_mix", "monitor_defect", "already_recovered", "planned_event",
}  # fmt: skip
_START, _STEP, _ROWS, _BREAK = 1_700_000_000, 30, 240, 160


def metrics(rise: float) -> pl.DataFrame:
    """Latency and CPU of two services; the callee's rise in the last third takes its caller with it."""
    rng = np.random.default_rng(4)
    late = np.arange(_ROWS) >= _BREAK
    levels = {
        ("front", "latency_p95_ms"): 80 + rise * late,
        ("rank", "latency_p95_ms"): 40 + rise * late,
        ("rank", "cpu_percent"): 30 + 0.5 * rise * late,
    }
    times = pl.from_epoch(pl.Series(_START + _STEP * np.arange(_ROWS)), "s").dt.replace_time_zone(
        "UTC"
    )
    return pl.concat(
        pl.DataFrame(
            {
                "timestamp": times,
                "entity": who,
                "metric": what,
                "value": level * rng.normal(1, 0.02, _ROWS),
            }
        )
        for (who, what), level in levels.items()
    )


def diagnosed(folder: Path, rise: float = 100.0, **symptom: Any) -> Diagnosis:
    metrics(rise).write_parquet(folder / "metrics.parquet")
    asked = {"metric": "latency_p95_ms", "entity": "front", "direction": "up", **symptom}
    at = [_START, _START + _STEP * _BREAK, _START + _STEP * _ROWS]
    text = "version: 1\ntitle: slow\ntask: none\nsymptom:\n"
    text += "".join(f"  {k}: {v}\n" for k, v in asked.items() if v is not None)
    text += f"windows:\n  reference: [{at[0]}, {at[1]}]\n  current: [{at[1]}, {at[2]}]\n"
    text += "telemetry:\n  metrics: metrics.parquet\n  topology: [[front, rank]]\n"
    (folder / "incident.yaml").write_text(text)
    return run(load(folder))


def ledger(told: Diagnosis) -> tuple[set[str], dict[str, str]]:
    return {r.failure_mode for r in told.ruled_out}, {
        n.failure_mode: n.needs for n in told.not_checked
    }


@pytest.mark.parametrize("rise", [0.0, 100.0])
def test_every_null_is_in_one_list(tmp_path: Path, rise: float) -> None:
    """A null is a hypothesis, ruled out, or not checked, and no mode is both of the last two."""
    told = diagnosed(tmp_path, rise)
    sunk, unseen = ledger(told)
    assert {h.failure_mode for h in told.hypotheses} | sunk | set(unseen) >= NULLS
    assert not sunk & set(unseen)
    assert ("random_fluctuation" in sunk) is bool(rise)
    assert sum(told.layers.values()) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("symptom", "why"),
    [
        ({"metric": "latncy_p95"}, "symptom.metric: front reports no 'latncy_p95'; did you mean 'latency_p95_ms'?"),
        ({"entity": "frnt"}, "symptom.entity: telemetry reports no metric of 'frnt'; did you mean 'front'?"),
        ({"entity": None}, "symptom.entity"),
        ({"metric": None}, "symptom.metric"),
    ],
)  # fmt: skip
def test_a_symptom_that_telemetry_does_not_have_is_told(
    tmp_path: Path, symptom: dict[str, Any], why: str
) -> None:
    """What was not measured, and why, is said; it is neither significant nor ruled out as chance."""
    told = diagnosed(tmp_path, **symptom)
    sunk, unseen = ledger(told)
    assert told.symptom.significant is None
    assert unseen["random_fluctuation"] == why
    assert not sunk & {"random_fluctuation", "already_recovered"}


def test_a_rise_is_no_symptom_of_a_fall(tmp_path: Path) -> None:
    """A metric that rose is not significant where the incident complains that it fell."""
    told = diagnosed(tmp_path, direction="down")
    sunk, unseen = ledger(told)
    assert told.symptom.change is not None
    assert told.symptom.change > 0
    assert told.symptom.significant is False
    assert "random_fluctuation" not in sunk
    assert "which is not down" in unseen["random_fluctuation"]
