"""Loss of detail in pictures: blur, coarse resampling, noise, few grey levels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def blur(x: Floats, sigma: float) -> Floats:
    """(h, w, 3) convolved with a Gaussian of `sigma` pixels, edges repeated."""
    reach = max(1, int(np.ceil(2.5 * sigma)))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (reach, reach)
        wide = np.pad(x, pad, mode="edge")
        size = x.shape[axis]
        x = sum(
            tap * np.take(wide, np.arange(i, i + size), axis=axis) for i, tap in enumerate(taps)
        )
    return np.asarray(x)


def pixelate(x: Floats, factor: int) -> Floats:
    """Shrunk by `factor` and enlarged again, both by taking the nearest pixel."""
    rows = np.minimum(np.arange(x.shape[0]) // factor * factor + factor // 2, x.shape[0] - 1)
    columns = np.minimum(np.arange(x.shape[1]) // factor * factor + factor // 2, x.shape[1] - 1)
    return np.asarray(x[rows][:, columns])


def noise(x: Floats, spread: float) -> Floats:
    """With Gaussian noise of `spread` grey levels, the same pattern every time."""
    rng = np.random.default_rng(1996)
    return np.asarray(np.clip(x + rng.normal(0.0, spread, x.shape), 0.0, 255.0))


def posterise(x: Floats, levels: int) -> Floats:
    """Rounded to a few levels per channel."""
    step = 255.0 / (levels - 1)
    return np.asarray(np.round(x / step) * step)


def sharpen(x: Floats, amount: float) -> Floats:
    """Unsharp mask of radius 1."""
    return np.asarray(np.clip(x + amount * (x - blur(x, 1.0)), 0.0, 255.0))


LOSSES: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
    "blur_1": ("slightly blurred", lambda x: blur(x, 0.8)),
    "blur_2": ("blurred", lambda x: blur(x, 1.6)),
    "blur_4": ("strongly blurred", lambda x: blur(x, 3.5)),
    "pixelate_2": ("resampled from half the size", lambda x: pixelate(x, 2)),
    "pixelate_3": ("resampled from a third of the size", lambda x: pixelate(x, 3)),
    "pixelate_6": ("resampled from a sixth of the size", lambda x: pixelate(x, 6)),
    "noise_8": ("noisy", lambda x: noise(x, 8.0)),
    "noise_25": ("very noisy", lambda x: noise(x, 25.0)),
    "posterise": ("reduced to few colours", lambda x: posterise(x, 6)),
    "sharpen": ("sharpened", lambda x: sharpen(x, 1.5)),
}
"""Losses that cannot be undone: name -> (words, what it does to (h, w, 3) numbers in 0..255)."""
