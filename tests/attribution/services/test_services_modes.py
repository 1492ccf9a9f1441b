"""Which mode an entity shows: words of metrics and of log lines, and what other signs leave of them."""

from __future__ import annotations

import polars as pl
import pytest

from ruleout.attribution.services._elsewhere import elsewhere
from ruleout.attribution.services._kinds import clue_of, kind_of
from ruleout.attribution.services._members import members
from ruleout.attribution.services._metrics import _SCHEMA
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._sayings import told
from ruleout.attribution.services._signals import matters, modes_of
from ruleout.attribution.services._views import asked_instead, passed_below, retried
from ruleout.sources.telemetry import Telemetry, empty_logs, empty_spans


def _row(entity: str, metric: str, kind: str, clue: str | None = None, **more: object) -> dict[str, object]:
    usual = {"level": 1.0, "now": 4.0, "middle_now": 4.0, "up": 9.0, "down": 0.0, "score": 3.0}
    rest = {"host": False, "sign": 1, "alone": 1.0, "idle": False}
    return {"entity": entity, "metric": metric, "kind": kind, "clue": clue} | usual | rest | more


def _table(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=_SCHEMA)


def _signal(entity: str, name: str, weight: float = 6.0) -> Signal:
    modes = {"slow_dependency": 0.75, "cpu_saturation": 0.15}
    return Signal(entity, name, weight, modes, "told", weight, weight)


@pytest.mark.parametrize(
    ("message", "mode"),
    [
        ("sequence group 12 is preempted: not enough KV cache space", "accelerator_memory"),
        ("CUDA out of memory. Tried to allocate 2.00 GiB", "accelerator_memory"),
        ("pod evicted from the node by the kubelet", "noisy_neighbour"),
        ("q failed: checksum mismatch (hardware problem?)", "hardware_fault"),
        ("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus", "hardware_fault"),
        ("rule set has 412 rules, limit is 256", "malformed_artifact"),
        ("failed to load feature list: unexpected end", "malformed_artifact"),
        ("could not connect to server: Connection timed out", "network_fault"),
        ("request blocked by safety filter", "guardrail_overblock"),
        ("prompt is too long for this model", "context_truncation"),
        ("vector has dimension 384, collection expects 768", "embedding_mismatch"),
        ("provider POST /v2/messages took 2654ms", "slow_dependency"),
        ("loading model weights (28 GiB)", "cold_start"),
        ("cannot process message at partition 3", "queue_backlog"),
    ],
)
def test_log_lines_name_the_mode_in_words_of_many_trades(message: str, mode: str) -> None:
    """Drivers, runtimes, brokers and filters have words of their own for what is wrong."""
    lines = pl.DataFrame({"entity": ["a"] * 6, "message": [message] * 6})
    assert set(told(lines, "a")) == {mode}


def test_what_an_accelerator_preempts_is_no_neighbours_doing() -> None:
    """Work that a model's server puts aside for want of its own memory says nothing of the machine."""
    text = "sequence group 12 is preempted by RECOMPUTE: not enough KV cache space"
    lines = pl.DataFrame({"entity": ["a"] * 9, "message": [text] * 9})
    assert elsewhere(_table(), lines, "door", frozenset()) == []
    lines = pl.DataFrame({"entity": ["a"] * 9, "message": ["pod preempted on the node"] * 9})
    assert [one.mode for one in elsewhere(_table(), lines, "door", frozenset())] == [
        "noisy_neighbour"
    ]


@pytest.mark.parametrize(
    ("metric", "kind", "sign", "mode"),
    [
        ("blocked_ratio", "error", 1, "guardrail_overblock"),
        ("pg_stat_activity_blocked_sessions", "saturation", 1, "slow_dependency"),
        ("tool_call_errors_total", "error", 1, "guardrail_overblock"),
        ("feature_freshness_seconds", "other", 1, "stale_features"),
        ("partition_3_max_event_age_s", "other", 1, "partial_batch"),
        ("feature_null_ratio", "other", 1, "silent_nulls"),
        ("retrieval_cosine_similarity_avg", "other", -1, "embedding_mismatch"),
        ("vllm:time_per_output_token_seconds_avg", "latency", 1, "slow_runtime"),
        ("inter_token_latency_ms", "latency", 1, "slow_runtime"),
        ("prompt_tokens_avg", "other", 1, "traffic_surge"),
        ("prompt_tokens_p99", "other", -1, "context_truncation"),
        ("prompts_truncated_total", "other", 1, "context_truncation"),
        ("ruleset_bytes", "other", 1, "malformed_artifact"),
        ("config_reload_failures_total", "error", 1, "malformed_artifact"),
        ("otelcol_exporter_send_failed_spans", "error", 1, "observability_failure"),
        ("ColdStarts.Sum", "other", 1, "cold_start"),
        ("InitDuration.p95", "other", 1, "cold_start"),
        ("hottest_key_share", "cache", 1, "cache_storm"),
    ],
)
def test_metrics_of_models_and_of_functions_name_their_mode(
    metric: str, kind: str, sign: int, mode: str
) -> None:
    """Terms of serving, of features, of functions and of generated files tell the mode, by the way they moved."""
    assert kind_of(metric) == kind
    modes = modes_of(kind, metric, sign)
    assert max(modes, key=lambda name: modes[name]) == mode


