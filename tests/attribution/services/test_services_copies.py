"""Copies that report under their own names, requests that wait for held workers, and causes of what follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop
from test_services_modes import _row, _table

from ruleout.attribution.services import analyse
from ruleout.attribution.services._births import births
from ruleout.attribution.services._held_up import HeldUp, handed_down
from ruleout.attribution.services._machines import of_its_own
from ruleout.attribution.services._members import folded, members
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._signals import beyond_load, loads_of
from ruleout.attribution.services._views import asked_instead
from ruleout.incident import SymptomSpec
from ruleout.sources.telemetry import Telemetry

_METRICS = (
    ("cart", "requests_total"),
    ("cart-1", "cpu_percent"),
    ("cart-7d9f8b6c5d-x2x4z", "cpu_percent"),
    ("cart-db", "cpu_percent"),
    ("cart-2", "requests_total"),
    ("node-1", "cpu_percent"),
)


def _telemetry(**more: object) -> Telemetry:
    table = pl.DataFrame(
        {
            "time": [0.0] * len(_METRICS),
            "entity": [entity for entity, _ in _METRICS],
            "metric": [metric for _, metric in _METRICS],
            "value": [1.0] * len(_METRICS),
        }
    )
    return Telemetry(metrics=table, **more)  # type: ignore[arg-type]


def test_names_tell_whose_copy_measures_only_resources() -> None:
    """Ordinals and hashes after a service's name are copies; who is asked itself, or is no copy by name, stays."""
    assert members(_telemetry()) == {"cart-1": "cart", "cart-7d9f8b6c5d-x2x4z": "cart"}
    # A machine that bears such a name stays one, and so does whom the topology knows as a service.
    assert members(_telemetry(kinds={"cart-1": "node"})).keys() == {"cart-7d9f8b6c5d-x2x4z"}
    assert members(_telemetry(topology=(("cart", "cart-1"),))).keys() == {"cart-7d9f8b6c5d-x2x4z"}


def test_what_copies_measure_keeps_their_label() -> None:
    """Each copy's series stays a series of its own under its service; what is asked for by name stays as it is."""
    told = folded(_telemetry(), ("cart-1",)).metrics
    named = set(told.filter(pl.col("entity") == "cart")["metric"])
    assert named == {"requests_total", 'cpu_percent{copy="cart-7d9f8b6c5d-x2x4z"}'}
    assert "cart-1" in set(told["entity"])


