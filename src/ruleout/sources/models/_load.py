"""From a model's URI to something that scores rows, without executing what is not trusted."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ruleout._errors import SourceError, Untrusted
from ruleout.incident._model import ModelSpec
from ruleout.sources._files import nearest_file
from ruleout.sources.models._answers import Classes
from ruleout.sources.models._base import Model

READ = ".onnx, .txt (LightGBM), .json and .ubj (XGBoost), .skops, models:/ and runs:/ (MLflow), "
READ += "http(s):// (MLflow scoring protocol), and with --trust-model .joblib, .pkl and python:"
_PICKLES = (".joblib", ".pkl", ".pickle")


def load_model(
    spec: ModelSpec,
    folder: Path,
    *,
    trust: bool,
    features: tuple[str, ...],
    classes_hint: tuple[str, ...] | None = None,
    raw: Collection[str] = (),
) -> Model:
    """Load the model that `spec` names.

    Args:
        spec: the model's URI (or a Python object) as the incident gives it.
        folder: what relative paths are relative to.
        trust: whether code inside the model may run; without it pickles, Python callables and
            MLflow models that hold code are refused before any of it is loaded.
        features: the input columns in order, for models that do not know their own names.
        classes_hint: class names of the task as text, (negative, positive) for binary; None for
            tasks without classes.
        raw: the features that hold images or texts, which a matrix of numbers has no place for.

    Raises:
        Untrusted: when loading would execute code and `trust` is false.
        SourceError: when the file is missing, unreadable or of no known kind.
        MissingExtra: when the library that reads it is not installed.
    """
    uri = spec.uri
    if not isinstance(uri, (str, Path)):
        from ruleout.sources.models._objects import object_model

        _require_trust(trust, f"a Python {type(uri).__name__}")
        return object_model(
            uri, getattr(uri, "__name__", type(uri).__name__), features, classes_hint
        )
    text = str(uri)
    if ":" in text.split("/", 1)[0] and not _is_drive(text):
        return _from_scheme(text, folder, features, classes_hint, trust=trust)
    return _from_file(folder / text, features, classes_hint, trust=trust, raw=raw)


def _from_scheme(
    uri: str, folder: Path, features: tuple[str, ...], classes: Classes, *, trust: bool
) -> Model:
    scheme = uri.partition(":")[0].lower()
    if scheme in ("http", "https"):
        from ruleout.sources.models._remote import HttpModel

        return HttpModel(uri, features, classes)
    if scheme in ("models", "runs"):
        from ruleout.sources.models._mlflow import fetched

        with fetched(uri) as place:
            return _from_mlflow(place, uri, features, classes, trust=trust)
    if scheme == "python":
        _require_trust(trust, uri)
        from ruleout.sources.models._files import python_model

        return python_model(uri, folder, features, classes)
    raise SourceError(f"no way to load a model from {uri!r}; what is read: {READ}")


def _from_file(
    path: Path,
    features: tuple[str, ...],
    classes: Classes,
    *,
    trust: bool,
    raw: Collection[str] = (),
) -> Model:
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        _require_trust(trust, str(path))
    if not path.exists():
        raise SourceError(f"model file {path} does not exist{nearest_file(path)}")
    if suffix == ".onnx":
        from ruleout.sources.models._onnx import OnnxModel

        return OnnxModel(path, features, classes, raw)
    if suffix in (".txt", ".lgb"):
        from ruleout.sources.models._boosters import LightGbmModel

        return LightGbmModel(path, features, classes)
    if suffix in (".json", ".ubj"):
        from ruleout.sources.models._boosters import XgboostModel

        return XgboostModel(path, features, classes)
    return _from_python_file(path, features, classes, trust=trust)


def _from_python_file(
    path: Path, features: tuple[str, ...], classes: Classes, *, trust: bool
) -> Model:
    if path.suffix.lower() == ".skops":
        from ruleout.sources.models._files import skops_model

        return skops_model(path, features, classes, trust=trust)
    if path.suffix.lower() in _PICKLES:
        from ruleout.sources.models._files import pickled_model

        return pickled_model(path, features, classes)
    if (path / "MLmodel").is_file():
        return _from_mlflow(path, path.resolve().as_uri(), features, classes, trust=trust)
    raise SourceError(f"no way to load a model from {path}; what is read: {READ}")


def _from_mlflow(
    place: Path, uri: str, features: tuple[str, ...], classes: Classes, *, trust: bool
) -> Model:
    """A folder that MLflow wrote: by its own file where that holds no code, else as MLflow loads it."""
    from ruleout.sources.models._mlflow import MlflowModel, plain_file

    found = plain_file(place)
    if found is None:
        _require_trust(trust, f"{uri} (an MLflow model that holds code)")
        return MlflowModel(uri, features, classes)
    path, inputs = found
    ordered = inputs if set(inputs) == set(features) else features
    try:
        model = _from_file(path, ordered, classes, trust=trust)
    except SourceError as error:
        # Where MLflow put it for the moment tells nobody anything.
        raise type(error)(str(error).replace(str(path), f"{uri} ({path.name})")) from error
    model.name = uri
    return model


def _require_trust(trust: bool, what: str) -> None:  # noqa: FBT001 - the flag is the subject
    if not trust:
        raise Untrusted(
            f"needs --trust-model (in Python: trust_model=True): loading {what} executes code; add it if you "
            "trust whoever wrote it, or give the model as .onnx or behind an HTTP endpoint"
        )


def _is_drive(text: str) -> bool:
    """A Windows path (a drive letter, then a colon) has a one-letter "scheme"."""
    return len(text) > 1 and text[1] == ":"
