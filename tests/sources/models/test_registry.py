"""Models of an MLflow registry, which MLflow itself keeps on disk for these tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._errors import SourceError, Untrusted
from ruleout.incident._model import ModelSpec
from ruleout.sources.models import Model, load_model

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
mlflow: Any = pytest.importorskip("mlflow", reason="ruleout[mlflow] is not installed")
lightgbm: Any = pytest.importorskip("lightgbm", reason="ruleout[lightgbm] is not installed")

NAMES = ("kilos", "metres")


@pytest.fixture
def inputs() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(400, 2))


@pytest.fixture
def booster(inputs: np.ndarray) -> Any:
    label = (inputs[:, 0] > 0).astype(int)
    data = lightgbm.Dataset(inputs, label, feature_name=list(NAMES))
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty registry, and a working folder that has none."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def load(uri: str, folder: Path, *, trust: bool = False) -> Model:
    return load_model(ModelSpec(uri=uri), folder, trust=trust, features=NAMES)


def log(booster: Any, wrapped: Any = None) -> str:
    """Register a model by its own flavour, or one that is code around it; the run's id."""
    with mlflow.start_run() as run:
        if wrapped is None:
            mlflow.lightgbm.log_model(
                booster, name="m", registered_model_name="late", pip_requirements=["lightgbm"]
            )
        else:
            mlflow.pyfunc.log_model(
                name="m",
                python_model=wrapped,
                registered_model_name="late",
                pip_requirements=["lightgbm"],
            )
    return str(run.info.run_id)


def test_a_registered_booster_answers_as_it_did(
    registry: Path, booster: Any, inputs: np.ndarray
) -> None:
    """By its version in the registry and by its run, without trust, and with its uri for a name."""
    run = log(booster)
    frame = pl.DataFrame(inputs, schema=NAMES)
    for uri in ("models:/late/1", f"runs:/{run}/m"):
        model = load(uri, registry)
        told = model.predict(frame)
        assert model.name == uri
        assert told.scores is not None
        assert np.allclose(np.asarray(told.scores).reshape(400, -1)[:, -1], booster.predict(inputs))


def test_code_around_a_model_needs_trust(registry: Path, booster: Any, inputs: np.ndarray) -> None:
    """A model that is code is refused without the flag, and asked through MLflow with it."""

    class Wrapped(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
        def predict(self, context: Any, model_input: Any) -> Any:
            del context
            return booster.predict(np.asarray(model_input)) * 0.5

    log(booster, Wrapped())
    with pytest.raises(Untrusted, match="models:/late/1"):
        load("models:/late/1", registry)
    told = load("models:/late/1", registry, trust=True).predict(pl.DataFrame(inputs, schema=NAMES))
    values = told.labels if told.scores is None else told.scores
    assert np.allclose(
        np.asarray(values, dtype=float).reshape(400, -1)[:, -1], booster.predict(inputs) * 0.5
    )


def test_a_model_that_is_not_there_leaves_nothing_behind(
    registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a registry's address the way out is told, and MLflow makes no store of its own."""
    with pytest.raises(SourceError, match="models:/none/1"):
        load("models:/none/1", registry)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(SourceError, match="set MLFLOW_TRACKING_URI"):
        load("models:/none/1", registry)
    assert not list((registry / "work").iterdir())
