"""Few actors, near thresholds: what people who fight a model leave behind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats

_MOST = 5
_ENOUGH = 50
"""Draws from which the worst of them all bounds what chance brings."""


class Concentration(NamedTuple):
    """How unevenly the excess loss lies over actors."""

    gini: float
    """Gini coefficient of the positive excess, over actors with rows."""

    top_excess: float
    """Summed excess loss of the few worst actors."""

    top_share: float
    """Share of the total excess that the worst actors carry."""

    row_share: float
    """Share of the rows that these actors sent."""

    top: NDArray[np.int64]
    """Codes of the worst actors, worst first."""

    p_value: float
    """Chance of so much beyond everybody's when the same losses fall on rows at random."""


def concentration(
    actor: NDArray[np.int64],
    loss: Floats,
    expected: float,
    *,
    rng: np.random.Generator,
    top: int = 10,
    draws: int = 99,
) -> Concentration:
    """Compare the excess loss of the `top` worst actors with losses shuffled over rows.

    The worst are those with most excess beyond everybody's for the root of their rows: a busy actor is no suspect
    for being busy, nor for its share of a loss that hit all.

    Args:
        actor: code of each row, (n,), non-negative.
        loss: per-row loss (n,).
        expected: the usual mean loss; the excess of a row is its loss minus this.
        rng: draws the permutations.
        top: how many actors count as few; more of them, up to five times as many, where all are worse than chance makes anybody.
        draws: number of permutations.
    """
    size = int(actor.max()) + 1
    excess = loss - expected
    by_actor = np.bincount(actor, weights=excess, minlength=size)
    count = np.bincount(actor, minlength=size)
    scale = np.sqrt(np.maximum(count, 1))
    own = excess - excess.mean()
    beyond = np.bincount(actor, weights=own, minlength=size)
    shuffled = np.array(
        [_worst(actor, rng.permutation(own), scale, top) for _ in range(draws)], dtype=np.float64
    )
    # Whoever is worse than anybody in shuffled losses belongs to the few, be they a few more.
    many = int((beyond / scale > shuffled[:, 1].max()).sum()) if draws >= _ENOUGH else 0
    order = np.argsort(-beyond / scale, kind="stable")
    alone = float(beyond[order[:top]].sum())
    order = order[: max(top, min(many, _MOST * top))]
    total = float(np.maximum(excess.sum(), 1e-12))
    observed = float(by_actor[order].sum())
    positive = np.sort(np.maximum(by_actor[count > 0], 0.0))
    return Concentration(
        gini=_gini(positive),
        top_excess=observed,
        top_share=min(observed / total, 1.0),
        row_share=float(count[order].sum() / len(actor)),
        top=order.astype(np.int64),
        p_value=float((1 + (shuffled[:, 0] >= alone).sum()) / (draws + 1)),
    )


def _worst(
    actor: NDArray[np.int64], excess: Floats, scale: Floats, top: int
) -> tuple[float, float]:
    """Excess loss of the `top` worst actors, and that of the very worst for the root of its rows."""
    total = np.bincount(actor, weights=excess, minlength=len(scale))
    few = min(top, len(total))
    worst = np.argpartition(-total / scale, few - 1)[:few]
    return float(total[worst].sum()), float((total[worst] / scale[worst]).max())


def _gini(ordered: Floats) -> float:
    n, total = len(ordered), float(ordered.sum())
    if total <= 0:
        return 0.0
    rank = np.arange(1, n + 1)
    return float((2 * rank - n - 1) @ ordered / (n * total))


def bunching(
    reference: Floats, current: Floats, threshold: float, *, width: float
) -> tuple[float, float]:
    """Odds ratio of lying just below `threshold` instead of elsewhere within reach, and its z.

    The band below is [threshold - width, threshold), its counterpart the two bands around it. A density
    that moves smoothly keeps the ratio near 1 (McCrary 2008, reduced to three cells).
    """
    table = []
    for values in (reference, current):
        below = ((values >= threshold - width) & (values < threshold)).sum()
        above = ((values >= threshold) & (values < threshold + width)).sum()
        further = ((values >= threshold - 2 * width) & (values < threshold - width)).sum()
        table.append((float(below) + 0.5, float(above + further) / 2 + 0.5))
    (a, b), (c, d) = table
    log_odds = float(np.log(c / d) - np.log(a / b))
    se = float(np.sqrt(1 / a + 1 / (2 * b) + 1 / c + 1 / (2 * d)))
    return float(np.exp(log_odds)), log_odds / se
