"""Do the model's own answers come back in its inputs?

Rule: a numeric input whose tie to the score changes steadily through the current window, beyond what the reference ever
showed, while its tie was steady there. A holdback that the model does not touch (a column of two values among the
segments, by its name or because no input told its groups apart) must be free of it. The score depends on its inputs
anyway, so only the *growth* of the tie is evidence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._calendar import follows_calendar
from ruleout.checks.inputs._departure import departures
from ruleout.checks.inputs._text_counters import counted
from ruleout.checks.inputs.clock import hour_of_day
from ruleout.checks.world._arms import by_lot
from ruleout.checks.world._view import NO_HARM, View, view
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._maps import isotonic
from ruleout.stats._ranks import middle_ranks
from ruleout.stats._twosample import ks, normal_sf

Mask = NDArray[np.bool_]
MODES = ("feedback_loop",)
_PIECES = 8
_GRADUAL = 6.0
"""A monotone course has some five levels more than a step; chance brings each half a nat or so."""

_FEW = 30
_LEAST = 100
_LOOSE = 0.05
_GROWN = 0.15
"""How much tighter a tie must have become, or how far beyond none if it turned round."""

_SPARES = re.compile(
    r"hold[ _-]?(out|back)|explor|random|policy|control|treat|shadow|steer", re.IGNORECASE
)
"""How traffic is called that a model does or does not steer."""

_COMPUTED = ("train_serve_skew", "stale_features")

_ALIKE = (
    "concept_drift",
    "corrupted_labels",
    "label_noise",
    "immature_labels",
    "evaluation_bug",
    "model_staleness",
)
"""What befalls steered and spared traffic alike."""

_SURE = 0.8
"""Least strength of a tie in steered traffic alone where the loss, too, is there alone."""

_ANEW = 4.5
"""Standard errors between steered and spared traffic: all inputs, classes and segments are looked at."""


class Tie(NamedTuple):
    """Correlation of an input with the answers over pieces of a window, and how it grows."""

    first: float
    last: float
    z: float
    gradual: float
    """How much better a monotone course describes the pieces than any step, as a log likelihood ratio."""


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
        unharmed = list(_unharmed(case, seen, spared))
        if unharmed:
            spared = replace(spared, strength=max(spared.strength, _SURE))
        return [spared, _explains(spared), *unharmed]
    if case.current.time is None:
        why = "a tie that grows shows only in the order of time"
        return [Abstained(MODES, why, "data.columns.timestamp")]
    found = _growing(case, seen, said)
    if not found:
        text = f"no tie between {len(case.numeric)} numeric inputs and the answers grows through the window"
        return [Clear(MODES, Subject(), text, 0.1, "feedback.none")]
    z, name, now = max(found)
    grows = Finding(
        signal="feedback.grows",
        subject=Subject("feature", (name,)),
        statement=(
            f"the rank correlation of {name} with the answers goes from {now.first:+.2f} to {now.last:+.2f} through the "
            f"current window (z = {z:.1f}), and stood still in the reference"
        ),
        statistic=now.last,
        effect=now.last - now.first,
        p_value=max(2 * normal_sf(z), 1e-300),
        strength=float(np.clip(abs(now.last - now.first) / 0.3, 0.2, 1.0)),
        supports=MODES,
    )
    return [grows, _explains(grows)]


def _growing(case: Case, seen: View, said: Sequence[Floats]) -> list[tuple[float, str, Tie]]:
    """Inputs whose tie to the answers grows through the current window and was steady in the reference, with its z."""
    found: list[tuple[float, str, Tie]] = []
    for name in sorted(set(case.numeric) - counted(case)):
        if hour_of_day(case, name) or follows_calendar(case, name):
            continue  # no answer moves the clock
        values = (
            case.reference.numeric(name)[seen.reference.rows],
            case.current.numeric(name)[seen.current.rows],
        )
        usual, now = tie(values[0], said[0]), tie(values[1], said[1])
        if usual is None or now is None:
            continue
        level = (usual.first + usual.last) / 2
        away = abs(now.last - level) - abs(now.first - level)
        if (
            abs(now.z) > 6
            and abs(usual.z) < 4
            and away > 0.1
            and now.gradual > _GRADUAL
            and _moves(*values)
        ):
            found.append((abs(now.z), name, now))
    return found


def _moves(before: Floats, now: Floats) -> bool:
    """Whether an input itself has moved by the end: answers that change lose their tie to inputs that stay as they were."""
    late = now[-max(len(now) // 3, 1) :]
    before, late = before[np.isfinite(before)], late[np.isfinite(late)]
    return min(len(before), len(late)) >= _FEW and ks(before, late).p_value < 1e-4


def _explains(found: Finding) -> Finding:
    """What the model feeds back moves inputs, which is then no shift of its own, whichever input shows it most."""
    return replace(
        found,
        signal="feedback.explains",
        subject=Subject(),
        supports=(),
        against=("covariate_shift",),
    )


def _unharmed(case: Case, seen: View, found: Finding) -> Iterable[Finding]:
    """Whether the traffic that a lot spared fares as it did: the world and the labels would have treated both alike."""
    free = _held_back(case, seen, found.scope.column or "")
    if free is None or not by_lot(case, free.column):
        return
    before, now = seen.reference.loss, seen.current.loss
    parts = [(before[~free.before], now[~free.rows]), (before[free.before], now[free.rows])]
    if any(min(len(old), len(new)) < _FEW for old, new in parts):
        return
    steered, spared = (float(new.mean() - old.mean()) for old, new in parts)
    error = math.sqrt(sum(float(side.var()) / len(side) for side in parts[1]))
    if steered <= 0 or spared + 2 * error > 0.5 * steered:
        return
    told = (
        f"the loss rose by {steered:.4g} where {free.column} is {free.steered} and by {spared:.4g} elsewhere, though a lot "
        "parts the two: labels and the world are the same for both"
    )
    yield replace(
        found,
        signal="feedback.unharmed",
        subject=Subject(),
        statement=told,
        statistic=spared,
        effect=steered - spared,
        strength=1.0,
        supports=(),
        against=_ALIKE,
    )


def _spared(case: Case, seen: View, said: Sequence[Floats]) -> Finding | None:
    """An input that moved, and towards or away from the answers, except in the little traffic the model does not steer."""
    best: tuple[float, Finding] | None = None
    for column in case.segments:
        free = _held_back(case, seen, column)
        if free is None:
            continue
        for name, moved in departures(case).items():
            if case.kind(name) != "numeric":
                continue
            told = _one_spared(case, seen, said, name, free) if moved.departed else None
            told = told or _tied_anew(case, seen, name, free)
            if told is not None and _SPARES.search(f"{column} {free.steered}"):
                # Whom the model steers has inputs of its own making, whoever computes them.
                told = replace(
                    told, signal="feedback.spared_by_name", against=(*told.against, *_COMPUTED)
                )
            if told is not None and (best is None or abs(told.effect) > best[0]):
                best = abs(told.effect), replace(told, onset=moved.onset)
    return None if best is None else best[1]


class _Free(NamedTuple):
    """The traffic that a two-valued segment sets apart."""

    column: str
    steered: str
    rows: Mask
    """Rows of the view's current window in the smaller part (n,)."""

    before: Mask
    """The same of its reference window (m,)."""


