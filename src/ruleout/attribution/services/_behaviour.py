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
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._templates import templates

_MIXED = 0.5
"""Weight of a departure that the near and the far reference disagree about."""

_BELOW = 0.6
"""Share of the strongest callee's departure that explains a caller's."""


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


def behaviour(tree: Calls, logs: pl.DataFrame, period: np.ndarray) -> list[Change]:
    """Changes of behaviour by service, strongest first.

    Args:
        tree: the calls.
        logs: log lines; joined to invocations by trace and service.
        period: of each row of `tree`: 2 the incident, 1 the reference next to it, 0 a reference
            apart from it, -1 neither.
    """
    table = _table(tree, _events(tree, logs), period)
    if table.is_empty():
        return []
    score, before, after = _scores(table)
    table = table.with_columns(
        pl.Series("score", score), pl.Series("before", before), pl.Series("after", after)
    ).sort("score", "service", "event", descending=[True, False, False])
    best = table.unique("service", keep="first", maintain_order=True)
    strength = dict(zip(best["service"], best["score"], strict=True))
    below = _callees(tree, strength)
    changes = [
        Change(
            row["service"],
            max(row["score"] - _BELOW * below.get(row["service"], 0.0), 0.0),
            f"{row['event']} (in {row['operation']})",
            row["before"],
            row["after"],
        )
        for row in best.iter_rows(named=True)
    ]
    return sorted(changes, key=lambda one: (-one.score, one.service))


def _callees(tree: Calls, strength: Mapping[str, float]) -> dict[str, float]:
    """The strongest change among the services that each service calls."""
    calling = np.flatnonzero((tree.parent >= 0) & (tree.entry == np.arange(len(tree.entry))))
    pairs = np.unique(np.stack([tree.service[tree.parent[calling]], tree.service[calling]]), axis=1)
    result: dict[str, float] = {}
    for caller, callee in pairs.T:
        if caller != callee:
            name = tree.services[caller]
            result[name] = max(result.get(name, 0.0), strength.get(tree.services[callee], 0.0))
    return result


def _table(tree: Calls, events: pl.DataFrame, period: np.ndarray) -> pl.DataFrame:
    """Invocations that reached each event, `k`, out of `n` of their kind, by period."""
    invocations = (
        tree.frame.select("service", pl.col("name").alias("operation"))
        .with_columns(pl.Series("period", period))
        .with_row_index("row")
        .filter(pl.Series(tree.entry == np.arange(len(tree.entry))))
    )
    kind = ["service", "operation"]
    total = invocations.group_by(kind).agg(
        *[(pl.col("period") == p).sum().alias(f"n{p}") for p in (0, 1, 2)]
    )
    return (
        events.unique(["row", "event"])
        .join(invocations.with_columns(pl.col("row").cast(pl.Int64)), on="row")
        .group_by(*kind, "event")
        .agg(*[(pl.col("period") == p).sum().alias(f"k{p}") for p in (0, 1, 2)])
        .join(total, on=kind)
        .sort(*kind, "event")
    )


def _scores(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k0, k1, k2, n0, n1, n2 = (
        table[name].to_numpy().astype(float) for name in ("k0", "k1", "k2", "n0", "n1", "n2")
    )
    far, after, early = _departure(k2, n2, k0, n0)
    near, _, late = _departure(k2, n2, k1, n1)
    both = (n0 >= 3) & (n1 >= 3)
    same = np.sign(after - early) == np.sign(after - late)
    agreed = np.where(same, far + near, _MIXED * np.maximum(far - near, 0))
    score = np.where(both, agreed, far + near)
    return score, np.where(n1 >= 3, late, early), after


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
    return k * np.log(np.maximum(p, low)) + (n - k) * np.log(np.maximum(1 - p, low))


def _events(tree: Calls, logs: pl.DataFrame) -> pl.DataFrame:
    """Everything that happened in invocations, as (entry row, event)."""
    rows = np.arange(len(tree.entry))
    label = tree.frame["service"] + " " + tree.frame["name"]
    inner = tree.entry != rows
    called = ~inner & (tree.parent >= 0)
    failed = tree.frame["error"].fill_null(value=False).to_numpy()
    parts = [
        _part("does", tree.entry[inner], tree.frame["name"].filter(pl.Series(inner))),
        _part("calls", tree.entry[tree.parent[called]], label.filter(pl.Series(called))),
        _part("fails in", tree.entry[failed], tree.frame["name"].filter(pl.Series(failed))),
    ]
    if logs.height:
        parts.append(_log_events(tree, logs))
    return pl.concat(parts)


def _part(verb: str, rows: np.ndarray, names: pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        {"row": rows.astype(np.int64), "event": (verb + " " + names).cast(pl.String)},
        schema={"row": pl.Int64, "event": pl.String},
    )


def _log_events(tree: Calls, logs: pl.DataFrame) -> pl.DataFrame:
    lines = logs.with_columns(templates(logs).alias("template")).filter(
        pl.col("trace").is_not_null() & pl.col("entity").is_not_null()
    )
    starts = (
        tree.frame.select("time", "trace", pl.col("service").alias("entity"))
        .with_row_index("row")
        .filter(pl.Series(tree.entry == np.arange(len(tree.entry))))
        .sort("time")
    )
    joined = lines.sort("time").join_asof(
        starts, on="time", by=["trace", "entity"], strategy="backward", check_sortedness=False
    )
    return joined.filter(pl.col("row").is_not_null()).select(
        pl.col("row").cast(pl.Int64), ("logs " + pl.col("template")).alias("event")
    )
