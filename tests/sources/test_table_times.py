"""Instants in tables."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleout._errors import SourceError
from ruleout.sources import epoch_expression, epoch_seconds

NEW_YEAR = 1767225600.0
LOCAL = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - the point is that it has no zone


@pytest.mark.parametrize(
    "values",
    [
        [LOCAL],
        [dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))],
        [dt.date(2026, 1, 1)],
        ["2026-01-01"],
        ["2026-01-01T00:00:00Z"],
        ["2026-01-01 00:00:00"],
        ["2026-01-01 00:00"],
        ["2026-01-01T02:00:00.000+02:00"],
        ["2026-01-01T02:00+0200"],
        ["2026-01-01 00:00:00 UTC"],
        ["2026/01/01"],
        ["1767225600"],
        [1767225600],
        [1767225600.0],
        [1767225600_000],
        [1767225600_000_000],
        [1767225600_000_000_000],
    ],
)
def test_every_form_of_an_instant(values: list[object]) -> None:
    """Datetimes, dates, ISO texts and epochs of any unit become epoch seconds; without a zone they are UTC."""
    seconds = epoch_seconds(pl.Series("t", values))
    assert seconds.dtype == pl.Float64
    assert seconds.to_list() == [NEW_YEAR]


def test_forms_may_be_mixed() -> None:
    """Texts of several forms in one column are each read; what is no time is null."""
    texts = [
        "2026-01-01T00:00:00Z",
        "2026-01-01",
        None,
        "soon",
        "",
        "2026-01-01 00:00:00.5",
        "2026-13-45",
    ]
    expected = [NEW_YEAR, NEW_YEAR, None, None, None, NEW_YEAR + 0.5, None]
    assert epoch_seconds(pl.Series("t", texts)).to_list() == expected


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_units_and_zones_of_datetimes(unit: str, zone: str | None) -> None:
    """A datetime column of any unit and zone gives the same instants."""
    series = pl.Series("t", [LOCAL]).dt.cast_time_unit(unit)  # type: ignore[arg-type]
    series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else series
    assert epoch_seconds(series).to_list() == [NEW_YEAR]


def test_missing_and_infinite_are_null() -> None:
    """Null, NaN and infinity are no instants."""
    series = pl.Series("t", [1767225600.0, None, float("nan"), float("inf")])
    assert epoch_seconds(series).to_list() == [NEW_YEAR, None, None, None]
    assert epoch_seconds(pl.Series("t", [None, None])).to_list() == [None, None]
    assert epoch_seconds(pl.Series("t", [], dtype=pl.String)).to_list() == []


def test_what_holds_no_instants_is_refused() -> None:
    """A column of lists is refused by name and type."""
    with pytest.raises(SourceError, match="'t' is of type List"):
        epoch_seconds(pl.Series("t", [[1]]))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.none(), st.text(max_size=30), st.datetimes().map(str)), max_size=5))
def test_any_text(texts: list[str | None]) -> None:
    """Any texts give as many seconds or nulls, and the lazy form agrees."""
    series = pl.Series("t", texts, dtype=pl.String)
    seconds = epoch_seconds(series)
    assert len(seconds) == len(texts)
    lazy = series.to_frame().lazy().select(epoch_expression(0)).collect()["t"]
    assert seconds.equals(lazy)
