"""Kinds, onsets, departures and the flow of the symptom's quantity."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ruleout.attribution.services._flow import follow
from ruleout.attribution.services._kinds import bad_direction, clue_of, kind_of, on_host, worse
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._onset import onset
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import from_departures
from ruleout.attribution.services._windows import Windows

WINDOWS = Windows(((0.0, 6000.0),), (6000.0, 8400.0), 7000.0, declared=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("CpuUsageRate(%)", "cpu"),
        ("container_cpu_cfs_throttled_seconds", "cpu"),
        ("HTTPCode_Target_5XX_Count", "error"),
        ("rpc_duration_seconds_count", "traffic"),
        ("http.request.hits", "traffic"),
        ("DiskQueueDepth", "disk"),
        ("row_lock_wait_ms", "saturation"),
        ("memory_available_bytes", "memory"),
        ("load_average_5m", "cpu"),
        ("mem", "memory"),
        ("MemoryUsage(Mi)", "memory"),
        ("latency-90", "latency"),
        ("http_server_duration_p99_ms", "latency"),
        ("http_5xx_ratio", "error"),
        ("availability.Average", "availability"),
        ("requests.Sum", "traffic"),
        ("load", "traffic"),
        ("db_query_count_per_request", "other"),
        ("Call_Per_Sec", "traffic"),
        ("container_session_used", "saturation"),
        ("active_user_sessions", "other"),
        ("OSLinux-CPU_CPUWio", "disk"),
        ("CPU_iowait_time_pct", "disk"),
        ("queries_per_sec", "traffic"),
        ("errors_per_sec", "error"),
        ("bytes_per_sec", "other"),
        ("query_time_per_sec", "latency"),
        ('client_seconds_to{peer="db"}', "latency"),
        ("client_cpu_seconds", "cpu"),
        ("client_connection_age_seconds", "saturation"),
        ("cpu_limit_ratio", "cpu"),
        ("mem_limit_share", "memory"),
        ("container_resource_limits_cpu_cores", "other"),
        ("disk_used_pct", "disk"),
        ("NetworkReceiveBytes", "network"),
        ("queue_depth", "saturation"),
        ("gpu_memory_used", "accelerator"),
        ("cache_hit_ratio", "cache"),
        ("zzz", "other"),
    ],
)
def test_kind_is_read_from_generic_words(name: str, kind: str) -> None:
    """A metric's kind follows from the generic words of its name, whatever signs part them."""
    assert kind_of(name) == kind


def test_less_availability_and_more_latency_are_bad() -> None:
    """The bad direction is down for availability, up for latency and open for traffic."""
    assert [bad_direction(kind_of(n)) for n in ("availability", "latency", "requests")] == [
        -1,
        1,
        0,
    ]
    assert [worse(name) for name in ("memory_free_bytes", "gpu_clock_mhz", "cpu")] == [-1, -1, 1]
    assert on_host("NodeCpuUsageRate(%)")
    assert not on_host("CpuUsageRate(%)")


def _series(values: np.ndarray, entity: str, metric: str, step: float = 60.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "time": np.arange(len(values)) * step,
            "entity": [entity] * len(values),
            "metric": [metric] * len(values),
            "value": values.astype(float),
        }
    )


def _noise(level: float, size: int = 140, seed: int = 0) -> np.ndarray:
    return level * (1 + 0.03 * np.random.default_rng(seed).standard_normal(size))


def test_a_constant_series_that_breaks_departs() -> None:
    """A series that never moved in its reference and moves now departs further than noise does."""
    still = np.full(140, 100.0)
    still[110:] = 90.0
    table = pl.concat(
        [_series(still, "a", "availability"), _series(_noise(100.0), "b", "availability")]
    )
    found = departures(table, WINDOWS)
    score = dict(zip(found["entity"], found["score"], strict=True))
    assert score["a"] > 1.0 > score["b"]


