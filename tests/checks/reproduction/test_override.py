"""A rule behind the model, told from a moved threshold, a constant answer and another model."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ruleout._records import Finding

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import System, healthy, new_score, run, supported, undone


@dataclass
class Change:
    """A change as the sources deliver it."""

    id: str
    at: float
    entity: str
    kind: str = "deploy"
    description: str = ""
    ref: str | None = None


def _ruled(condition: str, rows: slice = slice(None), seed: int = 0) -> System:
    """A system whose release answers 1 where a condition holds, in some of the rows."""
    system = healthy(seed)
    frame = system.current
    met = {
        "amount": frame["amount"].to_numpy() <= -0.4,
        "device": (frame["device"] == "tv").to_numpy(),
    }[condition]
    late = np.zeros(len(frame), dtype=bool)
    late[rows] = True
    said = np.where(met & late, 1, frame["said"].to_numpy())
    return system.change(said=said)


@pytest.mark.parametrize("condition", ["amount", "device"])
def test_a_rule_is_found_with_its_condition(condition: str) -> None:
    """One input on one side of a line, or at one value: named, and undone by deciding from the scores."""
    case = _ruled(condition, slice(900, None)).case()
    outcomes = run(case, "overruled")
    found = next(o for o in outcomes if isinstance(o, Finding))
    assert found.supports == ("change_regression",)
    assert condition in found.statement
    assert undone(case, outcomes, "change_regression") == pytest.approx(
        float(((new_score(case.current.frame) >= 0.5) == (case.truth("current") == 1)).mean()),
        abs=0.01,
    )


def test_a_rule_that_is_rolled_out_is_found() -> None:
    """Where the rule acts on some of the rows only, those it acts on still all meet its condition."""
    system = _ruled("amount")
    kept = np.random.default_rng(5).random(system.rows) < 0.5
    before = (new_score(system.current) >= 0.5).astype(int)
    system.change(said=np.where(kept, before, system.current["said"].to_numpy()))
    assert supported(run(system.case(), "overruled")) == {"change_regression"}


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_a_moved_threshold_is_no_rule(threshold: float) -> None:
    """Scores far from the old line keep their decision, so no condition on an input explains it."""
    system = healthy()
    system.serve(new_score(system.current), threshold=threshold)
    assert not supported(run(system.case(), "overruled"))


def test_one_answer_for_everybody_is_no_rule() -> None:
    """A constant answer of some hosts has no condition on an input."""
    system = healthy()
    hit = (system.current["host"] == "a").to_numpy()
    system.change(said=np.where(hit, 1, system.current["said"].to_numpy()))
    assert not supported(run(system.case(), "overruled"))


def test_the_one_change_at_the_first_overruled_row_is_named() -> None:
    """The subject is what was changed then, and nothing where two things were."""
    case = _ruled("amount", slice(900, None)).case()
    time = case.current.time
    at = float(time[895])
    near = Change("C1", at, "rules-service")
    case.changes = (near,)
    found = next(o for o in run(case, "overruled") if isinstance(o, Finding))
    assert found.subject.names == ("rules-service",)
    case.changes = (near, Change("C2", at - 60, "gateway"))
    found = next(o for o in run(case, "overruled") if isinstance(o, Finding))
    assert found.subject.names == ("current",)


def _answered(where: np.ndarray, seed: int = 0) -> System:
    """A system that gives the score 0.95 in some rows of the second half of the window."""
    system = healthy(seed)
    late = np.arange(system.rows) >= system.rows // 2
    return system.serve(np.full(system.rows, 0.95), where & late)


def test_a_rule_that_gives_one_score_is_no_fallback() -> None:
    """One score for all rows on one side of a line, and for those alone, is a rule; it is undone without them."""
    system = healthy()
    case = _answered(system.current["amount"].to_numpy() > 0.3).case()
    outcomes = run(case, "ruled_scores")
    assert supported(outcomes) == {"change_regression"}
    found = next(o for o in outcomes if isinstance(o, Finding))
    assert "amount" in found.statement
    assert found.repairs[0].repair == "without_constant"


def test_one_score_for_whoever_comes_is_no_rule() -> None:
    """A fallback answers a third of the requests, whatever they ask."""
    hit = np.random.default_rng(7).random(healthy().rows) < 0.33
    assert not supported(run(_answered(hit).case(), "ruled_scores"))


def test_one_score_for_everybody_is_no_rule_either() -> None:
    """Where every row gets it no condition was asked."""
    assert not supported(run(_answered(np.ones(healthy().rows, dtype=bool)).case(), "ruled_scores"))


def test_one_score_for_values_beyond_all_known_ones_is_no_rule() -> None:
    """Where an input is 999 the model may say what it says at the end of its range, without a rule."""
    system = healthy(models={})
    lost = np.random.default_rng(9).random(system.rows) < 0.4
    amount = np.where(lost, 999.0, system.current["amount"].to_numpy())
    system.change(amount=amount).serve(np.full(system.rows, 1.0), lost)
    assert not supported(run(system.case(), "ruled_scores"))
