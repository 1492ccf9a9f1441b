"""Blame along a causal graph: which mechanism moved the outcome, against worlds that are known to the letter."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ruleout.attribution import attribute_mechanisms
from ruleout.bench.attribution._peers import Peer
from ruleout.stats._boosting import Floats
from ruleout.stats._shapley import shapley

Blame = Mapping[str, tuple[float, bool | None]]
"""By node its part of the change, and whether its interval holds the true one; None without an interval."""

_ROWS, _EXACT = 6_000, 400_000
_LEAST = 0.25
"""Least change of the outcome's mean, in its standard deviations: a smaller one has shares that mean nothing."""

SHAPES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "chain": (("a", "b"), ("b", "c"), ("c", "y")),
    "fork": (("a", "b"), ("a", "c"), ("b", "y"), ("c", "y")),
    "diamond": (("a", "b"), ("a", "c"), ("b", "y"), ("c", "y"), ("a", "y")),
}


@dataclass(frozen=True, slots=True)
class World:
    """A structural model: each node is a sum over its parents, straight or bent, and noise."""

    edges: tuple[tuple[str, str], ...]
    slope: Mapping[tuple[str, str], float]
    bent: frozenset[tuple[str, str]]
    moved: Mapping[str, float]
    """By node whose mechanism moved: by how much, in standard deviations of its noise."""

    def draw(self, rows: int, moved: frozenset[str], rng: np.random.Generator) -> dict[str, Floats]:
        """Values (rows,) by node, with the mechanisms in `moved` as they are now."""
        values: dict[str, Floats] = {}
        for node in ("a", "b", "c", "y"):
            total = rng.normal(self.moved.get(node, 0.0) * (node in moved), 1.0, rows)
            for edge in self.edges:
                if edge[1] == node:
                    cause = values[edge[0]]
                    total = total + self.slope[edge] * (
                        np.tanh(cause) if edge in self.bent else cause
                    )
            values[node] = total
        return values


def worlds(many: int, seed: int) -> Iterator[tuple[str, World]]:
    """In turn of every shape, with one mechanism that moved, or two."""
    rng = np.random.default_rng(seed)
    shapes = list(SHAPES)
    for k in range(many):
        while True:
            world = _world(SHAPES[shapes[k % len(shapes)]], 1 + (k // len(shapes)) % 2, rng)
            both = [world.draw(_ROWS, frozenset(m), rng)["y"] for m in ((), world.moved)]
            if abs(both[1].mean() - both[0].mean()) > _LEAST * both[0].std():
                break
        yield shapes[k % len(shapes)], world


def _world(edges: tuple[tuple[str, str], ...], moved: int, rng: np.random.Generator) -> World:
    slope = {edge: float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)) for edge in edges}
    bent = frozenset(edge for edge in edges if rng.random() < 0.5)
    nodes = rng.choice(["a", "b", "c", "y"], moved, replace=False).tolist()
    return World(
        edges, slope, bent, {n: float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)) for n in nodes}
    )


def truth(world: World, seed: int) -> dict[str, float]:
    """Shapley values of the mechanisms, on so many rows that they are exact; the same noise in every one."""
    nodes = ("a", "b", "c", "y")

    def worth(coalition: frozenset[int]) -> float:
        rng = np.random.default_rng(seed)
        moved = frozenset(nodes[k] for k in coalition)
        return float(world.draw(_EXACT, moved, rng)["y"].mean())

    shares = shapley(len(nodes), worth, rng=np.random.default_rng(seed))
    return dict(zip(nodes, shares.tolist(), strict=True))


def run(many: int, seed: int, peers: Sequence[Peer] = ()) -> pl.DataFrame:
    """One row for each world, method and mechanism; shares of the change of the outcome's mean."""
    rows: list[dict[str, object]] = []
    for number, (shape, world) in enumerate(worlds(many, seed)):
        rng = np.random.default_rng([seed, number])
        windows = [world.draw(_ROWS, frozenset(m), rng) for m in ((), world.moved)]
        true = truth(world, number)
        whole = sum(true.values())
        started = time.process_time()
        told = attribute_mechanisms(windows[0], windows[1], world.edges, "y", rng=rng)
        used = {"ruleout": time.process_time() - started}
        answers: dict[str, Blame] = {
            "ruleout": {m.node: (m.value, m.low <= true[m.node] <= m.high) for m in told},
            "largest drift": _drift(windows[0], windows[1]),
        }
        for peer in peers:
            said = peer.ask(lambda folder, w=windows, e=world.edges: write_case(w, e, folder))  # type: ignore[misc]
            for method, parts in (said.answer or {}).items():
                used[method] = parts["seconds"]
                answers[method] = {node: (parts.get(node, 0.0), None) for node in true}
        rows += [
            {
                "case": number,
                "shape": shape,
                "method": method,
                "node": node,
                "moved": node in world.moved,
                "many": len(world.moved),
                "true": true[node] / whole,
                "told": said[node][0] / whole,
                "held": said[node][1],
                "seconds": used.get(method, 0.0),
            }
            for method, said in answers.items()
            for node in true
        ]
    return pl.DataFrame(rows, infer_schema_length=None)


def write_case(
    windows: Sequence[Mapping[str, Floats]], edges: Sequence[tuple[str, str]], folder: Path
) -> None:
    """What a peer reads: the nodes of both windows, and the graph that ends in `y`."""
    for name, nodes in zip(("reference", "current"), windows, strict=True):
        pl.DataFrame(dict(nodes)).write_parquet(folder / f"{name}.parquet")
    (folder / "edges.json").write_text(json.dumps(edges), encoding="utf-8")


def _drift(before: Mapping[str, Floats], after: Mapping[str, Floats]) -> Blame:
    """The change to whom drifted farthest, in standard deviations: what a table of drift scores suggests."""
    score = {n: abs(after[n].mean() - before[n].mean()) / before[n].std() for n in before}
    first = max(score, key=lambda n: score[n])
    whole = float(after["y"].mean() - before["y"].mean())
    return {n: (whole if n == first else 0.0, None) for n in before}


def by_method(told: pl.DataFrame) -> pl.DataFrame:
    """Whether the mechanism that moved is named first, how right shares are, and what is said of those that did not move."""
    size = pl.col("told").abs()
    cases = told.group_by("method", "case", maintain_order=True).agg(
        pl.col("many").first(),
        pl.col("moved").sort_by(size, descending=True).first().alias("first"),
        (pl.col("told") - pl.col("true")).abs().max().alias("worst"),
        (pl.col("told") - pl.col("true")).abs().mean().alias("error"),
        size.filter(~pl.col("moved")).max().alias("others"),
        pl.col("held").filter(pl.col("moved")).cast(pl.Float64).mean(),
        pl.col("seconds").first(),
    )
    return cases.group_by("method", maintain_order=True).agg(
        pl.col("first").filter(pl.col("many") == 1).mean().alias("the one that moved is first"),
        (pl.col("others") <= 0.05).mean().alias("no blame above 5 points for others"),
        pl.col("error").mean().alias("mean error of a share"),
        (pl.col("worst") <= 0.10).mean().alias("all shares within 10 points"),
        pl.col("held").mean().alias("90% intervals of those that moved hold"),
        pl.col("seconds").mean().alias("CPU s a case"),
    )
