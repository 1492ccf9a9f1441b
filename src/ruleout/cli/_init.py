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

_LOOKED = 1_000
_COMMA = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+\s*$"
_NAMED = 12
"""So many features are told by name."""


def run(chosen: Namespace) -> None:
    """Guess the roles of two tables' columns, write an incident.yaml, and say what was guessed."""
    if chosen.reference == chosen.current:
        raise IncidentError(
            f"both tables are {chosen.reference!r}; give two, or write `windows` into an incident.yaml"
        )
    reference = open_table(TableSpec(uri=chosen.reference), Path(), "REFERENCE")
    current = open_table(TableSpec(uri=chosen.current), Path(), "CURRENT")
    before, after = _sample(reference, "REFERENCE"), _sample(current, "CURRENT")
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
        title=chosen.title or f"{_name(current.place)} against {_name(reference.place)}",
        force=chosen.force,
    )
    check_columns(load(file), reference.schema, current.schema)
    _tell(guesses, task, file, before)


def _name(place: str) -> str:
    """A table's name for a title: its place without the folders."""
    return place.rstrip("/").rpartition("/")[2] or place


def _sample(table: TableSource, which: str) -> pl.DataFrame:
    rows = table.read(table.scan().head(_ROWS))
    if rows.is_empty():
        raise IncidentError(
            f"{which}: {table.place} has no rows; roles are guessed from rows of both tables"
        )
    return rows


def _commas(table: pl.DataFrame, columns: list[str]) -> list[str]:
    """Columns of text whose values are numbers with a decimal comma."""
    found = []
    for column in columns:
        # Under another name: polars takes `^a$` for a pattern in some methods of a series.
        words = table.get_column(column).alias("x").drop_nulls().head(_LOOKED)
        if words.dtype == pl.String and len(words) and words.str.contains(_COMMA).all():
            found.append(column)
    return found


def _tell(guesses: tuple[Guess, ...], task: str, file: Path, table: pl.DataFrame) -> None:
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
    features = [column for column in table.columns if column not in named]
    print(f"task: {task}; features: {_listed(features)}")
    if texts := _commas(table, features):
        print(
            f"numbers as text: {', '.join(texts)}; write them with a decimal point, "
            "or each value counts as a category"
        )
    print(f"wrote {file}; look it over, then run: ruleout diagnose {shlex.quote(str(file.parent))}")


def _listed(features: list[str]) -> str:
    """The columns that are left, by name: what has no business among the inputs should be seen."""
    shown = ", ".join(name or '""' for name in features[:_NAMED])
    more = f" and {len(features) - _NAMED} more" if len(features) > _NAMED else ""
    count = f"{len(features)} other column{'' if len(features) == 1 else 's'}"
    return f"{count} ({shown}{more})" if features else count


def _columns(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(value.values()) if isinstance(value, dict) else tuple(value)
