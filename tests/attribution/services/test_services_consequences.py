"""What follows from a fault and is none itself: queues, places held, failures at the door, outcomes, lone witnesses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shop
from test_services_modes import _row, _signal, _table
from test_services_ordinary import _modes, _rows, _told

from ruleout.attribution.services._hypothesise import _somebody_elses
from ruleout.attribution.services._kinds import OFFERED, kind_of, words
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import (
    beyond_load,
    from_departures,
    load_everywhere,
    loads_of,
    out_of_time,
)
from ruleout.attribution.services._views import retried
from ruleout.incident import SymptomSpec, Window
from ruleout.sources.telemetry import empty_logs


@pytest.mark.parametrize(
    ("metric", "kind"),
    [("Faults", "error"), ("mem_page_faults", "other"), ("mrt", "latency"), ("sr", "availability")],
)
def test_words_of_requests_in_several_trades(metric: str, kind: str) -> None:
    """Faults of requests are failures, those of pages are not; business monitors abbreviate."""
    assert kind_of(metric) == kind


@pytest.mark.parametrize("metric", ["workload", "messages_per_second", "card_transactions"])
def test_more_units_of_work_come_in_from_outside(metric: str) -> None:
    """A surge is counted in the units of the trade."""
    assert set(words(metric)) & OFFERED


def test_a_queue_behind_work_is_the_works() -> None:
    """A pool that fills while the processor works more than before is filled by that work."""
    pool = _row("db", "pool_waiting", "saturation", "pool", score=4.0)
    busy = _row("db", "cpu", "cpu", score=4.0, now=2.5)
    rest = _row("db", "cpu", "cpu", score=0.0, now=1.0)
    shares = []
    for cpu in (busy, rest):
        table = _table(pool, cpu)
        told = from_departures(table, (), alone=True, traced=())
        shares.append(mode_shares(told, "db", table, empty_logs()))
    assert shares[0]["cpu_saturation"] > shares[0]["pool_exhaustion"]
    assert next(iter(shares[1])) == "pool_exhaustion"


@pytest.mark.parametrize(("wait", "left"), [(20.0, 0.5), (1.5, 1.0)])
def test_failures_at_the_door_may_be_waits_behind_it(wait: float, left: float) -> None:
    """Where a callee takes twenty times as long and the door does not, requests run out of time at the door."""
    table = _table(
        _row("front", "errors", "error"),
        _row("pay", "latency", "latency", now=wait),
        _row("front", "latency", "latency", now=1.2),
    )
    lost = Signal("front", "symptom_flow", 6.0, {"change_regression": 1.0}, "told", 6.0, 6.0)
    (one,) = out_of_time([lost], table, "error", "front")
    assert one.weight == pytest.approx(6.0 * left)
    assert out_of_time([lost], table, "latency", "front") == [lost]


def _everywhere(*rows: dict[str, object]) -> float:
    table = _table(*rows)
    return load_everywhere(table, loads_of(table))


def test_who_counts_no_requests_is_asked_what_all_others_are() -> None:
    """A store without a count of its own works twice as much because everybody is asked twice as much."""
    asked = [_row(name, "requests", "traffic", now=2.0) for name in ("front", "cart", "pay")]
    assert _everywhere(*asked) == pytest.approx(2.0)
    assert _everywhere(*asked[:2]) == 1.0
    busy = _row("store", "cpu", "cpu", now=2.0)
    assert beyond_load(busy, _everywhere(*asked)) < 0.2
    weights = [
        {s.entity: s.weight for s in from_departures(t, (), alone=True, traced=())}["store"]
        for t in (_table(busy, *asked), _table(busy))
    ]
    assert weights[0] < 0.3 * weights[1]


def test_a_count_of_second_tries_is_no_count_of_calls() -> None:
    """Second tries that grow three-hundredfold beside calls that hardly do are no storm."""
    calls = _row("web", "Requests:pay", "traffic", about="pay", level=1000.0, middle_now=1200.0)
    again = _row(
        "web", "RetriedRequests:pay", "other", "retries", about="pay", level=1.0, middle_now=200.0
    )
    assert retried(_table(calls, again)) == []


def test_an_outside_party_has_no_change_of_ours() -> None:
    """Whatever a provider changed, to us it is slow or fails; the shares still sum to one."""
    told = _somebody_elses({"change_regression": 0.6, "slow_dependency": 0.3, "network_fault": 0.1})
    assert told == {"slow_dependency": pytest.approx(0.9), "network_fault": 0.1}


def _business(folder: Path, *, apart: bool) -> list[str]:
    """A journey measured in words of its own (or of the servers) over four servers, one of which has no processor left."""
    rng = np.random.default_rng(6)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = 1 + 0.03 * rng.standard_normal((12, 180))
    mine = "mrt" if apart else "response_time"
    rows = _rows(times, "pay-journey", mine, np.where(late, 400.0, 100.0) * noise[0])
    rows += _rows(times, "pay-journey", "sr", np.where(late, 80.0, 99.9) * noise[1])
    rows += _rows(times, "buy-journey", mine, np.where(late, 380.0, 100.0) * noise[2])
    for k, who in enumerate(("tomcat-1", "tomcat-2", "db", "cache")):
        hit = late & (who == "tomcat-2")
        rows += _rows(times, who, "cpu_util", np.where(hit, 97.0, 30.0) * noise[3 + k])
        if not apart:
            rows += _rows(times, who, "response_time", np.where(hit, 90.0, 20.0) * noise[7 + k])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric=mine, entity="pay-journey", direction="up")
    told = _told(folder, rows, symptom, windows)
    return [name for name, _ in told.ranking]


def test_a_business_outcome_is_no_component(tmp_path: Path) -> None:
    """Journeys that are measured in words that no server shares are served, and cannot be at fault themselves."""
    assert _business(tmp_path, apart=True)[0] == "tomcat-2"
    assert not {"pay-journey", "buy-journey"} & set(_business(tmp_path, apart=True))
    assert "pay-journey" in _business(tmp_path, apart=False)


@pytest.mark.parametrize("level", [True, False])
def test_a_mean_that_may_not_have_moved_is_chance(tmp_path: Path, level: bool) -> None:
    """Lone slow requests come and go; where the mean may be what it was and none lasts, nothing happened."""
    rng = np.random.default_rng(1)
    times = shop.START + np.arange(1200.0)
    late = times >= shop.START + 720
    values = 0.1 * np.exp(0.1 * rng.standard_normal(1200))
    values[rng.choice(720, 8, replace=False)] *= 2.4
    values[720 + rng.choice(480, 9, replace=False)] *= 3.4
    values = values * np.where(late & (not level), 1.6, 1.0)
    rows = _rows(times, "front", "latency_p90_s", values)
    windows = Window(shop.START, shop.START + 719), Window(shop.START + 720, shop.START + 1200)
    symptom = SymptomSpec(metric="latency_p90_s", entity="front", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("random_fluctuation" in _modes(told)) is level


@pytest.mark.parametrize("late_one", [True, False])
def test_one_slow_request_later_does_not_bring_an_episode_back(
    tmp_path: Path, late_one: bool
) -> None:
    """An episode of minutes that ended is over, whatever single samples do afterwards."""
    rng = np.random.default_rng(2)
    times = shop.START + np.arange(1500.0)
    values = 0.1 * (1 + 0.05 * rng.standard_normal(1500))
    values[650:800] *= 5.0
    values[1400] *= 5.0 if late_one else 1.0
    rows = _rows(times, "front", "latency_p90_s", values)
    windows = Window(shop.START, shop.START + 599), Window(shop.START + 600, shop.START + 1500)
    symptom = SymptomSpec(metric="latency_p90_s", entity="front", direction="up")
    assert "already_recovered" in _modes(_told(tmp_path, rows, symptom, windows))


@pytest.mark.parametrize(("servers", "defect"), [(3, True), (9, False)])
def test_few_witnesses_of_many_deny_no_metric(tmp_path: Path, servers: int, defect: bool) -> None:
    """That three stores are as quick as ever denies nothing where most of those at work do not measure their time."""
    rng = np.random.default_rng(8)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = 1 + 0.03 * rng.standard_normal((servers + 1, 180))
    rows = _rows(times, "gateway-view", "avg_time", np.where(late, 0.5, 0.1) * noise[0])
    for k in range(servers):
        if k < 3:
            rows += _rows(times, f"w{k}", "latency_s", 0.02 * noise[k + 1])
        rows += _rows(times, f"w{k}", "requests", 50 * noise[k + 1])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="avg_time", entity="gateway-view", direction="up")
    told = _told(tmp_path, rows, symptom, windows)
    assert ("monitor_defect" in _modes(told)) is defect


def test_code_that_only_fails_is_not_other_code() -> None:
    """Where an entity counts what it throttles, that its code ends in failures says nothing of a change."""
    fails = Signal(
        "table", "behaviour", 6.0, {"change_regression": 1.0}, "table: fails in call", 6.0, 0.9
    )
    other = fails._replace(statement="table: calls audit (in call)")
    quota = _row("table", "throttled_requests", "saturation", "quota", score=6.0)
    shares = [
        mode_shares([one, _signal("table", "x", 0.1)], "table", _table(quota), empty_logs())
        for one in (fails, other)
    ]
    assert shares[0]["change_regression"] < shares[1]["change_regression"]


@pytest.mark.parametrize(("stays", "over"), [("archived_chunks", True), ("cpu_percent", False)])
def test_what_nobody_knows_the_meaning_of_keeps_no_episode_open(
    tmp_path: Path, stays: str, over: bool
) -> None:
    """A count that went up for reasons of its own leaves an episode over; a processor that is still taken does not."""
    rng = np.random.default_rng(2)
    times = shop.START + np.arange(1500.0)
    noise = 1 + 0.05 * rng.standard_normal((2, 1500))
    slow = (times >= shop.START + 650) & (times < shop.START + 800)
    rows = _rows(times, "front", "latency_p90_s", 0.1 * np.where(slow, 5.0, 1.0) * noise[0])
    more = np.where(times >= shop.START + 650, 9.0, 1.0)
    rows += _rows(times, "cart", stays, 8.0 * more * noise[1])
    windows = Window(shop.START, shop.START + 599), Window(shop.START + 600, shop.START + 1500)
    symptom = SymptomSpec(metric="latency_p90_s", entity="front", direction="up")
    assert ("already_recovered" in _modes(_told(tmp_path, rows, symptom, windows))) is over


def test_few_samples_may_show_that_an_episode_is_over(tmp_path: Path) -> None:
    """Of samples of minutes, twice as many good ones as bad ones before them are enough."""
    rng = np.random.default_rng(3)
    times = shop.START + 60 * np.arange(86.0)
    values = 0.1 * (1 + 0.03 * rng.standard_normal(86))
    values[71:76] *= 4.0
    rows = _rows(times, "front", "latency_p90_s", values)
    windows = Window(shop.START, times[60] - 1), Window(float(times[60]), float(times[-1]))
    symptom = SymptomSpec(metric="latency_p90_s", entity="front", direction="up")
    assert "already_recovered" in _modes(_told(tmp_path, rows, symptom, windows))
