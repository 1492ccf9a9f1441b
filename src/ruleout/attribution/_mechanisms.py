"""Right blame along A -> B -> C: which mechanism of a causal graph moved the outcome.

Every node's mechanism is its distribution given its parents. A mechanism is exchanged by weighting the reference with
p_current(node | parents) / p_reference(node | parents), a quotient of two cross-fitted density ratios; the change of the
outcome's mean is divided among mechanisms by Shapley values over such exchanges (Budhathoki et al. 2021; the weighting as
in Quintas-Martinez et al. 2024). What only passes a change on has an unchanged mechanism and gets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import IncidentError
from ruleout.checks.world._view import view
from ruleout.incident import edges_of
from ruleout.profile import Case, Which
from ruleout.stats._boosting import Floats
from ruleout.stats._density import density_ratio
from ruleout.stats._shapley import shapley

_CLIP = 20.0
_MOST = 12


class Mechanism(NamedTuple):
    """What a change of one node's mechanism brings to the outcome's mean."""

    node: str
    parents: tuple[str, ...]
    value: float
    low: float
    high: float
    """90% bootstrap interval."""

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
    point = _divide(weights, y, y_now, rng)
    drawn = np.array(
        [
            _divide(weights[a], y[a], y_now[b], rng)
            for a, b in (
                (rng.integers(0, len(y), len(y)), rng.integers(0, len(y_now), len(y_now)))
                for _ in range(draws)
            )
        ]
    )
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    told = [
        Mechanism(n, parents[n], float(point[k]), float(low[k]), float(high[k]), ratios[n][1])
        for k, n in enumerate(order)
    ]
    return tuple(sorted(told, key=lambda m: -abs(m.value)))


def mechanisms(case: Case, graph: Any = None) -> tuple[Mechanism, ...] | None:
    """Mechanisms behind the change of the label, or of the loss where the graph does not lead to the label.

    Args:
        case: the incident with its tables.
        graph: anything that `ruleout.incident.edges_of` reads; by default the incident's own `data.graph`.

    Returns:
        Largest first; None without a graph, or without 200 labelled rows in each window.

    Raises:
        IncidentError: the graph cannot be read, has a cycle, or names what is no column of both windows.
    """
    edges = case.incident.data.graph if graph is None else edges_of(graph, case.incident.folder)
    seen = view(case)
    target = case.incident.data.columns.target
    if not edges or seen is None:
        return None
    named = {n for edge in edges for n in edge}
    coded = tuple(n for n in named if n in case.categorical)
    both: tuple[Which, Which] = ("reference", "current")
    sides = [
        {n: _column(case, which, n, side.rows) for n in named if case.table(which).has(n)}
        for which, side in zip(both, (seen.reference, seen.current), strict=True)
    ]
    outcome = target if target in named else "loss"
    if outcome == "loss":
        edges = (*edges, *((n, "loss") for n in sorted(named)))
    for values, side in zip(sides, (seen.reference, seen.current), strict=True):
        values[outcome] = side.loss if outcome == "loss" else side.truth.astype(float)
    rng = case.rng("mechanisms")
    return attribute_mechanisms(sides[0], sides[1], edges, str(outcome), rng=rng, categorical=coded)


def _column(case: Case, which: Which, name: str, rows: NDArray[np.int64]) -> Floats:
    if name in case.categorical:
        return case.codes(which, name)[rows].astype(float)
    return case.table(which).numeric(name)[rows]


def _divide(weights: Floats, y: Floats, y_now: Floats, rng: np.random.Generator) -> Floats:
    """Shapley values (K,) of the mechanisms, scaled to add up to the change exactly."""

    def worth(coalition: frozenset[int]) -> float:
        if not coalition:
            return float(y.mean())
        w = np.clip(weights[:, sorted(coalition)].prod(axis=1), 0.0, _CLIP)
        return float(w @ y / w.sum())

    shares = shapley(weights.shape[1], worth, rng=rng, permutations=6)
    # the weights are estimates: what they miss of the change goes to whom they already blame
    miss = float(y_now.mean() - y.mean()) - float(shares.sum())
    size = np.abs(shares)
    return np.asarray(shares + miss * (size / size.sum() if size.sum() > 0 else 1.0 / len(shares)))


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
        return joint.reference, joint.auc
    # told apart at equal parents: the reference is first given the current parents
    alone = density_ratio(
        matrix(reference, parents), matrix(current, parents), rng=rng, categorical=kinds[:-1]
    )
    given = density_ratio(
        matrix(reference, family),
        matrix(current, family),
        rng=rng,
        categorical=kinds,
        weight=alone.reference,
    )
    if given.auc - 0.5 < 3 * given.se:
        return np.ones(len(joint.reference)), given.auc  # unchanged, as far as can be seen
    return given.reference, given.auc


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
