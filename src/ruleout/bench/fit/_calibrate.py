"""Calibration: three numbers that make probabilities come true as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ruleout.hypotheses import PLAIN, Calibration

Vector = NDArray[np.float64]

EVERYTHING = ("temperature", "unknown", "lapse")
LAPSE = ("lapse",)


def fit_calibration(
    logits: Sequence[Vector],
    right: Sequence[NDArray[np.bool_]],
    *,
    before: Calibration = PLAIN,
    parts: Sequence[str] = LAPSE,
    strength: float = 1.0,
) -> Calibration:
    """Temperature, unknown mass and lapse that make the first answers' probabilities likeliest.

    Args:
        logits: log-odds (n,) of the hypotheses of each incident.
        right: which of them are right.
        before: what holds where there are no incidents.
        parts: which of the three numbers may move. The lapse alone needs few incidents; all three need hundreds, of
            several authors (see the benchmark's page).
        strength: weight of `before`, in incidents.

    The loss is the log loss of "the first answer is right" over incidents; ties of the first answer count
    as their share. A coarse-to-fine search over the three numbers: the loss is cheap and has one valley.
    """
    seen = [(x, y) for x, y in zip(logits, right, strict=True) if len(x)]
    if not seen:
        return before
    width = max(len(x) for x, _ in seen)
    table = np.full((len(seen), width), -np.inf)
    for k, (x, _) in enumerate(seen):
        table[k, : len(x)] = x
    hit = np.array([_first_right(x, y) for x, y in seen])
    start = _point(before)
    free = [name in parts for name in EVERYTHING]

    def cost(point: Vector) -> float:
        away = float((((point - start) / _SPREADS) ** 2).sum())
        return _cost(table, hit, point) + strength * away / 2

    best = start
    for scale in (1.6, 0.5, 0.15, 0.05):
        best = min(_around(best, scale, free), key=cost)
    return _of(best)


def _first_right(logits: Vector, right: NDArray[np.bool_]) -> float:
    first = logits >= logits.max() - 1e-9
    return float(right[first].mean())


_SPREADS = np.array([0.7, 1.4, 2.0])
"""How far log temperature, unknown and log lapse are expected to lie from where they were."""

_USUAL_LAPSE, _LEAST_LAPSE = 0.02, 0.001


def _point(how: Calibration) -> Vector:
    lapse = np.log(max(how.lapse, _LEAST_LAPSE) / _USUAL_LAPSE)
    return np.array([np.log(how.temperature), how.unknown, lapse])


def _of(point: Vector) -> Calibration:
    """Coordinates -> numbers: log temperature, unknown's log-odds, lapse as a log."""
    lapse = min(_USUAL_LAPSE * float(np.exp(point[2])), 0.3)
    return Calibration(
        round(float(np.exp(point[0])), 4),
        round(float(point[1]), 4),
        round(lapse, 5) if lapse > _LEAST_LAPSE else 0.0,
    )


def _around(centre: Vector, scale: float, free: Sequence[bool]) -> list[Vector]:
    steps = np.linspace(-1, 1, 7) * scale
    still = np.zeros(1)
    a, b, c = (
        steps * reach if may else still for reach, may in zip((1, 1.5, 4), free, strict=True)
    )
    return [centre + np.array(step) for step in product(a, b, c)]


def _cost(table: Vector, hit: Vector, point: Vector) -> float:
    how = _of(point)
    scaled = table / how.temperature
    unknown = how.unknown / how.temperature
    top = np.maximum(scaled.max(axis=1), unknown)
    total = np.exp(scaled - top[:, None]).sum(axis=1) + np.exp(unknown - top)
    p = (1 - how.lapse) * np.exp(scaled.max(axis=1) - top) / total
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-(hit * np.log(p) + (1 - hit) * np.log1p(-p)).sum())
