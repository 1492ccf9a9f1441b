"""Where what services lose sits: on one machine, in one copy, in one build, or in copies that have just begun.

Copies of one service do the same work. What one of them loses and the others do not is no fault of the
service's; what every service loses on one machine, and none elsewhere, is the machine's. The lost time of
an invocation is what its spans took beyond the reference's mean of their operation; the gap between a
client's span and the server's belongs to the wire, and touches the machines at both of its ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import failed_spans, outgoing, passing_on
from ruleout.attribution.services._records import Signal
from ruleout.attribution.services._replay import beyond_usual

Place = Literal["host", "instance", "version", "young"]

_FEW = 8
"""Invocations that a place, and all others together, must have served."""

_APART = 4.0
"""Standard errors by which a place's loss must exceed the others'."""

_MANIFOLD = 2.5
"""... and by what factor."""

_NOTED = 0.05
"""... and it must be at least this part of the usual time of an invocation."""

_WORTH = 8.0
_YOUNG = 240.0
"""Seconds for which a copy that has just begun may still be warming up."""

_WARMING = 120.0
"""... and after each beginning that logs tell of."""

_EXCUSED = 0.85
_SERVICES_LOSS = {
    "added_time", "symptom_flow", "behaviour", "refused_calls", "metric.latency", "one_instance",
}  # fmt: skip

PLACE_MODES: Mapping[str, Mapping[str, float]] = {
    "host": {"noisy_neighbour": 0.5, "hardware_fault": 0.35, "cpu_saturation": 0.15},
    "wire": {"network_fault": 0.8, "hardware_fault": 0.2},
    "instance": {
        "hardware_fault": 0.4,
        "noisy_neighbour": 0.25,
        "memory_leak": 0.15,
        "change_regression": 0.2,
    },
    "version": {"change_regression": 1.0},
    "young": {"cold_start": 1.0},
}


class Concentrated(NamedTuple):
    """One service's loss at one place beside its loss elsewhere."""

    service: str
    place: str
    wire: bool
    failures: bool
    here: float
    """Milliseconds, or the share of failed invocations, at the place."""

    elsewhere: float
    lost: float
    """The sum over the invocations at the place."""

    share: float
    """Of all that the service lost, the part that was lost here."""

    n: int


class Located(NamedTuple):
    """What sits at one place."""

    kind: Place
    entity: str
    """The machine, or the service whose copies or builds differ."""

    name: str
    """The machine, the copy or the build."""

    parts: tuple[Concentrated, ...]
    whole: float
    """Part of all that was lost anywhere, from 0 to 1."""

    host: str | None = None
    """The machine that a copy runs on, where it is known."""


def located(tree: Calls, period: np.ndarray, births: pl.DataFrame | None = None) -> list[Located]:
    """Places that hold most of what some services lost, the weightiest first.

    Args:
        tree: the calls.
        period: of each row: 2 the incident, 0 and 1 references, -1 neither.
        births: `instance` and `time` of copies that logs say have begun anew, if any do.
    """
    if not any(tree.frame[name].n_unique() > 1 for name in ("host", "instance", "version")):
        return []
    losses = _losses(tree, period)
    if losses.is_empty():
        return []
    found = [
        *_hosts(losses),
        *_copies(losses),
        *_builds(losses),
        *_beginners(losses, tree, period, births),
    ]
    ranked = sorted(found, key=lambda one: (-one.whole, one.entity, one.name))
    return [one._replace(host=_machine(tree, one)) for one in ranked]


def _machine(tree: Calls, one: Located) -> str | None:
    if one.kind == "host":
        return one.name
    if one.kind != "instance":
        return None
    mine = tree.frame.filter((pl.col("service") == one.entity) & (pl.col("instance") == one.name))
    return mine["host"].drop_nulls().mode().sort().first() if mine.height else None  # type: ignore[return-value]


def machine_of(entity: str, found: Sequence[Located], least: float = 0.3) -> str | None:
    """The machine of the copy in which a service loses most of what it loses; None where copies are alike."""
    mine = [one for one in found if one.kind == "instance" and one.entity == entity]
    return next((one.host for one in mine if one.host is not None and one.whole > least), None)


def from_places(found: Sequence[Located]) -> list[Signal]:
    """What speaks for machines, and for copies and builds of services."""
    told = []
    for one in found:
        wire = all(part.wire for part in one.parts)
        modes = PLACE_MODES["wire" if wire and one.kind in ("host", "instance") else one.kind]
        told.append(
            Signal(
                one.entity,
                f"one_{one.kind}",
                _WORTH * one.whole,
                modes,
                _statement(one),
                one.whole,
                one.whole,
            )
        )
    return told


def excused_by_places(signals: Sequence[Signal], found: Sequence[Located]) -> list[Signal]:
    """The signals, those of services less what they lost on one machine together with others."""
    excuse: dict[str, float] = {}
    for one in found:
        if one.kind == "host":
            for part in one.parts:
                excuse[part.service] = max(excuse.get(part.service, 0.0), part.share)
    return [
        one._replace(weight=one.weight * (1 - _EXCUSED * excuse.get(one.entity, 0.0)))
        if one.name in _SERVICES_LOSS
        else one
        for one in signals
    ]


