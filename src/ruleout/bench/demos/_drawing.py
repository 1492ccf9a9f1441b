"""Small product photographs, drawn: a thing on a table, in the light and noise of a phone camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SIDE = 48
"""Photographs are (SIDE, SIDE, 3)."""

_EDGE = np.float32(1.6 / SIDE)
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class _View:
    """Coordinates of every pixel in the thing's own frame, (n, SIDE, SIDE), y downwards."""

    x: Floats
    y: Floats
    vary: Floats
    """Three proportions of each thing, (3, n, 1, 1), each in -1..1."""

    def box(self, cx: float, cy: float, w: Floats | float, h: Floats | float, r: float) -> Floats:
        """Signed distance to a rounded box with half sides `w` and `h`."""
        dx, dy = np.abs(self.x - cx) - w + r, np.abs(self.y - cy) - h + r
        outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
        return np.asarray(outside + np.minimum(np.maximum(dx, dy), 0) - r, dtype=np.float32)

    def disc(self, cx: float, cy: float, rx: Floats | float, ry: Floats | float) -> Floats:
        """Approximate signed distance to an ellipse."""
        scaled = np.hypot((self.x - cx) / rx, (self.y - cy) / ry) - 1
        return np.asarray(scaled * np.minimum(rx, ry), dtype=np.float32)

    def ring(self, cx: float, cy: float, rx: float, ry: float, thick: float) -> Floats:
        """Signed distance to the band of half width `thick` along an ellipse."""
        return np.asarray(np.abs(self.disc(cx, cy, rx, ry)) - thick, dtype=np.float32)

    def trapeze(self, cy: float, top: Floats | float, bottom: Floats | float, h: float) -> Floats:
        """Signed distance to an upright trapeze of half height `h`."""
        along = np.clip((self.y - cy + h) / (2 * h), 0, 1)
        half = top + (bottom - top) * along
        return np.asarray(np.maximum(np.abs(self.x) - half, np.abs(self.y - cy) - h), np.float32)


Layers = tuple[Floats, Floats]
"""Signed distances to the body of a thing and to its accent."""


def _mug(v: _View) -> Layers:
    body = v.box(-0.1, 0.0, 0.36 + 0.06 * v.vary[0], 0.42 + 0.08 * v.vary[1], 0.1)
    return np.minimum(body, v.ring(0.34, 0.0, 0.2, 0.24, 0.055)), v.disc(-0.1, -0.4, 0.34, 0.08)


def _sneaker(v: _View) -> Layers:
    upper = np.minimum(
        v.disc(0.22, 0.14, 0.42, 0.22 + 0.04 * v.vary[0]), v.box(-0.28, 0.0, 0.28, 0.34, 0.12)
    )
    return upper, v.box(0.02, 0.36, 0.62 + 0.04 * v.vary[1], 0.09, 0.06)


def _shirt(v: _View) -> Layers:
    body = v.box(0.0, 0.1, 0.34 + 0.05 * v.vary[0], 0.5, 0.06)
    sleeves = v.box(0.0, -0.26, 0.66 + 0.06 * v.vary[1], 0.15, 0.06)
    return np.minimum(body, sleeves), v.disc(0.0, -0.42, 0.17, 0.1)


def _handbag(v: _View) -> Layers:
    body = v.trapeze(0.2, 0.42 + 0.05 * v.vary[0], 0.56 + 0.05 * v.vary[1], 0.36)
    return np.minimum(body, v.ring(0.0, -0.16, 0.3, 0.34, 0.05)), v.box(0.0, 0.0, 0.1, 0.07, 0.03)


def _lamp(v: _View) -> Layers:
    shade = v.trapeze(-0.3, 0.2 + 0.05 * v.vary[0], 0.46 + 0.06 * v.vary[1], 0.28)
    stand = np.minimum(v.box(0.0, 0.28, 0.045, 0.4, 0.02), v.disc(0.0, 0.62, 0.28, 0.09))
    return shade, stand


def _watch(v: _View) -> Layers:
    strap = v.box(0.0, 0.0, 0.17 + 0.03 * v.vary[0], 0.76, 0.06)
    size = 0.32 + 0.04 * v.vary[1]
    return strap, v.disc(0.0, 0.0, size, size)


SHAPES: Mapping[str, Callable[[_View], Layers]] = {
    "handbag": _handbag,
    "lamp": _lamp,
    "mug": _mug,
    "shirt": _shirt,
    "sneaker": _sneaker,
    "watch": _watch,
}

_PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "handbag": ((150, 92, 48), (122, 52, 38), (196, 150, 96), (70, 48, 40), (168, 40, 48)),
    "lamp": ((246, 222, 150), (238, 196, 110), (232, 226, 208), (214, 160, 92)),
    "mug": ((178, 84, 58), (58, 110, 160), (228, 218, 200), (196, 150, 70), (70, 120, 96)),
    "shirt": ((40, 70, 140), (92, 140, 200), (60, 60, 68), (200, 206, 214), (52, 120, 128)),
    "sneaker": ((190, 44, 40), (222, 222, 222), (52, 56, 66), (70, 120, 190), (226, 130, 50)),
    "watch": ((44, 42, 44), (110, 72, 46), (150, 154, 160), (80, 60, 52)),
}
_ACCENTS: Mapping[str, tuple[int, int, int]] = {
    "handbag": (212, 176, 84),
    "lamp": (120, 92, 60),
    "mug": (70, 44, 30),
    "shirt": (226, 226, 230),
    "sneaker": (244, 240, 232),
    "watch": (224, 214, 188),
}
_TABLES = ((186, 140, 96), (206, 172, 130), (164, 116, 78), (216, 208, 196))


