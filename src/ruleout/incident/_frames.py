"""An incident without a file: from frames or paths, for Python and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruleout.incident._document import Node, from_python
from ruleout.incident._load import from_document
from ruleout.incident._model import Columns, Incident


def from_frames(
    reference: Any = None,
    current: Any = None,
    *,
    title: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    noticed_at: Any = None,
    windows: Mapping[str, Any] | None = None,
    model: Any = None,
    previous_model: Any = None,
    threshold: float | None = None,
    parity: Mapping[str, Any] | None = None,
    golden: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
    telemetry: Mapping[str, Any] | None = None,
    changes: Any = None,
    impact: Mapping[str, Any] | None = None,
    sources: Mapping[str, Any] | None = None,
    graph: Any = None,
    folder: str | Path = ".",
    file: str = "the arguments",
    **columns: Any,
) -> Incident:
    """The incident that two tables and the roles of their columns describe.

    Args:
        reference: rows from when all was well: a polars or pandas frame, a path, a glob, or a mapping with `uri` and
            `table` or `query`.
        current: rows from when it was not; of the same forms.
        title: what went wrong, in a line.
        task: `binary`, `multiclass`, `regression`, `ranking`; by default told from the data.
        metric: the performance metric that fell, or a metric of the telemetry.
        noticed_at: when somebody noticed; a datetime, an ISO text or epoch seconds.
        windows: `{"reference": (start, end), "current": (start, end)}`, when one table holds both.
        model: path, URL or callable of the model that served the current window (`{"uri": ..., "version": ...}` for more).
        previous_model: the one before it.
        threshold: the score from which the model's decision is positive.
        parity: as `probes.parity` in an incident file; frames may stand where paths do. So with `golden`, `audit`,
            `telemetry`, `changes`, `impact`, `sources` and `graph`.
        golden: as `probes.golden`.
        audit: as `probes.audit`.
        telemetry: as `telemetry`.
        changes: path or frame of change events.
        impact: as `impact`.
        sources: as `data.sources`.
        graph: as `data.graph`, or a graph of networkx, CausalNex or DoWhy, or a text or file in DOT or GML.
        folder: what relative paths are relative to.
        file: what error messages call the origin of these arguments.
        **columns: the roles of the columns, as `data.columns` names them: `target="y"`, `prediction="yhat"`,
            `score="p"`, `positive=1`, `timestamp="ts"`, `segments=["country"]`, ...

    Raises:
        IncidentError: a role is unknown or an argument breaks a rule of the incident format.
    """
    document = {
        "title": title or "Reference against current",
        "task": task,
        "symptom": {"metric": metric, "noticed_at": noticed_at},
        "windows": windows,
        "data": {
            "reference": reference,
            "current": current,
            "columns": columns,
            "sources": sources,
            "graph": graph,
        },
        "models": {"current": _model(model, threshold), "previous": previous_model},
        "probes": {"parity": parity, "golden": golden, "audit": audit},
        "telemetry": telemetry,
        "changes": changes,
        "impact": impact,
    }
    return from_document(Node(file, "", from_python(document)), Path(folder).resolve())


def _model(model: Any, threshold: float | None) -> Any:
    if model is None or threshold is None:
        return model
    return (
        {"uri": model, "threshold": threshold}
        if not isinstance(model, Mapping)
        else {**model, "threshold": threshold}
    )


ROLES = tuple(Columns.__dataclass_fields__)
"""The names of the column roles."""
