"""Columns of a type that their role cannot have."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.incident import check_types, from_frames

LIST = pl.List(pl.Float64)
GOOD: dict[str, list[pl.DataType]] = {
    "target": [pl.Int64(), pl.String(), pl.Boolean(), pl.Null(), pl.Decimal(10, 2), pl.Int128()],
    "prediction": [pl.Float32(), pl.Categorical()],
    "score": [pl.Float64(), pl.String(), pl.Decimal(10, 2)],
    "weight": [pl.UInt8()],
    "timestamp": [pl.Datetime("us", "UTC"), pl.Date(), pl.Int64(), pl.String(), pl.Float64()],
    "label_available_at": [pl.Datetime("ms")],
    "text": [pl.String(), pl.Int64()],
    "embedding": [LIST, pl.Array(pl.Float32, 3), pl.List(pl.Int64), pl.List(pl.Null)],
}
BAD: dict[str, list[pl.DataType]] = {
    "target": [LIST, pl.Struct({"a": pl.Int64}), pl.Duration("us")],
    "prediction": [pl.Array(pl.Int64, 2)],
    "score": [LIST, pl.Date(), pl.Binary()],
    "weight": [LIST],
    "timestamp": [pl.Boolean(), pl.List(pl.Date), pl.Time()],
    "label_available_at": [pl.Boolean()],
    "text": [pl.List(pl.String)],
    "embedding": [pl.Float64(), pl.String(), pl.List(pl.String), pl.List(LIST)],
}


def checked(role: str, reference: pl.DataType | None, current: pl.DataType | None) -> None:
    columns: dict[str, Any] = {"scores": {"cat": "x"}} if role == "scores.cat" else {role: "x"}
    incident = from_frames(pl.DataFrame({"x": [1]}), file="incident.yaml", **columns)
    other = {"y": pl.Float64(), "z": pl.List(pl.Float32)}
    schemas = [None if dtype is None else {"x": dtype, **other} for dtype in (reference, current)]
    check_types(incident, *schemas)


@pytest.mark.parametrize(("role", "dtype"), [(r, d) for r, ds in GOOD.items() for d in ds])
def test_types_that_a_role_can_have(role: str, dtype: pl.DataType) -> None:
    """What can be read as the role asks is let through, in both tables or one."""
    checked(role, dtype, dtype)
    checked(role, None, dtype)


@pytest.mark.parametrize(("role", "dtype"), [(r, d) for r, ds in BAD.items() for d in ds])
def test_types_that_a_role_cannot_have(role: str, dtype: pl.DataType) -> None:
    """The error names the file, the key, the column, the table and the type, and the way out."""
    told = (
        rf"incident.yaml: data.columns.{role} is 'x'; data.reference has it as {dtype.base_type()}"
    )
    with pytest.raises(IncidentError, match=told) as caught:
        checked(role, dtype, None)
    assert "convert it" in str(caught.value)


def test_another_column_is_offered() -> None:
    """A column of the usual type stands in the message."""
    with pytest.raises(
        IncidentError, match=r"data.columns.scores.cat is 'x'.*another column \('y'\)"
    ):
        checked("scores.cat", LIST, LIST)
    with pytest.raises(IncidentError, match=r"data.columns.embedding.*another column \('z'\)"):
        checked("embedding", pl.String(), pl.String())


def test_what_changed_in_the_current_table_alone() -> None:
    """A label of another type there is refused too; an input of another type is evidence."""
    with pytest.raises(IncidentError, match=r"data\.current has it as List"):
        checked("target", pl.Int64(), LIST)
    checked("embedding", LIST, pl.String())
    checked("text", pl.String(), LIST)
