"""Where the time went: exclusive time and the gaps between client and server, by service.

Every span's own time (not covered by its children) belongs to one operation of one service, or, when
the span is the client's side of a call, to the edge between caller and callee. What an edge has lost is
then shared between its two ends by solving all edges jointly: what all calls of a caller lose is the
caller's, what all callers of a callee lose is the callee's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import Outgoing, failed_spans, outgoing

_FEW = 5
"""A period with fewer spans of an operation than this tells little about it."""

_ENOUGH = 40
_ROUTES = (0.1, 0.95)
_PARTED = 5.0
"""Calls, between which shares of them, and by what factor two kinds of calls must lie apart to be told for two ways."""

_TICK = 0.05
"""Milliseconds that clocks do not tell apart."""


class Lag(NamedTuple):
    """What one service adds to the requests' time, in milliseconds a request."""

    service: str
    total: float
    own: float
    """In its own operations."""

    inbound: float
    """Between its callers' spans and its own."""

    outbound: float
    """Between its own spans and its callees'."""

    share: float
    """Of all the time that was added anywhere."""

    steady: bool
    """Whether the calls into it lost nearly the same time each, or some of them much and the others none.

    That is what a delay on the wire does, on every way to it or on one of several.
    """

    operation: str
    """Where most of it happened."""


class Lags(NamedTuple):
    """The added time by service, largest first, and how it compares with the usual."""

    by_service: tuple[Lag, ...]
    added: float
    """Milliseconds a request, over all services."""

    usual: float
    """Usual length of a request in milliseconds."""

    measured: bool
    """Whether there was a reference to measure against; else peers and fast calls stood in."""


def lags(tree: Calls, period: np.ndarray, calls: Outgoing | None = None) -> Lags:
    """Added time by service.

    Args:
        tree: the calls.
        period: 2 the incident, 1 the reference next to it, 0 references apart, -1 neither.
        calls: as `outgoing` returns them, where they are already known.
    """
    known = outgoing(tree) if calls is None else calls
    keys = _keys(tree, period, known)
    usual_lag = _unrest(tree, period, known)
    roots = tree.parent < 0
    requests = max(int((roots & (period == 2)).sum()), 1)
    before = tree.duration[roots & ((period == 0) | (period == 1))]
    measured = bool(len(before) >= _FEW)
    usual = before if measured else tree.duration[roots & (period == 2)]
    if keys.is_empty():
        return Lags((), 0.0, 0.0, measured)
    length = float(np.median(usual)) if len(usual) else 0.0
    added = _added(keys, measured=measured)
    parts = _share_edges(added, requests)
    for code, part in parts.items():
        size = sum(part.values())
        calm = size / (size + usual_lag.get(code, 0.0)) if size > 0 else 0.0
        parts[code] = {name: value * calm for name, value in part.items()}
    total = sum(sum(one.values()) for one in parts.values())
    found = [_lag(tree.services[code], part, total, added, code) for code, part in parts.items()]
    ordered = tuple(sorted(found, key=lambda one: (-one.total, one.service)))
    return Lags(ordered, total, length, measured)


def _unrest(tree: Calls, period: np.ndarray, calls: Outgoing) -> dict[int, float]:
    """What each service adds when one stretch of the reference is compared with another."""
    before = (period == 0) | (period == 1)
    if not (period == 0).any():
        time = tree.time[before]
        if len(time) < 4 * _FEW:
            return {}
        shifted = np.where(before, np.where(tree.time > np.median(time), 2, 1), -1)
    else:
        shifted = np.where(period == 1, 2, np.where(period == 0, 1, -1))
    requests = int(((tree.parent < 0) & (shifted == 2)).sum())
    if requests < _FEW or not (shifted == 1).any():
        return {}
    parts = _share_edges(_added(_keys(tree, shifted, calls), measured=True), requests)
    return {code: sum(part.values()) for code, part in parts.items()}


def _keys(tree: Calls, period: np.ndarray, calls: Outgoing) -> pl.DataFrame:
    """Own time by (service, callee or -1, operation) and period."""
    n = len(tree.parent)
    entry = tree.entry == np.arange(n)
    crossing = np.flatnonzero(entry & (tree.parent >= 0))
    owner = tree.parent[crossing]
    entries = np.bincount(owner, minlength=n)
    callee = np.full(n, -1)
    callee[owner] = tree.service[crossing]
    mixed = np.zeros(n, dtype=bool)
    mixed[owner[callee[owner] != tree.service[crossing]]] = True
    client = ~entry & (entries > 0) & (entries == tree.children) & ~mixed
    # Time spent on a call that never arrived was lost on the way, and not in the caller's own work.
    unheard = calls.row[calls.lost & failed_spans(tree)[calls.row]]
    callee[unheard] = calls.callee[np.searchsorted(calls.row, unheard)]
    client[unheard] = True
    table = pl.DataFrame(
        {
            "service": tree.service,
            "to": np.where(client, callee, -1),
            "name": tree.frame["name"],
            "own": tree.own,
            "period": period,
        }
    ).filter(pl.col("period") >= 0)
    own = pl.col("own")
    return (
        table.group_by("service", "to", "name", "period")
        .agg(
            own.clip(upper_bound=own.quantile(0.98)).mean().alias("mean"),
            (own + 1).log().mean().alias("log"),
            (own + 1).log().std().fill_null(0).alias("noise"),
            own.quantile(0.1).alias("fast"),
            own.median().alias("middle"),
            (own.quantile(0.75) - own.quantile(0.25)).alias("width"),
            _void(own).alias("void"),
            pl.len().alias("n"),
        )
        .sort("service", "to", "name", "period")
    )


