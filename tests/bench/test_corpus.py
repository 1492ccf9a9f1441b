"""The corpus: folders that keep the contract, faults that hurt, and a truth that stays outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout import incident
from ruleout.bench.corpus import Kitchen, _make, cook, make, manifest, modes, places
from ruleout.bench.corpus._metrics import error, score, worsening
from ruleout.bench.corpus._plan import Recipe
from ruleout.prevention.inject import Answers, Scene, Truth, injectors

ROWS = 1_500
SMALL = ("unit_change", "delivery"), ("label_noise", "breast_cancer"), ("quiet", "wine")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, object]]]:
    """A few incidents on small data."""
    pytest.importorskip("lightgbm", reason="needs LightGBM, of ruleout[tests]")
    pytest.importorskip("skl2onnx", reason="needs skl2onnx, of ruleout[tests]")
    folder = tmp_path_factory.mktemp("corpus")
    kitchen = Kitchen(folder / ".cache")
    truth = {}
    for k, (mode, data) in enumerate(SMALL):
        made = cook(Recipe(f"incident-{k:04d}", mode, 50 + k, data), kitchen, folder, ROWS)
        assert made is not None
        truth[f"incident-{k:04d}"] = made
    return folder, truth


def test_incidents_keep_the_contract(corpus: tuple[Path, dict[str, dict[str, object]]]) -> None:
    """Every folder loads as an incident whose tables have the columns it names."""
    folder, truth = corpus
    for name in truth:
        found = incident.load(folder / name)
        table = pl.read_parquet(folder / name / found.data.current.uri)
        assert set(found.data.columns.features or ()) <= set(table.columns)


def test_the_truth_stays_outside(corpus: tuple[Path, dict[str, dict[str, object]]]) -> None:
    """No text of an incident folder names a failure mode."""
    folder, truth = corpus
    for name in truth:
        for path in (folder / name).iterdir():
            if path.suffix in {".yaml", ".csv"}:
                text = path.read_text(encoding="utf-8")
                assert not [m for m in injectors() if m in text]


def test_a_fault_hurts(corpus: tuple[Path, dict[str, dict[str, object]]]) -> None:
    """The logged error of the incident with a changed unit is at least 5% above the reference."""
    folder, truth = corpus
    assert truth["incident-0000"]["mode"] == "unit_change"
    errors = []
    for window in ("reference", "current"):
        found = incident.load(folder / "incident-0000").data
        table = pl.read_parquet(folder / "incident-0000" / getattr(found, window).uri)
        if found.reference.uri == found.current.uri:
            pytest.skip("one table holds both windows")
        errors.append(float((table["minutes"] - table["prediction"]).abs().mean() or 0.0))
    assert errors[1] > 1.05 * errors[0]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    """Two runs with one seed write the same tables, documents and truth."""
    runs = []
    for name in ("one", "two"):
        make(tmp_path / name, n=1, seed=5, only="silent_nulls", dataset="wine", rows=800)
        files = sorted(
            p for p in (tmp_path / name).rglob("*") if p.is_file() and ".cache" not in str(p)
        )
        runs.append([(p.name, p.read_bytes()) for p in files])
    assert runs[0] == runs[1]
    assert (
        json.loads((tmp_path / "one" / "truth.json").read_text())["incident-0000"]["null"] is False
    )


def test_the_manifest_visits_every_mode() -> None:
    """One round over the manifest asks for every recipe, and two rounds do not repeat a seed."""
    once = manifest(len(modes()), 1, None, None)
    assert {r.mode for r in once if r.second is None} | {r.mode for r in once if r.second} <= set(
        modes()
    )
    twice = manifest(2 * len(modes()), 1, None, None)
    assert len({r.seed for r in twice}) == len(twice)
    assert len({r.mode for r in twice}) > 0.9 * len(modes())


@pytest.mark.parametrize("mode", ["image_preprocessing", "time_shift", "unit_change"])
def test_places_know_where_a_mode_can_strike(mode: str) -> None:
    """A mode is only sent to data that has what it needs."""
    known = ("clothing_products", "card_fraud", "adult", "text_sms_spam")
    wanted = {
        "image_preprocessing": {"clothing_products"},
        "time_shift": {"card_fraud"},
        "unit_change": {"card_fraud", "adult"},
    }
    assert set(places(mode, known)) == wanted[mode]


def test_metrics_agree_with_counting() -> None:
    """Accuracy, F1, AUC and log loss of four rows are what pencil and paper give."""
    y = pl.Series([1, 0, 1, 0])
    p = np.array([0.9, 0.6, 0.4, 0.2])
    answers = Answers((p >= 0.5).astype(int), np.column_stack([1 - p, p]))
    assert score("accuracy", y, answers, (0, 1)) == 0.5
    assert score("f1", y, answers, (0, 1)) == 0.5
    assert score("roc_auc", y, answers, (0, 1)) == 0.75
    by_hand = -np.mean(np.log([0.9, 0.4, 0.4, 0.8]))
    assert score("log_loss", y, answers, (0, 1)) == pytest.approx(by_hand)


def test_the_error_of_a_metric_shrinks_with_rows() -> None:
    """The bootstrap error of an accuracy is close to the binomial one."""
    rng = np.random.default_rng(0)
    y = pl.Series((rng.random(4_000) < 0.5).astype(int))
    answers = Answers((rng.random(4_000) < 0.5).astype(np.int64))
    assert error("accuracy", y, answers, (0, 1)) == pytest.approx(0.5 / 4_000**0.5, rel=0.4)


def test_worse_means_worse_for_both_kinds_of_metric() -> None:
    """A rising error and a falling accuracy are both positive."""
    assert worsening("mae", 2.0, 3.0) == pytest.approx(0.5)
    assert worsening("accuracy", 0.9, 0.8) == pytest.approx(0.1)


def test_a_drift_that_is_meant_to_be_harmless_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a drift that does most of the harm itself, a fault is not the truth of the incident."""
    pytest.importorskip("lightgbm", reason="needs LightGBM, of ruleout[tests]")
    kitchen = Kitchen(tmp_path / ".cache")
    recipe = Recipe("incident", "label_noise", 50, "breast_cancer", tags=("herring",))
    assert cook(recipe, kitchen, tmp_path / "fair", ROWS) is not None

    def harmful(scene: Scene, rng: np.random.Generator) -> Scene:
        """Every numeric input far from where it was."""
        del rng
        moved = [pl.col(n) + 4 * pl.col(n).std() for n in scene.base.numeric]
        held = scene.populate(scene.world.with_columns(moved))
        return held.blame(Truth("random_fluctuation"))

    monkeypatch.setattr(_make, "harmless_drift", harmful)
    assert cook(recipe, kitchen, tmp_path / "unfair", ROWS) is None
