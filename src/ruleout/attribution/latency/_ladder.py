"""Why a model answers slowly, in the order in which it can be told: machine, queue, amount, runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ruleout import modes
from ruleout._records import Abstained, Checked, Clear, Explained, Finding, Outcome, Subject
from ruleout.attribution.latency._requests import Floats, Requests, logged, requests
from ruleout.attribution.latency._stages import Cause, Pace, Split, Stage, kind_of_operation, split
from ruleout.attribution.services import ServicesResult
from ruleout.attribution.services._scene import Observed
from ruleout.checks.inputs._text_counters import beside, counters, side
from ruleout.profile import Case, Which
from ruleout.profile._unstructured import texts

_SHOWN = 0.15
"""A cause of less than this share of the added time is not named."""

_BUSY = 0.8
"""A machine that is used up to this share has room."""

_RISEN = 0.1
_ALIKE = 0.15
"""On a log scale: the same work takes as long as before."""

_MODES: dict[Cause, str] = {"queue": "queue_backlog", "rate": "slow_runtime"}
_MACHINE = "noisy_neighbour"
_DRAWN = 6
_LABELS: dict[Cause, str] = {
    "queue": "waiting",
    "amount": "more work",
    "rate": "slower work",
    "elsewhere": "other time",
}
_SAID: dict[Cause, str] = {
    "queue": "waiting in a queue whose work takes no longer than before",
    "amount": "more work in each request",
    "rate": "the same work taking longer",
}


class Suspect(NamedTuple):
    """A cause of lost time, and how much of it goes away when it is undone."""

    mode: str
    subject: Subject
    service: str
    explained: Explained
    chain: tuple[str, ...]
    """From the cause to the operation that takes longer."""


class Ladder(NamedTuple):
    """What was looked at on the way, and what is left."""

    checked: Checked
    suspects: tuple[Suspect, ...]
    """Largest share of the added time first."""

    sure: bool = False
    """Whether the requests themselves show that they take longer, whatever a metric of them says."""

    chart: Mapping[str, Any] | None = None
    """From a request's usual time to its time now, by stages."""


def ladder(case: Case, found: ServicesResult, rng: np.random.Generator) -> Ladder | None:
    """Part the time that requests lost by machine, queue, amount of work and runtime.

    Needs rows that name their traces (the id or another column), in both windows. Undoing is a replay of
    each request with a stage's usual time.

    Args:
        case: the tables.
        found: what telemetry told.
        rng: for the intervals.

    Returns:
        None where there are no traces or no added time; an abstention where rows and traces do not join.
    """
    seen = found.seen
    if seen is None or seen.tree is None:
        return None
    joined = requests(case, seen.tree)
    if joined is None:
        modes = ("slow_runtime", "tokenizer_mismatch", "queue_backlog")
        reason = "no column of the tables names the trace of its row"
        return Ladder(_checked([Abstained(modes, reason, "a column with trace ids")]), ())
    parts = split(*joined, sizes(case, *joined), rng)
    if parts is None:
        return None
    outcomes: list[Outcome] = list(_host(seen))
    suspects = []
    for cause in ("queue", "amount", "rate"):
        told = _cause(case, parts, cause)
        outcomes.append(told[0])
        suspects += told[1]
    suspects.sort(key=lambda one: (-one.explained.fraction, one.mode))
    sure = parts.surely > _RISEN * parts.before
    return Ladder(_checked(outcomes), tuple(suspects), sure, _chart(parts, suspects))


def _chart(parts: Split, suspects: Sequence[Suspect]) -> dict[str, Any]:
    """What each stage adds to a request's usual milliseconds, and what undoing the first leaves."""
    chart: dict[str, Any] = {
        "kind": "waterfall",
        "title": "What each stage adds to a request",
        "metric": "milliseconds a request",
        "start": round(parts.before, 3),
        "end": round(parts.before + parts.added, 3),
        "steps": [
            {
                "label": f"{one.operation.name}: {_LABELS[one.cause]}",
                "value": round(one.share.fraction * parts.added, 3),
                "low": round(one.share.low * parts.added, 3),
                "high": round(one.share.high * parts.added, 3),
            }
            for one in parts.stages[:_DRAWN]
        ],
    }
    if suspects:
        share = suspects[0].explained.fraction
        left = parts.before + (1 - share) * parts.added
        chart["note"] = (
            f"With {modes.mode(suspects[0].mode).title.lower()} undone a request takes {left:.3g} ms, before {parts.before:.3g} ms,"
            f" now {parts.before + parts.added:.3g} ms."
        )
    return chart


def sizes(case: Case, before: Requests, now: Requests) -> dict[str, tuple[Floats, Floats]]:
    """What is known of the size of each request: logged counts, and the length of its texts."""
    found = {}
    for name in beside(case):
        pair = logged(case, "reference", before, name), logged(case, "current", now, name)
        if all(np.isfinite(values).all() for values in pair):
            found[name] = pair
    for name in case.of_kind("text"):
        if case.reference.has(name) and case.current.has(name):
            pair = _lengths(case, "reference", before, name), _lengths(case, "current", now, name)
            if all(np.isfinite(values).all() for values in pair):
                found[f"words in {name}"] = pair
    return found


def _lengths(case: Case, which: Which, found: Requests, name: str) -> Floats:
    sample = texts(case, which, name)
    whole = np.full(case.table(which).rows, np.nan)
    whole[sample.rows] = sample.statistics["tokens"]
    return np.asarray(whole[found.rows])


def _checked(outcomes: Sequence[Outcome]) -> Checked:
    return Checked("latency_stages", "infrastructure", "path", tuple(outcomes))


