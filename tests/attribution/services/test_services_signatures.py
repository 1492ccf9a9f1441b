"""What tells one failure mode, and one subject, from its neighbours: files, ages, disks, breakers, caches, routes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pytest
import shop
from test_services_modes import _row, _signal, _table
from test_services_traces import _table as _spans

from ruleout.attribution.services._accused import accused
from ruleout.attribution.services._by_changes import breaks_contract
from ruleout.attribution.services._calls import calls
from ruleout.attribution.services._detect import _accused, _no_surge, _outcomes
from ruleout.attribution.services._hypothesise import _owner
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._latency import lags
from ruleout.attribution.services._metrics import departures
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._onlookers import beside_the_path
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._sayings import told
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._signals import from_lags, modes_of
from ruleout.attribution.services._views import asked_instead
from ruleout.attribution.services._windows import Windows
from ruleout.sources._changes import Change
from ruleout.sources.telemetry import Telemetry, empty_logs, empty_metrics, empty_spans

WINDOWS = Windows(((0.0, 6000.0),), (6000.0, 8400.0), 7000.0, declared=True)


@pytest.mark.parametrize(
    ("metric", "sign", "mode"),
    [
        ("routing_file_bytes", -1, "malformed_artifact"),
        ("blocklist_file_entries", 1, "malformed_artifact"),
        ("courier_position_age_p90_s", 1, "stale_features"),
        ("quote_staleness_ms", 1, "stale_features"),
        ("oldest_message_age_s", 1, "queue_backlog"),
        ("egress_attempts_per_s", 1, "traffic_surge"),
        ("attempts_per_call", 1, "retry_storm"),
        ("canary_prompt_score", -1, "provider_model_change"),
        ("emmc_read_errors_total", 1, "hardware_fault"),
        ("disk_free_bytes", -1, "storage_fault"),
    ],
)
def test_files_ages_and_media_name_their_mode(metric: str, sign: int, mode: str) -> None:
    """The file that is loaded, the age of what is served, and the medium underneath have words of their own."""
    modes = modes_of(kind_of(metric), metric, sign)
    assert max(modes, key=lambda name: modes[name]) == mode


def test_what_a_card_reader_logs_is_hardware() -> None:
    """A driver that cannot read sectors says so in words of its own."""
    text = "mmcblk1: error -84 transferring data, sector 9120, nr 8"
    lines = pl.DataFrame({"entity": ["box"] * 6, "message": [text] * 6})
    assert set(told(lines, "box")) == {"hardware_fault"}


def test_a_file_that_shrank_is_malformed_and_no_other_code() -> None:
    """Who fails on a generated file that lost most of its rows behaves otherwise because of the file."""
    behaves = _signal("rater", "behaviour", 4.0)._replace(modes={"change_regression": 0.8})
    shrunk = _row("rater", "tariff_file_rows", "other", "artefact", sign=-1, level=900.0, now=60.0)
    shares = mode_shares(
        [behaves], "rater", _table(shrunk), pl.DataFrame({"entity": [], "message": []})
    )
    assert next(iter(shares)) == "malformed_artifact"


@pytest.mark.parametrize(("last", "ran_out"), [(0.0, True), (20.0, False)])
def test_a_disk_on_which_nothing_is_left_departs_however_it_got_there(
    last: float, ran_out: bool
) -> None:
    """A disk that filled as steadily before has failed nobody until nothing was left."""
    time = np.arange(0.0, 8400.0, 60.0)
    values = np.where(time < 6000, 120 - (120 - last - 5) * time / 6000, last)
    table = pl.DataFrame({"time": time, "entity": "box", "metric": "disk_free_gb", "value": values})
    assert (departures(table, WINDOWS)["score"][0] > 2.0) == ran_out


def test_an_index_is_its_holders_and_not_who_searches_it() -> None:
    """Who searches counts how old the answers are; who holds the index counts how old it is."""
    table = _table(
        _row("search", "cited_doc_age_days", "other", "index_age"),
        _row("store", "index_age_seconds", "other", "index_age"),
    )
    edges = frozenset({("search", "store"), ("search", "rerank")})
    seen = cast("Observed", SimpleNamespace(departed=table, edges=edges))
    assert _owner(seen, "stale_index", "search") == "store"
    alone = cast("Observed", SimpleNamespace(departed=table.head(1), edges=edges))
    assert _owner(alone, "stale_index", "search") == "search"


def _asked(callee: str, level: float, now: float, peak: float) -> dict[str, object]:
    sign = 1 if now >= level else -1
    usual = {"level": level, "middle_now": now, "now": peak, "sign": sign}
    return _row(callee, "requests_per_s", "traffic", **usual)


def _breaker(errors: float) -> list[Signal]:
    """A door whose breaker withholds calls from a model, and who is asked in its place."""
    table = _table(
        _row("door", "breaker_state.model", "error", "breaker", about="model"),
        _row("model", "error_ratio", "error", score=errors),
        _asked("model", 100.0, 20.0, 10.0),
        _asked("small", 5.0, 85.0, 90.0),
    )
    edges = {("door", "model"), ("door", "small")}
    return asked_instead([_signal("small", "metric.cpu", 1.0)], table, edges)


def test_a_breaker_before_who_is_well_sends_its_caller_elsewhere() -> None:
    """Whom a breaker withholds calls from and who is well is not at fault, nor is who is asked in its place."""
    (found,) = [one for one in _breaker(0.0) if one.name == "asked_instead"]
    assert (found.entity, *found.modes) == ("door", "resilience_mistrip")
    (found,) = [one for one in _breaker(3.0) if one.name == "asked_instead"]
    assert (found.entity, *found.modes) == ("small", "fallback_overload")


@pytest.mark.parametrize(("peak", "caches"), [(120.0, True), (35.0, False)])
def test_a_cache_that_forgets_all_at_once_for_moments_asks_its_store(
    peak: float, caches: bool
) -> None:
    """Most of the time all is as ever; in the moments of the misses only the store is asked more."""
    table = _table(
        _asked("door", 100.0, 102.0, 110.0),
        _asked("cache", 100.0, 102.0, 110.0),
        _asked("store", 30.0, 31.0, peak),
    )
    edges = {("door", "cache"), ("door", "store")}
    signals = [_signal("store", "symptom_flow", 7.0), _signal("cache", "metric.cache", 3.0)]
    found = [one for one in asked_instead(signals, table, edges) if one.name == "asked_instead"]
    assert [(one.entity, *one.modes) for one in found] == (
        [("cache", "cache_storm")] if caches else []
    )


def _seen(departed: pl.DataFrame, symptom: tuple[str, str]) -> Observed:
    entity, metric = symptom
    told = SimpleNamespace(
        symptom=SimpleNamespace(entity=entity, metric=metric), telemetry=SimpleNamespace(kpis=())
    )
    edges = frozenset({("door", "model"), *((f"cam-{i}", "hub") for i in range(4))})
    return cast(
        "Observed",
        SimpleNamespace(
            departed=departed,
            edges=edges,
            telemetry=SimpleNamespace(kinds={}),
            tree=None,
            machines=frozenset(),
            incident=told,
        ),
    )


def test_who_only_judges_answers_is_no_cause() -> None:
    """Who measures nothing but how good the answers are has no part in them; who takes part stays."""
    table = _table(
        _row("judge", "answer_score", "other"),
        _row("judge", "canary_prompt_score", "other"),
        _row("model", "answer_score", "other"),
        _row("probe", "answer_score", "other"),
        _row("probe", "cpu", "cpu"),
    )
    assert beside_the_path(_seen(table, ("judge", "answer_score"))) == {"judge"}


@pytest.mark.parametrize(("grown", "sums"), [((40, 1, 0, 1), True), ((11, 10, 12, 9), False)])
def test_a_total_is_its_members_where_one_has_most_of_it(
    grown: tuple[int, ...], sums: bool
) -> None:
    """A fleet's total tells nothing beside the one device that made it; where all moved, it may."""
    devices = [
        _row(f"cam-{i}", "drops", "error", level=2.0, middle_now=2.0 + more, now=2.0 + more)
        for i, more in enumerate(grown)
    ]
    whole = 8.0 + sum(grown)
    fleet = _row("fleet", "drops", "error", level=8.0, middle_now=whole, now=whole)
    fleet_free = _row("fleet", "online", "availability", score=0.0)
    found = beside_the_path(_seen(_table(fleet, fleet_free, *devices), ("fleet", "drops")))
    assert found == ({"fleet"} if sums else set())


