"""Safeguards whose absence shows in how calls behave; found, not assumed.

No circuit breaker: calls to a dependency do not fall as they fail. No retry budget: a caller makes more
attempts for the same work. No deadline propagation: work goes on after its caller has left. No load
shedding: queues grow and answers slow down while nothing is refused. No capacity for the fallback: it is
called as never before and breaks in its turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._records import Checked, Finding, SafeguardGap, Subject, SubjectKind
from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._fallback import Gap, small_fallbacks
from ruleout.attribution.services._scene import Observed

_AGAIN = 1.3
"""By what factor the calls for one thing must grow to be retries."""

_ENOUGH = 20
"""Calls that an edge must have in either period."""


class Amplified(NamedTuple):
    """An edge on which the same thing is asked more often than it was."""

    caller: str
    callee: str
    now: float
    """Calls for one thing."""

    usual: float


def amplified(seen: Observed) -> tuple[Amplified, ...]:
    """Edges whose callers make more attempts for the same work than before."""
    if seen.tree is None:
        return ()
    found = []
    for row in _edges(seen.tree, seen.period).iter_rows(named=True):
        now, usual = _tries(row)
        if now > _AGAIN * usual and row["caller"] != row["callee"]:
            names = seen.tree.services
            found.append(Amplified(names[row["caller"]], names[row["callee"]], now, usual))
    return tuple(found)


def _tries(row: Mapping[str, float]) -> tuple[float, float]:
    """Calls for one thing, now and before."""
    return row["now"] / max(row["asked_now"], 1), row["usual"] / max(row["asked_usual"], 1)


def gaps(seen: Observed) -> tuple[Gap, ...]:
    """Every safeguard whose absence shows, largest first."""
    found = []
    if seen.tree is not None:
        found = _from_calls(seen.tree, seen.period) + small_fallbacks(seen.tree, seen.period)
    found += _no_shedding(seen.departed)
    return tuple(sorted(found, key=lambda one: (-one.size, one.safeguard, one.on)))


def as_records(found: tuple[Gap, ...]) -> tuple[tuple[SafeguardGap, ...], Checked]:
    """The gaps, and their evidence as findings with signal `missing_<safeguard>` on the same subject."""
    records = tuple(SafeguardGap(one.safeguard, one.on, ()) for one in found)
    findings = tuple(
        Finding(
            f"missing_{one.safeguard}",
            Subject(_kind(one.on), one.on),
            one.statement,
            one.size,
            one.size,
            None,
            min(one.size, 1.0),
            one.modes,
        )
        for one in found
    )
    return records, Checked("safeguards", "integration", "path", findings)


def _kind(on: tuple[str, ...]) -> SubjectKind:
    return "edge" if len(on) == 2 else "service"


def _edges(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """One row an edge: calls, failures, late ends and the caller's invocations, by period."""
    entry = tree.entry == np.arange(len(tree.entry))
    called = np.flatnonzero(entry & (tree.parent >= 0))
    parent = tree.parent[called]
    end = tree.frame["end"].to_numpy()
    failed = tree.frame["error"].fill_null(value=False).to_numpy()
    table = pl.DataFrame(
        {
            "caller": tree.service[parent],
            "callee": tree.service[called],
            "now": period[called] == 2,
            "usual": (period[called] == 0) | (period[called] == 1),
            "failed": failed[called],
            "asker": tree.entry[parent],
            "operation": tree.frame["name"].gather(called),
            "late": end[called] > end[parent] + 1_000_000,
        }
    )
    work = pl.DataFrame(
        {
            "caller": tree.service[entry],
            "now": period[entry] == 2,
            "usual": (period[entry] == 0) | (period[entry] == 1),
        }
    )
    invoked = work.group_by("caller").agg(
        pl.col("now").sum().alias("work_now"), pl.col("usual").sum().alias("work_usual")
    )
    sums = [
        pl.col(column).filter(pl.col(window)).sum().alias(f"{column}_{window}")
        for column in ("failed", "late")
        for window in ("now", "usual")
    ]
    return (
        table.group_by("caller", "callee")
        .agg(
            pl.col("now").sum(),
            pl.col("usual").sum(),
            *sums,
            *(
                pl.struct("asker", "operation").filter(pl.col(w)).n_unique().alias(f"asked_{w}")
                for w in ("now", "usual")
            ),
        )
        .join(invoked, on="caller")
        .filter((pl.col("now") >= _ENOUGH) & (pl.col("usual") >= _ENOUGH))
        .sort("caller", "callee")
    )


def _from_calls(tree: Calls, period: np.ndarray) -> list[Gap]:
    found = []
    for row in _edges(tree, period).iter_rows(named=True):
        on = (tree.services[row["caller"]], tree.services[row["callee"]])
        if on[0] == on[1]:
            continue
        failing = row["failed_now"] / row["now"]
        per_work = row["now"] / max(row["work_now"], 1)
        usual = row["usual"] / max(row["work_usual"], 1)
        growth = per_work / usual
        if failing > 0.3 and failing > 3 * row["failed_usual"] / row["usual"] and growth > 0.8:
            text = (
                f"{failing:.0%} of the calls fail and {on[0]} makes {growth:.0%} as many as before"
            )
            found.append(Gap("circuit_breaker", on, text, failing, ("slow_dependency",)))
        tries, before = _tries(row)
        if tries > _AGAIN * before:
            text = (
                f"{on[0]} asks {on[1]} {tries:.2f} times for the same thing, {before:.2f} before;"
                f" a budget that keeps to that would have spared {1 - before / tries:.0%} of these calls"
            )
            found.append(
                Gap("retry_budget", on, text, min(tries / before / 3, 1.0), ("retry_storm",))
            )
        late = row["late_now"] / row["now"]
        if late > 0.2 and late > 3 * row["late_usual"] / row["usual"]:
            text = f"{late:.0%} of the work in {on[1]} ends after {on[0]} has stopped waiting"
            found.append(Gap("deadline_propagation", on, text, late, ("deadline_inversion",)))
    return found


def _no_shedding(departed: pl.DataFrame) -> list[Gap]:
    kinds: dict[str, dict[str, float]] = {}
    for row in departed.iter_rows(named=True):
        if row["sign"] > 0 or row["kind"] == "availability":
            entity = kinds.setdefault(row["entity"], {})
            entity[row["kind"]] = max(entity.get(row["kind"], 0.0), row["score"])
    return [
        Gap(
            "load_shedding",
            (entity,),
            f"queues in front of {entity} grow and its answers slow down, and nothing is refused",
            min(seen["saturation"] / 4, 1.0),
            ("traffic_surge",),
        )
        for entity, seen in sorted(kinds.items())
        if seen.get("saturation", 0) > 1.5
        and seen.get("latency", 0) > 1.0
        and max(seen.get("error", 0), seen.get("availability", 0)) < 0.5
    ]
