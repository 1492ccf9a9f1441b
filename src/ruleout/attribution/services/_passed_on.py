"""Load and lateness that one service passes on to another, told from traces.

A callee that is asked more often for the same work is slow for its caller's sake: because the caller tries
again, because a cache or another callee no longer answers in its place, or because the caller's code asks more.
Work that ends after the caller has stopped waiting, and takes no longer than it used to, was given too little time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import failed_spans, outgoing
from ruleout.attribution.services._records import Signal

_ENOUGH = 20
"""Calls that an edge must have in either period."""

_MORE = 1.5
"""By what factor the calls of one invocation must grow."""

_FAILING = 0.1
"""Share of failed calls from which on more of them may be second tries."""

_LATE = 0.15
_LONGER = 1.3
_EXCUSED = 0.8
_LOAD = {"added_time", "symptom_flow", "metric.cpu", "metric.latency", "metric.traffic"}


class Calling(NamedTuple):
    """One caller's calls to one callee, by invocation of the caller."""

    caller: str
    callee: str
    now: float
    """Calls in each invocation."""

    usual: float
    failing: float
    """Share of the calls that fail now."""

    late: float
    """Share of the calls whose work ends after the caller has stopped waiting."""

    late_usual: float
    longer: float
    """Median length of the callee's work over what it was."""

    load: float
    """Share of the callee's calls that come from this caller."""


