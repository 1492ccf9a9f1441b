"""All telemetry of an incident, with a status for each part of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ruleout._errors import SourceError
from ruleout._records import SourceStatus
from ruleout.incident._model import Incident
from ruleout.sources.telemetry._counters import as_rates
from ruleout.sources.telemetry._files import resolve
from ruleout.sources.telemetry._logs import read_logs
from ruleout.sources.telemetry._metrics import read_metrics
from ruleout.sources.telemetry._records import Telemetry, empty_logs, empty_metrics, empty_spans
from ruleout.sources.telemetry._spans import read_spans


def read_telemetry(incident: Incident) -> Telemetry:
    """Metrics, spans and logs of the incident; what cannot be read is a status, never an error."""
    spec = incident.telemetry
    names = set(spec.entities) | {end for edge in spec.topology for end in edge}
    metrics, first = _gather(
        "telemetry.metrics",
        spec.metrics,
        incident.folder,
        lambda path: read_metrics(path, names),
        empty_metrics(),
    )
    spans, second = _gather(
        "telemetry.traces", spec.traces, incident.folder, read_spans, empty_spans()
    )
    metrics = as_rates(metrics)
    # Exporters that retry deliver a span twice.
    spans = spans.unique(["trace", "span", "service", "name", "start"], maintain_order=True)
    logs, third = _gather("telemetry.logs", spec.logs, incident.folder, read_logs, empty_logs())
    return Telemetry(
        metrics=metrics,
        spans=spans,
        logs=logs,
        topology=spec.topology,
        kinds=spec.entities,
        kpis=spec.kpis,
        sources=(*first, *second, *third),
    )


def _gather(
    name: str,
    items: tuple[Any, ...],
    folder: Path,
    read: Callable[[Path], pl.DataFrame],
    nothing: pl.DataFrame,
) -> tuple[pl.DataFrame, list[SourceStatus]]:
    frames: list[pl.DataFrame] = []
    problems = []
    for item in items:
        try:
            frames.extend(read(path) for path in resolve(item, folder))
        except (SourceError, pl.exceptions.PolarsError) as error:
            problems.append(str(error))
    table = nothing if not frames else frames[0] if len(frames) == 1 else pl.concat(frames)
    if problems:
        reason = "; ".join(problems)
        return table, [SourceStatus(name, "failed", table.height or None, reason)]
    if not items:
        return table, []
    if table.is_empty():
        return table, [SourceStatus(name, "empty", 0, "no usable row")]
    return table, [SourceStatus(name, "ok", table.height)]
