"""Current rows whose vectors have no neighbours in the reference: nobody knows what a model would have answered there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case
from ruleout.profile._embedding import embedding_statistics
from ruleout.profile._unstructured import embeddings, space

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEAST_SHARE = 0.05
_LEAST_VECTORS = 60


def foreign(case: Case) -> Mask:
    """Current rows (n,) with a vector outside the reference's space, if there are more than a few; cached."""
    if "foreign" not in case.cache:
        found = np.zeros(case.current.rows, dtype=bool)
        for name in case.of_kind("embedding"):
            if case.reference.has(name) and case.current.has(name):
                _mark(case, name, found)
        case.cache["foreign"] = found
    told: Mask = case.cache["foreign"]
    return told


def _mark(case: Case, name: str, found: Mask) -> None:
    before, now = embeddings(case, "reference", name), embeddings(case, "current", name)
    if min(len(before.rows), len(now.rows)) < _LEAST_VECTORS:
        return
    fitted = space(case, name)
    odd = outlandish(
        embedding_statistics(before.vectors, fitted, own=True),
        embedding_statistics(now.vectors, fitted),
    )
    if odd.mean() > _LEAST_SHARE:
        found[now.rows[odd]] = True


def outlandish(old: dict[str, Floats], new: dict[str, Floats]) -> Mask:
    """Vectors (n,) without a neighbour in the reference, or of a length that it did not have."""
    low, high = (float(np.nanquantile(old["norm"], q)) for q in (0.001, 0.999))
    odd = new["nearest"] < np.nanquantile(old["nearest"], 0.01)
    return np.asarray(odd | (new["norm"] < low / 1.3) | (new["norm"] > high * 1.3))