def test_an_outcome_says_little_of_who_alone_measures_it() -> None:
    """A share of orders that are cancelled is noticed at one place, wherever it comes about."""
    flow = _signal("door", "symptom_flow", 8.0)
    (one,) = _outcomes([flow], "cancelled_ratio", ("cancelled_ratio",))
    assert one.weight < 3.0
    assert _outcomes([flow], "error_ratio", ("cancelled_ratio",)) == [flow]


def test_requests_in_the_place_of_others_are_no_surge() -> None:
    """Where nobody asks more from outside, more requests at one callee are a consequence."""
    flow = _signal("spare", "symptom_flow")._replace(modes={"traffic_surge": 0.7})
    assert _no_surge([flow])[0].modes == {}
    load = _signal("door", "offered_load")
    assert _no_surge([flow, load]) == [flow, load]


def test_calls_that_take_one_long_way_of_several_are_late_on_the_wire() -> None:
    """A third of the calls lose much before they arrive, the others nothing: it is their way, and no queue."""
    quick = shop.spans(np.random.default_rng(3))
    slow = shop.spans(np.random.default_rng(3), wire={"store": 150.0})
    number = pl.col("trace_id").str.slice(1).cast(pl.Int64)
    raw = pl.concat([quick.filter(number % 3 != 0), slow.filter(number % 3 == 0)])
    # No delay is as long for every call.
    jitter = pl.col("end_ns") + (number % 7) * 8_000_000
    late = (
        (number % 3 == 0)
        & (pl.col("name") == "call store")
        & (pl.col("start_ns") >= shop.FAULT * 1e9)
    )
    raw = raw.with_columns(pl.when(late).then(jitter).otherwise("end_ns").alias("end_ns"))
    tree = calls(_spans(raw))
    found = lags(tree, np.where(tree.time >= shop.FAULT, 2, 1))
    assert found.by_service[0].service == "store"
    (first, *_) = from_lags(found)
    assert max(first.modes, key=lambda mode: first.modes[mode]) == "network_fault"