def test_the_tail_of_an_earlier_incident_does_not_hide_this_one() -> None:
    """A reference of which a tenth was already bad still shows the departure."""
    values = _noise(10.0)
    values[:10] = 60.0
    values[105:] = 60.0
    found = departures(_series(values, "a", "cpu"), WINDOWS)
    assert found["score"][0] > 1.0


def test_an_improvement_is_no_departure() -> None:
    """Latency that falls scores nothing."""
    values = _noise(10.0)
    values[100:] = 1.0
    assert departures(_series(values, "a", "latency"), WINDOWS)["score"][0] == 0.0


def test_onset_of_a_step_is_within_a_sample() -> None:
    """A step is dated to its first sample, and is no ramp."""
    values = _noise(10.0)
    values[105:] += 30
    start = onset(_series(values, "a", "latency"), WINDOWS, 1)
    assert start is not None
    assert start.at == 105 * 60.0
    assert start.ramp == 0.0


def test_onset_of_a_ramp_is_told_as_one() -> None:
    """A slow rise is a ramp, dated near its beginning."""
    values = _noise(10.0)
    values[90:] += np.linspace(0, 60, 50)
    start = onset(_series(values, "a", "latency"), WINDOWS, 1)
    assert start is not None
    assert start.ramp > 600
    assert 90 * 60 <= start.at <= 100 * 60


def test_no_onset_without_a_departure() -> None:
    """Noise has no onset."""
    assert onset(_series(_noise(10.0), "a", "latency"), WINDOWS, 1) is None


def _chain(fault: str) -> pl.DataFrame:
    """Front calls mid calls deep; `fault` loses 50 ms per request for the middle of the window."""
    order = ["front", "mid", "deep"]
    parts = []
    for place, name in enumerate(order):
        latency = _noise(0.02 * (3 - place), seed=place)
        if place <= order.index(fault):
            latency[110:125] += 0.05
        parts += [
            _series(latency, name, "latency"),
            _series(_noise(100.0, seed=9 + place), name, "requests"),
        ]
    bystander = _noise(0.3, seed=7)
    bystander[100:] += 2.0
    parts += [
        _series(bystander, "other", "latency"),
        _series(np.full(140, 1.0), "other", "requests"),
    ]
    return pl.concat(parts)


@pytest.mark.parametrize("fault", ["front", "mid", "deep"])
def test_the_symptom_is_followed_to_who_loses_the_time(fault: str) -> None:
    """Blame goes to the deepest entity that loses the symptom's time, not to a louder bystander."""
    edges = [("front", "mid"), ("mid", "deep"), ("front", "other")]
    flows = follow(_chain(fault), WINDOWS, ("front", "latency"), edges)
    best = max(flows, key=lambda name: flows[name].score)
    assert best == fault
    assert flows["other"].score < 0.3 * flows[best].score


def test_flow_needs_the_symptoms_own_series() -> None:
    """Without the symptom's series there is nothing to follow."""
    assert follow(_chain("mid"), WINDOWS, ("nobody", "latency"), []) == {}


@pytest.mark.parametrize("fault", ["front", "mid", "deep"])
def test_the_symptom_is_followed_where_nobody_told_who_calls(fault: str) -> None:
    """Without any topology the alarm's own entity is not blamed for what a quicker one loses with it."""
    flows = follow(_chain(fault), WINDOWS, ("front", "latency"), [])
    assert max(flows, key=lambda name: flows[name].score) == fault


def test_who_fails_most_stands_out_of_who_passes_failures_on() -> None:
    """Of error shares that all rose from nothing, the largest alone has its full weight."""
    parts = []
    for name, share in (("origin", 0.5), ("caller", 0.2), ("front", 0.1)):
        values = np.zeros(140)
        values[105:] = share
        parts.append(_series(values, name, "error_rate"))
    found = {one.entity: one.weight for one in _departed(pl.concat(parts))}
    assert found["origin"] > 3 * found["caller"] > 3 * found.get("front", 0.0)


