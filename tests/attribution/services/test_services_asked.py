"""Who is not reached any more, and who is asked again and again."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.attribution.services._asked import asked
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._windows import Windows

WINDOWS = Windows(((0.0, 6000.0),), (6000.0, 8400.0), 7000.0, declared=True)
EDGES = {("shop", "pay"), ("shop", "stock")}


def observed(seed: int = 0, **now: float) -> pl.DataFrame:
    """Requests of three services, and failures of the first, with what they become."""
    rng = np.random.default_rng(seed)
    usual = {"shop": 100.0, "pay": 60.0, "stock": 80.0}
    rows = []
    for time in np.arange(0.0, 8400.0, 30.0):
        late = time >= 6000
        for name, level in usual.items():
            value = level * (now.get(name, 1.0) if late else 1.0)
            rows.append((time, name, "requests", value * rng.normal(1, 0.03)))
        failing = now.get("errors", 0.0) if late else 0.0
        rows.append((time, "shop", "errors", failing + 0.01 * rng.random()))
    table = pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")
    return departures(table, WINDOWS)


def test_a_callee_that_gets_nothing_is_not_reached() -> None:
    """Where a caller is asked as ever, fails and still asks others, whom it no longer asks is named."""
    found = asked(observed(pay=0.02, errors=0.5), EDGES)
    assert [(one.entity, one.name) for one in found] == [("pay", "unreached")]
    assert found[0].weight > 4


def test_less_traffic_for_all_cuts_nobody_off() -> None:
    """Where callers are asked less as well, nobody is named."""
    assert asked(observed(shop=0.1, pay=0.1, stock=0.1, errors=0.5), EDGES) == []


def test_a_callee_that_nobody_misses_weighs_little() -> None:
    """Where no caller fails, fewer requests are hardly a sign."""
    (one,) = asked(observed(pay=0.02), EDGES)
    assert one.weight < 1.5


def test_more_requests_than_callers_account_for_are_repeats() -> None:
    """A callee that is asked far more than its callers are is asked again and again."""
    found = asked(observed(pay=2.5), EDGES)
    assert [(one.entity, one.name) for one in found] == [("pay", "asked_again")]
    assert asked(observed(shop=2.5, pay=2.5, stock=2.5), EDGES) == []
