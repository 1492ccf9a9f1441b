"""Right blame along A -> B -> C: which mechanism of a causal graph moved the outcome.

Every node's mechanism is its distribution given its parents. A mechanism is exchanged by weighting the reference with
p_current(node | parents) / p_reference(node | parents), a quotient of two cross-fitted density ratios; the change of the
outcome's mean is divided among mechanisms by Shapley values over such exchanges (Budhathoki et al. 2021; the weighting as
in Quintas-Martinez et al. 2024). What only passes a change on has an unchanged mechanism and gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import IncidentError
from ruleout.stats._boosting import Floats
from ruleout.stats._density import density_ratio, rake
from ruleout.stats._shapley import shapley

_NORMAL = 1.6449
_CLIP = 20.0
_MOST = 12


class Mechanism(NamedTuple):
    """What a change of one node's mechanism brings to the outcome's mean."""

    node: str
    parents: tuple[str, ...]
    value: float
    low: float
    high: float
    """90% interval: the bootstrap's spread, and half of what the weights missed and others may have brought."""

    auc: float
    """How well the node, given its parents, tells the windows apart; 0.5 for an unchanged mechanism."""


def attribute_mechanisms(
    reference: Mapping[str, Floats],
    current: Mapping[str, Floats],
    edges: Iterable[tuple[str, str]],
    outcome: str,
    *,
    rng: np.random.Generator,
    categorical: Sequence[str] = (),
    draws: int = 40,
) -> tuple[Mechanism, ...]:
    """Divide the change of the outcome's mean among mechanisms, largest first.

    Args:
        reference: numbers or codes (n,) by node.
        current: the same of the current window, (m,) each.
        edges: cause -> effect.
        outcome: the node whose mean is explained; only its ancestors and itself are mechanisms.
        rng: folds and bootstrap.
        categorical: nodes whose values are codes.
        draws: bootstrap draws for the intervals.

    Raises:
        IncidentError: when the graph has a cycle, or more than 12 ancestors of the outcome, or a node has no column.
    """
    order, parents = topology(list(edges), outcome)
    if len(order) > _MOST:
        raise IncidentError(
            f"data.graph: {outcome!r} has {len(order) - 1} ancestors; mechanisms are attributed for up to {_MOST - 1}"
        )
    missing = [n for n in order if n not in reference or n not in current]
    if missing:
        raise IncidentError(f"data.graph: {missing[0]!r} is no column of both windows")
    ratios = {n: _ratio(reference, current, n, parents[n], rng, categorical) for n in order}
    weights = np.stack([ratios[n][0] for n in order], axis=1)
    y, y_now = reference[outcome], current[outcome]
    point, missed = _divide(weights, y, y_now, rng)
    drawn = np.array(
        [
            _divide(weights[a], y[a], y_now[b], rng)[0]
            for a, b in (
                (rng.integers(0, len(y), len(y)), rng.integers(0, len(y_now), len(y_now)))
                for _ in range(draws)
            )
        ]
    )
    half = np.hypot(_NORMAL * drawn.std(axis=0, ddof=1), _NORMAL * missed / 2)
    told = [
        Mechanism(
            n,
            parents[n],
            float(point[k]),
            float(point[k] - half[k]),
            float(point[k] + half[k]),
            ratios[n][1],
        )
        for k, n in enumerate(order)
    ]
    return tuple(sorted(told, key=lambda m: -abs(m.value)))


