import numpy as np
import pytest

from ruleout.stats import _kernel as kernel


def r2(y: np.ndarray, said: np.ndarray) -> float:
    return float(1 - ((y - said) ** 2).sum() / ((y - y.mean(axis=0)) ** 2).sum())


def held_out(n: int) -> np.ndarray:
    return np.arange(n) % 4 == 3


def test_many_weak_features_make_a_line() -> None:
    """With more features than rows can tell apart one by one, their sum is still found."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 1_200)) * (rng.random((900, 1_200)) < 0.05)
    y = (x[:, :400] @ rng.normal(size=(400, 2))).astype(float)
    made = kernel.fit(x, y, held_out(900))
    assert made.anchors is None
    assert r2(y[held_out(900)], made.raw(x[held_out(900)])) > 0.3


def test_a_bent_function_takes_the_gaussian_kernel() -> None:
    """What no straight line gives is learned from near rows."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1_200, 5))
    y = np.cos(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    made = kernel.fit(x, y, held_out(1_200))
    assert made.anchors is not None
    assert r2(y[held_out(1_200)], made.raw(x[held_out(1_200)])) > 0.8


def test_missing_features_count_as_their_mean() -> None:
    """A row of which nothing is known gets the usual answer."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 3)) + 5.0
    y = x[:, :1] * 2.0
    made = kernel.fit(x, y, held_out(400))
    assert made.raw(np.full((1, 3), np.nan))[0, 0] == pytest.approx(10.0, abs=0.3)


def test_nothing_held_out_is_refused() -> None:
    """Without rows to choose by there is no choice."""
    with pytest.raises(ValueError, match="held out"):
        kernel.fit(np.ones((5, 2)), np.ones((5, 1)), np.zeros(5, bool))