def test_a_sure_but_tiny_change_weighs_little() -> None:
    """Memory that quietly stands 2% higher weighs far less than a processor that is asked twelve times as much."""
    small, large = _noise(200.0) * 0.1 + 180, _noise(5.0)
    small[105:] += 4.0
    large[105:] += 55.0
    found = _departed(
        pl.concat([_series(small, "a", "memory_mb"), _series(large, "b", "cpu_usage")])
    )
    weight = {one.entity: one.weight for one in found}
    assert weight["b"] > 10 * weight.get("a", 0.0)


def test_work_that_grows_from_nothing_explains_the_processor() -> None:
    """An idle service that is asked at last uses its processor, and nothing speaks for its being the cause."""
    asked, busy, idle = _noise(50.0), _noise(1.0), np.zeros(140)
    idle[105:] = 60.0
    busy[105:] = 20.0
    table = pl.concat(
        [
            _series(asked, "other", "requests"),
            _series(idle, "idle", "requests"),
            _series(busy, "idle", "cpu_usage"),
        ]
    )
    weight = {one.name: one.weight for one in _departed(table) if one.entity == "idle"}
    assert weight["metric.cpu"] < 0.6


def _departed(table: pl.DataFrame) -> list[Signal]:
    return from_departures(departures(table, WINDOWS), (), alone=True, traced=False)


def test_a_symptom_that_is_there_throughout_is_followed() -> None:
    """Where every instant of the incident is bad, the deepest that lost the time with it is still found."""
    parts = []
    for place, name in enumerate(["front", "mid", "deep"]):
        latency = _noise(0.02 * (3 - place), seed=place)
        latency[100:] += 0.006
        parts += [
            _series(latency, name, "latency"),
            _series(_noise(100.0, seed=9 + place), name, "requests"),
        ]
    edges = [("front", "mid"), ("mid", "deep")]
    flows = follow(pl.concat(parts), WINDOWS, ("front", "latency"), edges)
    assert max(flows, key=lambda name: flows[name].score) == "deep"
    assert flows["deep"].score > 2 * flows["front"].score


def test_series_that_are_sampled_apart_are_followed_alike() -> None:
    """Entities that are scraped some seconds after one another are compared as if at the same instant."""
    late = pl.when(pl.col("entity") == "deep").then(7.0).otherwise(0.0)
    table = _chain("deep").with_columns(pl.col("time") + late)
    flows = follow(table, WINDOWS, ("front", "latency"), [("front", "mid"), ("mid", "deep")])
    assert max(flows, key=lambda name: flows[name].score) == "deep"


def test_rare_events_are_granted_their_chance() -> None:
    """One lost packet more a sample is chance where one is usual, and none where it never varied."""
    rng = np.random.default_rng(4)
    counted, steady = rng.poisson(1.0, 140).astype(float), np.ones(140)
    counted[105:] += 1.0
    steady[105:] += 1.0
    table = pl.concat([_series(counted, "a", "retransmits"), _series(steady, "b", "retransmits")])
    weight = {one.entity: one.weight for one in _departed(table)}
    assert weight["b"] > 4 * weight.get("a", 0.0)


def test_who_is_asked_nothing_weighs_little() -> None:
    """A processor that works where no request arrives weighs a third, unless traces tell of requests there."""
    hot = _noise(1.0)
    hot[105:] = 20.0
    table = pl.concat(
        [
            _series(_noise(50.0), "shop", "requests"),
            _series(np.zeros(140), "unused", "requests"),
            _series(hot, "unused", "cpu_usage"),
        ]
    )
    found = departures(table, WINDOWS)
    alone, traced = (
        from_departures(found, (), alone=True, traced=names)[0].weight
        for names in ((), ("unused",))
    )
    assert alone < 0.5 * traced


