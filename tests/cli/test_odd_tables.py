"""Whatever the tables hold, `diagnose` answers: no traceback, no crashed check, no wrong certainty."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout.cli._main import main

Table = pl.DataFrame
START = pl.datetime(2026, 1, 1)


def served(seed: int = 0, rows: int = 600) -> Table:
    """A healthy log of a binary classifier."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    p = 1 / (1 + np.exp(-2 * x))
    minutes = pl.duration(minutes=rows - 1)
    return pl.DataFrame(
        {
            "x": x,
            "c": rng.choice(["a", "b", "c"], rows),
            "y": (rng.random(rows) < p).astype(int),
            "p": p,
            "d": (p > 0.5).astype(int),
            "ts": pl.datetime_range(START, START + minutes, "1m", eager=True),
        }
    )


def both(change: Callable[[Table], Table]) -> Callable[[], tuple[Table, Table]]:
    return lambda: (change(served()), change(served(1)))


def current(change: Callable[[Table], Table]) -> Callable[[], tuple[Table, Table]]:
    return lambda: (served(), change(served(1)))


def put(**columns: Any) -> Callable[[Table], Table]:
    return lambda table: table.with_columns(**columns)


STRANGE = {"x": '"; DROP TABLE served; --', "c": "<script>alert(1)</script>"}
THIRDS = pl.int_range(pl.len()) % 3

QUIET: dict[str, Callable[[], tuple[Table, Table]]] = {
    "nothing is wrong": both(put()),
    "constant column": both(put(x=pl.lit(1.0))),
    "null column": both(put(n=pl.lit(None))),
    "hostile names": both(lambda t: t.rename(STRANGE)),
    "names that are patterns": both(lambda t: t.rename({"x": "*", "c": "^.*$"})),
    "names in any script": both(lambda t: t.rename({"x": "größe", "c": "価格 😀"})),
    "nested column": both(put(s=pl.struct("x", "c"))),
    "list column": both(put(v=pl.lit([1.0, 2.0]))),
    "binary column": both(put(b=pl.lit(b"ab"))),
    "decimal column": both(put(x=pl.col("x").cast(pl.Decimal(12, 4)))),
    "categorical column": both(put(c=pl.col("c").cast(pl.Categorical))),
    "duration column": both(put(u=pl.duration(hours=1))),
    "clock column": both(put(u=pl.time(1, 2))),
    "boolean target": both(put(y=pl.col("y") == 1)),
    "target as text now": current(put(y=pl.col("y").cast(pl.String))),
    "decision as a float now": current(put(d=pl.col("d").cast(pl.Float64))),
    "times as text": both(put(ts=pl.col("ts").dt.strftime("%Y-%m-%d %H:%M"))),
    "zoned times": both(put(ts=pl.col("ts").dt.replace_time_zone("Asia/Tokyo"))),
    "reference later than current": lambda: (put(ts=pl.col("ts") + pl.duration(days=90))(served()), served(1)),
    "reference without times": lambda: (put(ts=pl.lit(None, dtype=pl.Datetime))(served()), served(1)),
    "one row each": lambda: (served(rows=1), served(1, rows=1)),
}  # fmt: skip
ODD = {
    "input as lists now": current(lambda t: t.with_columns(x=pl.concat_list("x"))),
    "input as structs now": current(lambda t: t.with_columns(c=pl.struct("c"))),
    "input of integers too wide for numpy": both(put(w=pl.lit(10**30, dtype=pl.Int128))),
    "all rows repeated": current(lambda t: pl.concat([t, t])),
    "no current rows": current(lambda t: t.head(0)),
    "no reference rows": lambda: (served().head(0), served(1)),
    "no rows": both(lambda t: t.head(0)),
    "one current row": current(lambda t: t.head(1)),
    "one class": current(put(y=pl.lit(1))),
    "null now": current(put(x=pl.lit(None, dtype=pl.Float64))),
    "null type now": current(put(x=pl.lit(None))),
    "all of the reference null": lambda: (served().clear(600), served(1)),
    "infinite and not a number": current(put(x=pl.when(THIRDS == 0).then(float("inf")).when(THIRDS == 1).then(float("nan")).otherwise(1.0))),
    "numbers as text now": current(put(x=pl.col("x").cast(pl.String))),
    "every row its own category": current(put(c=pl.int_range(pl.len()).cast(pl.String))),
    "no labels now": current(lambda t: t.drop("y")),
    "a feature vanished": current(lambda t: t.drop("x")),
    "no decisions now": current(lambda t: t.drop("d")),
    "no scores now": current(lambda t: t.drop("p")),
    "scores as words": current(put(p=pl.lit("high"))),
    "scores out of range": current(put(p=pl.col("p") * 100)),
    "no features": both(lambda t: t.drop("x", "c")),
}  # fmt: skip
OPTIONS = ["--target", "y", "--prediction", "d", "--score", "p", "--timestamp", "ts"]


@pytest.fixture
def diagnosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[tuple[Table, Table]], dict[str, Any]]:
    """Diagnose two tables through the command line, in every form of output."""
    monkeypatch.chdir(tmp_path)

    def run(tables: tuple[Table, Table]) -> dict[str, Any]:
        for name, table in zip(("reference", "current"), tables, strict=True):
            table.write_parquet(f"{name}.parquet")
        words = ["diagnose", "--reference", "reference.parquet", "--current", "current.parquet"]
        outputs = ["--json", "d.json", "--html", "d.html", "--markdown", "d.md"]
        status = main([*words, *OPTIONS, *outputs])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        assert printed.out
        assert "<script>alert" not in Path("d.html").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(Path("d.json").read_text(encoding="utf-8"))
        crashed = [entry for entry in found["not_checked"] if "crashed" in entry["needs"]]
        assert not crashed
        return found

    return run


@pytest.mark.parametrize("name", QUIET)
def test_oddities_that_are_no_incident(
    name: str, diagnosed: Callable[[tuple[Table, Table]], dict[str, Any]]
) -> None:
    """Odd but healthy tables are diagnosed, and nothing is accused."""
    assert diagnosed(QUIET[name]())["verdict"] != "cause_found"


@pytest.mark.parametrize("name", ODD)
def test_oddities_that_may_be_one(
    name: str, diagnosed: Callable[[tuple[Table, Table]], dict[str, Any]]
) -> None:
    """Empty, broken and degenerate tables are diagnosed without a crash, and the shares of the layers sum to one."""
    found = diagnosed(ODD[name]())
    assert abs(sum(found["layers"].values()) - 1.0) < 1e-4
