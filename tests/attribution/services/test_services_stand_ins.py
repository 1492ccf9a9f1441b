"""Who is asked in another's place, breakers that keep back what would be served, names within metrics, drawn copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop
from test_services_modes import _row, _signal, _table
from test_services_ordinary import _modes, _rows, _told

from ruleout.attribution.services._blind import blind
from ruleout.attribution.services._breakers import only_tripped, sound
from ruleout.attribution.services._copies import ill_machine
from ruleout.attribution.services._elsewhere import elsewhere
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._labels import labelled
from ruleout.attribution.services._members import folded
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._ordinary import _of_requests
from ruleout.attribution.services._pools import own_pools
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._requests import Requests
from ruleout.attribution.services._shared import from_shared
from ruleout.attribution.services._signals import modes_of
from ruleout.attribution.services._views import asked_instead, retried
from ruleout.attribution.services._warming import replaced
from ruleout.attribution.services._windows import Windows
from ruleout.incident import SymptomSpec, Window
from ruleout.sources.telemetry import Telemetry, empty_logs
from ruleout.stats._twosample import more_often

EDGES = {("door", "model"), ("door", "spare")}


def _asked(callee: str, usual: float, now: float) -> dict[str, object]:
    sign = 1 if now >= usual else -1
    return _row(
        callee, "requests_per_s", "traffic", level=usual, middle_now=now, now=now, sign=sign
    )


@pytest.mark.parametrize(
    ("slow", "entity", "mode"),
    [(0.11, "model", "change_regression"), (0.9, "spare", "fallback_overload")],
)
def test_who_stands_by_is_asked_for_who_fails(slow: float, entity: str, mode: str) -> None:
    """Somebody whom nobody asked before is asked for one who fails; it is at fault only if it does not bear that."""
    table = _table(
        _row("door", "errors.model", "error", about="model"),
        _asked("door", 100.0, 100.0),
        _asked("model", 100.0, 95.0),
        _asked("spare", 0.0, 40.0),
        _row("spare", "latency_s", "latency", level=0.1, now=slow, middle_now=slow),
    )
    told = asked_instead([_signal("spare", "metric.saturation", 2.0)], table, EDGES)
    (found,) = [one for one in told if one.name == "asked_instead"]
    assert (found.entity, next(iter(found.modes))) == (entity, mode)
    assert next(one.weight for one in told if one.name == "metric.saturation") < 1.0


def test_machines_that_count_no_requests_are_not_asked_instead() -> None:
    """That a cache is asked less says nothing of a machine on which its caller runs."""
    cache = _signal("cache", "metric.cache", 3.0)
    table = _table(_asked("cache", 100.0, 40.0), _asked("store", 100.0, 40.0))
    edges = {("store", "cache"), ("store", "node-1")}
    assert asked_instead([cache], table, edges) == [cache]


@pytest.mark.parametrize(
    ("failed", "middle", "wait", "tripped"),
    [
        (6.0, 5.0, 0.0, True),
        (20.0, 5.0, 0.0, False),
        (6.0, 0.0, 0.0, False),
        (6.0, 5.0, 0.3, False),
    ],
)
def test_failures_that_a_breaker_kept_back_are_its_own(
    failed: float, middle: float, wait: float, tripped: bool
) -> None:
    """Who fails no more calls than were kept back tripped; not for a moment only, nor for want of places in its pool."""
    kept = {"level": 0.0, "now": 5.0, "middle_now": middle, "about": "model"}
    table = _table(
        _row("door", "breaker_rejected", "error", "breaker", **kept),
        _row("door", "failures", "error", level=0.0, now=failed, about="model"),
        _row("door", "pool_wait", "saturation", "pool", level=0.0, now=wait, about="model")
        | {"score": 3.0 * (wait > 0)},
        _row("model", "latency", "latency", level=0.1, now=0.11, middle_now=0.11, score=1.3),
    )
    assert (("door", "model") in only_tripped(table)) is tripped
    assert (("door", "model") in own_pools(table)) is (wait > 0)


@pytest.mark.parametrize(("typical", "well"), [(0.1, True), (0.5, False)])
def test_a_moment_of_slowness_may_be_over(typical: float, well: bool) -> None:
    """A callee that was slow once and mostly is not is well; a breaker that stays open keeps back for nothing."""
    table = _table(
        _row("model", "errors", "error", level=0.0, now=0.0, score=0.0),
        _row("model", "latency", "latency", level=0.1, now=0.9, middle_now=typical),
    )
    assert ("model" in sound(table)) is well


@pytest.mark.parametrize(
    ("metric", "kind"),
    [("out.ranker.upper_95", "latency"), ("upper_limit", "other"), ("timer.mean_90", "latency")],
)
def test_timers_of_statsd_are_times(metric: str, kind: str) -> None:
    """The aggregates that statsd writes of timers are lengths of time."""
    assert kind_of(metric) == kind


def _metrics(*names: str) -> Telemetry:
    rows = [(float(t), "door", name, 1.0) for name in names for t in range(3)]
    schema = ["time", "entity", "metric", "value"]
    return Telemetry(
        pl.DataFrame(rows, schema=schema, orient="row"),
        topology=(("door", "item-cache"), ("door", "item")),
        kpis=("calls-item",),
    )


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("to-item-cache-errors", 'to-errors{peer="item-cache"}'),
        ("pool_item_wait", 'pool_wait{peer="item"}'),
        ("breaker-item", 'breaker{peer="item"}'),
        ("route-item-latency", "route-latency"),
        ("calls-item", "calls-item"),
    ],
)
def test_callees_named_within_metrics_are_labels(metric: str, told: str) -> None:
    """Whom a metric names after a word for a callee is whom it is about; other names, and outcomes, stay."""
    told = metric if metric.startswith("route") else told
    assert labelled(_metrics(metric)).metrics["metric"].unique().to_list() == [told]
    assert labelled(_metrics(metric), (metric,)).metrics["metric"][0] == metric


@pytest.mark.parametrize(("kind", "folds"), [("replica", True), ("service", False)])
def test_copies_that_a_topology_draws_are_their_services(kind: str, folds: bool) -> None:
    """A declared replica that only its service calls is told under it, and so is where it runs."""
    rows = [(float(t), "model-a", "latency_s", 0.1) for t in range(3)]
    metrics = pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")
    told = folded(
        Telemetry(
            metrics,
            topology=(("door", "model"), ("model", "model-a"), ("model-a", "n1")),
            kinds={"model-a": kind, "n1": "host"},
        )
    )
    assert (told.metrics["entity"][0] == "model") is folds
    assert (("model", "n1") in told.topology) is folds


def test_a_machine_on_which_nothing_of_it_runs_is_not_its() -> None:
    """The only ill machine is an entity's where nobody told where it runs, and not where it runs elsewhere."""
    table = _table(_row("n1", "io_await_ms", "disk", "disk_wait", host=True))
    assert ill_machine(table, "model", [], {"n1", "n2"}) == "n1"
    assert ill_machine(table, "model", [], {"n1", "n2"}, {"n2"}) is None


