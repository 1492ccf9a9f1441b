"""All that images, texts, vectors and the columns beside them can tell a kernel machine."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile._case import Case
from ruleout.profile._table import code_array, numeric_array

Singles = NDArray[np.float32]

_BESIDE = 0.3
"""Weight of an ordinary column: a whole text has length 1."""

_MOST_CODES = 64
_FARTHEST = 4.0


class Wide:
    """Turns rows of a case's inputs into many features, scaled by the reference."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._scales: dict[str, tuple[float, float]] = {}
        for name in case.of_kind("numeric", "datetime"):
            values = case.reference.numeric(name)
            known = values[np.isfinite(values)]
            middle, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
            self._scales[name] = middle, spread or 1.0

    def of(self, frame: pl.DataFrame) -> Singles:
        """(n, r) features of n rows; NaN where missing."""
        blocks = [self._block(frame, name) for name in self._case.features]
        found = [block for block in blocks if block is not None]
        return np.hstack(found) if found else np.empty((frame.height, 0), np.float32)

    def _block(self, frame: pl.DataFrame, name: str) -> Singles | None:
        fitted = self._case.representations.get(name)
        if fitted is not None:
            return np.asarray(fitted.wide(frame.get_column(name)), dtype=np.float32)
        if name in self._scales:
            middle, spread = self._scales[name]
            far = (numeric_array(frame, name) - middle) / spread
            far = _BESIDE * np.clip(far, -_FARTHEST, _FARTHEST)
            return np.asarray(far[:, None], dtype=np.float32)
        if self._case.kind(name) != "categorical":
            return None
        words = self._case.vocabulary(name)
        if len(words) > _MOST_CODES:
            return None
        codes = code_array(frame, name, words)
        return np.asarray(_BESIDE * (codes[:, None] == np.arange(len(words))), dtype=np.float32)
