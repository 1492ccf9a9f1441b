"""What every model looks like once it is loaded."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._errors import ModelError, RuleoutError, SourceError
from ruleout.sources._reasons import without_trace


class Prediction(NamedTuple):
    """What a model answers for n rows, in its own terms."""

    labels: np.ndarray | None
    """(n,) the decision: text or numbers; for regression the value (float64, NaN unknown)."""

    scores: np.ndarray | None
    """(n,) P(positive), or (n, K) class probabilities in the order of `classes`."""

    classes: tuple[str, ...] | None
    """Names of the K columns of `scores` as text, where the model knows them."""


class Model(ABC):
    """A model that can be replayed on logged inputs."""

    name: str
    """Its URI, for messages."""

    requires: tuple[str, ...]
    """The columns it reads, in its order."""

    def predict(self, frame: pl.DataFrame) -> Prediction:
        """Score every row of `frame`.

        Raises:
            ModelError: when columns are missing, of a type the model cannot take, or when the model
                itself fails.
            Unreachable: when a remote model does not answer.
        """
        missing = [column for column in self.requires if column not in frame.columns]
        if missing:
            raise ModelError(missing_columns(self.name, missing, frame.columns))
        if frame.height == 0:
            return Prediction(None, None, None)
        with foreign(f"model {self.name} failed on {frame.height} rows", ModelError):
            return self._score(frame)

    @abstractmethod
    def _score(self, frame: pl.DataFrame) -> Prediction:
        """Score a frame that has at least one row and every required column."""


def missing_columns(name: str, missing: Sequence[str], present: Sequence[str]) -> str:
    """A message that names what is missing and the nearest column there is."""
    told = []
    for column in missing[:5]:
        near = difflib.get_close_matches(column, present, n=1)
        told.append(f"{column!r}" + (f" (nearest column: {near[0]!r})" if near else ""))
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    return (
        f"model {name} needs {', '.join(told)}{more}, which the data does not have; "
        "name the inputs in `data.columns.features` or give the model that scored these rows"
    )


@contextmanager
def foreign(doing: str, error: type[RuleoutError] = SourceError) -> Iterator[None]:
    """Turn whatever another library raises into one of our errors, with its text."""
    try:
        yield
    except RuleoutError:
        raise
    except Exception as caught:
        # A foreign runtime may raise anything; it leaves here as the error that names the model.
        text = without_trace(str(caught))[:1000]
        raise error(f"{doing}: {type(caught).__name__}: {text}") from caught
