"""Labels of any type in one spelling."""

import numpy as np
import polars as pl
import pytest

from ruleout.sources._labels import array_text, common_text, label_codes, label_text, natural_order


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, None], ["1", "0", None]),
        ([1.0, 0.5, float("nan"), None], ["1", "0.5", None, None]),
        ([True, False, None], ["true", "false", None]),
        (["1.0", " x"], ["1.0", " x"]),
        ([float("inf"), -0.0], ["inf", "0"]),
    ],
)
def test_labels_become_text_of_one_spelling(
    values: list[object], expected: list[str | None]
) -> None:
    """Whole floats are written as integers, gaps stay gaps, text stays as it is."""
    assert label_text(pl.Series("y", values)).to_list() == expected


def test_booleans_follow_the_column_they_face() -> None:
    """A boolean target facing numeric or capitalised predictions takes their spelling."""
    truth = pl.Series([True, False])
    assert label_text(truth, like=pl.Series([1, 0])).to_list() == ["1", "0"]
    assert label_text(truth, like=pl.Series(["True", "False"])).to_list() == ["True", "False"]
    left, right = common_text(truth, pl.Series([1.0, 0.0]))
    assert left.to_list() == right.to_list()


def test_model_labels_find_their_class() -> None:
    """A model's integers, floats, booleans and text all find the class they mean."""
    assert label_codes(np.array([1, 0, 7]), ("0", "1")).tolist() == [1, 0, -1]
    assert label_codes(np.array([1.0, np.nan]), ("0", "1")).tolist() == [1, -1]
    assert label_codes(np.array([True, False]), ("0", "1")).tolist() == [1, 0]
    assert label_codes(np.array([1, 0]), ("false", "true")).tolist() == [1, 0]
    assert label_codes(np.array(["b", None], dtype=object), ("a", "b")).tolist() == [1, -1]


def test_classes_are_numbered_as_training_tools_number_them() -> None:
    """Numbers sort as numbers, text as text."""
    assert natural_order(("10", "9", "1")) == ("1", "9", "10")
    assert natural_order(("b", "10", "a")) == ("10", "a", "b")


def test_arrays_of_mixed_objects_become_text() -> None:
    """Object arrays keep None and spell each value by its own type."""
    assert array_text(np.array([1.0, "x", None, True, b"y"], dtype=object)) == [
        "1", "x", None, "true", "y",
    ]  # fmt: skip
