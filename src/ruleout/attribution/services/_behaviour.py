"""What invocations do, and which statements have begun or ceased to be reached.

An *invocation* is one service working on one request: from the span that enters the service to
everything it does before it answers (inner spans, calls to others, failures, log statements). For
every kind of invocation the share that reaches a statement is compared with each clean stretch of the
reference on its own. A fault in code shows as a statement that nearly all invocations reached and now
nearly none do, or the reverse; a change of the mix of traffic moves shares a little; the end of an
earlier incident moves them back to what was normal and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import failed_spans, outgoing, passing_on
from ruleout.attribution.services._templates import templates

_MIXED = 0.15
"""Weight of a departure that the near and the far reference disagree about: an earlier incident's tail."""

_APART = 0.7
"""Weight of a reference that lies apart: since then other things may have changed for good."""

_BELOW = 0.6
"""Share of the strongest callee's departure that explains a caller's."""

_PASSED = "passes a failure on"
"""Marks an invocation of which a call failed: its own failure is no news, and what follows cut short."""

_LOGGED = "logs an error at "
_FAILURE = r"error|exception|fail|fatal|timed? ?out|refused|unavailable|denied|panic|abort"
"""Words by which spans and log lines call something a failure."""


class Change(NamedTuple):
    """How far a service's behaviour has changed."""

    service: str
    score: float
    """Nats of evidence of the strongest statement, times how complete its change is."""

    statement: str
    """What has ceased or begun, for a person."""

    before: float
    """Share of the reference's invocations that reached it."""

    after: float
    """Share of the incident's."""


def behaviour(tree: Calls, events: pl.DataFrame, period: np.ndarray) -> list[Change]:
    """Changes of behaviour by service, strongest first.

    Args:
        tree: the calls.
        events: what happened in them, as `events_of` returns it.
        period: of each row of `tree`: 2 the incident, 1 the reference next to it, 0 a reference
            apart from it, -1 neither.
    """
    table = _table(tree, events, period)
    if table.is_empty():
        return []
    score, before, after = _scores(table)
    table = table.with_columns(
        pl.Series("score", score), pl.Series("before", before), pl.Series("after", after)
    ).sort("score", "service", "event", descending=[True, False, False])
    best: dict[str, Change] = {}
    first = table.unique("service", keep="first", maintain_order=True)
    strength = dict(zip(first["service"], first["score"], strict=True))
    callees = _callees(tree)
    asked = _asked(table)
    for row in table.filter(pl.col("score") > 0).iter_rows(named=True):
        one = _explained(row, strength, callees, asked)
        if one.service not in best or one.score > best[one.service].score:
            best[one.service] = one
    return sorted(best.values(), key=lambda one: (-one.score, one.service))


def _explained(
    row: Mapping[str, Any],
    strength: Mapping[str, float],
    callees: Mapping[str, set[str]],
    asked: Mapping[str, float],
) -> Change:
    """One event's change, less what a callee's change or the callers' asking explains of it.

    A callee that has changed explains what its caller does after the call, but not that the caller
    no longer makes it; and a caller that asks otherwise explains what its callee does.
    """
    service = row["service"]
    target = _target(row["event"])
    below = [
        strength.get(name, 0.0) for name in sorted(callees.get(service, set())) if name != target
    ]
    share = _BELOW * max([*below, asked.get(service, 0.0), 0.0])
    return Change(
        service,
        max(row["score"] - share, 0.0),
        f"{row['event']} (in {row['operation']})",
        row["before"],
        row["after"],
    )


def _target(event: str) -> str | None:
    """The service that an event calls, if it is a call."""
    return event.split(" ", 2)[1] if event.startswith("calls ") else None


def _asked(table: pl.DataFrame) -> dict[str, float]:
    """How strongly the habit of calling each service has changed anywhere."""
    result: dict[str, float] = {}
    for row in table.filter(pl.col("event").str.starts_with("calls ")).iter_rows(named=True):
        callee = _target(row["event"])
        if callee is not None:
            result[callee] = max(result.get(callee, 0.0), row["score"])
    return result


def _callees(tree: Calls) -> dict[str, set[str]]:
    """The services that each service calls."""
    calling = np.flatnonzero((tree.parent >= 0) & (tree.entry == np.arange(len(tree.entry))))
    pairs = np.unique(np.stack([tree.service[tree.parent[calling]], tree.service[calling]]), axis=1)
    result: dict[str, set[str]] = {}
    for caller, callee in pairs.T:
        if caller != callee:
            result.setdefault(tree.services[caller], set()).add(tree.services[callee])
    return result


