"""When and for whom a fault is on: step, ramp, pulse, a share of entities, one host or slice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._scene import Base, Mask


@dataclass(frozen=True, slots=True)
class Schedule:
    """A fault's extent in time and over entities; the default is every row of the window."""

    onset: float = 0.0
    """Share of the window that passes before it begins."""

    end: float = 1.0
    """Share of the window after which it is over."""

    ramp: bool = False
    """Grow from nobody at the onset to everybody at the end."""

    share: float = 1.0
    """Share of entities that are hit, chosen by a hash of the entity's key."""

    column: str | None = None
    """Only rows where this column ..."""

    values: tuple[str, ...] = ()
    """... has one of these values, as text."""

    def mask(self, base: Base, frame: pl.DataFrame, rng: np.random.Generator) -> Mask:
        """Say which rows of `frame` (n,) are hit."""
        place = _place(base, frame)
        hit: Mask = (place >= self.onset) & (place <= self.end)
        if self.ramp:
            grown = (place - self.onset) / max(self.end - self.onset, 1e-9)
            hit &= rng.random(len(place)) < grown
        if self.share < 1.0:
            hit &= _hashed(frame[base.key]) < self.share
        if self.column is not None:
            hit &= frame[self.column].cast(pl.String).is_in(list(self.values)).to_numpy()
        return hit

    def start(self, base: Base, frame: pl.DataFrame) -> float | None:
        """Epoch seconds of the onset."""
        seconds = base.seconds(frame)
        if not len(seconds):
            return None
        return float(seconds.min() + self.onset * (seconds.max() - seconds.min()))


def _place(base: Base, frame: pl.DataFrame) -> NDArray[np.float64]:
    seconds = base.seconds(frame)
    if not len(seconds):
        return seconds
    first, last = seconds.min(), seconds.max()
    placed: NDArray[np.float64] = (seconds - first) / max(last - first, 1e-9)
    return placed


def _hashed(keys: pl.Series) -> NDArray[np.float64]:
    """Map entity keys to [0, 1) the same way on every machine."""
    values = keys.cast(pl.String).fill_null("")
    table = {
        v: int.from_bytes(hashlib.blake2b(v.encode(), digest_size=6).digest(), "big") / 2**48
        for v in values.unique().to_list()
    }
    return np.array([table[v] for v in values.to_list()], dtype=np.float64)
