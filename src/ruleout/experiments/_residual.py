"""The case as it would be with one cause undone, to be diagnosed again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.experiments._replay import replayed_outputs
from ruleout.experiments._undone import Damaged, Undone
from ruleout.profile import Case, Table

_KEPT = ("surrogate held", "surrogate gap", "telemetry metrics")
_OF_REFERENCE = (
    "images reference ",
    "texts reference ",
    "embeddings reference ",
    "embedding space ",
    "representation reference ",
    "words of ",
    "answers of ",
)
"""Cached results that speak of the reference, the predictor and the models alone, by name or by how names begin."""

_LEAST_ROWS = 200
_ALL = 0.9
"""Share of the current rows that must suffer damage for a reference that suffers it throughout to compare."""


def repaired_case(case: Case, undone: Undone) -> Case | None:
    """The case with the repair applied to its current window; None if the repair leaves no such window.

    A repair by weights has no repaired rows. Where all rows suffer damage that cannot be undone, the reference
    suffers it likewise: what then still differs is not its doing. Where some do, the others remain.
    """
    if undone.damaged is not None and undone.damaged.share >= _ALL:
        return _both_damaged(case, undone.damaged)
    if undone.damaged is not None and undone.damaged.hit is not None:
        undone = Undone(keep=~undone.damaged.hit)
    weighted = undone.reference_weight is not None or undone.weight is not None
    if weighted or undone.damaged is not None:
        return None
    answers = replayed_outputs(case, undone)
    if answers is None:
        return None
    rows = np.ones(case.current.rows, dtype=bool) if undone.keep is None else undone.keep
    if rows.sum() < _LEAST_ROWS:
        return None
    frame = case.current.frame.with_columns([c.alias(n) for n, c in undone.features.items()])
    truth = case.truth("current") if undone.truth is None else undone.truth
    kept = {
        name: found
        for name, found in case.cache.items()
        if name in _KEPT or name.startswith(_OF_REFERENCE)
    }
    if rows.all() and undone.truth is None:
        kept |= _untouched(case, undone)
    return replace(
        case,
        current=_filtered(case, frame.filter(rows) if not rows.all() else frame, rows),
        truths={**case.truths, "current": truth[rows]},
        served={**case.served, "current": answers[1].take(rows)},
        weights={w: x[rows] if w == "current" else x for w, x in case.weights.items()},
        cache=kept,
        significant=None,
    )


def _both_damaged(case: Case, damaged: Damaged) -> Case | None:
    """The case whose reference suffers the damage as well; None without a model.

    A surrogate's answers differ from served ones by its own errors, which would pass for another model's.
    """
    predictor = case.predictor
    if predictor is None or predictor.kind != "model":
        return None
    rows, table = damaged.rows, case.reference
    if len(rows) < _LEAST_ROWS:
        return None
    frame = table.frame[rows].with_columns(
        [pl.Series(name, column) for name, column in damaged.features.items()]
    )
    return replace(
        case,
        reference=Table(frame, table.total_rows, None if table.time is None else table.time[rows]),
        truths={**case.truths, "reference": case.truth("reference")[rows]},
        served={**case.served, "reference": predictor.predict(frame)},
        weights={w: x[rows] if w == "reference" else x for w, x in case.weights.items()},
        cache={},
        significant=None,
    )


def _untouched(case: Case, undone: Undone) -> dict[str, object]:
    """What was measured of current images, texts and vectors that the repair left alone."""
    same = [n for n in case.of_kind("image", "text", "embedding") if n not in undone.features]
    keys = [f"{kind} current {name}" for name in same for kind in ("images", "texts", "embeddings")]
    keys += [f"{what} {name}" for name in same for what in ("image transform", "text damage")]
    return {key: case.cache[key] for key in keys if key in case.cache}


def _filtered(case: Case, frame: object, rows: NDArray[np.bool_]) -> Table:
    time = case.current.time
    total = round(case.current.total_rows * float(rows.mean()))
    return Table(frame, total, None if time is None else time[rows])  # type: ignore[arg-type]


def shapley_pair(first: float, second: float, both: float) -> tuple[float, float]:
    """Shares of two causes from what undoing each alone, and both, takes away (Shapley, 1953)."""
    return 0.5 * (first + both - second), 0.5 * (second + both - first)
