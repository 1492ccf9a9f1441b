"""Modes that lines of a log name, in the words that runtimes, drivers, brokers and servers use for them.

A line that fails says who suffers; some say of what. Where every line of an entity names the same mechanism, that
outweighs whatever its metrics leave open.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import polars as pl

from ruleout.attribution.services._windows import Windows

_SPOKEN = 5
"""Error lines of its own from which on an entity speaks for itself; else others' lines about it count."""

_LEAST = 0.1
"""Share of the error lines below which a word is chance."""

DEVICE = r"cuda|\bgpu|\bkv\b|kv.?cache|vram|\bhbm\b|sequence group|cublas|\bnccl\b"
"""Words of accelerators: their memory is not the process's, and what they preempt is their own work."""


NAMES = (
    r"no such host|nxdomain|servfail|name resolution|not resolve|\bdns\b|getaddrinfo|eai_again|enotfound"
    r"|\blookup \S+ on \S+:53\b|unknownhost|unknown host|(name or service|nodename nor servname).*not known"
)
"""Words of lookups of names that fail, as resolvers and runtimes put it."""


class Saying(NamedTuple):
    """What lines say of one mode."""

    mode: str
    words: str
    unless: str = ""
    """Words beside which the same line is about something else."""

    trust: float = 1.0
    """Part of the weight: some words come with many a fault."""


