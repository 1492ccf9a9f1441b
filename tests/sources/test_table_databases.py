"""Tables in databases; PostgreSQL over a real connection."""

from __future__ import annotations

import datetime as dt
import glob
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from ruleout._errors import IncidentError, RuleoutError, SourceError, Unreachable
from ruleout.incident import TableSpec, from_frames
from ruleout.sources import open_table, reference_and_current

HOSTILE = 'served"; DROP TABLE served; --'


def read(folder: Path, uri: str, **what: str) -> pl.DataFrame:
    return open_table(TableSpec(uri=uri, **what), folder, "data.current").read()


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    quoted = HOSTILE.replace('"', '""')
    with closing(sqlite3.connect(tmp_path / "rows.db")) as connection:
        connection.execute("CREATE TABLE served (a INTEGER, b TEXT, c BLOB, d)")
        connection.executemany(
            "INSERT INTO served VALUES (?, ?, ?, ?)", [(1, "x", b"\x00", 1), (2, None, None, "y")]
        )
        connection.execute(f'CREATE TABLE "{quoted}" (z REAL)')
        connection.commit()
    return tmp_path


def test_sqlite(sqlite: Path) -> None:
    """A SQLite table or query is read, its types from its values; columns of mixed values are text."""
    frame = read(sqlite, "sqlite:///rows.db", table="served")
    assert frame.to_dict(as_series=False) == {
        "a": [1, 2],
        "b": ["x", None],
        "c": [b"\x00", None],
        "d": ["1", "y"],
    }
    absolute = f"sqlite:///{sqlite}/rows.db"
    assert read(Path("/"), absolute, query="SELECT a * 2 AS double FROM served")[
        "double"
    ].to_list() == [2, 4]


def test_a_hostile_table_name_is_only_a_name(sqlite: Path) -> None:
    """A table whose name is SQL is read as a table, and nothing else happens."""
    assert read(sqlite, "sqlite:///rows.db", table=HOSTILE).columns == ["z"]
    assert read(sqlite, "sqlite:///rows.db", table="served").height == 2


def test_nothing_is_written(sqlite: Path) -> None:
    """A query that would change the database is refused by the read-only connection."""
    with pytest.raises(IncidentError, match="readonly"):
        read(sqlite, "sqlite:///rows.db", query="DELETE FROM served")
    assert read(sqlite, "sqlite:///rows.db", table="served").height == 2


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_what_is_not_there(tmp_path: Path, scheme: str) -> None:
    """A missing file is an error, and is not created."""
    with pytest.raises(SourceError, match=r"there is no database file .*none\.db$"):
        read(tmp_path, f"{scheme}:///none.db", table="t")
    assert not list(tmp_path.iterdir())
    (tmp_path / "nome.db").touch()
    with pytest.raises(SourceError, match=r"the nearest file is 'nome\.db'"):
        read(tmp_path, f"{scheme}:///none.db", table="t")


def test_wrong_tables_and_queries(sqlite: Path) -> None:
    """An unknown table and wrong SQL are mistakes of the incident, repeated columns and a damaged file are not."""
    mistakes: tuple[tuple[type[RuleoutError], dict[str, str], str], ...] = (
        (IncidentError, {"table": "serve"}, "no such table: serve; did you mean 'served'?"),
        (IncidentError, {"query": "SELEC 1"}, "syntax error"),
        (IncidentError, {"query": "SELECT 1; SELECT 2"}, "one statement at a time"),
        (SourceError, {"query": "SELECT 1 AS a, 2 AS a"}, "'a' occurs more than once"),
    )
    for kind, what, told in mistakes:
        with pytest.raises(kind, match=re.escape(told)):
            read(sqlite, "sqlite:///rows.db", **what)
    (sqlite / "bad.db").write_bytes(b"not a database at all, but long enough to look")
    with pytest.raises(SourceError, match="not a database"):
        read(sqlite, "sqlite:///bad.db", table="t")


