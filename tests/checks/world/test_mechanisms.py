"""The causal graph of an incident, read by a diagnosis."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._records import Abstained, Clear
from ruleout.checks.world._causes import case_mechanisms
from ruleout.incident._model import Incident
from ruleout.profile import build_case
from served_world import answered, case_of, outcomes, rows, rule

EDGES = (("amount", "age"), ("age", "label"), ("amount", "label"), ("visits", "label"))


def chained(n: int, rng: np.random.Generator, *, cause: float, between: float) -> pl.DataFrame:
    """Rows in which `age` follows from `amount`; either mechanism may be moved."""
    frame = rows(n, rng)
    amount = rng.normal(cause, 1.0, n)
    age = 0.8 * amount + rng.normal(between, 1.0, n)
    frame = frame.with_columns(pl.Series("amount", amount), pl.Series("age", age))
    chance = 1 / (1 + np.exp(-rule(frame)))
    return answered(frame, (rng.random(n) < chance).astype(int))


def with_graph(reference: pl.DataFrame, current: pl.DataFrame) -> Any:
    incident: Incident = case_of(reference, current).incident
    case = build_case(replace(incident, data=replace(incident.data, graph=EDGES)))
    case.significant = True
    return case


@pytest.mark.parametrize(("moved", "still"), [("amount", "age"), ("age", "amount")])
def test_blame_along_a_chain(moved: str, still: str) -> None:
    """Along amount -> age -> loss, what moved is named with its share, and what passes it on is not."""
    rng = np.random.default_rng(3)
    reference = chained(5000, rng, cause=0.0, between=0.0)
    shift = {"cause": 0.0, "between": 0.0, {"amount": "cause", "age": "between"}[moved]: -1.2}
    case = with_graph(reference, chained(5000, rng, **shift))
    told = case_mechanisms(case, EDGES, of_loss=True)
    assert told is not None
    outcome, found = told
    assert outcome == "loss"
    by_node = {m.node: m.value for m in found}
    whole = sum(by_node.values())
    assert by_node[moved] / whole == pytest.approx(1.0, abs=0.2)
    assert abs(by_node[still] / whole) < 0.15
    (said,) = outcomes(case, "causal_mechanisms")
    assert said.signal == "mechanisms.moved"
    assert said.supports == ()
    assert said.subject.names[0] == moved
    assert still not in said.subject.names
    assert f"{still}" in said.statement.rpartition("; ")[2]


def test_equal_windows_blame_no_mechanism() -> None:
    """Between two draws of one world no mechanism is named; without a graph the check abstains."""
    rng = np.random.default_rng(4)
    pair = [chained(3000, rng, cause=0.0, between=0.0) for _ in range(2)]
    (said,) = outcomes(with_graph(*pair), "causal_mechanisms")
    assert isinstance(said, Clear | Abstained)
    (none,) = outcomes(case_of(*pair), "causal_mechanisms")
    assert isinstance(none, Abstained)
    assert "data.graph" in none.reason


def test_the_label_is_the_outcome_where_the_graph_leads_to_it() -> None:
    """Asked for the label, the label's mean is divided; a graph among inputs alone divides the loss."""
    rng = np.random.default_rng(5)
    case = case_of(*(chained(2000, rng, cause=c, between=0.0) for c in (0.0, 0.7)))
    assert case_mechanisms(case, EDGES)[0] == "label"  # type: ignore[index]
    assert case_mechanisms(case, EDGES[:1])[0] == "loss"  # type: ignore[index]
