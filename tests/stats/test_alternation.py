"""Good and bad in turns, told from steps, pulses, roll-outs and chance."""

import numpy as np
import pytest

from ruleout.stats._alternation import turns

N = 4_000
TIME = np.linspace(0, 5 * 86_400.0, N)


def _in_turns(share: float = 1.0, length: int = 60) -> np.ndarray:
    bad = (np.arange(N) // length) % 2 == 1
    return bad & (np.random.default_rng(1).random(N) < share)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_two_writers_in_turns_are_seen(share: float) -> None:
    """Every second stretch is hit, wholly or in part: as many stretches as there are."""
    found = turns(_in_turns(share), TIME)
    assert found is not None
    assert found.bad == pytest.approx(33, abs=2)


@pytest.mark.parametrize(
    "hit",
    [
        np.arange(N) > 1_000,
        (np.arange(N) > 1_000) & (np.arange(N) < 2_500),
        np.random.default_rng(2).random(N) < 0.4,
        np.random.default_rng(3).random(N) < np.arange(N) / N,
        (np.arange(N) > 1_000) & (np.random.default_rng(4).random(N) < 0.6),
        np.zeros(N, dtype=bool),
    ],
    ids=["step", "pulse", "random", "roll-out", "part of a step", "nothing"],
)
def test_one_stretch_or_chance_is_no_turn(hit: np.ndarray) -> None:
    """A step, a pulse, a roll-out and rows hit at random are none of it."""
    assert turns(hit, TIME) is None


def test_a_job_of_every_night_takes_no_turns() -> None:
    """What comes once a day is a daily rhythm."""
    assert turns((TIME % 86_400.0) < 20_000, TIME) is None


def test_rows_of_one_instant_have_no_order() -> None:
    """A batch that lists its sites one after another is hit by site, not in turns."""
    assert turns((np.arange(N) % 400) < 150, np.repeat(np.arange(10) * 86_400.0, 400)) is None
