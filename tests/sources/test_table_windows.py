"""Which rows are the reference, and which are current."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.incident import from_frames
from ruleout.sources import reference_and_current, with_task

BOTH = pl.DataFrame(
    {
        "ts": ["2026-01-01", "2026-01-02", "2026-01-02T12:00:00Z", "2026-01-04", None],
        "y": [0, 1, 2, 3, 4],
    }
)
WINDOWS = {"reference": ("2026-01-01", "2026-01-02"), "current": ("2026-01-02", "2026-01-04")}


def rows(*frames: Any, **arguments: Any) -> list[list[int] | None]:
    tables = reference_and_current(from_frames(*frames, **arguments))
    return [None if table is None else table.read()["y"].to_list() for table in tables]


@pytest.mark.parametrize("frames", [(BOTH, None), (None, BOTH), (BOTH, BOTH)])
def test_one_table_is_split_by_the_windows(frames: tuple[Any, Any]) -> None:
    """One table holds both windows, however it is named; ends are exclusive, rows without a time are in neither."""
    assert rows(*frames, timestamp="ts", windows=WINDOWS) == [[0], [1, 2]]


@pytest.mark.parametrize("name", ["*", "^y$", "^.*$"])
def test_the_timestamp_may_be_called_anything(name: str) -> None:
    """A name that polars would take for a pattern is only a name."""
    frame = BOTH.rename({"ts": name})
    assert rows(frame, timestamp=name, windows=WINDOWS) == [[0], [1, 2]]
    incident = from_frames(frame.rename({"y": "ts"}).rename({name: "^y$"}), None, target="^y$")
    assert with_task(incident, *reference_and_current(incident)).task == "multiclass"


def test_a_missing_window_is_the_rest() -> None:
    """The reference is what comes before the current window; the current is what follows the reference."""
    assert rows(BOTH, timestamp="ts", windows={"current": WINDOWS["current"]}) == [[0], [1, 2]]
    assert rows(BOTH, timestamp="ts", windows={"reference": WINDOWS["reference"]}) == [
        [0],
        [1, 2, 3],
    ]


def test_two_tables_are_taken_whole() -> None:
    """Windows do not cut tables that are apart already: a shift of time zones must not hide its own rows."""
    assert rows(BOTH, BOTH.clone(), timestamp="ts", windows=WINDOWS) == [[0, 1, 2, 3, 4]] * 2


def test_one_table_without_windows() -> None:
    """One table alone stands for its own window."""
    assert rows(BOTH) == [[0, 1, 2, 3, 4], None]
    assert rows(None, BOTH) == [None, [0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"windows": WINDOWS}, r"data\.columns\.timestamp: is missing.*the columns are ts, y"),
        ({"windows": WINDOWS, "timestamp": "tss"}, r"timestamp is 'tss'.*did you mean 'ts'"),
        ({}, r"the same table.*windows"),
    ],
)
def test_a_split_that_cannot_be_made(arguments: dict[str, Any], told: str) -> None:
    """Without a timestamp, with a mistyped one, or without windows, one table cannot be parted; the error says why."""
    with pytest.raises(IncidentError, match=told):
        reference_and_current(from_frames(BOTH, BOTH, **arguments))


def test_no_tables() -> None:
    """An incident of telemetry alone has no tables."""
    assert rows(telemetry={"metrics": "m.parquet"}) == [None, None]


def test_the_task_is_told_from_the_reference() -> None:
    """An undeclared task is inferred from the target in the reference, else in the current table; a declared one stays."""
    frame = pl.DataFrame({"y": ["a", "b", "c"]})
    for frames in ((frame, frame.clone()), (None, frame), (frame.rename({"y": "z"}), frame)):
        incident = from_frames(*frames, target="y")
        assert with_task(incident, *reference_and_current(incident)).task == "multiclass"
    declared = from_frames(frame, frame.clone(), target="y", task="ranking")
    assert with_task(declared, *reference_and_current(declared)).task == "ranking"
    silent = from_frames(frame, frame.clone())
    assert with_task(silent, *reference_and_current(silent)).task == "none"
