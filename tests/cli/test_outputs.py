"""Where the answer is written, and what it may not take the place of."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ruleout.cli import _answer
from ruleout.cli._main import main

FORMS = ("--json", "--html", "--markdown")
INCIDENT = """
title: Down
data:
  reference: reference.parquet
  current: {uri: 'sqlite:///served.db', table: t}
  graph: graph.dot
models: {current: "python:model:score", previous: saved}
probes:
  golden: {inputs: golden.parquet, expected: y}
  audit: {labels: "file://FOLDER/audit.parquet", key: id, label: y}
telemetry: {metrics: ['m-*.csv']}
changes: changes.csv
"""
INPUTS = (
    "incident.yaml",
    "reference.parquet",
    "served.db",
    "graph.dot",
    "model.py",
    "saved/MLmodel",
    "golden.parquet",
    "audit.parquet",
    "m-1.csv",
    "changes.csv",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An incident of every kind of input, in the working folder; the engine may not be asked."""
    (tmp_path / "saved").mkdir()
    for name in INPUTS:
        (tmp_path / name).write_text("precious", encoding="utf-8")
    (tmp_path / "graph.dot").write_text("digraph {a -> b}", encoding="utf-8")
    text = INCIDENT.replace("FOLDER", str(tmp_path))
    (tmp_path / "incident.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def diagnose(*_: object, **__: object) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(_answer, "diagnose", diagnose)
    return tmp_path


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_never_written_over(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Each kind of input is refused as a place for the answer, before anything is computed."""
    before = (folder / name).read_bytes()
    for form in FORMS:
        assert main(["diagnose", ".", form, name]) == 2
        told = capsys.readouterr().err
        assert f"{form} is {name!r}; the incident is read from that file; name another" in told
    assert (folder / name).read_bytes() == before


def test_another_name_of_an_input_is_the_input(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links and roundabout paths are seen through."""
    (folder / "link.json").symlink_to("reference.parquet")
    (folder / "hard.json").hardlink_to(folder / "reference.parquet")
    for name in ("link.json", "hard.json", "saved/../reference.parquet"):
        assert main(["diagnose", str(folder), "--json", name]) == 2
        assert "the incident is read from that file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--json", "a", "--html", "a"], "--html is 'a', and so is --json"),
        (["--json", "a", "--markdown", "./saved/../a"], "and so is --json"),
        (["--json", "-", "--markdown", "-"], "--markdown is '-', and so is --json"),
    ],
)
def test_each_form_has_a_place_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """Two forms in one file, or both on standard output, are refused."""
    assert main(["diagnose", ".", *words]) == 2
    assert told in capsys.readouterr().err
    assert not (folder / "a").exists()


@pytest.mark.parametrize(
    "words",
    [
        *(["diagnose", ".", form, ""] for form in FORMS),
        ["diagnose", ".", "--weights", ""],
        ["diagnose", ""],
        ["init", "a", "b", "-o", ""],
        ["demo", "nulls", "-o", " "],
        ["inject", ".", "unit_change", "--out", ""],
        ["fit", ".", "-o", ""],
    ],
)
def test_an_empty_name_is_no_place(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """A variable that was not set in a script does not go unnoticed."""
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert "names no file or folder" in capsys.readouterr().err


def test_a_table_in_a_database_may_be_diagnosed_beside_its_file(tmp_path: Path) -> None:
    """An answer that stands already is replaced when it is no input."""
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        connection.execute("create table t as select 1 as y, 1 as p")
        connection.commit()
    pl.DataFrame({"y": [0], "p": [1]}).write_parquet(tmp_path / "r.parquet")
    (tmp_path / "incident.yaml").write_text(
        "title: t\ndata: {reference: r.parquet, current: {uri: 'sqlite:///s.db', table: t}}\n"
    )
    answer = tmp_path / "d.json"
    for _ in range(2):
        assert main(["diagnose", str(tmp_path), "--json", str(answer), "--quiet"]) == 0
    assert json.loads(answer.read_text(encoding="utf-8"))["version"] == 1