def _statement(one: Located) -> str:
    part = max(one.parts, key=lambda x: x.lost)
    names = ", ".join(sorted({x.service for x in one.parts})[:4])
    if part.failures:
        told = f"{part.here:.0%} of invocations fail there, {part.elsewhere:.0%} elsewhere"
    else:
        told = f"{part.here:.3g} ms longer there, {max(part.elsewhere, 0.0):.3g} ms elsewhere"
    way = " on the way" if part.wire else ""
    if one.kind == "host":
        return f"{names} lose{way} on {one.name} and hardly anywhere else ({part.service}: {told})"
    if one.kind == "young":
        return f"copies of {names} that have just begun are slow ({told})"
    what = {"instance": "copy", "version": "build"}.get(one.kind, one.kind)
    return f"{names} loses{way} in {what} {one.name} and hardly in the others ({told})"


_LOSSES = {
    "service": pl.String,
    "host": pl.String,
    "instance": pl.String,
    "version": pl.String,
    "time": pl.Float64,
    "age": pl.Float64,
    "usual": pl.Float64,
    "loss": pl.Float64,
    "wire": pl.Boolean,
    "failures": pl.Boolean,
}


def _losses(tree: Calls, period: np.ndarray) -> pl.DataFrame:
    """One row an invocation of the incident and kind of loss: where it ran and what it lost.

    A call's gap counts once for each of its ends.
    """
    n = len(tree.parent)
    entry = tree.entry == np.arange(n)
    more = beyond_usual(tree, period)
    crossing = np.flatnonzero(entry & (tree.parent >= 0))
    owner = tree.parent[crossing]
    single = ~entry[owner] & (tree.children[owner] == 1)
    gap = np.zeros(n, dtype=bool)
    gap[owner[single]] = True
    own = np.bincount(tree.entry, weights=np.where(gap, 0.0, more), minlength=n)
    usual = np.bincount(
        tree.entry, weights=np.where(gap, 0.0, np.maximum(tree.own - more, 0.0)), minlength=n
    )
    now = np.flatnonzero(entry & (period == 2))
    parts = [_rows(tree, now, own[now], usual[now], wire=False, failures=False)]
    passed = passing_on(tree, outgoing(tree))
    bad = failed_spans(tree) & entry
    bad[passed] = False
    if bad[now].any():
        parts.append(
            _rows(tree, now, bad[now].astype(float), np.ones(len(now)), wire=False, failures=True)
        )
    calls = crossing[single & (period[owner] == 2)]
    if len(calls):
        lost, length = more[tree.parent[calls]], tree.duration[calls]
        parts.append(_rows(tree, calls, lost, length, wire=True, failures=False))
        parts.append(_rows(tree, tree.parent[calls], lost, length, wire=True, failures=False))
    return pl.concat(parts)


def _rows(
    tree: Calls,
    rows: np.ndarray,
    loss: np.ndarray,
    usual: np.ndarray,
    *,
    wire: bool,
    failures: bool,
) -> pl.DataFrame:
    frame = tree.frame.select("service", "host", "instance", "version", "time")[rows]
    begun = tree.frame.group_by("service", "instance").agg(pl.col("time").min().alias("begun"))
    told = frame.join(begun, on=["service", "instance"], how="left", maintain_order="left")
    return told.select(
        "service",
        "host",
        "instance",
        "version",
        "time",
        (pl.col("time") - pl.col("begun")).alias("age"),
        pl.Series("usual", usual),
        pl.Series("loss", loss),
        pl.lit(wire).alias("wire"),
        pl.lit(failures).alias("failures"),
    )


def _concentrated(losses: pl.DataFrame, place: str) -> list[Concentrated]:
    """Every (service, place) that loses what the service's other places do not."""
    known = losses.filter(pl.col(place).is_not_null())
    kinds = ["service", "wire", "failures"]
    # One freak invocation is no place's fault.
    top = pl.col("loss").quantile(0.99).over(kinds)
    cut = known.with_columns(
        pl.when("failures").then("loss").otherwise(pl.min_horizontal("loss", top)).alias("loss")
    )
    by = cut.group_by(*kinds, place).agg(
        pl.len().alias("n"),
        pl.col("loss").sum().alias("sum"),
        (pl.col("loss") ** 2).sum().alias("square"),
        pl.col("usual").median().alias("usual"),
    )
    columns = ("n", "sum", "square")
    both = by.with_columns(
        *(pl.col(c).sum().over(kinds).alias(f"all_{c}") for c in columns)
    ).with_columns(*((pl.col(f"all_{c}") - pl.col(c)).alias(f"other_{c}") for c in columns))
    both = both.filter((pl.col("n") >= _FEW) & (pl.col("other_n") >= _FEW))
    mean, other = pl.col("sum") / pl.col("n"), pl.col("other_sum") / pl.col("other_n")
    var = (pl.col("square") / pl.col("n") - mean**2).clip(lower_bound=0) / pl.col("n")
    other_var = (pl.col("other_square") / pl.col("other_n") - other**2).clip(
        lower_bound=0
    ) / pl.col("other_n")
    # A pseudo-failure keeps a place without any from being known exactly.
    noise = (
        var + other_var + pl.when("failures").then(0.25 / pl.col("n") ** 2).otherwise(1e-12)
    ).sqrt()
    least = pl.when("failures").then(0.05).otherwise(_NOTED * pl.col("usual"))
    chosen = both.with_columns(mean.alias("here"), other.alias("elsewhere")).filter(
        ((mean - other) > _APART * noise)
        & (mean > _MANIFOLD * other.clip(lower_bound=0))
        & (mean - other > least)
    )
    share = pl.col("sum") / (pl.col("sum") + pl.col("other_sum").clip(lower_bound=0))
    rows = chosen.with_columns(share.clip(0, 1).alias("share")).sort(
        "service", place, "wire", "failures"
    )
    return [
        Concentrated(
            r["service"],
            r[place],
            r["wire"],
            r["failures"],
            r["here"],
            r["elsewhere"],
            r["sum"],
            r["share"],
            r["n"],
        )
        for r in rows.iter_rows(named=True)
    ]


