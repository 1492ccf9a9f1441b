"""A small histogram gradient booster on oblivious trees.

It stands in for a model that cannot be replayed and estimates density ratios. A library would be
better in general; here start-up decides: importing one costs more CPU than a whole diagnosis may.

Method: Friedman (2001) with Newton leaves; oblivious trees as in Prokhorenkova et al. (2018); split
search on a random projection of many outputs as in Iosipoi and Vakhrushev (2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._cells import cells, quantiles

Floats = NDArray[np.float64]
Loss = Literal["squared", "logistic"]

_MISSING_BIN = 0


@dataclass(frozen=True, slots=True)
class Binner:
    """Maps columns to small integers: quantile bins for numbers, mean-ordered ranks for codes."""

    edges: tuple[Floats, ...]
    """Per column, the inner edges; for a categorical column the rank of each code."""

    categorical: NDArray[np.bool_]

    def transform(self, x: Floats) -> NDArray[np.int16]:
        """Bins (n, F) of `x` (n, F), column by column; missing and unseen values share bin 0."""
        bins = np.empty(x.shape, dtype=np.int16, order="F")
        for column in range(len(self.edges)):
            bins[:, column] = self.column(column, np.ascontiguousarray(x[:, column]))
        return bins

    def column(self, column: int, values: Floats) -> NDArray[np.int64]:
        """Bins (n,) of the values (n,) of one column."""
        edges, known = self.edges[column], np.isfinite(values)
        if not self.categorical[column] and known.all():
            return cells(edges, values) + 1
        bins = np.zeros(len(values), dtype=np.int64)
        if self.categorical[column]:
            code = np.where(known, values, -1).astype(np.int64)
            seen = (code >= 0) & (code < len(edges))
            bins[seen] = edges[code[seen]]
        else:
            bins[known] = cells(edges, values[known]) + 1
        return bins


class _Tree(NamedTuple):
    columns: tuple[int, ...]
    cuts: tuple[int, ...]
    leaves: Floats  # (2**depth, K)

    def leaf(self, bins: NDArray[np.int16]) -> NDArray[np.int64]:
        index = np.zeros(len(bins), dtype=np.int64)
        for level, (column, cut) in enumerate(zip(self.columns, self.cuts, strict=True)):
            index |= (bins[:, column] > cut).astype(np.int64) << level
        return index


@dataclass(frozen=True, slots=True)
class Booster:
    """A fitted ensemble."""

    binner: Binner
    base: Floats
    trees: tuple[_Tree, ...]
    gain: Floats
    """Total split gain by column, (F,)."""

    def raw(self, x: Floats) -> Floats:
        """Margins (n, K) for rows `x` (n, F)."""
        return self.of_bins(self.binner.transform(x))

    def of_bins(self, bins: NDArray[np.int16], using: int | None = None) -> Floats:
        """Margins (n, K) for rows that are binned (n, F); with `using`, of the trees alone that use that column."""
        out = np.repeat(self.base[None, :], len(bins), axis=0)
        for tree in self.trees:
            if using is None or using in tree.columns:
                out += tree.leaves[tree.leaf(bins)]
        return out


def sigmoid(margin: Floats) -> Floats:
    """Logistic function, safe for large margins."""
    half = 0.5 * np.clip(margin, -60.0, 60.0)
    return np.asarray(0.5 * (1.0 + np.tanh(half)))


def fit_binner(
    x: Floats,
    target: Floats,
    categorical: NDArray[np.bool_],
    *,
    bins: int = 32,
    fine: bool = False,
) -> Binner:
    """Learn bins from rows `x` (n, F); codes are ordered by the mean of `target` (n,).

    With `fine`, values that fill whole quantiles leave their bins to the others.
    """
    edges: list[Floats] = []
    for column in range(x.shape[1]):
        values = x[:, column]
        known = np.isfinite(values)
        if categorical[column]:
            edges.append(_code_ranks(values[known].astype(np.int64), target[known], bins))
        else:
            edges.append(_edges(values[known], bins, fine=fine))
    return Binner(tuple(edges), categorical)


def _edges(values: Floats, bins: int, *, fine: bool) -> Floats:
    """Inner edges: quantiles, or with `fine` each heavy value by itself and quantiles of the rest."""
    if not len(values):
        return np.empty(0)
    edges = _rising(quantiles(values, np.linspace(0, 1, bins)[1:-1]))
    if not fine or len(edges) == bins - 2:
        return edges
    distinct, count = np.unique(values, return_counts=True)
    if len(distinct) < bins:
        return distinct[1:]
    heavy = np.flatnonzero(count > len(values) / bins)
    alone = distinct[np.concatenate([heavy, np.minimum(heavy + 1, len(distinct) - 1)])]
    rest = values[~np.isin(values, distinct[heavy])]
    among = np.linspace(0, 1, max(bins - len(alone), 8))[1:-1]
    return _rising(np.sort(np.concatenate([alone, quantiles(rest, among)])))


def _rising(cuts: Floats) -> Floats:
    return cuts[np.diff(cuts, prepend=-np.inf) > 0]


def _code_ranks(codes: NDArray[np.int64], target: Floats, bins: int) -> Floats:
    """Bin of each code: rank by smoothed target mean, squeezed into `bins` groups."""
    if not len(codes):
        return np.empty(0)
    size = int(codes.max()) + 1
    count = np.bincount(codes, minlength=size).astype(float)
    total = np.bincount(codes, weights=target, minlength=size)
    mean = (total + 5.0 * target.mean()) / (count + 5.0)
    order = np.argsort(np.where(count > 0, mean, np.inf), kind="stable")
    seen = int((count > 0).sum())
    rank = np.zeros(size)
    position = np.arange(seen)
    rank[order[:seen]] = 1 + (position if seen < bins else position * (bins - 1) // seen)
    return rank


def fit(
    x: Floats,
    y: Floats,
    *,
    rng: np.random.Generator,
    categorical: NDArray[np.bool_] | None = None,
    loss: Loss = "squared",
    trees: int = 80,
    depth: int = 5,
    rate: float = 0.15,
    rows: int = 4_000,
    weight: Floats | None = None,
    fine: bool = False,
) -> Booster:
    """Fit an ensemble.

    Args:
        x: rows (n, F), NaN where missing; categorical columns hold non-negative codes.
        y: targets (n,) or (n, K); 0/1 for the logistic loss.
        rng: draws the rows and projections of each tree.
        categorical: which columns are codes, (F,).
        loss: `squared` (any K) or `logistic` (K = 1).
        trees: how many.
        depth: levels of each tree.
        rate: shrinkage.
        rows: at most this many rows are drawn for each tree's structure.
        weight: row weights (n,).
        fine: resolve columns in which a few values are most of the rows.

    Raises:
        ValueError: when there are no rows or no columns.
    """
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"a booster needs rows and columns, got shape {x.shape}")
    targets = y.reshape(len(y), -1).astype(float)
    weights = np.ones(len(x)) if weight is None else weight
    kinds = np.zeros(x.shape[1], dtype=bool) if categorical is None else categorical
    told = targets[:, 0] if targets.shape[1] == 1 else targets @ _spread(targets)
    binner = fit_binner(x, told, kinds, fine=fine)
    bins = binner.transform(x)
    base = np.average(targets, axis=0, weights=weights)
    if loss == "logistic":
        share = np.clip(base, 1e-6, 1 - 1e-6)
        base = np.log(share / (1 - share))
    margin = np.repeat(base[None, :], len(x), axis=0)
    grown: list[_Tree] = []
    gain = np.zeros(x.shape[1])
    width = int(bins.max()) + 1
    for _ in range(trees):
        gradient, hessian = _derivatives(targets, margin, loss)
        gradient, hessian = gradient * weights[:, None], hessian * weights
        chosen = rng.choice(len(x), rows, replace=False) if len(x) > rows else np.arange(len(x))
        tree = _grow(
            np.ascontiguousarray(bins[chosen]),
            gradient[chosen],
            hessian[chosen],
            width,
            depth,
            gain,
            rng,
        )
        index = tree.leaf(bins)
        leaves = rate * _leaf_values(index, gradient, hessian, 1 << len(tree.columns))
        margin += leaves[index]
        grown.append(tree._replace(leaves=leaves))
    return Booster(binner, base, tuple(grown), gain)


def _spread(targets: Floats) -> Floats:
    return np.linspace(-1.0, 1.0, targets.shape[1])


def _derivatives(targets: Floats, margin: Floats, loss: Loss) -> tuple[Floats, Floats]:
    if loss == "squared":
        return targets - margin, np.ones(len(margin))
    share = sigmoid(margin)
    return targets - share, np.maximum(share * (1 - share), 1e-6)[:, 0]


def _leaf_values(
    index: NDArray[np.int64], gradient: Floats, hessian: Floats, leaves: int, ridge: float = 1.0
) -> Floats:
    total = np.bincount(index, weights=hessian, minlength=leaves) + ridge
    columns = [
        np.bincount(index, weights=gradient[:, k], minlength=leaves) / total
        for k in range(gradient.shape[1])
    ]
    return np.stack(columns, axis=1)


def _grow(
    bins: NDArray[np.int16],
    gradient: Floats,
    hessian: Floats,
    width: int,
    depth: int,
    gain: Floats,
    rng: np.random.Generator,
) -> _Tree:
    """One oblivious tree's splits; adds the gain of each split to `gain`."""
    outputs = gradient.shape[1]
    signal = (gradient if outputs == 1 else gradient @ rng.normal(size=(outputs, 1)))[:, 0]
    rows, columns = bins.shape
    cells = columns * width
    offset = bins + np.arange(columns) * width
    index = np.zeros(rows, dtype=np.int64)
    sums = _histograms(offset, index, signal, hessian, 1, cells)
    splits: list[tuple[int, int]] = []
    for level in range(depth):
        if level:
            # Only the rows on the smaller side of the last cut are summed again; the others are what their
            # parents have besides.
            beyond = (index >> (level - 1)).astype(bool)
            far = 2 * int(np.count_nonzero(beyond)) <= rows
            fewer = np.flatnonzero(beyond if far else ~beyond)
            part = _histograms(
                offset.take(fewer, axis=0),
                index[fewer] & ((1 << (level - 1)) - 1),
                signal[fewer],
                hessian[fewer],
                1 << (level - 1),
                cells,
            )
            rest = sums - part
            sums = np.concatenate([rest, part] if far else [part, rest], axis=1)
        g, h = sums.reshape(2, 1 << level, columns, width)
        scores = _split_gain(g, h)
        best = int(scores.argmax())
        column, cut = divmod(best, width)
        if scores.flat[best] <= 1e-9:
            break
        gain[column] += float(scores.flat[best])
        splits.append((column, cut))
        index |= (bins[:, column] > cut).astype(np.int64) << level
    return _Tree(tuple(c for c, _ in splits), tuple(t for _, t in splits), np.empty((0, 0)))


