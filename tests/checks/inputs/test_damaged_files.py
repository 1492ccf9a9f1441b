"""Images that do not decode and texts cut inside a letter, from the tables to the verdict."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from unstructured import CLASSES, frame, picture, sentence

from ruleout._diagnose import run
from ruleout._records import Diagnosis
from ruleout.incident import Columns, DataSpec, Incident, TableSpec
from ruleout.profile._pixels import encode_png

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

Spoil = Callable[[bytes, int], bytes | None]


def diagnosed(
    values: Callable[[np.random.Generator, str], bytes], spoil: Spoil, *, kind: str
) -> Diagnosis:
    """Two windows of 300 rows; spoilt values of the current one are answered by the first class."""
    rng = np.random.default_rng(17)
    before, now = frame(rng, 300, 1.7e9), frame(rng, 300, 1.7e9 + 86_400)
    old = [values(rng, label) for label in before["label"]]
    sound = [values(rng, label) for label in now["label"]]
    new = [spoil(value, i) for i, value in enumerate(sound)]
    hit = np.array([a != b for a, b in zip(sound, new, strict=True)])
    answer = np.where(hit, CLASSES[0], now["label"].to_numpy())
    windows = [
        before.with_columns(pl.Series("raw", old, dtype=pl.Binary)),
        now.with_columns(pl.Series("raw", new, dtype=pl.Binary), answer=pl.Series(answer)),
    ]
    roles = {"image": "raw"} if kind == "image" else {"text": "raw"}
    columns = Columns(timestamp="at", target="label", prediction="answer", **roles)
    data = DataSpec(TableSpec(frame=windows[0]), TableSpec(frame=windows[1]), columns)
    return run(Incident("made", "multiclass", data=data))


def photo(rng: np.random.Generator, label: str) -> bytes:
    return encode_png(picture(rng, label))


def mail(rng: np.random.Generator, label: str) -> bytes:
    return f"Größe {label}: {sentence(rng)} Für Sie geprüft – grüße".encode()


@pytest.fixture(autouse=True)
def _crashes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULEOUT_DEBUG", "raise")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data, i: data[: len(data) // 2] if i % 2 else data,
        lambda _, i: bytes(range(i % 200)),
        lambda data, i: [data, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0 cut", b"GIF89a"][i % 4],
    ],
    ids=["half of the files cut", "all files garbage", "mixed"],
)
def test_unreadable_images_are_the_cause(spoil: Spoil) -> None:
    """Files that do not decode are counted and blamed, whether some or all of them are broken."""
    told = diagnosed(photo, spoil, kind="image")
    assert told.verdict == "cause_found"
    assert told.hypotheses[0].failure_mode == "image_preprocessing"
    assert told.hypotheses[0].subject.names == ("raw",)
    assert any(e.signal == "image.undecodable" for e in told.evidence)


def test_missing_images_are_nulls() -> None:
    """Rows without a file have lost it on the way."""
    told = diagnosed(photo, lambda data, i: None if i % 2 else data, kind="image")
    assert told.hypotheses[0].failure_mode == "silent_nulls"


def test_texts_cut_inside_a_letter_are_read_all_the_same() -> None:
    """Bytes that end in the middle of a letter are no reason to stop; the cut is found."""
    told = diagnosed(mail, lambda data, _: data[:27], kind="text")
    assert told.hypotheses[0].failure_mode in {"context_truncation", "tokenizer_mismatch"}
