"""Do the model's own answers come back in its inputs?

Rule: a numeric input whose tie to the score changes steadily through the current window, beyond what the reference ever
showed, while its tie was steady there. A holdback that the model does not touch (a boolean column named among the
segments) must be free of it. The score depends on its inputs anyway, so only the *growth* of the tie is evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._departure import departures
from ruleout.checks.world._view import NO_HARM, View, view
from ruleout.profile import Case
from ruleout.profile._case import scope_mask
from ruleout.stats._boosting import Floats
from ruleout.stats._twosample import normal_sf

MODES = ("feedback_loop",)
_PIECES = 8


class Tie(NamedTuple):
    """Correlation of an input with the answers over pieces of a window, and how it grows."""

    first: float
    last: float
    z: float
    gradual: float
    """How much better a ramp describes the pieces than any step, as a log likelihood ratio."""


@check(
    "feedback",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current"),
)
def feedback(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for a tie between an input and the answers that a holdback lacks, or that grows through the window."""
    del rng
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    seen = view(case)
    if seen is None:
        return [Abstained(MODES, "fewer than 200 labelled rows in a window", "data.columns.target")]
    said = [_answers(seen, side) for side in ("reference", "current")]
    spared = _spared(case, seen, said)
    if spared is not None:
        return [spared]
    if case.current.time is None:
        why = "a tie that grows shows only in the order of time"
        return [Abstained(MODES, why, "data.columns.timestamp")]
    found: list[tuple[float, str, Tie]] = []
    for name in case.numeric:
        usual = tie(case.reference.numeric(name)[seen.reference.rows], said[0])
        now = tie(case.current.numeric(name)[seen.current.rows], said[1])
        if usual is None or now is None:
            continue
        level = (usual.first + usual.last) / 2
        away = abs(now.last - level) - abs(now.first - level)
        if abs(now.z) > 6 and abs(usual.z) < 4 and away > 0.1 and now.gradual > 3:
            found.append((abs(now.z), name, now))
    if not found:
        text = f"no tie between {len(case.numeric)} numeric inputs and the answers grows through the window"
        return [Clear(MODES, Subject(), text, 0.1, "feedback.none")]
    z, name, now = max(found)
    return [
        Finding(
            signal="feedback.grows",
            subject=Subject("feature", (name,)),
            statement=(
                f"the correlation of {name} with the answers goes from {now.first:+.2f} to {now.last:+.2f} through the "
                f"current window (z = {z:.1f}), and stood still in the reference"
            ),
            statistic=now.last,
            effect=now.last - now.first,
            p_value=max(2 * normal_sf(z), 1e-300),
            strength=float(np.clip(abs(now.last - now.first) / 0.3, 0.2, 1.0)),
            supports=MODES,
        )
    ]


def _spared(case: Case, seen: View, said: Sequence[Floats]) -> Finding | None:
    """An input that moved, and towards or away from the answers, except in the little traffic the model does not steer."""
    best: tuple[float, str, Finding] | None = None
    for name, moved in departures(case).items():
        column = moved.scope.column
        if not moved.departed or case.kind(name) != "numeric" or column not in case.segments:
            continue
        inside = scope_mask(case.current, Scope(column=column, values=moved.scope.values))
        inside = inside[seen.current.rows]
        if len(case.vocabulary(column)) != 2 or not 0.6 < inside.mean() < 1:
            continue
        now = case.current.numeric(name)[seen.current.rows]
        usual = _correlation(case.reference.numeric(name)[seen.reference.rows], said[0])
        steered, free = (_correlation(now[rows], said[1][rows]) for rows in (inside, ~inside))
        error = 1.0 / math.sqrt(max(int((~inside).sum()), 4))
        if abs(steered - usual) < max(0.08, 2 * abs(free - usual), 2 * error):
            continue
        told = (
            f"{name} moved where {column} is {', '.join(moved.scope.values)} and there alone, and with it its "
            f"correlation with the answers: {usual:+.2f} before, {steered:+.2f} there, {free:+.2f} elsewhere"
        )
        finding = Finding(
            signal="feedback.spared",
            subject=Subject("feature", (name,)),
            statement=told,
            statistic=steered,
            effect=steered - usual,
            p_value=None,
            strength=float(np.clip(abs(steered - usual) / 0.2, 0.3, 1.0)),
            supports=MODES,
            against=("covariate_shift", "concept_drift"),
            scope=moved.scope,
            onset=moved.onset,
        )
        if best is None or abs(steered - usual) > best[0]:
            best = abs(steered - usual), name, finding
    return None if best is None else best[2]


def _correlation(x: Floats, y: Floats) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 30 or x[known].std() == 0 or y[known].std() == 0:
        return 0.0
    return float(np.corrcoef(x[known], y[known])[0, 1])


def _answers(seen: View, side: str) -> Floats:
    outputs = seen.reference.outputs if side == "reference" else seen.current.outputs
    return outputs.decision.astype(float) if outputs.score is None else outputs.score


def tie(values: Floats, said: Floats) -> Tie | None:
    """Correlation by pieces of rows in order; z of its trend against sampling noise. None when constant."""
    correlations, weights = [], []
    for piece in np.array_split(np.arange(len(values)), _PIECES):
        x, y = values[piece], said[piece]
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < 30 or x[known].std() == 0 or y[known].std() == 0:
            return None
        correlations.append(float(np.corrcoef(x[known], y[known])[0, 1]))
        weights.append(int(known.sum()))
    fisher = np.arctanh(np.clip(correlations, -0.999, 0.999))
    at = np.linspace(-1, 1, _PIECES)
    slope = float(at @ fisher / (at @ at))
    se = float(1.0 / np.sqrt(np.mean(weights) * (at @ at)))
    middle = float(np.mean(fisher))
    ramp = float(((fisher - middle - slope * at) ** 2).sum())
    step = min(
        float(fisher[:k].var() * k + fisher[k:].var() * (_PIECES - k)) for k in range(1, _PIECES)
    )
    gradual = 0.5 * (step - ramp) * float(np.mean(weights))
    return Tie(float(np.tanh(middle - slope)), float(np.tanh(middle + slope)), slope / se, gradual)
