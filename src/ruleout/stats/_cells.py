"""Cells between edges, and quantiles, of long columns: the same answers as numpy's, several times sooner.

A search that branches on random values mispredicts half of its steps; one that adds up comparisons does not.
Sorting a column once costs less than selecting some thirty of its quantiles.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FEW_VALUES = 256
_MOST_EDGES = 1023
_CHUNK = 8192
"""Values that are placed at a time, so that what is in between stays near the processor."""


def cells(
    edges: Floats, values: Floats, side: Literal["left", "right"] = "right"
) -> NDArray[np.int64]:
    """Cell (n,) of each of `values` (n,) between increasing `edges` (K,), as `np.searchsorted` numbers them.

    Args:
        edges: increasing, free of NaN.
        values: free of NaN.
        side: where a value goes that equals an edge: `right` of it or `left`.
    """
    if len(values) < _FEW_VALUES or len(edges) > _MOST_EDGES:
        return np.asarray(np.searchsorted(edges, values, side=side), dtype=np.int64)
    size = 1 << len(edges).bit_length()
    padded = np.full(size, np.nan)  # nothing lies at or beyond NaN
    padded[: len(edges)] = edges
    found = np.empty(len(values), dtype=np.int64)
    beyond = np.greater_equal if side == "right" else np.greater
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        found[start : start + _CHUNK] = _halved(padded, part, beyond)
    return found


def _halved(padded: Floats, values: Floats, beyond: Any) -> NDArray[np.int64]:
    step = len(padded) // 2
    place: NDArray[np.int64] = beyond(values, padded[step - 1]).astype(np.int64) * step
    while step > 1:
        step //= 2
        place += beyond(values, padded[step - 1 :].take(place)).astype(np.int64) * step
    return place


def quantiles(values: Floats, probs: Floats) -> Floats:
    """Quantiles (K,) of `values` (n,), n > 0 and free of NaN, at `probs` (K,): `np.quantile`'s, by one sort."""
    ordered = np.sort(values)
    exact = np.asarray(probs) * (len(ordered) - 1)
    before = np.floor(exact).astype(np.int64)
    low, high = ordered[before], ordered[np.minimum(before + 1, len(ordered) - 1)]
    part = exact - before
    step = high - low
    return np.asarray(np.where(part < 0.5, low + step * part, high - step * (1 - part)))
