"""Which mode an entity shows: words of metrics and of log lines, and what other signs leave of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pytest

from ruleout.attribution.services._beneath import beneath
from ruleout.attribution.services._by_changes import by_changes
from ruleout.attribution.services._elsewhere import elsewhere
from ruleout.attribution.services._flow import Flow
from ruleout.attribution.services._fresh import excused_by_fresh, fresh, from_fresh
from ruleout.attribution.services._hypothesise import _owner
from ruleout.attribution.services._kinds import clue_of, kind_of
from ruleout.attribution.services._load import offered, unfelt_load
from ruleout.attribution.services._members import members
from ruleout.attribution.services._metrics import _SCHEMA
from ruleout.attribution.services._modes import mode_shares
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._rows import excused_by_rows, from_rows
from ruleout.attribution.services._sayings import quiet_lines, told
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._signals import (
    beyond_load,
    from_departures,
    from_flow,
    loads_of,
    matters,
    modes_of,
    rightly_refused,
)
from ruleout.attribution.services._views import asked_instead, passed_below, retried
from ruleout.attribution.services._windows import Windows
from ruleout.sources._changes import Change
from ruleout.sources.telemetry import Telemetry, empty_logs, empty_spans


def _row(
    entity: str, metric: str, kind: str, clue: str | None = None, **more: object
) -> dict[str, object]:
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
        ("nodejs_eventloop_lag_seconds", "cpu", 1, "cpu_saturation"),
        ("run_queue_length", "cpu", 1, "cpu_saturation"),
        ("process.cpu.time", "cpu", 1, "cpu_saturation"),
        ("CPUCreditBalance", "cpu", -1, "noisy_neighbour"),
        ("BurstBalance", "disk", -1, "storage_fault"),
        ("disk_write_errors_total", "disk", 1, "storage_fault"),
        ("gpu_oom_errors", "accelerator", 1, "accelerator_memory"),
        ("nan_outputs_total", "error", 1, "hardware_fault"),
        ("smartmon_reallocated_sector_count", "accelerator", 1, "hardware_fault"),
        ("DCGM_FI_DEV_POWER_VIOLATION", "accelerator", 1, "hardware_fault"),
        ("ping_rtt_ms", "network", 1, "network_fault"),
        ("probe_dns_lookup_time_seconds", "network", 1, "network_fault"),
        ("x_ratelimit_remaining_tokens", "other", -1, "rate_limited"),
        ("rate_limit_rejections_total", "saturation", 1, "rate_limited"),
        ("api_throttle_count", "saturation", 1, "rate_limited"),
        ("go_sql_wait_count_total", "saturation", 1, "pool_exhaustion"),
        ("envoy_cluster_upstream_cx_overflow", "saturation", 1, "pool_exhaustion"),
        ("thread_pool_queue_size", "saturation", 1, "pool_exhaustion"),
        ("envoy_outlier_detection_ejections_active", "error", 1, "resilience_mistrip"),
        ("adaptive_concurrency_limit", "other", -1, "resilience_mistrip"),
        ("default_responses_served_total", "error", 1, "fallback_overload"),
        ("attempts_per_request", "other", 1, "retry_storm"),
        ("messages_retried_total", "saturation", 1, "queue_backlog"),
        ("http_499_total", "other", 1, "deadline_inversion"),
        ("client_disconnects_total", "other", 1, "deadline_inversion"),
        ("unknown_field_total", "error", 1, "schema_change"),
        ("model_load_duration_seconds", "other", 1, "cold_start"),
        ("feature_file_rows", "other", 1, "malformed_artifact"),
        ("prometheus_tsdb_head_series", "other", 1, "observability_failure"),
        ("retrieval_score_mean", "other", -1, "embedding_mismatch"),
        ("index_doc_count", "other", -1, "stale_index"),
        ("blocked_requests_total", "error", 1, "guardrail_overblock"),
        ("watermark_lag_seconds", "other", 1, "partial_batch"),
        ("oldest_event_age_seconds", "saturation", 1, "queue_backlog"),
        ("citation_age_days", "other", 1, "stale_index"),
        ("model_fingerprint_changes", "other", 1, "provider_model_change"),
        ("finish_reason_length_ratio", "other", 1, "context_truncation"),
        ("join_match_rate", "other", -1, "join_loss"),
        ("duplicate_rows_ratio", "other", 1, "join_fanout"),
        ("replication_lag_seconds", "other", 1, "stale_features"),
        ("model_inference_seconds", "latency", 1, "slow_dependency"),
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


def test_a_few_second_tries_are_patience_and_no_storm() -> None:
    """A tenth more calls, made again because somebody is slow, leaves the time with whom it was lost at."""
    asked = _row("web", "requests", "traffic", score=0.0, level=100.0, now=100.0)
    again = _row("web", "retries", "other", "retries", level=0.0, now=90.0)
    few = {**again, "now": 6.0}
    lost = [_signal("web", "symptom_flow", 7.0)]
    many_told = mode_shares(lost, "web", _table(asked, again), empty_logs())
    few_told = mode_shares(lost, "web", _table(asked, few), empty_logs())
    assert few_told["retry_storm"] < 0.5 * many_told["retry_storm"]
    assert next(iter(few_told)) == "slow_dependency"


def test_what_callers_say_of_answers_is_the_silent_callees() -> None:
    """Where a callee logs no error, lines of whoever counts its loss there tell what is wrong with its answers."""
    below = Signal("docs", "seen_below", 4.0, {"network_fault": 0.7}, "told", 1.0, 1.0, "page")
    lines = pl.DataFrame(
        {"entity": ["page"] * 6, "message": ["KeyError: 'html' while decoding Doc"] * 6}
    )
    assert next(iter(mode_shares([below], "docs", _table(), lines))) == "schema_change"
    own = pl.concat(
        [lines, pl.DataFrame({"entity": ["docs"] * 6, "message": ["no space left"] * 6})]
    )
    assert "schema_change" not in mode_shares([below], "docs", _table(), own)


def test_work_that_ends_after_its_caller_left_tells_of_deadlines() -> None:
    """Answers that come too late from who is as quick as ever were given too little time."""
    late = _row("store", "late_responses", "other", "late_work")
    lost = [Signal("store", "seen_below", 3.0, {"network_fault": 0.7}, "told", 1.0, 1.0)]
    assert (
        next(iter(mode_shares(lost, "store", _table(late), empty_logs()))) == "deadline_inversion"
    )
    slow = _row("store", "latency", "latency")
    assert "deadline_inversion" not in mode_shares(lost, "store", _table(late, slow), empty_logs())


def _copy(name: str, start: float, values: np.ndarray) -> pl.DataFrame:
    times = start + 10.0 * np.arange(len(values))
    table = pl.DataFrame({"time": times, "value": values})
    return table.with_columns(pl.lit(name).alias("entity"), pl.lit("ttft_p95_ms").alias("metric"))


def test_a_copy_without_a_past_is_cold_where_its_siblings_are_quick() -> None:
    """A copy that begins in the incident, slow at first and then as quick as the rest, was warming up."""
    windows = Windows(((0.0, 600.0),), (600.0, 1200.0), 600.0, declared=True)
    old = _copy("gpu-0", 0.0, np.full(120, 300.0))
    cold = np.r_[np.full(20, 9000.0), np.full(40, 320.0)]
    young = from_fresh(fresh(pl.concat([old, _copy("gpu-1", 600.0, cold)]), windows))
    assert [(one.entity, one.modes) for one in young] == [("gpu-1", {"cold_start": 1.0})]
    load = Signal("door", "offered_load", 7.0, {"traffic_surge": 1.0}, "told", 3.0, 2.0)
    weights = {
        one.entity: one.weight for one in excused_by_fresh([load, *young], {("door", "gpu-1")})
    }
    assert weights["door"] < 7.0
    assert weights["gpu-1"] > 8.0
    slow = np.full(60, 9000.0)
    assert fresh(pl.concat([old, _copy("gpu-1", 600.0, slow)]), windows) == []
    assert fresh(pl.concat([old, _copy("door-1", 600.0, cold)]), windows) == []


def _written(name: str, factor: float) -> dict[str, object]:
    more = {"level": 100.0, "now": 100.0 * factor, "middle_now": 100.0 * factor}
    score = 0.0 if factor == 1 else 2.0
    return _row(name, "rows_out", "other", score=score) | more


@pytest.mark.parametrize(
    ("factors", "entity", "mode"),
    [
        ((3.0, 3.0, 3.0), "orders", "traffic_surge"),
        ((0.6, 0.6, 0.6), "orders", "partial_batch"),
        ((1.0, 3.0, 3.0), "join", "join_fanout"),
        ((1.0, 0.5, 0.5), "join", "join_loss"),
    ],
)
def test_rows_are_followed_to_where_they_became_more_or_fewer(
    factors: tuple[float, float, float], entity: str, mode: str
) -> None:
    """The step that writes otherwise than what it reads from is the one; without such a step, it is the source."""
    table = _table(
        *(_written(n, f) for n, f in zip(("orders", "join", "score"), factors, strict=True))
    )
    edges = {("score", "join"), ("join", "orders")}
    (one,) = from_rows(table, edges)
    assert one.entity == entity
    assert max(one.modes, key=lambda name: one.modes[name]) == mode
    lost = Signal("score", "symptom_flow", 6.0, {"slow_dependency": 1.0}, "told", 1.0, 1.0)
    left = excused_by_rows([lost, one], edges)
    assert (left[0].weight < 2.0) == (factors[2] > 1)


def test_longer_requests_are_load_and_fill_an_accelerator() -> None:
    """Prompts five times as long at as many requests are a surge at the door, and what they fill is no cause."""
    longer = {"level": 900.0, "now": 4500.0, "middle_now": 4500.0}
    table = _table(
        _row("door", "requests", "traffic", level=10.0, now=10.0, middle_now=10.0, score=0.0),
        _row("door", "prompt_tokens_avg", "other", "prompted", **longer),
        _row("gpu", "prompt_tokens_total", "other", "prompted", **longer),
        _row("gpu", "kv_usage", "accelerator", "device_memory", level=0.14, now=0.7),
    )
    (one,) = offered(table, None, np.zeros(0), {("door", "gpu")}, "door")
    assert (one.entity, max(one.modes, key=lambda name: one.modes[name])) == (
        "door",
        "traffic_surge",
    )
    full = next(row for row in table.iter_rows(named=True) if row["metric"] == "kv_usage")
    assert beyond_load(full, loads_of(table)["gpu"]) < 0.2
    assert beyond_load(full, 1.0) == 1.0


def test_changes_tell_a_runtime_from_other_code_and_a_template_from_users() -> None:
    """Time of one's own after another runtime is the runtime's; longer prompts after another template, its own."""
    slow = [Signal("rank", "added_time", 5.0, {}, "told", 1.0, 1.0)]
    shares = {"slow_dependency": 0.6, "cpu_saturation": 0.2, "network_fault": 0.2}
    built = Change("C1", 900.0, "deploy", "rank", "onnxruntime 1.17.1 -> 1.18.0")
    told = by_changes(shares, "rank", [built], slow, 1000.0)
    assert max(told, key=lambda name: told[name]) == "slow_runtime"
    plain = Change("C1", 900.0, "deploy", "rank", "rename a helper")
    assert by_changes(shares, "rank", [plain], slow, 1000.0) == shares
    assert by_changes(shares, "rank", [built], [], 1000.0) == shares
    longer = {"traffic_surge": 0.65, "prompt_change": 0.35}
    written = Change("C2", 900.0, "prompt", "door", "answer at length")
    told = by_changes(longer, "door", [written], [], 1000.0)
    assert max(told, key=lambda name: told[name]) == "prompt_change"


def test_a_breaker_that_cuts_off_who_is_well_has_tripped_wrongly() -> None:
    """Where nothing arrives any more, the callee's own metrics say whether the breaker has a reason."""
    cut = {"resilience_mistrip": 0.4, "network_fault": 0.2, "hardware_fault": 0.2}
    refused = Signal("model", "refused_calls", 8.0, cut, "told", 1.0, 1.0, "bidder")
    still = _table(_row("model", "latency", "latency", score=0.0))
    (one,) = rightly_refused([refused], still)
    assert one.modes["resilience_mistrip"] > 0.8
    hot = _table(_row("model", "cpu", "cpu", score=2.0))
    assert rightly_refused([refused], hot)[0].modes == cut


