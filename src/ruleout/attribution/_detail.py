"""The part of a change that lies in the inputs, divided among inputs or groups of them.

Method: detailed Shapley values of the shift without a causal graph (in the spirit of Budhathoki et al. 2021 and
Feng et al. 2024). The worth of a group S is the loss expected when the inputs in S follow the current window and the
others follow them as in the reference: E_current[ E_reference[loss | x_S] ], which needs one regression for each
group and no density of groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats, fit
from ruleout.stats._shapley import shapley

_ROWS = 3_000
_MOST = 5
"""Players at most; the others move together as one."""


class DetailShare(NamedTuple):
    """What one input or group of inputs brings."""

    name: str
    value: float
    """In the metric's units; the values add up to the part that was divided."""


def divide(
    reference: tuple[Floats, Floats],
    current: Floats,
    groups: Mapping[str, Sequence[int]],
    whole: float,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
) -> tuple[DetailShare, ...]:
    """Divide `whole` among groups of columns, largest first.

    Args:
        reference: inputs (n, F) and the loss (n,).
        current: inputs (m, F).
        groups: columns of each player; together all columns, none twice.
        whole: the amount to divide, in the metric's units.
        rng: draws rows and orders.
        categorical: which columns are codes, (F,).
    """
    x, loss = reference
    rows = _some(len(x), rng)
    x, loss, now = x[rows], loss[rows], current[_some(len(current), rng)]
    names = list(groups)
    kinds = np.zeros(x.shape[1], dtype=bool) if categorical is None else categorical

    def worth(coalition: frozenset[int]) -> float:
        columns = [c for p in sorted(coalition) for c in groups[names[p]]]
        if not columns:
            return float(loss.mean())
        model = fit(
            x[:, columns],
            loss,
            rng=np.random.default_rng(len(columns)),
            categorical=kinds[columns],
            trees=25,
            depth=3,
            rows=3_000,
        )
        # what the fit misses on the reference it would miss on the current rows too
        bias = float(loss.mean() - model.raw(x[:, columns])[:, 0].mean())
        return float(model.raw(now[:, columns])[:, 0].mean()) + bias

    shares = shapley(len(names), worth, rng=rng)
    total = float(shares.sum())
    if abs(total) < 1e-12:
        return ()
    scaled = shares * (whole / total)
    order = np.argsort(-np.abs(scaled), kind="stable")
    return tuple(DetailShare(names[k], float(scaled[k])) for k in order)


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
