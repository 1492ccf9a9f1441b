"""Planted slices: found by `ruleout`, and by peers that look for rows where the error is high."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.bench.attribution._peers import Peer
from ruleout.stats._boosting import Floats
from ruleout.stats._slices import find_slices

Bins = NDArray[np.int64]
Ranges = Mapping[int, tuple[int, int]]
"""Column -> its lowest and highest bin; a conjunction."""

_ROWS, _RANGED, _NAMED = 20_000, 6, 4
_SAME = 0.7
"""Rows in both of rows in either (Jaccard), from which a slice is the planted one."""


class Planted(NamedTuple):
    """Two windows of binned rows with the slice whose error rose by 0.25 to 0.4."""

    conditions: Ranges
    also_hard: bool
    """Whether another slice has a high error in both windows alike."""

    reference: tuple[Bins, Floats]
    current: tuple[Bins, Floats]


def planted(many: int, seed: int) -> Iterator[Planted]:
    """`many` cases with one, two and three conditions in turn, every second with another slice that was always hard."""
    rng = np.random.default_rng(seed)
    for number in range(many):
        yield _plant(1 + number % 3, rng, also_hard=(number // 3) % 2 == 1)


def _plant(depth: int, rng: np.random.Generator, *, also_hard: bool) -> Planted:
    columns = rng.choice(_RANGED + _NAMED, depth + 1, replace=False).tolist()
    conditions = {c: _condition(c, rng) for c in columns[:depth]}
    hard = {columns[depth]: _condition(columns[depth], rng)}
    rise = rng.uniform(0.25, 0.4)
    sides = []
    for now in (False, True):
        parts = [rng.integers(0, 4, (_ROWS, _RANGED)), rng.integers(0, 5, (_ROWS, _NAMED))]
        bins = np.concatenate(parts, axis=1)
        level = np.full(_ROWS, 0.1)
        level += 0.35 * inside(bins, hard) * also_hard
        level += rise * inside(bins, conditions) * now
        sides.append((bins, (rng.random(_ROWS) < level).astype(float)))
    return Planted(conditions, also_hard, sides[0], sides[1])


def _condition(column: int, rng: np.random.Generator) -> tuple[int, int]:
    """One of four ranges, or one of five values: what every method can say in one condition."""
    low = int(rng.integers(0, 5 if column >= _RANGED else 4))
    return low, low


def inside(bins: Bins, conditions: Ranges) -> NDArray[np.bool_]:
    """Rows (n,) that meet all conditions."""
    kept = np.ones(len(bins), dtype=bool)
    for column, (low, high) in conditions.items():
        kept &= (bins[:, column] >= low) & (bins[:, column] <= high)
    return kept


def ours(case: Planted) -> list[Ranges]:
    """What `find_slices` says, worst first."""
    ordered = np.arange(_RANGED + _NAMED) < _RANGED
    found = find_slices(case.reference, case.current, ordered, rng=np.random.default_rng(0))
    return [{c.column: (c.low, c.high) for c in s.conditions} for s in found]


def write_case(case: Planted, folder: Path) -> None:
    """What a peer reads: bins `b0`, ... and the error of each row of both windows."""
    for name, (bins, error) in (("reference", case.reference), ("current", case.current)):
        table = pl.DataFrame({f"b{k}": bins[:, k] for k in range(bins.shape[1])})
        table.with_columns(pl.Series("error", error)).write_parquet(folder / f"{name}.parquet")


def run(many: int, seed: int, peers: Sequence[Peer] = ()) -> pl.DataFrame:
    """One row for each case and method."""
    rows = []
    for case in planted(many, seed):
        started = time.process_time()
        told = ours(case)
        rows.append(_row(case, "ruleout", told, time.process_time() - started))
        for peer in peers:
            said = peer.ask(lambda folder, case=case: write_case(case, folder))  # type: ignore[misc]
            ranges = [
                {int(c): (int(r[0]), int(r[1])) for c, r in s.items()} for s in said.answer or []
            ]
            rows.append(_row(case, peer.name, ranges, said.seconds))
    return pl.DataFrame(rows)


def _row(
    case: Planted, method: str, told: Sequence[Ranges], seconds: float
) -> dict[str, str | int | bool | float]:
    wanted = inside(case.current[0], case.conditions)
    same = [_overlap(wanted, inside(case.current[0], s)) >= _SAME for s in told[:5]]
    return {
        "method": method,
        "conditions": len(case.conditions),
        "also hard": case.also_hard,
        "first": bool(same and same[0]),
        "found": any(same),
        "seconds": seconds,
    }


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def by_method(told: pl.DataFrame) -> pl.DataFrame:
    """Share of the planted slices that came first, or among five, by number of conditions."""
    among = [
        pl.col("found").filter(pl.col("conditions") == k).mean().alias(f"found at {k}")
        for k in (1, 2, 3)
    ]
    return told.group_by("method", maintain_order=True).agg(
        *among,
        pl.col("first").filter(~pl.col("also hard")).mean().alias("named first"),
        pl.col("first")
        .filter(pl.col("also hard"))
        .mean()
        .alias("named first beside one always hard"),
        pl.col("seconds").mean().alias("CPU s a case"),
    )
