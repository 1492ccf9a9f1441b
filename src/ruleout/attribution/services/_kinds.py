"""What a metric measures, read from the generic words of its name, and which way is bad."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, cast

from ruleout.attribution.services._clues import Clue, clue_in

Kind = Literal[
    "latency",
    "error",
    "availability",
    "saturation",
    "cache",
    "accelerator",
    "cpu",
    "memory",
    "disk",
    "network",
    "traffic",
    "other",
]

_WORDS: tuple[tuple[Kind, frozenset[str]], ...] = (
    (
        "error",
        frozenset(
            [
                "error",
                "errors",
                "err",
                "errs",
                "fail",
                "fails",
                "failed",
                "failure",
                "failures",
                "failing",
                "exception",
                "exceptions",
                "5xx",
                "4xx",
                "reject",
                "rejected",
                "rejections",
                "timeout",
                "timeouts",
                "dropped",
                "panic",
                "panics",
                "fault",
                "faults",
                "invalid",
                "crash",
                "crashes",
                "restarts",
                "restart",
                "errored",
                "500",
                "502",
                "503",
                "504",
                "429",
            ]
        ),
    ),
    (
        "availability",
        frozenset(
            [
                "availability",
                "available",
                "success",
                "successful",
                "uptime",
                "health",
                "healthy",
                "goodput",
                "ok",
                "sli",
                "sr",
                "ssr",
                "rr",
                "succee",
            ]
        ),
    ),
    (
        "cache",
        frozenset(["cache", "hit", "hits", "hitrate", "hitratio", "miss", "misses", "evictions"]),
    ),
    ("accelerator", frozenset(["gpu", "gpus", "vram", "kv", "cuda", "accelerator", "sm", "hbm"])),
    (
        "saturation",
        frozenset(
            [
                "queue",
                "queued",
                "backlog",
                "lag",
                "depth",
                "pool",
                "connections",
                "conn",
                "conns",
                "inflight",
                "waiting",
                "pending",
                "age",
                "threads",
                "oldest",
                "saturation",
                "concurrency",
                "slots",
                "consumed",
                "capacity",
                "throttled",
                "throttles",
            ]
        ),
    ),
    (
        "latency",
        frozenset(
            [
                "latency",
                "latencies",
                "mrt",
                "rrt",
                "duration",
                "durations",
                "response",
                "rt",
                "delay",
                "elapsed",
                "ttft",
                "p50",
                "p75",
                "p90",
                "p95",
                "p99",
                "p999",
                "time",
                "slow",
            ]
        ),
    ),
    (
        "cpu",
        frozenset(
            [
                "cpu",
                "cpus",
                "load1",
                "load5",
                "load15",
                "loadavg",
                "steal",
                "throttle",
                "throttling",
                "runqueue",
                "core",
                "cores",
                "processor",
            ]
        ),
    ),
    ("memory", frozenset(["mem", "memory", "heap", "rss", "gc", "oom", "ram", "swap"])),
    (
        "disk",
        frozenset(
            [
                "disk",
                "disks",
                "diskio",
                "io",
                "iops",
                "fs",
                "filesystem",
                "storage",
                "volume",
                "inode",
                "inodes",
                "iowait",
                "read",
                "write",
                "reads",
                "writes",
            ]
        ),
    ),
    (
        "network",
        frozenset(
            [
                "network",
                "net",
                "tcp",
                "udp",
                "socket",
                "sockets",
                "receive",
                "transmit",
                "received",
                "transmitted",
                "packet",
                "packets",
                "retransmit",
                "retransmits",
                "retrans",
                "bandwidth",
                "dns",
                "rx",
                "tx",
                "loss",
            ]
        ),
    ),
    (
        "traffic",
        frozenset(
            [
                "request",
                "requests",
                "req",
                "reqs",
                "rps",
                "qps",
                "throughput",
                "tps",
                "invocations",
                "ops",
                "workload",
                "load",
                "calls",
                "attempts",
                "traffic",
                "hits",
                "visits",
                "orders",
                "messages",
                "records",
                "sum",
                "rate",
                "count",
                "cnt",
            ]
        ),
    ),
)
_UNITS_OF_WORK = frozenset(
    [
        "request",
        "req",
        "call",
        "op",
        "operation",
        "query",
        "transaction",
        "txn",
        "message",
        "record",
    ]
)
"""A count per one of these is a ratio, and no traffic."""

_TIMES = frozenset(["s", "sec", "second", "min", "minute", "hour"])
_WORK = frozenset(["queries", "transactions", "txns", "operations"])
"""A count of work in a unit of time is traffic, in the singular as well."""

_LENGTHS = frozenset(["seconds", "ms", "millis", "milliseconds", "microseconds"])
_CALLING = frozenset(
    ["client", "upstream", "downstream", "outbound", "rpc", "backend", "callee", "peer"]
)
"""Units of time beside a call's other side, where no word tells what else is measured, are how long calls took."""

_MIDDLES = frozenset(["mean", "median", "upper", "lower"])
_COUNTS = frozenset(["size", "bytes", "length", "tokens"]).union(*(known for _, known in _WORDS))
_COUNTS -= _UNITS_OF_WORK
"""Beside no word of what is measured, the mean of one request is how long it took: timers are named after what they time."""

