from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from ruleout import _diagnose
from ruleout._errors import IncidentError
from ruleout.bench import demos
from ruleout.bench.demos import _latency, _write
from ruleout.bench.demos._drawing import SHAPES, photographs
from ruleout.bench.demos._scene import as_file
from ruleout.incident import load
from ruleout.profile._pixels import decode, encode_png

STORIES = ("images", "fraud", "nulls")


@pytest.fixture(scope="module", params=STORIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demos.write(request.param, tmp_path_factory.mktemp("demos") / request.param)


def _tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.read_parquet(folder / "reference.parquet"), pl.read_parquet(
        folder / "current.parquet"
    )


def _columns(folder: Path) -> dict[str, str]:
    incident = yaml.safe_load((folder / "incident.yaml").read_text(encoding="utf-8"))
    return dict(incident["data"]["columns"])


def test_every_demo_is_written_by_its_name() -> None:
    """The demos are there under the names that the command line takes."""
    assert tuple(demos.DEMOS) == (*STORIES, "latency")


def test_folder_is_whole(folder: Path) -> None:
    """Everything that a demo's incident names stands in its folder, and the tables have its columns."""
    columns = _columns(folder)
    for frame in _tables(folder):
        for role in ("id", "timestamp", "target", "prediction"):
            assert columns[role] in frame.columns
        assert frame[columns["id"]].n_unique() == frame.height
        assert frame[columns["timestamp"]].is_sorted()
    assert (folder / "changes.csv").is_file()


def test_time_runs_from_one_window_to_the_other(folder: Path) -> None:
    """The reference ends before the current window begins."""
    before, after = _tables(folder)
    ts = _columns(folder)["timestamp"]
    assert before[ts].max() < after[ts].min()  # type: ignore[operator]


def test_the_metric_falls_as_told(folder: Path) -> None:
    """Accuracy of the photographs falls by about 15 points; precision and recall clearly fall."""
    value = {
        "images": lambda f: f.select(pl.col("predicted") == pl.col("category")).to_series().mean(),
        "fraud": lambda f: f.filter(pl.col("blocked") == 1)["is_fraud"].mean(),
        "nulls": lambda f: f.filter(pl.col("churned") == 1)["flagged"].mean(),
    }[folder.name]
    before, after = (value(frame) for frame in _tables(folder))
    low, high = {"images": (0.12, 0.18), "fraud": (0.3, 0.5), "nulls": (0.1, 0.3)}[folder.name]
    assert low < before - after < high


ANSWERS = {
    "images": ("image_preprocessing", "model", ("photo",), "android-app"),
    "fraud": ("unit_change", "data", ("amount",), "paylane-connector"),
    "nulls": ("silent_nulls", "data", ("crm-connector",), "crm-connector"),
}


def test_the_cause_is_found_and_the_model_is_not_blamed(folder: Path) -> None:
    """The diagnosis names the true cause, its subject and the change that did it."""
    mode, layer, names, entity = ANSWERS[folder.name]
    answer = _diagnose.run(load(folder), trust_model=True)
    first = answer.hypotheses[0]
    assert (answer.verdict, first.failure_mode, first.layer) == ("cause_found", mode, layer)
    assert first.subject.names == names
    assert first.explained is not None
    assert first.explained.low > 0.5
    blamed = {"wrong_version", "bad_retrain", "adversarial_shift"}
    assert not any(h.failure_mode in blamed and h.probability > 0.05 for h in answer.hypotheses)
    assert max(answer.changes, key=lambda c: c.alignment).entity == entity


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """The same seed writes the same tables, another seed writes others."""
    first, again, other = (
        demos.write("nulls", tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    for name in ("reference.parquet", "current.parquet", "incident.yaml", "changes.csv"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "current.parquet").read_bytes() != (other / "current.parquet").read_bytes()


def test_photographs_decode(tmp_path: Path) -> None:
    """A drawn photograph is a PNG file of 48 x 48 pixels that shows more than one colour."""
    kinds = np.array(sorted(SHAPES))
    drawn = photographs(kinds, np.random.default_rng(0))
    assert drawn.shape == (6, 48, 48, 3)
    assert all(picture.std() > 15 for picture in drawn)
    back = decode(encode_png(drawn[0]))
    assert back is not None
    assert (back.pixels == drawn[0]).all()


def test_a_demo_overwrites_only_demos(tmp_path: Path) -> None:
    """A folder with anything else in it is left alone; an earlier demo is replaced."""
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(IncidentError, match="--out"):
        demos.write("nulls", busy)
    assert [p.name for p in busy.iterdir()] == ["thesis.tex"]
    assert demos.write("nulls", demos.write("nulls", tmp_path / "demo")).name == "demo"


def test_an_incident_that_no_demo_wrote_is_kept(tmp_path: Path, folder: Path) -> None:
    """An `incident.yaml` of one's own, or one that was edited, is replaced only if that is asked for."""
    file = tmp_path / "incident.yaml"
    for text in (
        "title: mine",
        (folder / "incident.yaml").read_text().replace("title: ", "title: My "),
    ):
        file.write_text(text)
        with pytest.raises(
            IncidentError, match=r"incident\.yaml is not as a demo wrote it.*--force"
        ):
            demos.write("nulls", tmp_path)
        assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("incident.yaml", text)]
    demos.write("nulls", tmp_path, force=True)
    assert "churn" in file.read_text()
    demos.write("nulls", tmp_path, seed=1)


def test_times_alone_do_not_make_the_latency_demo_anothers(tmp_path: Path) -> None:
    """It tells when it ran, and may be written again; an edit of it is kept."""
    text = as_file(_latency.incident(1.7e9, 1.7e9 + 5, 1.7e9 + 10))
    for own in (text, text.replace("kpis: [", "kpis: [errors, ")):
        (tmp_path / "incident.yaml").write_text(own)
        assert _write._untouched(tmp_path / "incident.yaml") is (own == text)


def test_unknown_demo_names_those_there_are() -> None:
    """Asking for a demo that does not exist lists those that do."""
    with pytest.raises(IncidentError, match="images, fraud, nulls"):
        demos.write("frauds", "nowhere")


def test_the_story_names_every_file(folder: Path) -> None:
    """What a demo says it wrote is there, and the command to go on with is told."""
    told = demos.introduction(folder.name, folder)
    listed = [line.split()[0] for line in told.splitlines() if line.startswith("  ")]
    assert {"incident.yaml", "changes.csv"} <= set(listed)
    assert all((folder / name).exists() for name in listed)
    again = demos.farewell(folder)
    assert f"ruleout diagnose {folder}" in again
    assert ("--trust-model" in again) == any(folder.glob("*.py"))
