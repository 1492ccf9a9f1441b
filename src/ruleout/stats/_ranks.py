"""Ranks with ties at their middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def middle_ranks(values: Floats) -> Floats:
    """Ranks (n,) from 0.5 to n - 0.5 of finite values, equal ones sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - 0.5 * counts)[inverse], dtype=np.float64)
