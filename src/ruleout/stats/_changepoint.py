"""Where a series changed level: a posterior over positions, not one date."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ChangePoint(NamedTuple):
    """A posterior over the first changed position of a series."""

    at: int
    """Likeliest first changed position."""

    low: int
    high: int
    """Ends of a 90% credible interval."""

    gain: float
    """Log likelihood ratio of one change at the best place against none, in nats."""


def step(values: Floats, weight: Floats, variance: float, *, first: int = 1) -> ChangePoint:
    """One change of mean in `values` (n,), each the mean of `weight` rows of the given variance.

    Positions before `first` cannot be the change. Flat prior over positions; levels at their
    maximum likelihood (Smith, 1975, with plug-in levels).

    Raises:
        ValueError: for fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"a change point needs 2 values, got {len(values)}")
    w = weight / max(variance, 1e-12)
    total_w, total = w.sum(), (w * values).sum()
    left_w, left = np.cumsum(w)[:-1], np.cumsum(w * values)[:-1]
    right_w, right = total_w - left_w, total - left
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = 0.5 * (left**2 / left_w + right**2 / right_w - total**2 / total_w)
    gain = np.nan_to_num(gain, nan=0.0, posinf=0.0, neginf=0.0)
    gain[: max(first - 1, 0)] = -np.inf
    posterior = np.exp(gain - gain.max())
    posterior /= posterior.sum()
    cumulative = np.cumsum(posterior)
    best = int(gain.argmax())
    low = int(np.searchsorted(cumulative, 0.05))
    high = int(np.searchsorted(cumulative, 0.95))
    return ChangePoint(best + 1, low + 1, min(high, len(values) - 2) + 1, float(gain[best]))


class Pulse(NamedTuple):
    """The stretch of a series that departs most from a known level."""

    start: int
    stop: int
    z: float
    """Standardised departure of the stretch's mean from the level."""


def pulse(values: Floats, weight: Floats, level: float, variance: float) -> Pulse:
    """The stretch [start, stop) whose weighted mean departs most upwards from `level`."""
    w = weight / max(variance, 1e-12)
    excess = np.r_[0.0, np.cumsum(w * (values - level))]
    mass = np.r_[0.0, np.cumsum(w)]
    best = Pulse(0, len(values), 0.0)
    for start in range(len(values)):
        gap = mass[start + 1 :] - mass[start]
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(gap > 0, (excess[start + 1 :] - excess[start]) / np.sqrt(gap), 0.0)
        stop = int(z.argmax())
        if z[stop] > best.z:
            best = Pulse(start, start + 1 + stop, float(z[stop]))
    return best
