"""How much likelier a row is in the current window than in the reference one.

Method: density ratios by probabilistic classification (Bickel, Brueckner and Scheffer 2007), cross-fitted as
in Chernozhukov et al. (2018), so that no row's ratio comes from a classifier that has seen the row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats, fit, sigmoid
from ruleout.stats._crossfit import row_folds

_MARGIN = 6.0  # exp(6): one row standing for more than 400 says nothing but noise


class Ratio(NamedTuple):
    """Estimated p_current(x) / p_reference(x), with how far it can be trusted."""

    reference: Floats
    """Ratio at the reference rows, (n,); its weighted mean is 1."""

    current: Floats
    """Ratio at the current rows, (m,)."""

    auc: float
    """Cross-fitted AUC of telling current from reference rows; 0.5 when nothing moved."""

    se: float
    """Standard error of `auc` when nothing moved and rows are exchangeable."""

    ess: float
    """Effective share of the reference rows after weighting, in (0, 1]."""

    gain: Floats
    """Share of the classifier's gain by column, (F,); sums to 1 or is all zero."""


def density_ratio(
    reference: Floats,
    current: Floats,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    weight: Floats | None = None,
    trees: int = 40,
    depth: int = 3,
    folds: int = 2,
) -> Ratio:
    """Cross-fitted ratio of current to (weighted) reference densities.

    Args:
        reference: rows (n, F), NaN where missing, codes in categorical columns.
        current: rows (m, F).
        rng: draws the folds and the classifiers' rows.
        categorical: which columns are codes, (F,).
        weight: weights of the reference rows (n,); None for equal ones.
        trees: size of each classifier.
        depth: depth of each tree.
        folds: number of cross-fitting folds.

    Raises:
        ValueError: when a window holds fewer than two rows a fold.
    """
    n, m = len(reference), len(current)
    if min(n, m) < 2 * folds:
        raise ValueError(f"{folds} folds need at least {2 * folds} rows a window, got {n} and {m}")
    base = np.ones(n) if weight is None else weight * (n / weight.sum())
    rows = np.concatenate([reference, current])
    label = np.concatenate([np.zeros(n), np.ones(m)])
    # balanced classes: the margin is then the log ratio itself
    weights = np.concatenate([base * (n + m) / (2 * n), np.full(m, (n + m) / (2 * m))])
    fold = row_folds(rows, folds, rng)
    margin = np.zeros(n + m)
    gain = np.zeros(rows.shape[1])
    for k in range(folds):
        train, test = fold != k, fold == k
        model = fit(
            rows[train],
            label[train],
            rng=rng,
            categorical=categorical,
            loss="logistic",
            trees=trees,
            depth=depth,
            rows=3_000,
            weight=weights[train],
            fine=True,
        )
        margin[test] = model.raw(rows[test])[:, 0]
        gain += model.gain
    ratio = np.exp(np.clip(_recalibrated(margin, label, weights), -_MARGIN, _MARGIN))
    ratio /= np.average(ratio[:n], weights=base)
    effective = base * ratio[:n]
    return Ratio(
        reference=ratio[:n],
        current=ratio[n:],
        auc=weighted_auc(margin[:n], margin[n:], base),
        se=float(np.sqrt((n + m + 1) / (12.0 * n * m))),
        ess=float(effective.sum() ** 2 / (effective**2).sum() / n),
        gain=gain / gain.sum() if gain.sum() > 0 else gain,
    )


def _recalibrated(margin: Floats, label: Floats, weight: Floats) -> Floats:
    """The margins (n,) on the line that fits the rows held out best (Platt 1999).

    Shrunken models are too timid where the windows differ, and only noise where they do not. A slope against the
    margins says that there is nothing to be seen.
    """
    design = np.stack([np.ones(len(margin)), margin], axis=1)
    line = np.array([0.0, 1.0])
    for _ in range(20):
        share = sigmoid(design @ line)
        bend = (design * (weight * share * (1 - share))[:, None]).T @ design + 1e-6 * np.eye(2)
        step = np.linalg.solve(bend, design.T @ (weight * (label - share)))
        line = line + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(line[0] + float(np.clip(line[1], 0.0, 2.0)) * margin)


