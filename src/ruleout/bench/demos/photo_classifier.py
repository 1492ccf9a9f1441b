"""The shop's category classifier: names the product in a photograph.

`ruleout demo` copies this file into the incident's folder, beside the weights of its two versions, so
that the model can be replayed and taken apart: `python:photo_classifier:v7` in `incident.yaml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ruleout.profile._pixels import decode

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
CLASSES = ("handbag", "lamp", "mug", "shirt", "sneaker", "watch")
CELL = 4
"""The network sees the mean colour of cells of CELL x CELL pixels."""


def v6(rows: pl.DataFrame) -> Floats:
    """Probabilities (n, 6) of `CLASSES` by the previous version."""
    return _answer(rows, "weights_v6.npz")


def v7(rows: pl.DataFrame) -> Floats:
    """Probabilities (n, 6) of `CLASSES` by the current version."""
    return _answer(rows, "weights_v7.npz")


def _answer(rows: pl.DataFrame, weights: str) -> Floats:
    pictures = [decode(data) for data in rows["photo"].to_list()]
    out = np.full((len(pictures), len(CLASSES)), np.nan)
    seen = [i for i, picture in enumerate(pictures) if picture is not None]
    if seen:
        stack = np.stack([p.pixels for p in pictures if p is not None])
        with np.load(Path(__file__).parent / weights) as saved:
            out[seen] = classify(stack, dict(saved))
    return out


def classify(pixels: NDArray[np.uint8], weights: dict[str, NDArray[np.float32]]) -> Floats:
    """Probabilities (n, 6) for photographs (n, h, w, 3): one hidden layer over coarse colours."""
    hidden = np.maximum(see(pixels) @ weights["inner"] + weights["inner_bias"], 0)
    raw = (hidden @ weights["outer"] + weights["outer_bias"]).astype(np.float64)
    raw = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def see(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the network sees of photographs (n, h, w, 3): mean colours of cells, (n, d)."""
    n, height, width, _ = pixels.shape
    cells = pixels.reshape(n, height // CELL, CELL, width // CELL, CELL, 3)
    sums = cells.sum(axis=2, dtype=np.float32).sum(axis=3)
    return np.asarray(sums.reshape(n, -1) / (CELL * CELL) / 128 - 1)
