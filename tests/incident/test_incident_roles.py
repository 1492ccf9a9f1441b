"""Guessing what columns are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.incident import Guess, guess_roles, load, write_incident


def roles(reference: pl.DataFrame, current: pl.DataFrame | None = None) -> dict[str, Any]:
    guesses = guess_roles(reference, reference if current is None else current)
    assert all(guess.why for guess in guesses)
    return {guess.role: guess.value for guess in guesses}


@pytest.fixture
def fraud() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    score = rng.random(400)
    fraud = rng.random(400) < score
    return pl.DataFrame(
        {
            "transaction_id": [f"t{i:05}" for i in range(400)],
            "created_at": pl.datetime_range(
                pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 1, 6, 39), "1m", eager=True
            ),
            "amount": rng.lognormal(size=400),
            "weight": rng.random(400) * 80,
            "country": rng.choice(["DE", "FR"], 400),
            "model_version": rng.choice(["6", "7"], 400),
            "chargeback": np.where(fraud, "yes", "no"),
            "predicted": np.where(score > 0.5, "yes", "no"),
            "risk_score": score,
        }
    )


def test_the_roles_of_a_usual_log(fraud: pl.DataFrame) -> None:
    """Key, time, prediction and score go by name and content, the target by its agreement with the prediction."""
    assert roles(fraud) == {
        "id": "transaction_id",
        "timestamp": "created_at",
        "prediction": "predicted",
        "score": "risk_score",
        "target": "chargeback",
        "positive": "yes",
        "segments": ("model_version",),
    }


def test_features_stay_features(fraud: pl.DataFrame) -> None:
    """Neither a body weight nor a country is taken out of the features."""
    named = {str(value) for value in roles(fraud).values()}
    assert not named & {"weight", "country", "amount"}


def test_probabilities_of_classes() -> None:
    """Columns in [0, 1] that share a beginning, end in the target's classes and sum to one are the classes' scores."""
    rng = np.random.default_rng(1)
    scores = rng.dirichlet([1.0, 1.0, 1.0], 300)
    classes = np.array(["bird", "cat", "dog"])
    frame = pl.DataFrame(
        {f"p_{name}": scores[:, i] for i, name in enumerate(classes)}
        | {"label": rng.choice(classes, 300), "prediction": classes[scores.argmax(axis=1)]}
    )
    found = roles(frame)
    assert found["scores"] == {"bird": "p_bird", "cat": "p_cat", "dog": "p_dog"}
    assert "score" not in found


def test_pictures_texts_and_vectors() -> None:
    """Encoded images, sentences and vectors of one length are told by content."""
    frame = pl.DataFrame(
        {
            "picture": [b"\x89PNG\r\n" + bytes([i]) for i in range(30)],
            "review": [f"This is the review of buyer number {i} of many." for i in range(30)],
            "vector": [[0.1 * i] * 8 for i in range(30)],
        }
    )
    assert roles(frame) == {"image": "picture", "text": "review", "embedding": "vector"}


def test_the_time_that_parts_the_tables() -> None:
    """Of two columns of times, the one that parts the tables is the timestamp."""
    before = pl.DataFrame(
        {"birth_date": ["1990-01-01", "1980-01-01"], "seen": ["2026-01-01", "2026-01-02"]}
    )
    after = pl.DataFrame(
        {"birth_date": ["1970-01-01", "1995-01-01"], "seen": ["2026-01-03", "2026-01-04"]}
    )
    assert roles(before, after) == {"timestamp": "seen"}


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame(),
        pl.DataFrame({"a": []}),
        pl.DataFrame({"y": [None, None], "prediction": [None, None]}),
        pl.DataFrame({"target": [1.0, float("nan")], "prediction": [float("inf"), 1.0], "score": [0.1, 0.2]}),
        pl.DataFrame({"label": [[1], [2]], "pred": [{"a": 1}, {"a": 2}], "id": [b"x", b"y"]}),
        pl.DataFrame({"^a$": [0.5, 0.5], "*": ["a", "b"], "^label.*$": ["a", "a"], "prediction*": ["a", "b"]}),
        pl.DataFrame({"p_": [0.5, 0.5], "p_a": [0.5, 0.5], "target": ["a", ""]}),
    ],
)  # fmt: skip
def test_odd_tables(frame: pl.DataFrame) -> None:
    """Tables that are empty, null or strange give fewer guesses, not errors."""
    assert isinstance(roles(frame), dict)


def test_columns_of_one_table_only(fraud: pl.DataFrame) -> None:
    """A target that the current table lacks is found all the same."""
    assert roles(fraud, fraud.drop("chargeback"))["target"] == "chargeback"


HOSTILE = [
    '"; DROP TABLE x',
    "<script>",
    "a: b # c",
    "no",
    "007",
    "naïve\n",
    "[x]",
    "😀",
    "'",
    "*a",
    "",
]


def test_what_is_written_loads(tmp_path: Path) -> None:
    """The file that is written says the same as the guesses, whatever the columns are called."""
    guesses = [
        Guess("target", HOSTILE[0], "why\nso"),
        Guess("segments", tuple(HOSTILE[:-1]), "because"),
    ]
    file = write_incident(
        tmp_path, "a b.parquet", "/srv/b.parquet", guesses, task="binary", title="It: fails #1", force=False
    )  # fmt: skip
    incident = load(file)
    assert incident.title == "It: fails #1"
    assert incident.data.columns.target == HOSTILE[0]
    assert incident.data.columns.segments == tuple(HOSTILE[:-1])
    assert incident.data.reference is not None
    assert (tmp_path / incident.data.reference.uri).resolve() == Path("a b.parquet").resolve()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """An incident.yaml that is there stays, unless force is used."""
    (tmp_path / "incident.yaml").write_text("mine")
    with pytest.raises(IncidentError, match=r"exists.*--force"):
        write_incident(tmp_path, "a", "b", [], task="none", title="x", force=False)
    assert (tmp_path / "incident.yaml").read_text() == "mine"
    write_incident(tmp_path, "a", "b", [], task="none", title="x", force=True)
    assert load(tmp_path).title == "x"


def test_durations_are_looked_at_as_well(fraud: pl.DataFrame) -> None:
    """A column of durations, which polars cannot spell, stays a feature."""
    timed = fraud.with_columns(took=pl.duration(seconds=pl.int_range(pl.len())))
    assert roles(timed) == roles(fraud)


def test_the_columns_of_the_readme_are_found(fraud: pl.DataFrame) -> None:
    """What the README's commands call target and prediction is what `init` guesses, also without a score."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    named = re.search(r"--target (\w+) --prediction (\w+)", readme)
    assert named is not None
    target, prediction = named.groups()
    table = fraud.rename({"chargeback": target, "predicted": prediction})
    for given in (table, table.drop("risk_score")):
        assert roles(given)["target"] == target
        assert roles(given)["prediction"] == prediction
