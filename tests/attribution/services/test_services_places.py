"""Where on the machines, copies and builds lost time sits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services._calls import Calls, calls
from ruleout.attribution.services._places import (
    Located,
    excused_by_places,
    from_places,
    located,
)
from ruleout.attribution.services._records import Signal
from ruleout.sources.telemetry import empty_spans

Slow = Callable[[str, int, float], float]
"""Extra milliseconds by service, number of the copy and instant."""


def _tree(slow: Slow, *, copies: int = 3, builds: tuple[str, str] = ("1", "1")) -> Calls:
    """Requests front -> cart -> store; copy k of every service runs on machine k."""
    rng = np.random.default_rng(5)
    rows = []
    for index, at in enumerate(np.arange(shop.START, shop.END, 0.7)):
        begin, parent = at, None
        chosen = {name: int(rng.integers(copies)) for name in ("front", "cart", "store")}
        lengths = {
            name: 0.001 * (rng.gamma(4, 2.0) + slow(name, k, float(at)))
            for name, k in chosen.items()
        }
        for depth, (name, k) in enumerate(chosen.items()):
            length = sum(list(lengths.values())[depth:])
            span = f"{index}-{name}"
            build = builds[1] if k == 0 and at >= shop.FAULT else builds[0]
            rows.append(
                (f"t{index}", span, parent, name, f"/{name}", begin, begin + length, k, build)
            )
            parent, begin = span, begin + lengths[name]
    table = pl.DataFrame(
        rows,
        schema=["trace", "span", "parent", "service", "name", "start", "end", "k", "version"],
        orient="row",
    ).with_columns(
        (pl.col("start") * 1e9).cast(pl.Int64),
        (pl.col("end") * 1e9).cast(pl.Int64),
        pl.format("node-{}", "k").alias("host"),
        pl.format("{}-{}", "service", "k").alias("instance"),
    )
    missing = {n: t for n, t in empty_spans().schema.items() if n not in table.columns}
    return calls(table.with_columns(pl.lit(None, dtype=t).alias(n) for n, t in missing.items()))


def _found(slow: Slow, **options: object) -> list[Located]:
    tree = _tree(slow, **options)  # type: ignore[arg-type]
    return located(tree, np.where(tree.time >= shop.FAULT, 2, 1))


def test_what_all_services_lose_on_one_machine_is_the_machines() -> None:
    found = _found(lambda name, k, at: 60.0 * (k == 1 and at >= shop.FAULT and name != "front"))
    assert (found[0].kind, found[0].entity) == ("host", "node-1")
    assert {part.service for part in found[0].parts} == {"cart", "store"}
    assert found[0].whole > 0.9


def test_what_one_copy_loses_names_the_copy_and_its_machine() -> None:
    found = _found(lambda name, k, at: 60.0 * (k == 2 and at >= shop.FAULT and name == "store"))
    assert [(one.kind, one.entity, one.name) for one in found[:1]] == [
        ("instance", "store", "store-2")
    ]
    assert found[0].host == "node-2"


@pytest.mark.parametrize("least", [0.0, shop.FAULT])
def test_what_all_copies_lose_alike_sits_nowhere(least: float) -> None:
    """A slow service, and a service that was as slow on one machine before, are no matter of places."""
    assert _found(lambda name, k, at: 60.0 * (at >= least and name == "store" and k < 9)) == []
    assert _found(lambda name, k, at: 60.0 * (k == 1 and at < shop.FAULT and name == "store")) == []


def test_a_build_that_is_slow_beside_the_old_one_is_named() -> None:
    found = _found(
        lambda name, k, at: 60.0 * (k == 0 and at >= shop.FAULT and name == "cart"),
        builds=("1.4.0", "1.5.0"),
    )
    assert ("version", "cart", "1.5.0") in [(one.kind, one.entity, one.name) for one in found]


def test_a_machine_takes_the_blame_off_its_services() -> None:
    found = _found(lambda name, k, at: 60.0 * (k == 1 and at >= shop.FAULT))
    own = Signal("cart", "added_time", 6.0, {"cpu_saturation": 1.0}, "cart is slow", 1.0, 1.0)
    other = Signal("ads", "added_time", 6.0, {"cpu_saturation": 1.0}, "ads is slow", 1.0, 1.0)
    left = {one.entity: one.weight for one in excused_by_places([own, other], found)}
    assert left["cart"] < 2.0
    assert left["ads"] == 6.0
    told = {one.entity: one for one in from_places(found)}
    assert told["node-1"].name == "one_host"
    assert "noisy_neighbour" in told["node-1"].modes