def _histograms(
    offset: NDArray[np.int64],
    index: NDArray[np.int64],
    signal: Floats,
    hessian: Floats,
    leaves: int,
    cells: int,
) -> Floats:
    """Sums of gradient and hessian (2, leaves, cells), a cell being one bin of one column."""
    columns = offset.shape[1]
    key = (offset + (index * cells)[:, None]).ravel()
    size = leaves * cells
    g = np.bincount(key, weights=np.repeat(signal, columns), minlength=size)
    if len(hessian) and hessian.min() == hessian.max():  # squared loss without weights: a count
        h = np.bincount(key, minlength=size) * hessian[0]
    else:
        h = np.bincount(key, weights=np.repeat(hessian, columns), minlength=size)
    return np.stack([g, h]).reshape(2, leaves, cells)


def _split_gain(g: Floats, h: Floats, ridge: float = 1.0) -> Floats:
    """Gain (F, B) of cutting every leaf after each bin; g and h are (leaves, F, B) sums."""
    left_g, left_h = g.cumsum(axis=2), h.cumsum(axis=2)
    all_g, all_h = left_g[:, :, -1:], left_h[:, :, -1:]
    right_g, right_h = all_g - left_g, all_h - left_h
    score = (
        left_g**2 / (left_h + ridge) + right_g**2 / (right_h + ridge) - all_g**2 / (all_h + ridge)
    )
    return np.asarray(score.sum(axis=0))
