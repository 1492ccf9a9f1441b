"""Which input's effect on the outcome changed: partial dependence (Friedman 2001) of two models, compared."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Booster, Floats, fit

_GRID = 7


class EffectDrift(NamedTuple):
    """Change of each input's effect, in units of the response (probability or number)."""

    size: Floats
    """Root mean square change of the centred partial dependence by column, (F,)."""

    usual: Floats
    """The same between two halves of the reference, (F,)."""


def effect_drift(
    reference: tuple[Floats, Floats],
    current: tuple[Floats, Floats],
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_],
    trees: int = 40,
    rows: int = 160,
) -> EffectDrift:
    """Fit the response on the inputs in both windows and compare what each input does to it.

    Args:
        reference: inputs (n, F) and responses (n, K).
        current: the same of the current window; responses on the same scale.
        rng: draws the folds, trees and the rows over which effects are averaged.
        categorical: which columns are codes.
        trees: size of each model.
        rows: background rows.
    """
    x, y = reference
    half = rng.permutation(len(x)) % 2 == 0
    kw = {
        "rng": rng,
        "categorical": categorical,
        "trees": trees,
        "depth": 3,
        "rows": 3_000,
        "rate": 0.2,
    }
    first, second = (fit(x[m], y[m], **kw) for m in (half, ~half))  # type: ignore[arg-type]
    now = fit(current[0], current[1], **kw)  # type: ignore[arg-type]
    both = np.concatenate([x, current[0]])
    background = both[rng.choice(len(both), min(rows, len(both)), replace=False)]
    size, usual = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    models = [(m, m.binner.transform(background)) for m in (first, second, now)]
    for column in range(x.shape[1]):
        grid, mass = _grid(both[:, column], bool(categorical[column]))
        if len(grid) < 2:
            continue
        a, b, c = (_dependence(m, bins, column, grid, mass) for m, bins in models)
        size[column] = np.sqrt(mass @ ((c - (a + b) / 2) ** 2).sum(axis=1))
        usual[column] = np.sqrt(mass @ ((a - b) ** 2).sum(axis=1))
    return EffectDrift(size, usual)


def _grid(values: Floats, coded: bool) -> tuple[Floats, Floats]:  # noqa: FBT001
    """Where a column is probed, and the share of rows each point stands for."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.empty(0), np.empty(0)
    if coded:
        codes, count = np.unique(known, return_counts=True)
        top = np.argsort(-count, kind="stable")[:_GRID]
        return codes[top], count[top] / count[top].sum()
    grid = np.unique(np.quantile(known, (np.arange(_GRID) + 0.5) / _GRID))
    return grid, np.full(len(grid), 1.0 / len(grid))


def _dependence(
    model: Booster, background: NDArray[np.int16], column: int, grid: Floats, mass: Floats
) -> Floats:
    """Centred partial dependence (G, K) of `column` over `grid` (G,), averaged over binned rows (n, F)."""
    probes = np.tile(background, (len(grid), 1))
    probes[:, column] = np.repeat(model.binner.column(column, grid), len(background))
    raw = model.of_bins(probes, using=column)  # the other trees say the same at every point
    mean = raw.reshape(len(grid), len(background), -1).mean(axis=1)
    return np.asarray(mean - mass @ mean)
