"""Who refuses calls, who passes failures on, what masking them brings, and who amplifies or sustains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.attribution.services._accused import accused
from ruleout.attribution.services._load import offered, silent
from ruleout.attribution.services._sayings import told
from ruleout.attribution.services._windows import Windows

SINCE = shop.FAULT * 1e9


def _run(folder: Path, spans: pl.DataFrame, **more: object) -> ServicesResult:
    spans.write_parquet(folder / "s.parquet")
    told_of = shop.incident(folder, traces=("s.parquet",), **more)
    return analyse(told_of, np.random.default_rng(0))


def _healthy(**fault: object) -> pl.DataFrame:
    table = shop.spans(np.random.default_rng(1), **fault)  # type: ignore[arg-type]
    return table.with_columns(pl.lit("OK").alias("status"))


def _failing(table: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Spans of these names fail since the fault."""
    bad = pl.col("name").is_in(names) & (pl.col("start_ns") >= SINCE)
    return table.with_columns(
        pl.when(bad).then(pl.lit("ERROR")).otherwise("status").alias("status")
    )


UPWARD = ("call store", "/cart", "call cart", "/front")


def test_who_no_longer_answers_is_blamed_and_not_its_caller(tmp_path: Path) -> None:
    """Calls that fail and never arrive point at who should have answered, and failures above are passed on."""
    table = _failing(_healthy(), UPWARD)
    gone = (pl.col("service") == "store") & (pl.col("start_ns") >= SINCE)
    result = _run(tmp_path, table.filter(~gone))
    top = result.hypotheses[0]
    assert result.ranking[0][0] == "store"
    assert "refused_calls" in top.signals
    assert top.failure_mode != "change_regression"


def test_masking_the_origin_takes_the_failures_away(tmp_path: Path) -> None:
    """With the failures of their origin masked nearly no request fails; those of a caller bring nothing."""
    result = _run(tmp_path, _failing(_healthy(), ("/store", *UPWARD)))
    top = result.hypotheses[0]
    assert top.subject.names == ("store",)
    assert top.explained is not None
    assert top.explained.method == "error_masking"
    assert top.explained.low > 0.9
    others = [h.explained for h in result.hypotheses if h.subject.names == ("cart",)]
    assert all(one is None or one.fraction < 0.1 for one in others)


@pytest.mark.parametrize(("ill", "mistrip"), [(True, False), (False, True)])
def test_a_breaker_that_opens_rightly_is_no_mistrip(
    tmp_path: Path, ill: bool, mistrip: bool
) -> None:
    """Quick refusals of a callee that fails whenever it is asked follow from it; of a sound one they are a mistrip."""
    table = _healthy()
    number = pl.col("trace_id").str.slice(1).cast(pl.Int64)
    late = pl.col("start_ns") >= SINCE
    # Of ten calls one is let through to try.
    kept = (number % 10 == 0) | ~late
    table = table.filter(kept | ~pl.col("service").is_in(["cart", "store"]))
    table = table.with_columns(
        pl.when((pl.col("name") == "call cart") & ~kept)
        .then(pl.col("start_ns") + 100_000)
        .otherwise("end_ns")
        .alias("end_ns")
    )
    refused = late & pl.col("name").is_in(["call cart", "/front"]) & (~kept | ill)
    failing = late & pl.col("name").is_in(["/cart", "call store", "/store"]) & ill
    table = table.with_columns(
        pl.when(refused | failing).then(pl.lit("ERROR")).otherwise("status").alias("status")
    )
    result = _run(tmp_path, table)
    mass = sum(h.probability for h in result.hypotheses if h.failure_mode == "resilience_mistrip")
    assert (mass > 0.5) is mistrip
    assert (result.ranking[0][0] == "store") is ill


def _asked_again(table: pl.DataFrame, times: int) -> pl.DataFrame:
    again = table.filter((pl.col("name") == "/store") & (pl.col("start_ns") >= SINCE))
    copies = [again.with_columns(pl.col("span_id") + f"again{i}") for i in range(times)]
    return pl.concat([table, *copies])


def test_a_retry_storm_beside_a_slow_store_amplifies(tmp_path: Path) -> None:
    """The slow store stays the root cause, and the caller's repeated attempts are an amplifier."""
    result = _run(tmp_path, _asked_again(_healthy(own={"store": 60.0}), 2))
    roles = {h.role: h for h in result.hypotheses}
    assert result.hypotheses[0].subject.names == ("store",)
    assert result.hypotheses[0].role == "root_cause"
    assert roles["amplifier"].failure_mode == "retry_storm"
    assert roles["amplifier"].subject.names == ("cart", "store")
    total = sum(h.probability for h in result.hypotheses) + result.unknown + result.no_incident
    assert total == pytest.approx(1.0)


