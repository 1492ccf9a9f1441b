"""Where failures come from: calls that fail without an answer, and failures that are only passed on.

A failed invocation whose own calls failed passes a failure on; the deepest one does not. A call that
fails and leaves no span on the other side never got through: that is the callee's doing where all its
callers are refused, and the caller's where all it calls is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls

_FEW = 5
"""Calls that an edge must have to be compared with others."""

_QUICK = 0.3
"""Part of the usual length of a call below which a refused one never left its caller."""

_HEARD = 3
_SOUND = 0.2
_MOMENT = 10.0
"""Seconds within which calls tell how the callee of a refused one fared."""

_USUAL = 1.5
"""So many calls that arrive, fewer of them failed, and none much longer: the callee is well."""


_LONG = 3.0
_ILL = 0.5
"""Times the usual length, and the part of the calls that arrive, from which on a callee is ill."""


class Outgoing(NamedTuple):
    """The client's side of calls; one item each."""

    row: np.ndarray
    """Row of the client's span."""

    target: tuple[str, ...]
    """Service and operation that such calls reach, parted by a blank."""

    callee: np.ndarray
    """Code of the service that such calls reach."""

    lost: np.ndarray
    """Whether nothing was recorded on the other side."""


class Refusal(NamedTuple):
    """How far one service's calls or callers go unanswered."""

    service: str
    score: float
    """Nats of evidence, times the share of them that this end of the edge has to answer for."""

    caller: str
    callee: str
    before: float
    after: float
    quick: bool = False
    """Whether the refused calls end much sooner than calls that are answered: somebody near refuses them."""

    sound: bool = False
    """Whether the calls that do arrive are answered as ever."""

    ill: bool = False
    """Whether most of the calls that do arrive beside them fail or take far longer: refusing them is right."""


def outgoing(tree: Calls) -> Outgoing:
    """Client spans, with where calls of their kind usually arrive."""
    n = len(tree.parent)
    entry = tree.entry == np.arange(n)
    arrived = np.flatnonzero(entry & (tree.parent >= 0))
    arrived = arrived[~entry[tree.parent[arrived]]]
    label = tree.frame["service"] + " " + tree.frame["name"]
    usual = (
        pl.DataFrame(
            {
                "service": tree.service[tree.parent[arrived]],
                "name": tree.frame["name"].gather(tree.parent[arrived]),
                "callee": tree.service[arrived],
                "target": label.gather(arrived),
            }
        )
        .group_by("service", "name", "callee", "target")
        .len()
        .sort("len", "target", descending=[True, False])
        .unique(["service", "name"], keep="first", maintain_order=True)
    )
    found = (
        pl.DataFrame({"row": np.arange(n), "service": tree.service, "name": tree.frame["name"]})
        .filter(pl.Series(~entry))
        .join(usual, on=["service", "name"])
        .sort("row")
    )
    rows = found["row"].to_numpy()
    answered = np.zeros(n, dtype=bool)
    answered[tree.parent[arrived]] = True
    return Outgoing(rows, tuple(found["target"]), found["callee"].to_numpy(), ~answered[rows])


def failed_spans(tree: Calls) -> np.ndarray:
    """Whether each span is known to have failed."""
    return tree.frame["error"].fill_null(value=False).to_numpy()


def passing_on(tree: Calls, calls: Outgoing) -> np.ndarray:
    """Rows of the invocations of which a call failed: what they show after it is its consequence."""
    failed = failed_spans(tree)
    entry = tree.entry == np.arange(len(tree.entry))
    answered = np.flatnonzero(entry & failed & (tree.parent >= 0))
    asked = calls.row[failed[calls.row]]
    return np.unique(np.concatenate([tree.entry[tree.parent[answered]], tree.entry[asked]]))


def refusals(tree: Calls, calls: Outgoing, period: np.ndarray) -> list[Refusal]:
    """Services whose calls or callers get no answer any more, strongest first.

    Args:
        tree: the calls.
        calls: as `outgoing` returns them.
        period: 2 the incident, 0 and 1 references, -1 neither.
    """
    unheard = calls.lost & failed_spans(tree)[calls.row]
    if not unheard.any():
        return []
    when = period[calls.row]
    edges = (
        pl.DataFrame(
            {
                "caller": tree.service[calls.row],
                "callee": calls.callee,
                "lost": unheard,
                "now": when == 2,
                "usual": (when == 0) | (when == 1),
                "time": tree.time[calls.row],
            }
        )
        .filter(~pl.col("now") | _since())
        .group_by("caller", "callee")
        .agg(
            pl.col("now").sum().alias("n1"),
            pl.col("usual").sum().alias("n0"),
            (pl.col("lost") & pl.col("now")).sum().alias("k1"),
            (pl.col("lost") & pl.col("usual")).sum().alias("k0"),
        )
        .filter(pl.col("n1") >= _FEW)
        .sort("caller", "callee")
    )
    return _shared(tree, _with_answers(tree, calls, period, edges, unheard))