SAYINGS: tuple[Saying, ...] = (
    Saying(
        "network_fault",
        (
            rf"{NAMES}|no route|unreachable|packet loss|certificate|x509|tls handshake|ssl(v3|_error)|handshake fail"
            r"|connection reset|broken pipe|connect(ion)? timed out|connect timeout|could not connect|etimedout|ehostunreach|enetunreach"
            r"|econnreset|dial tcp\b.*timeout"
        ),
    ),
    Saying(
        "rate_limited",
        r"\b429\b|too many requests|rate.?limit|quota|throttl",
        unless=r"disk quota|quota.*(disk|volume)|cpu throttl",
    ),
    Saying(
        "pool_exhaustion",
        (
            r"\bpool\b|acquir\w+ (a )?connection|too many (open )?(connections|files)|connection limit"
            r"|thread.?pool|no (free|available) (connection|thread|worker)|too many clients"
        ),
    ),
    Saying(
        "memory_leak",
        r"out of memory|\boom\b|oom.?kill|heap space|cannot allocate|gc overhead|outofmemory",
        unless=DEVICE,
    ),
    Saying(
        "accelerator_memory",
        (
            r"cuda.*out of memory|out of memory.*(cuda|gpu|device)|(gpu|device|hbm).*out of memory|outofmemory.*gpu"
            r"|kv.?cache.*(space|full|exhaust|enough|block)|(not enough|insufficient|no free).*(kv|gpu|vram|hbm)"
            r"|(sequence|request)\b.*preempt|preempt.*(recompute|swap|sequence)|cublas_status_alloc"
        ),
    ),
    Saying(
        "hardware_fault",
        (
            r"machine.?check|\bmce\b|\bxid\b|\becc\b.*err|uncorrectable|edac|hardware (error|fault|failure|problem)"
            r"|fell off the bus|nvlink.*err|bus error|double.?bit|bad (sector|block)|medium error|mmcblk\d.*err|err\w*\b.*\bsector \d|i/o error.*dev"
            r"|(fan|power supply|thermal).*(fail|shutdown)"
        ),
    ),
    Saying(
        "storage_fault",
        (
            r"no space left|enospc|disk (is )?full|i/o error|input/output error|read-only file|fsync|disk quota"
            r"|slow (disk|write)|write stall|out of inodes|too many slow io"
        ),
        unless=r"hardware|uncorrectable",
    ),
    Saying(
        "queue_backlog",
        (
            r"consumer lag|backlog|dead.?letter|poison|redeliver|(stuck|failed|retrying) at offset"
            r"|max.?deliver|(cannot|failed to|unable to) process (message|record|event)"
        ),
    ),
    Saying(
        "schema_change",
        (
            r"no such (table|column)|unknown (column|field|property)|does not exist|missing (required )?(field|property)"
            r"|unmarshal|deserializ|parse error|invalid json|schema|field required|unexpected (field|property|type)"
            r"|unrecognized (field|property)|(failed|unable) to (decode|deserialize|unmarshal)"
            r"|(while|when|error) decoding|type mismatch|(field|property) \S+ (is |was )?(missing|unknown|unexpected)"
        ),
        unless=r"tool",
    ),
    Saying(
        "malformed_artifact",
        (
            r"(fail\w*|unable|could not|cannot|error) (to )?(load|parse|read|reload)\w* .*(rules?|config|artefact|artifact"
            r"|bundle|manifest|dictionary|vocab|feature (list|file)|model file|policy file|snapshot)"
            r"|(rows?|rules|entries|features|lines|records)\b.*(exceeds?|limit is|over the limit|maximum)"
            r"|(corrupt|malformed|truncated) (file|config|artefact|artifact|bundle|rule|index|model)|bad magic"
        ),
        unless=r"rate.?limit|quota|hardware|connection",
    ),
    Saying(
        "slow_dependency", r"deadlock|lock wait|lock timeout|slow query|\btook \d|slow response"
    ),
    Saying(
        "cpu_saturation",
        (
            r"thread starvation|cpu starv|starved (of|for) cpu|wait\w* for (the )?(cpu|processor)|event.?loop\b.*(block|lag|delay)"
            r"|(scheduling|scheduler) (delay|latency|wait)|\b(ms|s|sec|seconds|milliseconds) (spent )?in (the )?(scheduler|run.?queue)"
        ),
        unless=r"kube.?scheduler|cron|job",
    ),
    Saying("retry_storm", r"retry (limit|budget)|retries exhausted|too many retries"),
    Saying(
        "noisy_neighbour",
        r"\bevict|preempt|cpu throttl|co-?tenant",
        unless=rf"{DEVICE}|cache|\bkeys?\b|entr(y|ies)|request",
    ),
    Saying(
        "cache_storm",
        r"stampede|thundering herd|hot.?key|cache (miss|misses)\b|cache is cold",
        trust=0.5,
    ),
    Saying(
        "cold_start",
        r"cold.?start|warming up|(loading|downloading) (model|weights|checkpoint)|model (is )?(still )?loading|init phase",
    ),
    Saying(
        "resilience_mistrip",
        r"circuit.?breaker|breaker (is )?open|circuit (is )?open|callnotpermitted|bulkhead|half.?open",
        trust=0.3,
    ),
    Saying(
        "deadline_inversion",
        r"client (has )?(gone|left|disconnect\w*|closed)|caller (has )?(gone|left|given up)|wasted work|\b499\b",
        trust=0.4,
    ),
    Saying(
        "guardrail_overblock",
        (
            r"guardrail|moderation|content.?(policy|filter)|safety.?(filter|policy|check)|(blocked|flagged|refused) "
            r"(by (the )?(policy|filter|safety)|category|content|prompt)|policy violation"
            r"|tool.?(call|schema|arguments?)\b.*(invalid|fail|reject|not match)|invalid tool"
        ),
        unless=r"network.?policy|firewall|iptables",
    ),
    Saying(
        "context_truncation",
        r"context.?(length|window)|maximum context|prompt (is )?too long|truncat\w+ (the )?(prompt|input|context|history)",
    ),
    Saying(
        "embedding_mismatch",
        (
            r"(vector|embedding)\b.*dimension|dimension(s|ality)? (mismatch|of)|wrong (vector )?(size|dimension)"
            r"|inconsistent dimension"
        ),
    ),
    Saying(
        "stale_index",
        r"(stale|outdated) (index|snapshot|document)|index (is )?(stale|out of date|behind)",
    ),
    Saying(
        "stale_features",
        r"stale (feature|value)|feature\w*\b.*(stale|older than|too old|freshness)|freshness (slo|limit|violat)",
    ),
    Saying(
        "observability_failure",
        (
            r"(dropp(ed|ing)|discard(ed|ing)|fail\w* to (export|scrape|push|ship)) .*(spans?|metrics|samples|telemetry|logs?\b)"
            r"|cardinality|series limit|otel.?col"
        ),
        trust=0.3,
    ),
    # What a runtime raises of itself is the program's own doing.
    Saying(
        "change_regression",
        (
            r"\btypeerror\b|nullpointer|nil pointer|\battributeerror\b|\bnameerror\b|modulenotfound|\bimporterror\b"
            r"|classcast|class ?not ?found|\bindexerror\b|out of (range|bounds)|undefined (method|function|is not)"
            r"|zerodivision|divi(de|sion) by zero|assertion ?(error|failed)|panic: runtime|segmentation fault"
        ),
    ),
)


