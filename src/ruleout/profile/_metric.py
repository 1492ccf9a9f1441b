"""Performance metrics as sums over blocks of rows, so that a bootstrap only adds and divides."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.profile._outputs import Outputs

Floats = NDArray[np.float64]
Array = NDArray[np.generic]
Parts = Callable[[Array, Outputs], Floats]
"""(truth, outputs) -> (n, m) additive parts of each row; NaN where the truth or answer is unknown."""
Finish = Callable[[Floats], Floats]
"""(..., m + 1) sums, the last one counting weight -> (...) values."""

_AUC_BINS = 512
_AUC_WIDTH = _AUC_BINS + 1


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and how to compute it from sums."""

    name: str
    higher_is_better: bool
    bounded: bool
    """Whether it lives on [0, 1], so that a point is a point."""

    parts: Parts
    finish: Finish

    def sums(
        self,
        truth: Array,
        outputs: Outputs,
        block: NDArray[np.int64] | None = None,
        blocks: int = 1,
        weight: Floats | None = None,
    ) -> Floats:
        """Sums (blocks, m + 1) of the rows' parts; rows of unknown truth count nothing."""
        parts = self.parts(truth, outputs)
        known = np.isfinite(parts).all(axis=1)
        scale = known.astype(float) if weight is None else np.where(known, weight, 0.0)
        index = np.zeros(len(parts), dtype=np.int64) if block is None else block
        columns = [
            np.bincount(index, weights=np.where(known, parts[:, k], 0.0) * scale, minlength=blocks)
            for k in range(parts.shape[1])
        ]
        columns.append(np.bincount(index, weights=scale, minlength=blocks))
        return np.stack(columns, axis=1)

    def value(self, truth: Array, outputs: Outputs, weight: Floats | None = None) -> float:
        """The metric over all rows whose truth is known; NaN when there are none."""
        return float(self.finish(self.sums(truth, outputs, weight=weight))[0])

    def weighed(self, truth: Array, outputs: Outputs) -> Callable[[Floats], float]:
        """`value` as a function of the rows' weights (n,) alone, for those who weigh the same rows many times."""
        parts = self.parts(truth, outputs)
        known: NDArray[np.bool_] = np.asarray(np.isfinite(parts).all(axis=1))
        across = np.ascontiguousarray(np.where(known[:, None], parts, 0.0).T)

        def value(weight: Floats) -> float:
            scale = np.where(known, weight, 0.0)
            return float(self.finish(np.append(across @ scale, scale.sum())[None])[0])

        return value

    def loss(self, truth: Array, outputs: Outputs) -> Floats:
        """Per-row loss (n,), in units of the task: 0/1 error or absolute error; NaN unknown."""
        return row_loss(truth, outputs)


def row_loss(truth: Array, outputs: Outputs) -> Floats:
    """0/1 error for classes, absolute error for numbers, NaN where either side is unknown."""
    if truth.dtype.kind == "f":
        return np.asarray(np.abs(truth.astype(float) - outputs.decision.astype(float)))
    wrong = (truth != outputs.decision).astype(float)
    wrong[(truth == -1) | (outputs.decision == -1)] = np.nan
    return np.asarray(wrong)