def test_a_callee_that_shows_the_loss_and_a_trouble_excuses_its_caller() -> None:
    """A worker that is as slow as its door, by another metric, and is short of memory, is what the door waits for."""
    table = _table(
        _row("door", "ttft_p95_s", "latency"),
        _row("gpu", "time_to_first_token_p95", "latency"),
        _row("gpu", "kv_cache_usage", "accelerator", "device_memory"),
    )
    told = [_signal("door", "symptom_flow"), _signal("gpu", "metric.accelerator", 3.0)]
    after = {s.entity: 0.0 for s in told}
    for one in beneath(told, table, {("door", "gpu")}, "latency"):
        after[one.entity] += one.weight
    assert after["gpu"] > after["door"]
    quick = table.with_columns(
        pl.when(pl.col("metric") == "time_to_first_token_p95")
        .then(0.2)
        .otherwise("score")
        .alias("score")
    )
    assert beneath(told, quick, {("door", "gpu")}, "latency")[0].weight > 5.0


def test_load_that_nobody_felt_makes_nothing_fail() -> None:
    """Failures beside more requests, where no answer takes longer and nothing fills, have another reason."""
    load = Signal("door", "offered_load", 5.0, {"traffic_surge": 1.0}, "told", 2.0, 1.0)
    calm = _table(_row("door", "latency", "latency", score=0.0), _row("door", "errors", "error"))
    assert unfelt_load([load], calm, "error")[0].weight < 2.0
    assert unfelt_load([load], calm, "latency") == [load]
    slow = _table(_row("door", "latency", "latency"), _row("door", "errors", "error"))
    assert unfelt_load([load], slow, "error") == [load]
    busy = pl.concat([calm, _table(_row("door", "throttled", "saturation", "quota"))])
    assert unfelt_load([load], busy, "error") == [load]
    asked = _row("door", "requests", "traffic", level=10.0, now=30.0)
    lines = pl.DataFrame(schema={"entity": pl.String, "message": pl.String})
    for table, modes in ((slow, ["traffic_surge"]), (calm, [])):
        told_of = elsewhere(
            pl.concat([table, _table(asked)]), lines, "door", frozenset(), kind="error"
        )
        assert [one.mode for one in told_of] == modes