def _host(seen: Observed) -> Iterator[Outcome]:
    """Whether the machines had room."""
    modes = ("cpu_saturation", "noisy_neighbour")
    hosts = [
        name for name, kind in seen.telemetry.kinds.items() if kind in {"host", "node", "machine"}
    ]
    told = seen.departed.filter(pl.col("entity").is_in(hosts) & (pl.col("kind") == "cpu"))
    if told.is_empty():
        yield Abstained(modes, "the processors of no machine were measured", "telemetry.metrics")
    for row in told.sort("entity", "metric").iter_rows(named=True):
        scale = 1.0 if max(row["level"], row["now"]) <= 1.5 else 100.0
        before, now = row["level"] / scale, row["now"] / scale
        if now < _BUSY or now - before < _RISEN:
            text = f"{row['entity']} {row['metric']} was {now:.0%}, {before:.0%} before: "
            text += "there was room" if now < _BUSY else "no busier than it had been"
            yield Clear(modes, Subject("host", (row["entity"],)), text, _RISEN, "latency.host")
        else:
            text = f"{row['entity']} {row['metric']} went from {before:.0%} to {now:.0%}"
            yield Finding(
                "latency.host", Subject("host", (row["entity"],)), text, now, now - before, None,
                min((now - before) / 0.5, 1.0), modes,
            )  # fmt: skip


def _cause(case: Case, parts: Split, cause: Cause) -> tuple[Outcome, list[Suspect]]:
    """What one cause did, as an outcome and, where it did enough, as a suspect."""
    stages = [s for s in parts.stages if s.cause == cause]
    fraction = sum(s.share.fraction for s in stages)
    if not stages or fraction < _SHOWN:
        return _nothing(parts, cause, fraction), []
    first = stages[0]
    share = Explained(
        round(min(fraction, 1.0), 4),
        round(min(sum(s.share.low for s in stages), 1.0), 4),
        round(min(sum(s.share.high for s in stages), 1.0), 4),
        "trace_replay",
    )
    pace = parts.paces[first.operation]
    mode, subject, about = _named(case, parts, first)
    operation = f"{first.operation.service} {first.operation.name}"
    text = (
        f"{share.fraction:.0%} of the {parts.added:.3g} ms that a request lost are {_SAID[cause]}, "
        f"in {operation}{_numbers(cause, pace)}"
    )
    finding = Finding(
        f"latency.{cause}", subject, text, share.fraction,
        share.fraction / max(share.high - share.low, 0.02), None, share.fraction, (mode,),
    )  # fmt: skip
    chain = (*about, first.operation.service)
    return finding, [Suspect(mode, subject, first.operation.service, share, chain)]


def _numbers(cause: Cause, pace: Pace) -> str:
    if cause == "queue":
        return ""
    if cause == "amount":
        return f": {pace.growth:.2g} times the {pace.counted} (the same number takes {pace.ratio:.2g} times as long)"
    equal = f" at equal {pace.counted}" if pace.counted is not None else ""
    return f": {pace.ratio:.2g} times as long{equal}"


def _named(case: Case, parts: Split, stage: Stage) -> tuple[str, Subject, tuple[str, ...]]:
    """Failure mode and subject of a stage's cause, and what the chain begins with."""
    service, pace = Subject("service", (stage.operation.service,)), parts.paces[stage.operation]
    if stage.cause == "rate" and _all_alike(parts, stage):
        return _MACHINE, service, ()
    if stage.cause != "amount":
        return _MODES[stage.cause], service, ()
    for name in case.of_kind("text"):
        before, now = side(case, "reference", name), side(case, "current", name)
        for one in counters(case, before, now):
            if one.name == pace.counted and float(one.off.mean()) > one.usual + 0.25:
                return "tokenizer_mismatch", Subject("feature", (name,)), (name, one.name)
    return "traffic_surge", service, (pace.counted,) if pace.counted else ()


def _all_alike(parts: Split, stage: Stage) -> bool:
    """Whether other work of the same service takes longer too: then it is no runtime's doing."""
    own = float(np.log(max(parts.paces[stage.operation].ratio, 1e-9)))
    others = [
        float(np.log(max(pace.ratio, 1e-9)))
        for one, pace in parts.paces.items()
        if one.service == stage.operation.service
        and one != stage.operation
        and kind_of_operation(one.name) in {"encode", "model"}
    ]
    return own > _ALIKE and bool(others) and min(others) > max(own / 2, _ALIKE)


def _nothing(parts: Split, cause: Cause, fraction: float) -> Outcome:
    paces = {one: pace for one, pace in parts.paces.items() if pace.counted is not None}
    if cause == "queue":
        text = f"waiting in queues is the cause of {fraction:.0%} of the added time"
        return Clear(("queue_backlog", "pool_exhaustion"), Subject(), text, _SHOWN, "latency.queue")
    if not paces:
        modes = ("tokenizer_mismatch",) if cause == "amount" else ("slow_runtime",)
        reason = "no count that was logged with the requests goes with the time that they take"
        return Abstained(modes, reason, "a column with the number of tokens")
    most = paces[max(paces, key=lambda one: (parts.usual[one], one))]
    if cause == "amount":
        text = f"requests hold {most.growth:.2g} times the {most.counted} that they held before"
        return Clear(("tokenizer_mismatch",), Subject(), text, _SHOWN, "latency.amount")
    text = f"at equal {most.counted}, work takes {most.ratio:.2g} times as long as before"
    return Clear(("slow_runtime",), Subject(), text, _SHOWN, "latency.rate")
