"""A case: an incident with its tables read and its columns understood."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import SourceError
from ruleout._records import Scope, SourceStatus
from ruleout.incident import Incident
from ruleout.profile._metric import Metric
from ruleout.profile._outputs import Outputs
from ruleout.profile._predictor import Predictor
from ruleout.profile._read import Profile
from ruleout.profile._table import Table, code_array, numeric_array, text_series

Floats = NDArray[np.float64]
Which = Literal["reference", "current"]
DATE_COLUMNS = 3
"""Columns into which `Case.encode` turns a date."""

_DAY = 86_400.0

Kind = Literal["numeric", "categorical", "datetime", "text", "image", "embedding"]


class ChangeEvent(Protocol):
    """A change as the sources deliver it."""

    @property
    def id(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def entity(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def ref(self) -> str | None: ...


class Representation(Protocol):
    """Numbers that stand for an image, a text or an embedding column."""

    names: tuple[str, ...]

    def transform(self, series: pl.Series) -> Floats:
        """Numbers (n, len(names)) for n values."""

    def wide(self, series: pl.Series) -> NDArray[np.float32]:
        """All raw features (n, r) for n values, for what can use many."""

    def stand_ins(self, pictures: Sequence[Any]) -> list[bytes]:
        """Bytes that stand for decoded pictures and that `wide` and `transform` can read."""


@dataclass(slots=True)
class Case:
    """What every check sees."""

    incident: Incident
    reference: Table
    current: Table
    profiles: Mapping[Which, Profile]
    kinds: Mapping[str, Kind]
    """Kind of every input column."""

    classes: tuple[str, ...]
    """Class names as text; (negative, positive) for binary; empty for regression."""

    metric: Metric
    truths: Mapping[Which, NDArray[np.generic]]
    served: Mapping[Which, Outputs]
    weights: Mapping[Which, Floats] = field(default_factory=dict)
    """How much each row counts in the metric (n,), with mean 1; empty where all count once."""

    threshold: float | None = None
    """The decision threshold in force in the reference, where one is known."""

    told_again: tuple[str, ...] = ()
    """Columns that say again what another one holds: no inputs, and nothing else either."""

    representations: Mapping[str, Representation] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[ChangeEvent, ...] = ()
    parity: pl.DataFrame | None = None
    golden: pl.DataFrame | None = None
    audit: pl.DataFrame | None = None
    predictor: Predictor | None = None
    sources: list[SourceStatus] = field(default_factory=list)
    unread: Mapping[str, SourceError] = field(default_factory=dict)
    """Tables of the windows that could not be read, by name, and why."""

    seed: int = 0
    significant: bool | None = None
    """Whether the symptom is real; None where it cannot be told. Set by the engine after rung 1."""

    cache: dict[str, Any] = field(default_factory=dict)
    """Results that several checks share, by name."""

    @property
    def features(self) -> tuple[str, ...]:
        """All input columns."""
        return tuple(self.kinds)

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """Input columns of the given kinds."""
        return tuple(n for n, k in self.kinds.items() if k in kinds)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Numeric input columns, the statistics of images, texts and embeddings included."""
        return self.of_kind("numeric")

    @property
    def categorical(self) -> tuple[str, ...]:
        """Categorical input columns."""
        return self.of_kind("categorical")

    @property
    def task(self) -> str:
        """The incident's task."""
        return self.incident.task

    @property
    def segments(self) -> tuple[str, ...]:
        """Segment columns that both windows have."""
        declared = self.incident.data.columns.segments
        return tuple(n for n in declared if self.reference.has(n) and self.current.has(n))

    def kind(self, name: str) -> Kind:
        """Kind of an input column."""
        return self.kinds[name]

    def table(self, which: Which) -> Table:
        """The sample of one window."""
        return self.reference if which == "reference" else self.current

    def truth(self, which: Which) -> NDArray[np.generic]:
        """Labels (n,): int32 class codes with -1 unknown, or float64 with NaN unknown."""
        return self.truths[which]

    def outputs(self, which: Which) -> Outputs:
        """What was served."""
        return self.served[which]

    def weight(self, which: Which, more: Floats | None = None) -> Floats | None:
        """The rows' weights in the metric (n,), times `more` where a repair weighs them too; None where all count once."""
        own = self.weights.get(which)
        if own is None or more is None:
            return more if own is None else own
        return own * more

    def loss(self, which: Which) -> Floats:
        """Per-row loss (n,): 0/1 error or absolute error; NaN where unknown."""
        return self.metric.loss(self.truths[which], self.served[which])

    def labelled(self, which: Which) -> bool:
        """Whether a useful number of rows has a label and an answer."""
        return int(np.isfinite(self.loss(which)).sum()) >= 30

    def vocabulary(self, name: str) -> tuple[str, ...]:
        """All values of a column as text, in a stable order shared by both windows."""
        key = f"vocabulary {name}"
        if key not in self.cache:
            self.cache[key] = vocabulary(self.reference.frame, self.current.frame, name)
        return tuple(self.cache[key])

    def codes(self, which: Which, name: str) -> NDArray[np.int32]:
        """Codes (n,) of a column in its vocabulary; -1 where missing."""
        key = f"codes {which} {name}"
        if key not in self.cache:
            self.cache[key] = code_array(self.table(which).frame, name, self.vocabulary(name))
        return np.asarray(self.cache[key])

    def rng(self, name: str) -> np.random.Generator:
        """A generator that depends on the seed and on `name` alone."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])

    def scope_rows(self, scope: Scope) -> NDArray[np.bool_]:
        """Which rows of the current sample a scope covers, (n,)."""
        return scope_mask(self.current, scope)

    def encode(self, frame: pl.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
        """Input columns as a matrix (n, F) of numbers and codes, and which columns are codes."""
        columns: list[Floats] = []
        coded: list[bool] = []
        for name, kind in self.kinds.items():
            if kind == "categorical":
                codes = code_array(frame, name, self.vocabulary(name)).astype(float)
                columns.append(np.where(codes < 0, np.nan, codes)[:, None])
                coded.append(True)
            elif name in self.representations:
                block = self._represent(frame, name)
                columns.append(block)
                coded.extend([False] * block.shape[1])
            elif kind == "numeric":
                columns.append(numeric_array(frame, name)[:, None])
                coded.append(False)
            elif kind == "datetime":
                columns.append(self._clock(frame, name))
                coded.extend([False] * DATE_COLUMNS)
        matrix = np.concatenate(columns, axis=1) if columns else np.empty((frame.height, 0))
        return matrix, np.array(coded, dtype=bool)

    def _clock(self, frame: pl.DataFrame, name: str) -> Floats:
        """A date as numbers that both windows share: hour, weekday, and age in days at the row's own time (n, 3).

        The instant itself only tells the windows apart.
        """
        at = numeric_array(frame, name)
        row = self.incident.data.columns.timestamp
        age = np.full(len(at), np.nan)
        if row is not None and row != name:
            age = (numeric_array(frame, row) - at) / _DAY
        day = np.floor(at / _DAY)
        return np.stack([at % _DAY / 3600, (day + 3) % 7, age], axis=1)

    def _represent(self, frame: pl.DataFrame, name: str) -> Floats:
        for which in ("reference", "current"):
            own = self.table(which).frame
            if name in own.columns and frame is own:
                key = f"representation {which} {name}"
                if key not in self.cache:
                    self.cache[key] = self.representations[name].transform(frame.get_column(name))
                return np.asarray(self.cache[key])
        return self.representations[name].transform(frame.get_column(name))


def vocabulary(reference: pl.DataFrame, current: pl.DataFrame, name: str) -> tuple[str, ...]:
    """Distinct values of a column over both frames, as text, sorted."""
    both = pl.concat(
        [text_series(reference, name).alias("v"), text_series(current, name).alias("v")]
    )
    return tuple(both.drop_nulls().unique().sort().to_list())


def scope_mask(table: Table, scope: Scope) -> NDArray[np.bool_]:
    """Which rows of a table a scope covers, (n,)."""
    mask = np.ones(table.rows, dtype=bool)
    if table.time is not None:
        if scope.since is not None:
            mask &= table.time >= scope.since
        if scope.until is not None:
            mask &= table.time < scope.until
    if scope.column is not None:
        text = text_series(table.frame, scope.column)
        mask &= np.asarray(text.is_in(list(scope.values)).fill_null(value=False).to_numpy())
    return mask
