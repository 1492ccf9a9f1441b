"""What a demo says before and after its diagnosis."""

from __future__ import annotations

import shlex
from pathlib import Path

_STORIES = {
    "images": "A shop's photo classifier lost 15 points of accuracy in two days. Version 7 of\n"
    "the model went live the evening before, and everybody looks there.",
    "fraud": "Blocked card payments turn out to be honest ones. A fraud ring was reported,\n"
    "the season is starting, and everybody expects adversaries.",
    "nulls": "The churn model misses customers who leave, since just after its new version\n"
    "went live, and everybody blames the model.",
    "latency": "A text model answers slowly. It really runs: a process served it just now, OpenTelemetry\n"
    "traced it, and one of its settings was changed in between.",
}
_PARTS = {
    "incident.yaml": "what is known; open it, edit it",
    "reference.parquet": "rows from before",
    "current.parquet": "rows from the incident",
    "changes.csv": "deploys, settings and dates around it",
    "photo_classifier.py": "the model, with its weights_v6.npz and weights_v7.npz",
    "fraud_model.py": "the model, with its fraud_weights.json",
    "traces.jsonl": "spans of both services, OTLP/JSON",
    "metrics.parquet": "samples of the machine and the services",
    "known_fraud.parquet": "known cases, with their scores at release and now",
}


def introduction(name: str, folder: Path) -> str:
    """What happened, and what was written where; several lines."""
    parts = [f"  {part:<20} {told}" for part, told in _PARTS.items() if (folder / part).exists()]
    return "\n".join([_STORIES[name], "", f"Written to {folder}:", *parts, ""])


def farewell(folder: Path) -> str:
    """How to go on from here; one line."""
    code = any((folder / part).exists() for part in _PARTS if part.endswith(".py"))
    return f"Again    ruleout diagnose {shlex.quote(str(folder))}{' --trust-model' if code else ''}"
