"""Splitting a metric's change into class balance, inputs, unseen inputs and the relation of outcome to inputs.

Method: distribution shift decomposition on common support (Cai, Namkoong and Yadlowsky 2023, DISDE), with
cross-fitted density ratios raked on an outcome model's prediction, which makes each reweighted mean
doubly robust. Parts within their noise are then steadied (see `_sparse.py`). They telescope, so they add up to the change exactly:

    M(reference) -> M(reference, current class balance)          class balance
                 -> M(reference, current inputs where it has any) inputs on common support
                 -> M(current on common support)                  outcome given inputs
                 -> M(current)                                    inputs without counterpart
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit
from ruleout.stats._density import Ratio, beyond, density_ratio, rake
from ruleout.stats._prior import Balance, Codes
from ruleout.stats._sparse import sparse_parts

_LEAST_BLOCKS = 8
_NORMAL = 1.6449
_TOLD_APART = 4.0
"""Standard errors by which inputs must tell the windows apart to be known to have moved."""

_LEAST_INSIDE = 100
"""Current rows that a ratio on common support can be fitted to."""

Metric = Callable[[Floats], float]
"""The metric of one window as a function of its row weights."""


class Window(NamedTuple):
    """One window as the decomposition sees it."""

    x: Floats
    """Inputs (n, F), NaN where missing, codes in categorical columns."""

    loss: Floats
    """What each row adds to the metric's loss, (n,); finite."""

    metric: Metric
    classes: Codes | None = None
    """Class of each row (n,), or None where there are none."""

    moments: Floats | None = None
    """Known functions of the inputs (n, M) that the metric turns on, such as the score: weights meet their means."""

    outcomes: Floats | None = None
    """Further outcomes (n, K), such as the label, whose expectation given x the weights must meet."""

    block: NDArray[np.int64] | None = None
    """Time block of each row (n,) for the bootstrap; None draws rows."""


class Share(NamedTuple):
    """One part of the change, in the metric's units, with a 90% interval."""

    value: float
    low: float
    high: float


class Decomposition(NamedTuple):
    """The parts; `balance + covariates + conditional + unseen == change` to rounding."""

    reference: float
    current: float
    change: Share
    balance: Share
    covariates: Share
    conditional: Share
    unseen: Share
    ratio: Ratio
    """Of the current to the (class-balanced) reference inputs."""

    supported: float
    """Share of the current rows that have counterparts in the reference."""

    weight: Floats
    """Weights (n,) of the reference rows that stand for the current inputs."""

    balanced: bool
    """Whether class balance was taken out before the inputs."""

    overlap: float
    """Effective share of the reference rows under `weight`; below 0.05 nothing should be concluded."""


def decompose(
    reference: Window,
    current: Window,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    balance: Balance | None = None,
    ratio: Ratio | None = None,
    trees: int = 40,
    draws: int = 100,
) -> Decomposition:
    """Split the change of the metric from `reference` to `current`.

    Args:
        reference: the window that was well.
        current: the window that is not.
        rng: folds and bootstrap.
        categorical: which columns of `x` are codes.
        balance: the change of class balance, to take that out first. Right only when the inputs given the class
            did not change, because otherwise a shift of inputs would be booked as one of classes.
        ratio: density ratio to use instead of estimating one; it must fit `balance`.
        trees: size of the nuisance models.
        draws: bootstrap draws.
    """
    n = len(reference.x)
    prior = np.ones(n) if balance is None else balance.weights()
    if ratio is None:
        ratio = density_ratio(
            reference.x, current.x, rng=rng, categorical=categorical, weight=prior, trees=trees
        )
    within, inside = _common(reference.x, current.x, ratio, categorical, prior, trees, rng)
    own, foreign = _balanced_means(reference, current, prior, categorical, trees, rng)
    plan = _Plan(reference, current, balance, within, own, foreign, inside)
    point = _parts(plan, np.ones(n), np.ones(len(current.x)))
    replicates = np.array([_parts(plan, *_resample(plan, rng)) for _ in range(draws)])
    wider = max(_few_blocks(reference), _few_blocks(current))
    doubt = _doubt(plan, point)
    shares = [
        _share(value, replicates[:, k], wider, doubt if k in (2, 3) else 0.0)
        for k, value in enumerate(point[:5])
    ]
    told_apart = ratio.auc - 0.5 > _TOLD_APART * ratio.se
    seen = np.array([balance is not None, told_apart, False])
    shares[1:4] = _steadied(shares[1:4], replicates[:, 1:4], seen)
    weight = _input_weight(plan, np.ones(n), np.ones(len(current.x)))
    return Decomposition(
        reference=point[5],
        current=point[6],
        change=shares[0],
        balance=shares[1],
        covariates=shares[2],
        conditional=shares[3],
        unseen=shares[4],
        ratio=ratio,
        supported=float(inside.mean()),
        weight=weight,
        balanced=balance is not None,
        overlap=float(weight.sum() ** 2 / (weight**2).sum() / n),
    )


