"""Kernel ridge regression: what stands in for a model that reads images, texts or vectors.

Models on such inputs are smooth in many weak features at once, which trees on a few axes follow
poorly. Saunders, Gammerman and Vovk (1998); the width of the Gaussian kernel is taken from the median
distance, and width and ridge are chosen on rows held out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MOST_ROWS = 2_400
"""Rows that a straight line is learned from; the cost grows with their square."""

_MOST_ANCHORS = 1_600

_WIDE = 1_000
"""With more features than this a straight line in them is rich enough."""

_WIDTHS = (0.5, 2.0)
_RIDGES = (0.001, 0.01, 0.1)
_LINEAR_RIDGES = (0.1, 0.3, 1.0)
_CHUNK = 2_000
_SHARPNESS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_EXACT = 0.02
"""A line that leaves this little is not bettered."""


class Smooth(NamedTuple):
    """A fitted kernel machine."""

    centre: Singles
    """(r,) mean of the features."""

    anchors: Singles | None
    """(m, r) centred rows that it learned from; None for a straight line."""

    width: float
    """Inverse squared length scale of the Gaussian kernel; 0 for a straight line."""

    weights: Singles
    """(m, K), or (r, K) for a straight line."""

    base: Floats
    """(K,) mean answer."""

    def raw(self, x: NDArray[np.floating]) -> Floats:
        """(n, K) answers for (n, r) features; a missing feature counts as its mean."""
        out = np.empty((len(x), self.weights.shape[1]))
        for start in range(0, len(x), _CHUNK):
            rows = centred(x[start : start + _CHUNK], self.centre)
            if self.anchors is not None:
                rows = _gaussian(rows, self.anchors, self.width)
            out[start : start + _CHUNK] = rows @ self.weights
        return out + self.base


def fit(x: NDArray[np.floating], y: Floats, held: NDArray[np.bool_]) -> Smooth:
    """Learn y (n, K) from features x (n, r), NaN where missing, on the rows that are not held out.

    Raises:
        ValueError: when fewer than two rows are left to learn from, or none is held out.
    """
    learn = np.flatnonzero(~held)
    if len(learn) < 2 or not held.any():
        raise ValueError(
            f"needs rows to learn from and rows held out, got {len(learn)} of {len(x)}"
        )
    most = MOST_ROWS if x.shape[1] > _WIDE else _MOST_ANCHORS
    if len(learn) > most:
        learn = learn[np.linspace(0, len(learn) - 1, most).astype(np.int64)]
    known = np.isfinite(x[learn])
    total = np.where(known, x[learn], 0.0).sum(axis=0)
    centre = (total / np.maximum(known.sum(axis=0), 1)).astype(np.float32)
    base = y[learn].mean(axis=0)
    rows, target = centred(x[learn], centre), (y[learn] - base).astype(np.float32)
    unseen, truth = x[held][:_MOST_ANCHORS], y[held][:_MOST_ANCHORS]
    spread = float(((truth - base) ** 2).mean())
    best = Smooth(centre, None, 0.0, np.zeros((rows.shape[1], y.shape[1]), np.float32), base)
    least = spread
    for anchors, width, weights in _candidates(rows, target):
        if anchors is not None and least < _EXACT * spread:
            break
        machine = Smooth(centre, anchors, width, weights, base)
        left = float(((machine.raw(unseen) - truth) ** 2).mean())
        if left < least:
            best, least = machine, left
    return best


def class_shares(raw: Floats, truth: NDArray[np.int64]) -> tuple[float, Floats]:
    """The sharpness a and the log prior (K,) with which softmax(a * raw + prior) tells classes best.

    Args:
        raw: (n, K) what machines that never saw a row say of its classes.
        truth: (n,) the rows' classes.
    """
    count = np.bincount(truth, minlength=raw.shape[1]) + 0.5
    prior = np.log(count / count.sum())
    told = [
        (
            float(np.log(shares(raw, sharp, given * prior)[np.arange(len(raw)), truth]).mean()),
            sharp,
            given,
        )
        for sharp in _SHARPNESS
        for given in (0.0, 1.0)
    ]
    _, sharp, given = max(told)
    return sharp, np.asarray(given * prior)


def shares(raw: Floats, sharp: float, prior: Floats) -> Floats:
    """(n, K) probabilities: softmax of sharp * raw + prior, none below 0.1%."""
    logs = sharp * raw + prior
    each = np.exp(logs - logs.max(axis=1, keepdims=True)) + 1e-3
    return np.asarray(each / each.sum(axis=1, keepdims=True))


def centred(x: NDArray[np.floating], centre: Singles) -> Singles:
    """Features less their mean; missing ones become 0."""
    rows = x.astype(np.float32) - centre
    np.nan_to_num(rows, copy=False, nan=0.0)
    return rows


def _candidates(rows: Singles, target: Singles) -> Iterator[tuple[Singles | None, float, Singles]]:
    gram = rows @ rows.T
    eye = np.eye(len(rows), dtype=np.float32)
    unit = max(float(np.trace(gram)) / len(rows), 1e-12)
    for ridge in _LINEAR_RIDGES:
        yield None, 0.0, rows.T @ np.linalg.solve(gram + ridge * unit * eye, target)
    if rows.shape[1] > _WIDE:
        return
    size = np.diag(gram)
    apart = np.maximum(size[:, None] + size - 2.0 * gram, 0.0)
    middle = float(np.median(apart[:: max(1, len(apart) // 400)])) or 1.0
    for scale in _WIDTHS:
        near = np.exp(apart * np.float32(-scale / middle))
        for ridge in _RIDGES:
            yield rows, scale / middle, np.linalg.solve(near + np.float32(ridge) * eye, target)


def _gaussian(rows: Singles, anchors: Singles, width: float) -> Singles:
    """(n, m) Gaussian kernel of centred rows and anchors."""
    apart = (rows**2).sum(axis=1)[:, None] + (anchors**2).sum(axis=1) - 2.0 * rows @ anchors.T
    return np.asarray(np.exp(np.maximum(apart, 0.0) * np.float32(-width)))
