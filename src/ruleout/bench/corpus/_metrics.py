"""The corpus' own metrics and their standard errors, so that harm is proved and not assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject import Answers

LOWER_IS_BETTER = frozenset({"mae", "rmse", "log_loss", "brier"})
_Codes = NDArray[np.int64]


def codes(labels: pl.Series, classes: tuple[object, ...]) -> _Codes:
    """Class codes (n,) of labels, -1 for null and for classes nobody knows."""
    table = {str(c): k for k, c in enumerate(classes)}
    return np.array([table.get(v, -1) for v in labels.cast(pl.String).to_list()], dtype=np.int64)


def _auc(y: _Codes, answers: Answers) -> float:
    p = _chances(answers)[:, 1]
    ranks = pl.Series(p).rank("average").to_numpy()
    positive = y == 1
    n1, n0 = positive.sum(), (~positive).sum()
    if not n1 or not n0:
        return float("nan")
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _chances(answers: Answers) -> NDArray[np.float64]:
    if answers.chances is None:
        raise ValueError("metric needs probabilities; the model gives none")
    return answers.chances


def _log_loss(y: _Codes, answers: Answers) -> float:
    p = _chances(answers)[np.arange(len(y)), np.maximum(y, 0)]
    return float(-np.log(np.clip(np.where(y < 0, 1e-6, p), 1e-6, 1.0)).mean())


def _f1(hit: int, said: int, real: int) -> float:
    return 2.0 * hit / max(said + real, 1)


def _binary(y: _Codes, answers: Answers, what: str) -> float:
    said, real = answers.decision == 1, y == 1
    hit = int((said & real).sum())
    if what == "precision":
        return hit / max(int(said.sum()), 1)
    if what == "recall":
        return hit / max(int(real.sum()), 1)
    return _f1(hit, int(said.sum()), int(real.sum()))


def _macro_f1(y: _Codes, answers: Answers) -> float:
    scores = [
        _f1(
            int(((answers.decision == k) & (y == k)).sum()),
            int((answers.decision == k).sum()),
            int((y == k).sum()),
        )
        for k in np.unique(y)
    ]
    return float(np.mean(scores))


_CLASSED: dict[str, Callable[[_Codes, Answers], float]] = {
    "accuracy": lambda y, a: float((a.decision == y).mean()),
    "roc_auc": _auc,
    "log_loss": _log_loss,
    "f1": lambda y, a: _binary(y, a, "f1"),
    "precision": lambda y, a: _binary(y, a, "precision"),
    "recall": lambda y, a: _binary(y, a, "recall"),
    "macro_f1": _macro_f1,
}


def score(metric: str, labels: pl.Series, answers: Answers, classes: tuple[object, ...]) -> float:
    """The metric of served answers against recorded labels."""
    return _value(metric, _numbers(metric, labels, classes), answers)


def _numbers(metric: str, labels: pl.Series, classes: tuple[object, ...]) -> NDArray[Any]:
    if metric in {"mae", "rmse"}:
        return labels.cast(pl.Float64).to_numpy()
    return codes(labels, classes)


def _value(metric: str, truth: NDArray[Any], answers: Answers) -> float:
    if metric in {"mae", "rmse"}:
        gap = answers.decision.astype(np.float64) - truth
        return float(np.nanmean(np.abs(gap)) if metric == "mae" else np.sqrt(np.nanmean(gap**2)))
    return _CLASSED[metric](truth, answers)


def error(
    metric: str, labels: pl.Series, answers: Answers, classes: tuple[object, ...], seed: int = 0
) -> float:
    """Bootstrap standard error of `score` over 24 resamples of rows."""
    rng = np.random.default_rng(seed)
    n = labels.len()
    truth = _numbers(metric, labels, classes)
    found = []
    for _ in range(24):
        rows = rng.integers(0, n, size=n)
        chances = None if answers.chances is None else answers.chances[rows]
        found.append(_value(metric, truth[rows], Answers(answers.decision[rows], chances)))
    return float(np.nanstd(found))


def worsening(metric: str, before: float, after: float) -> float:
    """How much worse `after` is; relative for errors without an upper bound."""
    change = after - before if metric in LOWER_IS_BETTER else before - after
    return change / max(abs(before), 1e-9) if metric in LOWER_IS_BETTER else change
