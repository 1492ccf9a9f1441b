"""Features in which damage to images shows, and the reference seen under each known damage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ruleout.profile._image import SIDE, ImageSample
from ruleout.stats._picture import EXACT, grayscale
from ruleout.stats._views import AS_IS

Floats = NDArray[np.float64]

_CELLS = 8

MIRROR = "flip_horizontal"
"""Most pictures look as natural in the mirror: this view may take over the undamaged one's mass."""


def _scaled(factor: float) -> Callable[[Floats], Floats]:
    return lambda x: np.clip(x * factor, 0.0, 255.0)


def _contrast(factor: float) -> Callable[[Floats], Floats]:
    return lambda x: np.clip(128.0 + (x - 128.0) * factor, 0.0, 255.0)


def _gamma(power: float) -> Callable[[Floats], Floats]:
    return lambda x: 255.0 * (np.clip(x, 0.0, 255.0) / 255.0) ** power


def zoom(x: Floats, keep: float = 0.5) -> Floats:
    """The central part of (n, s, s, 3) thumbnails, enlarged to full size."""
    side = x.shape[1]
    edge = side * (1.0 - keep) / 2.0
    table = _overlaps(np.linspace(edge, side - edge, side + 1), side)
    return _resampled(x, table, table)


def letterbox(x: Floats, band: float = 0.75) -> Floats:
    """Thumbnails squeezed to a share of their height between black bars."""
    side = x.shape[1]
    reach = (np.arange(side + 1) - side / 2.0) / band + side / 2.0
    return _resampled(x, _overlaps(reach, side), np.eye(side))


def _overlaps(edges: Floats, side: int) -> Floats:
    """(n, side) share of each cell between two edges that lies in each old pixel."""
    low = np.maximum(edges[:-1, None], np.arange(side))
    high = np.minimum(edges[1:, None], np.arange(side) + 1)
    return np.asarray(np.clip(high - low, 0.0, None) / np.diff(edges)[:, None])


def _resampled(x: Floats, rows: Floats, columns: Floats) -> Floats:
    tall = np.einsum("sh,nhwc->nswc", rows, x, optimize=True)
    return np.asarray(np.einsum("sw,nhwc->nhsc", columns, tall, optimize=True))


def shifted(x: Floats) -> Floats:
    """Thumbnails moved by a quarter to the right and down, their edge repeated."""
    place = np.maximum(np.arange(x.shape[1]) - x.shape[1] // 4, 0)
    return np.asarray(x[:, place][:, :, place])


DAMAGES: dict[str, Callable[[Floats], Floats]] = {
    **{name: damage for name, (damage, _) in EXACT.items() if not name.startswith("trans")},
    "grayscale": grayscale,
    "dark": _scaled(0.55),
    "bright": _scaled(1.6),
    "low_contrast": _contrast(0.5),
    "high_contrast": _contrast(1.7),
    "gamma_dark": _gamma(1.8),
    "gamma_bright": _gamma(0.55),
    "crop": zoom,
    "letterbox": letterbox,
    "shift": shifted,
}
"""Damages that show on thumbnails of (n, 16, 16, 3) numbers in 0..255."""


def features(thumbs: Floats) -> Floats:
    """(n, 192): an 8 x 8 colour thumbnail.

    Nothing else: what is measured on full pictures (edges, sharpness) cannot be undone on
    thumbnails.
    """
    cell = SIDE // _CELLS
    small = thumbs.reshape(len(thumbs), _CELLS, cell, _CELLS, cell, 3).mean(axis=(2, 4))
    return np.asarray(small.reshape(len(small), -1) / 64.0 - 2.0)


def sound(sample: ImageSample) -> NDArray[np.bool_]:
    """(m,) images that decode and are not blank."""
    blank = sample.statistics["blank"]
    return np.asarray((sample.statistics["decoded"] > 0) & (np.nan_to_num(blank, nan=1.0) == 0))


def own_features(sample: ImageSample) -> Floats:
    """Features of a sample of sound images as they are."""
    return features(sample.thumbnails.astype(float))


def damaged_views(sample: ImageSample) -> dict[str, Floats]:
    """Features of the reference's sound images under each damage, `AS_IS` first."""
    views = {AS_IS: own_features(sample)}
    views.update({name: damaged_features(sample, name) for name in DAMAGES})
    return views


def damaged_features(sample: ImageSample, name: str) -> Floats:
    """Features of sound images under one damage of `DAMAGES`."""
    return features(DAMAGES[name](sample.thumbnails.astype(float)))


def undone_features(sample: ImageSample, name: str) -> Floats:
    """Features of current images after the inverse of an exact damage."""
    return features(EXACT[name][1](sample.thumbnails.astype(float)))
