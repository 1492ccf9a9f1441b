from typing import Any

import numpy as np
import pytest

from ruleout.stats._slices import Condition, find_slices

ORDERED = np.arange(8) < 5


def windows(rng: np.random.Generator, planted: dict[int, tuple[int, int]], n: int = 8000) -> Any:
    """Bins and 0/1 losses of two windows; the planted slice's loss rises by 0.35."""
    bins = [
        np.concatenate([rng.integers(0, 8, (n, 5)), rng.integers(0, 4, (n, 3))], axis=1)
        for _ in range(2)
    ]
    inside = np.ones(n, dtype=bool)
    for column, (low, high) in planted.items():
        inside &= (bins[1][:, column] >= low) & (bins[1][:, column] <= high)
    level = 0.15 + (0.35 * inside if planted else 0.0)
    return (bins[0], (rng.random(n) < 0.15) * 1.0), (bins[1], (rng.random(n) < level) * 1.0)


@pytest.mark.parametrize(
    "planted", [{0: (5, 7)}, {0: (5, 7), 6: (2, 2)}, {0: (4, 7), 3: (0, 3), 6: (2, 2)}]
)
def test_planted_slice_is_found(planted: dict[int, tuple[int, int]]) -> None:
    """One, two and three planted conditions come back as the worst slice, by column and nearly by range."""
    rng = np.random.default_rng(7)
    worst = find_slices(*windows(rng, planted), ORDERED, rng=rng)[0]
    assert {c.column for c in worst.conditions} == set(planted)
    for column, low, high in worst.conditions:
        assert abs(low - planted[column][0]) <= 1
        assert abs(high - planted[column][1]) <= 1
    assert worst.extra == pytest.approx(0.35, abs=0.12)


def test_a_slice_that_was_always_hard_is_no_news() -> None:
    """A slice with a high but unchanged loss is not reported."""
    rng = np.random.default_rng(8)
    (a, _), (b, _) = windows(rng, {})
    hard = [(rng.random(len(x)) < np.where(x[:, 0] > 5, 0.7, 0.1)) * 1.0 for x in (a, b)]
    assert find_slices((a, hard[0]), (b, hard[1]), ORDERED, rng=rng) == []


def test_false_finds_are_rare() -> None:
    """Where nothing changed, at most 2 of 20 runs report a slice, however many were looked at."""
    reports = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        reports += bool(find_slices(*windows(rng, {}, n=2000), ORDERED, rng=rng))
    assert reports <= 2


def test_a_rise_everywhere_is_no_slice() -> None:
    """When all rows got worse alike, no slice got worse than the rest."""
    rng = np.random.default_rng(9)
    (a, la), (b, _) = windows(rng, {})
    assert find_slices((a, la), (b, (rng.random(len(b)) < 0.4) * 1.0), ORDERED, rng=rng) == []


def test_condition_is_a_range_of_bins() -> None:
    """A categorical column is cut by single values only."""
    rng = np.random.default_rng(10)
    found = find_slices(*windows(rng, {6: (2, 2)}), ORDERED, rng=rng)
    assert found[0].conditions == (Condition(6, 2, 2),)
