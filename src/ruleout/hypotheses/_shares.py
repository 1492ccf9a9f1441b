"""The last step of all probabilities: rounded as they are written, and what is left over is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ruleout._records import Hypothesis, Layer
from ruleout.hypotheses._rank import within

_DECIMALS = 6
"""Decimals of a probability: what is written keeps them all, so that sums hold as written."""

_WHOLE = 1 + 1e-9

_LAYERS: tuple[Layer, ...] = ("data", "model", "infrastructure", "integration", "none", "unknown")


def settled(
    ranked: Sequence[Hypothesis], unknown: float
) -> tuple[tuple[Hypothesis, ...], dict[str, float]]:
    """The hypotheses with their final probabilities, and the mass of every layer; the masses sum to 1.

    Of one cause, all mass that no listed hypothesis holds is unknown. Several causes at once have
    probabilities of their own, which may sum to more than 1; then their layers share what is known.

    Args:
        ranked: the hypotheses, likeliest first.
        unknown: the mass on "something else", for several causes.
    """
    told = _rounded(ranked)
    mass: dict[str, float] = dict.fromkeys(_LAYERS, 0.0)
    for one in told:
        mass[one.layer] += one.probability
    total = sum(mass.values())
    if total > _WHOLE:
        unknown = min(max(unknown, 0.0), 1.0)
        mass = {layer: m * (1 - unknown) / total for layer, m in mass.items()}
        mass["unknown"] += unknown
    mass = {layer: round(m, _DECIMALS) for layer, m in mass.items()}
    # What rounding leaves goes where it weighs least; of one cause, all the rest is unknown.
    last = max(mass, key=lambda layer: mass[layer]) if total > _WHOLE else "unknown"
    mass[last] = round(mass[last] + 1 - sum(mass.values()), _DECIMALS)
    return told, mass


def _rounded(ranked: Sequence[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The hypotheses with probabilities as they are written, none at 0; rounding up takes from the likeliest."""
    least = 10**-_DECIMALS
    told = [
        replace(
            h,
            probability=max(round(h.probability, _DECIMALS), least if h.probability > 0 else 0.0),
            explained=within(h.explained),
        )
        for h in ranked
    ]
    over = sum(h.probability for h in told) - 1
    if 0 < over <= len(told) * least:
        told[0] = replace(told[0], probability=round(told[0].probability - over, _DECIMALS))
    return tuple(told)
