import numpy as np
import pytest

from ruleout.stats._crossfit import cross_fit
from ruleout.stats._estimate import (
    calibrate,
    contradiction,
    estimate_classification,
    estimate_loss,
    expected_auc,
    from_cells,
    isotonic,
)


def scored(n: int, rng: np.random.Generator, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are calibrated, and outcomes."""
    score = 1 / (1 + np.exp(-rng.normal(shift, 1.5, n)))
    return score, (rng.random(n) < score).astype(float)


def test_isotonic_never_falls_and_keeps_the_mean() -> None:
    """The calibration is non-decreasing and its mean is the outcomes' mean."""
    rng = np.random.default_rng(1)
    score, y = scored(800, rng)
    knots, values = isotonic(score, y)
    assert (np.diff(values) >= 0).all()
    assert np.interp(score, knots, values).mean() == pytest.approx(y.mean(), abs=1e-9)


def test_calibration_mends_distorted_scores() -> None:
    """Squared scores come back close to the probabilities that they stand for."""
    rng = np.random.default_rng(2)
    score, y = scored(6000, rng)
    mended = calibrate(score**2, y, score[:500] ** 2, rng=rng)
    assert np.abs(mended - score[:500]).mean() < 0.03


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1", "roc_auc"])
def test_estimates_hold_under_a_shift_of_scores(metric: str) -> None:
    """With P(y | score) unchanged, the realised metric lies in the 90% interval in at least 12 of 16 runs."""
    held = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        score, y = scored(2000, rng)
        now, unseen = scored(1500, rng, shift=-0.7)
        told = estimate_classification(metric, (score, y), now, now >= 0.5, rng=rng, draws=40)
        cells = np.array(
            [((now >= 0.5) == d) & (unseen == v) for d, v in ((1, 1), (1, 0), (0, 1), (0, 0))]
        ).sum(1)
        real = (
            expected_auc(unseen, now)
            if metric == "roc_auc"
            else from_cells(metric, cells.astype(float))
        )
        held += told.low <= real <= told.high
    assert held >= 12


def test_loss_of_a_regression_is_foretold() -> None:
    """The mean absolute error on harder rows is estimated from inputs within its interval or close to it."""
    rng = np.random.default_rng(5)
    x, now = rng.uniform(0, 1, (3000, 2)), rng.uniform(0.5, 1, (2000, 2))
    loss, real = (np.abs(rng.normal(0, 0.2 + z[:, 0])) for z in (x, now))
    told = estimate_loss(loss, cross_fit(x, loss, now, rng=rng), rng=rng)
    assert told.value == pytest.approx(real.mean(), abs=0.05)
    assert told.value > loss.mean() + 0.1


def test_unknown_metric_is_refused() -> None:
    """A metric that is no function of the confusion matrix is a KeyError, not a number."""
    with pytest.raises(KeyError, match="brier"):
        from_cells("brier", np.ones(4))


def _erring(n: int, share: float, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Scores, outcomes and the group of rows in which the score is too bold; `share` of the rows are in it."""
    group = rng.random(n) < share
    score = rng.random(n)
    chance = np.where(group, 0.5 + 0.3 * (score - 0.5), score)
    return score, (rng.random(n) < chance).astype(float), group


def test_weights_carry_a_calibration_to_inputs_that_moved() -> None:
    """More rows on which the score errs: weighted, the estimate is right and its interval holds; plain, neither is so."""
    rng = np.random.default_rng(12)
    score, y, group = _erring(8_000, 0.1, rng)
    now, y_now, _ = _erring(8_000, 0.5, rng)
    true = float(((now >= 0.5) == y_now).mean())
    weight = np.where(group, 5.0, 0.5 / 0.9)
    told = [
        estimate_classification("accuracy", (score, y), now, now >= 0.5, rng=rng, weight=w)
        for w in (None, weight)
    ]
    assert not told[0].low <= true <= told[0].high
    assert abs(told[1].value - true) < 0.015
    assert told[1].low <= true <= told[1].high


def test_what_a_learned_loss_misses_counts_where_the_current_rows_are() -> None:
    """A loss that the inputs' model cannot learn is still estimated where the weights know where the rows went."""
    rng = np.random.default_rng(13)
    hidden, now_hidden = rng.random(6_000) < 0.2, rng.random(6_000) < 0.6
    loss = np.where(hidden, 3.0, 1.0) + rng.exponential(0.2, 6_000)
    weight = np.where(hidden, 3.0, 0.5)
    x, now = rng.normal(size=(6_000, 2)), rng.normal(size=(6_000, 2))
    told = estimate_loss(loss, cross_fit(x, loss, now, rng=rng), rng=rng, weight=weight)
    true = float(np.where(now_hidden, 3.0, 1.0).mean()) + 0.2
    assert told.value == pytest.approx(true, abs=0.1)
    assert told.low < true < told.high


def test_two_estimators_share_the_point_and_their_gap_widens_the_interval() -> None:
    """What is foretold from inputs counts as much as the calibration, and disagreement is doubt."""
    rng = np.random.default_rng(9)
    score, y = scored(2000, rng)
    now, _ = scored(1500, rng, shift=-0.7)
    weight = np.ones(len(score))

    def told(foretold: np.ndarray | None) -> tuple[float, float]:
        e = estimate_classification(
            "accuracy", (score, y), now, now >= 0.5, rng=np.random.default_rng(1), weight=weight,
            foretold=foretold, draws=20,
        )  # fmt: skip
        return e.value, e.high - e.low

    alone, width = told(None)
    agreed, narrow = told(now)
    apart, wide = told(np.where(now >= 0.5, now - 0.2, now + 0.2))
    assert agreed == pytest.approx(alone, abs=0.01)
    assert narrow == pytest.approx(width, rel=0.1)
    assert apart == pytest.approx(alone - 0.1, abs=0.01)
    assert wide > width + 0.1


def test_a_metric_that_no_draw_has_comes_without_an_interval() -> None:
    """Where nobody is positive, recall is unknown, and so is its interval; nothing warns."""
    rng = np.random.default_rng(10)
    score = np.full(300, 0.01)
    told = estimate_classification(
        "precision", (score, np.zeros(300)), score, score > 0.5, rng=rng, draws=5
    )
    assert np.isnan(told.low)
    assert np.isnan(told.high)


def test_known_losses_contradict_only_where_the_relation_changed() -> None:
    """Losses drawn as learned, whatever their inputs, contradict nothing; losses that grew by a half do, in their band."""
    rng = np.random.default_rng(21)
    told = rng.gamma(2.0, 1.0, 4_000)
    loss = told * rng.exponential(size=4_000)
    few = rng.gamma(3.0, 1.0, 400)
    alarms = [
        abs(contradiction((loss, told), (few * rng.exponential(size=400), few)).z) > 3.2
        for _ in range(200)
    ]
    assert np.mean(alarms) <= 0.03
    worse = np.where(few > np.median(few), 1.8, 1.0) * few * rng.exponential(size=400)
    found = contradiction((loss, told), (worse, few))
    assert found.z > 3.2
    assert found.known > 1.3 * found.promised
    assert contradiction((loss, told), (worse[:60], few[:60])).bands == 1
