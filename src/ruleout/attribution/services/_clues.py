"""What some metrics say outright: names of mechanisms, with the failure modes that they speak for.

A departure of latency or of failures says who suffers, and next to nothing of why. A queue, a lock, a
quota, a lookup of names or a device that is counted by itself says it in its own name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple


class Clue(NamedTuple):
    """A mechanism that a metric's words name."""

    name: str
    kind: str | None
    """The kind of such a metric, where its single words would mislead; None leaves it to them."""

    sign: int | None
    """+1 where more is worse, -1 where less is, 0 where either may be; None as the kind has it."""

    points: float | None
    """Weight as evidence that its entity is the cause; None as the kind has it. What waits or is asked
    again may do so for somebody else's fault."""

    modes: Mapping[str, float]
    primary: bool
    """Whether it is a cause of what the others show at the same entity, rather than their consequence."""

    words: tuple[frozenset[str], ...]
    """A name must hold one of each of these sets, and none of `lacks`."""

    lacks: frozenset[str] = frozenset()


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAILED = _set(
    "error errors err errs fail fails failed failure failures failing exception exceptions timeout timeouts"
    " reject rejected rejects rejections refused refusals invalid fault faults errored unsuccessful"
)
_RATIO = _set("ratio rate pct percent percentage perc hitrate hitratio")
_NUMBER = _set("num number count total available running desired ready current healthy active")
_DEVICE = _set("gpu gpus cuda dcgm nvidia accelerator npu tpu hbm vram hw device")
_NET = _set("packet packets tcp udp network net interface nic segs segments rx tx ip")
_HELD = _set("pool connection connections conn conns threads thread slots workers executor")
_STORE = _set("disk disks ebs volume volumes io iops storage blkio device")
_WAITS = _set("pending wait waits waiting waiters await acquire acquisition exhausted starvation")

