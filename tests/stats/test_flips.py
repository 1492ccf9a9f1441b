from typing import Any

import numpy as np
import pytest
from worlds import draw, rule

from ruleout.stats._flips import (
    Part,
    class_probabilities,
    fit_flips,
    heterogeneity,
    label_residual,
    overlap_weights,
)


def fitted(spoil: Any, *, near: float = 0.0, seed: int = 1) -> Any:
    """Flips and the dependence on inputs after `spoil(x, y, rng)` changed the current labels."""
    rng = np.random.default_rng(seed)
    a, b = draw(5000, rng), draw(5000, rng, near=near)
    y = spoil(b.x, b.y, rng)
    own, foreign = class_probabilities(a.x, a.y, b.x, 2, rng=rng)
    flips = fit_flips(foreign, y)
    before = label_residual(own, np.eye(2), a.y)[:, 1:]
    weights = overlap_weights(np.ones(5000), np.ones(5000))
    tied = heterogeneity(
        Part(a.x, before, weights[0]), Part(b.x, flips.residual[:, 1:], weights[1]), rng=rng
    )
    return flips, tied


def test_untouched_labels_have_no_flips() -> None:
    """Labels that follow the reference's rule show under 2% of flips and no dependence."""
    flips, (correlation, z) = fitted(lambda x, y, rng: y)
    assert flips.rate < 0.02
    assert abs(z) < 4
    assert abs(correlation) < 0.1


def test_uniform_noise_is_measured() -> None:
    """15% of labels flipped at random come back as 15%, both ways alike, independent of inputs."""
    flips, (correlation, _) = fitted(
        lambda x, y, rng: np.where(rng.random(len(y)) < 0.15, 1 - y, y)
    )
    assert flips.rate == pytest.approx(0.15, abs=0.025)
    assert flips.asymmetry < 0.25
    assert abs(correlation) < 0.08


def test_one_way_flips_are_told() -> None:
    """Positives that became negatives show as an asymmetric transition of that size."""
    flips, _ = fitted(lambda x, y, rng: np.where((rng.random(len(y)) < 0.3) & (y == 1), 0, y))
    assert flips.transition[1, 0] == pytest.approx(0.3, abs=0.05)
    assert flips.asymmetry > 0.9


def test_a_changed_region_depends_on_inputs() -> None:
    """Labels flipped in one region leave a residual that inputs foretell."""
    _, (correlation, z) = fitted(
        lambda x, y, rng: np.where((x[:, 1] > 0.7) & (rng.random(len(y)) < 0.6), 1 - y, y)
    )
    assert correlation > 0.15
    assert z > 8


def test_a_reversed_effect_depends_on_inputs() -> None:
    """Labels drawn by a rule with one effect turned round leave a residual that inputs foretell."""

    def reversed_rule(x: Any, y: Any, rng: np.random.Generator) -> Any:
        turned = x.copy()
        turned[:, 1] = -turned[:, 1]
        return (rng.random(len(y)) < 1 / (1 + np.exp(-rule(turned)))).astype(int)

    _, (correlation, z) = fitted(reversed_rule)
    assert correlation > 0.2
    assert z > 10


def test_a_pair_of_classes_is_named() -> None:
    """Of four classes, the two whose labels were exchanged are the commonest flip."""
    rng = np.random.default_rng(3)
    n = 4000
    true = rng.integers(0, 4, n)
    probability = np.full((n, 4), 0.05)
    probability[np.arange(n), true] = 0.85
    swapped = np.where(
        (true == 1) & (rng.random(n) < 0.5),
        3,
        np.where((true == 3) & (rng.random(n) < 0.5), 1, true),
    )
    flips = fit_flips(probability, swapped)
    assert set(flips.pair) == {1, 3}
    assert flips.pair_share > 0.8
