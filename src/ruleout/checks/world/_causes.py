"""Mechanisms of a causal graph behind a case's metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.world._view import view
from ruleout.profile import Case, Which
from ruleout.stats._boosting import Floats
from ruleout.stats._mechanisms import Mechanism, attribute_mechanisms

LOSS = "loss"
"""The outcome where no edge leads to the label: what each row adds to the metric's loss."""


def case_mechanisms(
    case: Case, edges: Sequence[tuple[str, str]], *, of_loss: bool = False
) -> tuple[str, tuple[Mechanism, ...]] | None:
    """The outcome, and the mechanisms behind its change, largest first; None without 200 labelled rows in each window.

    Args:
        case: the incident with its tables.
        edges: cause -> effect, by column. The outcome is the label where an edge leads to it and it is a number or one of two
            classes, else the loss, to which then every node leads.
        of_loss: take the loss in any case; the label is then a node like others.

    Raises:
        IncidentError: the edges have a cycle, or too many nodes, or name what is no column of both windows.
    """
    seen = view(case)
    target = case.incident.data.columns.target
    if not edges or seen is None:
        return None
    named = {n for edge in edges for n in edge}
    many = len(case.classes) > 2
    coded = tuple(n for n in named if n in case.categorical or (many and n == target))
    both: tuple[Which, Which] = ("reference", "current")
    sides = [
        {
            n: side.truth.astype(float) if n == target else _column(case, which, n, side.rows)
            for n in named
            if case.table(which).has(n)
        }
        for which, side in zip(both, (seen.reference, seen.current), strict=True)
    ]
    led_to = not (of_loss or many) and target in {effect for _, effect in edges}
    outcome = str(target) if led_to else LOSS
    if outcome == LOSS:
        edges = (*edges, *((n, LOSS) for n in sorted(named - {LOSS})))
        sides[0][LOSS], sides[1][LOSS] = seen.reference.loss, seen.current.loss
    rng = case.rng("mechanisms")
    return outcome, attribute_mechanisms(
        sides[0], sides[1], edges, outcome, rng=rng, categorical=coded
    )


def _column(case: Case, which: Which, name: str, rows: NDArray[np.int64]) -> Floats:
    if name in case.categorical:
        return case.codes(which, name)[rows].astype(float)
    return case.table(which).numeric(name)[rows]
