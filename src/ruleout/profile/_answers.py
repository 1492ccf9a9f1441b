"""What a model has answered before: a row is scored once in the life of a case, however often it is replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile._case import Case
from ruleout.sources.models import Model, Prediction

_MOST = 400_000
"""Rows whose answers are kept."""


class _Known:
    """Answers of one model by the hash of what it reads of a row."""

    def __init__(self) -> None:
        self.marks: NDArray[np.uint64] = np.empty(0, np.uint64)
        """(k,) sorted."""

        self.places: NDArray[np.int64] = np.empty(0, np.int64)
        """(k,) where the answer to each mark stands."""

        self.labels: NDArray[Any] | None = None
        self.scores: NDArray[Any] | None = None
        self.classes: tuple[str, ...] | None = None

    def find(self, marks: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Where the answers to `marks` (n,) stand; -1 for what was never asked."""
        if not len(self.marks):
            return np.full(len(marks), -1)
        at = np.minimum(np.searchsorted(self.marks, marks), len(self.marks) - 1)
        return np.where(self.marks[at] == marks, self.places[at], -1)

    def fits(self, rows: int, said: Prediction) -> bool:
        """Whether answers to so many rows are one a row, and of the form of those that are known."""
        parts = ((self.labels, said.labels), (self.scores, said.scores))
        one_a_row = all(more is None or len(more) == rows for _, more in parts)
        alike = all((mine is None) == (more is None) for mine, more in parts)
        return one_a_row and (not len(self.marks) or (alike and self.classes == said.classes))

    def add(self, marks: NDArray[np.uint64], said: Prediction) -> None:
        """Keep the answers to `marks` (n,), each asked for the first time; they fit."""
        places = np.arange(len(self.marks), len(self.marks) + len(marks))
        both = np.concatenate([self.marks, marks])
        order = np.argsort(both)
        self.marks = both[order]
        self.places = np.concatenate([self.places, places])[order]
        self.labels = _joined(self.labels, said.labels)
        self.scores = _joined(self.scores, said.scores)
        self.classes = said.classes

    def tell(self, places: NDArray[np.int64]) -> Prediction:
        """The answers that stand at `places` (n,)."""
        return Prediction(
            None if self.labels is None else self.labels[places],
            None if self.scores is None else self.scores[places],
            self.classes,
        )


def _joined(mine: NDArray[Any] | None, more: NDArray[Any] | None) -> NDArray[Any] | None:
    return more if mine is None or more is None else np.concatenate([mine, more])


def predicted(case: Case, name: str, frame: pl.DataFrame) -> Prediction:
    """What the model called `name` answers for every row of `frame`, in its own terms.

    Raises:
        ModelError: when the model cannot score these rows.
    """
    model: Model = case.models[name]
    read = [column for column in model.requires if column in frame.columns]
    kinds = [frame.get_column(column).dtype for column in read]
    plain = not any(kind.is_nested() or kind == pl.Object for kind in kinds)
    if not frame.height or not read or not plain:
        return model.predict(frame)
    known: _Known = case.cache.setdefault(f"answers of {name}", _Known())
    marks = frame.select(read).hash_rows().to_numpy()
    places = known.find(marks)
    new = np.flatnonzero(places < 0)
    if not len(new):
        return known.tell(places)
    asked = new[np.sort(np.unique(marks[new], return_index=True)[1])]
    if len(known.marks) + len(asked) > _MOST:
        return model.predict(frame)
    said = model.predict(frame if len(asked) == frame.height else frame[asked])
    if not known.fits(len(asked), said):
        return said if len(asked) == frame.height else model.predict(frame)
    known.add(marks[asked], said)
    return known.tell(known.find(marks))
