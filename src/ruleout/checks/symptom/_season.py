"""How much of a window's variation is the clock's: hours and weekdays that both windows went through alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case, Which
from ruleout.stats._bootstrap import block_count, contiguous_blocks
from ruleout.stats._calendar import DAY, calendar_indicators

Floats = NDArray[np.float64]
_SHARE = 0.25
"""The clock may bring at most this share of the change, or it is no mere noise but a candidate for the cause."""

_LEAST = 200


class _Side(NamedTuple):
    time: Floats
    loss: Floats
    rows: NDArray[np.int64]
    total: int


def spread_beside_season(case: Case) -> float:
    """Standard deviation of the windows' block means of the loss once hours and weekdays are taken out, as a share in (0, 1].

    A weekend that is always bad makes blocks of a week differ, but not one whole week from the next.
    Levels of two-hour bins and weekdays are fitted to both windows at once (least squares, one
    intercept a window), with the degrees of freedom that they cost. 1 where there are no times or
    labels, or where the windows do not hold the same hours and weekdays, as far as the loss knows.
    """
    sides = [_side(case, which) for which in ("reference", "current")]
    if sides[0] is None or sides[1] is None:
        return 1.0
    before, now = sides[0], sides[1]
    days = (float(before.time.max()) - float(before.time.min())) / DAY
    columns = [calendar_indicators(side.time, days) for side in (before, now)]
    width = columns[0].shape[1]
    blocks = [block_count(side.total) for side in (before, now)]
    if width == 0 or sum(blocks) <= 2 * width + 2:
        return 1.0
    x = np.concatenate(columns)
    window = np.r_[np.zeros(len(before.loss)), np.ones(len(now.loss))]
    y = np.r_[before.loss, now.loss]
    design = np.column_stack([1 - window, window, x])
    beta = np.linalg.lstsq(design.T @ design + 1e-9 * np.eye(design.shape[1]), design.T @ y)[0][2:]
    moved = abs(float((columns[1].mean(axis=0) - columns[0].mean(axis=0)) @ beta))
    if moved > _SHARE * abs(float(now.loss.mean() - before.loss.mean())):
        return 1.0
    raw = rest = 0.0
    for side, part, count in zip((before, now), columns, blocks, strict=True):
        raw += _between(side, side.loss, count)
        rest += _between(side, side.loss - part @ beta, count)
    cost = sum(blocks) / (sum(blocks) - width)
    return min(1.0, math.sqrt(rest * cost / raw)) if raw > 0 else 1.0


def _side(case: Case, which: Which) -> _Side | None:
    time = case.table(which).time
    if time is None or not case.labelled(which):
        return None
    loss = case.loss(which)
    rows = np.flatnonzero(np.isfinite(loss) & np.isfinite(time))
    if len(rows) < _LEAST:
        return None
    return _Side(time[rows], loss[rows], rows.astype(np.int64), len(loss))


def _between(side: _Side, values: Floats, blocks: int) -> float:
    """Variance of the mean of `values` (n,) over resampled blocks, in its units squared."""
    index = contiguous_blocks(side.total, blocks)[side.rows]
    count = np.bincount(index, minlength=blocks).astype(float)
    gaps = np.bincount(index, weights=values - values.mean(), minlength=blocks)
    return float((gaps**2).sum()) / max(float(count.sum()) ** 2, 1.0)