def _since() -> pl.Expr:
    """Whether a call comes no sooner than the first of its edge that is lost in the incident, where any is."""
    first = pl.col("time").filter(pl.col("lost") & pl.col("now")).min().over("caller", "callee")
    return pl.col("time") >= first.fill_null(-float("inf"))


def _with_answers(
    tree: Calls, calls: Outgoing, period: np.ndarray, edges: pl.DataFrame, unheard: np.ndarray
) -> pl.DataFrame:
    """The edges with how soon refused calls end, and how those fare that arrive."""
    when = period[calls.row]
    table = pl.DataFrame(
        {
            "caller": tree.service[calls.row],
            "callee": calls.callee,
            "ms": tree.duration[calls.row],
            "failed": failed_spans(tree)[calls.row],
            "refused": unheard,
            "arrived": ~calls.lost,
            "now": when == 2,
            "usual": (when == 0) | (when == 1),
            "moment": (tree.time[calls.row] // _MOMENT).astype(np.int64),
        }
    )
    answered = pl.col("arrived") & pl.col("now")
    length = pl.col("ms").filter(pl.col("arrived") & pl.col("usual")).median()
    told = (
        _beside(table)
        .group_by("caller", "callee")
        .agg(
            (pl.col("ms").filter(pl.col("refused") & pl.col("now")).median() < _QUICK * length)
            .fill_null(value=False)
            .alias("quick"),
            (
                (answered.sum() >= _HEARD)
                & (pl.col("failed").filter(answered).mean() < _SOUND)
                & (pl.col("ms").filter(answered).median() < _USUAL * length)
            )
            .fill_null(value=False)
            .alias("sound"),
            (
                (answered.sum() >= _HEARD)
                & (
                    (pl.col("failed") | (pl.col("ms") > _LONG * length)).filter(answered).mean()
                    > _ILL
                )
            )
            .fill_null(value=False)
            .alias("ill"),
        )
    )
    return edges.join(told, on=["caller", "callee"], how="left", maintain_order="left")


def _beside(table: pl.DataFrame) -> pl.DataFrame:
    """The calls, less those that arrive in moments of the incident at which none is refused nor just after.

    A callee that is ill for a while is well for the rest, and what its callers refuse then is right.
    """
    refused = table.filter(pl.col("refused") & pl.col("now"))
    moments = refused.select("caller", "callee", "moment").unique()
    near = pl.concat([moments, moments.with_columns(pl.col("moment") - 1)]).unique()
    kept = table.filter(pl.col("now")).join(near, on=["caller", "callee", "moment"], how="semi")
    return pl.concat([table.filter(~pl.col("now")), kept])


def _shared(tree: Calls, edges: pl.DataFrame) -> list[Refusal]:
    """Every edge's refusals, parted between its ends by how their other edges fare."""
    rates = edges.with_columns((pl.col("k1") / pl.col("n1")).alias("rate"))
    by_caller: dict[int, list[float]] = defaultdict(list)
    by_callee: dict[int, list[float]] = defaultdict(list)
    for row in rates.iter_rows(named=True):
        by_caller[row["caller"]].append(row["rate"])
        by_callee[row["callee"]].append(row["rate"])
    best: dict[str, Refusal] = {}
    for row in rates.iter_rows(named=True):
        before, after, evidence = _evidence(row)
        if evidence <= 0:
            continue
        # An end with one edge only cannot be told from the other; being refused is the commoner.
        sender = _lowest(by_caller[row["caller"]], 0.4 * row["rate"])
        taker = _lowest(by_callee[row["callee"]], 0.7 * row["rate"])
        whole = max(sender + taker, 1e-9)
        ends = (tree.services[row["caller"]], tree.services[row["callee"]])
        for name, part in ((ends[0], sender), (ends[1], taker)):
            one = Refusal(
                name,
                evidence * part / whole,
                *ends,
                before,
                after,
                row["quick"],
                row["sound"],
                row["ill"],
            )
            if one.score > 0 and (name not in best or one.score > best[name].score):
                best[name] = one
    return sorted(best.values(), key=lambda one: (-one.score, one.service))


def _evidence(row: Mapping[str, int]) -> tuple[float, float, float]:
    """Shares of calls lost before and now, and the log-likelihood ratio times their difference."""
    k1, n1, k0, n0 = (float(row[name]) for name in ("k1", "n1", "k0", "n0"))
    both = (k1 + k0) / (n1 + n0)
    ratio = sum(
        _loglik(k, n, k / n) - _loglik(k, n, both) for k, n in ((k1, n1), (k0, n0)) if n > 0
    )
    now, then = (k1 + 0.25) / (n1 + 0.5), (k0 + 0.25) / (n0 + 0.5) if n0 else 0.0
    if not n0:
        ratio = k1
    return then, now, max(ratio, 0.0) * max(now - then, 0.0)


def _loglik(k: float, n: float, p: float) -> float:
    low = 1e-12
    return float(k * np.log(max(p, low)) + (n - k) * np.log(max(1 - p, low)))


def _lowest(rates: list[float], alone: float) -> float:
    """What nearly all edges of one end share: their lower quartile; `alone` where there is one edge."""
    if len(rates) < 2:
        return alone
    return sorted(rates)[(len(rates) - 1) // 4]
