"""Declared columns that are there and say nothing are failed or empty sources."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import ruleout
from linked_world import ROLES, Frames, made, quiet
from ruleout.profile._embedding import embedding_sample

VECTORS, NOTHING = pl.concat_list("age", "income"), pl.lit(None)


def both(value: pl.Expr, name: str) -> Frames:
    reference, current = (f.with_columns(value.alias(name)) for f in quiet(400))
    return reference, current


def statuses(frames: Frames, **roles: Any) -> dict[str, tuple[str, str]]:
    told = made(frames, **roles).sources
    return {s.name: (s.status, s.reason or "") for s in told if s.status != "ok"}


@pytest.mark.parametrize(
    ("role", "value", "status", "why"),
    [
        ("image", pl.lit(b"no picture"), "failed", "decodes as an image"),
        ("image", pl.lit("no bytes"), "failed", "decodes as an image"),
        ("image", pl.lit(None, dtype=pl.Binary), "empty", "has no value"),
        ("embedding", pl.lit(None, dtype=pl.List(pl.Float64)), "empty", "has no value"),
        ("text", pl.lit(None, dtype=pl.String), "empty", "has no value"),
        ("timestamp", pl.lit("yesterday"), "failed", "reads as an instant"),
        ("score", pl.lit("high"), "failed", "reads as a number"),
        ("prediction", NOTHING, "empty", "has no value"),
        ("target", NOTHING, "empty", "has no value"),
        ("label_available_at", pl.lit("soon"), "failed", "reads as an instant"),
    ],
)
def test_a_column_that_says_nothing_is_no_sound_source(
    role: str, value: pl.Expr, status: str, why: str
) -> None:
    """Its status says so, with the column and what its values do not do."""
    frames = both(value, "odd")
    found = statuses(frames, **{role: "odd"})
    assert found[f"data.columns.{role}"][0] == status
    assert "odd" in found[f"data.columns.{role}"][1]
    assert why in found[f"data.columns.{role}"][1]


def test_sound_columns_have_nothing_said_of_them() -> None:
    """Vectors that are vectors, and all that a quiet world has, are no failed sources."""
    assert statuses(both(VECTORS, "vector"), embedding="vector") == {}


def test_modes_that_a_silent_column_would_have_served_are_not_checked() -> None:
    """A text column without a text is told beside the modes that need it."""
    reference, current = both(pl.lit(None, dtype=pl.String), "note")
    roles = {**ROLES, "text": "note"}
    told = ruleout.diagnose(reference=reference, current=current, task="binary", **roles).diagnosis
    why = {n.failure_mode: n.needs for n in told.not_checked}
    assert why["context_truncation"] == "data.columns.text: note has no value in data.reference"
    assert {s.name: s.status for s in told.run.sources}["data.columns.text"] == "empty"


def test_a_golden_set_without_what_is_served_says_so() -> None:
    """Its inputs are read; the outputs to compare them with are a failed source."""
    golden = pl.DataFrame({"income": [1.0, 2.0], "expected": [0.1, 0.9]})
    probe = {"inputs": golden, "expected": "expected"}
    reference, current = quiet(400)
    told = ruleout.diagnose(
        reference=reference, current=current, task="binary", golden=probe, **ROLES
    ).diagnosis
    found = {s.name: s.status for s in told.run.sources}
    assert (found["probes.golden"], found["probes.golden.served"]) == ("ok", "failed")
    assert any(n.needs.startswith("probes.golden.served: ") for n in told.not_checked)


@pytest.mark.parametrize("values", [["a", "b"], [1.0, 2.0], [["a"], ["b"]], [[[1.0]], [[2.0]]]])
def test_what_is_no_vector_is_a_missing_one(values: list[Any]) -> None:
    """Texts, numbers and lists of lists in the place of vectors are missing vectors, not a crash."""
    sample = embedding_sample(pl.Series("v", values), dimension=2)
    assert sample.vectors.shape == (2, 2)
    assert not (sample.vectors == sample.vectors).any()
