import numpy as np
import pytest

from ruleout.stats._sparse import sparse_parts

NOISE = 0.01 * np.array([[1.0, -0.9, 0.0], [-0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_parts_keep_their_sum_in_any_unit(unit: float) -> None:
    """Steadied parts add up to what they did, and scale with the unit of the metric."""
    parts = np.array([0.7, 0.12, -0.05])
    told = sparse_parts(unit * parts, unit**2 * NOISE)
    assert told.sum() == pytest.approx(unit * parts.sum())
    assert told / unit == pytest.approx(sparse_parts(parts, NOISE), rel=1e-6)


def test_a_part_within_its_noise_is_drawn_towards_nought() -> None:
    """A part of one standard error gives most of itself to the part that is certain; one of eight keeps nearly all."""
    faint = sparse_parts(np.array([0.9, 0.1]), 0.01 * np.array([[1.0, -0.99], [-0.99, 1.0]]))
    assert 0 <= faint[1] < 0.04
    plain = sparse_parts(np.array([0.2, 0.8]), 0.01 * np.array([[1.0, -0.99], [-0.99, 1.0]]))
    assert plain[1] > 0.75


def test_a_part_whose_mechanism_moved_is_not_held_for_nought() -> None:
    """The same faint part is left alone when its mechanism is seen to have moved."""
    parts, noise = np.array([0.9, 0.1]), 0.01 * np.eye(2)
    kept = sparse_parts(parts, noise, np.array([True, True]))
    assert kept == pytest.approx(parts)
    assert sparse_parts(parts, noise, np.array([True, False]))[1] < 0.05


def test_what_was_never_looked_for_stays_nought() -> None:
    """A part without error takes nothing up, and a single part is the change; without noise nothing is done."""
    noise = np.diag([0.0, 0.01, 0.01])
    assert sparse_parts(np.array([0.0, 0.5, 0.1]), noise)[0] == 0.0
    alone = np.array([0.0, 0.5])
    assert sparse_parts(alone, np.diag([0.0, 0.01])) == pytest.approx(alone)
    unknown = np.array([0.3, 0.2])
    assert sparse_parts(unknown, np.full((2, 2), np.nan)) == pytest.approx(unknown)
    assert sparse_parts(np.zeros(2), np.eye(2)) == pytest.approx(np.zeros(2))


def test_it_errs_less_than_the_estimates_where_few_parts_moved() -> None:
    """Over draws with one or two of three parts, the steadied ones are nearer to the truth than the estimates."""
    rng = np.random.default_rng(0)
    factor = np.linalg.cholesky(
        0.02 * np.array([[1.0, -0.6, 0.0], [-0.6, 1.0, -0.5], [0.0, -0.5, 1.0]])
    )
    plain, steadied = [], []
    for _ in range(300):
        true = np.zeros(3)
        true[rng.choice(3, int(rng.integers(1, 3)), replace=False)] = rng.normal(size=1)
        told = true + factor @ rng.normal(size=3)
        plain.append(np.abs(told - true).mean())
        steadied.append(np.abs(sparse_parts(told, factor @ factor.T) - true).mean())
    assert np.mean(steadied) < 0.8 * np.mean(plain)