_QUIET = {
    "accelerator_memory", "hardware_fault", "malformed_artifact", "queue_backlog", "guardrail_overblock",
    "context_truncation", "stale_index", "cold_start", "resilience_mistrip",
}  # fmt: skip
"""Modes that are also told in plain notices, which a reference that runs well does not hold."""

_OFTEN = 5
_NEW = 3.0
"""Such notices of one entity in the incident, and by what factor more of them a second than before."""


def quiet_lines(logs: pl.DataFrame, windows: Windows) -> pl.DataFrame:
    """Lines below a warning that name a mode, of entities that wrote next to none of them before.

    Args:
        logs: all lines, as `Telemetry.logs`.
        windows: the incident's windows.
    """
    severity = pl.col("severity").fill_null("").str.to_uppercase()
    text = pl.col("message").fill_null("").str.to_lowercase()
    says = [
        text.str.contains(one.words) & ~text.str.contains(one.unless or r"$^")
        for one in SAYINGS
        if one.mode in _QUIET
    ]
    start, end = windows.current
    before = pl.any_horizontal([pl.col("time").is_between(a, b) for a, b in windows.reference])
    known = sum(b - a for a, b in windows.reference)
    lines = (
        logs.filter(~severity.str.contains("WARN|ERR|FATAL|CRIT|SEVERE|PANIC"))
        .filter(pl.any_horizontal(says) & pl.col("entity").is_not_null())
        .with_columns(pl.col("time").is_between(start, end).alias("now"), before.alias("then"))
    )
    often = (pl.col("now").sum() >= _OFTEN) & (
        pl.col("now").sum() * known > _NEW * pl.col("then").sum() * (end - start)
    )
    return lines.filter(pl.col("now") & often.over("entity")).select(logs.columns)


def told(errors: pl.DataFrame, entity: str) -> dict[str, float]:
    """Modes that error lines by or about an entity name, with the share of its telling lines, less for vague words.

    Args:
        errors: log lines of the incident that warn or fail.
        entity: whose lines are read; others' lines about it where its own are few.
    """
    if errors.is_empty():
        return {}
    name = pl.col("message").str.contains(rf"\b{re.escape(entity)}\b")
    lines = errors.filter(pl.col("entity") == entity)["message"].drop_nulls()
    if len(lines) < _SPOKEN:
        lines = errors.filter((pl.col("entity") == entity) | name)["message"].drop_nulls()
    if lines.is_empty():
        return {}
    text = lines.str.to_lowercase()
    found: dict[str, float] = {}
    for one in SAYINGS:
        says = text.str.contains(one.words)
        if one.unless:
            says &= ~text.str.contains(one.unless)
        share = float(says.mean() or 0.0)  # type: ignore[arg-type]
        if share >= _LEAST:
            found[one.mode] = one.trust * share
    return found
