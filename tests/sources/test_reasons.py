"""Reasons that are the same wherever the folder is, and in every run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import ruleout
from linked_world import quiet
from ruleout.incident import load
from ruleout.sources import steady

TRACE = """[14:30:08] /src/c_api.cc:15: Check failed in `{folder}/m.json`.
Stack trace:
  [bt] (0) /lib/libxgboost.so(+0x2c1a8c) [0x7ff1102c1a8c]
"""
INCIDENT = """
title: Down
data:
  reference: reference.parquet
  current: current.parquet
  columns: {target: label, prediction: said}
models: {current: model.json, previous: gone.onnx}
probes:
  golden: {inputs: golden.parquet, expected: expected}
  audit: {labels: reference.parquet, key: age, label: lable}
telemetry: {metrics: [none.csv, torn.parquet]}
changes: changes.csv
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "one"
    place.mkdir()
    for name, frame in zip(("reference", "current"), quiet(n=300), strict=True):
        frame.write_parquet(place / f"{name}.parquet")
    for name in ("model.json", "torn.parquet", "golden.parquet", "changes.csv"):
        (place / name).write_text("k, not what it should be")
    (place / "incident.yaml").write_text(INCIDENT, encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (TRACE, "/src/c_api.cc:15: Check failed in `m.json`."),
        ("{folder}/a/b.csv is not under {folder}", "a/b.csv is not under ."),
        ("{folder}/incident.yaml: x", "incident.yaml: x"),
        ("two\nlines", "two lines"),
        ("<function f at 0x7ff1102c1a8c> of 0x10", "<function f at 0x...> of 0x10"),
        ("Traceback (most recent call last):\n  x", ""),
        ("at 2026-11-20T14:30:00Z", "at 2026-11-20T14:30:00Z"),
        ("x" * 400, "x" * 297 + "..."),
    ],
)
def test_a_reason_is_made_steady(folder: Path, reason: str, told: str) -> None:
    """Paths are relative to the folder; stacks, clocks and addresses are left out."""
    assert steady(reason.replace("{folder}", str(folder)), load(folder)) == told


def test_a_folder_that_moved_has_the_same_diagnosis(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every source broken that can be, the JSON is the same for a copy, and for a relative path."""
    monkeypatch.chdir(tmp_path)
    moved = tmp_path / "a longer name of the folder"
    shutil.copytree(folder, moved)
    answers = []
    for place in (folder, moved, moved.relative_to(tmp_path), moved / "incident.yaml"):
        told = json.loads(ruleout.diagnose(place).to_json())
        sources = told.pop("run")["sources"]
        answers.append((told, [(s["name"], s["status"], s.get("reason")) for s in sources]))
    assert answers[1:] == answers[:1] * 3
    failed = {name for name, status, _ in answers[0][1] if status == "failed"}
    assert {
        "models.current",
        "models.previous",
        "probes.golden",
        "probes.audit",
        "changes",
    } <= failed
    assert str(tmp_path) not in json.dumps(answers)


def test_telemetry_alone_is_steady_too(tmp_path: Path) -> None:
    """Where there are no tables, reasons are as steady."""
    (tmp_path / "torn.parquet").write_text("k")
    pl.DataFrame(
        {"timestamp": [1.7e9], "entity": ["a"], "metric": ["m"], "value": [1.0]}
    ).write_csv(tmp_path / "m.csv")
    (tmp_path / "incident.yaml").write_text(
        "title: t\ntelemetry: {metrics: m.csv, logs: [torn.parquet, none/x.csv]}\nchanges: c.csv\n"
    )
    told = ruleout.diagnose(tmp_path).to_json()
    assert "c.csv does not exist" in told
    assert str(tmp_path) not in told
