"""ONNX models, on the CPU with one thread so that the same rows give the same bits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import ModelError, need
from ruleout.sources.models._answers import Classes, from_mappings, read_answer, voted_classes
from ruleout.sources.models._base import Model, Prediction, foreign
from ruleout.sources.models._columns import column_for, matrix, numbers, texts

_BATCH = 16_384
_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxModel(Model):
    """An ONNX graph with one 2-D numeric input, or one input per column by name.

    The numeric input takes the features in order, but for those in `raw`, which hold images or texts.
    """

    def __init__(
        self, path: Path, features: tuple[str, ...], classes: Classes, raw: Collection[str] = ()
    ) -> None:
        ort = need("onnxruntime", extra="onnx")
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        with foreign(f"{path} is not a readable ONNX model"):
            self._session = ort.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        self.name = path.name
        self._classes = classes
        self._inputs = self._session.get_inputs()
        self._outputs = self._session.get_outputs()
        self._whole = _is_matrix(self._inputs, features)
        names = [entry.name for entry in self._inputs]
        taken = tuple(name for name in features if name not in raw)
        self.requires = taken if self._whole else tuple(column_for(names, features))

    def _score(self, frame: pl.DataFrame) -> Prediction:
        feed, lost = self._feed(frame)
        answers = [self._run(feed, start, frame.height) for start in range(0, frame.height, _BATCH)]
        joined = [
            _joined([answer[place] for answer in answers]) for place in range(len(answers[0]))
        ]
        prediction = self._read(joined, frame.height)
        return _blank(prediction, lost) if lost.any() else prediction

    def _feed(self, frame: pl.DataFrame) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Arrays by input name, and the rows that an integer input cannot hold."""
        lost = np.zeros(frame.height, dtype=bool)
        if self._whole:
            entry = self._inputs[0]
            values = matrix(frame, self.requires)
            _check_width(self.name, entry, values.shape[1], self.requires)
            return {entry.name: _typed(values, entry.type, lost)}, lost
        feed = {}
        for entry, column in zip(self._inputs, self.requires, strict=True):
            feed[entry.name] = _shaped(_column(frame[column], entry.type, lost), entry.shape)
        return feed, lost

    def _run(self, feed: dict[str, np.ndarray], start: int, rows: int) -> list[Any]:
        stop = min(start + _BATCH, rows)
        fixed = self._inputs[0].shape[0] if self._inputs[0].shape else None
        if not isinstance(fixed, int):
            batch = {name: values[start:stop] for name, values in feed.items()}
            return list(self._session.run(None, batch))
        runs = [
            self._session.run(
                None, {k: _padded(v[at : at + fixed], fixed) for k, v in feed.items()}
            )
            for at in range(start, stop, fixed)
        ]
        joined = [_joined([run[place] for run in runs]) for place in range(len(runs[0]))]
        return [values[: stop - start] for values in joined]

    def _read(self, outputs: list[Any], n: int) -> Prediction:
        """Label and probabilities if there are both, else whatever the only output is."""
        per_row = [values for values in outputs if len(values) == n]
        if not per_row:
            raise ModelError(f"model {self.name} has no output with one entry a row")
        mappings = next(
            (v for v in per_row if isinstance(v, list) and isinstance(v[0], dict)), None
        )
        arrays = [np.asarray(values) for values in per_row if values is not mappings]
        labels = next((v.reshape(n) for v in arrays if _is_label(v, len(arrays))), None)
        if mappings is not None:
            return from_mappings(mappings)._replace(labels=labels)
        scores = next((v for v in arrays if v.ndim == 2 and v.shape[1] > 1), None)
        if scores is not None:
            names = None if labels is None else voted_classes(labels, scores, self._classes)
            return Prediction(labels, scores.astype(np.float64), names)
        values = next((v for v in arrays if v.dtype.kind == "f"), arrays[0])
        return _with_labels(read_answer(values.reshape(n), n, self._classes), labels)


def _is_matrix(inputs: Sequence[Any], features: tuple[str, ...]) -> bool:
    """One numeric input takes all features, unless it is a single column called by its name."""
    if len(inputs) != 1 or inputs[0].type == "tensor(string)":
        return False
    width = inputs[0].shape[1] if len(inputs[0].shape) > 1 else 1
    return not (width == 1 and len(features) > 1 and inputs[0].name in features)


def _is_label(values: np.ndarray, outputs: int) -> bool:
    """A text or integer column; floats only where another output holds the probabilities."""
    flat = values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)
    return flat and (values.dtype.kind in "OUSiub") and (outputs > 1 or values.dtype.kind != "f")


def _with_labels(prediction: Prediction, labels: np.ndarray | None) -> Prediction:
    return prediction if labels is None else prediction._replace(labels=labels)


def _check_width(name: str, entry: Any, width: int, features: tuple[str, ...]) -> None:
    wanted = entry.shape[1] if len(entry.shape) > 1 else 1
    if isinstance(wanted, int) and wanted != width:
        shown = ", ".join(features[:8]) + (", ..." if len(features) > 8 else "")
        raise ModelError(
            f"model {name} takes {wanted} numbers a row, the features are {width}: {shown}; "
            "list its inputs in its order under `data.columns.features`"
        )


def _column(series: pl.Series, kind: str, lost: np.ndarray) -> np.ndarray:
    if kind == "tensor(string)":
        return texts(series)
    if isinstance(series.dtype, (pl.List, pl.Array)):
        return _typed(matrix(series.to_frame(), [series.name]), kind, lost)
    return _typed(numbers(series), kind, lost)


def _typed(values: np.ndarray, kind: str, lost: np.ndarray) -> np.ndarray:
    """Cast to the input's type; rows whose gaps an integer cannot hold are marked in `lost`."""
    dtype = _NUMPY.get(kind)
    if dtype is None:
        raise ModelError(
            f"the model has an input of type {kind}; number and string tensors are read"
        )
    if np.dtype(dtype).kind == "f":
        return values.astype(dtype)
    gap = ~np.isfinite(values)
    lost |= gap if gap.ndim == 1 else gap.any(axis=1)
    return np.where(gap, 0, values).astype(dtype)


def _shaped(values: np.ndarray, shape: Sequence[Any]) -> np.ndarray:
    return values.reshape(-1, 1) if len(shape) == 2 and values.ndim == 1 else values


def _padded(values: np.ndarray, rows: int) -> np.ndarray:
    short = rows - len(values)
    return values if short == 0 else np.concatenate([values, np.repeat(values[-1:], short, axis=0)])


def _joined(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [entry for part in parts for entry in part]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _blank(prediction: Prediction, lost: np.ndarray) -> Prediction:
    """Unknown answers for rows that the model's inputs cannot hold."""
    labels, scores = prediction.labels, prediction.scores
    if labels is not None:
        labels = labels.astype(object if labels.dtype.kind in "OUSb" else np.float64)
        labels[lost] = None if labels.dtype.kind == "O" else np.nan
    if scores is not None:
        scores = scores.copy()
        scores[lost] = np.nan
    return Prediction(labels, scores, prediction.classes)
