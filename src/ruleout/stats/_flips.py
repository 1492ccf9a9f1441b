"""Labels that disagree with what the reference learned: how often, which way, and whether it depends on the row.

Model: the true class follows the reference's P(y | x); the observed one is it with class-dependent flips,
P(observed = k | true = j) = T[j, k] (Natarajan et al. 2013; EM as in Dawid and Skene 1979 with one annotator and
known class probabilities). Flips that fit T alike everywhere look like noise or a mapping fault in labels; a
disagreement that still depends on x after T looks like a changed relation, or like labels spoilt in one place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats, fit
from ruleout.stats._prior import Codes

_FLOOR = 0.01


class Flips(NamedTuple):
    """Fitted transition from true to observed classes."""

    transition: Floats
    """(K, K), rows sum to 1."""

    rate: float
    """Share of rows whose observed class is not the true one."""

    pair: tuple[int, int]
    """The commonest flip, from and to."""

    pair_share: float
    """Share of all flips that go along `pair`, in either direction."""

    asymmetry: float
    """|T[0, 1] - T[1, 0]| over their sum for two classes; for more, that of the commonest pair."""

    residual: Floats
    """Observed class minus P(observed | x) under T, and in the last column the flip's posterior minus its
    expectation given x: all mean zero given x where T tells all, (n, K + 1)."""

    gain: float
    """Mean log likelihood gained over no flips, nats a row."""


def class_probabilities(
    x: Floats, y: Codes, others: Floats, classes: int, *, rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None, trees: int = 60, depth: int = 4,
) -> tuple[Floats, Floats]:
    """P(y | x) learned on `x` (n, F) with codes `y` (n,): out of fold there, and at `others` (m, F).

    Two-fold cross-fitted; the answers (n, K) and (m, K) are floored at 1% and normalised.
    """
    target = np.eye(classes)[y]
    fold = rng.permutation(len(x)) % 2
    own, foreign = np.zeros((len(x), classes)), np.zeros((len(others), classes))
    for k in (0, 1):
        train = fold != k
        if classes == 2:
            model = fit(x[train], target[train, 1], rng=rng, categorical=categorical, loss="logistic",
                        trees=trees, depth=depth)
            own[~train] = _two(model.raw(x[~train])[:, 0])
            foreign += _two(model.raw(others)[:, 0]) / 2
        else:
            model = fit(x[train], target[train], rng=rng, categorical=categorical, trees=trees, depth=depth)
            own[~train] = model.raw(x[~train])
            foreign += model.raw(others) / 2
    return _normal(own), _normal(foreign)


def _two(margin: Floats) -> Floats:
    positive = 1.0 / (1.0 + np.exp(-np.clip(margin, -30, 30)))
    return np.stack([1.0 - positive, positive], axis=1)


def _normal(raw: Floats) -> Floats:
    shares = np.clip(raw, _FLOOR, None)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def fit_flips(probability: Floats, observed: Codes, *, steps: int = 40, prior: float = 2.0) -> Flips:
    """Fit the transition to `observed` codes (n,) given P(true | x) (n, K).

    `prior` pseudo-rows on the diagonal of each class keep rare classes from being explained by flips.
    """
    n, classes = probability.shape
    transition = np.full((classes, classes), 0.05 / max(classes - 1, 1))
    np.fill_diagonal(transition, 0.95)
    onehot = np.eye(classes)[observed]
    for _ in range(steps):
        joint = probability * transition[:, observed].T
        joint /= joint.sum(axis=1, keepdims=True)
        counts = joint.T @ onehot + prior * np.eye(classes)
        transition = counts / counts.sum(axis=1, keepdims=True)
    flow = (probability.mean(axis=0)[:, None] * transition) * (1 - np.eye(classes))
    start, end = divmod(int((flow + flow.T).argmax()), classes)
    if flow[end, start] > flow[start, end]:
        start, end = end, start
    rate, pair = float(flow.sum()), float(flow[start, end] + flow[end, start])
    back, forth = transition[end, start], transition[start, end]
    likelihood = np.log((probability * transition[:, observed].T).sum(axis=1))
    none = np.log(probability[np.arange(n), observed])
    return Flips(
        transition=transition, rate=rate, pair=(start, end),
        pair_share=pair / rate if rate > 0 else 0.0,
        asymmetry=float(abs(forth - back) / max(forth + back, 1e-12)),
        residual=_residual(probability, transition, onehot), gain=float((likelihood - none).mean()),
    )


def _residual(probability: Floats, transition: Floats, onehot: Floats) -> Floats:
    seen = probability @ transition  # P(observed = k | x)
    kept = probability * np.diag(transition)[None, :]  # P(true = observed = k | x)
    flipped = 1.0 - kept / np.maximum(seen, 1e-12)
    surprise = (onehot * flipped).sum(axis=1) - (seen * flipped).sum(axis=1)
    return np.concatenate([onehot - seen, surprise[:, None]], axis=1)


class Heterogeneity(NamedTuple):
    """How well inputs foretell a residual."""

    correlation: float
    """Cross-fitted, over all outputs together; 0 when the residual does not depend on inputs."""

    z: float
    gain: Floats
    """Share of the fit by column, (F,); sums to 1 or is all zero."""


def heterogeneity(
    x: Floats, residual: Floats, *, rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None, trees: int = 40,
) -> Heterogeneity:
    """Foretell `residual` (n, K), mean zero, from x (n, F), two-fold cross-fitted."""
    fold = rng.permutation(len(x)) % 2
    foretold = np.zeros_like(residual)
    gain = np.zeros(x.shape[1])
    for k in (0, 1):
        train = fold != k
        model = fit(x[train], residual[train], rng=rng, categorical=categorical, trees=trees, depth=3)
        foretold[~train] = model.raw(x[~train]) - residual[train].mean(axis=0)
        gain += model.gain
    product = (foretold * residual).sum(axis=1)
    scale = float(np.sqrt((foretold**2).sum() * (residual**2).sum()))
    if scale <= 1e-12 or product.std() <= 1e-12:
        return Heterogeneity(0.0, 0.0, np.zeros(x.shape[1]))
    z = float(product.mean() / product.std() * np.sqrt(len(x)))
    return Heterogeneity(float(product.sum()) / scale, z, gain / max(float(gain.sum()), 1e-12))