def test_a_storm_that_outlives_its_trigger_sustains(tmp_path: Path) -> None:
    """Where the store is well again, attempts go on and requests still suffer, the storm sustains the incident."""
    slow = _healthy(own={"store": 60.0})
    well = _healthy(own={"front": 200.0})
    later = SINCE + 190e9
    before = slow.filter(pl.col("trace_id").is_in(_traces(slow, later, before=True)))
    after = well.filter(pl.col("trace_id").is_in(_traces(well, later, before=False)))
    result = _run(tmp_path, _asked_again(pl.concat([before, after]), 2))
    storm = next(
        h for h in result.hypotheses if h.failure_mode == "retry_storm" and h.role != "root_cause"
    )
    assert storm.role == "sustaining"


def _traces(table: pl.DataFrame, limit: float, *, before: bool) -> list[str]:
    roots = table.filter(pl.col("parent_span_id").is_null())
    early = pl.col("start_ns") < limit
    return roots.filter(early if before else ~early)["trace_id"].to_list()


def test_who_only_waits_for_the_cause_follows(tmp_path: Path) -> None:
    """A service between a sure cause and the symptom is a consequence, and no second cause."""
    table = _failing(_healthy(), ("/store", *UPWARD))
    metrics = []
    for at in np.arange(shop.START, shop.END, 15.0):
        for name, share in (("store", 0.9), ("cart", 0.8), ("front", 0.7), ("ads", 0.0)):
            metrics.append((at, name, "error_rate", share if at >= shop.FAULT else 0.0))
    pl.DataFrame(
        metrics, schema=["timestamp", "entity", "metric", "value"], orient="row"
    ).write_parquet(tmp_path / "m.parquet")
    symptom = shop.SymptomSpec(metric="error_rate", entity="front", noticed_at=shop.FAULT + 60)
    result = _run(tmp_path, table, metrics=("m.parquet",), symptom=symptom)
    assert result.hypotheses[0].subject.names == ("store",)
    assert {h.role for h in result.hypotheses if h.subject.names == ("cart",)} == {"consequence"}


def test_a_fallback_that_breaks_under_what_falls_back_on_it(tmp_path: Path) -> None:
    """A callee that is suddenly asked instead of a failing one, and slows down, was never sized for it."""
    table = _failing(_healthy(own={"ads": 0.0}), ("/store", "call store"))
    ads = table.filter(pl.col("service") == "ads")
    calls = table.filter((pl.col("name") == "call store") & (pl.col("start_ns") >= SINCE))
    spare = [
        calls.with_columns(
            pl.col("span_id") + "f", pl.lit("call ads").alias("name"), pl.lit("OK").alias("status")
        ),
        calls.with_columns(
            pl.col("span_id") + "s",
            (pl.col("span_id") + "f").alias("parent_span_id"),
            pl.lit("ads").alias("service"),
            pl.lit("/ads").alias("name"),
            pl.lit("OK").alias("status"),
            (pl.col("start_ns") + 80_000_000).alias("end_ns"),
        ),
    ]
    first = calls.sort("start_ns").head(1)["start_ns"][0]
    usual = table.filter((pl.col("name") == "call store") & (pl.col("start_ns") < first)).head(25)
    few = [
        usual.with_columns(pl.col("span_id") + "f", pl.lit("call ads").alias("name")),
        usual.with_columns(
            pl.col("span_id") + "s",
            (pl.col("span_id") + "f").alias("parent_span_id"),
            pl.lit("ads").alias("service"),
            pl.lit("/ads").alias("name"),
            (pl.col("start_ns") + 2_000_000).alias("end_ns"),
        ),
    ]
    assert ads.height > 0
    found = _run(tmp_path, pl.concat([table, *few, *spare])).safeguard_gaps
    assert ("fallback_capacity", ("cart", "ads")) in {(g.safeguard, g.on) for g in found}


WINDOWS = Windows(((0.0, 6000.0),), (6000.0, 8400.0), None, declared=True)


def test_an_entity_that_falls_silent_is_seen() -> None:
    """Samples that stop in the incident, while the others' go on, speak for the entity that sent them."""
    rows = [
        (float(at), name, "cpu", 1.0)
        for at in range(0, 8400, 60)
        for name in ("a", "b", "c")
        if name != "b" or at < 6300
    ]
    table = pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")
    assert [one.entity for one in silent(table, WINDOWS)] == ["b"]
    assert silent(table.filter(pl.col("entity") == "b"), WINDOWS) == []


