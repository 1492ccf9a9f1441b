"""Choosing what replays changed inputs: a model that reproduces what was served, or a surrogate."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import SourceStatus
from ruleout.profile._answers import predicted
from ruleout.profile._case import Case
from ruleout.profile._outputs import Outputs
from ruleout.profile._predictor import Predictor, fit_smooth, fit_surrogate
from ruleout.profile._roles import class_codes
from ruleout.profile._unstructured import looked_at
from ruleout.profile._wide import Wide
from ruleout.stats import _kernel as kernel
from ruleout.stats._maps import relabelling
from ruleout.stats._twosample import rank_auc

Floats = NDArray[np.float64]

REPRODUCES = 0.98
"""Share of reference answers that a model must give to be taken for the one that served them."""

_PROBE_ROWS = 4_000
_PROBE_PICTURES = 800
_FIT_ROWS = 16_000
_ORDER_ROWS = 2_000
_FEW = 400
_TURNED = 0.2
"""Area under the ROC curve below which scores are taken to be those of the other class."""

_PART = 4_000
_CLOSE = 0.9
"""A kernel machine this close to what was served needs no rival."""

_USEFUL = 0.05
"""A surrogate that knows less than this about the served answers is no surrogate."""


def model_outputs(case: Case, name: str, frame: pl.DataFrame) -> Outputs:
    """What the model called `name` answers for rows of features, in the case's classes.

    Raises:
        ModelError: when the model cannot score these rows.
    """
    said = predicted(case, name, frame)
    spec = case.incident.models.get(name)
    threshold = (
        spec.threshold if spec is not None and spec.threshold is not None else case.threshold
    )
    if case.task == "regression":
        values = said.scores if said.scores is not None else said.labels
        return Outputs(np.asarray(values, dtype=float).reshape(len(frame), -1)[:, 0])
    if case.task == "multiclass":
        return _multiclass(case, name, said, frame.height)
    score = _positive_score(case, name, said)
    if score is None:
        return Outputs(_label_codes(case, said.labels))
    cut = 0.5 if threshold is None else threshold
    return Outputs((score >= cut).astype(np.int32), score)


def _positive_score(case: Case, name: str, said: Any) -> NDArray[np.float64] | None:
    if said.scores is None:
        return None
    scores = np.asarray(said.scores, dtype=float)
    classes = tuple(said.classes or ())
    if scores.ndim == 2 and case.classes and case.classes[1] in classes:
        return np.asarray(scores[:, classes.index(case.classes[1])])
    score = scores if scores.ndim == 1 else scores[:, -1]
    return 1 - score if case.classes and _speaks_of_the_other(case, name) else np.asarray(score)


def _speaks_of_the_other(case: Case, name: str) -> bool:
    """Whether a model that names no classes scores the negative one, by the reference's answers."""
    key = f"polarity {name}"
    if key not in case.cache:
        rows = spread_rows(case.reference.rows, _ORDER_ROWS)
        raw = np.asarray(predicted(case, name, case.reference.frame[rows]).scores, dtype=float)
        raw = raw if raw.ndim == 1 else raw[:, -1]
        decision = case.served["reference"].decision[rows]
        known = np.isfinite(raw) & (decision != -1)
        case.cache[key] = bool(known.any() and rank_auc(raw[known], decision[known] == 1) < _TURNED)
    return bool(case.cache[key])


def _column_order(case: Case, name: str) -> NDArray[np.int64]:
    """Column of each class in the scores of a model that names none, by the reference's answers.

    Training tools number classes in an order of their own; the order that gives most of the
    decisions that were served is taken, if it is clearly better than the classes' own.
    """
    key = f"column order {name}"
    if key not in case.cache:
        size = len(case.classes)
        rows = spread_rows(case.reference.rows, _FEW if case.of_kind("image") else _ORDER_ROWS)
        raw = np.asarray(predicted(case, name, case.reference.frame[rows]).scores, dtype=float)
        decision = case.served["reference"].decision[rows].astype(np.int64)
        known = np.isfinite(raw).all(axis=1) & (decision >= 0)
        table = np.zeros((size, size), dtype=np.int64)
        np.add.at(table, (raw[known].argmax(axis=1), decision[known]), 1)
        called = relabelling(table)
        better = table[np.arange(size), called].sum() > np.trace(table) + 0.05 * table.sum()
        case.cache[key] = np.argsort(called) if better else np.arange(size)
    return np.asarray(case.cache[key])


