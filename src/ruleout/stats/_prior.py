"""Class balance: what a change of P(y) alone predicts, with labels and without.

Method without labels: black-box shift estimation (Lipton, Wang and Smola 2018), with the confusion matrix
regularised as in Azizzadenesheli et al. (2019).
"""

from __future__ import annotations

from typing import NamedTuple

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


class Balance(NamedTuple):
    """A change of class balance, and how it varies when the rows of both windows are drawn anew."""

    codes: Codes
    """Class of each reference row (n,), none below 0."""

    own: Floats
    """What tells the classes apart, one column a class, at the reference rows (n, K): the labels, or P(class | inputs)."""

    foreign: Floats
    """The same at the current rows, (m, K)."""

    now: Floats
    """Class shares of the current window (K,)."""

    lever: Floats
    """What a misfit of the columns' means does to the shares, (K, K)."""

    def factor(self, reference: Floats | None = None, current: Floats | None = None) -> Floats:
        """How much commoner each class became (K,), with rows counted `reference` (n,) and `current` (m,) times."""
        before = np.bincount(self.codes, weights=reference, minlength=len(self.now))
        share = before / max(float(before.sum()), 1e-9)
        now = self.now
        if reference is not None and current is not None:
            now = _simplex(now + self.lever @ _misfit(self, now, reference, current))
        # steadied where a class is nearly absent
        return np.asarray((now + 1e-4) / (share + 1e-4))

    def weights(self, reference: Floats | None = None, current: Floats | None = None) -> Floats:
        """Weights (n,) that give the reference rows the current balance; arguments as for `factor`."""
        return np.asarray(self.factor(reference, current)[self.codes])


def balance_by_labels(reference: Codes, current: Codes, classes: int) -> Balance:
    """The change of balance that the labels show; codes below 0 in `current` (m,) count as no class."""
    told = [(codes[:, None] == np.arange(classes)).astype(float) for codes in (reference, current)]
    return Balance(reference, told[0], told[1], class_shares(current, classes), np.eye(classes))


def balance_by_inputs(reference: Codes, own: Floats, foreign: Floats) -> Balance:
    """The change of balance that the current inputs show, labels of the current rows unseen.

    Expectation maximisation alone overshoots where the probabilities are not calibrated. So they only serve as functions
    of the inputs whose means by class the reference knows, and the shares are those that reproduce their means on the
    current rows (moment matching, as in Lipton et al. 2018): right whatever the calibration. Maximisation steadies them
    where the classes look alike.

    Args:
        reference: codes (n,) of the reference rows.
        own: P(class | inputs) there, out of fold, (n, K).
        foreign: the same at the current rows, (m, K).
    """
    prior = class_shares(reference, own.shape[1])
    shares = shares_by_inputs(foreign, prior)
    by_class = _means_by_class(reference, own, np.ones(len(reference)))
    ridge = 1e-4 * np.eye(len(prior)) / len(prior)
    lever = np.asarray(np.linalg.solve(by_class.T @ by_class + ridge, by_class.T), dtype=np.float64)
    start = Balance(reference, own, foreign, shares, lever)
    ones = np.ones(len(own)), np.ones(len(foreign))
    return start._replace(now=_simplex(shares + lever @ _misfit(start, shares, *ones)))


def _misfit(balance: Balance, shares: Floats, reference: Floats, current: Floats) -> Floats:
    """Means of the current columns less what the reference's classes mixed by `shares` would have, (K,)."""
    by_class = _means_by_class(balance.codes, balance.own, reference)
    return np.asarray(
        current @ balance.foreign / max(float(current.sum()), 1e-9) - by_class @ shares
    )


def _means_by_class(codes: Codes, told: Floats, weight: Floats) -> Floats:
    """Mean of each column (n, K) in each class: (columns, classes); a class without rows speaks for itself."""
    member = (codes[:, None] == np.arange(told.shape[1])) * weight[:, None]
    mass = member.sum(axis=0)
    means = told.T @ member / np.maximum(mass, 1e-9)
    return np.where(mass > 0, means, np.eye(told.shape[1]))


def _simplex(shares: Floats) -> Floats:
    kept = np.maximum(shares, 0.0)
    return np.asarray(kept / max(float(kept.sum()), 1e-9))