CLUES: tuple[Clue, ...] = (
    Clue("limit", "other", 0, 0.0, {}, False, (_set("limit limits spec"), _set("memory cpu mem"))),
    Clue(
        "limit",
        "other",
        0,
        0.0,
        {},
        False,
        (_set("max maximum limit size capacity"), _HELD),
        _WAITS | FAILED | _set("usage used reached exceeded active"),
    ),
    Clue(
        "arms",
        "other",
        0,
        1.0,
        {"experiment_misassignment": 1.0},
        True,
        (
            _set(
                "assignment assignments arm arms variant variants exposure exposures bucket bucketing"
            ),
        ),
        _set("s3 storage object objects le histogram token"),
    ),
    Clue(
        "refusals",
        "error",
        1,
        1.0,
        {"guardrail_overblock": 1.0},
        True,
        (
            _set("guardrail guardrails moderation safety policy refusal refusals content filter"),
            _set(
                "block blocked blocks refusal refusals refused filtered flagged denied violation violations rate ratio"
            ),
        ),
        _set("latency duration packets packet iptables network"),
    ),
    Clue(
        "refusals",
        "error",
        1,
        1.0,
        {"guardrail_overblock": 1.0},
        True,
        (_set("refusal refusals overblock overblocked overblocks"),),
    ),
    Clue(
        "index_age",
        "other",
        1,
        1.0,
        {"stale_index": 1.0},
        True,
        (
            _set(
                "index indexes indices document documents doc docs snapshot corpus embedding embeddings"
            ),
            _set("age staleness stale freshness lag behind"),
        ),
        _set("queue message messages consumer partition"),
    ),
    Clue(
        "generated",
        "other",
        0,
        0.4,
        {"provider_model_change": 0.7, "prompt_change": 0.3},
        False,
        (_set("token tokens"), _set("output completion completions generated response")),
        _set("bucket auth vault"),
    ),
    Clue(
        "prompted",
        "other",
        0,
        0.4,
        {"prompt_change": 0.6, "context_truncation": 0.4},
        False,
        (_set("token tokens"), _set("input prompt prompts context")),
        _set("bucket auth vault"),
    ),
    Clue(
        "run_queue",
        "cpu",
        1,
        0.3,
        {"cpu_saturation": 0.6, "noisy_neighbour": 0.4},
        False,
        (_set("load1 load5 load15 loadavg"),),
    ),
    Clue(
        "run_queue",
        "cpu",
        1,
        0.3,
        {"cpu_saturation": 0.6, "noisy_neighbour": 0.4},
        False,
        (_set("load"), _set("avg average 1m 5m 15m 1 5 15")),
        _set("balancer"),
    ),
    Clue(
        "device",
        "accelerator",
        1,
        1.0,
        {"hardware_fault": 0.9, "accelerator_memory": 0.1},
        True,
        (_set("ecc edac mce xid xids sdc nvlink remapped retired uncorrectable"),),
    ),
    Clue(
        "device",
        "accelerator",
        1,
        1.0,
        {"hardware_fault": 0.8, "accelerator_memory": 0.15},
        True,
        (_DEVICE, FAILED),
    ),
    Clue(
        "heat",
        "accelerator",
        1,
        1.0,
        {"hardware_fault": 0.8, "accelerator_memory": 0.1},
        True,
        (_set("temp temps temperature thermal"),),
    ),
    Clue(
        "clock",
        "accelerator",
        -1,
        1.0,
        {"hardware_fault": 0.8, "accelerator_memory": 0.1},
        True,
        (_set("clock clocks"),),
        _set("skew drift offset ntp sync"),
    ),
    Clue(
        "device_memory",
        "accelerator",
        None,
        1.0,
        {"accelerator_memory": 1.0},
        True,
        (_set("kv vram hbm fb preemption preemptions preempted"),),
    ),
    Clue(
        "device_memory",
        "accelerator",
        None,
        1.0,
        {"accelerator_memory": 1.0},
        True,
        (_DEVICE, _set("cache memory mem")),
    ),
    Clue(
        "steal", "cpu", 1, None, {"noisy_neighbour": 0.95}, True, (_set("steal stolen cotenant"),)
    ),
    Clue(
        "throttled",
        "cpu",
        1,
        None,
        {"noisy_neighbour": 0.5, "cpu_saturation": 0.5},
        True,
        (_set("throttled throttles throttling throttle pressure"), _set("cpu cfs container")),
    ),
    Clue(
        "throttled",
        "cpu",
        1,
        None,
        {"noisy_neighbour": 0.5, "cpu_saturation": 0.5},
        True,
        (_set("cfs throttling throttle"),),
        _set("request requests api"),
    ),
    Clue(
        "quota",
        "saturation",
        1,
        1.0,
        {"rate_limited": 1.0},
        True,
        (_set("429 ratelimit ratelimited ratelimits quota quotas throttled throttles"),),
    ),
    Clue(
        "quota",
        "saturation",
        1,
        1.0,
        {"rate_limited": 1.0},
        True,
        (_set("limited limiter"), _set("rate requests calls api concurrency")),
    ),
    Clue(
        "names",
        "error",
        1,
        1.0,
        {"network_fault": 1.0},
        True,
        (
            _set("dns coredns nxdomain servfail resolve resolver lookup tls ssl certificate cert")
            | _set("certificates handshake handshakes x509"),
            FAILED | _set("nxdomain servfail expired refused"),
        ),
    ),
    Clue(
        "losses",
        "network",
        1,
        0.7,
        {"network_fault": 1.0},
        True,
        (_set("retransmit retransmits retransmitted retransmissions retrans"),),
    ),
    Clue(
        "losses",
        "network",
        1,
        0.7,
        {"network_fault": 1.0},
        True,
        (_set("loss lost drop drops dropped discard discards discarded errs errors err"), _NET),
        _set("request requests"),
    ),
    Clue(
        "breaker",
        "error",
        1,
        0.7,
        {"resilience_mistrip": 0.75, "slow_dependency": 0.25},
        True,
        (_set("breaker breakers circuitbreaker circuitbreakers circuit"),),
        _set("closed"),
    ),
    Clue(
        "fallback",
        "error",
        1,
        0.3,
        {"fallback_overload": 0.8, "slow_dependency": 0.2},
        False,
        (_set("fallback fallbacks degraded"),),
    ),
    Clue(
        "retries",
        "other",
        1,
        0.2,
        {"retry_storm": 0.9},
        False,
        (_set("retry retries retried retrying reattempts"),),
    ),
    Clue(
        "contract",
        "error",
        1,
        1.0,
        {"schema_change": 0.65, "malformed_artifact": 0.15, "change_regression": 0.2},
        True,
        (
            _set("parse parsing parser schema validation deserialize deserialization serialization")
            | _set("decode decoding unmarshal contract"),
            FAILED | _set("num mismatch mismatches violation violations"),
        ),
    ),
    Clue(
        "contract",
        "error",
        1,
        1.0,
        {"schema_change": 0.5, "malformed_artifact": 0.4},
        True,
        (_set("malformed corrupt corrupted"),),
    ),
    Clue(
        "oom", "error", 1, 1.0, {"memory_leak": 1.0}, True, (_set("oom oomkilled oomkills ooms"),)
    ),
    Clue(
        "restarts",
        "error",
        1,
        1.0,
        {"hardware_fault": 0.35, "memory_leak": 0.3, "change_regression": 0.35},
        True,
        (_set("restart restarts crash crashes crashloop crashed crashloopbackoff"),),
    ),
    Clue("gc", "memory", 1, None, {"memory_leak": 1.0}, True, (_set("gc garbage"),)),
    Clue(
        "locks",
        "saturation",
        1,
        1.0,
        {"slow_dependency": 0.75, "pool_exhaustion": 0.2},
        True,
        (_set("lock locks deadlock deadlocks blocked"),),
        _set("io"),
    ),
    Clue(
        "disk_wait",
        "disk",
        1,
        None,
        {"storage_fault": 1.0},
        True,
        (_STORE, _set("queue depth wait latency time await saturation length")),
        _NET,
    ),
    Clue(
        "disk_wait",
        "disk",
        1,
        None,
        {"storage_fault": 1.0},
        True,
        (_set("read write fsync reads writes"), _set("latency time wait duration await")),
        _set("http rpc request requests query"),
    ),
    Clue(
        "poison",
        "saturation",
        1,
        0.6,
        {"queue_backlog": 1.0},
        True,
        (_set("dlq deadletter poison redelivered redeliveries redelivery"),),
    ),
    Clue(
        "misses",
        "cache",
        1,
        None,
        {"cache_storm": 1.0},
        True,
        (_set("miss misses evictions evicted stampede stampedes"),),
        _set("deadline slo sla"),
    ),
    Clue(
        "served_from_cache",
        "other",
        0,
        0.0,
        {},
        False,
        (_set("hit hits"), _set("keyspace count total number")),
        _RATIO | _set("request requests http api page"),
    ),
    Clue(
        "replicas",
        "other",
        0,
        0.3,
        {"cold_start": 0.9},
        False,
        (
            _set("replica replicas instance instances pod pods task tasks deployment"),
            _NUMBER,
        ),
        FAILED | _set("cpu memory mem disk network requests request"),
    ),
    Clue(
        "pool",
        "saturation",
        1,
        0.7,
        {"pool_exhaustion": 1.0},
        False,
        (_HELD | _set("hikaricp jdbc"), _WAITS | _set("timeout timeouts overflow pressure")),
    ),
    Clue(
        "pool",
        "saturation",
        1,
        0.7,
        {"pool_exhaustion": 0.8, "resilience_mistrip": 0.2},
        False,
        (_set("pending"), _set("overflow")),
    ),
    Clue(
        "descriptors",
        "saturation",
        1,
        0.5,
        {"pool_exhaustion": 0.7, "network_fault": 0.25},
        False,
        (_set("socket sockets sockstat fd fds descriptors descriptor conntrack ephemeral"),),
    ),
    Clue(
        "descriptors",
        "saturation",
        1,
        0.5,
        {"pool_exhaustion": 0.7, "network_fault": 0.25},
        False,
        (_set("tcp"), _set("connection connections conn conns established")),
        FAILED,
    ),
    Clue(
        "unreachable",
        "error",
        1,
        None,
        {
            "network_fault": 0.5,
            "hardware_fault": 0.15,
            "slow_dependency": 0.2,
            "pool_exhaustion": 0.15,
        },
        False,
        (
            _set("connect connection connections conn conns cx"),
            FAILED | _set("reset resets aborted"),
        ),
    ),
    Clue(
        "backlog",
        "saturation",
        1,
        0.4,
        {"queue_backlog": 1.0},
        False,
        (_set("backlog lag oldest unacked undelivered unprocessed"),),
    ),
    Clue(
        "in_flight",
        "saturation",
        1,
        0.2,
        {},
        False,
        (
            _set("request requests rq req"),
            _set("inflight concurrency concurrent active outstanding flight running"),
        ),
    ),
    Clue(
        "waiting",
        "saturation",
        1,
        0.4,
        {"queue_backlog": 0.4, "pool_exhaustion": 0.4, "slow_dependency": 0.2},
        False,
        (_set("request requests rq req"), _WAITS | _set("queued")),
    ),
    Clue(
        "backlog",
        "saturation",
        1,
        0.4,
        {"queue_backlog": 1.0},
        False,
        (
            _set("queue queued messages"),
            _set("depth length size messages ready age visible behind"),
        ),
    ),
    Clue(
        "backlog",
        "saturation",
        1,
        0.4,
        {"queue_backlog": 1.0},
        False,
        (_set("queue queued pending depth age"),),
        _HELD,
    ),
    Clue(
        "held",
        "saturation",
        1,
        0.5,
        {"pool_exhaustion": 0.5, "slow_dependency": 0.4},
        False,
        (_HELD,),
        _set("rate new created") | FAILED,
    ),
    Clue(
        "refused",
        "error",
        1,
        None,
        {"resilience_mistrip": 0.45, "rate_limited": 0.35, "pool_exhaustion": 0.2},
        False,
        (_set("reject rejected rejects rejections shed shedded"),),
    ),
    Clue(
        "device_use",
        "accelerator",
        0,
        0.5,
        {"slow_runtime": 0.9, "hardware_fault": 0.1},
        True,
        (_DEVICE, _set("util utilization utilisation usage busy duty active occupancy")),
    ),
    Clue("late", "error", 1, None, {"slow_dependency": 0.8}, False, (_set("timeout timeouts"),)),
    Clue("wire", "network", 1, None, {"network_fault": 0.6}, False, (_NET, _set("io read write"))),
)
"""The first that fits counts."""


def clue_in(words: Collection[str]) -> Clue | None:
    """The mechanism that a metric's words name; None where they name none."""
    found = set(words)
    for clue in CLUES:
        if not found & clue.lacks and all(found & some for some in clue.words):
            return clue
    return None
