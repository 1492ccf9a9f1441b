"""Alarms that are as it always was: the past as bad, the hour, the load, the mix of requests, a monitor of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.incident import SymptomSpec, Window

DAY = 86_400.0
MINUTE = 60.0
Rows = list[tuple[float, str, str, float]]


def _rows(times: np.ndarray, entity: str, metric: str, values: np.ndarray) -> Rows:
    return [(float(t), entity, metric, float(v)) for t, v in zip(times, values, strict=True)]


def _told(
    folder: Path, rows: Rows, symptom: SymptomSpec, windows: tuple[Window, Window]
) -> ServicesResult:
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")
    incident = shop.incident(folder, metrics=("m.parquet",), symptom=symptom)
    incident = replace(incident, reference_window=windows[0], current_window=windows[1])
    return analyse(incident, np.random.default_rng(0))


def _modes(result: ServicesResult) -> set[str]:
    return {one.mode for one in result.nulls if one.probability > 0.5}


@pytest.mark.parametrize(("fault", "chance"), [(1.0, True), (1.6, False)])
def test_a_heavy_tail_is_as_bad_every_hour(tmp_path: Path, fault: float, chance: bool) -> None:
    """Spikes that come every hour are no incident however high they are; a level that stays is one."""
    rng = np.random.default_rng(3)
    times = shop.START + MINUTE * np.arange(600)
    values = 0.2 * np.exp(0.1 * rng.standard_normal(600)) + 0.5 * (rng.random(600) < 0.04)
    values[570:] *= fault
    begin = float(times[560])
    windows = Window(shop.START, begin), Window(begin, float(times[-1]))
    symptom = SymptomSpec(metric="latency_p99_s", entity="front", direction="up")
    told = _told(tmp_path, _rows(times, "front", "latency_p99_s", values), symptom, windows)
    assert ("random_fluctuation" in _modes(told)) is chance
    assert told.symptom.change is not None


@pytest.mark.parametrize("before", [True, False])
def test_what_comes_at_this_hour_of_every_day_is_the_season(tmp_path: Path, before: bool) -> None:
    """The evening's load and latency are nobody's fault where the evening before had them as well."""
    rng = np.random.default_rng(4)
    times = shop.START + 5 * MINUTE * np.arange(12 * 44)
    hour = (times - shop.START) / 3600
    evening = np.exp(-(((hour % 24 - 18) / 1.0) ** 2))
    evening = np.where((hour > 24) | before, evening, 0.0)
    noise = 1 + 0.01 * rng.standard_normal((2, len(times)))
    rows = _rows(times, "front", "latency_avg_s", 0.1 * (1 + 0.5 * evening) * noise[0])
    rows += _rows(times, "front", "requests_total", 300 * (1 + 1.2 * evening) * noise[1])
    rows += _rows(times, "front", "cpu_percent", 30 * (1 + 1.2 * evening) * noise[1])
    at = shop.START + DAY + 17.4 * 3600
    windows = Window(shop.START, at - 1800), Window(at, at + 3600)
    symptom = SymptomSpec(metric="latency_avg_s", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("seasonality" in _modes(told)) is before


@pytest.mark.parametrize(("slower", "usual"), [(1.0, True), (1.5, False)])
def test_latency_that_follows_a_load_as_ever_is_no_fault(
    tmp_path: Path, slower: float, usual: bool
) -> None:
    """Under a load that the past had as well, only what exceeds the past's latency under it is a symptom."""
    rng = np.random.default_rng(5)
    times = shop.START + MINUTE * np.arange(400)
    load = 100 * np.exp(np.where(times > times[360], 0.77, 0.7 * np.sin(np.arange(400) / 57.0)))
    load *= 1 + 0.02 * rng.standard_normal(400)
    latency = 0.01 * load * np.exp(0.02 * rng.standard_normal(400))
    latency[361:] *= slower
    rows = _rows(times, "front", "latency_avg_s", latency)
    rows += _rows(times, "front", "requests_per_s", load)
    begin = float(times[361])
    windows = Window(shop.START, begin - 1), Window(begin, float(times[-1]))
    symptom = SymptomSpec(metric="latency_avg_s", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("seasonality" in _modes(told)) is usual


@pytest.mark.parametrize(("slower", "mix"), [(1.0, True), (1.4, False)])
def test_more_of_a_costly_kind_of_request_is_a_mix(
    tmp_path: Path, slower: float, mix: bool
) -> None:
    """Where each kind that is measured apart is as quick as ever, the sum tells only what is asked."""
    rng = np.random.default_rng(6)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = 1 + 0.03 * rng.standard_normal((3, 180))
    share = np.where(late, 0.4, 0.1)
    rows = _rows(times, "front", "latency_avg_s:GET /", 0.05 * noise[0])
    rows += _rows(
        times, "front", "latency_avg_s:POST /pay", 0.5 * noise[1] * np.where(late, slower, 1)
    )
    rows += _rows(times, "front", "latency_avg_s", (0.05 + 0.45 * share) * noise[2])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="latency_avg_s", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("benign_mix" in _modes(told)) is mix


def _requests(folder: Path, *, slower: float, share: float) -> ServicesResult:
    """Front serves `list` quickly and `pay`, which calls the bank, slowly; from FAULT on, more of it is asked."""
    rng = np.random.default_rng(7)
    rows = []
    for n, at in enumerate(np.arange(shop.START, shop.END, 1.0)):
        late = at >= shop.FAULT
        pay = rng.random() < (share if late else 0.15)
        took = (0.3 if pay else 0.04) * float(rng.gamma(20, 0.05)) * (slower if late else 1.0)
        name = "POST /pay" if pay else "GET /list"
        rows.append((f"t{n}", f"a{n}", None, "front", name, at, at + took))
        if pay:
            inner = at + 0.1 * took, at + 0.9 * took
            rows.append((f"t{n}", f"b{n}", f"a{n}", "bank", "charge", *inner))
    schema = ["trace_id", "span_id", "parent_span_id", "service", "name", "start", "end"]
    pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.exclude("start", "end"),
        (pl.col("start") * 1e9).cast(pl.Int64).alias("start_ns"),
        (pl.col("end") * 1e9).cast(pl.Int64).alias("end_ns"),
    ).write_parquet(folder / "s.parquet")
    symptom = SymptomSpec(entity="front", noticed_at=shop.FAULT + 60)
    incident = shop.incident(folder, traces=("s.parquet",), symptom=symptom)
    return analyse(incident, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("slower", "share", "told"),
    [
        (1.0, 0.15, {"random_fluctuation"}),
        (1.0, 0.6, {"benign_mix"}),
        (1.035, 0.6, {"benign_mix"}),
        (1.5, 0.6, set()),
        (1.5, 0.15, set()),
    ],
)
def test_requests_tell_a_mix_from_a_fault(
    tmp_path: Path, slower: float, share: float, told: set[str]
) -> None:
    """Requests beside the past of their own kind: as usual, only other kinds of them, or slower indeed."""
    result = _requests(tmp_path, slower=slower, share=share)
    assert _modes(result) == told


