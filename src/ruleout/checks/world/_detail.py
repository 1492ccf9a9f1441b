"""What images, texts and vectors say of the classes: too much for trees on a few axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ruleout.profile import Case, Which
from ruleout.profile._wide import Wide
from ruleout.stats import _kernel as kernel
from ruleout.stats._crossfit import row_folds

if TYPE_CHECKING:
    from ruleout.checks.world._view import View

Floats = NDArray[np.float64]

_FOLDS = 2
_LEARNED = 2_000
_PART = 4_000


def classes_by_detail(case: Case, seen: View) -> tuple[Floats, Floats]:
    """P(class | inputs) as the reference teaches it (n, K) out of fold, and at the current rows (m, K).

    One kernel machine a fold on all features; their answers become probabilities by the sharpness
    that fits the reference's labels best.
    """
    rng, wide = case.rng("world classes"), Wide(case)
    before, now = seen.reference, seen.current
    truth, count = before.truth.astype(np.int64), len(case.classes)
    fold = row_folds(before.x, _FOLDS, rng)
    hot = np.eye(count)[truth]
    own, foreign = np.zeros((len(truth), count)), np.zeros((len(now.rows), count))
    for k in range(_FOLDS):
        train = np.flatnonzero(fold != k)
        if len(train) > _LEARNED:
            train = np.sort(rng.choice(train, _LEARNED, replace=False))
        held = np.arange(len(train)) % 4 == 3
        x = wide.of(case.reference.frame[before.rows[train]])
        machine = kernel.fit(x, hot[train], held)
        rest = np.flatnonzero(fold == k)
        own[rest] = _said(case, wide, machine, "reference", before.rows[rest])
        foreign += _said(case, wide, machine, "current", now.rows) / _FOLDS
    sharp, prior = kernel.class_shares(own, truth)
    return kernel.shares(own, sharp, prior), kernel.shares(foreign, sharp, prior)


def _said(
    case: Case, wide: Wide, machine: kernel.Smooth, which: Which, rows: NDArray[np.int64]
) -> Floats:
    frame = case.table(which).frame
    parts = [
        machine.raw(wide.of(frame[rows[start : start + _PART]]))
        for start in range(0, max(len(rows), 1), _PART)
    ]
    return np.concatenate(parts)
