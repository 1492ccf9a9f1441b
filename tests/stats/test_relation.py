import itertools

import numpy as np
import pytest

from ruleout.stats._lag import best_lag, longest_runs
from ruleout.stats._matching import assign
from ruleout.stats._relation import (
    ROUND_FACTORS,
    affine,
    clip,
    grid,
    likely_other,
    mixture,
    nearest_round,
    part_in_unit,
)


def skewed(seed: int, n: int = 3000) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 3.0, n) + 1.0


@pytest.mark.parametrize(("slope", "offset"), [(100.0, 0.0), (1 / 2.54, 0.0), (1.0, 20.0)])
def test_a_map_of_scale_or_offset_is_recovered(slope: float, offset: float) -> None:
    """Another sample, scaled or moved, comes together again once the map is undone."""
    mends = [m for m in affine(skewed(0), slope * skewed(1) + offset) if m.mends]
    assert mends
    assert mends[0].slope == pytest.approx(slope, rel=0.06)
    assert mends[0].offset == pytest.approx(offset, abs=0.5)


def test_a_bent_relation_is_not_mended() -> None:
    """A change of shape, such as squares, is no change of unit."""
    assert not any(m.mends for m in affine(skewed(0), skewed(1) ** 2))


def test_two_samples_of_one_source_need_no_mending() -> None:
    """Where nothing moved there is nothing to mend."""
    assert not any(m.mends for m in affine(skewed(0), skewed(1)))


def test_a_flipped_sign_is_a_scale_of_minus_one() -> None:
    """A skewed input with its sign turned is mended by -1."""
    mends = [m for m in affine(skewed(0), -skewed(1)) if m.mends]
    assert any(m.slope == pytest.approx(-1.0, abs=0.06) and m.offset == 0 for m in mends)


def test_constants_and_tiny_samples_have_no_map() -> None:
    """Under 30 rows, or without spread, nothing is fitted."""
    assert affine(np.ones(100), skewed(0)) == []
    assert affine(skewed(0)[:20], skewed(1)) == []


@pytest.mark.parametrize(
    ("slope", "factor"), [(1010.0, 1000.0), (59.5, 60.0), (0.3937, 1 / 2.54), (1.3, None)]
)
def test_usual_unit_ratios_are_recognised(slope: float, factor: float | None) -> None:
    """A slope near a usual ratio of units is that ratio; others are none."""
    told = nearest_round(slope)
    assert told == (None if factor is None else pytest.approx(factor))


def test_every_ratio_of_units_goes_back() -> None:
    """Of the powers of ten and times, the way back is a usual ratio as well."""
    for factor in (10.0, 1000.0, 60.0, 3600.0, 24.0, 1024.0):
        assert any(abs(f * factor - 1) < 1e-9 for f in ROUND_FACTORS), factor


def test_a_clip_is_told_with_its_bound_and_side() -> None:
    """Values set to an upper bound are a clip there, of all the rows beyond it."""
    before = skewed(0)
    bound = float(np.quantile(before, 0.75))
    found = clip(before, np.minimum(skewed(1), bound))
    assert found is not None
    assert found.upper
    assert found.bound == bound
    assert found.part == pytest.approx(1.0, abs=0.1)


def test_a_default_is_no_clip() -> None:
    """A default inside the range takes from both of its sides."""
    rng = np.random.default_rng(2)
    before, after = skewed(0), skewed(1)
    middle = float(np.quantile(before, 0.7))
    assert clip(before, np.where(rng.random(len(after)) < 0.3, middle, after)) is None


def test_an_unharmed_sample_is_not_clipped_or_rounded() -> None:
    """Two samples of one source show neither a bound nor a grid."""
    assert clip(skewed(0), skewed(1)) is None
    assert grid(skewed(0), skewed(1)) is None


def test_rounding_is_told_with_its_step() -> None:
    """Values rounded to whole numbers lie on steps of 1, all of them."""
    assert grid(skewed(0), np.round(skewed(1))) == (1.0, 1.0)


@pytest.mark.parametrize("step", [0.5, 5.0])
def test_the_coarsest_grid_that_holds_all_is_told(step: float) -> None:
    """Multiples of 5 are multiples of 1 as well; the step told is the one they were rounded to."""
    assert grid(skewed(0), np.round(skewed(1) / step) * step) == (step, 1.0)


