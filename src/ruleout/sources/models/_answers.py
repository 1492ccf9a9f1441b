"""Reading a model's raw answer: is it a label, a probability or a value?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ruleout._errors import ModelError
from ruleout.sources._labels import array_text, label_codes, natural_order
from ruleout.sources.models._base import Prediction

Classes = tuple[str, ...] | None


def read_answer(answer: object, n: int, classes: Classes) -> Prediction:
    """A prediction from whatever a scoring function returned.

    Args:
        answer: list or array of labels, values or probabilities; (n, K) probabilities; a list of
            mappings from class to probability; or a pandas or polars object of these.
        n: rows that were scored.
        classes: class names of the task as text, (negative, positive) for binary; None when the
            task has no classes.

    Raises:
        ModelError: when the answer has another number of rows.
    """
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        return from_mappings(answer)
    values = _as_array(answer)
    if len(values) != n:
        raise ModelError(f"the model answered {len(values)} rows for {n}")
    if values.ndim == 2 and values.shape[1] > 1:
        return Prediction(None, values.astype(np.float64), None)
    return _one_column(values.reshape(n), classes)


def from_mappings(rows: Sequence[dict[object, object]]) -> Prediction:
    """Class probabilities from one mapping a row (class -> probability)."""
    keys = sorted({key for row in rows for key in row}, key=lambda key: (str(type(key)), str(key)))
    names = array_text(np.array(keys, dtype=object))
    scores = np.array([[float(row.get(key, 0.0)) for key in keys] for row in rows])  # type: ignore[arg-type]
    order = [names.index(name) for name in natural_order([str(name) for name in names])]
    return Prediction(None, scores[:, order], tuple(str(names[place]) for place in order))


def column_classes(scores: np.ndarray, classes: Classes) -> Classes:
    """Names for unnamed probability columns: the task's classes in natural order, if they fit."""
    if classes is None or scores.shape[1] != len(classes):
        return None
    return natural_order(classes)


def voted_classes(labels: np.ndarray, scores: np.ndarray, classes: Classes) -> Classes:
    """Names of probability columns from the label that goes with each column's maximum.

    Args:
        labels: (n,) labels the model gave.
        scores: (n, K) its probabilities.
        classes: class names of the task, used for columns that never win where they fit.
    """
    texts = np.array([text or "" for text in array_text(labels)], dtype=object)
    best = scores.argmax(axis=1)
    if classes is not None and not set(texts.tolist()) & set(classes):
        return None  # numbers of classes, not their names
    guess = column_classes(scores, classes)
    names: list[str] = []
    for column in range(scores.shape[1]):
        mine, counts = np.unique(texts[best == column].astype(str), return_counts=True)
        fallback = guess[column] if guess else f"?{column}"
        names.append(str(mine[counts.argmax()]) if len(mine) else fallback)
    if guess and len(set(names)) < len(names):
        return guess
    return tuple(names)


def _one_column(values: np.ndarray, classes: Classes) -> Prediction:
    if values.dtype.kind in "OUSb":
        return Prediction(values, None, None)
    numbers = values.astype(np.float64)
    known = numbers[np.isfinite(numbers)]
    if classes is None or not _are_probabilities(known, values.dtype, classes):
        return Prediction(numbers, None, None)
    return Prediction(None, numbers, None)


def _are_probabilities(known: np.ndarray, dtype: np.dtype, classes: tuple[str, ...]) -> bool:
    """Floats in [0, 1] of a two-class task, unless they are just the two labels."""
    if dtype.kind != "f" or len(classes) != 2 or not len(known):
        return False
    if known.min() < 0 or known.max() > 1:
        return False
    distinct = np.unique(known)
    return len(distinct) > 2 or bool((label_codes(distinct, classes) < 0).any())


def _as_array(answer: object) -> np.ndarray:
    to_numpy = getattr(answer, "to_numpy", None)
    values = np.asarray(to_numpy() if callable(to_numpy) else answer)
    if values.ndim not in (1, 2):
        raise ModelError(f"the model answered an array of shape {values.shape}; 1-D or 2-D is read")
    return values
