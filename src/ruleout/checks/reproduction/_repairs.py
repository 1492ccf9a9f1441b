"""Plans for repairs that several checks of this rung propose."""

from __future__ import annotations

from ruleout._records import Finding, RepairPlan, Scope, Subject
from ruleout.checks.reproduction._hit import Hit
from ruleout.checks.reproduction._view import SERVED


def intended_answers(found: Hit, subject: Subject = SERVED) -> RepairPlan:
    """Give the rows in place the answers of whoever answered the reference."""
    return RepairPlan("intended_answers", subject, found.place.scope, {"model": found.replay.name})


def described(scope: Scope) -> str:
    """The scope in words: ` where host is a, b`, or nothing."""
    if scope.column is None:
        return ""
    shown = ", ".join(scope.values[:4]) + (", ..." if len(scope.values) > 4 else "")
    return f" where {scope.column} is {shown}"


def acquits(signal: str, statement: str, effect: float, against: tuple[str, ...]) -> Finding:
    """A finding that speaks against modes whatever their subject."""
    return Finding(signal, Subject(), statement, effect, effect, None, 1.0, (), against=against)
