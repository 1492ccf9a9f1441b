import numpy as np
import polars as pl

from ruleout.stats._contributions import driver_shift, sampled_contributions
from served_world import answered, case_of, findings, windows


def test_contributions_of_a_linear_answer_are_known() -> None:
    """For a linear answer the contributions are the weighted distances from the background, and add up."""
    rng = np.random.default_rng(1)
    x, background = rng.normal(size=(150, 3)), np.zeros((1, 3))
    w = np.array([2.0, -1.0, 0.0])

    def answer(rows: np.ndarray, others: np.ndarray, inside: np.ndarray) -> np.ndarray:
        return np.where(inside, x[rows], background[others]) @ w

    told = sampled_contributions(answer, 150, 3, 1, rng=rng)
    assert np.allclose(told, x * w)


def test_equal_windows_have_equal_drivers() -> None:
    """Contributions drawn alike are not told apart."""
    rng = np.random.default_rng(2)
    shift = driver_shift(rng.normal(size=(400, 4)), rng.normal(size=(400, 4)), rng=rng)
    assert shift.p_value > 0.01
    assert shift.reference.sum() == 1.0 or abs(shift.reference.sum() - 1.0) < 1e-12


def test_shifted_drivers_are_a_tested_statement() -> None:
    """When one input's spread trebles, decisions rest more on it, and the finding names it and blames nobody."""
    rng = np.random.default_rng(3)
    reference, current = windows(rng)
    wide = answered(current.with_columns(pl.col("visits") * 4), current["label"])
    found = findings(case_of(reference, wide), "decision_drivers")["drivers.shifted"]
    assert found.subject.names == ("visits",)
    assert found.effect > 0.05
    assert found.supports == ()
    assert findings(case_of(reference, current), "decision_drivers") == {}
