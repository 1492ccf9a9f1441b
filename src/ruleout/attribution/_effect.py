"""The effect of a suspected cause on the loss: identified, estimated, refuted, and how much hiding it would stand.

Identification: the parents of the cause in the incident's graph, else all other inputs, are adjusted for. Estimate: augmented
inverse propensity weighting, cross-fitted (Robins et al. 1994; Chernozhukov et al. 2018). Refutation: a placebo cause, a random
common cause and half of the rows, as DoWhy has them (Sharma and Kiciman 2020). Sensitivity: the robustness value of
Cinelli and Hazlett (2020): how strong a hidden common cause must be to explain the effect away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit, row_folds

_EDGE = 0.02


class Effect(NamedTuple):
    """Average effect of a binary cause."""

    value: float
    low: float
    high: float
    """90% interval from the influence function."""

    naive: float
    """Difference of means without adjustment."""

    placebo: float
    """Effect of a shuffled cause; must be near zero."""

    random_cause: float
    """Estimate with a random column added; must stay."""

    half: float
    """Estimate on half of the rows; must stay within noise."""

    robustness: float
    """Partial R-squared that a hidden cause would need with both cause and outcome to bring the estimate to zero."""

    overlap: float
    """Share of the rows whose chance of the cause lies within [0.02, 0.98]."""

    @property
    def refuted(self) -> bool:
        """Whether a refutation failed or the rows do not overlap."""
        width = max(self.high - self.low, 1e-12)
        steady = (
            abs(self.random_cause - self.value) < width
            and abs(self.half - self.value) < 1.5 * width
        )
        return not (steady and abs(self.placebo) < width and self.overlap > 0.5)


def estimate_effect(
    cause: NDArray[np.bool_],
    outcome: Floats,
    adjust: Floats,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
) -> Effect:
    """Effect of `cause` (n,) on `outcome` (n,), adjusted for `adjust` (n, F).

    Raises:
        ValueError: when fewer than 20 rows have the cause, or have it not.
    """
    if min(int(cause.sum()), int((~cause).sum())) < 20:
        raise ValueError(
            f"{int(cause.sum())} of {len(cause)} rows have the cause; 20 on either side are needed"
        )
    value, influence, chance = _aipw(cause, outcome, adjust, rng, categorical)
    se = float(influence.std() / np.sqrt(len(influence)))
    extra = np.concatenate([adjust, rng.normal(size=(len(cause), 1))], axis=1)
    kinds = None if categorical is None else np.append(categorical, False)
    half = rng.permutation(len(cause)) < len(cause) // 2
    return Effect(
        value=value,
        low=value - 1.645 * se,
        high=value + 1.645 * se,
        naive=float(outcome[cause].mean() - outcome[~cause].mean()),
        placebo=_aipw(rng.permutation(cause), outcome, adjust, rng, categorical)[0],
        random_cause=_aipw(cause, outcome, extra, rng, kinds)[0],
        half=_aipw(cause[half], outcome[half], adjust[half], rng, categorical)[0],
        robustness=_robustness(value / max(se, 1e-12), len(cause)),
        overlap=float(((chance > _EDGE) & (chance < 1 - _EDGE)).mean()),
    )


def _aipw(
    cause: NDArray[np.bool_],
    outcome: Floats,
    adjust: Floats,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None,
) -> tuple[float, Floats, Floats]:
    """Estimate, influence (n,) and chance of the cause (n,)."""
    treated = cause.astype(float)
    chance, _ = cross_fit(
        adjust, treated, adjust[:1], rng=rng, categorical=categorical, loss="logistic"
    )
    clipped = np.clip(chance, _EDGE, 1 - _EDGE)
    with_it, without = _both_ways(cause, outcome, adjust, rng, categorical)
    influence = (
        with_it
        - without
        + treated * (outcome - with_it) / clipped
        - (1 - treated) * (outcome - without) / (1 - clipped)
    )
    value = float(influence.mean())
    return value, influence - value, chance


def _both_ways(
    cause: NDArray[np.bool_],
    outcome: Floats,
    adjust: Floats,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None,
) -> tuple[Floats, Floats]:
    """Out-of-fold expectations (n,) of the outcome with the cause and without."""
    fold = row_folds(adjust, 2, rng)
    told = np.zeros((2, len(outcome)))
    for k in (0, 1):
        for side, has in enumerate((cause, ~cause)):
            train = (fold != k) & has
            if train.sum() < 8:
                told[side, fold == k] = outcome[has].mean()
                continue
            _, foreign = cross_fit(
                adjust[train], outcome[train], adjust[fold == k], rng=rng, categorical=categorical
            )
            told[side, fold == k] = foreign
    return told[0], told[1]


def _robustness(t: float, n: int) -> float:
    """Robustness value for bringing the estimate to zero, from its t value."""
    f2 = t**2 / n
    return float(0.5 * (np.sqrt(f2**2 + 4 * f2) - f2))
