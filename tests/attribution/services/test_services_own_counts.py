"""What entities count of themselves: callers as ever, pools held for callees, copies in turn, lost samples, rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import shop
from test_services_modes import _row, _signal, _table
from test_services_ordinary import _modes, _rows, _told

from ruleout._records import Subject
from ruleout.attribution.services._blame import Verdict
from ruleout.attribution.services._elsewhere import elsewhere
from ruleout.attribution.services._hypothesise import _by_known
from ruleout.attribution.services._load import lost_samples
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._pools import held_for_others
from ruleout.attribution.services._records import ServiceHypothesis, Signal
from ruleout.attribution.services._signals import matters
from ruleout.attribution.services._views import anybody, asked_instead, passed_below
from ruleout.attribution.services._warming import replaced
from ruleout.attribution.services._windows import Windows
from ruleout.incident import SymptomSpec, Window
from ruleout.sources.telemetry import empty_logs


@pytest.mark.parametrize(("caller", "surge"), [(1.05, False), (2.9, True)])
def test_callers_that_are_asked_as_ever_bring_no_surge(caller: float, surge: bool) -> None:
    """Three times the requests at a service are a surge only where its callers are asked more as well."""
    table = _table(
        _row("pay", "requests_per_s", "traffic", now=3.0),
        _row("front", "requests_per_s", "traffic", now=caller, score=2.0 * (caller > 1.5)),
    )
    found = elsewhere(
        table, empty_logs(), "pay", frozenset(), kind="latency", edges=[("front", "pay")]
    )
    assert ("traffic_surge" in {one.mode for one in found}) is surge


@pytest.mark.parametrize(
    ("entities", "counted"), [(("pay",), True), (("pay", "pay"), False), (("cart",), False)]
)
def test_changed_code_is_the_one_change_that_was_told(
    entities: tuple[str, ...], counted: bool
) -> None:
    """Code of an entity that changed is that of its one known change; of two, or of another's, nobody knows."""
    subject = Subject("service", ("pay",))
    changes = [f"c{k}" for k in range(len(entities))]
    code = ServiceHypothesis("change_regression", subject, 0.2)
    named = [ServiceHypothesis("change_regression", subject, 0.3, change=one) for one in changes]
    told = zip(changes, entities, strict=True)
    suspects = [SimpleNamespace(change=SimpleNamespace(id=c, entity=e)) for c, e in told]
    verdict = Verdict(cast("Any", tuple(suspects)), (0.3,) * len(suspects), 0.5, 0.0)
    found = _by_known([*named, code], verdict)
    assert (code not in found) is counted
    assert found[0].probability == pytest.approx(0.5 if counted else 0.3)
    assert _by_known([*named, code], None) == [*named, code]


@pytest.mark.parametrize("other", [1.0, 60.0])
def test_a_factor_between_units_that_others_bear_out_is_none(tmp_path: Path, other: float) -> None:
    """A thousandfold latency is a change of units, unless whoever it calls takes sixty times as long."""
    rng = np.random.default_rng(3)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    noise = 1 + 0.02 * rng.standard_normal((3, 180))
    rows = _rows(times, "front", "latency_p95", np.where(late, 100.0, 0.1) * noise[0])
    rows += _rows(times, "front", "render_latency_p95", 0.1 * noise[1])
    rows += _rows(times, "pay", "latency_p95", np.where(late, 0.05 * other, 0.05) * noise[2])
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="latency_p95", entity="front", direction="up")
    assert ("monitor_defect" in _modes(_told(tmp_path, rows, symptom, windows))) is (other == 1.0)


@pytest.mark.parametrize(("asked", "withheld"), [(0.05, True), (1.0, False)])
def test_a_breaker_that_does_not_say_of_whom(asked: float, withheld: bool) -> None:
    """Who fails nothing and is hardly asked any more by a caller whose breaker opened is withheld from."""
    table = _table(
        _row("front", "breaker_open", "error", "breaker", level=0.0, now=1.0, middle_now=1.0),
        _row("pay", "requests", "traffic", now=asked, middle_now=asked),
        _row("pay", "errors", "error", now=1.0, score=0.0),
    )
    lost = Signal("pay", "refused_calls", 4.0, {"change_regression": 1.0}, "told", 4.0, 4.0)
    (one,) = passed_below([lost], table, "error", (), [("front", "pay")])
    assert ("resilience_mistrip" in one.modes) is withheld


@pytest.mark.parametrize(("time", "storm"), [(1.0, False), (9.0, True)])
def test_calls_are_made_again_for_fast_failures(time: float, storm: bool) -> None:
    """Who fails nearly all and answers as quickly as ever is asked again for that; who is slow may be kept down by it."""
    again = Signal("pay", "asked_again", 1.0, {"retry_storm": 1.0}, "told", 3.0, 3.0)
    fails = Signal("pay", "metric.error", 3.0, {"schema_change": 1.0}, "told", 3.0, 3.0)
    table = _table(
        _row("pay", "errors", "error", score=4.0),
        _row("pay", "latency_p95_ms", "latency", now=time, score=4.0 * (time > 1)),
    )
    shares = mode_shares([again, fails], "pay", table, empty_logs())
    assert (next(iter(shares)) == "retry_storm") is storm


