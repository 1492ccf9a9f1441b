"""Why the metric moved when nothing is broken: shares, slices, mechanisms, estimates, effects."""

from ruleout.attribution._decompose import Attribution, decompose
from ruleout.attribution._detail import DetailShare, divide, movers
from ruleout.attribution._discover import GraphProposal, ProposedEdge, propose_graph
from ruleout.attribution._effect import Effect, estimate_effect
from ruleout.attribution._mechanisms import mechanisms
from ruleout.attribution._refute import Refutation, SecondOpinion, second_opinion
from ruleout.checks.symptom._estimated import (
    PerformanceEstimate,
    estimate_performance,
    expected_labels,
)
from ruleout.stats._mechanisms import Mechanism, attribute_mechanisms, topology

__all__ = [
    "Attribution",
    "DetailShare",
    "Effect",
    "GraphProposal",
    "Mechanism",
    "PerformanceEstimate",
    "ProposedEdge",
    "Refutation",
    "SecondOpinion",
    "attribute_mechanisms",
    "decompose",
    "divide",
    "estimate_effect",
    "estimate_performance",
    "expected_labels",
    "mechanisms",
    "movers",
    "propose_graph",
    "second_opinion",
    "topology",
]
