"""The two tables of an incident, wherever they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from ruleout._errors import IncidentError, SourceError
from ruleout.incident import DATABASES, Incident, TableSpec, Window, infer_task
from ruleout.incident._document import nearest
from ruleout.sources._databases import read_database, without_secret
from ruleout.sources._files import readable, scan_files
from ruleout.sources._frames import as_polars
from ruleout.sources._time import epoch_expression


@dataclass(frozen=True)
class TableSource:
    """A table that has been found and whose columns are known, but that has not been read."""

    name: str
    """Its place in the incident, `data.reference`."""

    place: str
    """Where it is, for messages; without secrets."""

    schema: Mapping[str, pl.DataType]
    rows: int | None
    """Number of rows, where it is known without reading them all."""

    lazy: pl.LazyFrame

    def scan(self) -> pl.LazyFrame:
        """The rows, in the order of the source."""
        return self.lazy

    def read(self, frame: pl.LazyFrame | None = None) -> pl.DataFrame:
        """All rows, or those of a `frame` derived from `scan`.

        Raises:
            SourceError: damage inside the file.
        """
        with readable(f"{self.name}: {self.place}"):
            return (self.lazy if frame is None else frame).collect()


def open_table(spec: TableSpec, folder: Path, name: str) -> TableSource:
    """Find a table and learn its columns.

    Args:
        spec: a path, glob, database URL or frame.
        folder: what relative paths are relative to.
        name: its place in the incident, for messages: `data.reference`.

    Raises:
        Unreachable: it is in a database that does not answer.
        SourceError: it is missing, empty, damaged, or not a table.
        IncidentError: its database has no such table, or cannot run the query.
        MissingExtra: reading it needs a driver that is not installed.
    """
    rows: int | None
    if spec.frame is not None:
        place = f"a {type(spec.frame).__module__.partition('.')[0]} frame"
        lazy, rows = as_polars(spec.frame, name), None
        if not isinstance(spec.frame, pl.LazyFrame):
            rows = len(spec.frame) if hasattr(spec.frame, "__len__") else None
    elif "://" in spec.uri and spec.uri.partition(":")[0] in DATABASES:
        place = without_secret(spec.uri)
        frame = read_database(spec, folder, name)
        lazy, rows = frame.lazy(), frame.height
    elif "://" in spec.uri and not spec.uri.startswith("file://"):
        raise SourceError(
            f"{name}: {without_secret(spec.uri)}: tables are read from files and from "
            f"{', '.join(scheme + '://' for scheme in DATABASES)}; download the table first"
        )
    else:
        place = spec.uri
        lazy, rows = scan_files(spec.uri, folder, name)
    with readable(f"{name}: {place}"):
        schema = dict(lazy.collect_schema())
    return TableSource(name, place, schema, rows, lazy)


def reference_and_current(incident: Incident) -> tuple[TableSource | None, TableSource | None]:
    """The tables of both windows.

    Two different tables are taken whole. Where one table holds both windows (only one of `data.reference` and
    `data.current` is given, or both name the same), it is split by `windows` on the timestamp column; a window
    that is not given is what comes before the current one, or from the end of the reference on. One table without any windows
    is that of its own role, and the other is None.

    Raises:
        IncidentError: one table has to be split and the windows or the timestamp are missing, or a database has no
            such table or cannot run the query.
        SourceError: as `open_table`.
    """
    data = incident.data
    if data.reference is None and data.current is None:
        return None, None
    if (
        data.reference is not None
        and data.current is not None
        and not _same(data.reference, data.current)
    ):
        return (
            _opened(data.reference, incident, "data.reference"),
            _opened(data.current, incident, "data.current"),
        )
    role = "data.reference" if data.current is None else "data.current"
    spec = data.reference or data.current or TableSpec()
    if incident.reference_window is None and incident.current_window is None:
        if data.reference is not None and data.current is not None:
            raise IncidentError(
                f"{incident.file}: data.reference and data.current name the same table; "
                "give `windows`, with the times that part it"
            )
        table = _opened(spec, incident, role)
        return (table, None) if data.current is None else (None, table)
    return _split(_opened(spec, incident, role), incident)


def _opened(spec: TableSpec, incident: Incident, name: str) -> TableSource:
    try:
        return open_table(spec, incident.folder, name)
    except IncidentError as error:
        raise IncidentError(f"{incident.file}: {error}") from error


def tables_found(
    incident: Incident,
) -> tuple[tuple[TableSource | None, TableSource | None], dict[str, SourceError]]:
    """The tables of both windows that can be opened, and why others cannot, by their names.

    Raises:
        IncidentError: as `reference_and_current`.
    """
    data = incident.data
    apart = data.reference is not None and data.current is not None
    if not apart or _same(data.reference or TableSpec(), data.current or TableSpec()):
        try:
            return reference_and_current(incident), {}
        except SourceError as error:
            names = [n for n in ("reference", "current") if getattr(data, n) is not None]
            return (None, None), {f"data.{n}": error for n in names}
    found: dict[str, TableSource] = {}
    failed: dict[str, SourceError] = {}
    for name, spec in (("data.reference", data.reference), ("data.current", data.current)):
        try:
            found[name] = open_table(spec or TableSpec(), incident.folder, name)
        except SourceError as error:
            failed[name] = error
    return (found.get("data.reference"), found.get("data.current")), failed


def with_task(
    incident: Incident, reference: TableSource | None, current: TableSource | None
) -> Incident:
    """The incident with its task told from the data, where it does not declare one.

    Raises:
        SourceError: damage inside a file.
    """
    if incident.task_declared or incident.task != "none":
        return incident
    columns = incident.data.columns
    for table in (reference, current):
        named = [
            c for c in (columns.target, columns.prediction) if c and table and c in table.schema
        ]
        if table is None or not named:
            continue
        frame = table.read(
            table.scan().select(pl.nth([list(table.schema).index(c) for c in named]))
        )
        values = {name: frame[name] for name in named}
        task = infer_task(values.get(columns.target or ""), values.get(columns.prediction or ""))
        if task != "none":
            return replace(incident, task=task)
    return incident


def _same(one: TableSpec, other: TableSpec) -> bool:
    if one.frame is not None or other.frame is not None:
        return one.frame is other.frame
    return one == other


def _split(table: TableSource, incident: Incident) -> tuple[TableSource, TableSource]:
    column = incident.data.columns.timestamp
    if column is None:
        raise IncidentError(
            f"{incident.file}: data.columns.timestamp: is missing; {table.place} holds both windows, and only "
            f"a column of times can part it; the columns are {', '.join(list(table.schema)[:20])}"
        )
    if column not in table.schema:
        raise IncidentError(
            f"{incident.file}: data.columns.timestamp is {column!r}; {table.place} has no such column; "
            f"{nearest(column, table.schema)}"
        )
    reference, current = incident.reference_window, incident.current_window
    if reference is None and current is not None:
        reference = Window(float("-inf"), current.start)
    elif current is None and reference is not None:
        current = Window(reference.end, float("inf"))
    return (
        _within(table, "data.reference", column, reference),
        _within(table, "data.current", column, current),
    )


def _within(table: TableSource, name: str, column: str, window: Window | None) -> TableSource:
    """The rows of one window; rows without a time belong to neither."""
    if window is None:
        return TableSource(name, table.place, table.schema, 0, table.lazy.head(0))
    seconds = epoch_expression(list(table.schema).index(column))
    rows = table.lazy.filter((seconds >= window.start) & (seconds < window.end))
    return TableSource(name, table.place, table.schema, None, rows)