def _held_back(case: Case, seen: View, column: str) -> _Free | None:
    names = case.vocabulary(column)
    if len(names) != 2 or not (
        _SPARES.search(f"{column} {' '.join(names)}") or by_lot(case, column)
    ):
        return None
    now = case.codes("current", column)[seen.current.rows]
    before = case.codes("reference", column)[seen.reference.rows]
    small = int(np.bincount(now[now >= 0], minlength=2).argmin())
    rows = now == small
    if rows.sum() < _LEAST or rows.mean() > 0.4:
        return None
    return _Free(column, names[1 - small], rows, before == small)


def _one_spared(
    case: Case, seen: View, said: Sequence[Floats], name: str, free: _Free
) -> Finding | None:
    now = case.current.numeric(name)[seen.current.rows]
    before = case.reference.numeric(name)[seen.reference.rows]
    like = before[free.before] if free.before.sum() >= _LEAST else before
    gaps = ks(before, now[~free.rows]).effect, ks(like, now[free.rows]).effect
    noise = 1.4 * math.sqrt(1 / int(free.rows.sum()) + 1 / len(like))
    if gaps[1] > max(0.4 * gaps[0], noise):
        return None
    usual = _correlation(before, said[0])
    steered, apart = (_correlation(now[rows], said[1][rows]) for rows in (~free.rows, free.rows))
    error = 1.0 / math.sqrt(max(int(free.rows.sum()), 4))
    if abs(steered - usual) < max(0.08, 2 * abs(apart - usual), 2 * error):
        return None
    told = (
        f"{name} moved where {free.column} is {free.steered} and there alone, and with it its rank "
        f"correlation with the answers: {usual:+.2f} before, {steered:+.2f} there, {apart:+.2f} elsewhere"
    )
    return Finding(
        signal="feedback.spared",
        subject=Subject("feature", (name,)),
        statement=told,
        statistic=steered,
        effect=steered - usual,
        p_value=None,
        strength=float(np.clip(abs(steered - usual) / 0.2, 0.3, 1.0)),
        supports=MODES,
        against=("concept_drift",),
        scope=Scope(column=free.column, values=(free.steered,)),
    )


