"""`ruleout init`."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path
from typing import Any

import polars as pl

from ruleout._errors import IncidentError
from ruleout.incident import (
    Guess,
    TableSpec,
    check_columns,
    guess_roles,
    infer_task,
    load,
    write_incident,
)
from ruleout.sources import TableSource, open_table

_ROWS = 50_000
"""Roles are guessed from so many rows of each table."""


def run(chosen: Namespace) -> None:
    """Guess the roles of two tables' columns, write an incident.yaml, and say what was guessed."""
    if chosen.reference == chosen.current:
        raise IncidentError(
            f"both tables are {chosen.reference!r}; give two, or write `windows` into an incident.yaml"
        )
    reference = open_table(TableSpec(uri=chosen.reference), Path(), "REFERENCE")
    current = open_table(TableSpec(uri=chosen.current), Path(), "CURRENT")
    before, after = _sample(reference), _sample(current)
    guesses = guess_roles(before, after)
    roles = {guess.role: guess.value for guess in guesses}
    columns = [
        before[roles[role]] if roles.get(role) in before.columns else None
        for role in ("target", "prediction")
    ]
    task = "multiclass" if "scores" in roles else infer_task(*columns)
    file = write_incident(
        Path(chosen.out),
        chosen.reference,
        chosen.current,
        guesses,
        task=task,
        title=chosen.title or "What went wrong, in a line",
        force=chosen.force,
    )
    check_columns(load(file), reference.schema, current.schema)
    _tell(guesses, task, file, [*before.columns])


def _sample(table: TableSource) -> pl.DataFrame:
    return table.read(table.scan().head(_ROWS))


def _tell(guesses: tuple[Guess, ...], task: str, file: Path, columns: list[str]) -> None:
    width = max((len(guess.role) for guess in guesses), default=0)
    for guess in guesses:
        value = guess.value if isinstance(guess.value, str) else repr(guess.value)
        print(f"{guess.role:{width}}  {value}: {guess.why}")
    found = {guess.role for guess in guesses}
    missing = [role for role in ("target", "prediction", "timestamp") if role not in found]
    if missing:
        print(f"not found: {', '.join(missing)}; if there is such a column, name it in {file}")
    named = {
        column for guess in guesses if guess.role != "positive" for column in _columns(guess.value)
    }
    print(f"task: {task}; features: {len(set(columns) - named)} other columns")
    print(f"wrote {file}; look it over, then run: ruleout diagnose {shlex.quote(str(file.parent))}")


def _columns(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value.values()) if isinstance(value, dict) else tuple(value)
