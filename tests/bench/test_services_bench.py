"""The bench of services: wrong windows, fewer sources, baselines, and constants chosen on the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout.attribution.services import Signal
from ruleout.bench import services as bench
from ruleout.bench._services_baselines import baseline_ranks
from ruleout.bench._services_choice import Constants, answer, blame_left_out, choose, leave_out
from ruleout.bench._services_score import NOWHERE, SOURCES, Score, shifted, withheld
from ruleout.bench._services_tables import by_system, calibration_error, risk_coverage, table
from ruleout.incident import Incident, SymptomSpec, TelemetrySpec, Window


def _score(
    case: str, fault: str, signals: dict[tuple[str, str], float], probability: float = 0.9
) -> Score:
    told = tuple(Signal(e, name, weight, {}, "", 0.0, 0.0) for (e, name), weight in signals.items())
    return Score(
        case=case,
        system="shop",
        fault=fault,
        truth=("right",),
        rank=1 if probability > 0.5 else 2,
        probability=probability,
        mode=True,
        change=None,
        decoy=0.0,
        chance=0.1,
        baselines={"robust z": 2, "BARO": 1, "correlation": None},
        latest=None,
        seconds=0.1,
        signals=told,
        suspicion=(),
        right_change=None,
    )


def _incident(folder: Path) -> Incident:
    return Incident(
        title="slow",
        symptom=SymptomSpec("latency", "front", noticed_at=700.0),
        reference_window=Window(0.0, 600.0),
        current_window=Window(600.0, 900.0),
        telemetry=TelemetrySpec(
            metrics=("m.parquet",), traces=("s.parquet",), topology=(("front", "b"),)
        ),
        folder=folder,
    )


def test_a_wrong_clock_moves_windows_and_notice_alike(tmp_path: Path) -> None:
    """Both windows and the instant of notice move by the same seconds; nothing moves by none."""
    told = _incident(tmp_path)
    moved = shifted(told, -60.0)
    assert moved.current_window == Window(540.0, 840.0)
    assert moved.reference_window == Window(-60.0, 540.0)
    assert moved.symptom.noticed_at == 640.0
    assert shifted(told, 0.0) is told


@pytest.mark.parametrize(
    ("sources", "left"), [("metrics", (1, 0, 0)), ("traces", (0, 1, 0)), ("all", (1, 1, 1))]
)
def test_sources_are_withheld_by_name(
    tmp_path: Path, sources: str, left: tuple[int, int, int]
) -> None:
    """Only the named sources are left."""
    spec = withheld(_incident(tmp_path), SOURCES[sources]).telemetry
    assert (len(spec.metrics), len(spec.traces), len(spec.topology)) == left


def test_baselines_rank_by_departure_and_by_correlation(tmp_path: Path) -> None:
    """The entity that departs most leads the departures; the one that goes with the symptom, the correlation."""
    rng = np.random.default_rng(0)
    rows = []
    for at in range(0, 900, 15):
        bad = at >= 600
        wave = float(np.sin(at / 40)) if bad else 0.0
        for name, value in (("front", 10 + 5 * bad + wave), ("b", 10 + wave), ("c", 10 + 50 * bad)):
            rows.append((float(at), name, "latency", value + 0.1 * rng.standard_normal()))
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    incident = withheld(_incident(tmp_path), SOURCES["metrics"])
    ranks = baseline_ranks(incident, ("c",), NOWHERE)
    assert ranks["robust z"] == 1
    assert ranks["BARO"] == 1
    assert ranks["correlation"] in (1, 2)
    assert baseline_ranks(withheld(incident, SOURCES["traces"]), ("c",), NOWHERE)["BARO"] is None


def test_constants_are_chosen_on_the_rest_and_scored_on_the_left_out() -> None:
    """Where the others show that metrics mislead, their weight falls, and the left-out fault is answered by it."""
    misled = {("right", "behaviour"): 3.0, ("wrong", "metric.cpu"): 3.6}
    cases = [_score(f"shop/{i}", f"fault{i % 3}", misled) for i in range(9)]
    assert not answer(cases[0], Constants())[0]
    chosen = choose(cases)
    assert chosen.scales[3] < chosen.scales[2]
    rows = leave_out(cases, lambda one: one.fault)
    assert [row.name for row in rows] == ["fault0", "fault1", "fault2"]
    assert all(row.used == 0.0 and row.chosen == 1.0 for row in rows)


def test_the_score_of_none_is_chosen_on_other_incidents() -> None:
    """A true change that "none" narrowly beats is found once the others show that "none" is too strong."""
    base = _score("shop/0", "f", {})
    cases = [
        base._replace(case=f"shop/{i}", suspicion=(("none", 3.0), ("r1", 2.5)), right_change="r1")
        for i in range(4)
    ]
    assert blame_left_out(cases) == (0, 4, 4)


def test_tables_tell_baselines_calibration_and_risk() -> None:
    """Baselines stand beside the score, sure answers are counted first, and what is said is held against what is right."""
    cases = [_score("shop/a", "cpu", {}, 0.9), _score("shop/b", "cpu", {}, 0.4)]
    assert "| shop | all | 2 | 0.50 |" in table(cases)
    assert by_system(cases).count("\n") == 3
    assert risk_coverage(cases).splitlines()[-1] == "| 100% | 2 | 0.40 | 0.50 |"
    assert calibration_error(cases) == pytest.approx(0.25)


def test_the_page_is_written_from_labelled_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command writes every table of the page for the incidents it finds."""
    folder = tmp_path / "services" / "shop" / "x_1"
    folder.mkdir(parents=True)
    rows = [
        (
            float(at),
            name,
            "cpu_usage",
            5.0 + (60.0 if name == "b" and at >= 600 else 0.1 * (at % 7)),
        )
        for at in range(0, 900, 15)
        for name in ("a", "b", "c")
    ]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")
    (folder / "incident.yaml").write_text(
        "version: 1\ntitle: slow\ntask: none\nsymptom: {noticed_at: '1970-01-01T00:11:00Z'}\n"
        "windows:\n  reference: ['1970-01-01T00:00:00Z', '1970-01-01T00:10:00Z']\n"
        "  current: ['1970-01-01T00:10:00Z', '1970-01-01T00:15:00Z']\n"
        "telemetry: {metrics: m.parquet}\n"
    )
    truth = {"shop/x_1": {"services": ["b"], "fault": "cpu", "failure_modes": ["cpu_saturation"]}}
    (tmp_path / "services" / "truth.json").write_text(json.dumps(truth))
    monkeypatch.setenv("RULEOUT_DATA", str(tmp_path))
    assert bench.main(["--write", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text()
    assert "| shop/x | cpu | 1 | 1.00 | 1.00 | 1.00 | 1.00 |" in page
    assert "## Windows told a minute wrong" in page