_TOGETHER: tuple[tuple[Kind, frozenset[str], frozenset[str]], ...] = (
    ("traffic", frozenset(["hits"]), frozenset(["request", "requests", "http", "api", "page"])),
    (
        "memory",
        frozenset(["memory", "mem", "ram", "heap"]),
        frozenset(["available", "avail", "free"]),
    ),
    (
        "disk",
        frozenset(["disk", "fs", "filesystem", "storage", "volume", "inodes"]),
        frozenset(["available", "avail", "free"]),
    ),
    ("cpu", frozenset(["cpu", "cfs"]), frozenset(["saturation", "wait", "time"])),
    (
        "latency",
        frozenset(["infer", "inference", "predict", "prediction", "scoring"]),
        frozenset(["seconds", "ms", "millis", "milliseconds"]),
    ),
    # Timers of statsd.
    ("latency", frozenset(["upper", "mean"]), frozenset(["75", "90", "95", "99", "999"])),
    ("cpu", frozenset(["load"]), frozenset(["avg", "average", "1m", "5m", "15m", "1", "5", "15"])),
)
"""Kinds that two words tell together and either alone would not, or tell wrongly."""

_COUNTED = frozenset(["syscall", "syscalls", "pgfault", "pgmajfault", "contextswitches"])
"""Kernel counters follow whatever the process does and point at nothing by themselves."""

OFFERED = frozenset(
    [
        "request",
        "requests",
        "req",
        "reqs",
        "rps",
        "qps",
        "tps",
        "invocations",
        "traffic",
        "users",
        "sessions",
        "visits",
        "calls",
        "orders",
        "load",
        "workload",
        "messages",
        "events",
        "transactions",
        "txns",
    ]
)
"""Words of what is asked from outside."""

ASKED = OFFERED | {"throughput", "ops", "queries"}
"""Words of what an entity is asked, by whomever."""

_OF_PAGES = frozenset(["page", "pages", "major", "minor", "memory", "mem", "vm"])
"""Words beside which faults are of pages of memory, and nobody's failures."""

_NAMES = 8192
"""So many names of metrics are remembered with what they mean."""

_BAD_DOWN = frozenset({"availability", "cache"})
_TWO_SIDED = frozenset({"traffic", "other"})
WITHHELD = frozenset(["steal", "stolen", "throttled", "throttles", "throttling", "throttle"])
"""Words of processor time that was asked for and not given."""

_CONSUMED = frozenset({"cpu", "memory", "disk", "accelerator", "saturation"})
_LEFT = frozenset(
    ["free", "available", "avail", "idle", "remaining", "left", "headroom", "clock", "clocks"]
)
"""Words of metrics that tell what is left of a resource, or how fast it runs."""

_HOST = frozenset(["node", "host", "machine", "vm", "instance", "hypervisor"])


_NAMED = re.compile(
    r"\b(peer|target|upstream|destination|dst|backend|dependency|remote|callee|pool|cluster|node|host|hostname|pod|copy"
    r"|container|instance|namespace|job|zone|rack|topic|group|db|database|service)\s*[=:]\s*\"?[^,}\]\"]*",
    re.IGNORECASE,
)
"""Labels whose values are names: who `edge-gpu-3` is says nothing of what is measured."""

_A_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
"""A part between dots that is somebody's name: metrics are not written with dashes."""


@lru_cache(maxsize=_NAMES)
def words(name: str) -> tuple[str, ...]:
    """The lower-case words of a name, cut at signs, at camel case and before units."""
    parted = re.sub(r"(?<![0-9])([1-5])(XX|xx)(?![a-z])", r" \1xx ", _NAMED.sub(r"\1", name))
    parts = parted.split(".")
    inner = [part for part in parts[1:-1] if not _A_NAME.fullmatch(part)]
    parted = ".".join([parts[0], *inner, *parts[1:][-1:]])
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", parted)
    parted = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", parted)
    return tuple(word for word in re.split(r"[^A-Za-z0-9]+", parted.lower()) if word)


@lru_cache(maxsize=_NAMES)
def clue_of(metric: str) -> Clue | None:
    """The mechanism that a metric's name tells outright; None for most."""
    return clue_in(words(metric))


@lru_cache(maxsize=_NAMES)
def kind_of(metric: str) -> Kind:
    """The kind of a metric by its name's generic words; `other` when none is known."""
    parts = words(metric)
    found = set(parts)
    beyond = set(parts[parts.index("per") + 1 :]) if "per" in parts else set()
    each = bool(beyond & _UNITS_OF_WORK)
    if each or found & _COUNTED or (found & {"fault", "faults"} and found & _OF_PAGES):
        return "other"
    clue = clue_of(metric)
    if clue is not None and clue.kind is not None:
        return cast("Kind", clue.kind)
    for kind, some, beside in _TOGETHER:
        if found & some and found & beside:
            return kind
    if not found & _COUNTS:
        if found & _MIDDLES and found & _UNITS_OF_WORK:
            return "latency"
        if beyond & _TIMES and found & (_UNITS_OF_WORK | _WORK):
            return "traffic"
    return _by_words(parts)


def _by_words(parts: Sequence[str]) -> Kind:
    found = set(parts)
    for kind, known in _WORDS:
        if found & known:
            # How many were timed is not how long they took.
            return "traffic" if kind == "latency" and parts[-1] == "count" else kind
    return "latency" if found & _LENGTHS and found & _CALLING else "other"


@lru_cache(maxsize=_NAMES)
def on_host(metric: str) -> bool:
    """Whether the name says that the machine is measured and not the service on it."""
    return bool(set(words(metric)) & _HOST)


def bad_direction(kind: Kind) -> int:
    """+1 when more is worse, -1 when less is worse, 0 when either may be."""
    if kind in _BAD_DOWN:
        return -1
    return 0 if kind in _TWO_SIDED else 1


@lru_cache(maxsize=_NAMES)
def worse(metric: str) -> int:
    """As `bad_direction` of the metric's kind, the other way round where it measures what is left."""
    clue = clue_of(metric)
    if clue is not None and clue.sign is not None:
        return clue.sign
    kind = kind_of(metric)
    sign = bad_direction(kind)
    return -sign if kind in _CONSUMED and set(words(metric)) & _LEFT else sign
