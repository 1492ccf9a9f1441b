"""Model files of Python objects: `.skops`, which names its types, and pickles, which execute code."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruleout._errors import SourceError, Untrusted, need
from ruleout.sources.models._answers import Classes
from ruleout.sources.models._base import Model, foreign
from ruleout.sources.models._objects import object_model

_PLAIN = (
    "numpy.dtype",
    "sklearn._loss.link.",
    "sklearn._loss.loss.",
    "sklearn._loss._loss.",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._gb_losses.",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.",
    "sklearn.neighbors._ball_tree.",
    "sklearn.neighbors._kd_tree.",
    "sklearn.neural_network._stochastic_optimizers.",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""Types of scikit-learn that hold numbers only, which skops does not list itself."""


def skops_model(path: Path, features: tuple[str, ...], classes: Classes, *, trust: bool) -> Model:
    """A `.skops` file; types beyond scikit-learn's own are refused without trust."""
    skops = need("skops.io", extra="skops")
    with foreign(f"{path} is not a readable skops file"):
        unknown = list(skops.get_untrusted_types(file=path))
    strange = [name for name in unknown if not name.startswith(_PLAIN)]
    if strange and not trust:
        raise Untrusted(
            f"{path} holds types that may execute code when loaded: {', '.join(strange[:5])}; "
            "add --trust-model if you trust whoever wrote the file"
        )
    with foreign(f"{path} is not a readable skops file"):
        found = skops.load(path, trusted=unknown)
    return object_model(found, path.name, features, classes)


def pickled_model(path: Path, features: tuple[str, ...], classes: Classes) -> Model:
    """A `.joblib` or `.pkl` file. The caller has checked that the user trusts it."""
    if path.suffix == ".joblib":
        joblib = need("joblib", extra="sklearn")
        with foreign(f"{path} could not be loaded"):
            found = joblib.load(path)
    else:
        with foreign(f"{path} could not be loaded"), path.open("rb") as stream:
            found = pickle.load(stream)  # noqa: S301 - only reached with --trust-model
    return object_model(found, path.name, features, classes)


def python_model(uri: str, folder: Path, features: tuple[str, ...], classes: Classes) -> Model:
    """A `python:module:function`; modules beside the incident can be imported too."""
    parts = uri.split(":")
    if len(parts) != 3 or not all(parts):
        raise SourceError(f"{uri!r} is not of the form 'python:module:function'")
    with _importable(folder), foreign(f"{uri} could not be imported"):
        found: Any = importlib.import_module(parts[1])
        for attribute in parts[2].split("."):
            found = getattr(found, attribute)
    return object_model(found, uri, features, classes)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
