"""Leave out the rows that a hypothesis blames: new values, a class that nobody knew, a few actors."""

from __future__ import annotations

from dataclasses import replace

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Undone
from ruleout.profile import Case

_OF_A_MODEL = (
    "prompt_change",
    "provider_model_change",
    "guardrail_overblock",
    "schema_change",
    "context_truncation",
    "stale_index",
)
"""Faults around a language model, whose rows the log names."""


@repair(
    "keep",
    undoes=(
        "new_category",
        "adversarial_shift",
        "image_preprocessing",
        "covariate_shift",
        "hardware_fault",
        "embedding_mismatch",
        *_OF_A_MODEL,
    ),
)
def keep(case: Case, plan: RepairPlan) -> Undone:
    """Keep the current rows outside the plan's scope.

    Raises:
        RuleoutError: when the scope names no column of the current window, or covers all of it.
    """
    column = plan.scope.column
    if column is None or not case.current.has(column):
        raise RuleoutError(f"no column {column!r} in the current window to leave rows out by")
    inside = case.scope_rows(replace(plan.scope, since=None, until=None))
    if inside.all():
        raise RuleoutError("leaving these rows out would leave nothing")
    return Undone(keep=~inside, method="exclusion")
