"""Mechanisms behind a case, with the incident's graph or one from elsewhere."""

from __future__ import annotations

from typing import Any

from ruleout.checks.world._causes import case_mechanisms
from ruleout.incident import edges_of
from ruleout.profile import Case
from ruleout.stats._mechanisms import Mechanism


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
    told = case_mechanisms(case, edges)
    return None if told is None else told[1]
