"""Something that answers for changed inputs: the model itself, or a surrogate of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from ruleout.profile._outputs import Outputs
from ruleout.stats import _boosting as boosting
from ruleout.stats import _kernel as kernel

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
_EDGE = 1e-4


@dataclass(frozen=True, slots=True)
class Predictor:
    """Replays rows of features."""

    kind: Literal["model", "surrogate"]
    fidelity: float
    """Agreement with the served answers on reference rows not used to fit it, in [0, 1]."""

    predict: Callable[[pl.DataFrame], Outputs]
    reads: frozenset[str] | None = None
    """The columns that it reads; None where that is not known, or all of them."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A booster or a kernel machine fitted to what was served."""

    machine: boosting.Booster | kernel.Smooth
    answers: Literal["score", "scores", "logs", "decision", "number"]
    classes: int
    threshold: float = 0.5

    def outputs(self, x: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Outputs:
        """Answers for encoded rows (n, F)."""
        return self.answers_of(self.raw(x))

    def raw(self, x: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> Floats:
        """What the machine says of encoded rows (n, F), as (n, K) numbers."""
        return self.machine.raw(np.asarray(x))

    def answers_of(self, raw: Floats) -> Outputs:
        """Answers that (n, K) numbers stand for."""
        if self.answers == "number":
            return Outputs(raw[:, 0])
        if self.answers == "logs":
            shares = np.exp(raw - raw.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            return Outputs(shares.argmax(axis=1).astype(np.int32), None, shares)
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


def fit_smooth(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    served: Outputs,
    classes: int,
    held: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> Surrogate:
    """Fit a kernel machine to served answers.

    Args:
        x: many features of each row (n, r), NaN where missing.
        served: answers for the n rows; unknown ones must have been left out.
        classes: number of classes; 0 for numbers.
        held: rows (n,) that are not learned from.
    """
    if classes == 0:
        return Surrogate(kernel.fit(x, served.decision.astype(float)[:, None], held), "number", 0)
    if served.scores is not None and classes > 2:
        logs = np.log(np.clip(served.scores, _EDGE, 1.0))
        logs -= logs.mean(axis=1, keepdims=True)
        return Surrogate(kernel.fit(x, logs, held), "logs", classes)
    if served.score is not None:
        score = np.clip(served.score, _EDGE, 1 - _EDGE)
        machine = kernel.fit(x, np.log(score / (1 - score))[:, None], held)
        cut = decision_threshold(served.score, served.decision)
        return Surrogate(machine, "score", classes, cut)
    if classes > 2:
        hot = np.eye(classes)[served.decision.astype(int)]
        return Surrogate(kernel.fit(x, hot, held), "decision", classes)
    said = (served.decision == 1).astype(float)[:, None]
    return Surrogate(kernel.fit(x, said, held), "decision", classes)


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
