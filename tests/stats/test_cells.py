"""Cells and quantiles answer as numpy does."""

import numpy as np
import pytest

from ruleout.stats._cells import cells, quantiles
from ruleout.stats._twosample import ks_sorted


def _columns(rng: np.random.Generator) -> list[np.ndarray]:
    """Columns short and long, with ties, constants and infinities."""
    long = rng.lognormal(0, 2, 20_000)
    ties = np.round(rng.normal(0, 3, 9_000))
    ends = np.concatenate([long[:500], [np.inf, -np.inf, 0.0, -0.0]])
    return [long, ties, ends, np.full(300, 2.5), rng.normal(size=7)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_cells_are_those_of_searchsorted(side: str) -> None:
    """Every value lies in the cell that numpy's search finds, on edges, beyond them and without any."""
    rng = np.random.default_rng(3)
    for values in _columns(rng):
        for edges in (np.unique(rng.choice(values, 30)), values[:1], np.empty(0)):
            expected = np.searchsorted(edges, values, side=side)
            np.testing.assert_array_equal(cells(edges, values, side), expected)


def test_quantiles_are_those_of_numpy() -> None:
    """One sort gives the very numbers that numpy's selection gives."""
    rng = np.random.default_rng(4)
    for values in _columns(rng):
        known = values[np.isfinite(values)]
        for probs in (np.linspace(0, 1, 32), np.array([0.5]), np.array([0.0, 1.0])):
            np.testing.assert_array_equal(quantiles(known, probs), np.quantile(known, probs))


def test_the_largest_gap_is_found_at_the_values_of_either_sample() -> None:
    """The distance equals the one that looks at all values of both samples, ties included."""
    rng = np.random.default_rng(5)
    for a, b in ((rng.normal(size=300), rng.normal(0.3, 1, 500)), ([1.0, 1, 2], [2.0, 2, 2, 3])):
        first, second = np.sort(a), np.sort(b)
        grid = np.concatenate([first, second])
        shares = (np.searchsorted(x, grid, "right") / len(x) for x in (first, second))
        assert ks_sorted(first, second).effect == np.abs(np.subtract(*shares)).max()