def _total(losses: pl.DataFrame, *, failures: bool) -> float:
    """All that was lost: by invocations, and on the way, where each call is there twice."""
    rows = losses.filter(pl.col("failures") == failures)
    sums = rows.group_by("service", "wire").agg(pl.col("loss").sum().clip(lower_bound=0))
    part = pl.when("wire").then(0.5).otherwise(1.0)
    return float(sums.select((pl.col("loss") * part).sum()).item() or 0.0)


def _whole(parts: Sequence[Concentrated], losses: pl.DataFrame) -> float:
    """The larger part of all lost time, or of all failures, that sits in the parts."""
    best = 0.0
    for failures in (False, True):
        mine = [x.lost * (0.5 if x.wire else 1.0) for x in parts if x.failures == failures]
        total = _total(losses, failures=failures)
        if mine and total > 0:
            best = max(best, min(sum(mine) / total, 1.0))
    return best


def _hosts(losses: pl.DataFrame) -> Iterator[Located]:
    """Machines on which several services lose, or all there are."""
    served = losses.filter(~pl.col("wire") & ~pl.col("failures") & pl.col("host").is_not_null())
    crowd = served.group_by("host", "service").len().filter(pl.col("len") >= _FEW)
    on: dict[str, set[str]] = {}
    for host, service in crowd.select("host", "service").iter_rows():
        on.setdefault(host, set()).add(service)
    spread = set(
        crowd.group_by("service")
        .agg(pl.len().alias("hosts"))
        .filter(pl.col("hosts") > 1)["service"]
    )
    by_host: dict[str, list[Concentrated]] = {}
    for one in _concentrated(losses, "host"):
        by_host.setdefault(one.place, []).append(one)
    for host, parts in by_host.items():
        hit = {one.service for one in parts}
        # A service that runs nowhere else cannot tell its machine from itself.
        others = (on.get(host, set()) & spread) - hit
        if len(hit) >= 2 and len(hit) >= len(others):
            yield Located("host", host, host, tuple(parts), _whole(parts, losses))


def _copies(losses: pl.DataFrame) -> Iterator[Located]:
    """Copies of a service that lose while the others do not."""
    return _within(losses, "instance")


def _builds(losses: pl.DataFrame) -> Iterator[Located]:
    """Builds of a service that lose while the others, at the same time, do not."""
    return _within(losses, "version")


def _within(losses: pl.DataFrame, kind: Literal["instance", "version"]) -> Iterator[Located]:
    places: dict[tuple[str, str], list[Concentrated]] = {}
    for one in _concentrated(losses, kind):
        places.setdefault((one.service, one.place), []).append(one)
    for (service, place), parts in places.items():
        yield Located(kind, service, place, tuple(parts), _whole(parts, losses))


def _beginners(
    losses: pl.DataFrame, tree: Calls, period: np.ndarray, births: pl.DataFrame | None
) -> Iterator[Located]:
    """Services whose new copies lose as long as they are young."""
    before = set(
        tree.frame.filter(pl.Series((period == 0) | (period == 1)))["instance"].drop_nulls()
    )
    fresh = ~pl.col("instance").is_in(list(before)) & (pl.col("age") < _YOUNG)
    if births is not None and births.height:
        # A copy that keeps its name when it is replaced is as young as its last beginning.
        losses = losses.sort("time").join_asof(
            births.sort("time").with_columns(pl.col("time").alias("born")),
            on="time",
            by="instance",
            strategy="backward",
            check_sortedness=False,
        )
        fresh |= (pl.col("time") - pl.col("born")).fill_null(np.inf) < _WARMING
    aged = losses.filter(pl.col("instance").is_not_null()).with_columns(
        pl.when(fresh).then(pl.lit("young")).otherwise(pl.lit("old")).alias("stage")
    )
    for one in _concentrated(aged, "stage"):
        if one.place == "young":
            yield Located("young", one.service, "young", (one,), _whole((one,), losses))
