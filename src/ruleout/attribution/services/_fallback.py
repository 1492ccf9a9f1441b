"""Fallbacks that were never sized for what falls back on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import failed_spans, outgoing

_ENOUGH = 20
_MORE = 3.0
"""By what factor a caller must turn to a callee more often for it to be a fallback."""

_SLOWER = 2.0
_FAILING = 0.2


class Gap(NamedTuple):
    """A safeguard that was not there, with what showed it."""

    safeguard: str
    on: tuple[str, ...]
    statement: str
    size: float
    modes: tuple[str, ...]


def small_fallbacks(tree: Calls, period: np.ndarray) -> list[Gap]:
    """Callees that are asked as never before while another one fails their caller, and break too."""
    table = _edges(tree, period)
    found = []
    for (code,), part in table.group_by("caller", maintain_order=True):
        broken = part.filter(
            (pl.col("n1") >= _ENOUGH)
            & (pl.col("bad1") > 0.3)
            & (pl.col("bad1") > 3 * pl.col("bad0"))
        )
        for row in part.iter_rows(named=True):
            others = broken.filter(pl.col("callee") != row["callee"])
            often = row["n1"] / max(row["work1"], 1), row["n0"] / max(row["work0"], 1)
            turned = row["n1"] >= _ENOUGH and often[0] > max(_MORE * often[1], 0.1)
            slower = (row["ms1"] or 0.0) > _SLOWER * (row["ms0"] or np.inf)
            breaks = slower or row["bad1"] > max(_FAILING, 3 * row["bad0"])
            if not (turned and breaks and others.height):
                continue
            on = (tree.services[int(str(code))], tree.services[row["callee"]])
            text = f"{on[0]} turns to {on[1]} in {often[0]:.0%} of its work, {often[1]:.0%} before, and it breaks too"
            size = min(often[0] / max(often[1], 0.01) / 10, 1.0)
            found.append(Gap("fallback_capacity", on, text, size, ("fallback_overload",)))
    return found


def _edges(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """One row an edge: calls, their failed share and median milliseconds, and the caller's work, by window."""
    n = len(tree.entry)
    entry = tree.entry == np.arange(n)
    arrived = np.flatnonzero(entry & (tree.parent >= 0))
    calls = outgoing(tree)
    lost = calls.row[calls.lost]
    rows = np.concatenate([arrived, lost])
    failed = failed_spans(tree)
    heard = np.concatenate([failed[arrived] | failed[tree.parent[arrived]], failed[lost]])
    callee = np.concatenate([tree.service[arrived], calls.callee[calls.lost]])
    caller = np.concatenate([tree.service[tree.parent[arrived]], tree.service[lost]])
    now, usual = period == 2, (period == 0) | (period == 1)
    table = pl.DataFrame(
        {
            "caller": caller,
            "callee": callee,
            "failed": heard,
            "ms": tree.duration[rows],
            "now": now[rows],
            "usual": usual[rows],
        }
    ).filter(pl.col("caller") != pl.col("callee"))
    work = pl.DataFrame({"caller": tree.service[entry], "a": now[entry], "b": usual[entry]})
    invoked = work.group_by("caller").agg(
        pl.col("a").sum().alias("work1"), pl.col("b").sum().alias("work0")
    )
    parts = [
        expression
        for name, mark in (("now", "1"), ("usual", "0"))
        for expression in (
            pl.col(name).sum().alias(f"n{mark}"),
            pl.col("failed").filter(pl.col(name)).mean().fill_null(0.0).alias(f"bad{mark}"),
            pl.col("ms").filter(pl.col(name)).median().alias(f"ms{mark}"),
        )
    ]
    return (
        table.group_by("caller", "callee")
        .agg(*parts)
        .join(invoked, on="caller")
        .sort("caller", "callee")
    )
