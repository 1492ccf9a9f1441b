"""The metric that is told while labels are missing."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding
from ruleout.checks.symptom._estimated import estimate_performance
from ruleout.incident._model import Columns, DataSpec, Incident, SymptomSpec, TableSpec
from ruleout.profile import build_case
from served_world import case_of, outcomes, rows, windows


def without_labels(frame: pl.DataFrame, known: int = 0) -> pl.DataFrame:
    return frame.with_columns(
        pl.when(pl.int_range(pl.len()) < known).then(pl.col("label")).alias("label")
    )


def test_a_metric_that_fell_is_told_before_its_labels_come() -> None:
    """More rows on which the model is unsure: the estimate is below the reference's, and its interval holds the truth."""
    rng = np.random.default_rng(1)
    reference = rows(4000, rng)
    pool = rows(16_000, rng, start=reference["ts"].max().timestamp(), days=2)
    unsure = pool.filter((pl.col("score") - 0.5).abs() < 0.4)[:4000]
    real = float((unsure["label"] == unsure["said"]).mean())
    (said,) = outcomes(case_of(reference, without_labels(unsure)), "estimated_metric")
    assert isinstance(said, Finding)
    assert said.signal == "estimated_metric.worse"
    assert said.supports == ()
    told = estimate_performance(case_of(reference, without_labels(unsure)))
    assert told is not None
    assert told.estimate.low <= real <= told.estimate.high
    assert "4000 current labels are missing" in said.statement
    assert "unnoticed" in said.statement


def test_windows_alike_are_not_told_to_be_worse() -> None:
    """Without a change the estimate clears; with all labels, or with no way to estimate, the check abstains."""
    rng = np.random.default_rng(2)
    reference, current = windows(rng)
    (alike,) = outcomes(case_of(reference, without_labels(current, 500)), "estimated_metric")
    assert isinstance(alike, Clear)
    (whole,) = outcomes(case_of(reference, current), "estimated_metric")
    assert isinstance(whole, Abstained)
    (other,) = outcomes(
        case_of(reference, without_labels(current, 500), metric="log_loss"), "estimated_metric"
    )
    assert isinstance(other, Abstained)
    assert "cannot be estimated" in other.reason


def numbers(
    n: int, rng: np.random.Generator, *, centre: float = 0.0, off: float = 0.0
) -> pl.DataFrame:
    """Answers whose error grows with an input, and is larger by `off` than it used to be where that is positive."""
    x, z = rng.normal(centre, 1.0, n), rng.normal(size=n)
    error = rng.normal(0, 1, n) * np.exp(0.5 * x) * np.where(x > 0, 1.0 + off, 1.0)
    return pl.DataFrame({"x": x, "z": z, "said": 3 * z, "label": 3 * z + error})


def number_case(reference: pl.DataFrame, current: pl.DataFrame) -> Any:
    columns = Columns(target="label", prediction="said", features=("x", "z"))
    data = DataSpec(TableSpec(frame=reference), TableSpec(frame=current), columns)
    incident = Incident(title="t", task="regression", symptom=SymptomSpec(metric="mae"), data=data)
    return build_case(replace(incident))


def test_a_regression_is_estimated_and_known_labels_may_contradict() -> None:
    """The error foretold at other inputs holds the real one; labels that contradict what was learned are a warning, others not."""
    rng = np.random.default_rng(3)
    reference = numbers(4000, rng)
    moved, changed = numbers(3000, rng, centre=0.6), numbers(3000, rng, centre=0.6, off=0.8)
    real = float((moved["label"] - moved["said"]).abs().mean())
    sound = estimate_performance(number_case(reference, without_labels(moved, 400)))
    assert sound is not None
    assert sound.estimate.low <= real <= sound.estimate.high
    assert sound.caution == ""
    fooled = estimate_performance(number_case(reference, without_labels(changed, 400)))
    assert fooled is not None
    assert "too favourable" in fooled.caution
    blind = estimate_performance(number_case(reference, without_labels(changed)))
    assert blind is not None
    assert "unnoticed" in blind.caution
