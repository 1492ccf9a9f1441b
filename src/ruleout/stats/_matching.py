"""One-to-one matching of least cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def assign(cost: Floats) -> NDArray[np.int64]:
    """Column (n,) assigned to each row of `cost` (n, m), n <= m, at least total cost.

    Shortest augmenting paths with potentials (Kuhn, 1955; Jonker and Volgenant, 1987).

    Raises:
        ValueError: for more rows than columns, or a cost that is not finite.
    """
    n, m = cost.shape
    if n > m:
        raise ValueError(f"cannot give {n} rows a column each of {m}")
    if not np.isfinite(cost).all():
        raise ValueError("costs must be finite; forbid a pair by a large cost")
    u, v = np.zeros(n + 1), np.zeros(m + 1)
    match = np.zeros(m + 1, dtype=np.int64)
    for row in range(1, n + 1):
        match[0], column = row, 0
        least, way = np.full(m + 1, np.inf), np.zeros(m + 1, dtype=np.int64)
        used = np.zeros(m + 1, dtype=bool)
        while True:
            used[column] = True
            here = match[column]
            reduced = cost[here - 1] - u[here] - v[1:]
            better = ~used[1:] & (reduced < least[1:])
            least[1:][better], way[1:][better] = reduced[better], column
            step = int(np.where(used[1:], np.inf, least[1:]).argmin()) + 1
            delta = least[step]
            u[match[used]] += delta
            v[used] -= delta
            least[~used] -= delta
            column = step
            if match[column] == 0:
                break
        while column:
            match[column] = match[way[column]]
            column = int(way[column])
    out = np.empty(n, dtype=np.int64)
    out[match[1:][match[1:] > 0] - 1] = np.flatnonzero(match[1:] > 0)
    return out