@pytest.mark.parametrize(("failures", "mixed"), [(0.27, True), (0.01, False)])
def test_one_failure_among_hundreds_is_none(failures: float, mixed: bool) -> None:
    """Other kinds of request are asked, each as quick as ever; that one failed of hundreds where none did proves nothing."""
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal((2, 60))
    same = (noise[0, :40], noise[1, :12])
    fails = (np.zeros(40), np.r_[np.zeros(11), 0.05])
    plain = ((0.1 + noise[0, :40], 0.3 + noise[1, :12]), fails)
    asked = Requests(300, plain, (same, same, fails), 1.0, 1e-6, "search", failures)
    assert [one.mode for one in _of_requests(asked)] == (["benign_mix"] if mixed else [])


def test_hits_of_a_few_trials() -> None:
    """One hit in a quarter of all trials falls there with a probability of a quarter; ten of ten hardly do."""
    assert more_often((0, 300), (1, 100)) == pytest.approx(0.25)
    assert more_often((0, 300), (10, 100)) < 1e-5
    assert more_often((0, 300), (0, 100)) == pytest.approx(1.0)


@pytest.mark.parametrize("counts", [True, False])
def test_a_share_that_its_counts_deny_was_measured_wrong(tmp_path: Path, counts: bool) -> None:
    """A share of failures that was mostly zero and jumps, while failures over requests do not, is a defect of its rule."""
    rng = np.random.default_rng(4)
    times = shop.START + 5 * np.arange(180)
    late = times >= shop.FAULT
    asked = 40 * (1 + 0.02 * rng.standard_normal(180))
    failed = 0.1 * (rng.random(180) < 0.3) + (0.0 if counts else 4.0) * late
    told = failed / asked + 0.1 * late * counts
    rows = _rows(times, "door", "requests_per_s", asked)
    rows += _rows(times, "door", "requests_failed_per_s", failed)
    rows += _rows(times, "door", "slo:error_ratio", told)
    # Somebody beside it has a trouble of its own, which proves nothing.
    rows += _rows(times, "job", "restarts", np.where(late, 1.0, 0.0))
    windows = Window(shop.START, shop.FAULT - 5), Window(shop.FAULT, shop.END)
    symptom = SymptomSpec(metric="slo:error_ratio", entity="door", direction="up")
    assert ("monitor_defect" in _modes(_told(tmp_path, rows, symptom, windows))) is counts


