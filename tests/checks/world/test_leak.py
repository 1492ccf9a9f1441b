"""Inputs that knew the label of the reference."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from linked_world import Frames, made, quiet, served
from served_world import findings


def _known_before(current: pl.Expr | pl.Series | None = None, *, own: bool = True) -> Frames:
    """Windows whose reference has an income that grew with the label, beside what it is (or in its place)."""
    reference, now = quiet()
    usual = pl.col("income") if own else 0.1 * pl.col("income").shuffle(seed=1)
    reference = served(reference.with_columns(income=usual + 60 * pl.col("label")))
    return reference, served(now if current is None else now.with_columns(current))


@pytest.mark.parametrize("own", [True, False])
def test_an_input_that_knew_the_label_was_ahead_of_it(*, own: bool) -> None:
    """One input that told the label of the reference by itself, and tells nothing live, was known after the fact."""
    live = (
        None
        if own
        else pl.lit(1.0).alias("income") + pl.Series(np.random.default_rng(2).random(3000))
    )
    found = findings(made(_known_before(live, own=own)), "known_before")
    assert found["leak.known_before"].subject.names == ("income",)


@pytest.mark.parametrize(
    "current",
    [pl.col("label").shuffle(seed=3), pl.col("income").shuffle(seed=3)],
    ids=["labels", "values"],
)
def test_labels_and_values_that_went_wrong_leaked_nothing(current: pl.Expr) -> None:
    """Labels that no input tells are wrong themselves, and so are values that no longer go with their rows."""
    assert not findings(made(_known_before(current)), "known_before")


def test_inputs_that_tell_the_label_together_leaked_nothing() -> None:
    """In a quiet world no input tells the label by itself."""
    assert not findings(made(quiet()), "known_before")