@pytest.mark.parametrize("heals", [True, False])
def test_copies_replaced_in_turn_warm_up(heals: bool) -> None:
    """A service that is slow whenever one more copy is new, and quick before the next, has copies that warm up."""
    minute = np.arange(160.0)
    births = (100.0, 120.0, 140.0)
    age = np.min([np.where(minute >= b, minute - b, 99.0) for b in births], axis=0)
    slow = np.where((minute >= 100) & ((age < 7) | (not heals)), 900.0, 100.0)
    parts = [("model", "latency_p95_ms", minute, slow)]
    parts += [
        ("model", f'cpu_percent{{copy="m-{k}"}}', minute[minute >= b], 40 + 0 * minute[minute >= b])
        for k, b in enumerate((0.0, *births))
    ]
    rows = [
        (60 * t, entity, metric, v)
        for entity, metric, time, value in parts
        for t, v in zip(time, value, strict=True)
    ]
    metrics = pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")
    windows = Windows(((0.0, 5900.0),), (5950.0, 9600.0), 6500.0, declared=True)
    assert [one.entity for one in replaced(metrics, windows)] == (["model"] if heals else [])


@pytest.mark.parametrize("counts", [True, False])
def test_silence_is_the_collectors_that_counts_what_it_lost(counts: bool) -> None:
    """Services that go silent while a collector drops samples are as they were."""
    silence = [_signal(name, "silence", 3.0) for name in ("front", "pay")]
    dropped = _row("agent", "exporter_dropped", "error", "telemetry", score=4.0 * counts)
    told = {one.entity: one for one in lost_samples(silence, _table(dropped))}
    assert ("agent" in told) is counts
    assert (told["front"].weight < 1.0) is counts
    if counts:
        assert set(told["agent"].modes) == {"observability_failure"}


@pytest.mark.parametrize(("wait", "edges"), [(8.0, True), (8.0, False), (1.2, True)])
def test_places_are_held_for_as_long_as_callees_take(wait: float, edges: bool) -> None:
    """A pool that is full while a callee takes eight times as long is no sign of too few places."""
    table = _table(
        _row("api", "latency_ms", "latency", level=20.0, now=170.0),
        _row("db", "latency_ms", "latency", level=10.0, now=10.0 * wait),
    )
    full = Signal("api", "metric.saturation", 4.0, {"pool_exhaustion": 1.0}, "told", 4.0, 4.0)
    (one,) = held_for_others([full], table, [("api", "db")] if edges else [])
    assert ("pool_exhaustion" in one.modes) is (wait < 2)
    assert (one.weight < 2.0) is (wait > 2)


@pytest.mark.parametrize(("growth", "known"), [(3.0, True), (1.1, False)])
def test_whoever_is_asked_for_what_a_cache_no_longer_answers(growth: float, known: bool) -> None:
    """Without topology, who alone is asked three times as much beside a cache that knows less is asked in its place."""
    cache = Signal("cache", "metric.cache", 3.0, {"cache_storm": 1.0}, "told", 3.0, 3.0)
    busy = Signal("db", "symptom_flow", 4.0, {"slow_dependency": 1.0}, "told", 4.0, 4.0)
    table = _table(
        _row("cache", "hit_ratio", "cache", now=0.2),
        *(_row(n, "requests", "traffic", now=1.0, middle_now=1.0) for n in ("cache", "front", "m")),
        _row("db", "requests", "traffic", now=growth, middle_now=growth),
    )
    told = asked_instead([cache, busy], table, anybody(table))
    assert (("cache", "asked_instead") in {(one.entity, one.name) for one in told}) is known
    assert (next(one.weight for one in told if one.entity == "db") < 2.0) is known


def test_a_processor_at_rest_weighs_little() -> None:
    """Twenty times the use of a processor matters where it comes to a core, and hardly where it stays at rest."""
    rest = matters(_row("a", "cpu_cores_used", "cpu", level=0.001, now=0.02))
    busy = matters(_row("a", "cpu_cores_used", "cpu", level=0.05, now=1.0))
    assert rest < 0.3
    assert busy == 1.0
    assert matters(_row("a", "cpu_percent", "cpu", level=0.001, now=0.02)) > 0.9


@pytest.mark.parametrize(("callee", "held"), [(9.0, True), (1.1, False)])
def test_memory_is_held_with_the_requests_that_wait_for_others(callee: float, held: bool) -> None:
    """Who holds eighty times the requests for a slow callee holds their memory; who holds them by itself may leak."""
    table = _table(
        _row("api", "inflight_requests", "saturation", "in_flight", now=80.0, middle_now=80.0),
        _row("api", "seconds_to_db", "latency", about="db", now=callee, middle_now=callee),
    )
    memory = Signal("api", "metric.memory", 3.0, {"memory_leak": 0.8}, "told", 3.0, 3.0)
    (one,) = held_for_others([memory], table, [("api", "db")])
    assert (one.weight < 2.0) is held


@pytest.mark.parametrize(("calls", "handed"), [(10.0, True), (40.0, True), (1.0, False)])
def test_calls_count_as_often_as_a_request_makes_them(calls: float, handed: bool) -> None:
    """Twenty calls that take 5 ms more each are the 100 ms that the request takes more in its middle; one of them is not."""
    table = _table(
        _row("api", "latency_p50_ms", "latency", level=20.0, now=120.0),
        _row("api", "latency_p99_ms", "latency", level=90.0, now=990.0),
        _row("api", "requests_rate", "traffic", level=10.0, now=10.0, middle_now=10.0),
        _row("api", "ms_to_db", "latency", about="db", level=1.0, now=6.0),
        _row("api", "calls_to_db", "traffic", about="db", middle_now=20.0 * calls),
    )
    lost = [_signal("api", "symptom_flow", 6.0)]
    found = {one.entity: one.weight for one in passed_below(lost, table, "latency", [])}
    assert (found.get("db", 0.0) > 2.0) is handed
