"""Native files of LightGBM (`.txt`) and XGBoost (`.json`, `.ubj`); neither executes code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import ModelError, SourceError
from ruleout.sources._labels import array_text, label_text, natural_order
from ruleout.sources.models._alone import alone
from ruleout.sources.models._answers import Classes
from ruleout.sources.models._base import Model, Prediction, foreign
from ruleout.sources.models._columns import column_for, numbers

Vocabulary = Mapping[str, Mapping[str, int]]
"""For each categorical column: category as text -> the code it had in training."""

_UNUSED = frozenset({"sklearn", "pandas", "dask", "matplotlib", "pyarrow", "cffi"})
"""What LightGBM and XGBoost wrap or accept where it is installed; a booster and a matrix need none of it."""


class LightGbmModel(Model):
    """A LightGBM booster saved with `save_model`."""

    def __init__(self, path: Path, features: tuple[str, ...], classes: Classes) -> None:
        lightgbm = alone("lightgbm", extra="lightgbm", without=_UNUSED)
        text = path.read_text(encoding="utf-8", errors="replace")
        if not text.startswith("tree"):
            raise SourceError(f"{path} is not a LightGBM model file: its first line is not 'tree'")
        with foreign(f"{path} is not a readable LightGBM model"):
            self._booster = lightgbm.Booster(model_str=text)
            own = tuple(self._booster.feature_name())
        self.name = path.name
        self._classes = classes
        self._objective = _line(text, "objective=").split(" ")[0]
        self.leaves = sum(map(int, re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)))
        wanted = _unnamed(own, features, prefix="Column_")
        self.requires = tuple(column_for(wanted, features))
        self._vocabulary = _lightgbm_vocabulary(text, self.requires, path)

    def _score(self, frame: pl.DataFrame) -> Prediction:
        data = _coded_matrix(frame, self.requires, self._vocabulary)
        answer = self._booster.predict(data, num_threads=1)
        return _booster_answer(np.asarray(answer), self._objective, self._classes)

    def contributions(self, frame: pl.DataFrame) -> np.ndarray:
        """Exact SHAP values (n, F) or (n, K, F) of the margin, columns as in `requires`."""
        data = _coded_matrix(frame, self.requires, self._vocabulary)
        told = np.asarray(self._booster.predict(data, num_threads=1, pred_contrib=True))
        wide = len(self.requires) + 1
        shaped = told.reshape(len(told), -1, wide)[:, :, :-1]
        return shaped[:, 0] if shaped.shape[1] == 1 else shaped


class XgboostModel(Model):
    """An XGBoost booster saved with `save_model`."""

    def __init__(self, path: Path, features: tuple[str, ...], classes: Classes) -> None:
        self._xgboost = alone("xgboost", extra="xgboost", without=_UNUSED)
        with foreign(f"{path} is not a readable XGBoost model"):
            self._booster = self._xgboost.Booster(params={"nthread": 1}, model_file=str(path))
            learner = json.loads(self._booster.save_raw("json"))["learner"]
        self.name = path.name
        self._classes = classes
        self._objective = str(learner["objective"]["name"])
        self._own = tuple(learner["feature_names"]) or None
        self._types = tuple(learner["feature_types"]) or None
        self.requires = features if self._own is None else tuple(column_for(self._own, features))
        booster = learner["gradient_booster"]
        grown = booster.get("gbtree", booster).get("model", {})
        nodes = [int(tree["tree_param"]["num_nodes"]) for tree in grown.get("trees", ())]
        self.leaves = sum((n + 1) // 2 for n in nodes)
        cats = grown.get("cats", {}).get("enc", [])
        self._vocabulary = _xgboost_vocabulary(cats, self.requires)

    def _score(self, frame: pl.DataFrame) -> Prediction:
        rows = self._rows(frame)
        return _booster_answer(self._booster.predict(rows), self._objective, self._classes)

    def contributions(self, frame: pl.DataFrame) -> np.ndarray:
        """Exact SHAP values (n, F) or (n, K, F) of the margin, columns as in `requires`."""
        told = np.asarray(self._booster.predict(self._rows(frame), pred_contribs=True))
        return told[..., :-1]

    def _rows(self, frame: pl.DataFrame) -> Any:
        data = _coded_matrix(frame, self.requires, self._vocabulary)
        wanted = self._booster.num_features()
        if data.shape[1] != wanted:
            raise ModelError(
                f"model {self.name} takes {wanted} inputs, the features are {data.shape[1]}; "
                "list its inputs in its order under `data.columns.features`"
            )
        return self._xgboost.DMatrix(
            data,
            feature_names=self._own,
            feature_types=self._types,
            enable_categorical=True,
            nthread=1,
        )


def _booster_answer(answer: np.ndarray, objective: str, classes: Classes) -> Prediction:
    """Boosters answer P(second class), class probabilities, class numbers or values."""
    values = answer.astype(np.float64)
    if values.ndim == 2 and values.shape[1] > 1:
        return Prediction(None, values, None)
    values = values.reshape(-1)
    if objective in ("multi:softmax", "binary:hinge") and classes is not None:
        names = natural_order(classes)
        places = [int(value) if 0 <= value < len(names) else None for value in values]
        named = [None if place is None else names[place] for place in places]
        return Prediction(np.array(named, dtype=object), None, None)
    if objective == "binary:logitraw":
        return Prediction(None, 1.0 / (1.0 + np.exp(-values)), None)
    if objective.startswith(("binary", "cross_entropy", "reg:logistic")):
        return Prediction(None, values, None)
    return Prediction(values, None, None)


def _coded_matrix(
    frame: pl.DataFrame, columns: Sequence[str], vocabulary: Vocabulary
) -> np.ndarray:
    """(n, d) float64; categories become their training codes, unseen ones NaN."""
    blocks = []
    for column in columns:
        table = vocabulary.get(column)
        series = frame[column]
        if table is None:
            blocks.append(numbers(series))
            continue
        codes = np.array(list(table.values()), dtype=np.float64)
        keys = {name: place for place, name in enumerate(table)}
        text = label_text(series, like=_spelling(table))
        places = text.replace_strict(keys, default=None, return_dtype=pl.Int64)
        found = places.fill_null(0).to_numpy()
        blocks.append(np.where(places.is_null().to_numpy(), np.nan, codes[found]))
    return np.column_stack(blocks) if blocks else np.empty((frame.height, 0))


def _spelling(table: Mapping[str, int]) -> pl.Series:
    return pl.Series("category", list(table), dtype=pl.String)


def _unnamed(own: tuple[str, ...], features: tuple[str, ...], *, prefix: str) -> tuple[str, ...]:
    """A model trained on a bare matrix takes the features in order."""
    bare = all(name == f"{prefix}{place}" for place, name in enumerate(own))
    return features if bare and len(own) == len(features) else own


def _line(text: str, key: str) -> str:
    start = text.find("\n" + key)
    return "" if start < 0 else text[start + 1 + len(key) :].split("\n", 1)[0]


def _lightgbm_vocabulary(text: str, columns: tuple[str, ...], path: Path) -> Vocabulary:
    """Categories from the `pandas_categorical` line, one list a categorical column in order.

    `feature_infos` marks those columns: categories are written `a:b:c`, numbers `[low:high]`.
    """
    stored = json.loads(_line(text, "pandas_categorical:") or "null")
    if not stored:
        return {}
    infos = _line(text, "feature_infos=").split(" ")
    marked = [name for name, info in zip(columns, infos, strict=False) if _is_category_info(info)]
    if len(marked) != len(stored):
        raise SourceError(
            f"{path} stores categories for {len(stored)} columns but marks {len(marked)} as "
            "categorical; save the model with its constant categorical columns left out"
        )
    return {
        name: {str(key): code for code, key in enumerate(_texts(categories))}
        for name, categories in zip(marked, stored, strict=True)
    }


def _is_category_info(info: str) -> bool:
    return info != "none" and not info.startswith("[")


def _texts(categories: Sequence[Any]) -> list[str]:
    return [text or "" for text in array_text(np.array(list(categories), dtype=object))]


def _xgboost_vocabulary(encoded: Sequence[Any], columns: tuple[str, ...]) -> Vocabulary:
    """Categories from the model's own container: byte offsets into joined text, or numbers."""
    vocabulary = {}
    for column, entry in zip(columns, encoded, strict=False):
        offsets = entry.get("offsets", [])
        values = entry.get("values", [])
        if len(offsets) > 1:
            raw = bytes(value % 256 for value in values)
            names = [
                raw[low:high].decode("utf-8", errors="replace") for low, high in pairwise(offsets)
            ]
        else:
            names = _texts(values)
        if names:
            vocabulary[column] = {name: code for code, name in enumerate(names)}
    return vocabulary
