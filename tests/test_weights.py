"""Rows that count more than others: in the metric, in its interval and in what is explained."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import ruleout
from linked_world import ROLES, Frames, broken, made
from ruleout import IncidentError
from ruleout.checks.symptom import measure

WEIGHED = {**ROLES, "weight": "w"}


def weighed(weight: pl.Expr, current: pl.Expr | None = None) -> Frames:
    """Incomes a thousand times too high in a third of the rows, with weights in both windows."""
    hit = pl.int_range(pl.len()) % 3 == 0
    income = pl.when(hit).then(pl.col("income") * 1000).otherwise(pl.col("income"))
    before, after = broken(income.alias("income"))
    return before.with_columns(w=weight), after.with_columns(
        w=weight if current is None else current
    )


def diagnosed(frames: Frames, roles: dict[str, Any]) -> Any:
    reference, current = frames
    return ruleout.diagnose(
        reference=reference, current=current, task="binary", metric="accuracy", **roles
    ).diagnosis


def test_equal_weights_change_nothing() -> None:
    """Rows that all count three times are rows that all count once."""
    frames = weighed(pl.lit(3.0))
    plain = diagnosed(tuple(f.drop("w") for f in frames), ROLES)  # type: ignore[arg-type]
    told = diagnosed(frames, WEIGHED)
    assert told.symptom == plain.symptom
    assert told.hypotheses[0].explained == plain.hypotheses[0].explained
    assert told.hypotheses[0].failure_mode == "unit_change"


def test_the_metric_is_that_of_the_weighed_rows() -> None:
    """Values of both windows are the weighed means, and the interval holds the change."""
    weight = pl.lit(np.random.default_rng(2).uniform(0.2, 4, 3000)).alias("w")
    case = made(weighed(weight), **WEIGHED)
    found = measure(case)
    for which, value in (("reference", found.reference), ("current", found.current)):
        hit = 1 - case.loss(which)  # type: ignore[arg-type]
        frame = case.table(which).frame  # type: ignore[arg-type]
        assert value == pytest.approx(np.average(hit, weights=frame["w"].to_numpy()))
    assert found.low <= found.change <= found.high


def test_rows_that_count_for_nothing_do_no_harm() -> None:
    """With the broken rows weighed at nothing, the metric has not moved; with the sound ones, it moved more."""
    broke = (pl.int_range(pl.len()) % 3 == 0).cast(pl.Float64)
    plain = measure(made(weighed(pl.lit(1))))
    calm = measure(made(weighed(1 - broke), **WEIGHED))
    loud = measure(made(weighed(broke + 0.01), **WEIGHED))
    assert not calm.significant
    assert abs(calm.change) < 0.3 * abs(plain.change)
    assert loud.change < 1.5 * plain.change


def test_what_is_explained_is_a_share_of_the_weighed_symptom() -> None:
    """Undoing the unit takes away most of what the weighed rows lost."""
    broke = (pl.int_range(pl.len()) % 3 == 0).cast(pl.Float64)
    first = diagnosed(weighed(broke + 0.2), WEIGHED).hypotheses[0]
    assert first.failure_mode == "unit_change"
    assert first.explained.fraction > 0.7
    assert first.explained.low <= first.explained.fraction <= first.explained.high


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        (pl.lit(-1.0), "a weight like -1.0"),
        (pl.lit(None, dtype=pl.Float64), "no weight"),
        (pl.lit(float("nan")), "a weight like nan"),
        (pl.lit(float("inf")), "a weight like inf"),
        (pl.lit("much"), "it is String in data.current, not numbers"),
        (pl.lit(0), "all weights of data.current are 0"),
    ],
)
def test_a_weight_that_is_none_is_refused(weight: pl.Expr, why: str) -> None:
    """The message names the column, the window, the value and the way out."""
    with pytest.raises(IncidentError, match=r"data\.columns\.weight is 'w'") as error:
        diagnosed(weighed(pl.lit(1.0), weight), WEIGHED)
    assert why in str(error.value)
    assert "or leave the key out" in str(error.value)


def test_a_window_without_the_weights_is_refused() -> None:
    """Weights of one window say nothing of the other."""
    before, after = weighed(pl.lit(1.0))
    with pytest.raises(IncidentError, match=r"data\.current has no such column"):
        diagnosed((before, after.drop("w")), WEIGHED)
