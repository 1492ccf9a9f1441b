import math

import numpy as np
import pytest

from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled
from ruleout.stats._changepoint import pulse, step
from ruleout.stats._twosample import (
    categories,
    chi_square_sf,
    kolmogorov_sf,
    ks,
    normal_sf,
    proportions,
    rank_auc,
)


def test_ks_is_zero_for_the_same_sample_and_one_for_disjoint_ones() -> None:
    """The distance of a sample to itself is 0, to one beyond its range 1."""
    values = np.arange(50.0)
    assert ks(values, values).effect == 0
    assert ks(values, values).p_value == 1
    assert ks(values, values + 100).effect == 1


def test_ks_leaves_missing_values_out() -> None:
    """NaN counts for nothing: the sizes say how many values were compared."""
    told = ks(np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, np.nan, np.nan]))
    assert told.n == (2, 2)
    assert told.effect == 0


def test_ks_of_nothing_is_no_difference() -> None:
    """An empty sample differs from nothing."""
    assert ks(np.empty(0), np.arange(9.0)) == (1.0, 0.0, (0, 9))


def test_ks_rejects_equal_distributions_at_its_level() -> None:
    """Of 300 pairs from one distribution about one in twenty falls under 5%."""
    rng = np.random.default_rng(0)
    p = [ks(rng.normal(size=200), rng.normal(size=300)).p_value for _ in range(300)]
    assert 0.015 < np.mean(np.array(p) < 0.05) < 0.09


def test_the_tail_of_kolmogorov_matches_the_tables() -> None:
    """The 5% and 1% points are 1.358 and 1.628, and both series meet where they take over."""
    assert kolmogorov_sf(1.358) == pytest.approx(0.05, abs=5e-4)
    assert kolmogorov_sf(1.628) == pytest.approx(0.01, abs=2e-4)
    assert kolmogorov_sf(1.17999) == pytest.approx(kolmogorov_sf(1.18), abs=1e-4)


def test_the_tails_of_normal_and_chi_square_match_the_tables() -> None:
    """The 5% points are 1.645 for the normal and 18.31 for chi-square with ten degrees of freedom."""
    assert normal_sf(1.645) == pytest.approx(0.05, abs=1e-4)
    assert chi_square_sf(18.307, 10) == pytest.approx(0.05, abs=2e-3)
    assert chi_square_sf(5.0, 0) == 1.0


def test_equal_shares_are_not_told_apart() -> None:
    """Ten in a hundred and a hundred in a thousand are one share."""
    told = proportions((10, 100), (100, 1000))
    assert told.effect == 0
    assert told.p_value == pytest.approx(1.0)


def test_a_risen_share_is_after_less_before() -> None:
    """The effect is signed, and a large one is beyond doubt."""
    told = proportions((10, 50), (100, 100))
    assert told.effect == pytest.approx(0.4)
    assert told.p_value < 1e-6
    assert proportions((50, 10), (100, 100)).effect == pytest.approx(-0.4)


def test_counts_are_compared_as_shares() -> None:
    """Counts in one proportion are alike at any size; moved ones differ by the share that moved."""
    before = np.array([50, 30, 20, 0])
    assert categories(before, 3 * before).effect == 0
    told = categories(10 * before, np.array([300, 500, 200, 0]))
    assert told.effect == pytest.approx(0.2)
    assert told.p_value < 1e-6
    assert categories(before, np.zeros(4, dtype=int)).p_value == 1


def test_ranks_of_scores_are_an_area() -> None:
    """Perfect order is 1, reversed order 0, all ties one half, and one class alone has no area."""
    positive = np.array([False, False, True, True])
    scores = np.arange(4.0)
    assert rank_auc(scores, positive) == 1
    assert rank_auc(-scores, positive) == 0
    assert rank_auc(np.ones(4), positive) == 0.5
    assert math.isnan(rank_auc(scores, np.ones(4, dtype=bool)))


def test_a_weight_counts_like_copies_of_a_row() -> None:
    """The area with weights is that of the rows repeated so many times."""
    rng = np.random.default_rng(1)
    scores, positive = rng.integers(0, 5, 60).astype(float), rng.random(60) < 0.4
    weight = rng.integers(1, 4, 60)
    copied = rank_auc(np.repeat(scores, weight), np.repeat(positive, weight))
    assert rank_auc(scores, positive, weight.astype(float)) == pytest.approx(copied)


def test_blocks_are_runs_of_equal_length() -> None:
    """Rows are cut into runs in their order, none more than a row longer than another."""
    index = contiguous_blocks(103, 10)
    assert (np.diff(index) >= 0).all()
    sizes = np.bincount(index)
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 1


def test_block_count_is_bounded() -> None:
    """Few rows still make four blocks, many no more than forty."""
    assert [block_count(n) for n in (0, 500, 10**6)] == [4, 10, 40]


def test_the_bootstrap_spreads_as_the_blocks_do() -> None:
    """The draws of a total centre on it, with the standard error that its blocks have."""
    rng = np.random.default_rng(2)
    sums = rng.normal(10, 3, (40, 1))
    draws = resampled(sums, 4000, rng)
    assert draws.mean() == pytest.approx(sums.sum(), rel=0.02)
    assert draws.std() == pytest.approx(sums.std() * math.sqrt(40), rel=0.1)


def test_a_step_is_dated_with_an_interval() -> None:
    """The change is found where it was made, and its 90% interval holds it."""
    rng = np.random.default_rng(3)
    held, away = 0, []
    for _ in range(60):
        values = np.r_[rng.normal(0, 1, 30), rng.normal(1.5, 1, 20)]
        told = step(values, np.ones(50), 1.0)
        held += told.low <= 30 <= told.high
        away.append(abs(told.at - 30))
    assert held >= 51
    assert np.median(away) <= 2


def test_a_flat_series_gains_nothing_from_a_step() -> None:
    """Where nothing changed, the best step is worth nothing."""
    assert step(np.full(20, 3.0), np.ones(20), 1.0).gain == pytest.approx(0, abs=1e-9)


def test_a_step_is_not_looked_for_before_the_first_place_allowed() -> None:
    """A change in the part known to be sound is passed over."""
    values = np.r_[np.zeros(5), np.ones(5), np.full(10, 1.4)]
    assert step(values, np.ones(20), 0.01).at == 5
    assert step(values, np.ones(20), 0.01, first=8).at >= 8


def test_one_value_has_no_change() -> None:
    """A change point needs two values, and the message says how many came."""
    with pytest.raises(ValueError, match="got 1"):
        step(np.ones(1), np.ones(1), 1.0)


def test_a_pulse_is_the_stretch_that_departs() -> None:
    """A raised stretch in the middle is found by its ends; a level series has none."""
    values = np.r_[np.zeros(10), np.full(6, 2.0), np.zeros(8)]
    found = pulse(values, np.ones(24), 0.0, 1.0)
    assert (found.start, found.stop) == (10, 16)
    assert found.z == pytest.approx(2 * math.sqrt(6))
    assert pulse(np.zeros(24), np.ones(24), 0.0, 1.0).z == 0
