"""Labels that are wrong, late, shifted or written otherwise."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import DAY, START, System, cleared, healthy, run, supported, undone

ALL = ("label_audit", "label_spelling", "label_alignment", "label_maturity")


def truth(system: System) -> np.ndarray:
    return system.current["y"].to_numpy()


def test_sound_labels_are_cleared() -> None:
    """Labels that an audit confirms and that were final accuse nobody."""
    system = healthy()
    system.audit(truth(system)).change(final=np.full(system.rows, START))
    outcomes = run(system.case(label_available_at="final"), *ALL)
    assert supported(outcomes) == set()
    assert {"label_noise", "corrupted_labels", "immature_labels"} <= cleared(outcomes)


def test_errors_in_all_directions_are_noise() -> None:
    """Audited labels that differ here and there are label noise; judging by them mends."""
    system = healthy()
    right = truth(system)
    wrong = np.random.default_rng(1).random(system.rows) < 0.2
    case = system.audit(right).change(y=np.where(wrong, 1 - right, right)).case()
    outcomes = run(case, "label_audit")
    assert "label_noise" in supported(outcomes)
    assert "corrupted_labels" not in supported(outcomes)
    assert undone(case, outcomes, "label_noise") > 0.7


def test_errors_of_one_segment_are_corruption() -> None:
    """Labels turned round on some hosts alone are corrupted, with and without an audit."""
    system = healthy()
    right = truth(system)
    bad = system.current["host"].is_in(["a", "b"]).to_numpy()
    case = system.audit(right).change(y=np.where(bad, 1 - right, right)).case()
    assert "corrupted_labels" in supported(run(case, "label_audit"))
    outcomes = run(case, "label_alignment")
    assert supported(outcomes) == {"corrupted_labels"}
    assert undone(case, outcomes, "corrupted_labels") > 0.7


@pytest.mark.parametrize("check", ["label_audit", "label_alignment"])
@pytest.mark.parametrize("lag", [2, -3])
def test_labels_of_neighbouring_rows_are_an_evaluation_bug(check: str, lag: int) -> None:
    """Labels that belong to a row some places off are found by an audit, and without one."""
    system = healthy()
    right = truth(system)
    case = system.audit(right).change(y=np.roll(right, lag)).case()
    outcomes = run(case, check)
    assert supported(outcomes) == {"evaluation_bug"}
    assert undone(case, outcomes, "evaluation_bug") > 0.7


def test_another_spelling_is_an_evaluation_bug() -> None:
    """`yes` and ` Yes ` are one class written twice."""
    system = healthy()
    for which, frame in system.frames.items():
        words = {0: "No", 1: " Yes"} if which == "current" else {0: "no", 1: "yes"}
        old = {0: "no", 1: "yes"}
        system.frames[which] = frame.with_columns(
            y=pl.col("y").replace_strict(words, return_dtype=pl.String),
            said=pl.col("said").replace_strict(old, return_dtype=pl.String),
        )
    case = system.case(positive="yes")
    outcomes = run(case, "label_spelling")
    assert supported(outcomes) == {"evaluation_bug"}
    assert undone(case, outcomes, "evaluation_bug") > 0.7


def test_labels_that_are_not_final_are_immature() -> None:
    """Positives that count as negatives until they are final are seen by the column, or the trend."""
    system = healthy()
    ts = system.current["ts"].to_numpy()
    rng = np.random.default_rng(3)
    final = ts + rng.exponential(3 * DAY, system.rows)
    late = final > ts.max()
    case = system.change(y=np.where(late, 0, truth(system)), final=final).case(
        label_available_at="final"
    )
    outcomes = run(case, "label_maturity")
    assert supported(outcomes) == {"immature_labels"}
    assert undone(case, outcomes, "immature_labels") > 0.65
    blind = system.case(features=("amount", "age", "rate", "device"))
    assert supported(run(blind, "label_maturity")) == {"immature_labels"}


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"])
def test_times_of_final_labels_may_be_texts(form: str) -> None:
    """Files without types hold instants as texts, and all labels may be too young."""
    system = healthy()
    ts = system.current["ts"].to_numpy()
    place = np.linspace(0.0, 1.0, system.rows)
    known = np.random.default_rng(3).random(system.rows) > place
    final = [datetime.fromtimestamp(t + 45 * DAY, UTC).strftime(form) for t in ts]
    case = system.change(y=np.where(known, truth(system), 0), final=final).case(
        label_available_at="final"
    )
    outcomes = run(case, "label_maturity")
    assert supported(outcomes) == {"immature_labels"}
    assert {o.signal for o in outcomes} == {"labels.immature", "labels.ripening"}


def test_missing_newest_labels_are_pending() -> None:
    """Labels that are missing the more the newer the row are waited for."""
    system = healthy()
    missing = np.random.default_rng(4).random(system.rows) < system.place() ** 2
    system.frames["current"] = system.current.with_columns(y=pl.when(pl.Series(~missing)).then("y"))
    outcomes = run(system.case(), "label_maturity")
    assert any(isinstance(o, Finding) and o.signal == "labels.pending" for o in outcomes)


def test_drift_is_not_taken_for_a_fault_of_the_labels() -> None:
    """A world that changed its rule, which an audit confirms, leaves the labels innocent."""
    system = healthy()
    rng = np.random.default_rng(5)
    turned = np.where(rng.random(system.rows) < 0.6, 1 - truth(system), truth(system))
    system.change(y=turned).audit(turned)
    outcomes = run(system.case(), "label_audit", "label_spelling")
    assert supported(outcomes) == set()
    assert "corrupted_labels" in cleared(outcomes)


def test_ids_that_begin_anew_do_not_excuse_spoilt_labels() -> None:
    """Audited current rows are not looked up among reference rows that happen to have the same ids."""
    system = healthy()
    for which in ("reference", "current"):
        system.frames[which] = system.frames[which].with_columns(
            id=pl.Series([str(i) for i in range(system.rows)])
        )
    right = system.current["y"].to_numpy()
    wrong = np.where(np.random.default_rng(11).random(system.rows) < 0.3, 1 - right, right)
    outcomes = run(system.change(y=wrong).audit(right).case(), "label_audit")
    assert supported(outcomes) & {"label_noise", "corrupted_labels"}


def test_labels_read_before_they_were_final_are_no_noise() -> None:
    """An audit that differs where labels were not final, and there alone, found them immature."""
    system = healthy()
    right = truth(system)
    rng = np.random.default_rng(2)
    early = rng.random(system.rows) < 0.5
    wrong = early & (rng.random(system.rows) < 0.6)
    last = float(system.current["ts"].max())
    system.audit(right).change(
        y=np.where(wrong, 1 - right, right), final=np.where(early, last + DAY, START)
    )
    case = system.case(label_available_at="final")
    outcomes = run(case, "label_audit")
    assert supported(outcomes) == {"immature_labels"}
    assert "before they were final" in next(o for o in outcomes if isinstance(o, Finding)).statement


@pytest.mark.parametrize("share", [0.5, 0.6])
def test_a_part_of_the_labels_may_be_shifted(share: float) -> None:
    """Where answers tell by how many rows, an audit of partly shifted labels is read as shifted, not as noise."""
    system = healthy()
    right = truth(system)
    moved = np.random.default_rng(3).random(system.rows) < share
    case = (
        system.audit(right, rows=1_500).change(y=np.where(moved, np.roll(right, 1), right)).case()
    )
    assert supported(run(case, "label_audit")) == {"evaluation_bug"}


def test_a_shift_of_some_rows_is_not_undone_by_moving_all() -> None:
    """Half of the labels shifted, all over the window: found, without a repair that would spoil the other half."""
    system = healthy()
    right = truth(system)
    moved = np.random.default_rng(6).random(system.rows) < 0.5
    outcomes = run(
        system.change(y=np.where(moved, np.roll(right, 1), right)).case(), "label_alignment"
    )
    found = next(o for o in outcomes if isinstance(o, Finding) and o.signal == "labels.shifted")
    assert (found.repairs, found.scope.since) == ((), None)


@pytest.mark.parametrize("kind", ["joined", "measured"])
def test_numbers_of_other_rows_are_no_errors_of_measuring(kind: str) -> None:
    """Numbers spread as the right ones that know nothing of them are of other rows; errors stay near the right number."""
    system = healthy()
    rng = np.random.default_rng(4)
    for which, frame in system.frames.items():
        worth = 3 * frame["amount"].to_numpy() + frame["age"].to_numpy()
        noise = rng.normal(size=system.rows)
        system.frames[which] = frame.with_columns(
            y=pl.Series(worth + 0.3 * noise), said=pl.Series(worth)
        )
    right = truth(system)
    part = rng.random(system.rows) < 0.3
    other = rng.permutation(right) if kind == "joined" else right + rng.normal(size=system.rows) * 3
    system.audit(right).change(y=np.where(part, other, right))
    system.models = {}
    case = system.case(task="regression", metric="mae", score=None, positive=None)
    found = [o for o in run(case, "label_audit") if isinstance(o, Finding)]
    assert found[0].supports[0] == ("evaluation_bug" if kind == "joined" else "label_noise")
