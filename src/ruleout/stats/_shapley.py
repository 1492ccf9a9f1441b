"""Shapley values of a set function: who brought how much of the whole.

Exact over all subsets for few players; above that, antithetic permutation sampling (Mitchell et al. 2022).
Either way the values add up to the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np

from ruleout.stats._boosting import Floats

_EXACT = 6


def shapley(
    players: int,
    value: Callable[[frozenset[int]], float],
    *,
    rng: np.random.Generator,
    permutations: int = 8,
) -> Floats:
    """Shares (players,) that add up to `value(everybody) - value(nobody)`.

    Args:
        players: how many.
        value: worth of a coalition; asked once for each.
        rng: draws permutations when `players` exceeds 6.
        permutations: how many pairs of a permutation and its reverse are drawn then.
    """
    known: dict[frozenset[int], float] = {}

    def worth(coalition: frozenset[int]) -> float:
        if coalition not in known:
            known[coalition] = value(coalition)
        return known[coalition]

    if players <= _EXACT:
        return _exact(players, worth)
    total = np.zeros(players)
    for _ in range(permutations):
        order = rng.permutation(players)
        for path in (order, order[::-1]):
            before = worth(frozenset())
            for step, player in enumerate(path):
                after = worth(frozenset(path[: step + 1].tolist()))
                total[player] += after - before
                before = after
    return total / (2 * permutations)


def _exact(players: int, worth: Callable[[frozenset[int]], float]) -> Floats:
    shares = np.zeros(players)
    for code in range(1 << players):
        inside = frozenset(p for p in range(players) if code >> p & 1)
        for player in range(players):
            if player in inside:
                size = len(inside) - 1
                share = 1.0 / (players * comb(players - 1, size))
                shares[player] += share * (worth(inside) - worth(inside - {player}))
    return shares
