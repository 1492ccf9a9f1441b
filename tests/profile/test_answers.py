"""Each row is scored once, and every answer is the model's own."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from ruleout.profile._answers import predicted
from ruleout.sources.models import Model, Prediction


class _Counting(Model):
    """Answers by the row alone, and counts what it was asked."""

    name, requires = "counting", ("x", "words")

    def __init__(self) -> None:
        self.asked: list[int] = []

    def _score(self, frame: pl.DataFrame) -> Prediction:
        self.asked.append(frame.height)
        score = frame["x"].to_numpy() + frame["words"].str.len_chars().to_numpy()
        return Prediction((score > 4).astype(int), np.stack([-score, score], axis=1), ("no", "yes"))


def _case(model: Model) -> Any:
    return SimpleNamespace(models={"current": model}, cache={})


def test_rows_asked_before_are_not_scored_again() -> None:
    """Overlapping, repeated and reordered rows get the answers that a fresh model gives, at one scoring each."""
    rng = np.random.default_rng(0)
    words = [["", "a", "grey", None][i % 4] for i in range(300)]
    frame = pl.DataFrame({"x": rng.normal(size=300), "words": words, "other": range(300)})
    frame = frame.with_columns(pl.col("words").fill_null("none"))
    model, fresh = _Counting(), _Counting()
    case = _case(model)
    for rows in (np.arange(100), np.arange(50, 200), rng.integers(0, 300, 400), np.arange(300)):
        said, expected = predicted(case, "current", frame[rows]), fresh.predict(frame[rows])
        np.testing.assert_array_equal(said.scores, expected.scores)
        np.testing.assert_array_equal(said.labels, expected.labels)
        assert said.classes == ("no", "yes")
    assert sum(model.asked) == 300


def test_a_changed_input_is_scored_anew() -> None:
    """A row whose input was repaired is another row; a column that the model does not read is not."""
    frame = pl.DataFrame({"x": [1.0, 2.0], "words": ["a", "b"], "other": [1, 2]})
    model = _Counting()
    case = _case(model)
    predicted(case, "current", frame)
    predicted(case, "current", frame.with_columns(other=pl.lit(7)))
    assert model.asked == [2]
    again = predicted(case, "current", frame.with_columns(x=pl.Series([1.0, 9.0])))
    assert model.asked == [2, 1]
    np.testing.assert_array_equal(again.scores, [[-2.0, 2.0], [-10.0, 10.0]])


def test_answers_of_another_form_are_told_as_they_are() -> None:
    """A model that adds labels for some rows alone is asked anew, and its answer told as it is."""

    class _Changing(_Counting):
        def _score(self, frame: pl.DataFrame) -> Prediction:
            said = super()._score(frame)
            return said if frame["x"].max() > 2 else said._replace(labels=None)

    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "words": ["a", "b", "c", "d"]})
    model = _Changing()
    case = _case(model)
    assert predicted(case, "current", frame[:2]).labels is None
    said = predicted(case, "current", frame)
    np.testing.assert_array_equal(said.labels, [0, 0, 0, 1])
    np.testing.assert_array_equal(said.scores[:, 1], [2.0, 3.0, 4.0, 5.0])
