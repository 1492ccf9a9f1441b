"""How much of what stretches of rows show is a window's usual variation: by the reference, and by what has a time."""

from __future__ import annotations

import math

import numpy as np

from ruleout.profile import Case, Which
from ruleout.stats._boosting import Floats
from ruleout.stats._bootstrap import block_count, contiguous_blocks
from ruleout.stats._crossfit import cross_fit

_ROWS = 12_000
_LEAST = 200
_MOST = 9.0
"""Variance between stretches, of what inputs leave open, that an order without a time can claim: as so many times chance's."""

_SURE = 1.5
"""Forty stretches tell their variance within a half: the current ones must exceed the reference's by more to be unusual."""


def spread_beside_usual(case: Case) -> float:
    """Standard deviation of the current window as the reference's stretches have it, as a share in (0, 1] of its own.

    A fault that comes and goes, or repeats rows, makes stretches of the current window differ. That is what is
    to be found, not how much windows usually vary.
    """
    if not (case.labelled("reference") and case.labelled("current")):
        return 1.0
    usual, now = (_inflation(_known(case, w)) for w in ("reference", "current"))
    return min(1.0, math.sqrt(_SURE * usual / now))


def spread_beside_order(case: Case) -> float:
    """Standard deviation that chance gives a window, as a share in (0, 1] of what its stretches of rows show.

    Rows sorted by place, by key or by hour differ from stretch to stretch because their inputs do. That says
    nothing of how windows differ, unless the order is a time. So what inputs foretell of the loss (cross-fitted on the
    reference) counts as drawn row by row; only the serial dependence of what they leave open counts as it is, up
    to a bound. 1 where rows have times or too few have labels.
    """
    if case.reference.time is not None or not case.labelled("reference"):
        return 1.0
    loss = case.loss("reference")
    rows = np.flatnonzero(np.isfinite(loss))
    rows = rows[:: max(1, math.ceil(len(rows) / _ROWS))]
    shown = _inflation(loss[rows])
    if len(rows) < _LEAST or shown == 1.0:
        return 1.0
    x, categorical = case.encode(case.reference.frame)
    if not x.shape[1]:
        return math.sqrt(min(1.0, _MOST / shown))
    foretold, _ = cross_fit(
        x[rows], loss[rows], x[:0], rng=case.rng("symptom order"), categorical=categorical
    )
    left = loss[rows] - foretold
    open_ = min(1.0, float(left.var()) / float(loss[rows].var()))
    serial = min(_inflation(left), _MOST)
    return min(1.0, math.sqrt((1.0 - open_ + open_ * serial) / shown))


def _known(case: Case, which: Which) -> Floats:
    loss = case.loss(which)
    return np.asarray(loss[np.isfinite(loss)])


def _inflation(values: Floats) -> float:
    """Variance that means of contiguous blocks of `values` (n,) show, over chance's; at least 1."""
    blocks = block_count(len(values))
    if len(values) < _LEAST or values.var() <= 0:
        return 1.0
    index = contiguous_blocks(len(values), blocks)
    count = np.bincount(index, minlength=blocks)
    means = np.bincount(index, weights=values, minlength=blocks) / count
    between = float((count * (means - values.mean()) ** 2).sum()) / (blocks - 1)
    return max(1.0, between / float(values.var()))
