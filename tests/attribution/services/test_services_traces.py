"""Calls, added time and behaviour, on a shop whose faults are known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services._behaviour import behaviour, events_of
from ruleout.attribution.services._calls import Calls, calls
from ruleout.attribution.services._latency import lags
from ruleout.attribution.services._load import offered
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._windows import Windows
from ruleout.sources.telemetry import empty_logs, empty_metrics, empty_spans


def _table(raw: pl.DataFrame) -> pl.DataFrame:
    named = raw.rename(
        {
            "trace_id": "trace",
            "span_id": "span",
            "parent_span_id": "parent",
            "start_ns": "start",
            "end_ns": "end",
        }
    )
    missing = {n: t for n, t in empty_spans().schema.items() if n not in named.columns}
    return named.with_columns(pl.lit(None, dtype=t).alias(n) for n, t in missing.items())


def _tree(**fault: object) -> tuple[Calls, np.ndarray]:
    tree = calls(_table(shop.spans(np.random.default_rng(3), **fault)))  # type: ignore[arg-type]
    return tree, np.where(tree.time >= shop.FAULT, 2, 1)


def test_own_time_leaves_out_what_children_cover_once() -> None:
    """A span's own time is what none of its children covers, overlaps counted once."""
    rows = [("a", None, 0, 100), ("b", "a", 10, 50), ("c", "a", 30, 60), ("d", "a", 55, 70)]
    table = pl.DataFrame(
        {
            "trace": ["t"] * 4,
            "span": [r[0] for r in rows],
            "parent": [r[1] for r in rows],
            "service": ["s"] * 4,
            "name": [r[0] for r in rows],
            "start": [r[2] * 1_000_000 for r in rows],
            "end": [r[3] * 1_000_000 for r in rows],
        }
    )
    missing = {n: t for n, t in empty_spans().schema.items() if n not in table.columns}
    tree = calls(table.with_columns(pl.lit(None, dtype=t).alias(n) for n, t in missing.items()))
    own = dict(zip(tree.frame["span"], tree.own, strict=True))
    assert own == {"a": 40.0, "b": 40.0, "c": 30.0, "d": 15.0}


def test_a_loop_of_parents_is_cut() -> None:
    """Spans that are their own ancestors become roots, and nothing hangs."""
    raw = shop.spans(np.random.default_rng(0)).head(40)
    inner = raw.filter(pl.col("parent_span_id").is_not_null()).row(0, named=True)
    first, second = inner["parent_span_id"], inner["span_id"]
    looped = raw.with_columns(
        pl.when(pl.col("span_id") == first)
        .then(pl.lit(second))
        .otherwise("parent_span_id")
        .alias("parent_span_id")
    )
    tree = calls(_table(looped))
    rows = {span: row for row, span in enumerate(tree.frame["span"])}
    assert tree.parent[rows[first]] == -1 or tree.parent[rows[second]] == -1


@pytest.mark.parametrize("service", ["front", "cart", "store", "ads"])
def test_own_work_is_charged_to_who_does_it(service: str) -> None:
    """Forty more milliseconds of own work are charged to the service that works, deep or shallow."""
    tree, period = _tree(own={service: 40.0})
    found = lags(tree, period)
    assert found.by_service[0].service == service
    assert found.by_service[0].own > 0.8 * found.added
    assert found.added == pytest.approx(40.0, rel=0.3)


@pytest.mark.parametrize("service", ["cart", "store", "ads"])
def test_a_delay_on_the_wire_is_charged_to_the_callee(service: str) -> None:
    """A delay between client and server is charged to the callee, as time on the way in and steady."""
    tree, period = _tree(wire={service: 80.0})
    worst = lags(tree, period).by_service[0]
    assert worst.service == service
    assert worst.inbound > 0.9 * worst.total
    assert worst.steady


def test_a_caller_that_loses_time_on_all_its_calls_is_charged_itself() -> None:
    """When all calls of one service lose the same, the service is to blame and not its callees."""
    tree, period = _tree(wire={"cart": 60.0, "ads": 60.0})
    worst = lags(tree, period).by_service[0]
    assert worst.service == "front"
    assert worst.outbound > 0.9 * worst.total


def test_without_a_fault_little_is_added() -> None:
    """The same service on both sides of the line adds less than a twentieth of a request."""
    tree, period = _tree()
    found = lags(tree, period)
    assert found.added < 0.05 * found.usual


def test_without_a_reference_peers_stand_in() -> None:
    """With spans of the incident alone, an edge far slower than its peers is still found."""
    tree, period = _tree(wire={"store": 80.0})
    found = lags(tree, np.where(period == 2, 2, -1))
    assert not found.measured
    assert found.by_service[0].service == "store"


@pytest.mark.parametrize("service", ["front", "cart", "store", "ads"])
def test_a_statement_that_is_reached_no_more_is_found(service: str) -> None:
    """A service whose invocations no longer reach a statement heads the list, and alone."""
    tree, period = _tree(skip=(service,))
    found = behaviour(tree, events_of(tree, empty_logs()), period)
    assert found[0].service == service
    assert found[0].before > 0.9
    assert found[0].after < 0.1
    assert len(found) == 1 or found[1].score < 0.1 * found[0].score


