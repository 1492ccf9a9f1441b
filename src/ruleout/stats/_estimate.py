"""Performance without labels: what calibrated scores promise.

Method: confidence-based performance estimation (Garg et al. 2022; NannyML's CBPE): on a window without labels, each
row's expected cell of the confusion matrix follows from its calibrated score. It holds while P(y | score) does. Rows of
the reference weighted by the density ratio of the inputs make that P(y | x), which also bears inputs on which the
scores err (Shimodaira 2000). A changed relation is seen by neither.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats

_NORMAL = 1.6449


class Estimated(NamedTuple):
    """An estimate with a 90% interval."""

    value: float
    low: float
    high: float


def isotonic(score: Floats, outcome: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Non-decreasing calibration by pooling adjacent violators: knots (k,) and values (k,) for `np.interp`.

    `score` and `outcome` are (n,), finite; equal scores share one value.
    """
    order = np.argsort(score, kind="stable")
    w = np.ones(len(score)) if weight is None else weight[order]
    s = score[order]
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    mass = np.add.reduceat(w, starts)
    mean = np.add.reduceat(w * outcome[order], starts) / mass
    values: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    for value, part in zip(mean.tolist(), mass.tolist(), strict=True):
        values.append(value)
        weights.append(part)
        sizes.append(1)
        while len(values) > 1 and values[-2] > values[-1]:
            total = weights[-2] + weights[-1]
            values[-2] = (values[-2] * weights[-2] + values[-1] * weights[-1]) / total
            weights[-2], sizes[-2] = total, sizes[-2] + sizes[-1]
            del values[-1], weights[-1], sizes[-1]
    return s[starts], np.repeat(values, sizes)


def calibrate(
    score: Floats,
    outcome: Floats,
    score_now: Floats,
    *,
    rng: np.random.Generator,
    bags: int = 8,
    weight: Floats | None = None,
) -> Floats:
    """P(positive | score) at `score_now` (m,): isotonic fits on bootstrap draws, averaged to smooth steps.

    `weight` (n,) counts the rows to calibrate on.
    """
    n = len(score)
    total = np.zeros(len(score_now))
    for _ in range(bags):
        pick = rng.integers(0, n, n)
        knots, values = isotonic(
            score[pick], outcome[pick], None if weight is None else weight[pick]
        )
        total += np.interp(score_now, knots, values)
    return total / bags


def expected_cells(probability: Floats, decided: NDArray[np.bool_], weight: Floats) -> Floats:
    """Expected (tp, fp, fn, tn) of decisions (n,) given P(positive) (n,) and weights (n,)."""
    p, q = weight * probability, weight * (1.0 - probability)
    return np.array([p[decided].sum(), q[decided].sum(), p[~decided].sum(), q[~decided].sum()])


def from_cells(metric: str, cells: Floats) -> float:
    """Accuracy, precision, recall, specificity or F1 from (tp, fp, fn, tn); NaN when undefined.

    Raises:
        KeyError: for a metric that is no function of the confusion matrix.
    """
    tp, fp, fn, tn = cells
    parts = {
        "accuracy": (tp + tn, tp + fp + fn + tn),
        "error_rate": (fp + fn, tp + fp + fn + tn),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "f1": (2 * tp, 2 * tp + fp + fn),
    }
    top, bottom = parts[metric]
    return float(top / bottom) if bottom > 0 else float("nan")


def expected_auc(probability: Floats, score: Floats, weight: Floats | None = None) -> float:
    """Expected area under the ROC curve when row i is positive with `probability[i]`, (n,) each."""
    w = np.ones(len(score)) if weight is None else weight
    order = np.argsort(score, kind="stable")
    p, s = (w * probability)[order], score[order]
    q = (w * (1 - probability))[order]
    starts = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    pos, neg = np.add.reduceat(p, starts), np.add.reduceat(q, starts)
    below = np.cumsum(neg) - neg
    total = float(pos.sum() * neg.sum())
    return float((pos * (below + 0.5 * neg)).sum() / total) if total > 0 else float("nan")


def estimate_classification(
    metric: str,
    reference: tuple[Floats, Floats],
    score_now: Floats,
    decided_now: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    weight: Floats | None = None,
    foretold: Floats | None = None,
    draws: int = 60,
) -> Estimated:
    """Expected value of a binary metric on rows without labels.

    Args:
        metric: as in `from_cells`, or `roc_auc`.
        reference: scores (n,) and outcomes 0/1 (n,) to calibrate on.
        score_now: scores (m,) of the unlabelled rows.
        decided_now: whether each was decided positive, (m,).
        rng: bootstrap of both windows, so that the interval carries the calibration's uncertainty too,
            and the outcomes are drawn, so that it covers the realised metric, not only its mean.
        weight: density ratio (n,) of the current to the reference inputs, to calibrate for the current ones. Half of
            what it does to the estimate counts as the standard error of how a calibration carries over.
        foretold: P(positive | inputs, score) (m,) of the unlabelled rows, learned on the reference. The estimate is then
            the mean of the two, each of which is right where the other need not be: weights where they overlap, a
            learned outcome where it is smooth. Half of what they differ by counts as a standard error besides.
        draws: bootstrap draws.
    """
    score, outcome = reference
    plain, point = (
        _expected(
            metric,
            calibrate(score, outcome, score_now, rng=rng, weight=w),
            score_now,
            decided_now,
            np.ones(len(score_now)),
        )
        for w in (None, weight)
    )
    apart = 0.0
    if foretold is not None:
        other = _expected(metric, foretold, score_now, decided_now, np.ones(len(score_now)))
        apart, point = abs(point - other), (point + other) / 2
    doubt = _NORMAL / 2 * float(np.hypot(point - plain, apart)) if weight is not None else 0.0
    n, m = len(score), len(score_now)
    values = np.zeros(draws)
    for k in range(draws):
        pick, now = rng.integers(0, n, n), rng.integers(0, m, m)
        counted = None if weight is None else weight[pick]
        probability = calibrate(
            score[pick], outcome[pick], score_now[now], rng=rng, bags=1, weight=counted
        )
        realised = (rng.random(m) < probability).astype(float)
        values[k] = _expected(metric, realised, score_now[now], decided_now[now], np.ones(m))
    known = values[np.isfinite(values)]  # a draw without a positive has no recall
    if not len(known):
        return Estimated(point, np.nan, np.nan)
    low, high = np.quantile(known, [0.05, 0.95]) - np.median(known)
    return Estimated(
        point, float(point - np.hypot(low, doubt)), float(point + np.hypot(high, doubt))
    )