def test_memory_of_an_accelerator_that_is_far_from_full_says_little() -> None:
    """Four times as much of next to nothing is no want of memory; nearly all of it is."""
    row = _row("gpu", "kv_cache_usage_perc", "accelerator", "device_memory", level=0.015)
    assert matters({**row, "now": 0.06}) == pytest.approx(0.1)
    assert matters({**row, "now": 0.97}) == 1.0
    assert matters({**row, "level": 2.0, "now": 95.0}) == 1.0
    assert matters({**row, "metric": "kv_blocks_used", "now": 5000.0}) == 1.0


def test_queues_before_a_busy_disk_are_the_disks() -> None:
    """Work that waits, where the disk of its machine is busy all the time, waits for the disk."""
    disk = _row("store", "node_disk_io_time_ratio", "disk", "disk_wait", host=True)
    queue = _row("store", "defrag_queue", "saturation", "waiting", score=6.0)
    modes = {"queue_backlog": 0.5, "slow_dependency": 0.2}
    signals = [_signal("store", "seen_below")]
    signals += [Signal("store", "metric.saturation", 1.5, modes, "told", 1.0, 1.0)] * 2
    shares = mode_shares(signals, "store", _table(disk, queue), empty_logs())
    assert next(iter(shares)) == "storage_fault"
    assert next(iter(mode_shares(signals, "store", _table(queue), empty_logs()))) != "storage_fault"


def test_copies_that_are_drawn_as_callees_are_copies() -> None:
    """Whom spans name as copies of a service, and who calls nobody, is one though the topology lists it."""
    rows = {"service": ["store"] * 2, "instance": ["s-1", "s-2"]}
    spans = pl.concat([empty_spans(), pl.DataFrame(rows)], how="diagonal_relaxed")
    metrics = pl.DataFrame({"time": [0.0] * 2, "entity": ["s-1", "s-2"], "metric": ["io"] * 2})
    metrics = metrics.with_columns(pl.lit(1.0).alias("value"))
    topology = (("web", "store"), ("store", "s-1"), ("store", "s-2"))
    telemetry = Telemetry(metrics, spans, empty_logs(), topology=topology)
    assert members(telemetry) == {"s-1": "store", "s-2": "store"}
    hosts = Telemetry(metrics, spans, empty_logs(), topology=topology, kinds={"s-1": "host"})
    assert members(hosts) == {"s-2": "store"}


def test_a_callee_that_answers_too_late_is_slow_and_not_out_of_reach() -> None:
    """Callers give up on who takes longer than they wait; only who is as quick as ever is lost on the way."""
    errors = _row("web", "client_errors.store", "error", about="store")
    failing = _row("web", "errors", "error")
    quiet = _row("store", "errors", "error", score=0.0)
    slow = _row("store", "latency", "latency")
    lost = [_signal("web", "symptom_flow")]
    for table, mode in (
        (_table(errors, failing, quiet, slow), "slow_dependency"),
        (_table(errors, failing, quiet), "network_fault"),
    ):
        (one,) = [s for s in passed_below(lost, table, "error", ()) if s.entity == "store"]
        assert max(one.modes, key=lambda name: one.modes[name]) == mode


def test_whom_the_failing_one_needs_is_no_fallback() -> None:
    """A callee that the failing service calls itself is asked by others for reasons of its own."""
    table = _table(
        _row("hints", "errors", "error"),
        _row("hints", "requests", "traffic", level=10.0, middle_now=2.0, score=2.0, sign=-1),
        _row("stock", "requests", "traffic", level=10.0, middle_now=40.0),
    )
    lost = [_signal("stock", "symptom_flow"), _signal("hints", "metric.error")]
    edges = {("web", "hints"), ("web", "stock")}
    assert [s.entity for s in asked_instead(lost, table, edges) if s.name == "asked_instead"] == [
        "stock"
    ]
    edges = edges | {("hints", "stock")}
    assert asked_instead(lost, table, edges) == lost


def test_second_tries_that_name_nobody_are_held_against_attempts() -> None:
    """A count of retries without a callee is of whom the caller now asks as much more."""
    assert kind_of("rpc.client.attempts.stock") == "traffic"
    attempts = _row("web", "attempts.stock", "traffic", about="stock", level=10.0, middle_now=50.0)
    again = _row("web", "retries", "other", "retries", level=0.0, middle_now=38.0)
    (one,) = retried(_table(attempts, again))
    assert (one.entity, one.of) == ("stock", "web")
    assert retried(_table(attempts, {**again, "middle_now": 5.0})) == []


def test_a_clue_without_a_way_down_keeps_its_modes() -> None:
    """Where less says the same as more, both speak for the same mode."""
    clue = clue_of("kube_deployment_status_replicas_available")
    assert clue is not None
    assert clue.down == clue.modes
