"""What the checks of this rung share: the subject, and how labels go with answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Subject
from ruleout.profile import Case, Outputs, Which

Floats = NDArray[np.float64]


def label_subject(case: Case) -> Subject:
    """The target column."""
    target = case.incident.data.columns.target
    return Subject("label", (target,) if target else ())


def known_labels(truth: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Rows (n,) with a label."""
    values = truth.astype(float)
    known = np.isfinite(values)
    return np.asarray(known if truth.dtype.kind == "f" else known & (values >= 0))


def profiles(truth: NDArray[np.generic], outputs: Outputs, classes: int) -> tuple[Floats, Floats]:
    """Labels and answers as centred columns (n, K) whose products measure how they go together.

    Unknown rows are zero. Two classes use the score where there is one, numbers themselves.
    """
    if truth.dtype.kind == "f":
        said = outputs.decision.astype(float)
        return _centred(_ranks(truth.astype(float))), _centred(_ranks(said))
    codes = truth.astype(np.int64)
    if classes <= 2:
        label = np.where(codes < 0, np.nan, (codes == 1).astype(float))
        if outputs.score is not None:
            return _centred(label), _centred(outputs.score)
        decision = outputs.decision.astype(np.int64)
        return _centred(label), _centred(
            np.where(decision < 0, np.nan, (decision == 1).astype(float))
        )
    hot = np.arange(classes)
    decision = outputs.decision.astype(np.int64)
    labels = np.where(codes[:, None] < 0, np.nan, (codes[:, None] == hot).astype(float))
    answers = np.where(decision[:, None] < 0, np.nan, (decision[:, None] == hot).astype(float))
    return _centred(labels), _centred(answers)


def association(label: Floats, answer: Floats) -> float:
    """Correlation in [-1, 1] of centred labels (n, K) with centred answers (n, K)."""
    joint = float((label * answer).sum())
    scale = float(np.sqrt((label**2).sum() * (answer**2).sum()))
    return joint / scale if scale > 0 else 0.0


def window_profiles(case: Case, which: Which) -> tuple[Floats, Floats]:
    """`profiles` of one window's sample."""
    return profiles(case.truth(which), case.outputs(which), len(case.classes))


def _centred(values: Floats) -> Floats:
    columns = values if values.ndim == 2 else values[:, None]
    known = np.isfinite(columns)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, columns, 0.0).sum(axis=0) / count
    return np.where(known, columns - mean, 0.0)


def _ranks(values: Floats) -> Floats:
    """Ranks in [0, 1], NaN kept: heavy tails would otherwise rule a correlation."""
    ranks = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    ranks[order] = np.arange(len(order)) / max(len(order) - 1, 1)
    return ranks