def _ratio(top: Floats, bottom: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(bottom > 0, top / bottom, np.nan)


def _columns(known: NDArray[np.bool_], *columns: Array) -> Floats:
    out = np.stack([np.asarray(c, dtype=float) for c in columns], axis=1)
    out[~known] = np.nan
    return out


def _known(truth: Array, outputs: Outputs) -> NDArray[np.bool_]:
    return np.asarray((truth != -1) & (outputs.decision != -1))


def _accuracy(truth: Array, outputs: Outputs) -> Floats:
    return _columns(_known(truth, outputs), truth == outputs.decision)


def _confusion(truth: Array, outputs: Outputs) -> Floats:
    """True positives, predicted positives, actual positives."""
    real, said = truth == 1, outputs.decision == 1
    return _columns(_known(truth, outputs), real & said, said, real)


def _per_class(truth: Array, outputs: Outputs) -> Floats:
    """Hits, predictions and actual rows of each class, side by side."""
    size = int(max(truth.max(initial=0), outputs.decision.max(initial=0))) + 1
    classes = np.arange(size)
    real, said = truth[:, None] == classes, outputs.decision[:, None] == classes
    out = np.concatenate([real & said, said, real], axis=1).astype(float)
    out[~_known(truth, outputs)] = np.nan
    return out


def _macro_f1(sums: Floats) -> Floats:
    hits, said, real = np.split(sums[..., :-1], 3, axis=-1)
    scores = _ratio(2 * hits, said + real)
    return _mean_over_present(scores, real)


def _balanced(sums: Floats) -> Floats:
    hits, _, real = np.split(sums[..., :-1], 3, axis=-1)
    return _mean_over_present(_ratio(hits, real), real)


def _mean_over_present(scores: Floats, real: Floats) -> Floats:
    present = real > 0
    return _ratio(np.where(present, np.nan_to_num(scores), 0.0).sum(axis=-1), present.sum(axis=-1))


def _positive_score(outputs: Outputs) -> Floats:
    score = outputs.decision.astype(float) if outputs.score is None else outputs.score
    return np.asarray(score, dtype=float)


def _auc_parts(truth: Array, outputs: Outputs) -> Floats:
    """One-hot of the score's bin, for positives and for negatives."""
    score = _positive_score(outputs)
    known = (truth != -1) & np.isfinite(score)
    edges = (
        np.unique(np.quantile(score[known], np.linspace(0, 1, _AUC_BINS))) if known.any() else [0.0]
    )
    position = np.searchsorted(np.asarray(edges), score, side="right")
    return np.stack([position, np.where(known, truth.astype(float) > 0, np.nan)], axis=1).astype(
        float
    )


def _log_loss(truth: Array, outputs: Outputs) -> Floats:
    if outputs.scores is not None:
        rows = np.arange(len(truth))
        codes = truth.astype(np.int64)
        inside = (codes >= 0) & (codes < outputs.scores.shape[1])
        chosen = np.where(inside, outputs.scores[rows, np.where(inside, codes, 0)], 1e-6)
    else:
        score = _positive_score(outputs)
        chosen = np.where(truth == 1, score, 1 - score)
    return _columns(truth != -1, -np.log(np.clip(chosen.astype(float), 1e-6, 1.0)))


def _brier(truth: Array, outputs: Outputs) -> Floats:
    return _columns(truth != -1, ((truth == 1) - _positive_score(outputs)) ** 2)


def _regression(truth: Array, outputs: Outputs) -> Floats:
    """Error, absolute error, squared error, truth, squared truth, relative error."""
    y, gap = truth.astype(float), outputs.decision.astype(float) - truth.astype(float)
    relative = np.abs(gap) / np.maximum(np.abs(y), 1e-9)
    return np.stack([gap, np.abs(gap), gap**2, y, y**2, relative], axis=1)


def _r2(sums: Floats) -> Floats:
    n = sums[..., -1]
    spread = sums[..., 4] - _ratio(sums[..., 3] ** 2, n)
    return 1 - _ratio(sums[..., 2], spread)


def _mean_decision(truth: Array, outputs: Outputs) -> Floats:
    del truth
    decision = outputs.decision.astype(float)
    return np.where(outputs.decision == -1, np.nan, decision)[:, None]


def _mean_score(truth: Array, outputs: Outputs) -> Floats:
    del truth
    return _positive_score(outputs)[:, None]


def _mean(index: int) -> Finish:
    return lambda sums: _ratio(sums[..., index], sums[..., -1])


class _Auc(Metric):
    """Area under the ROC curve from binned scores; ties count one half."""

    def sums(
        self,
        truth: Array,
        outputs: Outputs,
        block: NDArray[np.int64] | None = None,
        blocks: int = 1,
        weight: Floats | None = None,
    ) -> Floats:
        key, known = self._keys(truth, outputs)
        if block is not None:
            key = key + block * 2 * _AUC_WIDTH
        scale = known.astype(float) if weight is None else np.where(known, weight, 0.0)
        return self._counted(key, scale, blocks)

    def weighed(self, truth: Array, outputs: Outputs) -> Callable[[Floats], float]:
        key, known = self._keys(truth, outputs)

        def value(weight: Floats) -> float:
            return float(self.finish(self._counted(key, np.where(known, weight, 0.0), 1))[0])

        return value

    def _keys(self, truth: Array, outputs: Outputs) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Cell of each row (n,) by its score's bin, negatives first, and whether its truth is known."""
        parts = self.parts(truth, outputs)
        known = np.isfinite(parts[:, 1])
        key = np.where(known, parts[:, 1], 0) * _AUC_WIDTH + parts[:, 0]
        return key.astype(np.int64), known

    def _counted(self, key: NDArray[np.int64], scale: Floats, blocks: int) -> Floats:
        counts = np.bincount(key, weights=scale, minlength=blocks * 2 * _AUC_WIDTH)
        table = counts.reshape(blocks, 2 * _AUC_WIDTH)
        return np.concatenate([table, table.sum(axis=1, keepdims=True)], axis=1)


def _auc_finish(sums: Floats) -> Floats:
    negative, positive = np.split(sums[..., :-1], 2, axis=-1)
    below = np.cumsum(negative, axis=-1) - 0.5 * negative
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return _ratio((positive * below).sum(axis=-1), pairs)


def _rmse(sums: Floats) -> Floats:
    return np.sqrt(_ratio(sums[..., 2], sums[..., -1]))


METRICS: Mapping[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", True, True, _accuracy, _mean(0)),
        Metric("precision", True, True, _confusion, lambda s: _ratio(s[..., 0], s[..., 1])),
        Metric("recall", True, True, _confusion, lambda s: _ratio(s[..., 0], s[..., 2])),
        Metric(
            "f1", True, True, _confusion, lambda s: _ratio(2 * s[..., 0], s[..., 1] + s[..., 2])
        ),
        Metric("macro_f1", True, True, _per_class, _macro_f1),
        Metric("balanced_accuracy", True, True, _per_class, _balanced),
        _Auc("auc", True, True, _auc_parts, _auc_finish),
        Metric("log_loss", False, False, _log_loss, _mean(0)),
        Metric("brier", False, True, _brier, _mean(0)),
        Metric("rmse", False, False, _regression, _rmse),
        Metric("mae", False, False, _regression, _mean(1)),
        Metric("mse", False, False, _regression, _mean(2)),
        Metric("mape", False, False, _regression, _mean(5)),
        Metric("r2", True, True, _regression, _r2),
        Metric("bias", False, False, _regression, lambda s: np.abs(_ratio(s[..., 0], s[..., -1]))),
        Metric("mean_prediction", False, False, _mean_decision, _mean(0)),
        Metric("mean_score", False, False, _mean_score, _mean(0)),
    )
}