def _label_codes(case: Case, labels: Any) -> NDArray[np.int32]:
    series = pl.Series("label", np.asarray(labels).tolist(), strict=False)
    numeric = "1" in case.classes or "0" in case.classes
    return class_codes(series.to_frame(), "label", case.classes, numeric=numeric)


def _multiclass(case: Case, name: str, said: Any, rows: int) -> Outputs:
    scores = None
    classes = tuple(said.classes or ())
    if said.scores is not None and np.asarray(said.scores).ndim == 2:
        raw = np.asarray(said.scores, dtype=float)
        if set(classes) & set(case.classes):
            scores = np.zeros((rows, len(case.classes)))
            for position, label in enumerate(classes):
                if label in case.classes:
                    scores[:, case.classes.index(label)] = raw[:, position]
        elif raw.shape[1] == len(case.classes):
            scores = raw[:, _column_order(case, name)]
    if said.labels is not None:
        decision = _label_codes(case, said.labels)
        if (decision >= 0).mean() > 0.5 or scores is None:
            return Outputs(decision, None, scores)
    if scores is None:
        return Outputs(np.full(rows, -1, dtype=np.int32))
    return Outputs(scores.argmax(axis=1).astype(np.int32), None, scores)


def agreement(case: Case, served: Outputs, replayed: Outputs) -> float:
    """How well replayed answers match served ones, in [0, 1]; NaN when nothing can be compared.

    Decisions by share of equal ones, and scores by closeness where both sides have them; the
    better evidence (scores) decides.
    """
    if case.task == "regression":
        return _closeness(served.decision.astype(float), replayed.decision.astype(float))
    if served.score is not None and replayed.score is not None:
        return _closeness(served.score, replayed.score)
    if served.scores is not None and replayed.scores is not None:
        apart = 0.5 * np.abs(served.scores - replayed.scores).sum(axis=1)
        apart = apart[np.isfinite(apart)]
        spread = float(np.nanstd(served.scores.max(axis=1))) or 1.0
        return float((apart <= 0.04 * spread + 1e-4).mean()) if len(apart) else float("nan")
    known = (served.decision != -1) & (replayed.decision != -1)
    return (
        float((served.decision[known] == replayed.decision[known]).mean())
        if known.any()
        else float("nan")
    )


