"""The hash of an incident's inputs."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from ruleout.incident import from_frames, load
from ruleout.sources import fingerprint, reference_and_current

FRAME = pl.DataFrame({"a": range(5), "s": ["x", None, "y", "ä", ""]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "one"
    (place / "model").mkdir(parents=True)
    (place / "model" / "MLmodel").write_text("flavor: x")
    (place / "t.parquet").write_bytes(b"anything")
    (place / "m-1.csv").write_text("1")
    (place / "incident.yaml").write_text(
        "title: x?\ndata: {reference: t.parquet, current: none.parquet}\n"
        "models: {current: model}\ntelemetry: {metrics: ['m-*.csv']}"
    )
    return place


def test_place_and_time_do_not_matter(folder: Path, tmp_path: Path) -> None:
    """A copy of the folder elsewhere, with other file times, has the same fingerprint."""
    before = fingerprint(load(folder))
    assert len(before) == 64
    shutil.copytree(folder, tmp_path / "two")
    os.utime(tmp_path / "two" / "t.parquet", (0, 0))
    assert fingerprint(load(tmp_path / "two")) == before


@pytest.mark.parametrize(
    ("name", "text"), [("t.parquet", "other"), ("model/MLmodel", "y"), ("m-1.csv", "2"), ("m-2.csv", "1"), ("none.parquet", "")]
)  # fmt: skip
def test_every_input_matters(folder: Path, name: str, text: str) -> None:
    """Another byte in a table, a model's folder or a globbed file, or one more file, is another fingerprint."""
    before = fingerprint(load(folder))
    (folder / name).write_text(text)
    assert fingerprint(load(folder)) != before


def test_what_the_incident_says_matters(folder: Path) -> None:
    """Another title is another incident."""
    before = fingerprint(load(folder))
    text = (folder / "incident.yaml").read_text()
    (folder / "incident.yaml").write_text(text.replace("x?", "y"))
    assert fingerprint(load(folder)) != before


def test_frames_count_by_content() -> None:
    """A frame's fingerprint depends on its values and names, not on its chunks or category codes."""

    def of(frame: pl.DataFrame) -> str:
        return fingerprint(from_frames(frame, FRAME))

    whole = of(FRAME)
    assert of(pl.concat([FRAME.head(2), FRAME.tail(3)], rechunk=False)) == whole
    assert of(pl.concat([FRAME, FRAME]).tail(5)) == whole
    assert of(FRAME.with_columns(a=pl.col("a") + 1)) != whole
    assert of(FRAME.rename({"a": "b"})) != whole
    assert of(FRAME.reverse()) != whole
    wide = pl.DataFrame({"a": pl.Series([10**30, None], dtype=pl.Int128)})
    assert of(wide) == of(wide.clone()) != of(wide.with_columns(a=pl.col("a") + 1))
    codes = [pl.Series("s", words, dtype=pl.Categorical) for words in (["u", "v"], ["v", "u", "v"])]
    assert of(codes[0].to_frame()) == of(codes[1].tail(2).to_frame())


def test_databases_count_by_content(tmp_path: Path) -> None:
    """Two databases of one address and different rows differ once their tables are opened."""
    prints = []
    for rows in (1, 2):
        place = tmp_path / str(rows)
        place.mkdir()
        with closing(sqlite3.connect(place / "x.db")) as connection:
            connection.execute("CREATE TABLE t (a INTEGER)")
            connection.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(rows)])
            connection.commit()
        incident = from_frames({"uri": "sqlite:///x.db", "table": "t"}, FRAME, folder=place)
        reference, _ = reference_and_current(incident)
        prints.append(fingerprint(incident, {"data.reference": reference}))
    assert prints[0] != prints[1]


def test_columns_of_every_kind() -> None:
    """Every type of column is hashed; a change of one value, of a null or of a boundary between values is seen."""
    columns: list[list[list[object]]] = [
        [[1, None], [1, 0], [0, None]],
        [[0.5, None], [0.5, 0.25]],
        [[True, None], [True, False], [False, None]],
        [["ab", "c"], ["a", "bc"], ["abc", None], ["abc", ""]],
        [[b"ab", b"c"], [b"a", b"bc"], [b"ab", None]],
        [[[1, 2], [3]], [[1], [2, 3]], [[1, 2], None], [[1, 2], []]],
        [[{"a": 1}, {"a": 2}], [{"a": 1}, None], [{"a": 1}, {"a": None}]],
        [[None, None], [None]],
    ]
    prints = [
        fingerprint(from_frames(pl.DataFrame({"x": values}), "none.csv"))
        for variants in columns
        for values in variants
    ]
    assert len(set(prints)) == len(prints)
