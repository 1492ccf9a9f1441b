"""Choosing what to hit, and moving values about: shared by the injector families."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._registry import Dosage, InjectionError
from ruleout.prevention.inject._scene import Mask, Scene


def pick_feature(
    scene: Scene, rng: np.random.Generator, dosage: Dosage, among: Iterable[str], what: str
) -> str:
    """Choose the target, or a feature that matters among `among`.

    Raises:
        InjectionError: when the system has no such feature.
    """
    if dosage.target:
        return dosage.target[0]
    names = [n for n in among if n in scene.inputs]
    if not names:
        raise InjectionError(f"{scene.base.name} has no {what} feature to hit; name a target")
    weight = np.array([max(scene.base.importance.get(n, 0.0), 0.0) for n in names])
    weight = weight**1.5 + 1e-4 * max(weight.max(), 1e-9)
    return str(names[int(rng.choice(len(names), p=weight / weight.sum()))])


def blend(old: pl.Series, new: pl.Series, mask: Mask) -> pl.Series:
    """Take `new` for the rows of `mask` (n,), `old` elsewhere; the wider of both types."""
    if old.dtype != new.dtype:
        wide = pl.DataFrame({"a": old.head(1), "b": new.head(1)})
        kind = wide.select(pl.coalesce("a", "b")).to_series().dtype
        old, new = old.cast(kind), new.cast(kind)
    return new.zip_with(pl.Series(mask), old).alias(old.name)


def values(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A numeric column (n,) as float64, null as NaN."""
    return frame[name].cast(pl.Float64).to_numpy().astype(np.float64)


def as_series(old: pl.Series, new: NDArray[np.float64], *, keep_int: bool = False) -> pl.Series:
    """Turn float64 values into a series like `old`; integers stay integers where they are whole."""
    series = pl.Series(old.name, new, dtype=pl.Float64, strict=False).fill_nan(None)
    if old.dtype.is_integer() and (keep_int or bool((series.drop_nulls() % 1 == 0).all())):
        return series.round().cast(old.dtype, strict=False)
    return series


def levels(frame: pl.DataFrame, name: str) -> list[str]:
    """The distinct values of a column as text, commonest first."""
    counted = (
        frame.select(pl.col(name).cast(pl.String).alias("v"))
        .drop_nulls()
        .group_by("v")
        .len()
        .sort(["len", "v"], descending=[True, False])
    )
    return [str(v) for v in counted["v"].to_list()]


def grown_set(text: pl.Series, order: Iterable[str], share: float) -> Mask:
    """Rows (n,) of the first values of `order` that together make up at least `share`."""
    chosen: list[str] = []
    for value in order:
        chosen.append(value)
        if text.is_in(chosen).sum() >= share * text.len():
            break
    found: Mask = text.is_in(chosen).fill_null(value=False).to_numpy()
    return found


def start(scene: Scene, dosage: Dosage) -> float | None:
    """Epoch seconds at which the fault begins."""
    return dosage.schedule.start(scene.base, scene.seen)
