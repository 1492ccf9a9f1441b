"""What is known of an incident: `incident.yaml`, validated."""

from ruleout.incident._columns import check_columns, infer_task
from ruleout.incident._document import read as read_document
from ruleout.incident._frames import ROLES, from_frames
from ruleout.incident._graph import edges_of
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
from ruleout.incident._roles import Guess, guess_roles
from ruleout.incident._types import check_types, is_nested
from ruleout.incident._write import write_incident

__all__ = [
    "DATABASES",
    "ROLES",
    "TASKS",
    "AuditProbe",
    "Columns",
    "DataSpec",
    "GoldenProbe",
    "Guess",
    "Incident",
    "ModelSpec",
    "ParityProbe",
    "SymptomSpec",
    "TableSpec",
    "Task",
    "TelemetrySpec",
    "Window",
    "check_columns",
    "check_types",
    "edges_of",
    "from_document",
    "from_frames",
    "guess_roles",
    "infer_task",
    "is_nested",
    "load",
    "read_document",
    "write_incident",
]