def photographs(kinds: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photographs (n, SIDE, SIDE, 3) of things of the given kinds, keys of `SHAPES`, (n,)."""
    out = np.empty((len(kinds), SIDE, SIDE, 3), np.uint8)
    for kind in SHAPES:
        rows = np.flatnonzero(kinds == kind)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            out[chunk] = _draw(kind, len(chunk), rng)
    return out


def _draw(kind: str, n: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    at = np.linspace(-1 + 1 / SIDE, 1 - 1 / SIDE, SIDE, dtype=np.float32)
    x, y = np.broadcast_to(at, (n, SIDE, SIDE)), np.broadcast_to(at[:, None], (n, SIDE, SIDE))
    body, accent = SHAPES[kind](_view(x, y, rng))
    canvas = _background(x, y, rng)
    _paint(canvas, body + _EDGE, np.zeros((n, 3), np.float32), 0.22)  # a soft contact shadow
    _paint(canvas, body, _colours(_PALETTES[kind], n, rng), 1.0)
    _paint(canvas, accent, _colours((_ACCENTS[kind],), n, rng), 0.92)
    canvas *= _light(x, y, rng)
    noise = rng.standard_normal((n, SIDE, SIDE, 3), dtype=np.float32)
    noise *= np.float32(1.8)
    noise += np.moveaxis(canvas, 0, -1)
    # Phones smooth and quantise; steps of four also keep the files small.
    noise *= np.float32(0.25)
    np.rint(noise, out=noise)
    noise *= 4
    return np.clip(noise, 0, 255, out=noise).astype(np.uint8)


def _column(rng: np.random.Generator, n: int, low: float, high: float) -> Floats:
    return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)


def _view(x: Floats, y: Floats, rng: np.random.Generator) -> _View:
    """Where the camera stood: distance, offset, tilt and sometimes the mirror side."""
    n = len(x)
    scale, turn = _column(rng, n, 0.62, 1.12), rng.normal(0, 0.14, (n, 1, 1)).astype(np.float32)
    dx, dy = _column(rng, n, -0.22, 0.22), _column(rng, n, -0.18, 0.18)
    side = np.where(_column(rng, n, 0, 1) < 0.5, -1, 1).astype(np.float32)
    u, w = (x - dx) / scale * side, (y - dy) / scale
    vary = rng.uniform(-1, 1, (3, n, 1, 1)).astype(np.float32)
    return _View(np.cos(turn) * u + np.sin(turn) * w, np.cos(turn) * w - np.sin(turn) * u, vary)


def _background(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """A wall above a table, both in one of their usual colours, by channel: (3, n, SIDE, SIDE)."""
    n = len(x)
    wall = (rng.uniform(205, 240, (n, 1)) + rng.normal(0, 5, (n, 3))).astype(np.float32)
    table = _colours(_TABLES, n, rng)
    edge = _column(rng, n, 0.1, 0.9)
    below = 1 / (1 + np.exp(-(y - edge) * 40))
    above, grain = 1 - below, 6 * np.sin(x * _column(rng, n, 4, 14) + 9 * y) * below
    canvas = np.empty((3, n, SIDE, SIDE), np.float32)
    for channel in range(3):
        np.multiply(_of(wall, channel), above, out=canvas[channel])
        canvas[channel] += _of(table, channel) * below
    canvas += grain
    return canvas


def _colours(palette: tuple[tuple[int, int, int], ...], n: int, rng: np.random.Generator) -> Floats:
    """One colour a row (n, 3), near an entry of the palette."""
    chosen = np.array(palette, np.float32)[rng.integers(len(palette), size=n)]
    return np.asarray(
        chosen * rng.uniform(0.85, 1.12, (n, 1)) + rng.normal(0, 8, (n, 3)), np.float32
    )


def _paint(canvas: Floats, distance: Floats, colour: Floats, opacity: float) -> None:
    """Lay a colour (n, 3) over a canvas (3, n, SIDE, SIDE), where `distance` is negative."""
    cover = np.clip(0.5 - distance / _EDGE, 0, 1) * np.float32(opacity)
    left = 1 - cover
    canvas *= left
    for channel in range(3):
        canvas[channel] += _of(colour, channel) * cover


def _of(colour: Floats, channel: int) -> Floats:
    """One channel of colours (n, 3), for every pixel (n, 1, 1)."""
    return colour[:, channel, None, None]


def _light(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Exposure, and a fall of light across the picture."""
    n = len(x)
    slope = 0.12 * (_column(rng, n, -1, 1) * x + _column(rng, n, -1, 1) * y)
    return np.asarray(_column(rng, n, 0.72, 1.1) + slope, dtype=np.float32)
