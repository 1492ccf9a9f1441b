"""`ruleout diagnose`."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from ruleout._errors import IncidentError
from ruleout.cli._answer import answer
from ruleout.incident import ROLES, Incident, from_frames, load

_LISTS = ("features", "categorical", "segments")
_PLAIN = (
    "title",
    "task",
    "metric",
    "noticed_at",
    "model",
    "previous_model",
    "threshold",
    "changes",
)
_WINDOWS = ("reference", "current")
_TABLES = {".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".arrow", ".feather", ".xlsx"}


def run(chosen: Namespace) -> None:
    """Diagnose an incident folder, or the tables that the options name."""
    if chosen.weights is not None:
        os.environ["RULEOUT_WEIGHTS"] = chosen.weights
    answer(_incident(chosen), chosen, trust_model=chosen.trust_model)


def _incident(chosen: Namespace) -> Incident:
    given = [name for name in (*_tables(), *ROLES, *_PLAIN) if getattr(chosen, name) is not None]
    if chosen.path is not None:
        if given:
            option = given[0].replace("_", "-")
            raise IncidentError(
                f"--{option} describes tables, and {chosen.path} describes them too; give one of the two"
            )
        path = Path(chosen.path)
        if path.suffix.lower() in _TABLES and not path.is_dir():
            raise IncidentError(
                f"{chosen.path} is a table, not an incident; give two tables as --reference and --current, "
                "or write an incident with: ruleout init REFERENCE CURRENT -o FOLDER"
            )
        return load(chosen.path)
    if chosen.reference is None and chosen.current is None:
        raise IncidentError(
            "there is nothing to diagnose; give an incident folder, or --reference and --current"
        )
    incident = _from_options(chosen)
    _require_both(chosen)
    return incident


def _require_both(chosen: Namespace) -> None:
    """One table is enough only where its times part it into both windows."""
    lacking = [window for window in _WINDOWS if getattr(chosen, window) is None]
    if lacking and all(getattr(chosen, f"{window}_window") is None for window in _WINDOWS):
        raise IncidentError(
            f"--{lacking[0]} is missing; give the other table, or --timestamp COLUMN and "
            f"--{lacking[0]}-window START END if one table holds both"
        )


def _tables() -> list[str]:
    return [name for window in _WINDOWS for name in (window, f"{window}_table", f"{window}_window")]


def _from_options(chosen: Namespace) -> Incident:
    columns: dict[str, Any] = {role: getattr(chosen, role) for role in ROLES}
    for role in _LISTS:
        columns[role] = _split(columns[role])
    if columns["scores"] is not None:
        columns["scores"] = _scores(columns["scores"])
    if columns["positive"] is not None:
        columns["positive"] = _scalar(columns["positive"])
    windows = {window: getattr(chosen, f"{window}_window") for window in _WINDOWS}
    return from_frames(
        _table(chosen, "reference"),
        _table(chosen, "current"),
        windows=windows,
        file="command line",
        **columns,
        **{name: getattr(chosen, name) for name in _PLAIN},
    )


def _table(chosen: Namespace, window: str) -> Any:
    uri, table = getattr(chosen, window), getattr(chosen, f"{window}_table")
    return uri if table is None else {"uri": uri, "table": table}


def _split(words: str | None) -> list[str] | None:
    return None if words is None else [word.strip() for word in words.split(",")]


def _scores(words: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in words.split(",")]
    for label, equals, _ in pairs:
        if not equals:
            raise IncidentError(f"--scores has {label!r}; write CLASS=COLUMN,CLASS=COLUMN")
    return {label.strip(): column.strip() for label, _, column in pairs}


def _scalar(word: str) -> Any:
    """`1` is the number that a column of numbers holds; anything else is a text."""
    try:
        return int(word)
    except ValueError:
        return {"true": True, "false": False}.get(word.lower(), word)
