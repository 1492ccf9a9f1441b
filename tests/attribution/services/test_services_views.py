"""What callers measure of whom they call, pools, caches, second tries, copies, surges and reasons of failed spans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.attribution.services._clues import clue_in
from ruleout.attribution.services._kinds import kind_of, words
from ruleout.incident import SymptomSpec

SECONDS = np.arange(shop.START, shop.END, 5.0)
LATE = shop.FAULT <= SECONDS
Series = dict[tuple[str, str], tuple[float, float]]

SHOP: Series = {
    ("front", "http_requests_rate"): (80.0, 80.0),
    ("front", "http_latency_p95_ms"): (120.0, 120.0),
    ("front", "http_error_ratio"): (0.004, 0.004),
    ("front", 'client_latency_p95_ms{peer="api"}'): (90.0, 90.0),
    ("front", 'client_errors_rate{peer="api"}'): (0.1, 0.1),
    ("api", "http_requests_rate"): (80.0, 80.0),
    ("api", "http_latency_p95_ms"): (85.0, 85.0),
    ("api", "cpu_utilisation"): (0.4, 0.4),
    ("api", 'client_latency_p95_ms{peer="db"}'): (20.0, 20.0),
    ("api", 'client_errors_rate{peer="db"}'): (0.05, 0.05),
    ("api", 'client_requests_rate{peer="db"}'): (30.0, 30.0),
    ("api", 'client_requests_rate{peer="cache"}'): (80.0, 80.0),
    ("api", 'client_retries_rate{peer="db"}'): (0.1, 0.1),
    ("api", 'pool_wait_ms{pool="db"}'): (0.2, 0.2),
    ("db", "http_latency_p95_ms"): (18.0, 18.0),
    ("db", "cpu_utilisation"): (0.5, 0.5),
    ("db", "http_requests_rate"): (30.0, 30.0),
    ("cache", "cache_hit_ratio"): (0.8, 0.8),
    ("cache", "http_requests_rate"): (80.0, 80.0),
    ("cache", "http_error_ratio"): (0.001, 0.001),
}


def _metrics(folder: Path, changed: dict[tuple[str, str], float]) -> None:
    rng = np.random.default_rng(8)
    rows: list[tuple[float, str, str, float]] = []
    for (entity, metric), (level, _) in SHOP.items():
        noise = level * (1 + 0.04 * rng.standard_normal(len(SECONDS)))
        after = changed.get((entity, metric))
        values = noise if after is None else np.where(LATE, noise / level * after, noise)
        rows += [(t, entity, metric, v) for t, v in zip(SECONDS, values, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")


def _of(folder: Path, metric: str, changed: dict[tuple[str, str], float]) -> ServicesResult:
    _metrics(folder, changed)
    symptom = SymptomSpec(metric=metric, entity="front", noticed_at=shop.FAULT + 60)
    incident = shop.incident(folder, metrics=("m.parquet",), symptom=symptom)
    return analyse(incident, np.random.default_rng(0))


def _first(result: ServicesResult) -> tuple[str, tuple[str, ...]]:
    return result.hypotheses[0].failure_mode, result.hypotheses[0].subject.names


SLOW = {
    ("front", "http_latency_p95_ms"): 300.0,
    ("front", 'client_latency_p95_ms{peer="api"}'): 270.0,
    ("api", "http_latency_p95_ms"): 265.0,
    ("api", 'client_latency_p95_ms{peer="db"}'): 200.0,
}


def test_callers_hand_their_loss_on_by_their_own_count(tmp_path: Path) -> None:
    """Time that the caller spends in its calls is the callee's, though the callee measures another metric."""
    result = _of(tmp_path, "http_latency_p95_ms", {**SLOW, ("db", "cpu_utilisation"): 0.97})
    assert _first(result) == ("cpu_saturation", ("db",))


def test_a_callee_that_is_as_it_was_is_not_reached_well(tmp_path: Path) -> None:
    """Where the callee answers as quickly as ever by its own count, what lies between is to blame."""
    assert _first(_of(tmp_path, "http_latency_p95_ms", SLOW)) == ("network_fault", ("db",))


@pytest.mark.parametrize(
    ("metric", "blamed"),
    [
        ("resolver_failures_rate", "api"),
        ("tls_handshake_failures_rate", "db"),
    ],
)
def test_calls_whose_names_nobody_finds_are_the_callers(
    tmp_path: Path, metric: str, blamed: str
) -> None:
    """Lookups that fail lose the caller's calls to a callee that is as it was; handshakes are as much the callee's."""
    changed = {
        ("front", "http_error_ratio"): 0.3,
        ("api", 'client_errors_rate{peer="db"}'): 9.0,
        ("api", "http_error_ratio"): 0.4,
        ("api", metric): 9.0,
    }
    usual = {("api", "http_error_ratio"): (0.004, 0.004), ("api", metric): (0.01, 0.01)}
    quiet = {("db", "http_error_ratio"): (0.001, 0.001)}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in (usual | quiet).items():
            patch.setitem(SHOP, key, value)
        result = _of(tmp_path, "http_error_ratio", changed)
    entity = max(result.ranking, key=lambda one: one[1])[0]
    assert entity == blamed


def test_calls_that_wait_for_a_pool_are_the_callers(tmp_path: Path) -> None:
    """A callee that is as quick as ever, and calls that wait before they leave: the pool is too small."""
    result = _of(
        tmp_path, "http_latency_p95_ms", {**SLOW, ("api", 'pool_wait_ms{pool="db"}'): 170.0}
    )
    assert _first(result) == ("pool_exhaustion", ("api",))


