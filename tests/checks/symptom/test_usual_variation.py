"""What counts as a window's usual variation: the reference's, and no more than the rows' order can claim."""

import numpy as np
import polars as pl
import pytest

from ruleout.checks.symptom import measure
from ruleout.checks.symptom._order import spread_beside_order, spread_beside_usual
from served_world import case_of, rows, windows


def wrong(frame: pl.DataFrame, share: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Rows of which each has its label turned with its own probability (n,)."""
    turned = rng.random(frame.height) < share
    label = frame["label"].to_numpy()
    return frame.with_columns(pl.Series("label", np.where(turned, 1 - label, label)))


def by_place(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Rows with a place that makes them hard, sorted by place and without times."""
    place = rng.normal(size=frame.height)
    told = wrong(frame.with_columns(place=place), np.where(place > 0.8, 0.45, 0.0), rng)
    return told.sort("place").drop("ts")


def test_rows_sorted_by_an_input_vary_by_chance_alone() -> None:
    """Sorted by a place that inputs know, stretches differ, windows do not; a fault in sorted rows is found."""
    rng = np.random.default_rng(1)
    reference, current = by_place(rows(4000, rng), rng), by_place(rows(4000, rng), rng)
    features = ("amount", "age", "visits", "kind", "place")
    quiet = case_of(reference, current, features=features, times=False)
    assert spread_beside_order(quiet) < 0.6
    assert not measure(quiet).significant
    broken = wrong(current, np.full(4000, 0.06), rng)
    case = case_of(reference, broken, features=features, times=False)
    assert measure(case).significant


def test_the_order_of_rows_with_times_is_a_time() -> None:
    """What varies through days varies from window to window, whatever the inputs foretell."""
    rng = np.random.default_rng(2)
    reference, current = windows(rng)
    hard = np.where(np.arange(4000) % 1000 < 400, 0.4, 0.0)
    case = case_of(wrong(reference, hard, rng), wrong(current, hard, rng))
    assert spread_beside_order(case) == 1.0
    assert spread_beside_usual(case) == pytest.approx(1.0, abs=0.01)


def test_an_order_that_inputs_do_not_explain_counts_up_to_a_bound() -> None:
    """A hidden cause that comes in long stretches widens the interval, though not without end."""
    rng = np.random.default_rng(3)
    reference, current = windows(rng)
    hard = np.where(np.arange(4000) < 2000, 0.9, 0.0)
    case = case_of(wrong(reference, hard, rng).drop("ts"), current.drop("ts"), times=False)
    assert 0.1 < spread_beside_order(case) < 0.9


def test_a_fault_that_comes_and_goes_does_not_hide_itself() -> None:
    """Stretches of the current window that differ far more than the reference's are no usual variation."""
    rng = np.random.default_rng(4)
    reference, current = windows(rng)
    hit = np.where(np.arange(4000) % 2000 < 500, 0.35, 0.0)
    case = case_of(reference, wrong(current, hit, rng))
    assert spread_beside_usual(case) < 0.7
    assert measure(case).significant
