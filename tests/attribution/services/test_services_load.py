"""Load that is none: a smaller quota, larger work, new copies, the season."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop
from test_services_modes import _row, _table

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.attribution.services._load import inward, offered, unfelt
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._quota import lowered
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._season import recurs
from ruleout.attribution.services._sizes import excused_by_size, larger
from ruleout.attribution.services._tries import tried_again
from ruleout.attribution.services._views import asked_instead
from ruleout.attribution.services._warming import warming
from ruleout.attribution.services._windows import Windows
from ruleout.incident import SymptomSpec, Window

MINUTE = 60.0
WINDOWS = Windows(((0.0, 6000.0),), (6000.0, 8400.0), 7000.0, declared=True)
TIME = MINUTE * np.arange(140)
NOW = TIME >= 6000.0
Series = dict[tuple[str, str], np.ndarray]


def _frame(series: Series) -> pl.DataFrame:
    parts = [
        pl.DataFrame({"time": TIME, "value": values}).with_columns(
            pl.lit(entity).alias("entity"), pl.lit(metric).alias("metric")
        )
        for (entity, metric), values in series.items()
    ]
    return pl.concat(parts).select("time", "entity", "metric", "value")


def _steps(rng: np.random.Generator, usual: float, now: float) -> np.ndarray:
    return np.where(NOW, now, usual) * (1 + 0.02 * rng.standard_normal(len(TIME)))


@pytest.mark.parametrize(("failing", "fell"), [(0.6, True), (0.4, False)])
@pytest.mark.parametrize("whole", [1.0, 100.0])
def test_a_quota_that_answers_fewer_than_before_is_smaller(
    failing: float, fell: bool, whole: float
) -> None:
    """Of 1.7 times the calls, 40% refused leave as many answers as ever; 60% leave fewer, which no load does."""
    rng = np.random.default_rng(1)
    table = departures(
        _frame(
            {
                ("maker", "rps"): _steps(rng, 20.0, 34.0),
                ("maker", "throttled"): np.where(NOW, 1000.0 * failing, 0.0),
                ("maker", "error_rate"): whole * _steps(rng, 0.001, failing),
                ("maker", "latency_p95_ms"): _steps(rng, 50.0, 50.0),
            }
        ),
        WINDOWS,
    )
    assert (lowered(table) == "maker") is fell
    assert unfelt(table, "error") is fell


@pytest.mark.parametrize(
    ("metric", "incoming"),
    [
        ("audio_seconds_avg", True),
        ("bytes_per_upload_avg", True),
        ("response_bytes_avg", False),
        ("bytes_per_s", False),
        ("heap_mb_avg", False),
    ],
)
def test_larger_work_comes_in_at_the_door(metric: str, incoming: bool) -> None:
    """Clips three times as long are load, whoever takes longer for them; larger answers are no load."""
    rng = np.random.default_rng(2)
    frame = _frame(
        {
            ("door", metric): _steps(rng, 6.0, 18.0),
            ("door", "rps"): _steps(rng, 5.0, 5.0),
            ("worker", "latency_p50_ms"): _steps(rng, 100.0, 310.0),
            ("broken", "latency_p50_ms"): _steps(rng, 100.0, 3100.0),
        }
    )
    edges = {("door", "worker"), ("door", "broken")}
    table = departures(frame, WINDOWS)
    found = larger(table, edges)
    assert [one.entity for one in found] == (["door"] if incoming else [])
    assert larger(table, {*edges, ("client", "door")}) == []
    slow = [
        Signal(name, "symptom_flow", 4.0, {"slow_dependency": 1.0}, "", 1.0, 1.0)
        for name in ("worker", "broken")
    ]
    weights = {one.entity: one.weight for one in excused_by_size([*slow, *found], table)}
    assert weights["broken"] == 4.0
    assert (weights["worker"] < 2.0) is incoming


@pytest.mark.parametrize(
    ("slow_from", "load", "told"),
    [(6300.0, 5.5, True), (6000.0, 5.5, False), (6300.0, 1.0, False)],
)
def test_copies_that_warm_up_are_slow_after_they_were_added(
    slow_from: float, load: float, told: bool
) -> None:
    """Slow before copies were added, it was load; slow once they are there, and quick under the same load, it was they."""
    late = np.where(TIME >= 7500.0, load, 5.5)
    metrics = _frame(
        {
            ("model", "ready_replicas"): np.where(TIME >= 6240.0, 8.0, 2.0),
            ("model", "rps"): np.where(NOW, late, 3.5),
            ("model", "latency_p95_ms"): np.where(
                (slow_from <= TIME) & (TIME < 7200.0), 2000.0, 100.0
            ),
        }
    )
    assert [one.entity for one in warming(metrics, WINDOWS)] == (["model"] if told else [])


@pytest.mark.parametrize(("third", "times"), [(100.0, 3), (75.0, 0)])
def test_what_comes_at_even_distances_recurs(third: float, times: int) -> None:
    """Three peaks as far from each other are a season; three at any distance are chance."""
    time = np.arange(130.0)
    value = 1 + sum(10 * np.exp(-(((time - at) / 3) ** 2)) for at in (20.0, 60.0, third))
    now = (time >= third - 8) & (time <= third + 8)
    usual = time < third - 10
    assert recurs(time, np.asarray(value), usual, now) == times


def _told(
    folder: Path, series: dict[tuple[str, str], np.ndarray], since: float, symptom: SymptomSpec
) -> ServicesResult:
    length = len(next(iter(series.values())))
    time = shop.START + MINUTE * np.arange(length)
    rows = [
        (float(t), entity, metric, float(v))
        for (entity, metric), values in series.items()
        for t, v in zip(time, values, strict=True)
    ]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")
    incident = shop.incident(folder, metrics=("m.parquet",), symptom=symptom)
    begin, end = shop.START + MINUTE * since, float(time[-1])
    incident = replace(
        incident,
        reference_window=Window(shop.START, begin),
        current_window=Window(begin, end),
    )
    return analyse(incident, np.random.default_rng(0))


def test_load_that_came_before_is_no_surge(tmp_path: Path) -> None:
    """Openings every two hours bring the same load each time; nobody is to blame, and none of it is a surge."""
    rng = np.random.default_rng(5)
    minute = np.arange(300)
    load = 2 + 6 * sum(np.exp(-(((minute - at) / 8.0) ** 2)) for at in (30, 150, 270))
    series = {
        (name, "rps"): load * (1 + 0.03 * rng.standard_normal(300))
        for name in ("door", "book", "risk")
    }
    told = _told(tmp_path, series, 255, SymptomSpec(metric="rps", entity="door", direction="up"))
    assert [one.mode for one in told.nulls if one.probability > 0.5] == ["seasonality"]
    assert "offered_load" not in {one.name for one in told.signals}


@pytest.mark.parametrize(
    ("metric", "clocks"), [("oneway_ms", True), ("clock_offset_ms", False), ("balance", False)]
)
def test_no_time_is_below_nothing(tmp_path: Path, metric: str, clocks: bool) -> None:
    """A length of time that turns negative was read from two clocks; offsets may be of either sign."""
    rng = np.random.default_rng(6)
    value = 2 + 0.05 * rng.standard_normal(200)
    value[150:] = 500 * rng.choice([-1.0, 0.0, 1.0], 50)
    series = {("route", metric): value, ("route", "rps"): 9 + rng.standard_normal(200)}
    told = _told(tmp_path, series, 150, SymptomSpec(metric=metric, entity="route"))
    found = {one.mode for one in told.nulls if one.probability > 0.5}
    assert ("monitor_defect" in found) is clocks


def test_lines_of_the_incident_are_not_usual(tmp_path: Path) -> None:
    """A reference that ends where the incident begins holds none of the lines that the incident writes."""
    time = shop.START + MINUTE * np.arange(120)
    rows = [(float(t), name, "rps", 5.0) for t in time for name in ("door", "reader")]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    begin, end = float(time[80]), float(time[-1])
    line = "using fallback for reader: ValidationError: field 'text' missing"
    said = [(begin + 9 * n, "door", "WARN", line) for n in range(60)]
    schema = ["timestamp", "entity", "severity", "message"]
    pl.DataFrame(said, schema=schema, orient="row").write_parquet(tmp_path / "l.parquet")
    incident = shop.incident(tmp_path, metrics=("m.parquet",), logs=("l.parquet",))
    incident = replace(
        incident, reference_window=Window(shop.START, begin), current_window=Window(begin, end)
    )
    told = analyse(incident, np.random.default_rng(0))
    assert told.ranking[0][0] == "reader"


@pytest.mark.parametrize(("door", "storm"), [(6.0, True), (20.0, False)])
def test_a_cache_that_forgets_at_once_is_asked_for_by_moments(door: float, storm: bool) -> None:
    """Misses that come for minutes hardly move the mean of hours; the store is asked by them all the same."""
    rng = np.random.default_rng(7)
    often = (TIME >= 7020.0) & (TIME < 7260.0)
    noise = 1 + 0.02 * rng.standard_normal(len(TIME))
    table = departures(
        _frame(
            {
                ("api", "http_requests_rate"): np.where(often, door, np.where(NOW, 6.0, 5.0))
                * noise,
                ("db", "http_requests_rate"): np.where(often, 20.0, 5.0) * noise,
                ("cache", "cache_miss_rate"): np.where(often, 20.0, 5.0) * noise,
            }
        ),
        WINDOWS,
    )
    signals = [
        Signal("cache", "metric.cache", 3.0, {"cache_storm": 1.0}, "", 1.0, 1.0),
        Signal("db", "symptom_flow", 6.0, {"slow_dependency": 1.0}, "", 1.0, 1.0),
    ]
    told = asked_instead(signals, table, {("api", "db"), ("api", "cache")})
    assert ("asked_instead" in {one.name for one in told}) is storm


@pytest.mark.parametrize(
    ("door", "again", "surge"), [(10.0, 6.0, False), (10.0, 0.0, True), (20.0, 6.0, True)]
)
def test_second_tries_are_no_surge(door: float, again: float, surge: bool) -> None:
    """A callee that is asked twice as much because it is asked again is under no load from outside."""
    rng = np.random.default_rng(8)
    table = departures(
        _frame(
            {
                ("api", "http_requests_rate"): _steps(rng, 10.0, door),
                ("db", "http_requests_rate"): _steps(rng, 10.0, 20.0),
                ("api", "retries_per_s"): np.where(NOW, again, 0.0),
            }
        ),
        WINDOWS,
    )
    one = Signal("db", "symptom_flow", 6.0, {"traffic_surge": 0.7}, "", 1.0, 1.0)
    (told,) = inward([one], table, {("api", "db")})
    assert ("traffic_surge" in told.modes) is surge


@pytest.mark.parametrize("early", [0, 28])
def test_a_surge_that_began_before_its_window_is_one(tmp_path: Path, early: int) -> None:
    """A window that is declared a while late leaves the surge's beginning in the past, where it excuses nothing."""
    rng = np.random.default_rng(9)
    minute = np.arange(200)
    load = np.where(minute >= 160 - early, 20.0, 5.0)
    series = {
        (name, "rps"): load * (1 + 0.03 * rng.standard_normal(200))
        for name in ("door", "book", "risk")
    }
    series["door", "latency_p99_ms"] = np.where(minute >= 160 - early, 900.0, 90.0) + rng.random(
        200
    )
    told = _told(tmp_path, series, 160, SymptomSpec(metric="latency_p99_ms", entity="door"))
    assert "offered_load" in {one.name for one in told.signals}


