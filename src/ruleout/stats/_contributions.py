"""What each input contributes to an answer: Shapley values by sampling, for any function of a matrix.

Method: permutation sampling with a background of reference rows (Strumbelj and Kononenko 2014), each
permutation walked forth and back (antithetic). Contributions of a row add up to its answer minus the
background's mean answer, up to the sampling of the background.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats


def sampled_contributions(
    answer: Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]], Floats],
    rows: int,
    players: int,
    background: int,
    *,
    rng: np.random.Generator,
    permutations: int = 4,
) -> Floats:
    """Contributions (rows, players).

    Args:
        answer: given row numbers (m,), background numbers (m,) and which players come from the row (m, players),
            the answers (m,) for rows mixed in that way.
        rows: how many rows are explained.
        players: inputs or groups of inputs.
        background: how many background rows there are to draw from.
        rng: draws permutations and background rows.
        permutations: pairs of a permutation and its reverse for each row.
    """
    total = np.zeros((rows, players))
    number = np.arange(rows)
    for _ in range(permutations):
        order = np.argsort(rng.random((rows, players)), axis=1)
        other = rng.integers(0, background, rows)
        for path in (order, order[:, ::-1]):
            masks = _steps(path)  # (players + 1, rows, players)
            answers = answer(
                np.tile(number, players + 1),
                np.tile(other, players + 1),
                masks.reshape(-1, players),
            ).reshape(players + 1, rows)
            gained = np.diff(answers, axis=0).T
            total[number[:, None], path] += gained
    return total / (2 * permutations)


def _steps(path: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which players have joined after each step, (players + 1, rows, players)."""
    rows, players = path.shape
    joined = np.empty_like(path)
    np.put_along_axis(joined, path, np.arange(players)[None, :].repeat(rows, axis=0), axis=1)
    return np.asarray(joined[None] < np.arange(players + 1)[:, None, None])


class DriverShift(NamedTuple):
    """How the drivers of decisions moved between windows."""

    reference: Floats
    """Share of each input in the mean absolute contribution, (F,); sums to 1."""

    current: Floats
    low: Floats
    high: Floats
    """90% bootstrap interval of current minus reference, (F,)."""

    distance: float
    """Total variation distance of the shares."""

    p_value: float
    """Chance of such a distance when windows are exchanged at random."""


def driver_shift(
    reference: Floats, current: Floats, *, rng: np.random.Generator, draws: int = 199
) -> DriverShift:
    """Compare mean absolute contributions (n, F) and (m, F) of two windows."""
    sizes = np.abs(np.concatenate([reference, current]))
    n, m = len(reference), len(current)
    before, after = _shares(sizes[:n].mean(axis=0)), _shares(sizes[n:].mean(axis=0))
    observed = float(np.abs(after - before).sum() / 2)
    beyond = 0
    moves = np.zeros((draws, sizes.shape[1]))
    for k in range(draws):
        mixed = rng.permutation(n + m)
        gap = _shares(sizes[mixed[n:]].mean(axis=0)) - _shares(sizes[mixed[:n]].mean(axis=0))
        beyond += float(np.abs(gap).sum() / 2) >= observed
        a, b = rng.integers(0, n, n), n + rng.integers(0, m, m)
        moves[k] = _shares(sizes[b].mean(axis=0)) - _shares(sizes[a].mean(axis=0))
    low, high = np.quantile(moves, [0.05, 0.95], axis=0)
    return DriverShift(before, after, low, high, observed, (1 + beyond) / (draws + 1))


def _shares(size: Floats) -> Floats:
    total = float(size.sum())
    return size / total if total > 0 else size
