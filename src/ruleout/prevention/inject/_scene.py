"""A served system and what happens to it: the records that every injector exchanges.

A `Base` is a healthy system: two windows of clean rows and the model that answers them. A `Scene` is the
same system on its way to the log, in four stages that a fault can hit: the *world* (true features and
labels), what was *seen* (features as they arrived at the model, which is what is logged), how it was
*served* (model, or something else for some rows), and what was *recorded* as the label.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered for n rows."""

    decision: NDArray[Any]
    """(n,) int64 codes into `Base.classes`, or float64 values for a regression."""

    chances: NDArray[np.float64] | None = None
    """(n, K) class probabilities in the order of `Base.classes`; None for a regression."""

    def where(self, mask: Mask, other: Answers) -> Answers:
        """Take `other` for the rows of `mask` (n,), self elsewhere."""
        decision = np.where(mask, other.decision, self.decision)
        if self.chances is None or other.chances is None:
            return Answers(decision, self.chances)
        return Answers(decision, np.where(mask[:, None], other.chances, self.chances))


class Model(Protocol):
    """A trained artefact that can answer rows."""

    @property
    def version(self) -> str:
        """Version as the registry would name it."""

    @property
    def path(self) -> Path | None:
        """The artefact's file; None when it cannot be shipped."""

    @property
    def threshold(self) -> float:
        """Decision threshold on the probability of the positive class."""

    def answer(self, frame: pl.DataFrame) -> Answers:
        """Answer every row of `frame`, which holds at least the features."""


@dataclass(frozen=True)
class Base:
    """A healthy served system: clean rows of two windows, the model, and who fills which column."""

    name: str
    subject: str
    """What people call the model, for titles: `approval model`."""

    task: str
    metric: str
    reference: pl.DataFrame
    current: pl.DataFrame
    pool: pl.DataFrame
    """Further clean rows of the same world without times, for faults that change who arrives."""

    features: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    target: str
    classes: tuple[Any, ...]
    """Class values, (negative, positive) for binary; empty for a regression."""

    model: Model
    fit: Callable[..., Model]
    """`fit(frame, name=..., kind=..., features=..., weight=..., size=...)` trains another artefact."""

    train: pl.DataFrame
    nature: Callable[[pl.DataFrame], NDArray[np.float64]]
    """The world's own conditional: class probabilities (n, K) or expected values (n,)."""

    previous: Model | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    """Metric lost when a feature is shuffled; larger matters more."""

    id: str = "request_id"
    timestamp: str = "ts"
    key: str = "account_id"
    host: str = "host"
    segments: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hours: Mapping[str, str] = field(default_factory=dict)
    """Columns that hold clock time, and how: `hour`, `datetime`."""

    counts: tuple[str, ...] = ()
    """Columns that aggregate other events (counts, sums): what a thin batch makes small."""

    text: str | None = None
    image: str | None = None
    embedding: str | None = None

    def source_of(self, feature: str) -> tuple[str, tuple[str, ...]]:
        """Name the source that fills `feature`, and all the features it fills."""
        for name, columns in self.sources.items():
            if feature in columns:
                return name, columns
        return "", (feature,)

    def seconds(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Epoch seconds (n,) of the rows of `frame`."""
        return frame[self.timestamp].dt.epoch("us").to_numpy().astype(np.float64) / 1e6


@dataclass(frozen=True, slots=True)
class Event:
    """A row of the change log."""

    at: float
    kind: str
    entity: str
    description: str
    diff: str | None = None


@dataclass(frozen=True, slots=True)
class Truth:
    """What was done: the answer that a diagnosis is judged by."""

    mode: str
    kind: str = "none"
    names: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Modes that the evidence handed over cannot tell from this one."""

    without_audit: tuple[str, ...] = ()
    """... and modes that only an audit of labels would part from it."""

    without_parity: tuple[str, ...] = ()
    """... or recomputed features."""

    without_golden: tuple[str, ...] = ()
    """... or golden inputs."""

    without_changes: tuple[str, ...] = ()
    """... or the change log."""

    without_model: tuple[str, ...] = ()
    """... or both artefacts, to be replayed against each other."""

    accepted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Other subjects (kind, names) that name the same thing."""

    onset: float | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """A change of what answers: `answer` replaces the model for the rows of `mask` (n,)."""

    mask: Mask
    answer: Callable[[pl.DataFrame, Answers], Answers]
    """(rows as seen, what would have been answered) -> what was answered."""


@dataclass(frozen=True)
class Scene:
    """A system with some faults in it."""

    base: Base
    reference: pl.DataFrame
    world: pl.DataFrame
    seen: pl.DataFrame
    recorded: pl.Series
    model: Model
    previous: Model | None
    servings: tuple[Serving, ...] = ()
    available: NDArray[np.float64] | None = None
    """Epoch seconds (n,) at which each label becomes final; None when at once."""

    offline: pl.DataFrame | None = None
    """What recomputing the features gives, where that is not the world (a leak)."""

    features: tuple[str, ...] | None = None
    """Input columns where they are not the base's."""

    unlogged: Mask | None = None
    """Rows (n,) whose answers were not logged."""

    events: tuple[Event, ...] = ()
    truths: tuple[Truth, ...] = ()

    @classmethod
    def of(cls, base: Base) -> Scene:
        """Start from the healthy system."""
        return cls(
            base,
            base.reference,
            base.current,
            base.current,
            base.current[base.target],
            base.model,
            base.previous,
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that the model reads."""
        return self.features or self.base.features

    def see(self, columns: Mapping[str, pl.Series]) -> Scene:
        """Replace columns of what arrived at the model."""
        return replace(self, seen=self.seen.with_columns([s.alias(n) for n, s in columns.items()]))

    def take(self, rows: NDArray[np.int64]) -> Scene:
        """Keep (or repeat) current rows by index, in that order."""
        return replace(
            self,
            world=self.world[rows],
            seen=self.seen[rows],
            recorded=self.recorded[rows],
            available=None if self.available is None else self.available[rows],
            unlogged=None if self.unlogged is None else self.unlogged[rows],
            servings=tuple(Serving(s.mask[rows], s.answer) for s in self.servings),
            offline=None if self.offline is None else self.offline[rows],
        )

    def populate(self, world: pl.DataFrame) -> Scene:
        """Replace the rows of the world before any fault on the way has been injected."""
        return replace(self, world=world, seen=world, recorded=world[self.base.target])

    def populate_features(self, columns: Mapping[str, pl.Series]) -> Scene:
        """Replace columns of the world itself: recomputing them gives the same."""
        return replace(
            self, world=self.world.with_columns([s.alias(n) for n, s in columns.items()])
        )

    def serve(self, mask: Mask, answer: Callable[[pl.DataFrame, Answers], Answers]) -> Scene:
        """Let something else answer the rows of `mask` (n,)."""
        return replace(self, servings=(*self.servings, Serving(mask, answer)))

    def log(self, *events: Event) -> Scene:
        """Add rows to the change log."""
        return replace(self, events=(*self.events, *events))

    def blame(self, truth: Truth) -> Scene:
        """Add to the ground truth."""
        return replace(self, truths=(*self.truths, truth))

    def answers(self) -> Answers:
        """What was served for the current rows."""
        answers = self.model.answer(self.seen)
        for serving in self.servings:
            if serving.mask.any():
                answers = answers.where(serving.mask, serving.answer(self.seen, answers))
        return answers
