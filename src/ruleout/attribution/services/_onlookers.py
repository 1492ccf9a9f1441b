"""Who only looks on: a probe, a load generator or a client's side beside the path, which tells what the front end tells.

It has no part in the known calls, and measures nothing but answers; what it sees is the symptom itself once more.
It can be at fault for the measurement, never for the incident.
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._scene import Observed

_ANSWERS = frozenset({"latency", "error", "availability", "traffic", "other"})
"""Kinds of what can be seen of a service from outside."""

_SAME = 0.25
"""Part of the larger of two levels by which an onlooker's may differ from that of whom it looks at."""

_MOSTLY = 0.75
"""Part of the measures that both have that must tell the same."""

_MEMBERS = 3
_MOST = 0.6
"""So many members a sum has, and the part of its growth that one of them has for the sum to say nothing more."""

_FEW = 2
_MANY = 3
"""So many measures both must have, and more where nobody told who calls whom."""

_Levels = dict[str, tuple[float, float]]


def onlookers(seen: Observed) -> dict[str, str]:
    """Whom each onlooker looks at. Onlookers are entities beside every known call that measure answers alone, and the same ones as somebody at work.

    Where calls are known, whom they look at is somebody that nobody calls, or that raised the alarm; else anybody
    who measures what work takes: a processor, memory, what waits.
    """
    placed = {name for edge in seen.edges for name in edge} | set(seen.telemetry.kinds)
    placed |= set(seen.tree.services) if seen.tree is not None else set()
    kinds: dict[str, set[str]] = {}
    for name, kind in seen.departed.select("entity", "kind").iter_rows():
        kinds.setdefault(name, set()).add(kind)
    working = {name for name, found in kinds.items() if not found <= _ANSWERS}
    if seen.edges:
        called = {callee for _, callee in seen.edges}
        fronts = {n for n in placed & set(kinds) if n not in called}
        fronts |= {seen.incident.symptom.entity or ""} & placed
    else:
        fronts = working
    beside = set(kinds) - placed - seen.machines - working
    levels = _levels(seen, beside | fronts)
    least = _FEW if seen.edges else _MANY
    found = {}
    for name in sorted(beside):
        front = next((n for n in sorted(fronts) if _alike(levels[name], levels[n], least)), None)
        if front is not None:
            found[name] = front
    return found


def beside_the_path(seen: Observed) -> set[str]:
    """Who only judges outcomes, and who only adds up what others measure: neither takes part in any known call.

    A judge that scores answers has the symptom, and nothing that could bring it about; a fleet's total is its members',
    where one of them has most of what it grew by.
    """
    if not seen.edges:
        return set()
    placed = {name for edge in seen.edges for name in edge} | set(seen.telemetry.kinds)
    placed |= set(seen.tree.services) if seen.tree is not None else set()
    spec = seen.incident.symptom
    told = {spec.metric, *seen.incident.telemetry.kpis}
    found = set()
    for (name,), rows in seen.departed.group_by("entity", maintain_order=True):
        if name in placed or name in seen.machines or not told & set(rows["metric"]):
            continue
        judges = set(rows["kind"]) == {"other"} and rows["clue"].ne_missing("limit").all()
        if judges or (name == spec.entity and _is_sum(seen.departed, str(name), spec.metric)):
            found.add(str(name))
    return found


def outcomes(seen: Observed) -> set[str]:
    """Who stands for what users get: the alarm's entity and its like, in measures of answers that nobody at work has.

    A business service or a journey is served by components that are measured in other words; it has no part in the
    known calls, and nothing of its own that could fail.
    """
    vocabulary = {
        str(name): frozenset(rows["metric"])
        for (name,), rows in seen.departed.group_by("entity", maintain_order=True)
    }
    alarmed = seen.incident.symptom.entity
    mine = vocabulary.get(alarmed or "", frozenset())
    placed = {name for edge in seen.edges for name in edge}
    placed |= set(seen.tree.services) if seen.tree is not None else set()
    if len(mine) < _FEW or alarmed in placed or not {kind_of(m) for m in mine} <= _ANSWERS:
        return set()
    like = {name for name, found in vocabulary.items() if found <= mine} - placed
    components = set(vocabulary) - like
    apart = all(not vocabulary[name] & mine for name in components)
    return like if apart and len(components) >= _MANY else set()


def _is_sum(departed: pl.DataFrame, name: str, metric: str | None) -> bool:
    """Whether an entity's measure is the sum of others', most of whose growth is one's."""
    rows = departed.filter((pl.col("metric") == metric) & pl.col("about").is_null())
    mine, others = (
        rows.filter(one) for one in (pl.col("entity") == name, pl.col("entity") != name)
    )
    if mine.height != 1 or others.height < _MEMBERS:
        return False
    grown = others["middle_now"] - others["level"]
    total = float(grown.sum())
    sums = _near(float(others["middle_now"].sum()), float(mine["middle_now"][0]))
    return sums and total != 0 and max(float(one) / total for one in grown) >= _MOST


def _levels(seen: Observed, names: Collection[str]) -> dict[str, _Levels]:
    """Usual level and level now of what each entity measures of requests."""
    rows = seen.departed.filter(pl.col("entity").is_in(sorted(names)) & pl.col("about").is_null())
    found: dict[str, _Levels] = {name: {} for name in names}
    for name, metric, level, now in rows.select("entity", "metric", "level", "now").iter_rows():
        if kind_of(metric) != "other":
            found[name][metric] = level, now
    return found


def _alike(one: _Levels, other: _Levels, least: int) -> bool:
    """Whether most of what two entities both measure has the same levels, before and during the incident."""
    both = sorted(set(one) & set(other))
    same = [m for m in both if all(_near(a, b) for a, b in zip(one[m], other[m], strict=True))]
    return len(both) >= least and len(same) >= _MOSTLY * len(both)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= _SAME * max(abs(one), abs(other))
