"""Which repairs get a picture."""

from __future__ import annotations

from dataclasses import replace

from ruleout._diagnose import _tried
from ruleout._records import Explained, Hypothesis, RepairPlan, Status, Subject
from ruleout.hypotheses._propose import Candidate


def told(status: Status, names: tuple[str, ...]) -> Hypothesis:
    return Hypothesis(
        rank=1,
        failure_mode="covariate_shift",
        layer="data",
        subject=Subject("feature", names),
        probability=0.9,
        status=status,
    )


def test_a_replayed_hypothesis_has_its_picture_in_whatever_order_its_names_stand() -> None:
    """The lead is found by its names as a set; what was ruled out gets no picture."""
    candidate = Candidate("covariate_shift", Subject("feature", ("tenure", "data")))
    candidate.undone_by = RepairPlan("reweight", candidate.subject)
    candidate.explained = Explained(0.9, 0.8, 1.0, "reweighting")
    lead = told("supported", ("tenure", "data"))
    (cause,) = _tried([lead], [candidate])
    assert cause.plan == candidate.undone_by
    assert cause.label.endswith("tenure, data")
    assert _tried([replace(lead, status="ruled_out")], [candidate]) == []