def _tied_anew(case: Case, seen: View, name: str, free: _Free) -> Finding | None:
    """A tie that grew or turned round in steered traffic alone, whether or not the input's own values moved.

    A fault of the same rows, such as an old value, can only loosen it.
    """
    now = case.current.numeric(name)[seen.current.rows]
    before = case.reference.numeric(name)[seen.reference.rows]
    error = math.sqrt(1 / max(int(free.rows.sum()), 4) + 1 / max(int((~free.rows).sum()), 4))
    best: Finding | None = None
    for old, new in zip(
        _each_answer(seen, "reference"), _each_answer(seen, "current"), strict=True
    ):
        usual = _correlation(before, old)
        steered, apart = (_correlation(now[rows], new[rows]) for rows in (~free.rows, free.rows))
        turned = steered * usual < 0 or abs(usual) < _LOOSE
        grown = abs(steered) - abs(usual) * (not turned)
        z = abs(math.atanh(_bounded(steered)) - math.atanh(_bounded(apart))) / error
        away, back = abs(steered - usual), abs(apart - usual)
        if z < _ANEW or grown < _GROWN or back > max(0.4 * away, 2 * error) or away < _GROWN:
            continue
        if best is None or away > abs(best.effect):
            best = Finding(
                signal="feedback.spared",
                subject=Subject("feature", (name,)),
                statement=(
                    f"the rank correlation of {name} with the answers went from {usual:+.2f} to {steered:+.2f} where "
                    f"{free.column} is {free.steered} and there alone ({apart:+.2f} elsewhere)"
                ),
                statistic=steered,
                effect=steered - usual,
                p_value=None,
                strength=float(np.clip(away / 0.3, 0.3, 1.0)),
                supports=MODES,
                against=("concept_drift", "stale_features"),
                scope=Scope(column=free.column, values=(free.steered,)),
            )
    return best


def _bounded(r: float) -> float:
    return min(max(r, -0.999), 0.999)


def _each_answer(seen: View, side: str) -> list[Floats]:
    """The score of every class, or the one number that answers."""
    outputs = seen.reference.outputs if side == "reference" else seen.current.outputs
    if outputs.scores is None or outputs.scores.shape[1] < 3:
        return [_answers(seen, side)]
    return list(np.asarray(outputs.scores.T))


def _correlation(x: Floats, y: Floats) -> float:
    """Spearman's rank correlation: what a loop feeds grows by factors, and few large values would rule Pearson's."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < _FEW or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return 0.0
    return float(np.corrcoef(middle_ranks(x[known]), middle_ranks(y[known]))[0, 1])


def _answers(seen: View, side: str) -> Floats:
    outputs = seen.reference.outputs if side == "reference" else seen.current.outputs
    return outputs.decision.astype(float) if outputs.score is None else outputs.score


def tie(values: Floats, said: Floats) -> Tie | None:
    """Rank correlation by pieces of rows in order; z of its trend against sampling noise. None when constant."""
    correlations, weights = [], []
    for piece in np.array_split(np.arange(len(values)), _PIECES):
        x, y = values[piece], said[piece]
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() < _FEW or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
            return None
        correlations.append(_correlation(x, y))
        weights.append(int(known.sum()))
    fisher = np.arctanh(np.clip(correlations, -0.999, 0.999))
    at = np.linspace(-1, 1, _PIECES)
    slope = float(at @ fisher / (at @ at))
    se = float(1.0 / np.sqrt(np.mean(weights) * (at @ at)))
    middle = float(np.mean(fisher))
    step = min(
        float(fisher[:k].var() * k + fisher[k:].var() * (_PIECES - k)) for k in range(1, _PIECES)
    )
    # A tie that grows until it can grow no further bends: any monotone course counts as gradual.
    course = isotonic(at, math.copysign(1.0, slope) * fisher)(at) * math.copysign(1.0, slope)
    gradual = 0.5 * (step - float(((fisher - course) ** 2).sum())) * float(np.mean(weights))
    return Tie(float(np.tanh(middle - slope)), float(np.tanh(middle + slope)), slope / se, gradual)
