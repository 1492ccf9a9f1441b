"""Have the drivers of decisions shifted?

Rule: contributions of the inputs to the served answers (exact SHAP values of a LightGBM or XGBoost model, else Shapley values
by sampling through the model or its surrogate) in both windows; the distance of their shares is tested against windows
exchanged at random. It says what the decisions now rest on, which is where to look; shifted drivers by themselves
blame neither the world nor the data path. Reference: Lundberg et al. (2020); see `stats/_contributions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.world._view import NO_HARM
from ruleout.profile import Case, Predictor, Which, spread_rows
from ruleout.stats._boosting import Floats
from ruleout.stats._contributions import DriverShift, driver_shift, sampled_contributions

_EXACT_ROWS = 2_000
_EXACT_WALKS = 1_500_000
"""Rows of a window times leaves: exact values walk to every leaf of every tree for each row."""

_SAMPLED_ROWS = 200
_WIDEST = 30
_NOTABLE = 0.05


@check("decision_drivers", layer="model", rung="world", looks_for=())
def decision_drivers(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare the shares of the inputs in what drives decisions."""
    if case.significant is False:
        return [Abstained((), NO_HARM)]
    found = contributions(case, rng)
    if found is None:
        return [
            Abstained(
                (),
                f"no tree model, and nothing to sample through for up to {_WIDEST} inputs",
                "models.current",
            )
        ]
    names, before, after, how = found
    shift = driver_shift(before, after, rng=rng)
    if shift.p_value > 0.01 or shift.distance < _NOTABLE:
        text = f"decisions rest on the same inputs as before (shares moved by {shift.distance:.1%} in all, {how})"
        return [Clear((), Subject(), text, _NOTABLE, "drivers.steady")]
    return [_finding(names, shift, how)]


def _finding(names: tuple[str, ...], shift: DriverShift, how: str) -> Finding:
    order = np.argsort(-np.abs(shift.current - shift.reference), kind="stable")
    lead = int(order[0])
    return Finding(
        signal="drivers.shifted",
        subject=Subject("feature", (names[lead],)),
        statement=(
            f"the drivers of decisions have shifted ({how}, p = {shift.p_value:.2g}): {names[lead]} went from "
            f"{shift.reference[lead]:.0%} to {shift.current[lead]:.0%} of what decides"
        ),
        statistic=shift.distance,
        effect=float(shift.current[lead] - shift.reference[lead]),
        p_value=shift.p_value,
        strength=float(np.clip(shift.distance / 0.2, 0.0, 1.0)),
        supports=(),
        chart={
            "kind": "bars",
            "title": "What decisions rest on",
            "format": "share",
            "categories": [names[k] for k in order[:12]],
            "reference": [float(shift.reference[k]) for k in order[:12]],
            "current": [float(shift.current[k]) for k in order[:12]],
        },
    )


def contributions(
    case: Case, rng: np.random.Generator
) -> tuple[tuple[str, ...], Floats, Floats, str] | None:
    """Names (F,), contributions (n, F) and (m, F) of both windows, and how they were made; None if they cannot be."""
    model: Any = case.models.get("current")
    both: tuple[Which, Which] = ("reference", "current")
    if hasattr(model, "contributions"):
        told = [_exact(case, model, which) for which in both]
        return tuple(model.requires), told[0], told[1], "exact SHAP values"
    names = tuple(
        n for n in case.features if case.kind(n) in ("numeric", "categorical", "datetime")
    )
    if case.predictor is None or not 2 <= len(names) <= _WIDEST:
        return None
    told = [_sampled(case, case.predictor, which, names, rng) for which in both]
    return names, told[0], told[1], f"sampled Shapley values of the {case.predictor.kind}"


def _exact(case: Case, model: Any, which: Which) -> Floats:
    table = case.table(which)
    affordable = _EXACT_WALKS // max(int(model.leaves), 1)
    rows = spread_rows(table.rows, max(200, min(_EXACT_ROWS, affordable)))
    told = np.asarray(model.contributions(table.frame[rows]), dtype=float)
    return np.abs(told).mean(axis=1) if told.ndim == 3 else told


def _sampled(
    case: Case, predictor: Predictor, which: Which, names: tuple[str, ...], rng: np.random.Generator
) -> Floats:
    frame = case.table(which).frame
    subject = frame[spread_rows(frame.height, _SAMPLED_ROWS)]
    reference = case.reference.frame
    background = reference[spread_rows(reference.height, _SAMPLED_ROWS)]
    assert predictor is not None  # noqa: S101 - the caller has looked

    def answer(
        rows: NDArray[np.int64], others: NDArray[np.int64], inside: NDArray[np.bool_]
    ) -> Floats:
        own, strange = subject[rows], background[others]
        mixed = own.with_columns(
            pl.Series(
                n,
                own[n]
                .to_frame()
                .select(
                    pl.when(pl.Series(inside[:, k]))
                    .then(pl.first())
                    .otherwise(strange[n].cast(own.schema[n], strict=False))
                )
                .to_series(),
            )
            for k, n in enumerate(names)
        )
        said = predictor.predict(mixed)
        if said.score is not None:
            return said.score
        return said.decision.astype(float) if said.scores is None else said.scores.max(axis=1)

    return sampled_contributions(
        answer, subject.height, len(names), background.height, rng=rng, permutations=1
    )
