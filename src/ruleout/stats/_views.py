"""Which known damage did the current rows suffer, and how many of them?

Reference rows are damaged on purpose in every known way ("views"). A small recogniser learns to
tell the views apart; its answers on held-out views form a confusion matrix, and the shares of the
views among current rows are those that reproduce the recogniser's mean answer there (the
black-box shift estimation of Lipton et al. 2018, with damages in the place of classes). Undoing
is thereby tested on whole distributions and for every damage at once, and damages that look
alike share their mass instead of being guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

AS_IS = "as_is"
"""Name of the undamaged view; it must be among the views."""

_AXES = 64
_HIDDEN = 256
_RIDGE = 30.0
_RESAMPLES = 60


class Shares(NamedTuple):
    """Estimated shares of the views among some rows."""

    names: tuple[str, ...]
    point: Floats
    """(K,) adding to 1."""

    low: Floats
    """(K,) lower end of a 90% interval."""

    high: Floats

    def of(self, *names: str) -> tuple[float, float, float]:
        """Point, low and high of the summed share of some views (the interval is conservative)."""
        at = [self.names.index(name) for name in names]
        return (
            float(self.point[at].sum()),
            float(self.low[at].sum()),
            float(min(1.0, self.high[at].sum())),
        )


class Recogniser(NamedTuple):
    """Tells views apart."""

    names: tuple[str, ...]
    centre: Floats
    axes: Floats
    hidden: Floats
    bias: Floats
    weights: Floats
    """(1 + axes + hidden, K)."""

    means: Floats
    """(K, K): row k is the mean answer on held-out rows of view k."""

    noise: Floats
    """(K, K): standard error of each mean."""

    def answers(self, x: Floats) -> Floats:
        """(n, K) answers for (n, r) features; near one-hot where views are easily told apart."""
        return np.asarray(_expand(x, self.centre, self.axes, self.hidden, self.bias) @ self.weights)

    def shares(self, x: Floats, rng: np.random.Generator, weight: Floats | None = None) -> Shares:
        """Shares of the views among (n, r) rows, with an interval for both samples' noise."""
        answers = self.answers(x)
        share = np.full(len(x), 1.0 / len(x)) if weight is None else weight / weight.sum()
        mean = share @ answers
        error = np.sqrt((share**2) @ (answers - mean) ** 2)
        draws = mean + error * rng.standard_normal((_RESAMPLES, len(mean)))
        tables = self.means + self.noise * rng.standard_normal((_RESAMPLES, *self.means.shape))
        point = mixture(self.means[None], mean[None])[0]
        drawn = mixture(tables, draws)
        low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
        return Shares(self.names, point, np.minimum(low, point), np.maximum(high, point))

    def separation(self, name: str) -> float:
        """How far apart `name` and the undamaged view lie, in standard errors of one row's answer."""
        k, base = self.names.index(name), self.names.index(AS_IS)
        gap = self.means[k] - self.means[base]
        return float(abs(gap[k] - gap[base]))


