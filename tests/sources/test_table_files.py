"""Tables in files."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from ruleout._errors import SourceError
from ruleout.incident import TableSpec
from ruleout.sources import TableSource, open_table

FRAME = pl.DataFrame({"a": [1, 2], "b": ["x", None]})


def opened(folder: Path, uri: str) -> TableSource:
    return open_table(TableSpec(uri=uri), folder, "data.reference")


def csv(folder: Path, text: str, name: str = "t.csv") -> pl.DataFrame:
    (folder / name).write_text(text, encoding="utf-8")
    return opened(folder, name).read()


def test_parquet(tmp_path: Path) -> None:
    """A Parquet file is found relative to the folder; its rows are known without reading them."""
    FRAME.write_parquet(tmp_path / "t.parquet")
    table = opened(tmp_path, "t.parquet")
    assert table.rows == 2
    assert table.schema == {"a": pl.Int64(), "b": pl.String()}
    assert table.read().equals(FRAME)
    assert opened(Path("/"), str(tmp_path / "t.parquet")).rows == 2


def test_globs_are_sorted_and_may_differ(tmp_path: Path) -> None:
    """The files of a glob stand below each other by name; a column that some lack is null there."""
    FRAME.write_parquet(tmp_path / "day-2.parquet")
    pl.DataFrame({"a": [0.5], "c": [True]}).write_parquet(tmp_path / "day-1.parquet")
    table = opened(tmp_path, "day-*.parquet")
    assert table.rows == 3
    assert table.read().to_dict(as_series=False) == {
        "a": [0.5, 1.0, 2.0],
        "c": [True, None, None],
        "b": [None, "x", None],
    }


def test_other_formats(tmp_path: Path) -> None:
    """Arrow, JSON lines and compressed CSV are read by their names."""
    FRAME.write_ipc(tmp_path / "t.arrow")
    FRAME.write_ndjson(tmp_path / "t.jsonl")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(FRAME.write_csv().encode()))
    for name in ("t.arrow", "t.jsonl", "t.csv.gz"):
        assert opened(tmp_path, name).read().equals(FRAME), name


def test_types_come_from_all_rows(tmp_path: Path) -> None:
    """A column that is whole for ten thousand rows and then is not, is read all the same."""
    rows = "".join(f"{i},{i}\n" for i in range(12_000))
    frame = csv(tmp_path, "a,b\n" + rows + "0.5,x\n")
    assert frame.schema == {"a": pl.Float64(), "b": pl.String()}
    assert frame["b"].null_count() == 0


def test_gaps_of_numbers_and_words_of_texts(tmp_path: Path) -> None:
    """`NA` in a column of numbers is a gap; in a column of texts it is Namibia."""
    frame = csv(tmp_path, "n,t,empty\n1,NA,\nNA,DE,\n2.5,FR,\n")
    assert frame["n"].to_list() == [1.0, None, 2.5]
    assert frame["t"].to_list() == ["NA", "DE", "FR"]
    assert frame["empty"].null_count() == 3


@pytest.mark.parametrize(
    ("sign", "name"), [(";", "t.csv"), ("\t", "t.csv"), ("\t", "t.tsv"), ("|", "t.csv")]
)
def test_separators(tmp_path: Path, sign: str, name: str) -> None:
    """Semicolons, tabs and bars separate as well as commas do."""
    assert csv(tmp_path, f"a{sign}b\n1{sign}x\n2{sign}\n", name).equals(FRAME)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """The first column of a file saved by a spreadsheet has its own name."""
    assert csv(tmp_path, "\ufeffa,b\n1,x\n").columns == ["a", "b"]


def test_hostile_column_names(tmp_path: Path) -> None:
    """Any name is only a name."""
    frame = csv(tmp_path, "*,^n$,n\nNA,NA,NA\n1,2,3\n")
    assert frame["*"].to_list() == [None, 1.0]
    assert frame.columns == ["*", "^n$", "n"]
    frame = csv(tmp_path, '"""; DROP TABLE x","<script>","ü a"\n1,2,3\n')
    assert frame.columns == ['"; DROP TABLE x', "<script>", "ü a"]


def test_no_rows(tmp_path: Path) -> None:
    """A table of a header alone is a table of no rows."""
    assert csv(tmp_path, "a,b\n").height == 0
    FRAME.head(0).write_parquet(tmp_path / "t.parquet")
    assert opened(tmp_path, "t.parquet").rows == 0


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", b"", "is empty"),
        ("t.parquet", b"", "is empty"),
        ("t.csv", b"a,a\n1,2\n", "'a' occurs more than once"),
        ("t.csv", b"a,b\n1,\xe9\n", r"byte 6 is not UTF-8.*iconv"),
        ("t.csv", "a,b\n1,é\n".encode("utf-16"), "looks like UTF-16"),
        ("t.csv", b"a,b\n1,2,3\n", "cannot be read"),
        ("t.parquet", b"PAR1 not really", "cannot be read"),
        ("t.arrow", b"ARROW1 not really", "cannot be read"),
        ("t.jsonl", b"{not json", "cannot be read"),
        ("t.csv.gz", b"not gzip", "cannot be read"),
        (
            "t.csv.gz",
            gzip.compress(b"a,b\n1,2\n" * 500)[:-20],
            "cannot be read: Compressed file ended",
        ),
        ("t.csv.gz", gzip.compress(b"")[:10] + b"\xff" * 40, "cannot be read"),
        ("t.xlsx", b"PK", r"of this kind are not read; known: \.csv"),
        ("t", b"x", "of this kind are not read"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    """An empty, repeated, mis-encoded, damaged or unknown file is an error that names it."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=told) as caught:
        opened(tmp_path, name).read()
    assert "data.reference" in str(caught.value)
    assert name in str(caught.value)


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    """A Parquet file whose end is missing is an error when it is opened."""
    FRAME.write_parquet(tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:-20])
    with pytest.raises(SourceError, match=r"t\.parquet.*cannot be read"):
        opened(tmp_path, "t.parquet")


def test_damage_inside_a_parquet_file(tmp_path: Path) -> None:
    """A Parquet file that opens but whose pages are damaged is an error when it is read."""
    pl.DataFrame({"a": list(range(10_000))}).write_parquet(tmp_path / "t.parquet")
    raw = bytearray((tmp_path / "t.parquet").read_bytes())
    raw[4:200] = bytes(196)
    (tmp_path / "t.parquet").write_bytes(raw)
    with pytest.raises(SourceError, match="cannot be read"):
        opened(tmp_path, "t.parquet").read()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("none.parquet", r"none\.parquet does not exist$"),
        ("referense.parquet", r"does not exist; the nearest file is 'reference\.parquet'"),
        ("gone/t.parquet", "does not exist; nor does the folder .*gone"),
        ("none*.parquet", "matches no file"),
        (".", r"is a folder.*a glob such as"),
        ("https://host/t.parquet", "download the table first"),
    ],
)
def test_what_is_not_there(tmp_path: Path, uri: str, told: str) -> None:
    """A path to nothing, a glob of nothing, a folder and a web page are told apart; a near name is offered."""
    (tmp_path / "reference.parquet").touch()
    with pytest.raises(SourceError, match=told):
        opened(tmp_path, uri)