def test_more_requests_that_need_a_callee_are_no_new_habit(tmp_path: Path) -> None:
    """Who calls the bank for every payment asks it no more for each of them when more is paid."""
    result = _requests(tmp_path, slower=1.0, share=0.6)
    assert "asks_more" not in {one.name for one in result.signals}


@pytest.mark.parametrize(("slower", "mix"), [(1.0, True), (2.0, False)])
def test_a_mean_that_rises_for_want_of_quick_requests_is_a_mix(
    tmp_path: Path, slower: float, mix: bool
) -> None:
    """By its calls more of a costly kind is asked, and neither the tail nor anybody's latency rises."""
    rng = np.random.default_rng(9)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = 1 + 0.03 * rng.standard_normal((6, 180))
    rows = _rows(times, "front", "latency_avg_s", np.where(late, 0.15, 0.1) * noise[0])
    rows += _rows(times, "front", "latency_p95_s", np.where(late, slower, 1.0) * 0.3 * noise[1])
    rows += _rows(times, "bank", "latency_avg_s", np.where(late, slower, 1.0) * 0.2 * noise[2])
    rows += _rows(times, "bank", "requests", 50 * noise[3])
    rows += _rows(times, "front", "calls.bank", np.where(late, 60.0, 50.0) * noise[4])
    rows += _rows(times, "front", "calls.list", np.where(late, 20.0, 80.0) * noise[5])
    rows += _rows(times, "list", "latency_avg_s", 0.02 * noise[1])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="latency_avg_s", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("benign_mix" in _modes(told)) is mix


@pytest.mark.parametrize(("failing", "defect"), [(0.0, True), (0.3, False)])
def test_an_exporter_that_nobody_bears_out_is_at_fault_itself(
    tmp_path: Path, failing: float, defect: bool
) -> None:
    """A success ratio that falls while nobody on the path fails is the monitor's; failures bear it out."""
    rng = np.random.default_rng(8)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    rows = _rows(times, "slo-exporter", "pay_success_ratio", np.where(late, 0.7, 0.998))
    for who in ("front", "cart", "store"):
        lost = 0.002 * rng.gamma(4, 0.25, 180) + failing * late * (who == "front")
        rows += _rows(times, who, "http_error_ratio", lost)
        rows += _rows(times, who, "http_requests", 50 + rng.standard_normal(180))
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="pay_success_ratio", entity="slo-exporter", direction="down")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("monitor_defect" in _modes(told)) is defect


@pytest.mark.parametrize(("shift", "chance"), [(0.98, True), (0.5, False)])
def test_a_metric_that_is_hardly_better_has_nothing_to_complain_of(
    tmp_path: Path, shift: float, chance: bool
) -> None:
    """A mean that surely sinks by less than its samples scatter is no symptom; a fall to the half is another one."""
    rng = np.random.default_rng(6)
    times = shop.START + 30.0 * np.arange(190)
    values = 150 * (1 + 0.025 * rng.standard_normal(190))
    values[120:] *= shift
    begin = float(times[120])
    windows = Window(shop.START, begin), Window(begin, float(times[-1]))
    symptom = SymptomSpec(metric="latency_p95_ms", entity="front", direction="up")
    told = _told(tmp_path, _rows(times, "front", "latency_p95_ms", values), symptom, windows)
    assert told.symptom.significant
    assert ("random_fluctuation" in _modes(told)) is chance
