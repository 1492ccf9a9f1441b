"""Tables in databases: SQLite, DuckDB and PostgreSQL, read in batches over a read-only connection.

Names of tables are quoted, never pasted; a password is taken from the URL or the environment and is never shown.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import polars as pl

from ruleout._errors import IncidentError, SourceError, Unreachable, need
from ruleout.incident import TableSpec
from ruleout.incident._document import nearest
from ruleout.sources._files import nearest_file
from ruleout.sources._frames import refuse_repeated

_BATCH = 50_000
_NO_COLUMNS = "the query returns no columns; it must be a SELECT"


def read_database(spec: TableSpec, folder: Path, name: str) -> pl.DataFrame:
    """The rows of `spec.table` or of `spec.query`.

    Paths of SQLite and DuckDB files are relative to `folder` (`sqlite:///file.db`) or absolute (`sqlite:////srv/file.db`).
    `${NAME}` in a URL is the environment variable NAME, so that no secret needs to be written down.

    Raises:
        Unreachable: no server answers.
        SourceError: the database is not there or damaged.
        IncidentError: the table is not there, or the query is not valid.
        MissingExtra: the database's driver is not installed.
    """
    url = _expand(spec.uri, name)
    scheme = url.partition("://")[0]
    query = spec.query if spec.query is not None else f"SELECT * FROM {quoted(spec.table or '')}"  # noqa: S608 - quoted
    where = f"{name}: {without_secret(spec.uri)}"
    if scheme == "sqlite":
        return _read_sqlite(_file(url, folder, where), query, where)
    if scheme == "duckdb":
        return _read_duckdb(_file(url, folder, where), query, where)
    return _read_postgres(url, query, where)


def quoted(table: str) -> str:
    """A table's name, with its schema if it has one, as SQL identifiers."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in table.split("."))


def without_secret(text: str, url: str = "") -> str:
    """A URL, or a message that may hold the password of `url`, with the password masked."""
    text = re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", text)
    text = re.sub(r"(?i)(password=)[^&\s]+", r"\1***", text)
    password = urlsplit(url).password if url else None
    for secret in {password, unquote(password)} if password else ():
        text = text.replace(secret, "***")
    return text


def _expand(uri: str, name: str) -> str:
    def value(match: re.Match[str]) -> str:
        variable = match.group(1)
        if variable not in os.environ:
            raise SourceError(
                f"{name}: the environment variable {variable!r} in its URL is not set"
            )
        return os.environ[variable]

    return re.sub(r"\$\{(\w+)\}", value, uri)


def database_file(url: str, folder: Path) -> Path:
    """The file of a SQLite or DuckDB URL."""
    return folder / unquote(url.partition("://")[2].partition("?")[0].removeprefix("/"))


def _file(url: str, folder: Path, where: str) -> Path:
    path = database_file(url, folder)
    if not path.is_file():
        raise SourceError(f"{where}: there is no database file {path}{nearest_file(path)}")
    return path


def _read_sqlite(path: Path, query: str, where: str) -> pl.DataFrame:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return _assemble(names, _batches(cursor.fetchmany), where)
    except sqlite3.Error as error:
        # What is wrong with the statement has the plainest code, or none at all: sqlite3 itself refuses it.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY):
            raise IncidentError(f"{where}: {error}; {_sqlite_way_out(path, error)}") from error
        raise SourceError(f"{where}: {error}; check that it is a database of SQLite") from error


def _sqlite_way_out(path: Path, error: sqlite3.Error) -> str:
    missing = re.match(r"no such table: (\S+)", str(error))
    if missing is None:
        return "check `table` or `query`"
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
        )
        return nearest(missing.group(1), [name for (name,) in tables])


def _read_duckdb(path: Path, query: str, where: str) -> pl.DataFrame:
    duckdb = need("duckdb", extra="duckdb")
    try:
        opened = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise SourceError(
            f"{where}: {_first_line(error)}; check that DuckDB can open it"
        ) from error
    try:
        with opened as connection:
            relation = connection.sql(query)
            if relation is None:
                raise IncidentError(f"{where}: {_NO_COLUMNS}")
            refuse_repeated(relation.columns, where)
            frame = pl.DataFrame(relation)
            return frame.with_columns(pl.selectors.decimal().cast(pl.Float64))
    except duckdb.ProgrammingError as error:
        raise IncidentError(f"{where}: {_first_line(error)}; check `table` or `query`") from error
    except duckdb.Error as error:
        raise SourceError(f"{where}: {_first_line(error)}; check `table` or `query`") from error


def _read_postgres(url: str, query: str, where: str) -> pl.DataFrame:
    """A server-side cursor in a read-only transaction: the client holds one batch of rows at a time as tuples."""
    psycopg = need("psycopg", extra="postgres")
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            connection.read_only = True
            with connection.cursor(name="ruleout") as cursor:
                cursor.execute(query)
                names = [column.name for column in cursor.description or ()]
                return _assemble(names, _batches(cursor.fetchmany), where)
    except psycopg.OperationalError as error:
        reason = without_secret(_first_line(error), url)
        raise Unreachable(
            f"{where}: {reason}; check that the server runs and the address is right"
        ) from error
    except (psycopg.ProgrammingError, psycopg.errors.ReadOnlySqlTransaction) as error:
        reason = without_secret(_first_line(error), url)
        raise IncidentError(f"{where}: {reason}; check the URL and `table` or `query`") from error
    except psycopg.Error as error:
        reason = without_secret(_first_line(error), url)
        raise SourceError(f"{where}: {reason}; check the URL and `table` or `query`") from error


def _first_line(error: Exception) -> str:
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )


def _batches(fetch: Callable[[int], list[Any]]) -> Iterator[list[Any]]:
    while rows := fetch(_BATCH):
        yield rows


def _assemble(names: list[str], batches: Iterable[list[Any]], where: str) -> pl.DataFrame:
    """Batches of tuples as one frame; a column takes the type that holds all of its batches."""
    if not names:
        raise IncidentError(f"{where}: {_NO_COLUMNS}")
    refuse_repeated(names, where)
    frames = []
    for rows in batches:
        columns = [_column([r[i] for r in rows]).alias(label) for i, label in enumerate(names)]
        frames.append(pl.DataFrame(columns))
    if not frames:
        return pl.DataFrame({label: [] for label in names}, schema=dict.fromkeys(names, pl.Null))
    return pl.concat(frames, how="vertical_relaxed", rechunk=True)


def _column(values: list[Any]) -> pl.Series:
    """A column of Python values; decimals become floats, and what no type holds becomes text."""
    kinds = {type(value).__name__ for value in values if value is not None}
    if "Decimal" in kinds:
        return pl.Series([None if v is None else float(v) for v in values], dtype=pl.Float64)
    if kinds & {"dict", "UUID"} or (len(kinds) > 1 and not kinds <= {"int", "float", "bool"}):
        return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    series = pl.Series(values, strict=False)
    zoned = isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone is not None
    return series.dt.convert_time_zone("UTC") if zoned else series