@pytest.mark.parametrize("metric", ["memory_rss_mb", "cpu_percent"])
def test_a_service_is_blamed_for_what_ails_its_copies(tmp_path: Path, metric: str) -> None:
    """A slow service whose pods alone show why is named, with their mode and not as a slow dependency."""
    rng = np.random.default_rng(3)
    times = np.arange(shop.START, shop.END, 5.0)
    late = times >= shop.FAULT
    rows = []
    for who, slow in (("front", 3.0), ("cart", 3.0), ("store", 1.0)):
        values = 0.1 * np.where(late, slow, 1.0) * (1 + 0.05 * rng.standard_normal(len(times)))
        rows += [(t, who, "latency_p95_s", v) for t, v in zip(times, values, strict=True)]
        rows += [(t, who, "requests_per_s", 50.0 + rng.standard_normal()) for t in times]
        for copy in range(3):
            ill = late & (who == "cart")
            used = np.where(ill, 90.0, 30.0) * (1 + 0.03 * rng.standard_normal(len(times)))
            rows += [(t, f"{who}-{copy}", metric, v) for t, v in zip(times, used, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    symptom = SymptomSpec(metric="latency_p95_s", entity="front", noticed_at=shop.FAULT + 60)
    topology = (("front", "cart"), ("cart", "store"))
    incident = shop.incident(tmp_path, metrics=("m.parquet",), symptom=symptom, topology=topology)
    top = analyse(incident, np.random.default_rng(0)).hypotheses[0]
    mode = {"memory_rss_mb": "memory_leak", "cpu_percent": "cpu_saturation"}[metric]
    assert (top.subject.names, top.failure_mode) == (("cart",), mode)


def _queued(rng: np.random.Generator, *, slow: bool) -> pl.DataFrame:
    """Requests that queue in the front from FAULT on, while the cart takes five times as long or as long as ever."""
    rows = []
    for n, at in enumerate(np.arange(shop.START, shop.END, 1.0)):
        late = at >= shop.FAULT
        wait = float(rng.gamma(4, 0.1)) if late else 0.001
        took = 0.02 * float(rng.gamma(20, 0.05)) * (5 if late and slow else 1)
        begun = at + wait
        rows.append((f"t{n}", f"a{n}", None, "front", "/front", at, begun + took + 0.002))
        rows.append((f"t{n}", f"b{n}", f"a{n}", "front", "call cart", begun, begun + took + 0.001))
        rows.append((f"t{n}", f"c{n}", f"b{n}", "cart", "/cart", begun, begun + took))
    schema = ["trace_id", "span_id", "parent_span_id", "service", "name", "start", "end"]
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.exclude("start", "end"),
        (pl.col("start") * 1e9).cast(pl.Int64).alias("start_ns"),
        (pl.col("end") * 1e9).cast(pl.Int64).alias("end_ns"),
    )


@pytest.mark.parametrize(("slow", "cause"), [(True, "cart"), (False, "front")])
def test_requests_that_wait_for_held_workers_are_the_callees(
    tmp_path: Path, slow: bool, cause: str
) -> None:
    """A queue before the front is the cart's doing where the cart holds the front's workers longer, else its own."""
    _queued(np.random.default_rng(2), slow=slow).write_parquet(tmp_path / "s.parquet")
    symptom = SymptomSpec(entity="front", noticed_at=shop.FAULT + 60)
    incident = shop.incident(tmp_path, traces=("s.parquet",), symptom=symptom)
    result = analyse(incident, np.random.default_rng(0))
    assert result.ranking[0][0] == cause


def test_waiting_is_handed_down_to_the_last_that_is_held_up() -> None:
    """Of two services in a row that wait for the one below, both hand their time on; nothing is lost."""
    signals = [Signal("front", "added_time", 5.0, {}, "", 0.0, 0.0)]
    found = [HeldUp("front", 1.0, 2.0, {"cart": 1.0}), HeldUp("cart", 1.0, 2.0, {"store": 1.0})]
    told = {one.entity: one.weight for one in handed_down(signals, found)}
    assert sum(told.values()) == pytest.approx(5.0)
    assert max(told, key=lambda name: told[name]) == "store"


def test_load_accounts_for_the_places_that_requests_hold() -> None:
    """Twice as many requests hold twice as many workers; what others are asked is no load of one's own."""
    row = {"kind": "saturation", "clue": "held", "sign": 1, "level": 4.0, "now": 8.0}
    assert beyond_load(row, 2.0) == pytest.approx(0.1)
    assert beyond_load(row, 1.0) == 1.0
    garbage = {"kind": "memory", "clue": "gc", "sign": 1, "level": 7.0, "now": 9.8}
    assert beyond_load(garbage, 1.45) == pytest.approx(0.1)
    assert beyond_load(garbage | {"now": 70.0}, 1.45) > 0.8
    table = pl.DataFrame(
        {
            "entity": ["cart", "cart"],
            "metric": ["requests", "calls:store"],
            "kind": ["traffic"] * 2,
            "clue": pl.Series([None] * 2, dtype=pl.String),
            "about": [None, "store"],
            "level": [10.0, 10.0],
            "now": [10.0, 90.0],
            "sign": [1, 1],
        }
    )
    assert loads_of(table) == {"cart": 1.0}


@pytest.mark.parametrize("cached", [True, False])
def test_a_fallback_follows_where_a_cache_made_it_necessary(cached: bool) -> None:
    """Who is asked while the store fails for want of its cache is no cause of its own."""
    departed = pl.DataFrame(
        {
            "entity": ["store", "store", "spare", "front", "base", "cart"],
            "metric": ["errors", "requests", "requests", "requests", "requests", "requests"],
            "kind": ["error", *["traffic"] * 5],
            "about": pl.Series([None] * 6, dtype=pl.String),
            "clue": pl.Series([None] * 6, dtype=pl.String),
            "score": [3.0, 3.0, 3.0, 0.0, 3.0, 0.0],
            "level": [0.0, 100.0, 1.0, 100.0, 5.0, 100.0],
            "middle_now": [0.9, 20.0, 80.0, 100.0, 90.0, 100.0],
            "now": [0.9, 20.0, 80.0, 100.0, 90.0, 100.0],
            "sign": [1] * 6,
        }
    )
    edges = {("front", "store"), ("front", "spare"), ("store", "cache"), ("store", "base")}
    signals = [Signal("spare", "metric.latency", 4.0, {}, "", 0.0, 0.0)]
    if cached:
        signals.append(Signal("cache", "metric.cache", 4.0, {}, "", 0.0, 0.0))
    told = asked_instead(signals, departed, edges)
    fallen = [s.weight for s in told if s.name == "asked_instead" and s.entity == "spare"]
    assert fallen
    assert (fallen[0] < 2.0) is cached


def _replaced(*, restarts: bool) -> tuple[Telemetry, pl.DataFrame]:
    """Logs of copies that begin, and whether their service counts restarts."""
    spans = pl.DataFrame({"service": ["cart", "cart"], "instance": ["cart-1", "cart-12"]})
    logs = pl.DataFrame(
        {
            "time": [1.0, 2.0, 3.0],
            "entity": ["cart"] * 3,
            "severity": ["INFO"] * 3,
            "message": ["cart-12 started; warming up", "cart-1 served /cart", "job started"],
        }
    )
    score = 3.0 if restarts else 0.0
    departed = pl.DataFrame(
        {"entity": ["cart"], "clue": ["restarts"], "score": [score], "sign": [1]}
    )
    return Telemetry(spans=spans, logs=logs), departed


def test_logs_tell_which_copies_begin_anew() -> None:
    """A line that names a copy and its beginning is one; after restarts that are counted, none is a cause."""
    told = births(*_replaced(restarts=False))
    assert told.rows() == [("cart-12", 1.0)]
    assert births(*_replaced(restarts=True)).is_empty()


@pytest.mark.parametrize("logged", [True, False])
def test_copies_that_are_slow_after_each_beginning_are_cold(tmp_path: Path, logged: bool) -> None:
    """Copies that keep their names and are slow for a while after they begin are cold, if logs tell that they do."""
    rng = np.random.default_rng(4)
    begins = {"cart-0": shop.FAULT + 10, "cart-1": shop.FAULT + 160}
    rows = []
    for n, at in enumerate(np.arange(shop.START, shop.END, 0.5)):
        copy = f"cart-{n % 2}"
        young = 0 <= at - begins[copy] < 90
        took = 0.02 * float(rng.gamma(20, 0.05)) * (20 if young else 1)
        rows.append((f"t{n}", f"a{n}", None, "front", "/front", "front-0", at, at + took + 0.004))
        rows.append((f"t{n}", f"b{n}", f"a{n}", "cart", "/cart", copy, at + 0.002, at + took))
    schema = [
        "trace_id", "span_id", "parent_span_id", "service", "name", "service.instance.id", "start", "end",
    ]  # fmt: skip
    pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.exclude("start", "end"),
        (pl.col("start") * 1e9).cast(pl.Int64).alias("start_ns"),
        (pl.col("end") * 1e9).cast(pl.Int64).alias("end_ns"),
    ).write_parquet(tmp_path / "s.parquet")
    lines = [(t, "cart", "INFO", f"{c} started; warming up") for c, t in begins.items()]
    lines = lines if logged else [(t, who, sev, "served") for t, who, sev, _ in lines]
    columns = ["timestamp", "entity", "severity", "message"]
    pl.DataFrame(lines, schema=columns, orient="row").write_parquet(tmp_path / "l.parquet")
    symptom = SymptomSpec(entity="front", noticed_at=shop.FAULT + 60)
    incident = shop.incident(tmp_path, traces=("s.parquet",), logs=("l.parquet",), symptom=symptom)
    top = analyse(incident, np.random.default_rng(0)).hypotheses[0]
    assert top.subject.names == ("cart",)
    assert (top.failure_mode == "cold_start") is logged


@pytest.mark.parametrize(
    ("working", "full", "its_own"), [(0.0, 97.0, True), (3.0, 97.0, False), (0.0, 30.0, False)]
)
def test_a_processor_that_no_service_takes_is_the_machines(
    working: float, full: float, its_own: bool
) -> None:
    """A machine without a core left, while no service works more, has a trouble of its own; else its services have it."""
    services = [_row(n, "cpu_cores", "cpu", score=working * (n == "a")) for n in "abc"]
    machine = _row("node-1", "cpu_util_pct", "cpu", host=True, level=8.0, now=full)
    found = of_its_own(_table(*services, machine))
    assert (("node-1", "cpu_util_pct") in found) is its_own


@pytest.mark.parametrize(("others", "its_own"), [(0.1, True), (2.0, False)])
def test_packets_that_one_machine_alone_loses_are_its_own(others: float, its_own: bool) -> None:
    """Where the other machines lose none, one's network card does; where all do, it is the network."""
    rows = [
        _row(n, "tcp_retrans_s", "network", "losses", host=True, score=4.0 if n == "n1" else others)
        for n in ("n1", "n2", "n3")
    ]
    assert (("n1", "tcp_retrans_s") in of_its_own(_table(*rows))) is its_own