def test_more_work_is_charged_to_where_it_enters() -> None:
    """Where all are asked three times as much, the surge is told of the one that nobody calls."""
    table = pl.DataFrame(
        {
            "entity": ["deep", "mid", "door"],
            "metric": ["requests"] * 3,
            "kind": ["traffic"] * 3,
            "level": [9.0, 5.0, 4.0],
            "now": [30.0, 16.0, 12.0],
            "middle_now": [30.0, 16.0, 12.0],
            "score": [2.0] * 3,
            "sign": [1] * 3,
            "clue": pl.Series([None] * 3, dtype=pl.String),
            "about": pl.Series([None] * 3, dtype=pl.String),
        }
    )
    edges = {("door", "mid"), ("mid", "deep")}
    found = offered(table, None, np.zeros(0), edges, None)
    assert [(one.entity, one.modes) for one in found] == [("door", {"traffic_surge": 1.0})]
    assert (
        offered(table.with_columns(pl.col("level").alias("now")), None, np.zeros(0), edges, None)
        == []
    )
    # What the door asks of others is not asked of it.
    outward = table.with_columns(pl.lit("mid").alias("about"))
    assert offered(outward, None, np.zeros(0), edges, None) == []


@pytest.mark.parametrize(
    ("message", "mode"),
    [
        ("x509: certificate has expired", "network_fault"),
        ("lookup db: no such host", "network_fault"),
        ("lookup db on 10.96.0.10:53: i/o timeout", "network_fault"),
        ("getaddrinfo EAI_AGAIN db", "network_fault"),
        ("java.net.UnknownHostException: db", "network_fault"),
        ("request handling slow: 474 ms in scheduler", "cpu_saturation"),
        ("Thread starvation or clock leap detected", "cpu_saturation"),
        ("429 Too Many Requests", "rate_limited"),
        ("timeout acquiring connection from pool", "pool_exhaustion"),
        ("write failed: no space left on device", "storage_fault"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory_leak"),
        ("unknown column price in field list", "schema_change"),
        ("TypeError: unsupported operand type(s) for +", "change_regression"),
    ],
)
def test_error_lines_name_the_failure_mode(message: str, mode: str) -> None:
    """What an entity's own error lines say names its failure mode; another's lines do not count."""
    lines = pl.DataFrame({"entity": ["a"] * 6 + ["b"] * 6, "message": [message] * 6 + ["ok"] * 6})
    assert set(told(lines, "a")) == {mode}
    assert told(lines, "b") == {}


@pytest.mark.parametrize(
    "message", ["lookup of price 53 took none", "read: i/o timeout", "job scheduler delay"]
)
def test_words_of_resolvers_and_processors_are_not_taken_from_other_lines(message: str) -> None:
    """A looked-up value, a socket that timed out and a scheduler of jobs name no mechanism of names or processors."""
    lines = pl.DataFrame({"entity": ["a"] * 6, "message": [message] * 6})
    assert not set(told(lines, "a")) & {"network_fault", "cpu_saturation"}


def _lines(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["entity", "message"], orient="row")


_EXPIRED = "tls: failed to verify certificate for store: x509: certificate has expired"


def test_who_cannot_be_reached_is_named_by_its_callers() -> None:
    """New error lines about somebody whom others cannot reach speak against it; old ones and its own do not."""
    lines = _lines(("cart", _EXPIRED), ("cart", _EXPIRED), ("cart", "store-index is fine"))
    usual = _lines(("cart", "slow"))
    (one,) = accused(lines, usual, {"cart", "store", "store-index"})
    assert (one.entity, one.modes) == ("store", {"network_fault": 1.0})
    assert accused(lines, lines, {"cart", "store"}) == []
    assert accused(_lines(("store", _EXPIRED), ("store", _EXPIRED)), usual, {"store"}) == []
    refused = "circuit breaker of store is open: no route"
    assert accused(_lines(("cart", refused), ("cart", refused)), usual, {"store"}) == []


def test_who_reaches_nobody_blames_each_less() -> None:
    """A caller that cannot reach three others at once speaks a third as strongly against each."""
    lines = _lines(*((("cart", f"dial {name}: no route to host")) for name in "aabbcc"))
    told_of = accused(lines, _lines(("cart", "slow")), {"a", "b", "c", "cart"})
    assert {one.entity for one in told_of} == {"a", "b", "c"}
    assert max(one.weight for one in told_of) == pytest.approx(3.5 / 3)
