"""Differential diagnosis for failing AI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruleout._version import __version__

if TYPE_CHECKING:
    from ruleout._door import Answer, diagnose
    from ruleout._errors import IncidentError, ModelError, RuleoutError, SourceError
    from ruleout._records import Diagnosis, Evidence, Hypothesis
    from ruleout._registry import check, repair
    from ruleout.incident import Incident

_HOMES = {
    "Answer": "ruleout._door",
    "Diagnosis": "ruleout._records",
    "Evidence": "ruleout._records",
    "Hypothesis": "ruleout._records",
    "Incident": "ruleout.incident",
    "IncidentError": "ruleout._errors",
    "ModelError": "ruleout._errors",
    "RuleoutError": "ruleout._errors",
    "SourceError": "ruleout._errors",
    "check": "ruleout._registry",
    "diagnose": "ruleout._door",
    "repair": "ruleout._registry",
}

__all__ = [
    "Answer",
    "Diagnosis",
    "Evidence",
    "Hypothesis",
    "Incident",
    "IncidentError",
    "ModelError",
    "RuleoutError",
    "SourceError",
    "__version__",
    "check",
    "diagnose",
    "repair",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that the command line starts fast."""
    if name not in _HOMES:
        raise AttributeError(
            f"module 'ruleout' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
