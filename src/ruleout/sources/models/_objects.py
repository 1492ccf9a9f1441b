"""Python objects that score rows: scikit-learn estimators, boosters' wrappers, plain functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import ModelError
from ruleout.sources.models._answers import Classes, read_answer
from ruleout.sources.models._base import Model, Prediction, foreign
from ruleout.sources.models._columns import column_for, matrix, numbers


class EstimatorModel(Model):
    """An object with `predict`, and with `predict_proba` and `classes_` if it classifies."""

    def __init__(
        self, estimator: Any, name: str, features: tuple[str, ...], classes: Classes
    ) -> None:
        self.name = name
        self._estimator = estimator
        self._classes = classes
        own = getattr(estimator, "feature_names_in_", None)
        self._own = None if own is None else [str(column) for column in own]
        self.requires = features if self._own is None else tuple(column_for(self._own, features))

    def _score(self, frame: pl.DataFrame) -> Prediction:
        rows = self._rows(frame)
        if not hasattr(self._estimator, "predict_proba"):
            return read_answer(self._estimator.predict(rows), frame.height, self._classes)
        scores = np.asarray(self._estimator.predict_proba(rows), dtype=np.float64)
        known = getattr(self._estimator, "classes_", None)
        if known is None or scores.ndim != 2:
            return read_answer(scores, frame.height, self._classes)
        names = tuple(_class_name(value) for value in np.asarray(known).tolist())
        labels = np.asarray(known)[scores.argmax(axis=1)]
        return Prediction(labels, scores, names)

    def _rows(self, frame: pl.DataFrame) -> Any:
        """The frame as what it was most likely fitted on."""
        if self._own is None and len(self.requires) == 1:
            return _only_column(frame[self.requires[0]])
        if self._own is None:
            return matrix(frame, self.requires)
        chosen = frame.select(
            frame[column].alias(own) for own, column in zip(self._own, self.requires, strict=True)
        )
        return as_pandas(chosen) if _has_pandas() else chosen


class FunctionModel(Model):
    """A function from a table to labels, probabilities or values.

    It is given a polars frame of the features; where that fails and pandas is installed, a pandas
    frame.
    """

    def __init__(
        self,
        function: Callable[[Any], Any],
        name: str,
        features: tuple[str, ...],
        classes: Classes,
    ) -> None:
        self.name = name
        self.requires = features
        self._function = function
        self._classes = classes
        self._pandas = _asks_for_pandas(function)

    def _score(self, frame: pl.DataFrame) -> Prediction:
        rows = frame.select(self.requires)
        return read_answer(self._call(rows), frame.height, self._classes)

    def _call(self, rows: pl.DataFrame) -> Any:
        if self._pandas and _has_pandas():
            return self._function(as_pandas(rows))
        try:
            with foreign(f"function {self.name} failed", ModelError):
                return self._function(rows)
        except ModelError as first:
            if not _has_pandas():
                raise
            try:
                with foreign(f"function {self.name} failed", ModelError):
                    return self._function(as_pandas(rows))
            except ModelError:
                # It may have been written for either; the first failure is told.
                raise first from None


def object_model(found: Any, name: str, features: tuple[str, ...], classes: Classes) -> Model:
    """Wrap an object that somebody handed over or that a file held.

    Raises:
        ModelError: when it can neither predict nor be called.
    """
    if hasattr(found, "predict"):
        return EstimatorModel(found, name, features, classes)
    owner = getattr(found, "__self__", None)
    if owner is not None and hasattr(owner, "predict"):
        return EstimatorModel(owner, name, features, classes)
    if callable(found):
        return FunctionModel(found, name, features, classes)
    raise ModelError(
        f"{name} holds a {type(found).__name__}, which has no `predict` and cannot be called; "
        "give a fitted estimator or a function of a table"
    )


def as_pandas(frame: pl.DataFrame) -> Any:
    """A pandas frame without pyarrow: gaps are NaN, categories are text."""
    import pandas as pd

    return pd.DataFrame({name: _pandas_values(frame[name]) for name in frame.columns})


def _pandas_values(series: pl.Series) -> Any:
    dtype = series.dtype
    if dtype.is_integer() or dtype == pl.Boolean:
        return series.to_numpy() if series.null_count() == 0 else numbers(series)
    if dtype.is_float() or dtype.is_decimal():
        return numbers(series)
    if dtype in (pl.Date, pl.Datetime):
        return (
            series.dt.replace_time_zone(None).to_numpy()
            if dtype == pl.Datetime
            else series.to_numpy()
        )
    if dtype in (pl.String, pl.Categorical) or isinstance(dtype, pl.Enum):
        values = np.array(series.cast(pl.String).to_list(), dtype=object)
        values[series.is_null().to_numpy()] = np.nan
        return values
    return series.to_list()


def _only_column(series: pl.Series) -> Any:
    """A single column: text as a list of documents, anything else as a matrix."""
    if series.dtype == pl.String:
        return series.fill_null("").to_list()
    return matrix(series.to_frame(), [series.name])


def _class_name(value: object) -> str:
    from ruleout.sources._labels import array_text

    return array_text(np.array([value], dtype=object))[0] or ""


def _has_pandas() -> bool:
    if "pandas" in sys.modules:
        return True
    from importlib.util import find_spec

    return find_spec("pandas") is not None


def _asks_for_pandas(function: Callable[[Any], Any]) -> bool:
    hints = getattr(function, "__annotations__", {})
    first = next((hint for key, hint in hints.items() if key != "return"), None)
    return "pandas" in str(first) or str(first).startswith("pd.")
