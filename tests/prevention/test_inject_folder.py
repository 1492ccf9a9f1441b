"""Injecting into an incident folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from ruleout import incident
from ruleout.prevention.inject import InjectionError, inject_folder
from ruleout.prevention.inject._cli import main


@pytest.fixture
def quiet(tmp_path: Path) -> Path:
    """Two windows of one world with boolean labels, answered by a rule, without a model."""
    folder = tmp_path / "quiet"
    folder.mkdir()
    for k, name in enumerate(("reference", "current")):
        rng = np.random.default_rng(k)
        n = 1_500
        amount, age = rng.normal(50, 20, n), rng.normal(40, 10, n)
        score = 1 / (1 + np.exp(-(amount - 50) / 8))
        begin = datetime(2026, 3, 1 + 14 * k, tzinfo=UTC)
        pl.DataFrame(
            {
                "ts": [begin + timedelta(minutes=10 * i) for i in range(n)],
                "amount": amount,
                "age": age,
                "bought": rng.random(n) < score,
                "predicted": score >= 0.5,
                "p": score,
            }
        ).write_parquet(folder / f"{name}.parquet")
    columns = {
        "timestamp": "ts",
        "target": "bought",
        "prediction": "predicted",
        "score": "p",
        "positive": True,
    }
    document = {
        "version": 1,
        "title": "Accuracy fell",
        "task": "binary",
        "data": {
            "reference": "reference.parquet",
            "current": "current.parquet",
            "columns": columns,
        },
    }
    (folder / "incident.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return folder


def test_a_fault_is_added_and_its_truth_written_beside(quiet: Path, tmp_path: Path) -> None:
    """The copy loads, holds the fault in the column named, answers from it, and keeps labels as they were typed."""
    out = tmp_path / "hurt"
    inject_folder(quiet, out, "unit_change", target=("amount",), variant="milli")
    incident.load(out)
    before = pl.read_parquet(quiet / "current.parquet")
    after = pl.read_parquet(out / "injected_current.parquet")
    assert after["amount"].to_list() == pytest.approx((before["amount"] * 1000).to_list())
    assert after["bought"].equals(before["bought"])
    assert after["predicted"].dtype == pl.Boolean
    assert not after["predicted"].equals(before["predicted"])
    assert after.columns == before.columns
    truth = json.loads((tmp_path / "hurt.truth.json").read_text(encoding="utf-8"))
    assert [(t["mode"], t["names"]) for t in truth] == [("unit_change", ["amount"])]


def test_label_faults_keep_the_answers(quiet: Path, tmp_path: Path) -> None:
    """Noise in the labels changes labels of the current window alone."""
    inject_folder(quiet, tmp_path / "hurt", "label_noise", dose=0.9)
    before = pl.read_parquet(quiet / "current.parquet")
    after = pl.read_parquet(tmp_path / "hurt" / "injected_current.parquet")
    assert 0.2 < (before["bought"] != after["bought"]).mean() < 0.5
    reference = pl.read_parquet(tmp_path / "hurt" / "injected_reference.parquet")
    assert reference.equals(pl.read_parquet(quiet / "reference.parquet"))


def test_a_fault_that_needs_training_is_refused(quiet: Path, tmp_path: Path) -> None:
    """An incident cannot train another model, and the message says so."""
    with pytest.raises(InjectionError, match="another training"):
        inject_folder(quiet, tmp_path / "hurt", "bad_retrain", variant="undertrained")


def test_the_command_writes_and_refuses_to_overwrite(
    quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ruleout inject` prints what it did; a second time the folder is in the way."""
    words = [str(quiet), "unit_change", "--out", str(tmp_path / "hurt"), "--target", "age"]
    assert main(words) == 0
    assert "unit_change feature age" in capsys.readouterr().out
    assert main(words) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--target", "agee"], "no column 'agee'; did you mean 'age'?"),
        (["--target", "ts"], "cannot be done to ts"),
        (["--where", "age"], "--where is 'age'; write COLUMN=VALUE"),
        (["--where", "agee=1"], "no column 'agee'"),
        (
            ["--where", "predicted=perhaps"],
            "no current row has predicted = perhaps; valid: false, true",
        ),
    ],
)
def test_what_is_not_there_cannot_be_hit(
    quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    """A column or a value that does not exist, or is of the wrong type, is named, and nothing is written."""
    mode = "category_recode" if "ts" in words else "unit_change"
    assert main([str(quiet), mode, "--out", str(tmp_path / "hurt"), *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "hurt").exists()