def test_plain_notices_name_a_mode_where_they_are_new() -> None:
    """What a filter blocks is a notice and no warning; many of them, and none before, are a sign."""
    windows = Windows(((0.0, 600.0),), (600.0, 1200.0), 600.0, declared=True)
    times = np.arange(0.0, 1200.0, 20.0)
    table = pl.DataFrame({"time": times}).with_columns(
        pl.lit("filter").alias("entity"),
        pl.lit("INFO").alias("severity"),
        pl.lit("blocked category=advice policy=14").alias("message"),
        pl.lit(None, dtype=pl.String).alias("trace"),
    )
    new = table.filter(pl.col("time") >= 600)
    assert quiet_lines(new, windows).height == new.height
    assert quiet_lines(table, windows).is_empty()
    assert quiet_lines(new.with_columns(pl.lit("GET / 200").alias("message")), windows).is_empty()
    assert quiet_lines(new.head(3), windows).is_empty()


def test_a_quota_that_a_callee_counts_is_the_callees() -> None:
    """A gateway repeats what its callees answer, and measures what they take; who counts it has it."""
    table = _table(
        _row("door", "errors", "error"),
        _row("embedder", "upstream_429_total", "saturation", "quota"),
        _row("gpu", "time_per_output_token_seconds", "latency", "per_token"),
    )
    edges = frozenset({("door", "embedder"), ("door", "gpu")})
    seen = cast("Observed", SimpleNamespace(departed=table, edges=edges))
    assert _owner(seen, "rate_limited", "door") == "embedder"
    assert _owner(seen, "slow_runtime", "door") == "gpu"
    assert _owner(seen, "schema_change", "door") == "door"
    own = pl.concat([table, _table(_row("door", "http_429_total", "saturation", "quota"))])
    seen = cast("Observed", SimpleNamespace(departed=own, edges=edges))
    assert _owner(seen, "rate_limited", "door") == "door"


