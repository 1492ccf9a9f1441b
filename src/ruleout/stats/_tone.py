"""A change of brightness, contrast, gamma or white balance, estimated from quantiles and undone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEVELS = np.linspace(0.04, 0.96, 24)


class Tone(NamedTuple):
    """current = 255 * clip(gain * (reference / 255) ** power + offset) for each channel."""

    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    power: float

    def undo(self, pixels: Floats) -> Floats:
        """(..., 3) current values in 0..255 back to reference values; what was clipped stays lost."""
        line = (pixels / 255.0 - np.array(self.offset)) / np.array(self.gain)
        return np.asarray(255.0 * np.clip(line, 0.0, 1.0) ** (1.0 / self.power))

    def apply(self, pixels: Floats) -> Floats:
        """(..., 3) reference values in 0..255 to current ones."""
        line = np.clip(pixels / 255.0, 0.0, 1.0) ** self.power
        return np.asarray(255.0 * np.clip(line * np.array(self.gain) + self.offset, 0.0, 1.0))

    @property
    def words(self) -> str:
        """The relation, for a person."""
        if self.power != 1.0:
            return f"gamma {self.power:.2f}"
        gain, offset = self.gain, self.offset
        if len(set(gain)) == 1 and len(set(offset)) == 1:
            moved = f" {255 * offset[0]:+.0f}" if abs(offset[0]) > 0.004 else ""
            return f"pixels x {gain[0]:.2f}{moved}"
        each = ", ".join(
            f"{name} x {a:.2f} {255 * b:+.0f}"
            for name, a, b in zip(("red", "green", "blue"), gain, offset, strict=True)
        )
        return f"channels {each}"


def weighted_quantiles(values: Floats, weight: Floats, levels: Floats) -> Floats:
    """Quantiles of weighted values at the given levels."""
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weight[order])
    place = (mass - 0.5 * weight[order]) / mass[-1]
    return np.interp(levels, place, values[order])


def _plain_quantiles(values: Floats, levels: Floats) -> Floats:
    """`weighted_quantiles` of equal weights, by a sort of the values alone."""
    place = (np.arange(len(values)) + 0.5) / len(values)
    return np.interp(levels, place, np.sort(values))


def tones(before: Floats, now: Floats, weight: Floats) -> list[Tone]:
    """Candidate relations between reference and current pictures, simplest first.

    Args:
        before: (n, p, 3) reference pixel values in 0..255.
        now: (m, p, 3) current ones.
        weight: (n,) weights of the reference pictures.

    Quantiles that were clipped at an end of the scale are left out of the fit.
    """
    heavy = np.repeat(weight, before.shape[1])
    old = np.stack(
        [weighted_quantiles(before[..., c].ravel(), heavy, _LEVELS) for c in range(3)], axis=1
    )
    new = np.stack([_plain_quantiles(now[..., c].ravel(), _LEVELS) for c in range(3)], axis=1)
    old, new = old / 255.0, new / 255.0
    open_range = (new > 0.015) & (new < 0.985) & (old > 0.004)
    if open_range.sum() < 9:
        return []
    x, y = old[open_range], new[open_range]
    scale = float((x * y).sum() / (x * x).sum())
    gain, offset = _line(x, y)
    power = float(np.clip((np.log(x) * np.log(y)).sum() / (np.log(x) ** 2).sum(), 0.2, 5.0))
    found = [_same(scale, 0.0), Tone((1.0,) * 3, (0.0,) * 3, power), _same(gain, offset)]
    lines = [
        _line(old[keep, c], new[keep, c]) for c in range(3) if (keep := open_range[:, c]).sum() >= 3
    ]
    if len(lines) == 3:
        gains, offsets = zip(*lines, strict=True)
        found.append(Tone(gains, offsets, 1.0))
    return [tone for tone in found if min(tone.gain) > 0.02]


def _same(gain: float, offset: float) -> Tone:
    return Tone((gain, gain, gain), (offset, offset, offset), 1.0)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    spread = float(((x - x.mean()) ** 2).sum())
    gain = float(((x - x.mean()) * (y - y.mean())).sum() / spread) if spread > 0 else 1.0
    return gain, float(y.mean() - gain * x.mean())
