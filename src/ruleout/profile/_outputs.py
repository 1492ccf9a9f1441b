"""What a model answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outputs:
    """The answers for n rows."""

    decision: NDArray[np.generic]
    """(n,) int32 codes into the classes (-1 unknown), or float64 for regression (NaN unknown)."""

    score: Floats | None = None
    """(n,) probability of the positive class, or a ranking score; None if not logged."""

    scores: Floats | None = None
    """(n, K) class probabilities in the order of the classes; None if not logged."""

    def take(self, rows: NDArray[np.generic]) -> Outputs:
        """The answers of some rows, by mask or index."""
        return Outputs(
            self.decision[rows],
            None if self.score is None else self.score[rows],
            None if self.scores is None else self.scores[rows],
        )

    def where(self, rows: NDArray[np.bool_], other: Outputs) -> Outputs:
        """These answers, with `other`'s in the masked rows."""
        return Outputs(
            np.where(rows, other.decision, self.decision),
            _merge(rows, self.score, other.score),
            _merge(rows, self.scores, other.scores),
        )


def _merge(rows: NDArray[np.bool_], mine: Floats | None, other: Floats | None) -> Floats | None:
    if mine is None or other is None:
        return None
    mask = rows if mine.ndim == 1 else rows[:, None]
    return np.asarray(np.where(mask, other, mine))
