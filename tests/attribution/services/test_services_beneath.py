"""Blame shared between a caller and the callees that cannot show their part."""

from __future__ import annotations

import polars as pl
import pytest

from ruleout.attribution.services._beneath import beneath
from ruleout.attribution.services._metrics import _SCHEMA
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._records import Signal
from ruleout.sources.telemetry import empty_logs

EDGES = (("web", "cart"), ("cart", "store"))


def _row(entity: str, metric: str, kind: str, clue: str | None = None, **more: object) -> dict:
    usual = {"level": 1.0, "now": 4.0, "middle_now": 4.0, "up": 9.0, "down": 0.0, "score": 3.0}
    rest = {"host": False, "sign": 1, "alone": 1.0, "idle": False}
    return {"entity": entity, "metric": metric, "kind": kind, "clue": clue} | usual | rest | more


def _table(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=_SCHEMA)


def _signal(entity: str, name: str, weight: float) -> Signal:
    return Signal(entity, name, weight, {"slow_dependency": 1.0}, "told", weight, weight)


def _weights(found: list[Signal]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in found:
        total[one.entity] = total.get(one.entity, 0.0) + one.weight
    return total


def test_a_callee_that_loses_packets_excuses_its_caller() -> None:
    """Time that calls spend on the wire seems the caller's own; the callee's lost packets say whose it is."""
    table = _table(
        _row("cart", "latency", "latency"),
        _row("store", "latency", "latency", score=0.0),
        _row("store", "tcp_retransmits", "network", "losses"),
    )
    told = [_signal("cart", "symptom_flow", 6.0), _signal("store", "metric.network", 2.5)]
    after = _weights(beneath(told, table, EDGES, "latency"))
    assert after["store"] > after["cart"]


def test_a_busy_callee_that_answers_as_ever_is_no_excuse() -> None:
    """A processor that works more excuses nobody where the callee's own answers take no longer."""
    table = _table(
        _row("cart", "latency", "latency"),
        _row("store", "latency", "latency", score=0.0),
        _row("store", "cpu", "cpu"),
    )
    told = [_signal("cart", "symptom_flow", 6.0), _signal("store", "metric.cpu", 3.0)]
    after = _weights(beneath(told, table, EDGES, "latency"))
    assert after["cart"] > after["store"]


def test_without_a_sign_of_trouble_the_callees_keep_a_part() -> None:
    """Where nothing of the caller's own moved, who answers it stays possible, and behind it."""
    table = _table(
        _row("cart", "latency", "latency"), _row("store", "latency", "latency", score=0.0)
    )
    after = _weights(beneath([_signal("cart", "symptom_flow", 6.0)], table, EDGES, "latency"))
    assert 0 < after["store"] < after["cart"] < 6.0


def test_a_loss_by_oneself_is_doubted_where_nobody_told_who_calls() -> None:
    """Without topology, and with nothing of its own that moved, nobody is sure to be the cause."""
    table = _table(_row("cart", "latency", "latency"))
    after = _weights(beneath([_signal("cart", "symptom_flow", 8.0)], table, (), "latency"))
    assert after["cart"] == pytest.approx(4.5)


def test_what_is_named_outweighs_that_it_fails() -> None:
    """Lookups of names that fail tell the mode, though failures of requests weigh more for the entity."""
    table = _table(
        _row("cart", "errors", "error"), _row("cart", "dns_lookup_failures", "error", "names")
    )
    failing = Signal("cart", "symptom_flow", 7.0, {"change_regression": 0.75}, "told", 1.0, 1.0)
    assert next(iter(mode_shares([failing], "cart", table, empty_logs()))) == "network_fault"


@pytest.mark.parametrize(("usage", "mode"), [(1.0, "noisy_neighbour"), (4.0, "cpu_saturation")])
def test_throttling_without_more_demand_is_a_neighbours(usage: float, mode: str) -> None:
    """Who is throttled while it asks for no more has a neighbour or a limit to thank for it."""
    table = _table(
        _row("cart", "cpu_usage", "cpu", now=usage, score=3.0 if usage > 1 else 0.0),
        _row("cart", "cpu_cfs_throttled_seconds", "cpu", "throttled"),
    )
    hot = Signal("cart", "metric.cpu", 3.0, {"cpu_saturation": 0.9}, "told", 1.0, 1.0)
    told = [hot] if usage > 1 else []
    assert next(iter(mode_shares(told, "cart", table, empty_logs()))) == mode
