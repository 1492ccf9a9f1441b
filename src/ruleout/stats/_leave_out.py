"""Least squares of every column on all the others, from one decomposition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class LeaveOut:
    """Ridge regressions of columns of one matrix on the rest of its columns.

    With G = X'X + ridge I and P its inverse, the regression on all columns outside a set O follows from
    blocks of P alone (the inverse of a block matrix), so that p regressions cost one inversion, not p.
    """

    def __init__(self, x: Floats, ridge: float) -> None:
        """Take rows `x` (n, p) and the penalty `ridge` > 0."""
        self._gram = x.T @ x
        self._ridge = ridge
        self._sums = x.sum(axis=0)
        self._rows = len(x)
        self._inverse = np.linalg.inv(self._gram + ridge * np.eye(x.shape[1]))

    def coefficients(self, column: int, out: NDArray[np.bool_]) -> Floats:
        """Coefficients (p,) of the rest of the columns for the centred `column`; zero where `out` (p,)."""
        outside = np.flatnonzero(out)
        block = self._inverse[:, outside]
        mean = self._sums[column] / self._rows
        sums = np.where(out, 0.0, self._sums)
        # Both right-hand sides, G[:, column] and the column sums, solved on the block outside O.
        wanted = np.where(out, 0.0, self._gram[:, column] - mean * sums)
        solved = self._inverse @ wanted
        solved -= block @ np.linalg.solve(block[outside], solved[outside])
        return np.where(out, 0.0, solved)
