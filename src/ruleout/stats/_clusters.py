"""A few groups of rows that look alike, for columns that have no values to slice by.

Lloyd's k-means with k-means++ seeds (Arthur and Vassilvitskii 2007).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats


def k_means(
    x: Floats, clusters: int, *, rng: np.random.Generator, steps: int = 12
) -> tuple[NDArray[np.int64], Floats]:
    """Cluster of each row (n,) and the centres (k, F); fewer clusters when there are fewer distinct rows.

    Args:
        x: rows (n, F), finite.
        clusters: how many are wanted.
        rng: draws the seeds.
        steps: rounds at most.
    """
    centres = _seeds(x, min(clusters, len(x)), rng)
    nearest = np.zeros(len(x), dtype=np.int64)
    for step in range(steps):
        found = _distances(x, centres).argmin(axis=1)
        if step and (found == nearest).all():
            break
        nearest = found
        count = np.bincount(nearest, minlength=len(centres))
        for k in np.flatnonzero(count):
            centres[k] = x[nearest == k].mean(axis=0)
    return nearest, centres


def _seeds(x: Floats, clusters: int, rng: np.random.Generator) -> Floats:
    chosen = [int(rng.integers(len(x)))]
    distance = _distances(x, x[chosen])[:, 0]
    while len(chosen) < clusters and distance.sum() > 0:
        chosen.append(int(rng.choice(len(x), p=distance / distance.sum())))
        distance = np.minimum(distance, _distances(x, x[chosen[-1:]])[:, 0])
    return x[chosen].copy()


def _distances(x: Floats, centres: Floats) -> Floats:
    """Squared distances (n, k), never negative."""
    squares = (x**2).sum(axis=1)[:, None] - 2 * x @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0))
