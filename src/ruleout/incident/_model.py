"""The incident as records: what `incident.yaml` says once it has been validated.

Paths are resolved against the folder of the file; instants are epoch seconds in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Task = Literal["binary", "multiclass", "regression", "ranking", "none"]


@dataclass(frozen=True, slots=True)
class SymptomSpec:
    """What was noticed."""

    metric: str | None = None
    entity: str | None = None
    direction: Literal["down", "up"] | None = None
    noticed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time in epoch seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Where a table is: a path or glob, a database URL, or a frame already in memory."""

    uri: str = ""
    table: str | None = None
    query: str | None = None
    frame: Any = field(default=None, repr=False)
    """A polars or pandas frame handed over from Python; then `uri` is empty."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The roles of a table's columns."""

    id: str | None = None
    timestamp: str | None = None
    target: str | None = None
    prediction: str | None = None
    score: str | None = None
    positive: Any = None
    scores: Mapping[str, str] = field(default_factory=dict)
    weight: str | None = None
    features: tuple[str, ...] | None = None
    categorical: tuple[str, ...] | None = None
    image: str | None = None
    text: str | None = None
    embedding: str | None = None
    segments: tuple[str, ...] = ()
    label_available_at: str | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """The two tables and what their columns mean."""

    reference: TableSpec | None = None
    current: TableSpec | None = None
    columns: Columns = Columns()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    graph: tuple[tuple[str, str], ...] = ()
    graph_file: str | None = None
    """Where the graph was read from, if it was a file."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that can be replayed."""

    uri: Any
    """A path or URL, or a callable handed over from Python (only with trust)."""

    version: str | None = None
    deployed_at: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class ParityProbe:
    """Features recomputed from raw data as of request time."""

    offline: TableSpec
    key: str


@dataclass(frozen=True, slots=True)
class GoldenProbe:
    """Fixed inputs with stored outputs, and what is served for them now."""

    inputs: TableSpec
    expected: str
    served: str = "served_score"


@dataclass(frozen=True, slots=True)
class AuditProbe:
    """A re-adjudicated sample of labels."""

    labels: TableSpec
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class TelemetrySpec:
    """Where telemetry is: lists of paths or globs, or mappings of live sources."""

    metrics: tuple[Any, ...] = ()
    traces: tuple[Any, ...] = ()
    logs: tuple[Any, ...] = ()
    topology: tuple[tuple[str, str], ...] = ()
    entities: Mapping[str, str] = field(default_factory=dict)
    kpis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """Everything that is known of an incident, before any source has been opened."""

    title: str
    task: Task = "none"
    symptom: SymptomSpec = SymptomSpec()
    reference_window: Window | None = None
    current_window: Window | None = None
    data: DataSpec = DataSpec()
    models: Mapping[str, ModelSpec] = field(default_factory=dict)
    parity: ParityProbe | None = None
    golden: GoldenProbe | None = None
    audit: AuditProbe | None = None
    telemetry: TelemetrySpec = TelemetrySpec()
    changes: TableSpec | None = None
    impact: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    """Paths inside the incident are relative to this."""

    file: str = "incident.yaml"
    """What error messages call the place where the incident was written."""

    task_declared: bool = True
    """False when `task` was inferred from the columns' roles, and the data may say more."""
