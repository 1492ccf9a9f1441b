"""Rows and values that come late or more than once: stale features and fan-out."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.prevention.inject._choose import blend, pick_feature, start
from ruleout.prevention.inject._registry import Dosage, injector
from ruleout.prevention.inject._scene import Mask, Scene, Truth


@injector("stale_features", variants=("lag", "hold", "entity", "frozen"))
def stale_features(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Serve the columns of one source as they were some rows, one refresh or one visit ago."""
    names = _fresh_columns(scene, rng, dosage)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    rows = _old_rows(scene, mask, rng, dosage)
    moved = {n: blend(scene.seen[n], scene.seen[n].gather(rows), mask) for n in names}
    source, columns = scene.base.source_of(names[0])
    return scene.see(moved).blame(
        Truth(
            "stale_features",
            "feature",
            tuple(names),
            accepted=(("source", (source,)), ("feature", columns)),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
            without_parity=("concept_drift",) if dosage.variant in {"lag", "entity"} else (),
        )
    )


def _fresh_columns(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> list[str]:
    if dosage.target:
        return list(dosage.target)
    among = [n for n in (*scene.base.numeric, *scene.base.categorical) if n not in scene.base.hours]
    first = pick_feature(scene, rng, dosage, among, "tabular")
    together = [n for n in scene.base.source_of(first)[1] if n in among and n in scene.inputs]
    return together if rng.random() < 0.6 and first in together else [first]


def _old_rows(
    scene: Scene, mask: Mask, rng: np.random.Generator, dosage: Dosage
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The row (n,) whose value each row gets; rows are in order of time."""
    n = scene.seen.height
    here = np.arange(n, dtype=np.int64)
    if dosage.variant == "lag":
        return np.maximum(here - int(rng.integers(20, 400)), 0)
    if dosage.variant == "hold":
        every = int(rng.integers(30, 60 + int(600 * dosage.dose)))
        return (here // every) * every
    if dosage.variant == "frozen":
        first = int(np.argmax(mask))
        return np.full(n, first, dtype=np.int64)
    keys = scene.seen[scene.base.key]
    before = pl.DataFrame({"k": keys, "i": here}).select(pl.col("i").shift(1).over("k")).to_series()
    # An entity without an earlier visit gets what the store holds for its neighbour in the cache.
    return before.fill_null(pl.Series(np.maximum(here - 50, 0))).to_numpy().astype(np.int64)


@injector("join_fanout", variants=("slice", "keys"))
def join_fanout(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Repeat rows of some keys two to five times under the same id, as a join on a broken key."""
    answers = scene.answers().decision
    truth = scene.recorded.to_numpy()
    if scene.base.task == "regression":
        hard = np.abs(answers - truth.astype(np.float64))
    else:
        names = np.array([str(c) for c in scene.base.classes], dtype=object)
        hard = (names[answers] != scene.recorded.cast(pl.String).to_numpy()).astype(np.float64)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    column, values = _hard_slice(scene, hard, keys=dosage.variant == "keys")
    inside = mask & scene.seen[column].cast(pl.String).is_in(values).to_numpy()
    times = np.ones(len(mask), dtype=np.int64)
    times[inside] += rng.integers(1, 2 + int(4 * dosage.dose), size=int(inside.sum()))
    rows = np.repeat(np.arange(len(mask), dtype=np.int64), times)
    return scene.take(rows).blame(
        Truth(
            "join_fanout",
            "pipeline",
            (),
            accepted=(
                ("feature", (scene.base.id,)),
                ("source", ()),
                ("segment", (column, *values[:20])),
                ("none", ()),
            ),
            onset=start(scene, dosage),
            notes=f"{column} in {', '.join(values[:20])}",
        )
    )


def _hard_slice(
    scene: Scene, loss: np.ndarray[tuple[int], np.dtype[np.float64]], *, keys: bool
) -> tuple[str, list[str]]:
    """The column and values (at most half of the rows) where the model does worst."""
    best: tuple[float, str, list[str]] = (-1.0, scene.base.host, [])
    overall = float(np.nanmean(loss))
    columns = (*scene.base.segments, *scene.base.categorical)
    for column in [scene.base.key] if keys else list(columns):
        table = (
            pl.DataFrame({"v": scene.seen[column].cast(pl.String), "l": loss})
            .drop_nulls("v")
            .group_by("v")
            .agg(pl.col("l").mean(), pl.len().alias("n"))
            .filter(pl.col("n") > 3)
            .sort(["l", "v"], descending=[True, False])
        )
        chosen = table.filter(pl.col("n").cum_sum() <= len(loss) * 0.45)
        if chosen.is_empty():
            continue
        n, mean = float(chosen["n"].sum()), float((chosen["l"] * chosen["n"]).sum())
        gain = (mean / n - overall) * np.sqrt(n)
        if gain > best[0] and chosen.height <= 4000:
            best = (gain, column, [str(v) for v in chosen["v"].to_list()])
    return best[1], best[2]
