"""Block bootstrap over sums, so that a resample costs one small matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def contiguous_blocks(rows: int, blocks: int) -> NDArray[np.int64]:
    """Block number (rows,) of each row: `blocks` runs of near equal length, in order."""
    return np.arange(rows, dtype=np.int64) * blocks // max(rows, 1)


def block_count(rows: int) -> int:
    """How many blocks to cut `rows` into: long enough to hold autocorrelation, enough to resample."""
    return int(np.clip(rows // 50, 4, 40))


def resampled(sums: Floats, resamples: int, rng: np.random.Generator) -> Floats:
    """Sums (resamples, m) of blocks drawn with replacement from `sums` (blocks, m)."""
    blocks = len(sums)
    draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    return np.asarray(draws @ sums)
