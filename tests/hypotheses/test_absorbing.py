"""One cause under several subjects becomes one hypothesis."""

from __future__ import annotations

import pytest

from ruleout._records import Checked, Finding, RepairPlan, Subject
from ruleout.hypotheses import Candidate, absorb, number, propose, weigh


def seen(
    mode: str, names: tuple[str, ...], signal: str, repairs: tuple[RepairPlan, ...] = ()
) -> Finding:
    subject = Subject("feature", names)
    return Finding(signal, subject, "told", 1.0, 5.0, None, 1.0, (mode,), repairs=repairs)


def weighed(*findings: Finding) -> list[Candidate]:
    rows = number([Checked("one", "data", "inputs", findings)])
    candidates = propose(rows)
    weigh(candidates, rows)
    candidates = absorb(candidates)
    weigh(candidates, rows)
    return candidates


def test_some_of_several_inputs_are_taken_in() -> None:
    """What is said of one input of two bears on both, and is no rival; its repair is not the whole's."""
    plan = RepairPlan("parity_values", Subject("feature", ("a", "b")))
    part = RepairPlan("parity_values", Subject("feature", ("a",)))
    wide = seen("stale_features", ("a", "b"), "parity.old", (plan,))
    narrow = seen("stale_features", ("a",), "freshness.unlinked", (part,))
    (one,) = weighed(wide, narrow)
    assert one.subject.names == ("a", "b")
    assert len([k for k in one.weights if k.startswith("E")]) == 2
    assert one.plans == [plan]
    (alone,) = weighed(wide)
    assert one.probability > alone.probability


def test_a_far_likelier_part_stays_by_itself() -> None:
    """Where the sign of one input is far stronger, the others may be no part of it."""
    wide = seen("stale_features", ("a", "b"), "freshness.unlinked")
    narrow = seen("stale_features", ("a",), "freshness.entities")
    assert {c.subject.names for c in weighed(wide, narrow)} == {("a", "b"), ("a",)}


@pytest.mark.parametrize(("mode", "ones"), [("embedding_mismatch", 1), ("unit_change", 2)])
def test_modes_of_one_path_are_one(mode: str, ones: int) -> None:
    """Two columns that show another encoder show the same one; two inputs in other units are two faults."""
    found = weighed(
        seen(mode, ("vector",), "embedding.space"), seen(mode, ("similarity",), "other")
    )
    assert len(found) == ones
    if ones == 1:
        assert set(found[0].subject.names) == {"vector", "similarity"}
