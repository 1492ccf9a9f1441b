"""Undoing by replay, missing safeguards, and what the report is given to draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.attribution.services._graph import chain


def _run(folder: Path, spans: pl.DataFrame) -> ServicesResult:
    spans.write_parquet(folder / "s.parquet")
    return analyse(shop.incident(folder, traces=("s.parquet",)), np.random.default_rng(0))


def test_putting_the_culprit_back_takes_the_added_time_away(tmp_path: Path) -> None:
    """Replaying requests with the culprit's usual time explains nearly all, another's nearly nothing."""
    result = _run(tmp_path, shop.spans(np.random.default_rng(0), own={"store": 60.0}))
    top = result.hypotheses[0]
    assert top.subject.names == ("store",)
    assert top.explained is not None
    assert top.explained.low > 0.8
    assert top.explained.method == "trace_replay"
    others = [
        h.explained.fraction for h in result.hypotheses if h.subject != top.subject and h.explained
    ]
    assert all(fraction < 0.2 for fraction in others)


def _bent(change: pl.Expr) -> pl.DataFrame:
    """The shop's spans with one column of the calls into `store` changed since the fault."""
    table = shop.spans(np.random.default_rng(1)).with_columns(pl.lit("OK").alias("status"))
    mine = (pl.col("service") == "store") & (pl.col("name") == "/store")
    return table.with_columns(
        pl.when(mine & (pl.col("start_ns") >= shop.FAULT * 1e9))
        .then(change)
        .otherwise(change.meta.root_names()[0])
        .alias(change.meta.root_names()[0])
    )


def test_calls_that_go_on_while_they_fail_lack_a_breaker(tmp_path: Path) -> None:
    """A dependency that fails and is called as often as before shows that no breaker opened."""
    broken = _bent(pl.col("status").str.replace("OK", "ERROR"))
    found = _run(tmp_path, broken).safeguard_gaps
    assert ("circuit_breaker", ("cart", "store")) in {(g.safeguard, g.on) for g in found}


def test_work_that_outlives_its_caller_lacks_a_deadline(tmp_path: Path) -> None:
    """Work that ends after its caller has stopped waiting shows that deadlines are not passed on."""
    late = _bent(pl.col("end_ns") + 3_000_000_000)
    found = _run(tmp_path, late).safeguard_gaps
    assert ("deadline_propagation", ("cart", "store")) in {(g.safeguard, g.on) for g in found}


def test_asking_three_times_lacks_a_retry_budget(tmp_path: Path) -> None:
    """Three calls for the same thing where there was one show retries without a budget."""
    table = shop.spans(np.random.default_rng(1))
    again = table.filter(
        (pl.col("service") == "store")
        & (pl.col("name") == "/store")
        & (pl.col("start_ns") >= shop.FAULT * 1e9)
    )
    copies = [again.with_columns(pl.col("span_id") + f"again{i}") for i in range(2)]
    found = _run(tmp_path, pl.concat([table, *copies])).safeguard_gaps
    assert ("retry_budget", ("cart", "store")) in {(g.safeguard, g.on) for g in found}


def test_a_healthy_shop_lacks_nothing(tmp_path: Path) -> None:
    """Without a fault no safeguard is missed."""
    assert _run(tmp_path, shop.spans(np.random.default_rng(0))).safeguard_gaps == ()


def test_charts_are_small_json_of_known_kinds(tmp_path: Path) -> None:
    """The graph, and a request before and now, are plain JSON within 50 kB."""
    charts = _run(tmp_path, shop.spans(np.random.default_rng(0), own={"cart": 50.0})).charts
    assert {name: chart["kind"] for name, chart in charts.items()} == {
        "graph": "graph",
        "spans": "spans",
    }
    assert len(json.dumps(charts, allow_nan=False)) < 50_000
    roles = {node["id"]: node.get("role") for node in charts["graph"]["nodes"]}
    assert roles["cart"] == "root_cause"


@pytest.mark.parametrize(
    ("cause", "way"),
    [("store", ("store", "cart", "front")), ("front", ("front",)), ("nobody", ("nobody",))],
)
def test_the_chain_runs_from_the_cause_up_its_callers(cause: str, way: tuple[str, ...]) -> None:
    """The way to the symptom goes from callee to caller, and stays short where none is known."""
    edges = {("front", "cart"), ("cart", "store"), ("front", "ads"), ("store", "cart")}
    assert chain(cause, "front", edges) == way
