"""Class balance: what a change of P(y) alone predicts, with labels and without.

Method without labels: black-box shift estimation (Lipton, Wang and Smola 2018), with the confusion matrix
regularised as in Azizzadenesheli et al. (2019).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats

Codes = NDArray[np.int32] | NDArray[np.int64]


def class_shares(codes: Codes, classes: int) -> Floats:
    """Share of each class (K,) among the known codes (n,); a code below 0 is unknown."""
    count = np.bincount(codes[codes >= 0], minlength=classes).astype(float)[:classes]
    return np.asarray(count / max(count.sum(), 1.0))


def balance_weights(reference: Codes, current: Codes, classes: int) -> Floats:
    """Weights (n,) of the reference rows that give them the current class balance.

    Counts get half a row each, so that a class which is absent from a window cannot weigh infinitely.
    """
    ref = np.bincount(reference[reference >= 0], minlength=classes) + 0.5
    cur = np.bincount(current[current >= 0], minlength=classes) + 0.5
    factor = (cur / cur.sum()) / (ref / ref.sum())
    return np.where(reference >= 0, factor[np.maximum(reference, 0)], 1.0)


def bbse(
    truth: Codes, decided: Codes, decided_now: Codes, classes: int, *, ridge: float = 1e-3
) -> Floats:
    """Class weights (K,) p_current(y) / p_reference(y) from decisions alone.

    Assumes that p(x | y) has not changed. `truth` and `decided` are (n,) reference codes, `decided_now`
    (m,) current ones. Weights are non-negative and average to 1 over the reference's classes.
    """
    known = (truth >= 0) & (decided >= 0)
    joint = np.zeros((classes, classes))
    np.add.at(joint, (decided[known], truth[known]), 1.0)
    joint /= max(joint.sum(), 1.0)
    now = class_shares(decided_now, classes)
    shift = now - joint.sum(axis=1)
    # ridge towards "no change", not towards zero
    step = np.linalg.solve(joint.T @ joint + ridge * np.eye(classes) / classes, joint.T @ shift)
    weights = np.maximum(1.0 + step, 0.0)
    prior = class_shares(truth, classes)
    return np.asarray(weights / max(float(weights @ prior), 1e-9))


def shares_by_inputs(probability: Floats, prior: Floats, *, steps: int = 100) -> Floats:
    """Current class shares (K,) from inputs alone, by expectation maximisation (Saerens et al. 2002).

    Args:
        probability: P(y | x) of the reference at the current rows, (m, K).
        prior: class shares of the reference (K,).
        steps: rounds at most.

    Assumes that p(x | y) has not changed; labels of the current rows are not looked at, so that spoilt or
    drifted ones cannot mislead it.
    """
    base = np.maximum(prior, 1e-6)
    shares = base.copy()
    for _ in range(steps):
        posterior = probability * (shares / base)
        posterior /= posterior.sum(axis=1, keepdims=True)
        fresh = posterior.mean(axis=0)
        if np.abs(fresh - shares).max() < 1e-5:
            break
        shares = fresh
    return np.asarray(shares)