def test_duckdb(tmp_path: Path) -> None:
    """A DuckDB table is read with its types, decimals as floats; a query as well."""
    with duckdb.connect(str(tmp_path / "rows.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT range AS a, 1.5::DECIMAL(9, 2) AS d, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS ts FROM range(3)"
        )
    frame = read(tmp_path, "duckdb:///rows.duckdb", table="t")
    assert frame["d"].to_list() == [1.5] * 3
    assert frame["ts"].dt.convert_time_zone("UTC")[0] == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert read(tmp_path, "duckdb:///rows.duckdb", query="SELECT sum(a)::INT AS s FROM t")[
        "s"
    ].to_list() == [3]
    for what in ({"table": "none"}, {"query": "SELEC 1"}, {"query": "DROP TABLE t"}):
        with pytest.raises(IncidentError, match=r"check `table` or `query`|must be a SELECT"):
            read(tmp_path, "duckdb:///rows.duckdb", **what)
    (tmp_path / "bad.duckdb").write_bytes(b"no database" * 400)
    with pytest.raises(SourceError, match="check that DuckDB can open it"):
        read(tmp_path, "duckdb:///bad.duckdb", table="t")


def test_passwords_are_not_shown() -> None:
    """Neither a refused connection nor a malformed URL shows the password."""
    for url in ("postgresql://u:s3cr3t@127.0.0.1:1/x", "postgresql://u:s3 cr3t@127.0.0.1:port/x"):
        with pytest.raises(RuleoutError) as caught:
            read(Path(), url, table="t")
        shown = str(caught.value)
        assert "cr3t" not in shown
        assert "u:***@" in shown


def test_an_unreachable_server() -> None:
    """A server that does not answer is unreachable, not merely wrong."""
    with pytest.raises(Unreachable, match="check that the server runs"):
        read(Path(), "postgresql://u@127.0.0.1:1/x", table="t")


def test_secrets_from_the_environment(sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`${NAME}` in a URL is a variable of the environment; an unset one is named."""
    monkeypatch.setenv("RULEOUT_TEST_FILE", "rows.db")
    assert read(sqlite, "sqlite:///${RULEOUT_TEST_FILE}", table="served").height == 2
    monkeypatch.delenv("RULEOUT_TEST_FILE")
    with pytest.raises(SourceError, match=r"'RULEOUT_TEST_FILE'.*is not set"):
        read(sqlite, "sqlite:///${RULEOUT_TEST_FILE}", table="served")


def _binary(name: str) -> str | None:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))  # noqa: PTH207
    return found[-1] if found else shutil.which(name)


def _as_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])  # not everybody's
    runuser = shutil.which("runuser", path=path) or pytest.skip("no runuser to leave root by")
    return [runuser, "-u", "postgres", "--", *command]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of its own on a free loopback port."""
    initdb, server = _binary("initdb"), _binary("postgres")
    if initdb is None or server is None:
        pytest.skip(
            "PostgreSQL's initdb and postgres are not installed (Debian: apt-get install postgresql)"
        )
    home = tmp_path_factory.mktemp("postgres")
    for folder in (home, *home.parents[:2]):
        folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(home, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / "password").write_text("s3cr3t\n")
    data = str(home / "data")
    init = [
        initdb,
        "-D",
        data,
        "-U",
        "ruleout",
        "-A",
        "scram-sha-256",
        f"--pwfile={home / 'password'}",
        "--no-sync",
    ]
    subprocess.run(_as_user(init), check=True, capture_output=True, cwd=home)
    run = [server, "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", str(home), "-F"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(_as_user(run), stdout=log, stderr=log, cwd=home)
    url = f"postgresql://ruleout:s3cr3t@127.0.0.1:{port}/postgres"
    try:
        _wait(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.mark.service
def test_postgres(postgres: str) -> None:
    """A PostgreSQL table of more rows than one batch arrives with its types, by name or by query."""
    with psycopg.connect(postgres) as connection:
        connection.execute(
            "CREATE TABLE served AS SELECT i AS id, i / 4.0 AS price, CASE WHEN i % 2 = 0 THEN 'x' END AS word, "
            "TIMESTAMPTZ '2026-01-01 00:00:00+00' + i * INTERVAL '1 second' AS ts, i % 3 = 0 AS flag, "
            "ARRAY[i, i]::float8[] AS vector, '\\x00ff'::bytea AS raw, "
            "'{\"a\": 1}'::jsonb AS doc FROM generate_series(0, 119999) AS i"
        )
        connection.execute(f'CREATE TABLE "{HOSTILE.replace(chr(34), chr(34) * 2)}" (z int)')
    table = open_table(TableSpec(uri=postgres, table="public.served"), Path(), "data.current")
    assert table.rows == 120_000
    frame = table.read().sort("id")
    assert frame.schema["price"] == pl.Float64
    assert frame.schema["ts"] == pl.Datetime("us", "UTC")
    assert frame.row(3, named=True) | {"raw": b"", "doc": ""} == {
        "id": 3,
        "price": 0.75,
        "word": None,
        "ts": dt.datetime(2026, 1, 1, 0, 0, 3, tzinfo=dt.UTC),
        "flag": True,
        "vector": [3.0, 3.0],
        "raw": b"",
        "doc": "",
    }
    assert read(Path(), postgres, query="SELECT count(*)::int AS n FROM served")["n"].to_list() == [
        120_000
    ]
    assert read(Path(), postgres, table=HOSTILE).columns == ["z"]


@pytest.mark.service
def test_postgres_mistakes(postgres: str) -> None:
    """A missing table, wrong SQL, a write and a wrong password are told apart, without the password."""
    for what, told in (
        ({"table": "none"}, '"none" does not exist'),
        ({"query": "SELEC 1"}, "syntax error"),
        ({"query": "CREATE TABLE x (a int)"}, "syntax error|read-only"),
    ):
        with pytest.raises(IncidentError, match=told):
            read(Path(), postgres, **what)
    with pytest.raises(Unreachable, match="password authentication failed") as caught:
        read(Path(), postgres.replace("s3cr3t", "gu3ss3d"), table="served")
    assert "gu3ss3d" not in str(caught.value)


def test_the_incident_is_named_that_has_the_wrong_table(sqlite: Path) -> None:
    """What is wrong with a table's name is a mistake in the file that names it."""
    spec = {"uri": "sqlite:///rows.db", "table": "serve"}
    incident = from_frames(spec, "x.parquet", folder=sqlite, file="incident.yaml")
    with pytest.raises(IncidentError, match=r"^incident\.yaml: data\.reference: .*did you mean"):
        reference_and_current(incident)
