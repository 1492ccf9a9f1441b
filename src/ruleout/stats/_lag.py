"""At which lag a series agrees with what is expected of it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Lag(NamedTuple):
    """The lag of best agreement."""

    rows: int
    """The value at row i belongs to row i - rows."""

    r: float
    """Correlation at that lag."""

    z: float
    """The same in standard errors, after allowing for having searched all lags."""


def best_lag(observed: Floats, expected: Floats, *, most: int) -> Lag | None:
    """The lag in 1..most at which `observed` (n,) follows `expected` (n,); None for fewer than 100 rows.

    Cross-correlation by FFT; the search over lags is paid for by the expected maximum of as many
    standard normals.
    """
    n = len(observed)
    if n < 100 or observed.std() == 0 or expected.std() == 0:
        return None
    a = (observed - observed.mean()) / observed.std()
    b = (expected - expected.mean()) / expected.std()
    size = 1 << (2 * n - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    most = min(most, n // 2)
    lags = np.arange(1, most + 1)
    r = product[1 : most + 1] / (n - lags)
    z = r * np.sqrt(n - lags)
    best = int(z.argmax())
    return Lag(
        int(lags[best]), float(r[best]), float(z[best]) - math.sqrt(2 * math.log(max(most, 2)))
    )


def longest_runs(values: Floats) -> float:
    """Mean length of runs of equal values: 1.0 where no two neighbours agree."""
    if len(values) < 2:
        return 1.0
    breaks = np.count_nonzero(
        ~((values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1])))
    )
    return len(values) / (breaks + 1)