def _calls(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """A row for every call from one service to another: who, when, whether it failed or came late, its length."""
    n = len(tree.entry)
    entry = tree.entry == np.arange(n)
    arrived = np.flatnonzero(entry & (tree.parent >= 0))
    sent = outgoing(tree)
    lost = sent.row[sent.lost]
    end = tree.frame["end"].to_numpy()
    failed = failed_spans(tree)
    owner = tree.parent[arrived]
    nothing = np.full(len(lost), np.nan)
    rows = np.concatenate([arrived, lost])
    return pl.DataFrame(
        {
            "caller": np.concatenate([tree.service[owner], tree.service[lost]]),
            "callee": np.concatenate([tree.service[arrived], sent.callee[sent.lost]]),
            "doing": tree.frame["name"].gather(tree.entry[np.concatenate([owner, lost])]),
            "now": period[rows] == 2,
            "usual": (period[rows] == 0) | (period[rows] == 1),
            "failed": np.concatenate([failed[arrived] | failed[owner], failed[lost]]),
            "late": np.concatenate(
                [end[arrived] > end[owner] + 1_000_000, np.zeros(len(lost), bool)]
            ),
            "ms": np.concatenate([tree.duration[arrived], nothing]),
        }
    ).filter(pl.col("caller") != pl.col("callee"))


def callings(tree: Calls, period: np.ndarray) -> list[Calling]:
    """Every edge with enough calls in both periods.

    Args:
        tree: the calls.
        period: 2 the incident, 0 and 1 references, -1 neither.
    """
    table = _calls(tree, period)
    counts = [
        expression
        for window, mark in (("now", "1"), ("usual", "0"))
        for expression in (
            pl.col(window).sum().alias(f"n{mark}"),
            pl.col("failed").filter(window).mean().fill_null(0.0).alias(f"failed{mark}"),
            pl.col("late").filter(window).mean().fill_null(0.0).alias(f"late{mark}"),
            pl.col("ms")
            .filter(pl.col(window) & pl.col("ms").is_not_nan())
            .median()
            .alias(f"ms{mark}"),
        )
    ]
    told = (
        table.group_by("caller", "callee")
        .agg(*counts)
        .join(_per_invocation(tree, period, table), on=["caller", "callee"])
        .with_columns((pl.col("n1") / pl.col("n1").sum().over("callee")).alias("load"))
        .filter((pl.col("n1") >= _ENOUGH) & (pl.col("n0") >= _ENOUGH))
        .filter(pl.col("rate0") > 0)
        .sort("caller", "callee")
    )
    return [
        Calling(
            tree.services[r["caller"]],
            tree.services[r["callee"]],
            r["rate1"],
            r["rate0"],
            r["failed1"],
            r["late1"],
            r["late0"],
            (r["ms1"] or 0.0) / r["ms0"] if r["ms0"] else 1.0,
            r["load"],
        )
        for r in told.iter_rows(named=True)
    ]


def _per_invocation(tree: Calls, period: np.ndarray, table: pl.DataFrame) -> pl.DataFrame:
    """Calls in each invocation of the caller now, and what they would have been for the same kinds of request.

    Where more of those requests are asked that need a callee, nobody's code asks it for more.
    """
    entry = tree.entry == np.arange(len(tree.entry))
    work = pl.DataFrame(
        {
            "caller": tree.service[entry],
            "doing": tree.frame["name"].filter(pl.Series(entry)),
            "now": period[entry] == 2,
            "usual": (period[entry] == 0) | (period[entry] == 1),
        }
    )
    invoked = work.group_by("caller", "doing").agg(
        pl.col("now").sum().alias("work1"), pl.col("usual").sum().alias("work0")
    )
    edges = table.select("caller", "callee").unique()
    made = table.group_by("caller", "callee", "doing").agg(
        pl.col("now").sum().alias("n1"), pl.col("usual").sum().alias("n0")
    )
    by_kind = (
        edges.join(invoked, on="caller")
        .join(made, on=["caller", "callee", "doing"], how="left")
        .with_columns(pl.col("n1", "n0").fill_null(0))
        # A kind that was never asked before has no usual number of calls.
        .filter(pl.col("work0") > 0)
    )
    expected = pl.col("n0") / pl.col("work0") * pl.col("work1")
    all_now = pl.col("work1").sum()
    return (
        by_kind.group_by("caller", "callee")
        .agg(
            (pl.col("n1").sum() / all_now).alias("rate1"),
            (expected.sum() / all_now).alias("rate0"),
            all_now.alias("work1"),
        )
        .filter(pl.col("work1") > 0)
        .drop("work1")
    )


def from_edges(found: Sequence[Calling]) -> list[Signal]:
    """What speaks against callers: too little time for their callees, and more calls than before."""
    told = []
    for one in found:
        if (
            one.late > max(_LATE, 3 * one.late_usual)
            and one.failing > _LATE
            and one.longer < _LONGER
        ):
            text = (
                f"{one.caller} gives up on {one.late:.0%} of its calls to {one.callee}, whose work takes no longer"
                f" than it did and goes on"
            )
            told.append(
                Signal(
                    one.caller,
                    "given_up",
                    8.0 * one.late,
                    {"deadline_inversion": 1.0},
                    text,
                    one.late,
                    one.late,
                    one.callee,
                )
            )
        growth = one.now / one.usual
        if growth > _MORE and one.failing < _FAILING:
            text = f"{one.caller} calls {one.callee} {one.now:.3g} times in each of its invocations, {one.usual:.3g} before"
            weight = min(3.0 * float(np.log2(growth)), 7.0) * one.load
            told.append(
                Signal(
                    one.caller,
                    "asks_more",
                    weight,
                    {"change_regression": 1.0},
                    text,
                    growth,
                    growth - 1,
                    one.callee,
                )
            )
    return told


def excused_by_callers(
    signals: Sequence[Signal], found: Sequence[Calling], caches: Collection[str]
) -> list[Signal]:
    """The signals, those of callees less what comes of being asked more; the reason for it gets its part.

    Args:
        signals: of all detectors.
        found: as `callings` returns them.
        caches: entities that are caches in trouble.
    """
    more = {one.of: one for one in signals if one.name == "asks_more"}
    beside: dict[str, set[str]] = {}
    for edge in found:
        beside.setdefault(edge.caller, set()).add(edge.callee)
    out = []
    for one in signals:
        asked = more.get(one.entity)
        if asked is not None and one.name in _LOAD:
            left = one.weight * (1 - _EXCUSED * (1 - 1 / (1 + asked.effect)))
            out.append(one._replace(weight=left))
            continue
        if one.name == "asks_more":
            cache = sorted((beside.get(one.entity, set()) & set(caches)) - {one.of})
            if cache:
                # What the cache no longer answers is asked elsewhere: no code of the caller's has changed.
                out.append(one._replace(entity=cache[0], modes={"cache_storm": 1.0}))
                continue
        out.append(one)
    return out
