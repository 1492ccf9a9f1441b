"""Pictures made of cells are told from pictures that are merely soft."""

from __future__ import annotations

import numpy as np
import pytest

from ruleout.stats._degrade import blur
from ruleout.stats._mosaic import find_mosaic, mosaic


def pictures(n: int, seed: int) -> np.ndarray:
    """(n, 48, 48) grey scenes: soft shapes and the grain of a camera."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:48, :48] / 48
    phase = rng.uniform(0, 6, (n, 3))[:, :, None, None]
    waves = [np.sin((5 + 4 * k) * (x * (k + 1) - y) + phase[:, k]) for k in range(3)]
    return np.clip(128 + 30 * sum(waves) + rng.normal(0, 4, (n, 48, 48)), 0, 255)


def made_of(grey: np.ndarray, cells: int) -> np.ndarray:
    """(n, h, w) grey pictures shrunk to so many cells and enlarged again."""
    return np.stack([mosaic(np.repeat(g[..., None], 3, 2), cells)[..., 0] for g in grey])


@pytest.mark.parametrize("cells", [8, 12, 20])
def test_the_cells_are_counted_and_the_pictures_told(cells: int) -> None:
    """A third of the pictures is made of cells: how many cells, and which pictures."""
    now = pictures(60, 2)
    now[::3] = made_of(now[::3], cells)
    found = find_mosaic(pictures(60, 1), now)
    assert found is not None
    assert found.cells == cells
    assert np.flatnonzero(found.made == 1).tolist() == list(range(0, 60, 3))


def test_focus_and_habit_are_no_cells() -> None:
    """Blurred pictures hold no cells, and pictures that always did say nothing."""
    soft = np.stack([blur(np.repeat(g[..., None], 3, 2), 2.0)[..., 0] for g in pictures(60, 2)])
    assert find_mosaic(pictures(60, 1), soft) is None
    assert find_mosaic(made_of(pictures(60, 1), 12), made_of(pictures(60, 2), 12)) is None


def test_a_mosaic_keeps_the_mean_of_its_cells() -> None:
    """Sizes that the cells do not divide are covered whole."""
    x = np.random.default_rng(0).uniform(0, 255, (31, 47, 3))
    small = mosaic(x, 5)
    assert small.shape == x.shape
    assert len(np.unique(small[..., 0])) == 5 * 3
    assert small.mean() == pytest.approx(x.mean(), rel=0.01)
    np.testing.assert_allclose(mosaic(small, 5), small)