@pytest.mark.parametrize(
    ("metric", "mode"),
    [
        ("node_cpu_steal_seconds", "noisy_neighbour"),
        ("gpu_temperature", "hardware_fault"),
        ("gpu_memory_used", "accelerator_memory"),
        ("requests_throttled", "rate_limited"),
        ("throttled_pct", "noisy_neighbour"),
        ("dns_lookup_failures", "network_fault"),
        ("row_lock_wait_ms", "slow_dependency"),
        ("queue_depth", "queue_backlog"),
        ("db_pool_in_use", "pool_exhaustion"),
    ],
)
def test_words_of_a_metric_tell_the_mode(metric: str, mode: str) -> None:
    """The mode that a departure speaks for most follows from the words of its metric."""
    values = _noise(10.0)
    values[105:] = 60.0
    (found,) = _departed(_series(values, "a", metric))
    assert max(found.modes, key=lambda name: found.modes[name]) == mode


@pytest.mark.parametrize(
    ("metric", "kind", "sign", "mode"),
    [
        ("db.client.connection.pending_requests", "saturation", 1, "pool_exhaustion"),
        ("gen_ai.server.kv_cache.usage", "accelerator", 1, "accelerator_memory"),
        ("DCGM_FI_DEV_XID_ERRORS", "accelerator", 1, "hardware_fault"),
        ("redis_keyspace_misses_total", "cache", 1, "cache_storm"),
        ("ThrottledRequests", "saturation", 1, "rate_limited"),
        ("schema_validation_failures_total", "error", 1, "schema_change"),
        ("resilience4j.circuitbreaker.not_permitted.calls", "error", 1, "resilience_mistrip"),
        ("system.network.io", "network", 1, "network_fault"),
        ("WriteLatency", "disk", 1, "storage_fault"),
        ("jvm.gc.duration", "memory", 1, "memory_leak"),
        ("kube_deployment_status_replicas_available", "other", 0, "cold_start"),
        ("container_sockets", "saturation", 1, "pool_exhaustion"),
    ],
)
def test_mechanisms_are_read_from_names_of_any_convention(
    metric: str, kind: str, sign: int, mode: str
) -> None:
    """A metric that counts a mechanism by itself tells its kind, its bad direction and its mode."""
    assert (kind_of(metric), worse(metric)) == (kind, sign)
    clue = clue_of(metric)
    assert clue is not None
    assert max(clue.modes, key=lambda name: clue.modes[name]) == mode


def test_how_often_a_cache_hits_is_told_from_how_many_hits_it_counts() -> None:
    """A share of hits is worse when it falls; a count of hits follows the requests and says nothing."""
    assert (kind_of("cache_hit_ratio"), worse("cache_hit_ratio")) == ("cache", -1)
    assert (kind_of("redis_keyspace_hits_total"), worse("redis_keyspace_hits_total")) == (
        "other",
        0,
    )


@pytest.mark.parametrize(("waits", "much"), [(0.0, False), (9.0, True)])
def test_what_a_disk_writes_counts_where_it_is_waited_for(waits: float, much: bool) -> None:
    """Hundred times as much is written: a log that somebody turned on, unless the processor waits for the disk."""
    written, waited = _noise(0.03), _noise(0.4)
    written[105:] += 3.0
    waited[105:] += waits
    table = pl.concat([_series(written, "a", "disk_write_mb"), _series(waited, "a", "cpu_iowait")])
    disk = [one for one in _departed(table) if "disk_write" in one.statement]
    assert (disk[0].weight > 1.0) is much


@pytest.mark.parametrize(
    ("now", "full"), [(98.0, True), (70.0, None), (8.0, False)], ids=["full", "partly", "free"]
)
def test_a_share_of_places_tells_its_own_limit(now: float, full: bool | None) -> None:
    """Of a pool told in percent it is known whether it is full, whether or not its size was recorded."""
    used = _noise(1.0)
    used[105:] += now
    table = departures(_series(used, "a", "jdbc_pool_used_pct"), WINDOWS)
    assert table["full"].to_list() == [full]
