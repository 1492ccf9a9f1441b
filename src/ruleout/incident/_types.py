"""Whether the columns that an incident names are of types that their roles can have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import polars as pl

from ruleout._errors import IncidentError
from ruleout.incident._model import Columns, Incident

Schema = Mapping[str, pl.DataType]


class _Rule(NamedTuple):
    """What a role asks of the type of its column."""

    holds: Callable[[pl.DataType], bool]
    usual: Callable[[pl.DataType], bool]
    """Types of columns that are worth naming instead."""

    wanted: str


def is_nested(dtype: pl.DataType) -> bool:
    """Whether a value of this type has parts: lists, arrays and structs."""
    return isinstance(dtype, pl.List | pl.Array | pl.Struct)


def _is_text(dtype: pl.DataType) -> bool:
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def _is_label(dtype: pl.DataType) -> bool:
    return not is_nested(dtype) and dtype not in (pl.Duration, pl.Object)


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean or _is_text(dtype)


def _is_date(dtype: pl.DataType) -> bool:
    return dtype in (pl.Datetime, pl.Date)


def _is_instant(dtype: pl.DataType) -> bool:
    return _is_date(dtype) or dtype.is_numeric() or _is_text(dtype)


def _is_vector(dtype: pl.DataType) -> bool:
    if not isinstance(dtype, pl.List | pl.Array):
        return False
    inner = dtype.inner
    return inner == pl.Null or inner.is_numeric()


_LABEL = _Rule(_is_label, _is_label, "single values: texts, numbers or booleans")
_NUMBER = _Rule(_is_number, lambda dtype: dtype.is_float(), "numbers")
_INSTANT = _Rule(_is_instant, _is_date, "times: datetimes, dates, ISO 8601 texts or epochs")
_RULES = {
    "timestamp": _INSTANT,
    "label_available_at": _INSTANT,
    "target": _LABEL,
    "prediction": _LABEL,
    "score": _NUMBER,
    "weight": _NUMBER,
    "text": _Rule(_is_label, _is_text, "texts"),
    "embedding": _Rule(_is_vector, _is_vector, "lists of numbers, all of one length"),
}
_MAY_CHANGE = ("text", "embedding")
"""Inputs: where the reference can be read, another type in the current table is evidence and no mistake."""


def check_types(incident: Incident, reference: Schema | None, current: Schema | None) -> None:
    """Refuse a column whose type its role cannot have.

    Args:
        incident: the incident whose `data.columns` names columns.
        reference: the columns of the reference table and their types, or None if there is none.
        current: those of the current table, or None.

    Raises:
        IncidentError: names the key, the column, the table, the type, what it must be and columns to name instead.
    """
    tables = {"data.reference": reference or {}, "data.current": current or {}}
    for key, column, rule in _ruled(incident.data.columns):
        seen = {name: schema[column] for name, schema in tables.items() if column in schema}
        for place, (name, dtype) in enumerate(seen.items()):
            if dtype == pl.Null or rule.holds(dtype) or (place and key in _MAY_CHANGE):
                continue
            raise IncidentError(
                f"{incident.file}: data.columns.{key} is {column!r}; {name} has it as {dtype}, and it must hold "
                f"{rule.wanted}; {_way_out(rule, key, incident.data.columns, tables[name])}"
            )


def _ruled(columns: Columns) -> Iterator[tuple[str, str, _Rule]]:
    """(key, column, rule) of every role that asks for a type."""
    for role, rule in _RULES.items():
        column = getattr(columns, role)
        if column is not None:
            yield role, column, rule
    yield from ((f"scores.{label}", column, _NUMBER) for label, column in columns.scores.items())


def _way_out(rule: _Rule, key: str, columns: Columns, schema: Schema) -> str:
    named = {column for _, column, _ in _ruled(columns)} | {columns.id, *columns.segments}
    fitting = [repr(n) for n, dtype in schema.items() if n not in named and rule.usual(dtype)]
    shown = ", ".join(fitting[:8]) + (f", ... ({len(fitting)} in all)" if len(fitting) > 8 else "")
    return f"convert it, {f'name another column ({shown})' if shown else 'name another column'}, or leave {key} out"
