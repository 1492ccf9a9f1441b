"""MLflow models: of a registry, of a run, or saved in a folder.

Where MLflow kept the model in a file of its own kind that holds no code (ONNX, LightGBM, XGBoost, skops), that file is
read as if it had been given by itself: it needs no trust, and answers with probabilities where `pyfunc` gives classes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from ruleout._errors import SourceError, need
from ruleout.sources.models._answers import Classes, read_answer
from ruleout.sources.models._base import Model, Prediction, foreign
from ruleout.sources.models._columns import column_for
from ruleout.sources.models._objects import as_pandas

_PLAIN = {
    "mlflow.onnx": (".onnx",),
    "mlflow.lightgbm": (".lgb", ".txt", ".skops"),
    "mlflow.xgboost": (".ubj", ".json", ".skops"),
    "mlflow.sklearn": (".skops",),
}
"""Loaders of MLflow that add nothing to what the file says, and the files that hold no code."""

_LOCAL = ("mlflow.db", "mlruns")
"""Where MLflow keeps what it was told to keep nowhere else, beside whoever runs it."""

_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_SETTINGS": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow asks a server that is down for minutes, which nobody has during an incident, and tells its makers of its use."""


class MlflowModel(Model):
    """A registered, logged or saved MLflow model, loaded as a `pyfunc` (which may execute code)."""

    def __init__(self, uri: str, features: tuple[str, ...], classes: Classes) -> None:
        with _settings(), foreign(f"MLflow could not load {uri}"):
            mlflow = need("mlflow.pyfunc", extra="mlflow")
            self._model = mlflow.load_model(uri)
            schema = self._model.metadata.get_input_schema()
        own = (
            list(schema.input_names()) if schema is not None and schema.has_input_names() else None
        )
        self.name = uri
        self._own = own
        self._classes = classes
        self.requires = features if own is None else tuple(column_for(own, features))

    def _score(self, frame: pl.DataFrame) -> Prediction:
        names = self._own or self.requires
        chosen = frame.select(
            frame[column].alias(own) for own, column in zip(names, self.requires, strict=True)
        )
        answer = self._model.predict(as_pandas(chosen))
        return read_answer(answer, frame.height, self._classes)


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """The folder of a model of a registry or a run, until it has been read.

    Raises:
        SourceError: when MLflow has no such model, or its server does not answer.
    """
    with _settings():
        mlflow = need("mlflow.artifacts", extra="mlflow")
        own = need("mlflow", extra="mlflow")
    told = own.is_tracking_uri_set() or "MLFLOW_REGISTRY_URI" in os.environ
    if not told and not any(Path(p).exists() for p in _LOCAL):
        # MLflow would make an empty store of its own where it is asked.
        raise SourceError(
            f"{uri} is of an MLflow registry, and nothing says of which: set MLFLOW_TRACKING_URI, "
            "or give the path of the model's folder"
        )
    with tempfile.TemporaryDirectory() as place:
        with _settings(), foreign(f"MLflow could not fetch {uri}"):
            folder = Path(mlflow.download_artifacts(artifact_uri=uri, dst_path=place))
        yield folder


@contextmanager
def _settings() -> Iterator[None]:
    """Settings of MLflow that nobody made, for as long as it is asked."""
    ours = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def plain_file(folder: Path) -> tuple[Path, tuple[str, ...]] | None:
    """The file without code in which a folder keeps its model, and its inputs in order; None where code makes the answer.

    The inputs are those of the signature, empty without one.

    Raises:
        SourceError: when `MLmodel` cannot be read, or names a file outside of the folder.
    """
    about = folder / "MLmodel"
    with foreign(f"{about} is not readable"):
        told = yaml.safe_load(about.read_text(encoding="utf-8"))
    flavour = _part(_part(told, "flavors"), "python_function")
    name = flavour.get("data") or flavour.get("model_path")
    suffixes = _PLAIN.get(str(flavour.get("loader_module")), ())
    if not isinstance(name, str) or Path(name).suffix.lower() not in suffixes:
        return None
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise SourceError(f"{about} names {name!r}, which is outside of the model's folder")
    return folder / name, _inputs(_part(told, "signature").get("inputs"))


def _part(told: Any, key: str) -> dict[str, Any]:
    found = told.get(key) if isinstance(told, dict) else None
    return found if isinstance(found, dict) else {}


def _inputs(told: object) -> tuple[str, ...]:
    """Names of a signature's columns, which is JSON within the YAML."""
    columns = yaml.safe_load(told) if isinstance(told, str) else None
    if not isinstance(columns, list):
        return ()
    names = [c.get("name") if isinstance(c, dict) else None for c in columns]
    return tuple(str(n) for n in names) if all(isinstance(n, str) for n in names) else ()
