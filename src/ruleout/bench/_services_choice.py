"""The few constants of the ranking, chosen without what they are then scored on.

The weights of the detectors, the temperature and the score of the unknown (and for changes the score
of "none" and the heat) are chosen by log-loss on all cases but those of one fault type, or of one
system, and scored on these. What differs from the constants in use is what choosing them on the same
cases has flattered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ruleout.attribution.services import (
    HEAT,
    TEMPERATURE,
    UNKNOWN,
    Signal,
    entity_scores,
    odds_of,
    probabilities,
)
from ruleout.bench._services_score import Score

_GROUPS = ("symptom_flow", "added_time", "behaviour", "metric")
_SCALES = (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
_TEMPERATURES = (0.6, 0.75, 0.9, 1.1, 1.35, 1.7)
_UNKNOWNS = (1.0, 1.5, 2.0, 2.5, 3.0)
_NONES = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
_HEATS = (0.8, 1.0, 1.25, 1.6, 2.0, 2.5)
_FLOOR = 1e-3
"""The least probability that the log-loss takes for the truth: one lost case must not choose all."""


class Constants(NamedTuple):
    """What is chosen: a factor for each group of signals, the temperature, and the unknown's score."""

    scales: tuple[float, ...] = (1.0,) * len(_GROUPS)
    temperature: float = TEMPERATURE
    unknown: float = UNKNOWN


class LeftOut(NamedTuple):
    """One group of cases, answered with constants chosen on the rest."""

    name: str
    n: int
    used: float
    """AC@1 with the constants in use."""

    chosen: float
    """AC@1 with constants chosen on the others."""

    used_loss: float
    chosen_loss: float
    constants: str


def answer(score: Score, constants: Constants) -> tuple[bool, float]:
    """Whether the first entity is right, and the probability of the right ones."""
    signals = [_scaled(one, constants.scales) for one in score.signals]
    ranking, _ = probabilities(entity_scores(signals), constants.temperature, constants.unknown)
    right = sum(p for name, p in ranking if name in score.truth)
    return bool(ranking and ranking[0][0] in score.truth), right


def _scaled(signal: Signal, scales: Sequence[float]) -> Signal:
    group = signal.name.partition(".")[0]
    factor = scales[_GROUPS.index(group)] if group in _GROUPS else 1.0
    return signal._replace(weight=signal.weight * factor)


def _loss(scores: Sequence[Score], constants: Constants) -> float:
    """Mean log-loss, each system counting the same."""
    parts: dict[str, list[float]] = {}
    for one in scores:
        parts.setdefault(one.system, []).append(-np.log(max(answer(one, constants)[1], _FLOOR)))
    return float(np.mean([np.mean(values) for values in parts.values()]))


def choose(scores: Sequence[Score]) -> Constants:
    """Constants by two rounds of coordinate descent from the ones in use, by log-loss."""
    best = Constants()
    least = _loss(scores, best)
    for _ in range(2):
        for options in _directions():
            for option in options:
                tried = option(best)
                loss = _loss(scores, tried)
                if loss < least - 1e-6:
                    best, least = tried, loss
    return best


def _directions() -> list[list[Callable[[Constants], Constants]]]:
    def scale(group: int, value: float) -> Callable[[Constants], Constants]:
        return lambda c: c._replace(
            scales=tuple(value if i == group else s for i, s in enumerate(c.scales))
        )

    moves = [[scale(group, value) for value in _SCALES] for group in range(len(_GROUPS))]
    moves.append([lambda c, v=v: c._replace(temperature=v) for v in _TEMPERATURES])  # type: ignore[misc]
    moves.append([lambda c, v=v: c._replace(unknown=v) for v in _UNKNOWNS])  # type: ignore[misc]
    return moves


def leave_out(scores: Sequence[Score], part: Callable[[Score], str]) -> list[LeftOut]:
    """Every group by `part` answered with constants chosen on all other groups."""
    ranked = [one for one in scores if one.signals]
    result = []
    for name in sorted({part(one) for one in ranked}):
        mine = [one for one in ranked if part(one) == name]
        rest = [one for one in ranked if part(one) != name]
        if not rest:
            continue
        chosen, used = choose(rest), Constants()
        result.append(
            LeftOut(
                name,
                len(mine),
                float(np.mean([answer(one, used)[0] for one in mine])),
                float(np.mean([answer(one, chosen)[0] for one in mine])),
                _loss(mine, used),
                _loss(mine, chosen),
                f"{'/'.join(f'{s:g}' for s in chosen.scales)}, {chosen.temperature:g},"
                f" {chosen.unknown:g}",
            )
        )
    return result


def blame_left_out(scores: Sequence[Score]) -> tuple[int, int, int]:
    """Right changes with the constants in use, with ones chosen on the other incidents, and how many there are."""
    known = [one for one in scores if one.suspicion and one.right_change is not None]
    used = chosen = 0
    for left in known:
        rest = [one for one in known if one is not left]
        options = [(shift, heat) for shift in _NONES for heat in _HEATS]
        best = min(options, key=lambda o: (_blame_loss(rest, *o), abs(o[0]), abs(o[1] - HEAT)))
        used += _blamed(left, 0.0, HEAT)[0]
        chosen += _blamed(left, *best)[0]
    return used, chosen, len(known)


def _blamed(score: Score, shift: float, heat: float) -> tuple[bool, float]:
    names = [name for name, _ in score.suspicion]
    values = [value + (shift if name == "none" else 0) for name, value in score.suspicion]
    shares = odds_of(values, heat)
    right = sum(p for name, p in zip(names, shares, strict=True) if name == score.right_change)
    return names[int(np.argmax(shares))] == score.right_change, right


def _blame_loss(scores: Sequence[Score], shift: float, heat: float) -> float:
    losses = [-np.log(max(_blamed(one, shift, heat)[1], _FLOOR)) for one in scores]
    return float(np.mean(losses)) if losses else 0.0


def left_out_table(rows: Sequence[LeftOut]) -> str:
    """The rows as Markdown."""
    lines = [
        "| left out | n | AC@1 in use | AC@1 chosen on the rest | log-loss in use | chosen | constants chosen |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {row.name} | {row.n} | {row.used:.2f} | {row.chosen:.2f} | {row.used_loss:.3f} |"
        f" {row.chosen_loss:.3f} | {row.constants} |"
        for row in rows
    ]
    return "\n".join(lines)
