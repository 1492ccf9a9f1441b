import numpy as np
import pytest

from ruleout.stats._concentration import bunching, concentration
from ruleout.stats._effects import effect_drift
from ruleout.stats._prior import (
    balance_by_inputs,
    balance_by_labels,
    balance_weights,
    bbse,
    class_shares,
    shares_by_inputs,
)
from ruleout.stats._shapley import shapley


@pytest.mark.parametrize("players", [3, 9])
def test_shapley_adds_up_and_shares_what_is_joint(players: int) -> None:
    """Values sum to the whole, an idle player gets nothing, and a joint effect is halved."""

    def value(coalition: frozenset[int]) -> float:
        return 2.0 * (0 in coalition) + 4.0 * ({0, 1} <= coalition)

    shares = shapley(players, value, rng=np.random.default_rng(0), permutations=40)
    assert shares.sum() == pytest.approx(6.0)
    assert shares[0] == pytest.approx(4.0, abs=0.6)
    assert shares[1] == pytest.approx(2.0, abs=0.6)
    assert np.abs(shares[2:]).max() == 0.0


def test_balance_weights_give_the_current_shares() -> None:
    """The weighted reference has the current class balance."""
    ref, cur = np.repeat([0, 1, 2], [500, 300, 200]), np.repeat([0, 1, 2], [100, 100, 800])
    weight = balance_weights(ref, cur, 3)
    assert np.bincount(ref, weights=weight) / weight.sum() == pytest.approx(
        class_shares(cur, 3), abs=0.005
    )


def test_bbse_recovers_the_shift_without_labels() -> None:
    """From decisions alone the class weights come within a tenth of the truth."""
    rng = np.random.default_rng(1)
    confusion = np.array([[0.9, 0.1], [0.2, 0.8]])

    def decided(y: np.ndarray) -> np.ndarray:
        return (rng.random(len(y)) < confusion[y, 1]).astype(int)

    y, now = (rng.random(8000) < 0.3).astype(int), (rng.random(8000) < 0.6).astype(int)
    assert bbse(y, decided(y), decided(now), 2) == pytest.approx([0.4 / 0.7, 0.6 / 0.3], abs=0.12)


def test_shares_by_inputs_do_not_look_at_labels() -> None:
    """Class shares come back from P(y | x) at the current rows within two points."""
    rng = np.random.default_rng(7)

    def inputs(y: np.ndarray) -> np.ndarray:
        return rng.normal(2.0 * y, 1.0)

    now = inputs((rng.random(6000) < 0.75).astype(int))
    odds = np.exp(2.0 * now - 2.0) * 0.3 / 0.7
    positive = odds / (1 + odds)
    told = shares_by_inputs(np.stack([1 - positive, positive], axis=1), np.array([0.7, 0.3]))
    assert told[1] == pytest.approx(0.75, abs=0.02)


def test_few_actors_are_told_from_many() -> None:
    """Losses of five actors give a small p-value and name them; losses spread over all do not."""
    rng = np.random.default_rng(2)
    actor = rng.integers(0, 400, 4000)
    spread = (rng.random(4000) < 0.1).astype(float)
    few = np.where(actor < 5, 1.0, 0.05)
    found = concentration(actor, few, 0.05, rng=rng)
    assert found.p_value <= 0.02
    assert set(found.top[:5].tolist()) == {0, 1, 2, 3, 4}
    assert concentration(actor, spread, 0.05, rng=rng).p_value > 0.02


def test_bunching_below_a_threshold_is_seen() -> None:
    """Scores that crowd just below the threshold give a large odds ratio; a mere shift gives none."""
    rng = np.random.default_rng(3)
    ref = rng.uniform(0, 1, 5000)
    crowd = np.concatenate([rng.uniform(0, 1, 4000), rng.uniform(0.45, 0.5, 600)])
    odds, z = bunching(ref, crowd, 0.5, width=0.05)
    assert odds > 2
    assert z > 5
    assert abs(bunching(ref, rng.uniform(0, 1, 5000) ** 1.3, 0.5, width=0.05)[1]) < 3


def test_the_input_whose_effect_turned_is_named() -> None:
    """Of three inputs, the one whose effect on the outcome was reversed changed most."""
    rng = np.random.default_rng(4)
    x, now = rng.normal(size=(3000, 3)), rng.normal(size=(3000, 3))
    y = x @ [1.0, 1.0, 0.3] + rng.normal(size=3000)
    y_now = now @ [1.0, -1.0, 0.3] + rng.normal(size=3000)
    drift = effect_drift(
        (x, y[:, None]), (now, y_now[:, None]), rng=rng, categorical=np.zeros(3, dtype=bool)
    )
    assert drift.size.argmax() == 1
    assert drift.size[1] > 3 * max(drift.size[0], drift.size[2], drift.usual.max())


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_class_shares_from_inputs_need_no_calibration(slope: float) -> None:
    """Too timid or too bold probabilities give the current class shares as well as calibrated ones do."""
    rng = np.random.default_rng(3)
    codes = [(rng.random(20_000) < share).astype(np.int64) for share in (0.3, 0.7)]
    log_odds = [2 * (rng.normal(size=20_000) + 2 * (c - 0.5)) + np.log(0.3 / 0.7) for c in codes]
    own, foreign = (
        np.stack([1 - p, p], axis=1) for p in (1 / (1 + np.exp(-slope * z)) for z in log_odds)
    )
    told = balance_by_inputs(codes[0], own, foreign)
    assert told.now[1] == pytest.approx(codes[1].mean(), abs=0.015)
    plain = shares_by_inputs(foreign, class_shares(codes[0], 2))[1]
    assert (abs(plain - codes[1].mean()) > 0.03) == (slope != 1.0)


def test_a_balance_varies_with_the_rows_that_tell_it() -> None:
    """Where labels tell the balance, a resample's factors are those of the resampled labels."""
    rng = np.random.default_rng(4)
    before, now = rng.integers(0, 3, 900), rng.integers(0, 2, 700)
    told = balance_by_labels(before, now, 3)
    counts = rng.integers(0, 3, 900).astype(float), rng.integers(0, 3, 700).astype(float)
    shares = [
        np.bincount(c, weights=w, minlength=3) / w.sum()
        for c, w in zip((before, now), counts, strict=True)
    ]
    assert told.factor(*counts) == pytest.approx((shares[1] + 1e-4) / (shares[0] + 1e-4))