def beyond(
    reference: Floats,
    current: Floats,
    *,
    categorical: NDArray[np.bool_] | None = None,
    ratio: float = 20.0,
    least: int = 20,
) -> NDArray[np.bool_]:
    """Current rows (m,) that lie, by one column alone, where the reference (n, F) has next to none.

    They are beyond either end of a number's range, or of a code that hardly occurs there. At most one reference row of two
    thousand may lie there as well, at least `least` current rows (m, F) do, and these are `ratio` times as frequent as so few
    could be (none may be three, by 95%). A classifier of few shrunken trees never becomes that sure, and takes the rows at the
    edge for what lies beyond it.
    """
    n, m = len(reference), len(current)
    most = max(n // 2_000, 1)
    need = np.maximum(ratio * m * (np.arange(most + 1) + 3.0) / max(n, 1), float(least))
    out = np.zeros(m, dtype=bool)
    for column in range(reference.shape[1]):
        before, now = reference[:, column], current[:, column]
        if categorical is not None and categorical[column]:
            out |= _rare_codes(before, now, need)
            continue
        known = before[np.isfinite(before)]
        if len(known) < 2 * most + 2:
            continue
        for sign in (1.0, -1.0):
            edges = np.sort(-sign * known)[
                : most + 1
            ]  # the last of the range, the last but one, ...
            past = np.searchsorted(np.sort(-sign * now[np.isfinite(now)]), edges, side="left")
            wide = np.flatnonzero(past >= need)
            if len(wide):
                out |= sign * now > -edges[wide[-1]]
    return out


def _rare_codes(before: Floats, now: Floats, need: Floats) -> NDArray[np.bool_]:
    """Rows (m,) of codes that hardly occur before."""
    known = np.isfinite(now)
    codes, place, count = np.unique(now[known], return_inverse=True, return_counts=True)
    ranked = np.sort(before[np.isfinite(before)])
    had = np.searchsorted(ranked, codes, "right") - np.searchsorted(ranked, codes, "left")
    rare = (had < len(need)) & (count >= need[np.minimum(had, len(need) - 1)])
    out = np.zeros(len(now), dtype=bool)
    out[known] = rare[place.ravel()]
    return out


def weighted_auc(low: Floats, high: Floats, weight: Floats | None = None) -> float:
    """Chance that a row of `high` (m,) exceeds one of `low` (n,) drawn by `weight`, ties counted half."""
    weights = np.ones(len(low)) if weight is None else weight
    order = np.argsort(low, kind="stable")
    sorted_low = low[order]
    cumulative = np.concatenate([[0.0], np.cumsum(weights[order])])
    below = cumulative[np.searchsorted(sorted_low, high, side="left")]
    upto = cumulative[np.searchsorted(sorted_low, high, side="right")]
    return float(((below + upto) / 2).mean() / cumulative[-1])


def rake(weight: Floats, moments: Floats, targets: Floats, *, steps: int = 30) -> Floats:
    """Tilt `weight` (n,) so that the weighted means of `moments` (n, K) meet `targets` (K,).

    Entropy balancing (Hainmueller 2012). With an outcome model's prediction among the moments, the
    weighted mean of the outcome becomes the doubly robust estimate. Moments that cannot be met (the
    target lies outside what the rows span) are approached with a bounded tilt.
    """
    across = np.ascontiguousarray(moments.T)  # a few long rows: sums along them are quick
    scale = across.std(axis=1)
    keep = scale > 1e-9
    if not keep.any():
        return weight
    center = (across[keep] - targets[keep, None]) / scale[keep, None]
    rows = np.flatnonzero(weight)  # a bootstrap leaves out a third
    here, own = center.take(rows, axis=1), weight[rows]
    tilt = np.zeros(len(center))
    for _ in range(steps):
        w = own * np.exp(np.clip(tilt @ here, -_MARGIN, _MARGIN))
        w /= w.sum()
        mean = here @ w
        spread = (here * w) @ here.T - np.outer(mean, mean)
        step = np.linalg.solve(spread + 1e-3 * np.eye(len(mean)), mean)
        tilt = np.clip(tilt - np.clip(step, -1.0, 1.0), -_MARGIN, _MARGIN)
        if np.abs(mean).max() < 1e-4:
            break
    tilted = weight * np.exp(np.clip(tilt @ center, -_MARGIN, _MARGIN))
    return np.asarray(tilted * (weight.sum() / tilted.sum()))
