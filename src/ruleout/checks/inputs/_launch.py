"""Whether a model was put to work with the current window."""

from __future__ import annotations

from ruleout.profile import Case

_SOON = 0.02
"""A model put to work within this share of the window served it from its first row."""


def with_window(case: Case, deployed: float) -> bool:
    """Whether an instant is the current window's beginning."""
    time = case.current.time
    return time is not None and abs(deployed - float(time[0])) <= _SOON * float(time[-1] - time[0])


def first_served(case: Case) -> bool:
    """Whether the model went to work with the current window, and none is known to have served before it."""
    specs = case.incident.models
    current = specs.get("current")
    if current is None or current.deployed_at is None or "previous" in specs:
        return False
    return with_window(case, current.deployed_at)