def _expected(
    metric: str, probability: Floats, score: Floats, decided: NDArray[np.bool_], weight: Floats
) -> float:
    if metric == "roc_auc":
        return expected_auc(probability, score, weight)
    return from_cells(metric, expected_cells(probability, decided, weight))


def estimate_loss(
    loss: Floats,
    learned: tuple[Floats, Floats],
    *,
    rng: np.random.Generator,
    weight: Floats | None = None,
    draws: int = 200,
) -> Estimated:
    """Expected mean loss on rows without labels, by a loss learned from inputs and prediction (NannyML's DLE).

    Args:
        loss: of the reference rows, (n,).
        learned: the loss as inputs and prediction foretell it, out of fold at the reference rows (n,) and at those without
            labels (m,).
        rng: bootstrap of both windows.
        weight: density ratio of the inputs (n,). What the learned loss misses then counts where the current rows are (doubly
            robust), so far as it is more than chance. Half of what that changes is a standard error besides, as is half of what the estimate and the weights
            alone differ by.
        draws: bootstrap draws.
    """
    own, foreign = learned
    n, m = len(loss), len(foreign)
    residual = loss - own
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    missed, usual = float(share @ residual), float(residual.mean())
    point = float(foreign.mean()) + usual + _beyond_noise(missed - usual, share, residual)
    values = np.empty(draws)
    for k in range(draws):
        pick = rng.integers(0, n, n)
        drawn = float(share[pick] @ residual[pick] / share[pick].sum())
        realised = float(residual[rng.choice(n, m, p=share)].mean()) - missed
        values[k] = foreign[rng.integers(0, m, m)].mean() + drawn + realised
    low, high = np.quantile(values, [0.05, 0.95]) - np.median(values)
    carried, alone = missed - usual, float(share @ loss)
    apart = 0.0 if weight is None else point - alone
    doubt = _NORMAL / 2 * float(np.hypot(carried, apart))
    return Estimated(
        point, float(point - np.hypot(low, doubt)), float(point + np.hypot(high, doubt))
    )


def _beyond_noise(carried: float, share: Floats, residual: Floats) -> float:
    """What weights `share` (n,) add to the mean of `residual` (n,), less what that many rows would add by chance (James and Stein 1961)."""
    noise = float((share - 1 / len(share)) ** 2 @ (residual - residual.mean()) ** 2)
    return carried * max(0.0, 1.0 - noise / carried**2) if carried else 0.0


class Contradiction(NamedTuple):
    """Where known losses are farthest from the learned ones."""

    z: float
    """Standard errors between them; positive where the known losses are larger."""

    bands: int
    """Bands of the learned loss that were looked at."""

    known: float
    """Mean known loss of the band."""

    promised: float
    """What the learned loss and its usual error promise there."""


def contradiction(
    reference: tuple[Floats, Floats],
    current: tuple[Floats, Floats],
    *,
    weight: Floats | None = None,
    rows: int = 50,
) -> Contradiction:
    """Compare known losses with what was learned, in up to four bands of the learned loss.

    Args:
        reference: losses (n,) and what is foretold of them out of fold (n,).
        current: known losses (k,) and what is foretold of them (k,), of one row or more.
        weight: density ratio of the inputs (n,): how often the learned loss errs is told where the current rows are.
        rows: known losses a band needs; with fewer in all there is one band.
    """
    loss, own = reference
    known, told = current
    counted = np.ones(len(loss)) if weight is None else weight
    bands = int(np.clip(len(known) // rows, 1, 4))
    edges = np.quantile(told, np.arange(1, bands) / bands)
    here, there = np.digitize(told, edges), np.digitize(own, edges)
    worst = Contradiction(0.0, bands, float(known.mean()), float(told.mean()))
    for band in range(bands):
        mine, usual = here == band, there == band
        if mine.sum() < 2 or usual.sum() < 2:
            continue
        miss, w = loss[usual] - own[usual], counted[usual] / max(counted[usual].sum(), 1e-300)
        expected = float(w @ miss)
        off = known[mine] - told[mine]
        error = np.sqrt(w**2 @ (miss - expected) ** 2 + off.var(ddof=1) / len(off))
        z = (float(off.mean()) - expected) / max(float(error), 1e-300)
        if abs(z) > abs(worst.z):
            promised = float(told[mine].mean()) + expected
            worst = Contradiction(z, bands, float(known[mine].mean()), promised)
    return worst