def test_a_field_that_a_contract_lost_and_callers_miss_is_its_schema() -> None:
    """Whoever takes a field out of an answer breaks its readers by it; other changes, and other lines, say nothing of it."""
    lines = ["cannot decode Order: no field total_gross"] * 6 + ["request failed"] * 4
    diff = "@@ api/order.proto @@\n-  string total_gross = 2;\n+  string total = 2;\n"
    change = Change("C1", 0.0, "deploy", "orders", "orders 4", "abc", diff)
    assert breaks_contract(change, lines)
    assert not breaks_contract(change, lines[6:])
    assert not breaks_contract(change, ["orders wanted a string"] * 6)
    assert not breaks_contract(replace(change, diff=diff.replace(".proto", ".py")), lines)
    assert not breaks_contract(replace(change, diff=diff + "+  string total_gross = 9;\n"), lines)


def _unread(times: list[float]) -> pl.DataFrame:
    text = "using fallback for pricer: field 'total' missing (got 'sum')"
    rows = [(t, "door", "WARN", text, None) for t in times]
    return pl.DataFrame(rows, schema=empty_logs().schema, orient="row")


def test_whose_answers_callers_cannot_read_is_accused() -> None:
    """A caller that helps itself with defaults writes down whose answer it could not read, and fails in nothing."""
    lines = _unread([7000.0 + i for i in range(9)])
    (one,) = accused(lines, empty_logs(), {"pricer", "door"})
    assert (one.entity, one.modes) == ("pricer", {"schema_change": 1.0})
    plain = lines.with_columns(pl.lit("using fallback for pricer: breaker open").alias("message"))
    assert accused(plain, empty_logs(), {"pricer", "door"}) == []


@pytest.mark.parametrize(("begin", "new"), [(6000.0, True), (5900.0, False)])
def test_lines_of_the_incident_are_none_of_its_reference(begin: float, new: bool) -> None:
    """What is written from the first moment of the incident on is new in it, word for word the same as it may be."""
    telemetry = Telemetry(
        metrics=empty_metrics(),
        spans=empty_spans(),
        logs=_unread([begin + 10 * i for i in range(40)]),
        topology=(("door", "pricer"),),
        kinds={},
        sources=(),
    )
    seen = SimpleNamespace(telemetry=telemetry, windows=WINDOWS, machines=frozenset(), tree=None)
    assert bool(_accused(cast("Observed", seen))) == new
