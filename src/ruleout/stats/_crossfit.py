"""Cross-fitted regressions: predictions for rows that the model has not seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Booster, Floats, Loss, fit, sigmoid


def row_folds(x: Floats, folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Fold of each row (n,); equal rows share one, because a model that has seen a row's twin has seen the row.

    Where few distinct rows make up most of the data, folds are drawn by row instead.
    """
    keys = np.ascontiguousarray(np.nan_to_num(x, nan=-1.2345e300)) @ rng.normal(size=x.shape[1])
    _, group = np.unique(keys, return_inverse=True)
    fold = (
        (rng.permutation(int(group.max()) + 1) % folds)[group] if len(x) else np.empty(0, np.int64)
    )
    sizes = np.bincount(fold, minlength=folds)
    if sizes.min() < 0.7 * len(x) / folds:
        fold = rng.permutation(len(x)) % folds
    return np.asarray(fold, dtype=np.int64)


def cross_fit(
    x: Floats,
    y: Floats,
    others: Floats,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    loss: Loss = "squared",
    weight: Floats | None = None,
    trees: int = 40,
    depth: int = 3,
    folds: int = 2,
    fine: bool = False,
) -> tuple[Floats, Floats]:
    """Predict `y` (n,) or (n, K) at its own rows `x` (n, F) out of fold, and at `others` (m, F) by the folds' mean.

    The answers have the shape of `y`. With the logistic loss they are probabilities. `fine` as in `fit`.
    """
    fold = row_folds(x, folds, rng)
    own = np.zeros(y.shape)
    foreign = np.zeros((len(others), *y.shape[1:]))
    for k in range(folds):
        train = fold != k
        model = fit(
            x[train],
            y[train],
            rng=rng,
            categorical=categorical,
            loss=loss,
            trees=trees,
            depth=depth,
            rows=3_000,
            weight=None if weight is None else weight[train],
            fine=fine,
        )
        own[~train] = _answer(model, x[~train], loss).reshape(-1, *y.shape[1:])
        foreign += _answer(model, others, loss).reshape(foreign.shape) / folds
    return own, foreign


def _answer(model: Booster, x: Floats, loss: Loss) -> Floats:
    raw = model.raw(x)
    return sigmoid(raw) if loss == "logistic" else raw
