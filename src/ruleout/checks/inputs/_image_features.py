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
    """The central part of (n, s, s, 3) thumbnails, enlarged to full size by repeating pixels."""
    side = x.shape[1]
    margin = round(side * (1.0 - keep) / 2.0)
    place = margin + (np.arange(side) * (side - 2 * margin)) // side
    return np.asarray(x[:, place][:, :, place])


def letterbox(x: Floats) -> Floats:
    """Thumbnails squeezed to three quarters of their height between black bars."""
    side = x.shape[1]
    band = side * 3 // 4
    place = (np.arange(band) * side) // band
    out = np.zeros_like(x)
    top = (side - band) // 2
    out[:, top : top + band] = x[:, place]
    return out


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

TONES = ("dark", "bright", "low_contrast", "high_contrast", "gamma_dark", "gamma_bright")
FRAMING = ("crop", "letterbox", "shift")

_TURNS = ("rotate_90", "rotate_270")


def features(thumbs: Floats, edge: Floats) -> Floats:
    """(n, 193): an 8 x 8 colour thumbnail and the balance of horizontal against vertical edges."""
    cell = SIDE // _CELLS
    small = thumbs.reshape(len(thumbs), _CELLS, cell, _CELLS, cell, 3).mean(axis=(2, 4))
    return np.hstack([small.reshape(len(small), -1) / 64.0 - 2.0, 3.0 * edge[:, None]])


def sound(sample: ImageSample) -> NDArray[np.bool_]:
    """(m,) images that decode and are not blank."""
    blank = sample.statistics["blank"]
    return np.asarray((sample.statistics["decoded"] > 0) & (np.nan_to_num(blank, nan=1.0) == 0))


def own_features(sample: ImageSample) -> Floats:
    """Features of a sample of sound images as they are."""
    return features(sample.thumbnails.astype(float), sample.statistics["edge_orientation"])


def damaged_views(sample: ImageSample) -> dict[str, Floats]:
    """Features of the reference's sound images under each damage, `AS_IS` first."""
    thumbs = sample.thumbnails.astype(float)
    edge = sample.statistics["edge_orientation"]
    views = {AS_IS: features(thumbs, edge)}
    for name, damage in DAMAGES.items():
        views[name] = features(damage(thumbs), -edge if name in _TURNS else edge)
    return views


def undone_features(sample: ImageSample, name: str) -> Floats:
    """Features of current images after the inverse of an exact damage."""
    edge = sample.statistics["edge_orientation"]
    thumbs = EXACT[name][1](sample.thumbnails.astype(float))
    return features(thumbs, -edge if name in _TURNS else edge)
