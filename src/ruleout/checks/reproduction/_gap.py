"""How far two answers to the same rows are apart, on one scale for every task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Outputs

Floats = NDArray[np.float64]


def gap(a: Outputs, b: Outputs, spread: float) -> Floats:
    """Distance (n,) in [0, 1] of two answers; NaN where either is unknown.

    Probabilities by half their absolute difference summed over classes, numbers by their difference
    in units of `spread` (capped at 1), bare decisions by being equal.
    """
    if a.decision.dtype.kind == "f":
        apart = np.abs(a.decision.astype(float) - b.decision.astype(float)) / spread
        return np.asarray(np.minimum(apart, 1.0))
    if a.score is not None and b.score is not None:
        return np.asarray(np.minimum(np.abs(a.score - b.score), 1.0))
    if a.scores is not None and b.scores is not None:
        return np.asarray(np.minimum(0.5 * np.abs(a.scores - b.scores).sum(axis=1), 1.0))
    return decision_gap(a, b)


def decision_gap(a: Outputs, b: Outputs) -> Floats:
    """1 where the decisions differ, NaN where either is unknown, (n,)."""
    differ: Floats = np.asarray(a.decision != b.decision, dtype=np.float64)
    differ[(a.decision == -1) | (b.decision == -1)] = np.nan
    return differ


def answer_spread(outputs: Outputs) -> float:
    """Standard deviation of numeric answers or scores; 1 where there are none."""
    if outputs.decision.dtype.kind == "f":
        values = outputs.decision.astype(float)
    elif outputs.score is not None:
        values = outputs.score
    elif outputs.scores is not None:
        values = outputs.scores.max(axis=1)
    else:
        return 1.0
    known = values[np.isfinite(values)]
    return float(known.std()) or 1.0 if len(known) else 1.0


def answer_vector(outputs: Outputs) -> Floats:
    """Answers as a matrix (n, K): score, class probabilities, value, or one-hot decisions."""
    if outputs.decision.dtype.kind == "f":
        return outputs.decision.astype(float)[:, None]
    if outputs.score is not None:
        return outputs.score[:, None]
    if outputs.scores is not None:
        return outputs.scores
    classes = int(outputs.decision.max(initial=0)) + 1
    hot: Floats = np.asarray(outputs.decision[:, None] == np.arange(classes), dtype=np.float64)
    hot[outputs.decision == -1] = np.nan
    return hot


def known_answers(outputs: Outputs) -> NDArray[np.bool_]:
    """Rows (n,) whose answer was logged."""
    known = np.isfinite(answer_vector(outputs)).all(axis=1)
    if outputs.decision.dtype.kind != "f":
        known &= outputs.decision != -1
    return np.asarray(known)


def has_scores(outputs: Outputs) -> bool:
    """Whether there is more than a bare class decision."""
    numbers = outputs.decision.dtype.kind == "f"
    return numbers or outputs.score is not None or outputs.scores is not None


def mean_known(values: Floats) -> float:
    """Mean over the finite entries; NaN when there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def class_codes(outputs: Outputs) -> NDArray[np.int64]:
    """Decisions as integers (n,), -1 unknown."""
    return outputs.decision.astype(np.int64)
