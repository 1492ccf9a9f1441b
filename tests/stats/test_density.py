import numpy as np
import pytest
from worlds import draw

from ruleout.stats._crossfit import cross_fit, row_folds
from ruleout.stats._density import beyond, density_ratio, rake, weighted_auc


def test_same_windows_cannot_be_told_apart() -> None:
    """Two draws from one world give an AUC within four standard errors of one half and nearly equal weights."""
    rng = np.random.default_rng(1)
    ratio = density_ratio(draw(3000, rng).x, draw(3000, rng).x, rng=rng)
    assert abs(ratio.auc - 0.5) < 4 * ratio.se
    assert ratio.ess > 0.9


def test_ratio_follows_the_truth() -> None:
    """For a shifted normal the estimated log ratio correlates with the true one."""
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(4000, 2)), rng.normal(loc=(1.0, 0.0), size=(4000, 2))
    ratio = density_ratio(a, b, rng=rng)
    assert np.corrcoef(np.log(ratio.reference), a[:, 0])[0, 1] > 0.9
    assert ratio.gain[0] > 0.8


def test_twins_share_a_fold() -> None:
    """Equal rows never lie in different folds, or a model would be tested on what it has seen."""
    rng = np.random.default_rng(3)
    x = np.repeat(rng.normal(size=(50, 3)), 7, axis=0)
    fold = row_folds(x, 2, rng)
    assert all(len(set(fold[k : k + 7])) == 1 for k in range(0, 350, 7))


def test_few_distinct_rows_are_split_anyway() -> None:
    """When one row makes up the data, folds are drawn by row and neither is empty."""
    fold = row_folds(np.zeros((100, 2)), 2, np.random.default_rng(4))
    assert np.bincount(fold).tolist() == [50, 50]


def test_rake_meets_its_targets() -> None:
    """After raking, the weighted means are the targets and the total weight is kept."""
    rng = np.random.default_rng(5)
    moments = rng.normal(size=(2000, 2))
    weight = rake(np.ones(2000), moments, np.array([0.3, -0.2]))
    assert weight @ moments / weight.sum() == pytest.approx([0.3, -0.2], abs=0.01)
    assert weight.sum() == pytest.approx(2000)


def test_weighted_auc_counts_ties_half() -> None:
    """Equal scores give one half, and weights move it."""
    assert weighted_auc(np.zeros(4), np.zeros(3)) == 0.5
    assert weighted_auc(np.array([0.0, 2.0]), np.array([1.0]), np.array([3.0, 1.0])) == 0.75


def test_cross_fit_learns_without_seeing() -> None:
    """Out-of-fold predictions explain a learnable outcome and none of pure noise."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(3000, 3))
    y = np.stack([np.sin(2 * x[:, 0]), rng.normal(size=3000)], axis=1)
    own, foreign = cross_fit(x, y, x[:10], rng=rng)
    assert own.shape == (3000, 2)
    assert foreign.shape == (10, 2)
    assert np.corrcoef(own[:, 0], y[:, 0])[0, 1] > 0.9
    assert abs(np.corrcoef(own[:, 1], y[:, 1])[0, 1]) < 0.1


def test_too_few_rows_are_refused() -> None:
    """A window with fewer than two rows a fold names the count."""
    with pytest.raises(ValueError, match="got 3 and 9"):
        density_ratio(np.zeros((3, 1)), np.zeros((9, 1)), rng=np.random.default_rng(0))


def test_windows_alike_need_no_weights() -> None:
    """Where nothing moved, held-out rows show it and the ratio is one everywhere, whatever a classifier fancied."""
    rng = np.random.default_rng(11)
    found = density_ratio(rng.normal(size=(3_000, 6)), rng.normal(size=(3_000, 6)), rng=rng)
    assert found.reference.std() < 0.05


def test_rows_beyond_the_reference_are_known_by_one_column() -> None:
    """Rows beyond either end of a range, or of a code that hardly occurs, are beyond; those of the same world, or moved within it, are not."""
    rng = np.random.default_rng(5)
    x, now = rng.normal(size=(4000, 3)), rng.normal(size=(4000, 3))
    x[:, 2], now[:, 2] = rng.integers(0, 6, 4000), rng.integers(0, 6, 4000)
    coded = np.array([False, False, True])
    now[0, 0] = np.nan
    assert not beyond(x, now, categorical=coded).any()
    assert beyond(x, now + np.array([0.5, 0.0, 0.0]), categorical=coded).mean() < 0.002
    kept = x[(x[:, 0] < 1.0) & (x[:, 1] > -1.2) & (x[:, 2] != 4)]
    wanted = (now[:, 0] > 1.0) | (now[:, 1] < -1.2) | (now[:, 2] == 4)
    assert (beyond(kept, now, categorical=coded) == wanted).mean() > 0.998


def test_one_stray_row_does_not_make_a_region_known() -> None:
    """A reference row beyond the others is no counterpart of a region; forty are."""
    rng = np.random.default_rng(6)
    x, now = rng.uniform(0, 1, size=(4000, 1)), rng.uniform(0, 1.2, size=(4000, 1))
    x[0] = 1.5
    assert beyond(x, now).mean() == pytest.approx(1 / 6, abs=0.02)
    x[:40] = rng.uniform(1.0, 1.2, size=(40, 1))
    assert beyond(x, now).mean() < 0.03
