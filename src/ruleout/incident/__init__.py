"""What is known of an incident: `incident.yaml`, validated."""

from ruleout.incident._load import DATABASES, TASKS, from_document, load
from ruleout.incident._model import (
    AuditProbe,
    Columns,
    DataSpec,
    GoldenProbe,
    Incident,
    ModelSpec,
    ParityProbe,
    SymptomSpec,
    TableSpec,
    Task,
    TelemetrySpec,
    Window,
)

__all__ = [
    "DATABASES",
    "TASKS",
    "AuditProbe",
    "Columns",
    "DataSpec",
    "GoldenProbe",
    "Incident",
    "ModelSpec",
    "ParityProbe",
    "SymptomSpec",
    "TableSpec",
    "Task",
    "TelemetrySpec",
    "Window",
    "from_document",
    "load",
]
