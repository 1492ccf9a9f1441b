"""Regressions on all other columns, from one decomposition."""

import numpy as np
import pytest

from ruleout.stats._leave_out import LeaveOut


@pytest.mark.parametrize("out", [[3], [3, 4], [0, 3, 7]])
def test_equals_the_regression_solved_by_itself(out: list[int]) -> None:
    """The coefficients from blocks are those of a ridge regression on the remaining columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 9)) + 0.7
    x[:, 3] += x[:, 5]
    gone = np.isin(np.arange(9), out)
    rest, y = x[:, ~gone], x[:, 3]
    alone = np.linalg.solve(rest.T @ rest + 4 * np.eye(rest.shape[1]), rest.T @ (y - y.mean()))
    told = LeaveOut(x, 4.0).coefficients(3, gone)
    assert np.allclose(told[~gone], alone)
    assert not told[gone].any()
