"""Recognising known damages by their shares."""

from __future__ import annotations

import numpy as np
import pytest

from ruleout.stats._tone import Tone, tones
from ruleout.stats._views import AS_IS, fit_recogniser, mixture, separation, weighted_auc


def _rows(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=(n, 6)) + np.array([1.0, 0, 0, 0, 0, 0])


def _views(x: np.ndarray) -> dict[str, np.ndarray]:
    return {AS_IS: x, "rolled": np.roll(x, 1, axis=1), "negated": -x}


def test_shares_of_a_mixture_are_found() -> None:
    """Seven rows in ten as they are and three rolled come back as 0.7 and 0.3."""
    rng = np.random.default_rng(0)
    recogniser = fit_recogniser(_views(_rows(rng, 1200)), rng)
    now = _rows(rng, 1000)
    now[:300] = np.roll(now[:300], 1, axis=1)
    shares = recogniser.shares(now, rng)
    point, low, high = shares.of("rolled")
    assert low <= point <= high
    assert abs(point - 0.3) < 0.08
    assert shares.of("negated")[0] < 0.05


def test_a_change_of_mix_is_no_damage_when_weighted() -> None:
    """Weights that give the reference the current mix keep the share of damages near zero."""
    rng = np.random.default_rng(1)
    kind = rng.integers(0, 2, 1600)
    rows = _rows(rng, 1600) + 2.0 * kind[:, None] * np.array([0, 1, 0, 0, 0, 0])
    now = _rows(rng, 800) + np.array([0, 2.0, 0, 0, 0, 0])
    recogniser = fit_recogniser(_views(rows), rng, weight=kind.astype(float) + 1e-9)
    assert recogniser.shares(now, rng).of(AS_IS)[0] > 0.85


def test_recogniser_needs_the_undamaged_view() -> None:
    """Without the view as it is there is nothing to compare with."""
    with pytest.raises(ValueError, match="as_is"):
        fit_recogniser({"rolled": np.zeros((50, 3))}, np.random.default_rng(0))


def test_mixture_returns_shares_on_the_simplex() -> None:
    """Shares are not negative, add to one, and solve the noiseless problem exactly."""
    means = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    truth = np.array([0.5, 0.2, 0.3])
    found = mixture(means[None], (truth @ means)[None])[0]
    assert np.allclose(found, truth, atol=1e-3)
    outside = mixture(means[None], np.array([[2.0, -0.5, -0.5]]))[0]
    assert outside.min() >= 0
    assert outside.sum() == pytest.approx(1.0)


def test_separation_is_half_for_one_source_and_high_for_two() -> None:
    """Rows of one source cannot be told apart; moved ones can."""
    rng = np.random.default_rng(2)
    same = separation(_rows(rng, 500), _rows(rng, 500), rng)
    moved = separation(_rows(rng, 500), _rows(rng, 500) + 0.8, rng)
    assert abs(same.auc - 0.5) < 4 * same.error
    assert moved.auc > 0.8


def test_weighted_auc_counts_ties_half() -> None:
    """Equal values are worth one half, weights count as copies."""
    ones = np.ones(2)
    assert weighted_auc(np.array([1.0, 1.0]), ones, np.array([1.0, 1.0]), ones) == 0.5
    heavy = weighted_auc(np.array([0.0, 2.0]), np.array([3.0, 1.0]), np.array([1.0]), np.ones(1))
    assert heavy == pytest.approx(0.75)


@pytest.mark.parametrize(
    "tone",
    [
        Tone((0.5, 0.5, 0.5), (0.0, 0.0, 0.0), 1.0),
        Tone((0.4, 0.4, 0.4), (0.3, 0.3, 0.3), 1.0),
        Tone((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 2.0),
        Tone((0.9, 0.7, 0.5), (0.0, 0.05, 0.1), 1.0),
    ],
)
def test_a_tone_is_recovered_from_quantiles(tone: Tone) -> None:
    """One of the candidates brings changed pixels back within three grey levels."""
    rng = np.random.default_rng(3)
    before = 255 * rng.beta(2, 2, size=(200, 64, 3))
    now = tone.apply(255 * rng.beta(2, 2, size=(200, 64, 3)))
    probe = 255 * rng.beta(2, 2, size=(50, 3))
    errors = [
        np.abs(found.undo(tone.apply(probe)) - probe).mean()
        for found in tones(before, now, np.ones(200))
    ]
    assert min(errors) < 3.0
