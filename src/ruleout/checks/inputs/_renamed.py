"""New names for known categories: which old one is each new one, if all of them are old ones renamed?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._matching import assign

Floats = NDArray[np.float64]

_LEAST_ROWS = 15
_LEAST_SHARE = 0.02
_MOST = 60
_LIKE = 2.5
"""Mean squared mismatch of profiles, in units of chance, up to which two names mean one thing."""

_BACK = 0.4
"""Renaming must take away more than this leaves of the shift in frequencies."""


def new_names(n_a: NDArray[Any], n_b: NDArray[Any]) -> NDArray[np.int64]:
    """Codes that are new and frequent, where they may be old ones renamed; else none.

    Then there are two or more, no more than the old ones, and they hold enough of the rows.

    Args:
        n_a: rows of each code then (K,).
        n_b: rows of each code now (K,).
    """
    new, old = np.flatnonzero((n_a == 0) & (n_b >= _LEAST_ROWS)), int((n_a >= _LEAST_ROWS).sum())
    enough = 2 <= len(new) <= min(old, _MOST) and n_b[new].sum() >= _LEAST_SHARE * n_b.sum()
    return new if enough else new[:0]


def renamed(
    before: tuple[Floats, Floats], after: tuple[Floats, Floats], spread: Floats
) -> Mapping[int, int] | None:
    """Old code of each new code, when the new names are old categories renamed; else None.

    A truly new category comes on top of the old ones and looks like none of them; a renamed one
    takes its rows from one old category, row for row, and looks like it.

    Args:
        before: mean profile (K, M) of each code's rows, and its number of rows (K,), then.
        after: the same, now.
        spread: variance (M,) of each column of the profiles.
    """
    (mean_a, n_a), (mean_b, n_b) = before, after
    new, old = new_names(n_a, n_b), np.flatnonzero(n_a >= _LEAST_ROWS)
    if not len(new):
        return None
    gap = ((mean_b[new][:, None, :] - mean_a[old][None, :, :]) ** 2 / spread).sum(axis=2)
    weight = 1 / (1 / n_b[new][:, None] + 1 / n_a[old][None, :])
    was, now = n_a / n_a.sum(), n_b / n_b.sum()
    # What an old name has lost is what its new name should hold.
    lost = np.maximum(was[old] - now[old], 0.0)[None, :]
    held = now[new][:, None]
    rare = (np.sqrt(held) - np.sqrt(lost)) ** 2 * 4 * n_b.sum()
    pairs = assign(gap * weight + np.minimum(rare, 100.0 * len(spread)))
    rows = np.arange(len(new))
    mismatch = float(np.average((gap * weight)[rows, pairs], weights=n_b[new])) / max(
        len(spread), 1
    )
    back = now.copy()
    back[old[pairs]] += now[new]
    back[new] = 0.0
    shifted, rest = 0.5 * float(np.abs(now - was).sum()), 0.5 * float(np.abs(back - was).sum())
    if rest > _BACK * shifted or mismatch > _LIKE + 0.002 * float(n_b[new].mean()):
        return None
    return {int(i): int(old[j]) for i, j in zip(new, pairs, strict=True)}
