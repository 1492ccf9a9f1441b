"""Hostile, broken and empty incidents, end to end: a clear error or an honest answer, never a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ruleout
from ruleout._registry import REPAIRS
from served_world import answered
from served_world import rows as world_rows

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
Frames = tuple[pl.DataFrame, pl.DataFrame]
COLUMNS: dict[str, Any] = {
    "timestamp": "ts",
    "target": "label",
    "prediction": "said",
    "score": "score",
    "positive": 1,
}


def world(n: int = 400) -> Frames:
    """Two quiet windows of one small world."""
    rng = np.random.default_rng(3)
    first = world_rows(n, rng)
    return first, world_rows(n, rng, start=first["ts"].dt.epoch("s").max() + 1)  # type: ignore[operator]


def both(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Frames:
    """The quiet world with `change` made to both windows."""
    reference, current = world()
    return change(reference), change(current)


def late(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Frames:
    """The quiet world with `change` made to the current window."""
    reference, current = world()
    return reference, change(current)


def _set(**columns: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(
        **{k: v if isinstance(v, pl.Expr) else pl.Series(v(frame)) for k, v in columns.items()}
    )


def _hostile(frame: pl.DataFrame) -> pl.DataFrame:
    names = ['"; DROP TABLE rows; --', "<script>alert(1)</script>", "*", "^a.*$"]
    values = {n: np.arange(len(frame)) % 7 for n in [*names, "\u202eabc", "ärger\n日本"]}
    return frame.with_columns([pl.Series(k, v) for k, v in values.items()])


def _odd_numbers(frame: pl.DataFrame) -> list[float]:
    odd = [float("nan"), float("inf"), -float("inf"), 1e308]
    return [odd[i % 4] if i % 3 == 0 else v for i, v in enumerate(frame["amount"])]


QUIET: dict[str, Callable[[], Frames]] = {
    "no current rows": lambda: late(lambda f: f.head(0)),
    "no reference rows": lambda: (world()[0].head(0), world()[1]),
    "no rows at all": lambda: both(lambda f: f.head(0)),
    "one row each": lambda: both(lambda f: f.head(1)),
    "three current rows": lambda: late(lambda f: f.head(3)),
    "one class of labels": lambda: both(_set(label=pl.lit(1))),
    "one class of answers": lambda: both(_set(said=pl.lit(1), score=pl.lit(0.9))),
    "columns of nothing": lambda: both(
        _set(empty=pl.lit(None), blank=pl.lit(None, dtype=pl.String))
    ),
    "constant columns": lambda: both(_set(one=pl.lit(1.0), word=pl.lit("w"), yes=pl.lit(True))),
    "all inputs constant": lambda: both(
        _set(amount=pl.lit(1.0), age=pl.lit(2.0), visits=pl.lit(0.0), kind=pl.lit("a"))
    ),
    "infinities": lambda: both(_set(amount=_odd_numbers)),
    "labels all unknown": lambda: late(_set(label=pl.lit(None, dtype=pl.Int64))),
    "answers all unknown": lambda: late(
        _set(said=pl.lit(None, dtype=pl.Int64), score=pl.lit(None, dtype=pl.Float64))
    ),
    "times all unknown": lambda: late(_set(ts=pl.lit(None, dtype=pl.Datetime("us", "UTC")))),
    "hostile names": lambda: both(_hostile),
    "a category for every row": lambda: both(
        lambda f: f.with_columns(pl.Series("key", [f"k{i}-{len(f)}" for i in range(len(f))]))
    ),
    "reference later than current": lambda: (world()[1], world()[0]),
    "another time zone": lambda: late(
        lambda f: f.with_columns(pl.col("ts").dt.convert_time_zone("Asia/Kolkata"))
    ),
    "numbers as text": lambda: late(lambda f: f.with_columns(pl.col("visits").cast(pl.String))),
    "nested values": lambda: both(
        lambda f: f.with_columns(pl.concat_list("amount", "age").alias("pair"))
    ),
    "labels as floats": lambda: both(lambda f: f.with_columns(pl.col("label").cast(pl.Float64))),
}


@pytest.mark.parametrize("name", QUIET)
def test_a_quiet_incident_never_names_a_cause(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tables are like, no check crashes, nothing warns, and no cause is made up."""
    monkeypatch.setenv("RULEOUT_DEBUG", "raise")
    reference, current = QUIET[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        answer = _diagnosed(reference, current, COLUMNS)
    assert answer.verdict != "cause_found", [h.failure_mode for h in answer.hypotheses]
    assert "crashed" not in answer.to_json()


DROPPED: dict[str, list[str]] = {
    "no labels": ["target"],
    "no decisions": ["prediction"],
    "no answers": ["prediction", "score"],
    "no times": ["timestamp"],
    "only labels": ["prediction", "score", "timestamp"],
}


@pytest.mark.parametrize("name", DROPPED)
def test_missing_roles_abstain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An incident without labels, answers or times is examined as far as it goes, and says what it lacks."""
    monkeypatch.setenv("RULEOUT_DEBUG", "raise")
    gone = DROPPED[name]
    reference, current = both(lambda f: f.drop([COLUMNS[g] for g in gone]))
    answer = _diagnosed(reference, current, {k: v for k, v in COLUMNS.items() if k not in gone})
    assert answer.verdict != "cause_found"
    assert answer.diagnosis.not_checked


def test_no_features_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels and answers without any input are examined as far as they go."""
    monkeypatch.setenv("RULEOUT_DEBUG", "raise")
    reference, current = both(lambda f: f.select("ts", "label", "said", "score"))
    assert _diagnosed(reference, current, COLUMNS).verdict != "cause_found"


def _diagnosed(reference: pl.DataFrame, current: pl.DataFrame, columns: dict[str, Any]) -> Any:
    return ruleout.diagnose(
        reference=reference, current=current, task="binary", metric="accuracy", **columns
    )


def _folder(place: Path, *, models: str = "") -> Path:
    reference, current = world(300)
    reference.write_parquet(place / "reference.parquet")
    current.write_parquet(place / "current.parquet")
    (place / "incident.yaml").write_text(
        "version: 1\ntitle: t\ntask: binary\nsymptom: {metric: accuracy}\n"
        "data:\n  reference: reference.parquet\n  current: current.parquet\n"
        "  columns: {timestamp: ts, target: label, prediction: said, score: score, positive: 1}\n"
        + models
    )
    return place


def _cut(place: Path) -> None:
    whole = (place / "current.parquet").read_bytes()
    (place / "current.parquet").write_bytes(whole[: len(whole) // 2])


BROKEN: dict[str, Callable[[Path], object]] = {
    "a table that is not there": lambda p: (p / "current.parquet").unlink(),
    "a table cut in half": _cut,
    "a table of another kind": lambda p: (p / "current.parquet").write_bytes(b"a,b\n1,2\n"),
    "an incident that is not YAML": lambda p: (p / "incident.yaml").write_text("{: ]"),
    "an incident in another encoding": lambda p: (p / "incident.yaml").write_bytes(
        "title: ärger".encode("utf-16")
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named(name: str, tmp_path: Path) -> None:
    """A file that cannot be read is an error of the incident that names the file, not a traceback."""
    BROKEN[name](_folder(tmp_path))
    with pytest.raises(ruleout.RuleoutError, match=r"current\.parquet|incident\.yaml"):
        ruleout.diagnose(tmp_path)


def test_a_model_that_does_not_load_is_a_failed_source(tmp_path: Path) -> None:
    """A model file of rubbish leaves the rest of the diagnosis standing and is said to have failed."""
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    folder = _folder(tmp_path, models="models: {current: {uri: m.onnx}}\n")
    answer = ruleout.diagnose(folder)
    assert answer.verdict != "cause_found"
    (failed,) = [s for s in answer.diagnosis.run.sources if s.name == "models.current"]
    assert failed.status == "failed"
    assert failed.reason


def test_a_model_of_other_inputs_is_a_failed_source(tmp_path: Path) -> None:
    """A sound model that wants five inputs beside tables that have three is refused by name, and the rest goes on."""
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    data = lightgbm.Dataset(rng.normal(size=(200, 5)), rng.integers(0, 2, 200))
    model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 3)
    model.save_model(str(tmp_path / "m.txt"))
    answer = ruleout.diagnose(_folder(tmp_path, models="models: {current: {uri: m.txt}}\n"))
    assert answer.verdict != "cause_found"
    (failed,) = [s for s in answer.diagnosis.run.sources if s.name == "models.current"]
    assert failed.status == "failed"
    assert failed.reason


def _csv_folder(place: Path, header: Callable[[str], str]) -> Path:
    _folder(place)
    for which, frame in zip(("reference", "current"), world(300), strict=True):
        first, rest = frame.write_csv().split("\n", 1)
        (place / f"{which}.csv").write_text(header(first) + "\n" + rest)
    spec = (place / "incident.yaml").read_text().replace(".parquet", ".csv")
    (place / "incident.yaml").write_text(spec)
    return place


def test_a_column_that_occurs_twice_is_named(tmp_path: Path) -> None:
    """Two columns of one name are an error that names the file and the column, not a silent choice."""
    folder = _csv_folder(tmp_path, lambda first: first.replace("visits", "amount"))
    with pytest.raises(
        ruleout.RuleoutError, match=r"reference\.csv.*'amount' occurs more than once"
    ):
        ruleout.diagnose(folder)


def test_a_column_without_a_name_is_an_input_like_others(tmp_path: Path) -> None:
    """An empty heading, as exported indexes have it, does not stop a diagnosis."""
    folder = _csv_folder(tmp_path, lambda first: first.replace("visits", ""))
    assert ruleout.diagnose(folder).verdict != "cause_found"


def test_a_crashing_repair_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair that raises leaves its hypothesis without an experiment, and the report says why."""
    monkeypatch.delenv("RULEOUT_DEBUG", raising=False)
    reference, current = world(1500)

    def boom(*_: object) -> None:
        raise ZeroDivisionError("boom")

    answer_before = _diagnosed(reference, current.with_columns(pl.col("amount") * 100), COLUMNS)
    tried = {h.failure_mode for h in answer_before.hypotheses if h.explained is not None}
    assert tried
    for spec in list(REPAIRS.values()):
        monkeypatch.setitem(REPAIRS, spec.id, _with_run(spec, boom))
    answer = _diagnosed(reference, current.with_columns(pl.col("amount") * 100), COLUMNS)
    assert all(h.explained is None for h in answer.hypotheses)
    assert any("ZeroDivisionError: boom" in n.needs for n in answer.diagnosis.not_checked)


def _with_run(spec: Any, run: Callable[..., None]) -> Any:
    from dataclasses import replace

    return spec._replace(run=run) if hasattr(spec, "_replace") else replace(spec, run=run)


_SAME = """
import json, sys, ruleout
told = json.loads(ruleout.diagnose(sys.argv[1]).to_json())
told.pop("run")
print(json.dumps(told))
"""


def test_the_same_incident_gives_the_same_bytes(tmp_path: Path) -> None:
    """The answer does not depend on the number of threads or on the process."""
    folder = _folder(tmp_path)
    told = [
        subprocess.run(
            [sys.executable, "-c", _SAME, str(folder)],
            env={**os.environ, "POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": threads},
            capture_output=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert told[0] == told[1]
    assert json.loads(told[0])["incident"]


@pytest.mark.data
@pytest.mark.parametrize("year", [2016, 2017, 2018])
@pytest.mark.parametrize("size", [500, 5_000, 60_000])
def test_a_usual_year_is_no_cause(data_folder: Path, year: int, size: int) -> None:
    """Later years of a census table that nobody damaged are not given a cause."""
    whole = pl.scan_parquet(data_folder / "tables" / "acs_employment_ma" / "employment.parquet")
    reference, current = (
        whole.filter(pl.col("year") == y).drop("year", "partition").collect().sample(size, seed=y)
        for y in (2015, year)
    )
    answer = ruleout.diagnose(
        reference=reference,
        current=current,
        task="binary",
        metric="accuracy",
        id="id",
        target="employed",
        prediction="prediction",
        score="predicted_probability",
        positive=1,
    )
    assert answer.verdict != "cause_found", [h.failure_mode for h in answer.hypotheses][:3]


@pytest.mark.parametrize("harm", [False, True], ids=["quiet", "unit change"])
def test_the_verdict_does_not_depend_on_the_size(harm: bool) -> None:
    """Two thousand rows and fifty thousand give one verdict, and it is the right one."""
    for n in (2_000, 50_000):
        reference, current = world(n)
        if harm:
            current = served_again(current)
        answer = _diagnosed(reference, current, COLUMNS)
        if harm:
            assert answer.verdict == "cause_found", n
            first = answer.hypotheses[0]
            assert (first.failure_mode, first.subject.names) == ("unit_change", ("amount",)), n
        else:
            assert answer.verdict != "cause_found", n


def served_again(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with one input a hundred times too large, as the model then answers for them."""
    return answered(frame.with_columns(pl.col("amount") * 100), frame["label"].to_numpy())