ASKED = {
    **SLOW,
    ("api", 'client_requests_rate{peer="db"}'): 62.0,
    ("db", "http_requests_rate"): 62.0,
}
BUSY = {**ASKED, ("db", "http_latency_p95_ms"): 190.0, ("db", "cpu_utilisation"): 0.9}


def test_a_cache_that_no_longer_knows_is_the_cause_of_who_is_asked_instead(tmp_path: Path) -> None:
    """More requests to the store behind a cache whose hit rate fell are the cache's."""
    result = _of(tmp_path, "http_latency_p95_ms", {**BUSY, ("cache", "cache_hit_ratio"): 0.4})
    assert _first(result) == ("cache_storm", ("cache",))


def test_who_is_asked_while_another_fails_is_a_fallback(tmp_path: Path) -> None:
    """More requests to the store while the cache fails and is no longer asked: the fallback is overloaded."""
    gone = {
        ("cache", "http_error_ratio"): 0.9,
        ("cache", "http_requests_rate"): 5.0,
        ("api", 'client_requests_rate{peer="cache"}'): 5.0,
    }
    result = _of(tmp_path, "http_latency_p95_ms", {**BUSY, **gone})
    assert _first(result) == ("fallback_overload", ("db",))


def test_requests_that_are_mostly_second_tries_are_a_storm(tmp_path: Path) -> None:
    """A callee that is asked thrice as often, two thirds of it again, is kept down by its caller."""
    again = {
        ("api", 'client_requests_rate{peer="db"}'): 95.0,
        ("db", "http_requests_rate"): 95.0,
        ("api", 'client_retries_rate{peer="db"}'): 64.0,
        ("api", 'client_errors_rate{peer="db"}'): 40.0,
    }
    result = _of(tmp_path, "http_latency_p95_ms", {**BUSY, **again})
    assert _first(result) == ("retry_storm", ("db",))


def test_a_surge_explains_what_it_fills(tmp_path: Path) -> None:
    """Where all are asked twice as much, from the door on, who is busy under it is not the cause."""
    names = [key for key in SHOP if key[1].startswith(("http_requests", "client_requests"))]
    doubled = {key: 2.1 * SHOP[key][0] for key in names}
    full = {**SLOW, **doubled, ("api", "cpu_utilisation"): 0.97}
    assert _first(_of(tmp_path, "http_latency_p95_ms", full)) == ("traffic_surge", ("front",))


def test_one_copy_that_suffers_names_its_machine(tmp_path: Path) -> None:
    """Latency by pod tells a copy from its service, and the label of its node tells where."""
    rng = np.random.default_rng(2)
    rows: list[tuple[float, str, str, float]] = []
    for pod, node in (("api-0", "n1"), ("api-1", "n2"), ("api-2", "n3")):
        late = np.where(LATE & (node == "n2"), 400.0, 80.0)
        metric = f'pod_latency_p95_ms{{pod="{pod}",node="{node}"}}'
        noisy = late * (1 + 0.04 * rng.standard_normal(len(SECONDS)))
        rows += [(t, "api", metric, v) for t, v in zip(SECONDS, noisy, strict=True)]
        clock = np.where(LATE & (node == "n2"), 900.0, 1700.0)
        rows += [(t, node, "node_gpu_clock_mhz", v) for t, v in zip(SECONDS, clock, strict=True)]
        steal = 0.004 * rng.random(len(SECONDS))
        rows += [(t, node, "node_cpu_steal", v) for t, v in zip(SECONDS, steal, strict=True)]
    overall = np.where(LATE, 190.0, 80.0) * (1 + 0.04 * rng.standard_normal(len(SECONDS)))
    rows += [(t, "api", "http_latency_p95_ms", v) for t, v in zip(SECONDS, overall, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    symptom = SymptomSpec(metric="http_latency_p95_ms", entity="api", noticed_at=shop.FAULT + 60)
    incident = shop.incident(tmp_path, metrics=("m.parquet",), symptom=symptom)
    result = analyse(incident, np.random.default_rng(0))
    assert _first(result) == ("hardware_fault", ("n2",))


@pytest.mark.parametrize(
    ("reason", "mode"),
    [
        ({"error.message": "connect: no route to host"}, "network_fault"),
        ({"http.status_code": 429}, "rate_limited"),
        (
            {"exception.message": "timed out waiting for a connection from the pool"},
            "pool_exhaustion",
        ),
        ({"status_message": "missing required field 'sku'"}, "schema_change"),
    ],
)
def test_failed_spans_say_why(tmp_path: Path, reason: dict[str, Any], mode: str) -> None:
    """The reason that failed spans give names the mode, where nothing else was recorded."""
    table = shop.spans(np.random.default_rng(0))
    with (tmp_path / "s.jsonl").open("w") as file:
        for row in table.iter_rows(named=True):
            failed = row["service"] == "store" and row["name"] == "/store"
            failed &= row["start_ns"] / 1e9 >= shop.FAULT
            row["status"] = "ERROR" if failed else "OK"
            if failed:
                row["attributes"] = reason
            file.write(json.dumps(row) + "\n")
    result = analyse(shop.incident(tmp_path, traces=("s.jsonl",)), np.random.default_rng(0))
    assert _first(result) == (mode, ("store",))


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ('pod_latency_p95_ms{pod="det-1",node="edge-gpu-3"}', "latency"),
        ("Downstream.device-intel.Errors", "error"),
        ('rpc_errors{peer="device-registry"}', "error"),
        ("carts_latency-50", "latency"),
    ],
)
def test_names_in_labels_say_nothing_of_what_is_measured(metric: str, kind: str) -> None:
    """Whom a metric is about is no word of its own."""
    assert kind_of(metric) == kind
    clue = clue_in(words(metric))
    assert clue is None or clue.name != "device"