def fit_recogniser(
    views: Mapping[str, Floats],
    rng: np.random.Generator,
    weight: Floats | None = None,
) -> Recogniser:
    """Learn views on the even reference rows, measure the answers on the odd ones.

    Args:
        views: name -> (n, r) finite features of the same n reference rows under each damage, with
            `AS_IS` among them.
        rng: draws the hidden units (random features, Rahimi and Recht 2008).
        weight: (n,) weights of the rows that make the reference's classes as common as now.

    Raises:
        ValueError: when `AS_IS` is missing or there are fewer than 20 rows.
    """
    names = tuple(views)
    if AS_IS not in names or len(views[AS_IS]) < 20:
        raise ValueError(f"needs the view {AS_IS!r} with 20 rows or more, got {names}")
    learn = [views[name][::2] for name in names]
    held = [views[name][1::2] for name in names]
    centre, axes = _leading_axes(np.concatenate(learn), rng)
    hidden, bias = _hidden_units(axes.shape[1], rng)
    heavy = np.ones(len(views[AS_IS])) if weight is None else weight / weight.mean()
    size = 1 + axes.shape[1] + _HIDDEN
    gram, cross = _RIDGE * np.eye(size), np.zeros((size, len(names)))
    for k, rows in enumerate(learn):
        units = _expand(rows, centre, axes, hidden, bias)
        gram += (units * heavy[::2, None]).T @ units
        target = np.zeros((len(rows), len(names)))
        target[:, k] = heavy[::2]
        cross += units.T @ target
    weights = np.asarray(np.linalg.solve(gram, cross), dtype=float)
    share = heavy[1::2] / heavy[1::2].sum()
    answers = [_expand(rows, centre, axes, hidden, bias) @ weights for rows in held]
    means = np.stack([share @ answer for answer in answers])
    noise = np.stack(
        [np.sqrt((share**2) @ (a - m) ** 2) for a, m in zip(answers, means, strict=True)]
    )
    return Recogniser(names, centre, axes, hidden, bias, weights, means, noise)


def _hidden_units(size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    hidden = 1.5 * rng.standard_normal((size, _HIDDEN)) / np.sqrt(size)
    return np.asarray(hidden), np.asarray(0.5 * rng.standard_normal(_HIDDEN))


def _leading_axes(x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Mean and leading axes of (n, r) rows, whitened with a floor."""
    rows = x if len(x) <= 3000 else x[np.sort(rng.choice(len(x), 3000, replace=False))]
    centre = rows.mean(axis=0)
    values, basis = np.linalg.eigh((rows - centre).T @ (rows - centre) / len(rows))
    k = min(_AXES, len(values))
    lead = np.maximum(values[::-1][:k], 1e-12)
    keep = lead > 1e-6 * lead[0]
    return centre, np.asarray(basis[:, ::-1][:, :k][:, keep] / np.sqrt(lead[keep]))


def _expand(x: Floats, centre: Floats, axes: Floats, hidden: Floats, bias: Floats) -> Floats:
    z = np.clip((x - centre) @ axes, -8.0, 8.0)
    return np.hstack([np.ones((len(z), 1)), z, np.maximum(z @ hidden + bias, 0.0)])


class Separation(NamedTuple):
    """How well two samples can be told apart by rows not used to learn it."""

    auc: float
    """0.5 when they cannot."""

    error: float
    """Standard error of `auc`."""


def restored(before: Separation, after: Separation) -> float:
    """Share of a separation that goes away when a damage is undone, in [0, 1]."""
    gap = before.auc - 0.5
    return float(np.clip(1.0 - (after.auc - 0.5) / gap, 0.0, 1.0)) if gap > 0 else 0.0


def separation(
    a: Floats,
    b: Floats,
    rng: np.random.Generator,
    weight_a: Floats | None = None,
    weight_b: Floats | None = None,
) -> Separation:
    """Cross-fitted classifier two-sample test (Lopez-Paz and Oquab 2017) of (n, r) and (m, r) rows.

    The classifier is a ridge regression on random features, the answer its weighted AUC over both
    halves.
    """
    wa = np.ones(len(a)) if weight_a is None else weight_a
    wb = np.ones(len(b)) if weight_b is None else weight_b
    said_a, said_b = _answered(a, b, rng, (wa, wb))
    aucs = []
    for half in (0, 1):
        la, lb = np.arange(len(a)) % 2 != half, np.arange(len(b)) % 2 != half
        aucs.append(weighted_auc(said_a[la], wa[la], said_b[lb], wb[lb]))
    effective = min(wa.sum() ** 2 / (wa**2).sum(), wb.sum() ** 2 / (wb**2).sum())
    # Hanley and McNeil 1982 for equal effective sizes, at the null, where it is largest.
    return Separation(float(np.mean(aucs)), float(np.sqrt(1.0 / (6.0 * max(effective, 1.0)))))


def strangeness(
    a: Floats, b: Floats, rng: np.random.Generator, weight_a: Floats | None = None
) -> Floats:
    """How unlike rows (n, r) of `a` each row (m,) of `b` is: about 0 where it is none, about 1 for the strangest tenth.

    Rows are judged by a classifier that did not see them; NaN throughout where none is strange.
    """
    wa = np.ones(len(a)) if weight_a is None else weight_a
    said_a, said_b = _answered(a, b, rng, (wa, np.ones(len(b))))
    usual, top = float(np.average(said_a, weights=wa)), float(np.quantile(said_b, 0.9))
    return (said_b - usual) / (top - usual) if top > usual else np.full(len(b), np.nan)


def _answered(
    a: Floats, b: Floats, rng: np.random.Generator, weights: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Answers (n,) and (m,) of a classifier of both, each half of the rows judged by what the other half taught."""
    wa, wb = weights
    centre, axes = _leading_axes(np.concatenate([a, b]), rng)
    hidden, bias = _hidden_units(axes.shape[1], rng)
    ua, ub = (_expand(x, centre, axes, hidden, bias) for x in (a, b))
    said_a, said_b = np.zeros(len(a)), np.zeros(len(b))
    for half in (0, 1):
        la, lb = np.arange(len(a)) % 2 == half, np.arange(len(b)) % 2 == half
        direction = _discriminant(ua[la], wa[la], ub[lb], wb[lb])
        said_a[~la], said_b[~lb] = ua[~la] @ direction, ub[~lb] @ direction
    return said_a, said_b


def _discriminant(a: Floats, wa: Floats, b: Floats, wb: Floats) -> Floats:
    x = np.concatenate([a, b])
    weight = np.concatenate([wa / wa.sum(), wb / wb.sum()]) * (len(x) / 2)
    target = np.concatenate([-np.ones(len(a)), np.ones(len(b))])
    gram = (x * weight[:, None]).T @ x + _RIDGE * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram, x.T @ (weight * target)))


