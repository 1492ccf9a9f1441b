"""Differential diagnosis for failing AI systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ruleout._version import __version__

if TYPE_CHECKING:
    from ruleout._door import Answer, diagnose
    from ruleout._errors import IncidentError, ModelError, RuleoutError, SourceError
    from ruleout._records import (
        Abstained,
        Clear,
        Diagnosis,
        Evidence,
        Finding,
        Hypothesis,
        RepairPlan,
        Scope,
        Subject,
    )
    from ruleout._registry import check, repair
    from ruleout.experiments import Undone
    from ruleout.incident import Incident
    from ruleout.profile import Case

_HOMES = {
    "Abstained": "ruleout._records",
    "Answer": "ruleout._door",
    "Case": "ruleout.profile",
    "Clear": "ruleout._records",
    "Diagnosis": "ruleout._records",
    "Evidence": "ruleout._records",
    "Finding": "ruleout._records",
    "Hypothesis": "ruleout._records",
    "Incident": "ruleout.incident",
    "IncidentError": "ruleout._errors",
    "ModelError": "ruleout._errors",
    "RepairPlan": "ruleout._records",
    "RuleoutError": "ruleout._errors",
    "Scope": "ruleout._records",
    "SourceError": "ruleout._errors",
    "Subject": "ruleout._records",
    "Undone": "ruleout.experiments",
    "check": "ruleout._registry",
    "diagnose": "ruleout._door",
    "repair": "ruleout._registry",
}

__all__ = [
    "Abstained",
    "Answer",
    "Case",
    "Clear",
    "Diagnosis",
    "Evidence",
    "Finding",
    "Hypothesis",
    "Incident",
    "IncidentError",
    "ModelError",
    "RepairPlan",
    "RuleoutError",
    "Scope",
    "SourceError",
    "Subject",
    "Undone",
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
