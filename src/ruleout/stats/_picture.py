"""Transforms of pictures that a preprocessing fault applies, and their inverses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np

Pictures = np.ndarray
"""(..., h, w, 3) numbers in 0..255; the transforms return the same layout."""

CHANNEL_ORDERS = tuple(p for p in permutations(range(3)) if p != (0, 1, 2))
LUMA = np.array([0.299, 0.587, 0.114])


def _turned(quarter: int) -> Callable[[Pictures], Pictures]:
    return lambda x: np.rot90(x, quarter, axes=(-3, -2))


def _ordered(order: tuple[int, ...]) -> Callable[[Pictures], Pictures]:
    return lambda x: x[..., list(order)]


def _inverse_order(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(order))


def order_name(order: tuple[int, ...]) -> str:
    """`channels_bgr` for (2, 1, 0)."""
    return "channels_" + "".join("rgb"[i] for i in order)


EXACT: dict[str, tuple[Callable[[Pictures], Pictures], Callable[[Pictures], Pictures]]] = {
    **{order_name(o): (_ordered(o), _ordered(_inverse_order(o))) for o in CHANNEL_ORDERS},
    "rotate_90": (_turned(1), _turned(-1)),
    "rotate_180": (_turned(2), _turned(2)),
    "rotate_270": (_turned(-1), _turned(1)),
    "flip_vertical": (lambda x: x[..., ::-1, :, :], lambda x: x[..., ::-1, :, :]),
    "flip_horizontal": (lambda x: x[..., ::-1, :], lambda x: x[..., ::-1, :]),
    "transpose": (lambda x: np.swapaxes(x, -3, -2), lambda x: np.swapaxes(x, -3, -2)),
    "transverse": (
        lambda x: np.swapaxes(x, -3, -2)[..., ::-1, ::-1, :],
        lambda x: np.swapaxes(x, -3, -2)[..., ::-1, ::-1, :],
    ),
    "invert": (lambda x: 255.0 - x, lambda x: 255.0 - x),
}
"""Transforms that lose nothing: name -> (damage, inverse). Rotations are anticlockwise."""


def grayscale(x: Pictures) -> Pictures:
    """Luminance in all three channels."""
    light = x @ LUMA
    return np.repeat(light[..., None], 3, axis=-1)