def test_the_end_of_failures_is_no_change_for_the_worse() -> None:
    """Failures that the reference had and the incident has not are a recovery."""
    raw = _table(shop.spans(np.random.default_rng(1)))
    mine = (pl.col("name") == "/cart") & (pl.col("start") < shop.FAULT * 1e9)
    tree = calls(raw.with_columns(mine.alias("error")))
    period = np.where(tree.time >= shop.FAULT, 2, 1)
    assert all(one.score < 0.5 for one in behaviour(tree, events_of(tree, empty_logs()), period))
    begun = calls(raw.with_columns(((pl.col("name") == "/cart") & ~mine).alias("error")))
    assert behaviour(begun, events_of(begun, empty_logs()), period)[0].service == "cart"


def test_a_shift_of_traffic_scores_far_below_a_vanished_statement() -> None:
    """A branch taken by 60% instead of 40% of requests weighs little beside one that vanished."""
    rng = np.random.default_rng(5)
    raw = _table(shop.spans(rng))
    drop = pl.Series(rng.random(raw.height)) < np.where(
        raw["start"].to_numpy() >= shop.FAULT * 1e9, 0.4, 0.6
    )
    mixed = calls(raw.filter(~((pl.col("name") == "ads.step") & drop)))
    shifted = behaviour(
        mixed, events_of(mixed, empty_logs()), np.where(mixed.time >= shop.FAULT, 2, 1)
    )
    tree, period = _tree(skip=("ads",))
    assert (
        max((one.score for one in shifted), default=0.0)
        < 0.1 * behaviour(tree, events_of(tree, empty_logs()), period)[0].score
    )


def test_another_mix_of_callers_is_no_change_of_behaviour() -> None:
    """Statements that one caller's requests reach and another's do not may shift with who asks more."""
    rows = []
    for place in range(400):
        late = place >= 200
        caller = "app" if place % 10 < (8 if late else 2) else "site"
        at = place * 1_000_000_000
        rows.append((f"t{place}", "r", None, caller, "/", at, at + 9_000_000))
        rows.append((f"t{place}", "s", "r", "shop", "/sell", at + 1, at + 8_000_000))
        if caller == "app":
            rows.append((f"t{place}", "i", "s", "shop", "discount", at + 2, at + 3))
    names = ["trace_id", "span_id", "parent_span_id", "service", "name", "start_ns", "end_ns"]
    tree = calls(_table(pl.DataFrame(rows, schema=names, orient="row")))
    period = np.where(tree.time >= 200, 2, 1)
    found = behaviour(tree, events_of(tree, empty_logs()), period)
    assert all(one.score < 0.5 for one in found if one.service == "shop")


def test_pauses_of_the_reference_make_no_surge() -> None:
    """Traces that were kept for a part of the reference only do not make the usual rate look low."""
    raw = shop.spans(np.random.default_rng(2), rate=2.0)
    begun = int(shop.START * 1e9)
    # A pause of an hour before the first half of the reference.
    first = pl.col("start_ns") < begun + 300_000_000_000
    away = pl.when(first).then(-3_600_000_000_000).otherwise(0)
    moved = raw.with_columns(pl.col("start_ns") + away, pl.col("end_ns") + away)
    tree = calls(_table(moved))
    period = np.where(tree.time >= shop.FAULT, 2, 1)
    windows = Windows(((shop.START, shop.FAULT),), (shop.FAULT, shop.END), None, declared=True)
    nothing = departures(empty_metrics(), windows)
    assert offered(nothing, tree, period, {("front", "cart")}, None) == []


def test_who_is_called_and_records_nothing_has_the_time_of_its_calls() -> None:
    """Without spans of its own, a database that takes longer would make its caller slow."""
    rng = np.random.default_rng(1)
    rows = []
    for index, at in enumerate(np.arange(shop.START, shop.END, 1.0)):
        query = 0.004 * rng.gamma(4, 0.25) + (0.05 if at >= shop.FAULT else 0.0)
        own = 0.003 * rng.gamma(4, 0.25)
        rows += [
            (f"t{index}", f"{index}a", None, "shop", "buy", at, at + own + query, None),
            (f"t{index}", f"{index}b", f"{index}a", "shop", "SELECT", at, at + query, "orders-db"),
        ]
    names = ["trace_id", "span_id", "parent_span_id", "service", "name", "start", "end", "peer"]
    raw = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        (pl.col("start") * 1e9).cast(pl.Int64).alias("start_ns"),
        (pl.col("end") * 1e9).cast(pl.Int64).alias("end_ns"),
    )
    tree = calls(_table(raw.drop("start", "end")))
    assert tree.services == ("orders-db", "shop")
    found = lags(tree, np.where(tree.time >= shop.FAULT, 2, 1))
    assert found.by_service[0].service == "orders-db"
    assert found.by_service[0].share > 0.95
