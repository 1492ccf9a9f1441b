"""From signals to probabilities of entities and of failure modes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from ruleout.attribution.services._records import Signal

TEMPERATURE = 0.9
"""Divides the scores before they become odds; fitted leave-one-system-out on labelled incidents."""

UNKNOWN = 2.0
"""Score that stands for causes of which the telemetry carries no sign."""

_WHERE = {"metric.saturation": 1.7}
"""Weight of signals that tell where more than why: time and failures travel up, and a queue seldom does."""

_TRACE = 1e-4
_CROWD = 4
"""So many entities may stand out; what the next one shows is noise."""


def entity_scores(signals: Sequence[Signal]) -> dict[str, float]:
    """Sum of the strongest signal of each name, by entity."""
    best: dict[str, dict[str, float]] = defaultdict(dict)
    for one in signals:
        known = best[one.entity]
        weight = _WHERE.get(one.name, 1.0) * one.weight
        known[one.name] = max(known.get(one.name, 0.0), weight)
    return {entity: sum(parts.values()) for entity, parts in best.items()}


def probabilities(
    scores: Mapping[str, float], temperature: float = TEMPERATURE, unknown: float = UNKNOWN
) -> tuple[list[tuple[str, float]], float]:
    """Entities with their probabilities, likeliest first, and what is left for the unknown.

    Where many entities are ranked, what the fifth strongest shows is taken for the noise of so many.
    """
    names = sorted(scores, key=lambda name: (-scores[name], name))
    values = np.array([scores[name] for name in names])
    noise = values[_CROWD] if len(values) > _CROWD else 0.0
    odds = np.expm1(np.maximum(values - noise, 0) / temperature)
    # What stays within the noise keeps its order, and next to no weight.
    odds = np.maximum(odds, _TRACE * np.exp(np.minimum(values - noise, 0)))
    shares = np.r_[np.exp(unknown / temperature), odds]
    shares /= shares.sum()
    return [(n, float(p)) for n, p in zip(names, shares[1:], strict=True)], float(shares[0])
