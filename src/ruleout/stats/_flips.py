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
from ruleout.stats._crossfit import row_folds
from ruleout.stats._prior import Codes

_FLOOR = 0.002


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
    x: Floats,
    y: Codes,
    others: Floats,
    classes: int,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    weight: Floats | None = None,
    trees: int = 60,
    depth: int = 4,
) -> tuple[Floats, Floats]:
    """P(y | x) learned on `x` (n, F) with codes `y` (n,): out of fold there, and at `others` (m, F).

    Two-fold cross-fitted; the answers (n, K) and (m, K) are floored and normalised. `weight` (n,) lets the
    fit care about the rows that matter at `others`.
    """
    target = np.eye(classes)[y]
    fold = row_folds(x, 2, rng)
    own, foreign = np.zeros((len(x), classes)), np.zeros((len(others), classes))
    for k in (0, 1):
        train = fold != k
        if classes == 2:
            model = fit(
                x[train],
                target[train, 1],
                rng=rng,
                categorical=categorical,
                loss="logistic",
                trees=trees,
                depth=depth,
                rows=3_000,
                weight=None if weight is None else weight[train],
            )
            own[~train] = _two(model.raw(x[~train])[:, 0])
            foreign += _two(model.raw(others)[:, 0]) / 2
        else:
            model = fit(
                x[train],
                target[train],
                rng=rng,
                categorical=categorical,
                trees=trees,
                depth=depth,
                rows=3_000,
                weight=None if weight is None else weight[train],
            )
            own[~train] = model.raw(x[~train])
            foreign += model.raw(others) / 2
    return _normal(own), _normal(foreign)


def _two(margin: Floats) -> Floats:
    positive = 1.0 / (1.0 + np.exp(-np.clip(margin, -30, 30)))
    return np.stack([1.0 - positive, positive], axis=1)


def _normal(raw: Floats) -> Floats:
    shares = np.clip(raw, _FLOOR, None)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def fit_flips(
    probability: Floats, observed: Codes, *, steps: int = 40, prior: float = 2.0
) -> Flips:
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
        transition=transition,
        rate=rate,
        pair=(start, end),
        pair_share=pair / rate if rate > 0 else 0.0,
        asymmetry=float(abs(forth - back) / max(forth + back, 1e-12)),
        residual=label_residual(probability, transition, observed),
        gain=float((likelihood - none).mean()),
    )


def label_residual(probability: Floats, transition: Floats, observed: Codes) -> Floats:
    """Residuals (n, K + 1) of observed codes (n,), as in `Flips.residual`."""
    onehot = np.eye(probability.shape[1])[observed]
    seen = probability @ transition  # P(observed = k | x)
    kept = probability * np.diag(transition)[None, :]  # P(true = observed = k | x)
    flipped = 1.0 - kept / np.maximum(seen, 1e-12)
    surprise = (onehot * flipped).sum(axis=1) - (seen * flipped).sum(axis=1)
    return np.concatenate([onehot - seen, surprise[:, None]], axis=1)


class Part(NamedTuple):
    """Rows of one window for `heterogeneity`."""

    x: Floats
    """Inputs (n, F)."""

    residual: Floats
    """Label residuals (n, K)."""

    weight: Floats
    """Weight of each row (n,); both windows' weighted inputs must look alike, as with overlap weights."""


def heterogeneity(
    reference: Part,
    current: Part,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    trees: int = 40,
) -> tuple[float, float]:
    """How far inputs foretell the current residual, beyond what they foretell of the reference's.

    What inputs foretell is learned on the current rows, two-fold cross-fitted, and counted against the
    reference at equal inputs: where P(y | x) was merely learned badly, both windows show the same misfit and
    it cancels (the double robustness of the generalised covariance measure, Shah and Peters 2020).

    Returns:
        The difference of the correlations, and its z under an unchanged relation.
    """
    fold = row_folds(current.x, 2, rng)
    foretold, theirs = np.zeros_like(current.residual), np.zeros_like(reference.residual)
    for k in (0, 1):
        train = fold != k
        model = fit(
            current.x[train],
            current.residual[train],
            rng=rng,
            categorical=categorical,
            trees=trees,
            depth=3,
            rows=3_000,
        )
        mean = current.residual[train].mean(axis=0)
        foretold[~train] = model.raw(current.x[~train]) - mean
        theirs += (model.raw(reference.x) - mean) / 2
    now, now_var = _weighted_mean((foretold * current.residual).sum(axis=1), current.weight)
    then, then_var = _weighted_mean((theirs * reference.residual).sum(axis=1), reference.weight)
    power = _weighted_mean((foretold**2).sum(axis=1), current.weight)[0]
    scale = np.sqrt(power * _weighted_mean((current.residual**2).sum(axis=1), current.weight)[0])
    spread = np.sqrt(now_var + then_var)
    if scale <= 1e-12 or spread <= 1e-12:
        return 0.0, 0.0
    return float((now - then) / scale), float((now - then) / spread)


def _weighted_mean(values: Floats, weight: Floats) -> tuple[float, float]:
    total = float(weight.sum())
    mean = float(weight @ values) / total
    return mean, float((weight**2) @ (values - mean) ** 2) / total**2


def overlap_weights(ratio_reference: Floats, ratio_current: Floats) -> tuple[Floats, Floats]:
    """Weights under which two windows' inputs look alike, from density ratios (n,) and (m,) (Li et al. 2018)."""
    n, m = len(ratio_reference), len(ratio_current)
    return m * ratio_reference / (n + m * ratio_reference), n / (n + m * ratio_current)
