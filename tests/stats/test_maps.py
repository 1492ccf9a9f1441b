"""Simple maps between two sets of answers."""

from __future__ import annotations

import numpy as np
import pytest

from ruleout.stats._maps import affine, isotonic, line_of_logs, logs, relabelling


def test_isotonic_is_monotone_and_recovers_a_monotone_map() -> None:
    """A noisy cube comes back as a rising step function near the cube."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 2_000)
    fitted = isotonic(x, x**3 + rng.normal(0, 0.05, 2_000))
    grid = np.linspace(-0.9, 0.9, 50)
    assert (np.diff(fitted(grid)) >= 0).all()
    assert np.abs(fitted(grid) - grid**3).max() < 0.12


def test_isotonic_of_a_falling_series_is_its_mean() -> None:
    """Pooling everything leaves one level."""
    fitted = isotonic(np.arange(5.0), np.array([5.0, 4.0, 3.0, 2.0, 1.0]))
    assert np.allclose(fitted(np.arange(5.0)), 3.0)
    with pytest.raises(ValueError, match="at least one value"):
        isotonic(np.empty(0), np.empty(0))


def test_inverse_undoes_a_strict_map() -> None:
    """Mapping there and back gives the value."""
    x = np.linspace(0, 1, 300)
    fitted = isotonic(x, x**2)
    assert np.allclose(fitted.inverse(x[10:] ** 2), x[10:], atol=0.01)


def test_affine_shrugs_off_outliers() -> None:
    """A fifth of wild points does not move the line."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=500)
    y = 2 * x + 1
    y[:100] += rng.normal(0, 40, 100)
    line = affine(x, y)
    assert line.slope == pytest.approx(2, abs=0.1)
    assert line.shift == pytest.approx(1, abs=0.1)


def test_relabelling_finds_the_permutation() -> None:
    """The permutation that was applied comes back from a noisy confusion table."""
    rng = np.random.default_rng(2)
    order = rng.permutation(7)
    table = rng.integers(0, 20, (7, 7))
    table[np.arange(7), order] += 100
    assert (relabelling(table) == order).all()
    assert (relabelling(np.zeros((3, 3), dtype=np.int64)) == np.arange(3)).all()


@pytest.mark.parametrize("slope", [0.4, 1.0, 4.0])
def test_a_temperature_and_biases_of_classes_are_read_off_their_shares(slope: float) -> None:
    """Also where most shares became too small to be kept: they say nothing of the line and bend it none."""
    rng = np.random.default_rng(3)
    before = logs(_softmax(3 * rng.normal(size=(400, 6))))
    bias = np.array([0.5, -0.5, 0.0, 0.0, 0.0, 0.0])
    after = np.round(_softmax(slope * before + bias), 12)
    assert slope < 4 or (after < 1e-6).mean() > 0.3
    line = line_of_logs(before, logs(after))
    assert line is not None
    assert line[0] == pytest.approx(slope, rel=0.02)
    assert line[1] - line[1].mean() == pytest.approx(bias - bias.mean(), abs=0.1)


def test_a_line_of_shares_needs_rows_with_two_of_them() -> None:
    """Answers that are sure of one class have no other share to tell a slope by."""
    sure = logs(np.eye(4)[np.arange(200) % 4])
    assert line_of_logs(sure, sure) is None


def _softmax(values: np.ndarray) -> np.ndarray:
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)