def test_of_several_ill_machines_the_worst_stands_for_an_entity_on_all_of_them() -> None:
    """Accelerators that all run out beneath the copies of one service tell what it lacks; elsewhere they tell nothing."""
    rows = [_row(n, "gpu_xid_errors", "accelerator", "device", host=True) for n in ("g1", "g2")]
    assert ill_machine(_table(*rows), "model", [], {"g1", "g2"}) is None
    worse = _row("n9", "io_await_ms", "disk", "disk_wait", score=6.0, host=True)
    known, beneath = {"g1", "g2", "n9"}, {"g1", "g2"}
    assert ill_machine(_table(*rows, worse), "model", [], known, beneath) in beneath


@pytest.mark.parametrize("alone", [True, False])
def test_a_copy_alone_lacks_what_its_machine_does_not_give(alone: bool) -> None:
    """One copy of several has no processor left on a machine whose clock fell: the machine is slow, not its code busy."""
    table = _table(
        _row("model", "cpu_cores_used", "cpu", level=0.3, now=1.0),
        _row("model", "cfs_throttled_ratio", "cpu", "throttled", level=0.0, now=1.0),
        _row("n1", "cpu_frequency_hertz", "cpu", "clock", level=3e9, now=1e9, sign=-1, host=True),
    )
    busy = Signal("model", "metric.cpu", 2.5, {"cpu_saturation": 0.9}, "told", 2.5, 2.5)
    code = Signal("model", "seen_below", 3.0, {"change_regression": 1.0}, "told", 3.0, 3.0)
    told = [busy, code]
    if alone:
        told.append(Signal("model", "one_instance", 2.5, {"hardware_fault": 0.4}, "told", 2.5, 2.5))
    shares = mode_shares(told, "model", table, empty_logs(), "n1")
    assert (next(iter(shares)) == "hardware_fault") is alone


@pytest.mark.parametrize(("grown", "idle", "weight"), [(5.0, False, 8.0), (2.2, True, 3.0)])
def test_second_tries_at_who_has_processor_left_have_another_reason(
    grown: float, idle: bool, weight: float
) -> None:
    """A storm fills whom it hits, and its throttling follows; who is slow and not filled has a reason of its own."""
    kept = {"about": "model", "level": 10.0, "now": 10.0 * grown, "middle_now": 10.0 * grown}
    again = kept | {"level": 0.0, "now": 10.0 * (grown - 1), "middle_now": 10.0 * (grown - 1)}
    own = {key: kept[key] for key in ("level", "now", "middle_now")}
    table = _table(
        _row("door", "requests_to_model", "traffic", **kept),
        _row("door", "retries_to_model", "other", "retries", **again),
        _row("model", "requests", "traffic", **own),
        _row("model", "cpu", "cpu", level=0.2, now=0.9, middle_now=0.9),
        _row("model", "cfs_throttled", "cpu", "throttled", level=0.0, now=1.0),
    )
    (one,) = retried(table)
    assert (one.weight < weight) is idle
    assert (one.modes["retry_storm"] < 0.5) is idle


