"""The part of a change that lies in the inputs, divided among inputs or groups of them.

Method: detailed Shapley values of the shift without a causal graph (in the spirit of Budhathoki et al. 2021 and
Feng et al. 2024). The worth of a group S is the loss expected when the inputs in S follow the current window and the
others follow them as in the reference: E_current[ E_reference[loss | x_S] ]. That is the reference's loss under the weights of S
alone, which are the whole weights averaged at equal x_S: one regression for each group, of weights, which are not noisy as
losses are, and no density of groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats, fit
from ruleout.stats._decompose import Share
from ruleout.stats._shapley import shapley

_ROWS = 12_000
_MOST = 5
"""Players at most; the others move together as one."""

_HEAVIEST = 50.0
"""Beside the mean weight: what one row may stand for."""

_NORMAL = 1.6449


class DetailShare(NamedTuple):
    """What one input or group of inputs brings."""

    name: str
    value: float
    """In the metric's units; the values add up to the part that was divided."""

    low: float
    high: float
    """90% interval: of the share by bootstrap, and of the part that was divided."""


def divide(
    reference: tuple[Floats, Floats],
    weight: Floats,
    groups: Mapping[str, Sequence[int]],
    whole: Share,
    *,
    rng: np.random.Generator,
    base: Floats | None = None,
    categorical: NDArray[np.bool_] | None = None,
    draws: int = 60,
) -> tuple[DetailShare, ...]:
    """Divide `whole` among groups of columns, largest first.

    Args:
        reference: inputs (n, F) and the loss (n,).
        weight: weights (n,) of the reference rows that stand for the current inputs, as `Decomposition.weight`.
        groups: columns of each player; together all columns, none twice.
        whole: the amount to divide, in the metric's units, with its interval.
        rng: draws rows, orders and the bootstrap.
        base: weights (n,) from which these start, such as those of the class balance; None for equal ones.
        categorical: which columns are codes, (F,).
        draws: bootstrap draws.
    """
    x, loss = reference
    rows = _some(len(x), rng)
    x, loss = x[rows], loss[rows]
    start = np.ones(len(rows)) if base is None else np.maximum(base[rows], 1e-12)
    names = list(groups)
    kinds = np.zeros(x.shape[1], dtype=bool) if categorical is None else categorical
    factor = weight[rows] / start
    factor = np.minimum(factor / np.average(factor, weights=start), _HEAVIEST)
    columns = [
        [c for p in range(len(names)) if code >> p & 1 for c in groups[names[p]]]
        for code in range(1 << len(names))
    ]

    def told(some: NDArray[np.int64]) -> tuple[Floats, Floats | None]:
        weights = _of_coalitions(x[some], (factor[some], start[some]), columns, kinds)
        return weights, _shares(weights, loss[some], np.ones(len(some)), rng)

    n = len(loss)
    weights, shares = told(np.arange(n))
    if shares is None:
        return ()
    order = rng.permutation(n)
    parts = [told(np.sort(order[k::2]))[1] for k in (0, 1)]
    spread = np.hypot(_bootstrap(weights, loss, draws, rng), _apart(parts) / 2)
    half = np.hypot(_NORMAL * spread * whole.value, shares * (whole.high - whole.low) / 2)
    order = np.argsort(-np.abs(shares), kind="stable")
    value = shares * whole.value
    return tuple(
        DetailShare(names[k], float(value[k]), float(value[k] - half[k]), float(value[k] + half[k]))
        for k in order
    )


def _of_coalitions(
    x: Floats,
    weight: tuple[Floats, Floats],
    columns: Sequence[Sequence[int]],
    categorical: NDArray[np.bool_],
) -> Floats:
    """Weights (2**players, n) of every coalition alone, by its code; the last has all columns and the whole weights."""
    factor, start = weight
    told = [_alone(x[:, c], factor, start, categorical[c]) for c in map(list, columns[:-1])]
    return np.asarray(start * np.stack([*told, factor]))


def _bootstrap(weights: Floats, loss: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Standard errors (players,) of the shares by rows drawn anew, with the weights as they were fitted."""
    n = len(loss)
    drawn = [
        _shares(weights, loss, np.bincount(rng.integers(0, n, n), minlength=n).astype(float), rng)
        for _ in range(draws)
    ]
    return np.asarray(np.std([d for d in drawn if d is not None], axis=0))


def _apart(halves: Sequence[Floats | None]) -> float:
    """How far the shares of two halves of the rows, each with weights of its own, are apart: fits differ where nothing moved as well."""
    known = [h for h in halves if h is not None]
    return float(np.sqrt(((known[0] - known[1]) ** 2).mean())) if len(known) == 2 else 1.0


def _alone(x: Floats, factor: Floats, start: Floats, categorical: NDArray[np.bool_]) -> Floats:
    """The weights (n,) of some columns (n, F) alone: what they explain of `factor` (n,) among rows that weigh `start` (n,)."""
    if not x.shape[1]:
        return np.ones(len(x))
    told = fit(
        x,
        factor,
        rng=np.random.default_rng(x.shape[1]),
        categorical=categorical,
        trees=30,
        depth=3,
        rate=0.3,
        rows=3_000,
        weight=start,
        fine=True,
    )
    return np.maximum(told.raw(x)[:, 0], 0.0)


def _shares(
    weights: Floats, loss: Floats, count: Floats, rng: np.random.Generator
) -> Floats | None:
    """Shapley values of the players, as shares of the whole, on rows (n,) that count so often; None where the whole is nought.

    `weights` are those of each coalition by its code, (2**players, n).
    """
    worth = weights @ (count * loss) / np.maximum(weights @ count, 1e-12)
    players = len(worth).bit_length() - 1
    shares = shapley(players, lambda inside: float(worth[sum(1 << p for p in inside)]), rng=rng)
    total = float(shares.sum())
    return None if abs(total) < 1e-12 else np.asarray(shares / total)


def _some(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(n) if n <= _ROWS else np.sort(rng.choice(n, _ROWS, replace=False))


def movers(
    owner: Sequence[str], gain: Floats, sources: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[int]]:
    """Players for `divide`: the inputs (or sources of inputs) that moved most, and the rest as one.

    Args:
        owner: the input of each encoded column, (F,).
        gain: how much each column helps to tell the windows apart, (F,).
        sources: inputs of each source; then sources are the players.
    """
    home = {name: source for source, names in (sources or {}).items() for name in names}
    weight: dict[str, float] = {}
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(owner):
        player = home.get(name, name)
        weight[player] = weight.get(player, 0.0) + float(gain[column])
        columns.setdefault(player, []).append(column)
    ranked = sorted(columns, key=lambda p: (-weight[p], p))
    if len(ranked) <= _MOST:
        return {p: columns[p] for p in ranked}
    top = ranked[: _MOST - 1]
    rest = [c for p in ranked[_MOST - 1 :] for c in columns[p]]
    return {**{p: columns[p] for p in top}, "(all others)": rest}