def _closeness(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Share of rows whose values agree within 2% of the served spread."""
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return float("nan")
    spread = float(np.std(a[known])) or 1.0
    return float((np.abs(a[known] - b[known]) <= 0.02 * spread + 1e-9).mean())


def choose_predictor(case: Case) -> Predictor | None:
    """The model that served, if one is at hand and reproduces; else a surrogate; else None."""
    best: tuple[float, str] | None = None
    for name in case.models:
        try:
            fit = _model_fit(case, name)
        except RuleoutError as error:
            source = f"models.{name}"  # it loaded, and cannot be used: one status, the last word
            case.sources[:] = [s for s in case.sources if s.name != source]
            case.sources.append(SourceStatus(source, "failed", None, str(error)))
            continue
        if fit is not None and (best is None or fit > best[0]):
            best = fit, name
    if best is not None:
        name = best[1]
        return Predictor(
            "model",
            case.cache[f"agreement {best[1]}"].get("reference", 1.0),
            lambda frame: model_outputs(case, name, frame),
            frozenset(getattr(case.models[name], "requires", case.features)),
        )
    return surrogate(case)


def _model_fit(case: Case, name: str) -> float | None:
    """Rank of a model as replayer: 1 more for serving the current window too; None if unfit."""
    agreed = {}
    for which in ("reference", "current"):
        table = case.table(which)
        # A model that reads pictures spends most of a diagnosis on decoding them.
        rows = spread_rows(table.rows, _PROBE_PICTURES if case.of_kind("image") else _PROBE_ROWS)
        if not len(rows):
            continue
        answers = model_outputs(case, name, table.frame[rows])
        agreed[which] = agreement(case, case.served[which].take(rows), answers)
    case.cache[f"agreement {name}"] = agreed
    reference, current = agreed.get("reference", 0.0), agreed.get("current", 0.0)
    if max(reference, current) < REPRODUCES:
        return None
    return 0.5 * reference + current * 0.499


def spread_rows(rows: int, wanted: int) -> NDArray[np.int64]:
    """At most `wanted` row numbers, evenly spread over time."""
    if rows <= wanted:
        return np.arange(rows)
    return np.linspace(0, rows - 1, wanted).astype(np.int64)  # a step is a row or more: none twice


def surrogate(case: Case) -> Predictor | None:
    """Something fitted to what was served in the reference; None where nothing was, or it fails.

    A booster, or where there are images, texts or vectors a kernel machine on all their features; with
    other inputs besides, and no close fit, the better of the two on rows held out.
    """
    looked = looked_at(case, "reference")
    rows = looked[spread_rows(len(looked), _FIT_ROWS)]
    answers = case.served["reference"].take(rows)
    known = _answered(answers)
    if known.sum() < 200 or not case.features:
        return None
    rows, answers = rows[known], answers.take(known)
    rng = case.rng("surrogate")
    held = np.zeros(len(rows), dtype=bool)
    held[rng.choice(len(rows), len(rows) // 4, replace=False)] = True
    case.cache["surrogate held"] = rows[held]
    found: list[Predictor] = []
    if case.representations:
        found.append(_smooth(case, rows, answers, held))
    if not found or (found[0].fidelity < _CLOSE and len(case.features) > len(case.representations)):
        boosted = _boosted(case, rows, answers, held, rng)
        found += [boosted] if boosted is not None else []
    best = max(found, key=lambda p: p.fidelity, default=None)
    return best if best is not None and best.fidelity > _USEFUL else None


def _boosted(
    case: Case,
    rows: NDArray[np.int64],
    answers: Outputs,
    held: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Predictor | None:
    # Images and texts are encoded for the whole window, once for everybody; numbers cost nothing twice.
    frame = case.reference.frame
    x, coded = case.encode(frame if case.representations else frame[rows])
    if not x.shape[1]:
        return None
    x = x[rows] if case.representations else x
    fitted = fit_surrogate(x[~held], coded, answers.take(~held), len(case.classes), rng)
    fidelity = _fidelity(answers.take(held), fitted.outputs(x[held]))
    return Predictor("surrogate", fidelity, lambda frame: fitted.outputs(case.encode(frame)[0]))


def _smooth(
    case: Case, rows: NDArray[np.int64], answers: Outputs, held: NDArray[np.bool_]
) -> Predictor:
    most = kernel.MOST_ROWS
    sides = [np.flatnonzero(side) for side in (~held, held)]
    chosen = np.sort(np.concatenate([side[spread_rows(len(side), most)] for side in sides]))
    wide = Wide(case)
    x = wide.of(case.reference.frame[rows[chosen]])
    told, unseen = answers.take(chosen), held[chosen]
    fitted = fit_smooth(x, told, len(case.classes), unseen)
    fidelity = _fidelity(told.take(unseen), fitted.outputs(x[unseen]))

    def raw(frame: pl.DataFrame) -> Floats:
        # Many thousand texts at once would take gigabytes; pictures are sampled over the whole frame.
        part = frame.height if case.of_kind("image") else _PART
        starts = range(0, max(frame.height, 1), max(part, 1))
        return np.concatenate([fitted.raw(wide.of(frame[i : i + part])) for i in starts])

    return Predictor("surrogate", fidelity, lambda frame: fitted.answers_of(raw(frame)))


def _answered(answers: Outputs) -> NDArray[np.bool_]:
    if answers.decision.dtype.kind == "f":
        return np.asarray(np.isfinite(answers.decision.astype(float)))
    known = answers.decision != -1
    if answers.score is not None:
        known &= np.isfinite(answers.score)
    if answers.scores is not None:
        known &= np.isfinite(answers.scores).all(axis=1)
    return np.asarray(known)


def _fidelity(served: Outputs, replayed: Outputs) -> float:
    """How much of the served answers a surrogate knows: R2 of scores or numbers, Gini of decisions."""
    if served.decision.dtype.kind == "f":
        return _r2(served.decision.astype(float), replayed.decision.astype(float))
    if served.score is not None and replayed.score is not None:
        return _r2(served.score, replayed.score)
    if served.scores is not None and replayed.scores is not None:
        return _r2(served.scores, replayed.scores)
    if replayed.score is not None:
        return 2 * rank_auc(replayed.score, np.asarray(served.decision == 1)) - 1
    right = float((served.decision == replayed.decision).mean())
    _, counts = np.unique(served.decision, return_counts=True)
    guess = float(counts.max() / counts.sum())
    return (right - guess) / (1 - guess) if guess < 1 else 0.0


def _r2(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    spread = float(((a - a.mean(axis=0)) ** 2).sum())
    return 1 - float(((a - b) ** 2).sum()) / spread if spread > 0 else 0.0
