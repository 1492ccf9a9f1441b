"""What the report draws of the path: the graph with its blame, the aligned series, the critical path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._records import ServiceHypothesis
from ruleout.attribution.services._scene import Observed

_NODES = 24
_POINTS = 120
_PIECES = 24


def charts(
    seen: Observed, ranking: Sequence[tuple[str, float]], top: ServiceHypothesis | None
) -> Mapping[str, Any]:
    """Charts by their place in the report; those without data are left out."""
    made: dict[str, Any] = {}
    graph = _graph(seen, ranking, top)
    if graph is not None:
        made["graph"] = graph
    series = _series(seen, ranking, top)
    if series is not None:
        made["series"] = series
    if seen.tree is not None:
        spans = _spans(seen.tree, seen.period)
        if spans is not None:
            made["spans"] = spans
    return made


def _graph(
    seen: Observed, ranking: Sequence[tuple[str, float]], top: ServiceHypothesis | None
) -> dict[str, Any] | None:
    if not seen.edges:
        return None
    blame = dict(ranking)
    way = list(top.chain) if top else []
    symptom = seen.incident.symptom.entity
    degree: dict[str, int] = {}
    for caller, callee in seen.edges:
        degree[caller] = degree.get(caller, 0) + 1
        degree[callee] = degree.get(callee, 0) + 1
    wanted = [*way, *([symptom] if symptom else []), *(name for name, _ in ranking[:8])]
    wanted += sorted(degree, key=lambda name: (-degree[name], name))
    shown = list(dict.fromkeys(name for name in wanted if name in degree))[:_NODES]
    nodes = [
        {
            "id": name,
            "kind": seen.telemetry.kinds.get(name, "service"),
            "role": _role(name, way, symptom),
            "score": round(blame.get(name, 0.0), 4),
        }
        for name in shown
    ]
    edges = [
        [caller, callee, round(min(blame.get(callee, 0.0), 1.0), 4)]
        for caller, callee in sorted(seen.edges)
        if caller in shown and callee in shown
    ]
    return {
        "kind": "graph",
        "title": "Who calls whom, and where the blame flows from",
        "nodes": [{k: v for k, v in node.items() if v is not None} for node in nodes],
        "edges": edges,
    }


def _role(name: str, way: Sequence[str], symptom: str | None) -> str | None:
    if way and name == way[0]:
        return "root_cause"
    if name == symptom:
        return "symptom"
    return "consequence" if name in way else None


def _series(
    seen: Observed, ranking: Sequence[tuple[str, float]], top: ServiceHypothesis | None
) -> dict[str, Any] | None:
    """The strongest series of every entity on the chain, on one axis of time."""
    entities = list(top.chain[:-1] if seen.incident.symptom.metric else top.chain) if top else []
    entities += [name for name, _ in ranking[:3]]
    picks = _picks(seen, list(dict.fromkeys(entities))[:6])
    if not picks:
        return None
    start, end = seen.windows.current
    begin = max(start - (end - start), min(low for low, _ in seen.windows.reference))
    if any(low > end for low, _ in seen.windows.reference):
        begin = start
    grid = np.linspace(begin, end, _POINTS + 1)
    rows = [row for entity, metric in picks if (row := _row(seen, entity, metric, grid))]
    if not rows:
        return None
    return {
        "kind": "series",
        "title": "What departed along the chain, in order",
        "times": [float(t) for t in grid[:-1]],
        "rows": rows,
        "mark": seen.start.at if seen.start else start,
    }


def _picks(seen: Observed, entities: Sequence[str]) -> list[tuple[str, str]]:
    spec = seen.incident.symptom
    picks = []
    for entity in entities:
        rows = seen.departed.filter((pl.col("entity") == entity) & (pl.col("score") > 0.3))
        if rows.height:
            best = rows.sort("score", "metric", descending=[True, False])
            picks.append((entity, str(best["metric"][0])))
    if spec.entity and spec.metric:
        picks.append((spec.entity, spec.metric))
    return list(dict.fromkeys(picks))


def _row(seen: Observed, entity: str, metric: str, grid: np.ndarray) -> dict[str, Any] | None:
    rows = seen.telemetry.metrics.filter(
        (pl.col("entity") == entity) & (pl.col("metric") == metric)
    )
    time, value = rows["time"].to_numpy(), rows["value"].to_numpy()
    inside = (time >= grid[0]) & (time < grid[-1])
    if not inside.any():
        return None
    bins = np.digitize(time[inside], grid) - 1
    count = np.bincount(bins, minlength=_POINTS)[:_POINTS]
    total = np.bincount(bins, weights=value[inside], minlength=_POINTS)[:_POINTS]
    values = [float(t / c) if c else None for t, c in zip(total, count, strict=True)]
    return {"entity": entity, "metric": metric, "values": values}


def _spans(tree: Calls, period: np.ndarray) -> dict[str, Any] | None:
    """The pieces of a typical request of the operation that lost most time, before and now."""
    roots = np.flatnonzero(tree.parent < 0)
    names = tree.frame["name"].to_numpy()
    best, gain = None, 0.0
    for name in np.unique(names[roots]):
        mine = roots[names[roots] == name]
        now, usual = mine[period[mine] == 2], mine[(period[mine] == 0) | (period[mine] == 1)]
        if len(now) < 3 or len(usual) < 3:
            continue
        more = (np.median(tree.duration[now]) - np.median(tree.duration[usual])) * len(now)
        if best is None or more > gain:
            best, gain = (now, usual), float(more)
    if best is None:
        return None
    now, usual = best
    return {
        "kind": "spans",
        "title": "A typical request before and now",
        "reference": _pieces(tree, _typical(tree, usual)),
        "current": _pieces(tree, _typical(tree, now)),
    }


def _typical(tree: Calls, roots: np.ndarray) -> int:
    order = roots[np.argsort(tree.duration[roots], kind="stable")]
    return int(order[len(order) // 2])


def _pieces(tree: Calls, root: int) -> list[dict[str, Any]]:
    """The spans of one request that take longest, by start."""
    rows = [root]
    frontier = np.array([root])
    while len(frontier) and len(rows) < 2000:
        frontier = np.flatnonzero(np.isin(tree.parent, frontier))
        rows += [int(row) for row in frontier]
    longest = sorted(rows, key=lambda row: -tree.duration[row])[:_PIECES]
    start = tree.frame["start"].to_numpy()
    return [
        {
            "service": tree.services[int(tree.service[row])],
            "operation": str(tree.frame["name"][row]),
            "start_ms": round(float(start[row] - start[root]) / 1e6, 3),
            "duration_ms": round(float(tree.duration[row]), 3),
        }
        for row in sorted(longest, key=lambda row: (start[row], row))
    ]