def _table(tree: Calls, events: pl.DataFrame, period: np.ndarray) -> pl.DataFrame:
    """Invocations that reached each event, `k`, out of `n` of their kind, by period.

    Failures are counted among all invocations of a kind, everything else among those that did not
    fail: what a failure cuts short is its own consequence. The references' counts are brought to the
    incident's mix of callers.
    """
    failure = pl.col("event").str.to_lowercase().str.contains(_FAILURE)
    once = events.with_columns(failure.alias("failure"))
    failed = once.filter("failure").select("row").unique().with_columns(pl.lit(1).alias("bad"))
    invocations = _invocations(tree, period).join(
        failed, on="row", how="left", maintain_order="left"
    )
    invocations = invocations.with_columns(pl.col("bad").is_not_null())
    kind = ["service", "operation"]
    total = invocations.group_by(*kind, "caller").agg(
        *[(pl.col("period") == p).sum().alias(f"all{p}") for p in (0, 1, 2)],
        *[((pl.col("period") == p) & ~pl.col("bad")).sum().alias(f"fine{p}") for p in (0, 1, 2)],
    )
    reached = (
        once.filter(pl.col("event") != _PASSED)
        .join(invocations, on="row")
        .filter(pl.col("failure") | ~pl.col("bad"))
        .group_by(*kind, "caller", "event", "failure")
        .agg(*[(pl.col("period") == p).sum().alias(f"k{p}") for p in (0, 1, 2)])
    )
    # A caller whose invocations never reach the event belongs to the mix as well.
    known = reached.select(*kind, "event", "failure").unique().join(total, on=kind)
    counted = known.join(reached, on=[*kind, "caller", "event", "failure"], how="left")
    counted = counted.with_columns(
        *[pl.col(f"k{p}").fill_null(0) for p in (0, 1, 2)],
        *[
            pl.when("failure").then(f"all{p}").otherwise(f"fine{p}").alias(f"n{p}")
            for p in (0, 1, 2)
        ],
    )
    return _same_mix(counted, [*kind, "event", "failure"]).sort(*kind, "event")