def test_a_surge_comes_in_at_a_door() -> None:
    """Where an outcome alarms, who is asked eight times as much by callers that are asked as ever brings no surge."""
    table = _table(
        _row("model", "requests", "traffic", now=8.0),
        _row("model-copy", "requests", "traffic", now=8.0),
        _row("store", "requests", "traffic", now=8.0),
        _row("door", "requests", "traffic", now=1.0, score=0.0),
    )
    edges = [("door", "model"), ("door", "store"), ("door", "model-copy")]
    names = frozenset[str]()
    assert elsewhere(table, empty_logs(), "orders", names, kind="latency", edges=edges) == []
    assert elsewhere(table, empty_logs(), "orders", names, kind="latency") != []


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("route.bid_request.mean", "latency"),
        ("requests.mean", "traffic"),
        ("request.size.mean", "traffic"),
        ("route.bid_request.count", "traffic"),
    ],
)
def test_the_mean_of_one_request_is_its_time(metric: str, kind: str) -> None:
    """Timers are named after what they time; a mean of requests, or of their sizes, is none."""
    assert kind_of(metric) == kind


def test_requests_in_flight_name_no_pool() -> None:
    """As many are under way as come in while one takes so long: that says nothing of places."""
    assert modes_of("saturation", "inflight", 1) == {}


@pytest.mark.parametrize("heals", [True, False])
def test_copies_begun_anew_under_their_old_names_warm_up(heals: bool) -> None:
    """A copy that is slow each time it was begun anew, and quick before the next time, warms up; its own time tells."""
    minute = np.arange(140.0)
    births = (104.0, 121.0)
    age = np.min([np.where(minute >= b, minute - b, 99.0) for b in births], axis=0)
    slow = np.where((minute >= 104) & ((age < 6) | (not heals)), 9000.0, 100.0)
    series = {
        'latency_p95_ms{copy="m-0"}': slow,
        'process_uptime_seconds{copy="m-0"}': np.where(np.isin(minute, births), 0.2, 1.0),
    }
    rows = [
        (60 * t, "model", name, v)
        for name, value in series.items()
        for t, v in zip(minute, value, strict=True)
    ]
    metrics = pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")
    windows = Windows(((0.0, 6000.0),), (6060.0, 8400.0), 6500.0, declared=True)
    assert [one.entity for one in replaced(metrics, windows)] == (["model"] if heals else [])


@pytest.mark.parametrize(
    ("calls", "load", "await_ms", "shared"),
    [
        (False, 1.0, 300.0, True),
        (True, 1.0, 300.0, False),
        (False, 3.0, 300.0, False),
        (False, 1.0, 14.0, False),
    ],
)
def test_what_slow_services_share_is_their_machine(
    calls: bool, load: float, await_ms: float, shared: bool
) -> None:
    """Two stores that do not call each other, asked no more, slow on one machine whose disk is slow: it is the disk."""
    slow = {"level": 0.02, "now": 0.7, "middle_now": 0.6}
    table = _table(
        *(_row(n, "latency_s", "latency", **slow) for n in ("a", "b")),
        *(_asked(n, 10.0, 10.0 * load) for n in ("a", "b")),
        _row("m", "node_disk_await_ms", "disk", "disk_wait", level=14.0, now=await_ms, host=True)
        | {"score": 3.0 * (await_ms > 20)},
    )
    lost = [_signal(name, "symptom_flow", 3.0) for name in ("a", "b")]
    edges = {("a", "m"), ("b", "m")} | ({("a", "b")} if calls else set())
    told = from_shared(lost, table, edges, {"m"})
    assert ("m" in {one.entity for one in told}) is shared
    assert (told[0].weight < 1.0) is shared


def test_a_machine_is_measured_as_machines_are() -> None:
    """A machine whose processor is full is known to be busy, though none of its metrics is a service's."""
    table = _table(_row("m", "node_cpu", "cpu", level=12.0, now=99.0, host=True))
    busy = Signal("m", "one_host", 8.0, {"cpu_saturation": 0.9}, "told", 3.0, 3.0)
    told = [busy, busy._replace(name="metric.cpu", weight=0.9)]
    assert next(iter(mode_shares(told, "m", table, empty_logs()))) == "cpu_saturation"


@pytest.mark.parametrize(
    ("asked", "other", "told"), [(95.0, False, True), (1.0, False, False), (95.0, True, False)]
)
def test_requests_that_arrive_were_made(asked: float, other: bool, told: bool) -> None:
    """Who counts no requests while whom it alone calls gets theirs is not down, but not measured."""
    table = _table(
        _asked("door", 100.0, 0.0), _asked("store", 100.0, asked), _asked("b", 50.0, 50.0)
    )
    edges = {("door", "store")} | ({("b", "store")} if other else set())
    found = blind(table, edges, "door")
    assert [(one.entity, *one.modes) for one in found] == (
        [("door", "observability_failure")] if told else []
    )