def test_second_tries_beside_a_trouble_that_is_still_there_follow_from_it() -> None:
    """A storm that keeps somebody down goes on without its trigger; with a sick disk the disk is the cause."""
    attempts = _row("web", "attempts.stock", "traffic", about="stock", level=10.0, middle_now=50.0)
    again = _row("web", "retries", "other", "retries", level=0.0, middle_now=38.0)
    disk = _row("stock", "DiskQueueDepth", "disk", "disk_wait")
    below = _row("stock", "latency.store", "latency", about="store")
    (alone,) = retried(_table(attempts, again))
    for trouble in (disk, below):
        (one,) = retried(_table(attempts, again, trouble))
        assert one.weight < 0.5 * alone.weight
    (over,) = retried(_table(attempts, again, {**below, "middle_now": 1.0}))
    assert over.weight == alone.weight


def test_who_raised_the_alarm_counts_half_beside_others() -> None:
    """That the symptom goes with itself is no evidence, unless nobody else measures it."""
    flow = Flow(volume=2.0, share=1.0, own=1.0, agreement=1.0, severity=1.0)
    both = {
        s.entity: s.weight for s in from_flow({"front": flow, "cart": flow}, "latency", "front")
    }
    (alone,) = from_flow({"front": flow}, "latency", "front")
    assert both["front"] == pytest.approx(both["cart"] / 2)
    assert alone.weight == pytest.approx(both["cart"])


@pytest.mark.parametrize(("sockets", "pool"), [(4.0, False), (40.0, True)])
def test_sockets_that_grow_with_the_time_of_answers_tell_of_no_pool(
    sockets: float, pool: bool
) -> None:
    """What takes four times as long holds four times the sockets at the same load."""
    table = _table(
        _row("cart", "latency", "latency"),
        _row("cart", "sockets", "saturation", "descriptors", now=sockets),
    )
    signals = from_departures(table, (), alone=True, traced=())
    shares = mode_shares(signals, "cart", table, empty_logs())
    assert (shares.get("pool_exhaustion", 0.0) > 0.3) is pool