def weighted_auc(a: Floats, wa: Floats, b: Floats, wb: Floats) -> float:
    """P(b > a) over weighted rows, ties counted half."""
    values, place = np.unique(np.concatenate([a, b]), return_inverse=True)
    mass_a = np.bincount(place[: len(a)], weights=wa, minlength=len(values))
    mass_b = np.bincount(place[len(a) :], weights=wb, minlength=len(values))
    below = np.cumsum(mass_a) - 0.5 * mass_a
    return float((mass_b * below).sum() / (mass_a.sum() * mass_b.sum()))


def mixture(means: Floats, observed: Floats, steps: int = 400) -> Floats:
    """Shares on the simplex whose mixture of mean answers is nearest to what was observed.

    Args:
        means: (B, K, K) mean answer of each pure view, by row.
        observed: (B, K) mean answers of the mixtures.
        steps: accelerated projected gradient steps (Nesterov).

    Returns:
        (B, K) shares.
    """
    count = means.shape[1]
    gram = means @ np.swapaxes(means, 1, 2)
    target = (means @ observed[:, :, None])[:, :, 0]
    rate = 1.0 / np.maximum(np.linalg.eigvalsh(gram)[:, -1], 1e-12)[:, None]
    point = np.full((len(means), count), 1.0 / count)
    ahead, momentum = point, 1.0
    for _ in range(steps):
        slope = (gram @ ahead[:, :, None])[:, :, 0] - target
        fresh = _to_simplex(ahead - rate * slope)
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = fresh + (momentum - 1) / faster * (fresh - point)
        point, momentum = fresh, faster
    return point


def _to_simplex(x: Floats) -> Floats:
    """Nearest point of the simplex to each row (Duchi et al. 2008)."""
    ordered = -np.sort(-x, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1.0
    place = np.arange(1, x.shape[1] + 1)
    last = np.count_nonzero(ordered - excess / place > 0, axis=1)
    cut = excess[np.arange(len(x)), last - 1] / last
    return np.asarray(np.maximum(x - cut[:, None], 0.0))
