"""Something that answers for changed inputs: the model itself, or a surrogate of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from ruleout.profile._outputs import Outputs
from ruleout.stats import _boosting as boosting

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
_EDGE = 1e-4


@dataclass(frozen=True, slots=True)
class Predictor:
    """Replays rows of features."""

    kind: Literal["model", "surrogate"]
    fidelity: float
    """Agreement with the served answers on reference rows not used to fit it, in [0, 1]."""

    predict: Callable[[pl.DataFrame], Outputs]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A booster fitted to what was served."""

    booster: boosting.Booster
    answers: Literal["score", "scores", "decision", "number"]
    classes: int
    threshold: float = 0.5

    def outputs(self, x: Floats) -> Outputs:
        """Answers for encoded rows (n, F)."""
        raw = self.booster.raw(x)
        if self.answers == "number":
            return Outputs(raw[:, 0])
        if self.answers in ("scores", "decision") and self.classes > 2:
            shares = np.clip(raw, _EDGE, None)
            shares = shares / shares.sum(axis=1, keepdims=True)
            decision = shares.argmax(axis=1).astype(np.int32)
            return Outputs(decision, None, shares if self.answers == "scores" else None)
        score = boosting.sigmoid(raw[:, 0]) if self.answers == "score" else raw[:, 0]
        decision = (score >= self.threshold).astype(np.int32)
        return Outputs(decision, score if self.answers == "score" else None)


def fit_surrogate(
    x: Floats,
    categorical: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    served: Outputs,
    classes: int,
    rng: np.random.Generator,
) -> Surrogate:
    """Fit a booster to served answers.

    Args:
        x: encoded rows (n, F).
        categorical: which columns are codes (F,).
        served: answers for the n rows; unknown ones must have been left out.
        classes: number of classes; 0 for numbers.
        rng: draws rows.
    """

    def fitted(target: Floats) -> boosting.Booster:
        return boosting.fit(x, target, rng=rng, categorical=categorical, trees=120, rate=0.2)

    if classes == 0:
        return Surrogate(fitted(served.decision.astype(float)), "number", 0)
    if served.scores is not None and classes > 2:
        return Surrogate(fitted(served.scores), "scores", classes)
    if served.score is not None:
        score = np.clip(served.score, _EDGE, 1 - _EDGE)
        booster = fitted(np.log(score / (1 - score)))
        return Surrogate(
            booster, "score", classes, decision_threshold(served.score, served.decision)
        )
    if classes > 2:
        return Surrogate(fitted(np.eye(classes)[served.decision.astype(int)]), "decision", classes)
    return Surrogate(fitted((served.decision == 1).astype(float)), "decision", classes)


def decision_threshold(
    score: Floats, decision: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> float:
    """The cut of `score` that best reproduces a 0/1 `decision`; 0.5 where both are one-sided."""
    order = np.argsort(score, kind="stable")
    said = (decision[order] == 1).astype(float)
    if said.min(initial=1.0) == said.max(initial=0.0):
        return 0.5
    # Errors when everything from position i on is called positive.
    errors = np.r_[0.0, np.cumsum(said)] + (1 - said).sum() - np.r_[0.0, np.cumsum(1 - said)]
    best = np.flatnonzero(errors == errors.min())
    ordered = np.r_[score[order][0], score[order], score[order][-1]]
    low, high = float(ordered[best[0]]), float(ordered[best[-1] + 1])
    return 0.5 if low <= 0.5 <= high else 0.5 * (low + high)