def _divide(
    weights: Floats, y: Floats, y_now: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Shapley values (K,) of the mechanisms, scaled to add up to the change exactly, and what the scaling leaves in doubt, (K,).

    What the weights miss of the change goes to whom they already blame. Which of these it belongs to is not known, unless
    there is one: the doubt is a mechanism's part of it, times the part of the others.
    """

    def worth(coalition: frozenset[int]) -> float:
        if not coalition:
            return float(y.mean())
        w = np.clip(weights[:, sorted(coalition)].prod(axis=1), 0.0, _CLIP)
        return float(w @ y / w.sum())

    shares = shapley(weights.shape[1], worth, rng=rng, permutations=6)
    miss = float(y_now.mean() - y.mean()) - float(shares.sum())
    size = np.abs(shares)
    part = size / size.sum() if size.sum() > 0 else np.full(len(shares), 1.0 / len(shares))
    return np.asarray(shares + miss * part), np.asarray(abs(miss) * part * (1 - part))


def _ratio(
    reference: Mapping[str, Floats],
    current: Mapping[str, Floats],
    node: str,
    parents: tuple[str, ...],
    rng: np.random.Generator,
    categorical: Sequence[str],
) -> tuple[Floats, float]:
    """Ratio (n,) of the node's conditional densities at the reference rows, and the AUC that is its own."""
    family = [*parents, node]

    def matrix(window: Mapping[str, Floats], names: Sequence[str]) -> Floats:
        return np.stack([window[n] for n in names], axis=1)

    kinds = np.array([n in categorical for n in family], dtype=bool)
    joint = density_ratio(
        matrix(reference, family), matrix(current, family), rng=rng, categorical=kinds
    )
    if not parents:
        if joint.auc - 0.5 < 3 * joint.se:
            return np.ones(len(joint.reference)), joint.auc  # unchanged, as far as can be seen
        return rake(joint.reference, *_moments(reference, current, family, kinds)), joint.auc
    # told apart at equal parents: the reference is first given the current parents
    alone = density_ratio(
        matrix(reference, parents), matrix(current, parents), rng=rng, categorical=kinds[:-1]
    )
    at_parents = rake(alone.reference, *_moments(reference, current, parents, kinds[:-1]))
    given = density_ratio(
        matrix(reference, family),
        matrix(current, family),
        rng=rng,
        categorical=kinds,
        weight=at_parents,
    )
    # rows that are weighted are worth fewer
    n, m = float(at_parents.sum() ** 2 / (at_parents**2).sum()), len(given.current)
    if given.auc - 0.5 < 3 * np.sqrt((n + m + 1) / (12.0 * n * m)):
        return np.ones(len(joint.reference)), given.auc
    if kinds[-1]:
        return given.reference, given.auc  # a code has no moments to be met
    both = rake(at_parents * given.reference, *_moments(reference, current, family, kinds))
    return both / np.maximum(at_parents, 1e-12), given.auc


def _moments(
    reference: Mapping[str, Floats],
    current: Mapping[str, Floats],
    family: Sequence[str],
    categorical: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Moments of a family's columns at the reference rows (n, M), and their means in the current window, (M,).

    Shrunken classifiers are too timid: their weights are tilted until they meet the current means, squares and products with
    the last column, which is the node. Columns of codes have no such moments.
    """
    plain = [n for n, coded in zip(family, categorical, strict=True) if not coded]
    sides = []
    for window in (reference, current):
        columns = []
        for name in plain:
            known = reference[name][np.isfinite(reference[name])]
            scaled = np.nan_to_num((window[name] - known.mean()) / (known.std() + 1e-12))
            columns.append(np.clip(scaled, -6.0, 6.0))
        products = [c * columns[-1] for c in columns] + [c**2 for c in columns[:-1]]
        sides.append(np.stack([np.ones(len(window[family[0]])), *columns, *products], axis=1))
    return sides[0], sides[1].mean(axis=0)


def topology(
    edges: Sequence[tuple[str, str]], outcome: str
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The outcome and its ancestors, causes first, and the parents of each.

    Raises:
        IncidentError: when the graph has a cycle above the outcome, or does not hold it.
    """
    parents: dict[str, tuple[str, ...]] = {outcome: ()}
    for cause, effect in edges:
        parents.setdefault(cause, ())
        parents[effect] = (*parents.get(effect, ()), cause)
    order: list[str] = []
    state: dict[str, int] = {}

    def visit(node: str, path: tuple[str, ...]) -> None:
        if state.get(node) == 2:
            return
        if state.get(node) == 1:
            raise IncidentError(f"data.graph has a cycle: {' -> '.join((*path, node))}")
        state[node] = 1
        for parent in sorted(parents[node]):
            visit(parent, (*path, node))
        state[node] = 2
        order.append(node)

    visit(outcome, ())
    return order, {n: tuple(sorted(set(parents[n]))) for n in order}
