"""A leading cause is undone, and what is left of the symptom is diagnosed again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from linked_world import broken, made, quiet
from ruleout._diagnose import Examined, _leaves_some, diagnose_rest, examine, missing_parts
from ruleout._records import Explained, RepairPlan, Subject
from ruleout.checks.symptom import as_symptom
from ruleout.experiments import Bench
from ruleout.experiments._residual import repaired_case
from ruleout.experiments._undone import Damaged, Undone
from ruleout.hypotheses import Candidate

PERMUTED = {"aa": "bb", "bb": "aa", "cc": "dd", "dd": "cc"}


def silent(_: str) -> None:
    """Hear no progress."""


def examined(frames: tuple[pl.DataFrame, pl.DataFrame], **more: Any) -> Examined:
    case = made(frames, **more)
    return examine(case, as_symptom(case), silent)


def modes_of(found: Examined, above: float) -> set[str]:
    return {c.mode for c in found.candidates if c.probability > above}


def test_what_is_left_shows_a_second_cause() -> None:
    """Behind a permuted code, half of the ages are lost: the second pass brings them up, with its rows numbered on."""
    lost = pl.Series(np.random.default_rng(9).random(3000) < 0.5)
    age = pl.when(lost).then(None).otherwise(pl.col("age")).alias("age")
    found = examined(broken(age, pl.col("city").replace(PERMUTED)))
    assert "silent_nulls" not in modes_of(found, 0.5)
    first_pass = len(found.rows)
    diagnose_rest(found, silent)
    assert modes_of(found, 0.5) == {"category_recode", "silent_nulls"}
    added = found.rows[first_pass:]
    assert added
    assert all(int(r.evidence.id[1:]) > first_pass for r in added)
    assert all(r.evidence.statement.startswith("once category recode") for r in added)


def test_damage_that_hits_all_rows_is_done_to_the_reference_as_well() -> None:
    """With no row spared, what still differs once the reference lost the same values is not the loss."""
    frames = broken(pl.lit(None).cast(pl.Float64).alias("age"))
    case = made(frames)
    damaged = Damaged(
        np.arange(case.reference.rows), {"age": pl.Series([None] * case.reference.rows, dtype=pl.Float64)}, 1.0
    )  # fmt: skip
    assert repaired_case(case, Undone(damaged=damaged)) is None  # a surrogate does not do
    assert case.predictor is not None
    case = replace(case, predictor=replace(case.predictor, kind="model"))
    rest = repaired_case(case, Undone(damaged=damaged))
    assert rest is not None
    assert rest.reference.frame["age"].null_count() == case.reference.rows
    assert repaired_case(case, Undone(damaged=replace(damaged, share=0.5))) is None


def test_a_cause_that_explains_all_is_left_alone() -> None:
    """Where undoing the first cause leaves no symptom, nothing joins the list."""
    found = examined(broken(pl.col("income") * 1000))
    before = [(c.key, c.probability) for c in found.candidates]
    diagnose_rest(found, silent)
    assert [(c.key, c.probability) for c in found.candidates] == before


def test_a_quiet_case_has_nothing_to_undo() -> None:
    """Without a symptom no second pass is made."""
    heard: list[str] = []
    found = examined(quiet())
    diagnose_rest(found, heard.append)
    assert "diagnosing what is left" not in heard
    assert found.symptom.significant is not True


def test_the_parts_that_an_incident_lacks_are_listed() -> None:
    """What was given is not missing; probes, models and changes that were not given are."""
    lacking = set(missing_parts(made(quiet(300))))
    assert lacking >= {"probes.audit", "models.current", "changes"}
    assert not lacking & {"data.columns.timestamp", "data.columns.target"}


def test_inputs_that_broke_in_one_way_at_once_are_one_cause() -> None:
    """Two inputs in another unit since one moment are one hypothesis, undone in both at once."""
    found = examined(broken(pl.col("income") * 1000, pl.col("age") * 100))
    lead = max(found.candidates, key=lambda c: c.probability)
    assert (lead.mode, set(lead.subject.names)) == ("unit_change", {"age", "income"})
    assert lead.undone_by is not None
    assert lead.undone_by.repair == "several"
    undone = found.bench.undone(lead.undone_by)
    assert undone is not None
    assert set(undone.features) == {"age", "income"}


def test_inputs_of_different_sources_broke_of_different_causes() -> None:
    """Where the incident says which input is whose, inputs of two sources stay two hypotheses."""
    owners = {"billing": ("income",), "crm": ("age",)}
    case = made(broken(pl.col("income") * 1000, pl.col("age") * 100))
    data = replace(case.incident.data, sources=owners)
    case = replace(case, incident=replace(case.incident, data=data))
    found = examine(case, as_symptom(case), silent)
    units = [c for c in found.candidates if c.mode == "unit_change"]
    assert {c.subject.names for c in units} >= {("age",), ("income",)}
    assert all(len(c.subject.names) == 1 for c in units)


def test_damage_of_several_inputs_is_done_to_the_reference_at_once() -> None:
    """What was cut off cannot be brought back in either input, so the same is cut off both in the reference."""
    cut = (pl.col("income").clip(upper_bound=40), pl.col("age").clip(upper_bound=40))
    case = made(broken(*cut))
    plans = tuple(
        RepairPlan(
            "restore_resolution", Subject("feature", (name,)),
            options={"kind": "clip", "bound": 40.0, "upper": True, "part": 1.0},
        )
        for name in ("income", "age")
    )  # fmt: skip
    both = Subject("feature", ("income", "age"))
    undone = Bench(case).undone(RepairPlan("several", both, options={"plans": plans}))
    assert undone is not None
    assert undone.damaged is not None
    assert set(undone.damaged.features) == {"income", "age"}
    twice = RepairPlan("several", both, options={"plans": (plans[0], plans[0])})
    bench = Bench(case)
    assert bench.undone(twice) is None
    assert "do not go together" in bench.refused["several"]


@pytest.mark.parametrize(
    ("fraction", "method", "probability", "more"),
    [
        (0.5, "surrogate_replay", 0.4, True),
        (0.0, "repair_replay", 0.9, True),
        (0.0, "repair_replay", 0.5, False),
        (0.0, "surrogate_replay", 0.9, False),
        (0.99, "repair_replay", 0.9, False),
    ],
)
def test_a_sure_cause_that_explains_nothing_had_company(
    fraction: float, method: str, probability: float, more: bool
) -> None:
    """What surely happened and did no harm by itself leaves the symptom to another cause; a poor replay says nothing."""
    told = Explained(fraction, fraction, fraction, method)
    lead = Candidate("feature_swap", Subject("feature", ("age", "income")), explained=told)
    lead.probability = probability
    assert _leaves_some(lead) is more
