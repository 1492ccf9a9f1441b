"""Turned dials are told from other changes of the hours."""

from __future__ import annotations

import numpy as np
import pytest

from ruleout.stats._dial import likely_turned, on_dial, past_midnight, round_the_clock, turned


def _hours(n: int, seed: int, centre: float = 12.0, spread: float = 4.5) -> np.ndarray:
    return np.floor(np.random.default_rng(seed).normal(centre, spread, n) % 24)


@pytest.mark.parametrize(("hours", "share"), [(-6, 1.0), (5, 1.0), (-6, 0.4), (9, 0.3)])
def test_a_part_that_is_some_hours_off_is_told(hours: int, share: float) -> None:
    """The turn comes out to an hour or two where part of the rows moved, and exactly where all did."""
    before, after = _hours(12_000, 1), _hours(8_000, 2)
    moved = np.random.default_rng(3).random(8_000) < share
    found = turned(before, np.where(moved, (after + hours) % 24, after))
    assert found is not None
    assert abs(found.hours - hours) <= (0 if share == 1 else 2)
    assert found.distance_after < 0.3 * found.distance_before
    told = likely_turned(before, hours, share, np.where(moved, (after + hours) % 24, after))
    assert (told == moved).mean() > 0.7


def test_the_same_dial_and_another_population_are_not_turned() -> None:
    """Chance, a flatter day and a second peak are no turned copies."""
    before = _hours(12_000, 1)
    assert turned(before, _hours(8_000, 2)) is None
    flat = np.random.default_rng(4).integers(0, 24, 8_000).astype(float)
    assert turned(before, np.where(np.arange(8_000) % 2 == 0, _hours(8_000, 2), flat)) is None
    assert turned(before, _hours(8_000, 5, spread=2.0)) is None


def test_counts_lie_on_a_dial_but_do_not_go_round_it() -> None:
    """A count of up to 23 thins out; hours of the day come round."""
    counts = np.random.default_rng(0).poisson(7.0, 5_000).clip(0, 23).astype(float)
    assert on_dial(counts)
    assert not round_the_clock(counts)
    assert round_the_clock(_hours(5_000, 1, spread=8.0))


@pytest.mark.parametrize(("hours", "told"), [(6, True), (-10, True), (2, False)])
def test_hours_of_business_that_passed_midnight_are_a_clocks(hours: int, told: bool) -> None:
    """A shop open from nine to eight does not go round the clock; what comes out beyond midnight is one all the same."""
    before, after = (_hours(5_000, seed, 15.0, 2.5).clip(9, 20) for seed in (1, 2))
    assert not round_the_clock(before)
    found = turned(before, (after + hours) % 24)
    assert found is not None
    assert past_midnight(before, found) is told
