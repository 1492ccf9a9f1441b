"""Row weights that take a change of the class mix out of a comparison."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case

Floats = NDArray[np.float64]

_HEAVIEST = 8.0


class Balance(NamedTuple):
    """Weights of sampled rows under which both windows have the same classes."""

    reference: Floats
    """(m,) weights, mean 1 over rows that count; 0 where the class is gone now."""

    current: Floats
    """(n,) 1 for rows of classes that the reference has (or of unknown class), else 0."""

    conditioned: bool
    """Whether labels were there to balance by."""


def balance(case: Case, before: NDArray[np.int64], now: NDArray[np.int64]) -> Balance:
    """Weigh reference rows `before` so that their classes are as common as in current rows `now`.

    Classes come from the labels: served answers would carry the fault into the comparison. Without
    labels in both windows all weights are 1.
    """
    plain = Balance(np.ones(len(before)), np.ones(len(now)), conditioned=False)
    truths = case.truth("reference"), case.truth("current")
    if len(case.classes) < 2 or truths[0].dtype.kind == "f":
        return plain
    old, new = truths[0][before].astype(np.int64), truths[1][now].astype(np.int64)
    if not len(old) or not len(new) or min((old >= 0).mean(), (new >= 0).mean()) < 0.5:
        return plain
    size = len(case.classes)
    counts_old = np.bincount(old[old >= 0], minlength=size)
    counts_new = np.bincount(new[new >= 0], minlength=size)
    shared = (counts_old >= 3) & (counts_new > 0)
    ratio = np.where(shared, counts_new / np.maximum(counts_old, 1), 0.0)
    weight = np.where(old >= 0, ratio[old], 0.0)
    if not weight.any():
        return plain
    weight = np.minimum(weight / weight[weight > 0].mean(), _HEAVIEST)
    kept = np.where(new >= 0, shared[new], True)
    return Balance(weight, kept.astype(float), conditioned=True)
