"""Which mechanism of the causal graph moved the metric?

Rule: each node's distribution given its parents is exchanged by weighting, and the change of the mean loss, to which every node of
the graph may lead, is shared among them by Shapley values. What only passes a change on gets nothing. A mechanism that moved is
named with its share; which failure mode moved it is for other checks to say, so it accuses nobody. What is left to the loss itself
is no node's: the model, or what is not in the graph.
Assumes that the graph is right and that no common cause is hidden. Reference: Budhathoki et al. (2021); see
`stats/_mechanisms.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.world._causes import LOSS, case_mechanisms
from ruleout.checks.world._view import NO_HARM
from ruleout.profile import Case
from ruleout.stats._mechanisms import Mechanism

_NOTABLE = 0.1
"""Least share of the change for a mechanism to be worth a sentence."""


@check(
    "causal_mechanisms",
    layer="data",
    rung="world",
    looks_for=(),
    needs=("data.graph", "data.reference", "data.current", "data.columns.target"),
)
def causal_mechanisms(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Divide the change of the loss among the mechanisms of the incident's causal graph."""
    del rng  # the case's own, as for `ruleout.attribution.mechanisms`
    if case.significant is False:
        return [Abstained((), NO_HARM)]
    told = case_mechanisms(case, case.incident.data.graph, of_loss=True)
    if told is None:
        return [Abstained((), "fewer than 200 labelled rows in a window, or no inputs")]
    found = told[1]
    whole = sum(m.value for m in found)
    moved = [m for m in found if not m.low <= 0 <= m.high and abs(m.value) >= _NOTABLE * abs(whole)]
    if not moved:
        text = f"no mechanism of the causal graph moved the mean loss (it changed by {whole:+.3g})"
        return [Clear((), Subject(), text, _NOTABLE, "mechanisms.steady")]
    return [_finding(moved, found, whole)]


def _finding(moved: list[Mechanism], found: tuple[Mechanism, ...], whole: float) -> Finding:
    told = "; ".join(
        f"{_named(m)} brings {m.value:+.3g} [{m.low:+.3g}, {m.high:+.3g}]" for m in moved
    )
    rest = [m.node for m in found if m not in moved and m.node != LOSS]
    passed = f"; {', '.join(rest)} pass it on or did not move" if rest else ""
    return Finding(
        signal="mechanisms.moved",
        subject=Subject("feature", tuple(m.node for m in moved if m.node != LOSS)),
        statement=f"by the causal graph, of the change of the mean loss ({whole:+.3g}) {told}{passed}",
        statistic=moved[0].auc,
        effect=moved[0].value / whole if whole else 0.0,
        p_value=None,
        strength=1.0,
        supports=(),
    )


def _named(m: Mechanism) -> str:
    if m.node == LOSS:
        return "what is no node of the graph"
    return f"{m.node} given {', '.join(m.parents)}" if m.parents else m.node