def _void(own: pl.Expr) -> pl.Expr:
    """The least time of the slower calls, where all are either quick or far slower and none lies between; else null.

    Waiting for a busy server takes any time there is; a longer way takes as long for each call that goes it.
    """
    ordered = own.clip(lower_bound=_TICK).sort()
    first = (pl.len() * _ROUTES[0]).cast(pl.Int64)
    last = (pl.len() * _ROUTES[1]).cast(pl.Int64)
    step = (ordered / ordered.shift(1)).slice(first, last - first)
    slower = ordered.get(first + step.arg_max(), null_on_oob=True)
    return pl.when((step.max() >= _PARTED) & (pl.len() >= _ENOUGH)).then(slower)


def _added(keys: pl.DataFrame, *, measured: bool) -> pl.DataFrame:
    """Milliseconds that each call of an operation takes longer, shrunk by how sure that is."""
    on = ["service", "to", "name"]
    now = keys.filter(pl.col("period") == 2)
    before = keys.filter((pl.col("period") != 2) & (pl.col("n") >= (_FEW if measured else 1)))
    # The cleanest stretch of the reference stands for it: an earlier incident only makes it slower.
    cleanest = before.sort("mean").unique(on, keep="first", maintain_order=True)
    joined = now.join(cleanest, on=on, how="left", suffix="_ref")
    peers = now.filter(pl.col("to") >= 0)["middle"].median()
    stand_in = pl.when(pl.col("to") >= 0).then(pl.lit(peers)).otherwise(pl.col("fast"))
    known = pl.col("mean_ref").is_not_null()
    return joined.with_columns(
        (pl.col("mean") - pl.coalesce("mean_ref", stand_in)).clip(lower_bound=0).alias("more"),
        pl.when(known)
        .then(
            pl.col("log")
            - pl.col("log_ref")
            - 2
            * (
                pl.col("noise") ** 2 / pl.col("n") + pl.col("noise_ref") ** 2 / pl.col("n_ref")
            ).sqrt()
        )
        .otherwise(pl.when(pl.col("to") >= 0).then(1.0).otherwise(0.25) * (0.2 if measured else 1))
        .alias("rise"),
    ).with_columns(
        (pl.col("more") * (1 - (-2 * pl.col("rise").clip(lower_bound=0)).exp())).alias("added")
    )


def _share_edges(added: pl.DataFrame, requests: int) -> dict[int, dict[str, float]]:
    """Milliseconds a request by service: its own, and its part of its edges."""
    result: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    out: dict[int, list[tuple[float, float]]] = defaultdict(list)
    into: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for row in added.iter_rows(named=True):
        if row["to"] < 0:
            result[row["service"]]["own"] += row["added"] * row["n"] / requests
    edges = added.filter(pl.col("to") >= 0)
    for (caller, callee), part in edges.group_by("service", "to", maintain_order=True):
        calls = float(part["n"].sum())
        loss = float((part["added"] * part["n"]).sum()) / calls
        out[int(str(caller))].append((loss, calls))
        into[int(str(callee))].append((loss, calls))
    base = {caller: _common(parts) for caller, parts in out.items()}
    for (caller, callee), part in edges.group_by("service", "to", maintain_order=True):
        calls = float(part["n"].sum())
        loss = float((part["added"] * part["n"]).sum()) / calls
        sender = min(base[int(str(caller))], loss)
        result[int(str(caller))]["out"] += sender * calls / requests
        result[int(str(callee))]["in"] += (loss - sender) * calls / requests
    return result


def _common(parts: list[tuple[float, float]]) -> float:
    """What nearly all of several edges have lost: their lower quartile by calls; none for one edge."""
    if len(parts) < 2:
        return 0.0
    ordered = sorted(parts)
    weight = np.cumsum([np.sqrt(calls) for _, calls in ordered])
    return ordered[int(np.searchsorted(weight, 0.25 * weight[-1]))][0]


def _lag(
    service: str, part: Mapping[str, float], total: float, added: pl.DataFrame, code: int
) -> Lag:
    mine = added.filter(
        ((pl.col("service") == code) & (pl.col("to") < 0)) | (pl.col("to") == code)
    ).with_columns((pl.col("added") * pl.col("n")).alias("cost"))
    worst = mine.sort("cost", "name", descending=[True, False]).head(1)
    inbound = mine.filter(pl.col("to") >= 0)
    cost = float(inbound["cost"].sum())
    even = inbound.filter(
        (pl.col("width") < 0.2 * pl.col("more"))
        | (pl.col("void") > pl.max_horizontal("more", pl.col("middle_ref") * _PARTED))
    )
    sums = sum(part.values())
    return Lag(
        service,
        sums,
        part.get("own", 0.0),
        part.get("in", 0.0),
        part.get("out", 0.0),
        sums / total if total > 0 else 0.0,
        steady=cost > 0 and float(even["cost"].sum()) > 0.6 * cost,
        operation=worst["name"][0] if worst.height else "",
    )
