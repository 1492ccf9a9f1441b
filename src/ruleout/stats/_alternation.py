"""Good and bad in turns: rows that are hit in stretches of time, with spared stretches between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_ROWS = 15
"""Rows of a bin: short enough for turns of an hour or two, long enough for a rate."""

_LEAST_BINS = 12
_LEAST_TURNS = 4
_A_DAY = 1.5
"""Turns in 24 hours beyond which no daily rhythm makes them: a job of every night has one."""

_BEYOND_CHANCE = 3.0
"""Variance of the bins' rates about their trend, in units of what rows hit at random leave."""

_SCATTER = np.uint32(2_654_435_761)
"""Knuth's multiplier: a fixed scattering of the order of rows."""

_DAY = 86_400.0


class Turns(NamedTuple):
    """How often hit and spared stretches follow each other."""

    bad: int
    """Number of hit stretches."""

    spread: float
    """Variance of the rate of hit rows between neighbouring bins, in units of chance."""


def turns(hit: NDArray[np.bool_], time: NDArray[np.float64] | None) -> Turns | None:
    """The turns of hit rows (n,), in order of time, or None where they come in one stretch or at random.

    Rows are put in bins of neighbours. Rows hit at random, be it ever more of them, leave no variance between
    bins beyond chance, and a step or a pulse leaves one hit stretch; two generators that write in turns leave many.

    Args:
        hit: whether each row is hit.
        time: epoch seconds of each row (n,), ascending; None takes the order of the rows alone.
    """
    if not hit.any():
        return None
    if time is not None:
        # Rows of one instant have no order: a batch that lists its sites one by one is not taking turns.
        hit = hit[np.lexsort((np.arange(len(hit), dtype=np.uint32) * _SCATTER, time))]
    first, last = int(hit.argmax()), len(hit) - int(hit[::-1].argmax())
    inside = hit[first:last].astype(float)
    bins = len(inside) // _ROWS
    if bins < _LEAST_BINS:
        return None
    rates = inside[: bins * _ROWS].reshape(bins, _ROWS).mean(axis=1)
    bad = _stretches(rates)
    spread = _spread(rates)
    if spread < _BEYOND_CHANCE or bad < _LEAST_TURNS:
        return None
    if time is not None and bad < _A_DAY * (time[last - 1] - time[first]) / _DAY:
        return None
    return Turns(bad, spread)


def _stretches(rates: NDArray[np.float64]) -> int:
    """Number of hit stretches: each begins above half of the highest rate, and ends where nearly none is hit."""
    top = float(np.quantile(rates, 0.95))
    state = np.where(rates > 0.5 * top, 1, np.where(rates < 0.1 * top, -1, 0))
    state = state[state != 0]
    return int((np.diff(state) == 2).sum()) + int(len(state) > 0 and state[0] == 1)


def _spread(rates: NDArray[np.float64]) -> float:
    """Variance of the rates (B,) of bins about a slow trend, such as a roll-out's, in units of chance."""
    width = max(21, len(rates) // 4) | 1
    padded = np.pad(rates, width // 2, mode="edge")
    trend = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    chance = float((trend * (1 - trend)).mean()) / _ROWS
    return float(((rates - trend) ** 2).mean()) / chance if chance > 0 else 0.0