SYNONYMS = {
    "acc": "accuracy",
    "rocauc": "auc",
    "auroc": "auc",
    "f1score": "f1",
    "f1macro": "macro_f1",
    "macrof1": "macro_f1",
    "balancedaccuracy": "balanced_accuracy",
    "logloss": "log_loss",
    "crossentropy": "log_loss",
    "nll": "log_loss",
    "brierscore": "brier",
    "rootmeansquarederror": "rmse",
    "meanabsoluteerror": "mae",
    "meanabserror": "mae",
    "rootmeansquareerror": "rmse",
    "meansquarederror": "mse",
    "rsquared": "r2",
    "r2score": "r2",
    "meanprediction": "mean_prediction",
    "positiverate": "mean_prediction",
    "meanscore": "mean_score",
}
"""Other words for a metric."""

_ALIASES = {
    **SYNONYMS,
    "errorrate": "accuracy",
    "error": "accuracy",
    "gini": "auc",
    "f1weighted": "macro_f1",
    "ndcg": "auc",
}
"""... and metrics that move with it, for which it stands."""

_DEFAULT = {"binary": "accuracy", "multiclass": "accuracy", "regression": "mae", "ranking": "auc"}
_CLASSES_ONLY = {
    "accuracy",
    "precision",
    "recall",
    "f1",
    "macro_f1",
    "balanced_accuracy",
    "auc",
    "log_loss",
    "brier",
}
_NUMBERS_ONLY = {"rmse", "mae", "mse", "mape", "r2", "bias"}


_OVER_TIME = re.compile(r"\d+(s|m|min|h|d|w|day|days|hours?)|hourly|daily|weekly|rolling")
"""Words at the end of a name that tell over what time a metric is taken."""


def known_metric(name: str) -> str | None:
    """The metric that a name means, whoever reports it (`dashboard_accuracy`, `live-auc`); None where it means none."""
    by_plain = {plain_name(known): known for known in METRICS}
    words = re.findall(r"[a-z0-9]+", name.lower())
    while len(words) > 1 and _OVER_TIME.fullmatch(words[-1]):
        words.pop()
    for n in range(len(words), 0, -1):
        for k in range(len(words) - n + 1):
            plain = "".join(words[k : k + n])
            told = by_plain.get(plain) or _ALIASES.get(plain)
            # A part of a name must stand at an end of it: `accuracy_job_lag` is about a job.
            if told is not None and (k + n == len(words)):
                return told
    return None


def same_metric(name: str, metric: Metric) -> bool:
    """Whether a name means just that metric, and no other that moves with it or that somebody reports."""
    plain = plain_name(name)
    return plain == plain_name(metric.name) or SYNONYMS.get(plain) == metric.name


def plain_name(name: str) -> str:
    """A metric's name without case, spaces and signs."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def names_quality(name: str | None) -> bool:
    """Whether a metric is of how good answers are; errors per request are what services report of themselves."""
    if name is None or known_metric(name) is None:
        return False
    words = re.findall(r"[a-z0-9]+", name.lower())
    own = {"mean", "absolute", "abs", "squared", "square", "root"}
    return not {"bias"} & set(words) and ("error" not in words or bool(own & set(words)))


def metric_for(task: str, name: str | None) -> Metric:
    """The metric called `name`, or the task's default when the name is no metric of the task."""
    default = METRICS[_DEFAULT.get(task, "accuracy")]
    if name is None:
        return default
    chosen = METRICS.get(known_metric(name) or "", default)
    if not task_has(task, chosen.name):
        return default
    if task == "multiclass" and chosen.name in {"f1", "precision", "recall"}:
        return METRICS["macro_f1"]
    return chosen


def task_has(task: str, name: str) -> bool:
    """Whether a metric of `METRICS` can be computed for a task."""
    if task == "multiclass" and name in {"auc", "brier"}:
        return False
    return name not in (_CLASSES_ONLY if task == "regression" else _NUMBERS_ONLY)
