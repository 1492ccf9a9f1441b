"""What a data set is to the corpus: clean rows, roles of columns, and who fills which."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import IncidentError


@dataclass(frozen=True)
class DataSet:
    """Clean rows of one world; times, ids and hosts come when a window is drawn."""

    name: str
    subject: str
    task: str
    metrics: tuple[str, ...]
    frame: pl.DataFrame
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    target: str
    classes: tuple[Any, ...]
    models: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hours: Mapping[str, str] = field(default_factory=dict)
    weekday: str | None = None
    """Column with the day of the week, 0 for Sunday."""

    counts: tuple[str, ...] = ()
    rows: int = 12_000
    train_rows: int = 12_000
    threshold: float = 0.5
    text: str | None = None
    image: str | None = None
    embedding: str | None = None
    key: str | None = None
    """A column of the frame that names the actor; else one is made up."""

    weekend: str | None = None
    """Column whose value makes weekends harder (for seasons)."""

    @property
    def features(self) -> tuple[str, ...]:
        """Input columns, in the model's order."""
        media = tuple(c for c in (self.text, self.image, self.embedding) if c)
        return (*self.numeric, *self.categorical, *media)


Loader = Callable[[], DataSet]
_LOADERS: dict[str, Loader] = {}


def data_set(name: str) -> Callable[[Loader], Loader]:
    """Register a loader under the data set's name."""

    def keep(load: Loader) -> Loader:
        _LOADERS[name] = load
        return load

    return keep


def loaders() -> Mapping[str, Loader]:
    """Every data set that can be loaded, by name."""
    return dict(sorted(_LOADERS.items()))


def data_folder() -> Path:
    """The folder of real data sets: `RULEOUT_DATA`, else `../shared/data` beside the checkout.

    Raises:
        IncidentError: when there is none.
    """
    given = os.environ.get("RULEOUT_DATA")
    beside = Path(__file__).resolve().parents[4].parent / "shared" / "data"
    folder = Path(given) if given else beside
    if not (folder / "tables").is_dir():
        raise IncidentError(f"{folder} has no folder 'tables'; set RULEOUT_DATA to the real data")
    return folder


def table(path: str) -> pl.DataFrame:
    """Read one table of the real data."""
    return pl.read_parquet(data_folder() / "tables" / path)


def shuffled(frame: pl.DataFrame, seed: int = 11) -> pl.DataFrame:
    """Rows in another, fixed order."""
    return frame[np.random.default_rng(seed).permutation(frame.height)]
