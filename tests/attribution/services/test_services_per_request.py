"""Calls for each request, the growth of all requests and of one customer's, days that differ, and measures beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shop
from test_services_modes import _row, _signal, _table
from test_services_ordinary import _modes, _rows, _told

from ruleout.attribution.services._beyond import asks_beyond
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._load import excused_by_load
from ruleout.attribution.services._per_request import counts_calls, per_request
from ruleout.attribution.services._records import Signal
from ruleout.incident import SymptomSpec, Window

EDGES = [("catalog", "catalog-db"), ("catalog", "cache")]


@pytest.mark.parametrize(
    ("metric", "counts"),
    [
        ("db_queries_per_request", True),
        ("rpcs_per_job", True),
        ("requests_per_second", False),
        ("bytes_per_request", False),
        ("queries", False),
    ],
)
def test_names_of_calls_for_each_request(metric: str, counts: bool) -> None:
    """Calls by request are told from requests by the second and from sizes."""
    assert counts_calls(metric) is counts


@pytest.mark.parametrize(
    ("now", "failing", "asks"),
    [(10.0, False, True), (10.0, True, True), (2.5, True, False), (1.3, False, False)],
)
def test_code_asks_more_for_the_same_work(now: float, failing: bool, asks: bool) -> None:
    """Ten queries for each request in place of one are the caller's code; a few more to somebody who fails are second tries."""
    table = _table(
        _row("catalog", "db_queries_per_request", "other", now=now, middle_now=now),
        _row("catalog-db", "errors_pct", "error", score=3.0 * failing),
    )
    found = per_request(table, EDGES)
    assert bool(found) is asks
    if asks:
        assert (found[0].entity, found[0].of) == ("catalog", "catalog-db")


@pytest.mark.parametrize(
    ("total", "excused"), [("requests_per_second", True), ("jobs_per_hour", False)]
)
def test_one_customers_requests_grow_more_than_all(total: str, excused: bool) -> None:
    """Who is asked as many more as the door by the same count is slow for that, though one customer asks far more."""
    door = Signal("door", "offered_load", 7.0, {"traffic_surge": 1.0}, "told", 14.0, 13.0)
    table = _table(
        _row("door", "tenant_a_rps", "traffic", now=14.0),
        _row("door", total, "traffic", now=2.2),
        _row("ranker", "requests_per_second", "traffic", now=2.2),
    )
    signals = excused_by_load([door, _signal("ranker", "added_time")], table)
    weight = {one.name: one.weight for one in signals}
    assert (weight["added_time"] < 3.0) is excused
    assert (weight["offered_load"] > 7.0) is excused


@pytest.mark.parametrize(("lull", "season"), [(1.0, True), (0.2, False)])
def test_days_differ_and_are_days_all_the_same(tmp_path: Path, lull: float, season: bool) -> None:
    """An evening a little worse than the mildest before it is the season's; not where one evening had hardly any of it."""
    rng = np.random.default_rng(7)
    times = shop.START + 300.0 * np.arange(12 * (24 * 4 + 20))
    hour = (times - shop.START) / 3600
    height = np.array([0.95, 1.0, 0.85, 0.9, 1.0])
    height[1] *= lull
    evening = height[(hour // 24).astype(int)] * np.exp(-(((hour % 24 - 18) / 0.5) ** 2))
    rows = _rows(
        times,
        "front",
        "latency_p99_ms",
        110 * (1 + evening) * (1 + 0.02 * rng.standard_normal(len(times))),
    )
    at = shop.START + 4 * 86_400.0 + 17.5 * 3600
    windows = Window(shop.START, at), Window(at, at + 3600)
    symptom = SymptomSpec(metric="latency_p99_ms", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert any("this hour of every day" in one.statement for one in told.nulls) is season


@pytest.mark.parametrize("beside", [1.0, 60.0])
def test_a_share_that_its_twin_does_not_bear_out(tmp_path: Path, beside: float) -> None:
    """Of two shares of failures that were as large, the one that rose alone is measured wrong; together they are believed."""
    rng = np.random.default_rng(8)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = np.exp(0.1 * rng.standard_normal((3, 180)))
    rows = _rows(times, "front", "rule:error_ratio", 0.0011 * np.where(late, 80.0, 1.0) * noise[0])
    rows += _rows(times, "front", "http_5xx_ratio", 0.0010 * np.where(late, beside, 1.0) * noise[1])
    rows += _rows(times, "front", "latency_p95_ms", 90.0 * noise[2])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="rule:error_ratio", entity="front", direction="up")
    found = _modes(_told(tmp_path, rows, symptom, windows))
    assert ("monitor_defect" in found) is (beside == 1.0)


@pytest.mark.parametrize(
    ("caller", "usual", "slower", "ill", "asks"),
    [
        (1.0, 1.0, 4.0, {}, True),
        (5.0, 1.0, 4.0, {}, False),
        (1.0, 0.0, 4.0, {}, False),
        (1.0, 1.0, 1.1, {}, False),
        (1.0, 1.0, 4.0, {"catalog-db": "error_ratio"}, False),
        (1.0, 1.0, 4.0, {"cache": "cache_hit_ratio"}, False),
        (1.0, 1.0, 4.0, {"catalog": "retries_rate"}, False),
    ],
)
def test_calls_that_grow_beyond_requests_are_the_callers_code(
    caller: float, usual: float, slower: float, ill: dict[str, str], asks: bool
) -> None:
    """Five times the calls for as many requests, which take longer for it, are code.

    Not where somebody fails, a cache answers less, calls are made again, or the callee was asked nothing before.
    """
    more = {"level": usual, "now": 5.0, "middle_now": 5.0}
    table = _table(
        _row("catalog", "requests_per_second", "traffic", now=caller, middle_now=caller),
        _row("catalog", "latency_ms", "latency", now=slower, middle_now=slower),
        _row("catalog-db", "requests_per_second", "traffic", **more),
        _row("cache", "requests_per_second", "traffic", now=1.0, middle_now=1.0),
        *(
            _row(name, metric, kind_of(metric), "retries" if "retries" in metric else None)
            for name, metric in ill.items()
        ),
    )
    found = asks_beyond(table, EDGES)
    assert [(one.entity, one.of) for one in found] == [("catalog", "catalog-db")] * asks


@pytest.mark.parametrize(("slower", "asks"), [(6.0, True), (1.2, False)])
def test_of_several_callers_the_slow_one_asks_more(slower: float, asks: bool) -> None:
    """Where only the callee counts its calls, which of its callers makes more of them is told by their time alone."""
    table = _table(
        *(_row(name, "requests_per_second", "traffic", now=1.0, middle_now=1.0) for name in "ab"),
        _row("db", "requests_per_second", "traffic", now=9.0, middle_now=9.0),
        _row("a", "latency_p95_ms", "latency", now=slower, middle_now=slower),
        _row("b", "latency_p95_ms", "latency", now=1.0, middle_now=1.0),
    )
    found = asks_beyond(table, [("a", "db"), ("b", "db")])
    assert [(one.entity, one.of) for one in found] == [("a", "db")] * asks
