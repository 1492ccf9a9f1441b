"""A causal graph proposed by the data: something to argue with, never evidence.

Method: the PC algorithm (Spirtes, Glymour and Scheines 2000) as causal-learn implements it (Zheng et al. 2024), on normal
scores of ranks, repeated on halves of the rows so that each edge comes with how often it is found. Nothing in a
diagnosis reads a proposal: a person takes it over by writing it into `data.graph`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from ruleout._errors import IncidentError, need
from ruleout.stats._boosting import Floats

_ROWS = 4_000
_MOST = 20
_LEAST = 200
CAUTION = (
    "A proposal, not a finding: it assumes no hidden common cause, no selection and no cycle, and directions without a "
    "stability near 1 are guesses. Check each edge with someone who knows the process before it goes into data.graph."
)


class ProposedEdge(NamedTuple):
    """One edge of a proposal."""

    cause: str
    effect: str
    directed: bool
    """Whether the data say which way; otherwise the two names are in alphabetical order."""

    stability: float
    """Share of the half samples in which the same edge was found, the same way."""


class GraphProposal(NamedTuple):
    """What the data would allow; see `caution`."""

    edges: tuple[ProposedEdge, ...]
    caution: str = CAUTION

    def sentences(self) -> tuple[str, ...]:
        """The caution, and then the edges, the stablest first."""
        ordered = sorted(self.edges, key=lambda e: (-e.stability, e.cause, e.effect))
        told = [
            f"{e.cause} {'->' if e.directed else '--'} {e.effect} (in {e.stability:.0%} of the half samples)"
            for e in ordered
        ]
        return (self.caution, *told)


def propose_graph(
    data: Mapping[str, Floats],
    *,
    rng: np.random.Generator,
    alpha: float = 0.01,
    halves: int = 10,
) -> GraphProposal:
    """Propose a causal graph over numeric columns with causal-learn's PC (`pip install 'ruleout[discovery]'`).

    Args:
        data: columns (n,) by name; rows with a value missing are left out.
        rng: draws the half samples.
        alpha: level of the independence tests.
        halves: half samples for the stability of edges.

    Raises:
        IncidentError: fewer than two or more than 20 varying columns, or fewer than 200 complete rows.
        MissingExtra: causal-learn is not installed.
    """
    search = need("causallearn.search.ConstraintBased.PC", extra="discovery")
    names, scores = _normal_scores(data)
    found = set(_edges(search, names, scores, alpha))
    times: Counter[tuple[str, str, bool]] = Counter()
    for _ in range(halves):
        rows = np.sort(rng.choice(len(scores), len(scores) // 2, replace=False))
        times.update(_edges(search, names, scores[rows], alpha))
    return GraphProposal(
        tuple(ProposedEdge(*edge, times[edge] / max(halves, 1)) for edge in sorted(found))
    )


def _normal_scores(data: Mapping[str, Floats]) -> tuple[list[str], Floats]:
    """Names of the columns that vary, and normal scores of their ranks (rows, columns), evenly thinned."""
    names = [name for name, values in data.items() if np.ptp(values[np.isfinite(values)]) > 0]
    if not 2 <= len(names) <= _MOST:
        raise IncidentError(
            f"{len(names)} columns vary: a graph is proposed over 2 to {_MOST}; choose them"
        )
    table = np.stack([data[name] for name in names], axis=1)
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < _LEAST:
        raise IncidentError(
            f"{len(table)} rows are complete: a proposal needs {_LEAST}; leave out sparse columns"
        )
    if len(table) > _ROWS:
        table = table[np.linspace(0, len(table) - 1, _ROWS).astype(np.int64)]
    scores = np.empty(table.shape)
    normal = np.vectorize(NormalDist().inv_cdf)
    for k in range(table.shape[1]):
        distinct, place, count = np.unique(table[:, k], return_inverse=True, return_counts=True)
        middle = (np.cumsum(count) - count / 2) / len(table)
        scores[:, k] = normal(middle[: len(distinct)])[place]
    return names, scores


def _edges(
    search: Any, names: list[str], scores: Floats, alpha: float
) -> Iterator[tuple[str, str, bool]]:
    """(cause, effect, directed) of each edge; an end mark of 1 is an arrow head, of -1 a tail."""
    marks = search.pc(scores, alpha, "fisherz", show_progress=False, node_names=names).G.graph
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            if not marks[i, j]:
                continue
            if marks[j, i] == 1 and marks[i, j] == -1:
                yield names[i], names[j], True
            elif marks[i, j] == 1 and marks[j, i] == -1:
                yield names[j], names[i], True
            else:
                first, second = sorted((names[i], names[j]))
                yield first, second, False