def _invocations(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """One row an invocation: its service, operation, caller and period."""
    caller = tree.service[np.maximum(tree.parent, 0)]
    return (
        tree.frame.select("service", pl.col("name").alias("operation"))
        .with_columns(
            pl.Series("period", period),
            pl.Series("caller", np.where(tree.parent >= 0, caller, -1)),
        )
        .with_row_index("row")
        .filter(pl.Series(tree.entry == np.arange(len(tree.entry))))
        .with_columns(pl.col("row").cast(pl.Int64))
    )


def _same_mix(counted: pl.DataFrame, kind: list[str]) -> pl.DataFrame:
    """Counts by event with the references standardised to the incident's mix of callers.

    What a caller asks decides which statements are reached; when one caller asks more often than
    before, the shares move and nobody's code has changed. A caller's share is shrunk to that of all
    callers, and the reference counts as many invocations as the least known of its callers allow.
    """
    share = pl.col("n2") / pl.col("n2").sum().over(kind).clip(lower_bound=1)
    expressions = [pl.col("k2").sum(), pl.col("n2").sum()]
    for p in ("0", "1"):
        k, n = pl.col(f"k{p}"), pl.col(f"n{p}")
        usual = k.sum().over(kind) / n.sum().over(kind).clip(lower_bound=1)
        counted = counted.with_columns(
            (share * (k + usual) / (n + 1)).alias(f"share{p}"),
            (share**2 / (n + 0.5)).alias(f"doubt{p}"),
        )
        known = pl.min_horizontal(n.sum(), 1 / pl.col(f"doubt{p}").sum().clip(lower_bound=1e-9))
        known = pl.when(pl.col("n2").sum() > 0).then(known).otherwise(n.sum())
        mean = pl.when(pl.col("n2").sum() > 0).then(pl.col(f"share{p}").sum()).otherwise(0.0)
        expressions += [known.alias(f"n{p}"), (mean * known).alias(f"k{p}")]
    return counted.group_by(kind).agg(expressions)


def _scores(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence of every event's change, and its shares before and after.

    Fewer failures than before are a recovery and no evidence.
    """
    k0, k1, k2, n0, n1, n2 = (
        table[name].to_numpy().astype(float) for name in ("k0", "k1", "k2", "n0", "n1", "n2")
    )
    far, after, early = _departure(k2, n2, k0, n0)
    near, _, late = _departure(k2, n2, k1, n1)
    failure = table["failure"].to_numpy()
    far = np.where(failure & (after < early), 0.0, far)
    near = np.where(failure & (after < late), 0.0, near)
    both = (n0 >= 3) & (n1 >= 3)
    same = np.sign(after - early) == np.sign(after - late)
    agreed = np.where(same, _APART * far + near, _MIXED * np.abs(far - near))
    score = np.where(both, agreed, far + near)
    return score, np.where((n1 >= 3) & (near >= far), late, early), after


def _departure(
    k1: np.ndarray, n1: np.ndarray, k0: np.ndarray, n0: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood ratio of two shares, times their difference; and the two shares, shrunk."""
    both = (k1 + k0) / np.maximum(n1 + n0, 1)
    ratio = _fit(k1, n1) + _fit(k0, n0) - _loglik(k1, n1, both) - _loglik(k0, n0, both)
    now, then = (k1 + 0.25) / (n1 + 0.5), (k0 + 0.25) / (n0 + 0.5)
    enough = (n1 >= 2) & (n0 >= 3)
    return np.where(enough, np.maximum(ratio, 0) * np.abs(now - then), 0.0), now, then


def _fit(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    return _loglik(k, n, k / np.maximum(n, 1))


def _loglik(k: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    low = 1e-12
    value = k * np.log(np.maximum(p, low)) + (n - k) * np.log(np.maximum(1 - p, low))
    return np.asarray(value)


def events_of(tree: Calls, logs: pl.DataFrame) -> pl.DataFrame:
    """Everything that happened in invocations, as (entry row, event), each once.

    Args:
        tree: the calls.
        logs: log lines; joined to invocations by trace and service.
    """
    rows = np.arange(len(tree.entry))
    label = tree.frame["service"] + " " + tree.frame["name"]
    inner = tree.entry != rows
    called = ~inner & (tree.parent >= 0)
    calls = outgoing(tree)
    passed = passing_on(tree, calls)
    own = failed_spans(tree) & ~np.isin(tree.entry, passed)
    unheard = tree.entry[calls.row[calls.lost]]
    targets = pl.Series(calls.target, dtype=pl.String).filter(pl.Series(calls.lost))
    parts = [
        _part("does", tree.entry[inner], tree.frame["name"].filter(pl.Series(inner))),
        _part("calls", tree.entry[tree.parent[called]], label.filter(pl.Series(called))),
        _part("calls", unheard, targets),
        _part("fails in", tree.entry[own], tree.frame["name"].filter(pl.Series(own))),
        pl.DataFrame({"row": passed.astype(np.int64)}).with_columns(pl.lit(_PASSED).alias("event")),
    ]
    if logs.height:
        parts.append(_log_events(tree, logs, passed))
    return pl.concat(parts).unique(["row", "event"], maintain_order=True)


def _part(verb: str, rows: np.ndarray, names: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {"row": rows.astype(np.int64), "event": (verb + " " + names).cast(pl.String)},
        schema={"row": pl.Int64, "event": pl.String},
    )


def _log_events(tree: Calls, logs: pl.DataFrame, passed: np.ndarray) -> pl.DataFrame:
    """Log lines as events; errors of invocations that pass a failure on are left out."""
    lines = logs.with_columns(templates(logs).alias("template")).filter(
        pl.col("trace").is_not_null() & pl.col("entity").is_not_null()
    )
    starts = (
        tree.frame.select("time", "trace", pl.col("service").alias("entity"))
        .with_row_index("row")
        .filter(pl.Series(tree.entry == np.arange(len(tree.entry))))
        .sort("time")
    )
    severity = pl.col("severity").fill_null("").str.to_uppercase()
    verb = (
        pl.when(severity.str.contains("ERR|FATAL|CRIT|SEVERE"))
        .then(pl.lit(_LOGGED))
        .otherwise(pl.lit("logs "))
    )
    joined = lines.sort("time").join_asof(
        starts, on="time", by=["trace", "entity"], strategy="backward", check_sortedness=False
    )
    events = joined.filter(pl.col("row").is_not_null()).select(
        pl.col("row").cast(pl.Int64), (verb + pl.col("template")).alias("event")
    )
    return events.filter(
        ~(pl.col("event").str.starts_with(_LOGGED) & pl.col("row").is_in(passed.tolist()))
    )