def test_a_grid_that_was_there_before_is_no_news() -> None:
    """Whole numbers that always were whole are not rounded now."""
    assert grid(np.round(skewed(0)), np.round(skewed(1))) is None


def test_the_share_of_a_mixture_is_estimated() -> None:
    """A third of rows from another distribution are a third."""
    before, other = skewed(0), skewed(3) + 10
    after = np.r_[skewed(1)[:2000], skewed(4)[:1000] + 10]
    told = mixture(before, other, after)
    assert told.share == pytest.approx(1 / 3, abs=0.03)
    assert told.distance_after < 0.2 * told.distance_before


def test_a_part_in_another_unit_is_found_with_its_rows() -> None:
    """A fifth of the rows a thousand times too large are told by factor, share and row."""
    hit = np.random.default_rng(5).random(3000) < 0.2
    after = np.where(hit, 1000.0, 1.0) * skewed(1)
    told = part_in_unit(skewed(0), after)
    assert told is not None
    unit, mixed = told
    assert unit == pytest.approx((1000.0, 0.0), rel=0.03)
    assert mixed.share == pytest.approx(0.2, abs=0.03)
    rows = likely_other(skewed(0), unit, mixed.share, after)
    assert (rows == hit).mean() > 0.99


def test_a_part_in_fahrenheit_is_found() -> None:
    """Rows that come in Fahrenheit among others in Celsius are told by slope and zero."""
    rng = np.random.default_rng(6)
    before, now = rng.normal(15, 6, (2, 3000))
    hit = rng.random(3000) < 0.4
    told = part_in_unit(before, np.where(hit, 1.8 * now + 32, now))
    assert told is not None
    assert told[0] == (1.8, 32.0)
    assert told[1].share == pytest.approx(0.4, abs=0.04)


def test_no_part_is_in_another_unit_where_nothing_moved() -> None:
    """Two samples of one source, and a moved one, are not parts in two units."""
    assert part_in_unit(skewed(0), skewed(1)) is None
    assert part_in_unit(skewed(0), skewed(1) + 1.0) is None


def best_by_trying(cost: np.ndarray) -> float:
    n, m = cost.shape
    return min(
        sum(cost[i, j] for i, j in enumerate(p)) for p in itertools.permutations(range(m), n)
    )


def test_assignment_is_the_cheapest_of_all() -> None:
    """On small matrices the matching costs what trying every one of them gives."""
    rng = np.random.default_rng(6)
    for n, m in [(1, 1), (3, 3), (4, 6), (5, 5)] * 5:
        cost = rng.normal(size=(n, m))
        told = assign(cost)
        assert len(set(told.tolist())) == n
        assert cost[np.arange(n), told].sum() == pytest.approx(best_by_trying(cost))


def test_assignment_refuses_what_it_cannot_match() -> None:
    """More rows than columns, and costs that are no numbers, are errors with a reason."""
    with pytest.raises(ValueError, match="3 rows"):
        assign(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="finite"):
        assign(np.array([[np.inf]]))


def test_the_lag_of_a_delayed_series_is_found() -> None:
    """A series that follows another 37 rows late is told so; noise stays under the usual five."""
    rng = np.random.default_rng(7)
    expected = rng.normal(size=2000)
    observed = np.r_[rng.normal(size=37), expected[:-37]] + 0.5 * rng.normal(size=2000)
    told = best_lag(observed, expected, most=600)
    assert told is not None
    assert told.rows == 37
    assert told.r > 0.8
    assert told.z > 20
    noise = best_lag(rng.normal(size=2000), expected, most=600)
    assert noise is not None
    assert noise.z < 5


def test_short_or_constant_series_have_no_lag() -> None:
    """Under 100 rows, or without spread, there is no lag to tell."""
    assert best_lag(np.arange(50.0), np.arange(50.0), most=10) is None
    assert best_lag(np.ones(200), np.arange(200.0), most=10) is None


def test_runs_count_neighbours_that_agree() -> None:
    """The mean run is 1 where no two agree; missing values agree with each other."""
    assert longest_runs(np.arange(10.0)) == 1
    assert longest_runs(np.repeat([1.0, np.nan], 5)) == 5
    assert longest_runs(np.empty(0)) == 1