@pytest.mark.parametrize(("elsewhere", "surge"), [(1.0, True), (3.0, False)])
def test_who_takes_from_a_queue_that_others_fill_is_no_door(elsewhere: float, surge: bool) -> None:
    """A worker that nobody calls is where a surge comes in, unless those before its queue are asked as many more."""
    asked = {"front": 1.0, "orders": elsewhere, "queue": 3.0, "worker": 3.0, "mail": 3.0}
    table = _table(
        *(_row(n, "requests_rate", "traffic", now=x, middle_now=x) for n, x in asked.items())
    )
    edges = {("front", "orders"), ("orders", "queue"), ("worker", "queue"), ("worker", "mail")}
    found = offered(table, None, np.zeros(0), edges, "front")
    assert [one.entity for one in found] == ["worker"] * surge


@pytest.mark.parametrize(
    ("asked", "fail", "slower", "storm"),
    [(1.1, 3.8, 8.0, True), (4.0, 3.8, 8.0, False), (1.1, 0.1, 8.0, False), (1.1, 3.8, 1.0, False)],
)
def test_calls_that_fail_as_often_as_they_were_added_are_second_tries(
    asked: float, fail: float, slower: float, storm: bool
) -> None:
    """More calls for as many requests, which fail one and all at somebody who is far slower, are made again."""
    told = {"about": "b", "level": 1.0}
    table = _table(
        _row("a", "requests_rate", "traffic", now=asked, middle_now=asked),
        _row("a", "calls_rate_to_b", "traffic", now=4.2, middle_now=4.2, **told),
        _row("a", "failures_to_b", "error", now=fail, middle_now=fail, **told | {"level": 0.01}),
        _row("b", "latency_ms", "latency", now=slower, middle_now=slower),
    )
    assert [one[:2] for one in tried_again(table)] == [("a", "b")] * storm