def _balanced_means(
    reference: Window,
    current: Window,
    prior: Floats,
    categorical: NDArray[np.bool_] | None,
    trees: int,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """What weights must balance, at the reference (n, 1 + K + M) and the current rows: loss and outcomes as the inputs tell them, and the moments."""
    target = reference.loss[:, None]
    if reference.outcomes is not None:
        target = np.concatenate([target, reference.outcomes], axis=1)
    own, foreign = cross_fit(
        reference.x,
        target,
        current.x,
        rng=rng,
        categorical=categorical,
        weight=prior,
        trees=trees,
        fine=True,
    )
    if reference.moments is None or current.moments is None:
        return own, foreign
    return (
        np.concatenate([own, reference.moments], axis=1),
        np.concatenate([foreign, current.moments], axis=1),
    )


class _Plan(NamedTuple):
    reference: Window
    current: Window
    balance: Balance | None
    ratio: Floats
    own: Floats
    """What the weights must balance at the reference rows, (n, 1 + K + M)."""

    foreign: Floats
    inside: NDArray[np.bool_]


def _common(
    reference: Floats,
    current: Floats,
    ratio: Ratio,
    categorical: NDArray[np.bool_] | None,
    prior: Floats,
    trees: int,
    rng: np.random.Generator,
) -> tuple[Floats, NDArray[np.bool_]]:
    """The ratio at the reference rows (n,) that stands for the current ones on common support, and which of these lie there, (m,).

    Rows that one column alone puts beyond the reference are left out before it is fitted: they would lend their weight to
    the reference's rows at the edge.
    """
    outside = beyond(reference, current, categorical=categorical)
    if not outside.any() or np.count_nonzero(~outside) < _LEAST_INSIDE:
        return ratio.reference, _common_support(ratio)
    near = density_ratio(
        reference,
        current[~outside],
        rng=rng,
        categorical=categorical,
        weight=prior,
        trees=trees,
    )
    inside = ~outside
    inside[~outside] = _common_support(near)
    return near.reference, inside


def _common_support(ratio: Ratio, *, rows: float = 20.0) -> NDArray[np.bool_]:
    """Current rows (m,) that the reference can speak for.

    A row is outside when its ratio is beyond what the reference's own rows reach: fewer than `rows`
    reference rows lie at or above a ratio that high.
    """
    reach = np.sort(ratio.reference)[-int(min(rows, max(len(ratio.reference) // 10, 1)))]
    return np.asarray(ratio.current <= max(4.0 * float(reach), 1e-12))


def _prior(plan: _Plan, ref: Floats, cur: Floats) -> Floats:
    """Weights of the reference rows that give them the current class balance, as these rows tell it."""
    return np.ones(len(ref)) if plan.balance is None else plan.balance.weights(ref, cur)


def _input_weight(plan: _Plan, ref: Floats, cur: Floats) -> Floats:
    """Weights of the reference rows that stand for the current inputs on common support."""
    weight = ref * _prior(plan, ref, cur) * plan.ratio
    here = cur * plan.inside
    return rake(weight, plan.own, here @ plan.foreign / max(float(here.sum()), 1e-12), steps=12)


def _parts(plan: _Plan, ref: Floats, cur: Floats) -> tuple[float, ...]:
    start = plan.reference.metric(ref)
    end = plan.current.metric(cur)
    prior = _prior(plan, ref, cur)
    balanced = start if plan.balance is None else plan.reference.metric(ref * prior)
    if not (cur * plan.inside).any():  # nothing to compare at equal inputs: all of it is unseen
        return end - start, balanced - start, 0.0, 0.0, end - balanced, start, end
    moved = plan.reference.metric(_input_weight(plan, ref, cur))
    common = end if plan.inside.all() else plan.current.metric(cur * plan.inside)
    return end - start, balanced - start, moved - balanced, common - moved, end - common, start, end


def _resample(plan: _Plan, rng: np.random.Generator) -> tuple[Floats, Floats]:
    return _draw(plan.reference, rng), _draw(plan.current, rng)


def _blocks(window: Window) -> int:
    """Blocks that the bootstrap draws; 0 when it draws rows, of which there are enough."""
    blocks = 0 if window.block is None else int(window.block.max()) + 1
    return blocks if blocks >= _LEAST_BLOCKS else 0


def _few_blocks(window: Window) -> float:
    """How much wider an interval from few blocks must be: their spread has B - 1 degrees of freedom.

    Student's quantile by its expansion around the normal one (Abramowitz and Stegun 1964, 26.7.5).
    """
    blocks = _blocks(window)
    if not blocks:
        return 1.0
    z, free = _NORMAL, blocks - 1.0
    student = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    return float(np.sqrt(blocks / free) * student / z)


def _draw(window: Window, rng: np.random.Generator) -> Floats:
    """Bootstrap counts of the rows: whole blocks when there are at least eight of them."""
    n, blocks = len(window.x), _blocks(window)
    if window.block is None or not blocks:
        return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)
    drawn = np.bincount(rng.integers(0, blocks, blocks), minlength=blocks).astype(float)
    return np.asarray(drawn[window.block])


def _doubt(plan: _Plan, point: tuple[float, ...]) -> float:
    """Standard error that the nuisance models add to what the inputs bring: half of what raking had to mend.

    The bootstrap holds these models fixed. The outcome model corrects what the weights miss; what both miss is not seen
    at all, but it grows with the correction (the error of a doubly robust estimate is a product of both models').
    """
    if not plan.inside.any():
        return 0.0
    n, m = len(plan.reference.x), len(plan.current.x)
    weights = _prior(plan, np.ones(n), np.ones(m)) * plan.ratio
    corrected = point[5] + point[1] + point[2]
    return abs(corrected - plan.reference.metric(weights)) / 2


def _share(value: float, replicates: Floats, wider: float, doubt: float) -> Share:
    """90% interval: the replicates' spread around the estimate (normal, robust to a few wild draws).

    `wider` multiplies the spread, `doubt` is a standard error besides.
    """
    known = replicates[np.isfinite(replicates)]
    if len(known) < 10:
        return Share(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [0.05, 0.95])
    half = float(np.hypot(wider * float(high - low) / 2, _NORMAL * doubt))
    return Share(value, value - half, value + half)


def _steadied(shares: list[Share], replicates: Floats, seen: NDArray[np.bool_]) -> list[Share]:
    """The parts on common support, those within their noise drawn towards nought where nothing else is `seen` to have moved them.

    Intervals are those of the estimates as they were, which assume no such thing, and reach to the steadied ones.
    """
    half = np.array([(s.high - s.low) / 2 for s in shares])
    known = replicates[np.isfinite(replicates).all(axis=1)]
    if len(known) < 10 or not np.isfinite(half).all():
        return shares
    centred = known - np.median(known, axis=0)
    scale = np.sqrt((centred**2).mean(axis=0))
    together = centred.T @ centred / len(known) / np.maximum(np.outer(scale, scale), 1e-300)
    noise = together * np.outer(half, half) / _NORMAL**2
    values = sparse_parts(np.array([s.value for s in shares]), noise, seen)
    return [
        Share(float(value), min(s.low, float(value)), max(s.high, float(value)))
        for s, value in zip(shares, values, strict=True)
    ]
