from datetime import UTC, datetime

import numpy as np
import pytest

from ruleout.stats._calendar import (
    CELLS,
    DAY,
    calendar_cells,
    calendar_indicators,
    hours,
    repeated,
    weekdays,
)

INSTANTS = np.random.default_rng(1).uniform(0, 2e9, 500)


def test_weekdays_and_hours_are_those_of_the_calendar() -> None:
    """Python's own calendar says the same of instants over sixty years."""
    dates = [datetime.fromtimestamp(t, UTC) for t in INSTANTS]
    assert weekdays(INSTANTS).tolist() == [d.weekday() for d in dates]
    assert hours(INSTANTS).tolist() == [d.hour // 2 for d in dates]


def test_cells_part_what_indicators_part() -> None:
    """Rows of one cell have one row of indicators and rows of two cells have two: both know one calendar."""
    cells = calendar_cells(INSTANTS, weekday=True)
    assert cells.max() < CELLS
    rows = calendar_indicators(INSTANTS, 28.0)
    told = {c: tuple(r) for c, r in zip(cells.tolist(), rows.tolist(), strict=True)}
    assert all(told[c] == tuple(r) for c, r in zip(cells.tolist(), rows.tolist(), strict=True))
    assert len(set(told.values())) == len(told)


@pytest.mark.parametrize(("days", "width"), [(1, 0), (2, 11), (8, 12), (20, 17)])
def test_few_days_tell_little_apart(days: float, width: int) -> None:
    """A day tells nothing, two tell hours, eight the weekend besides, three weeks each weekday."""
    assert calendar_indicators(INSTANTS, days).shape == (500, width)
    assert repeated(days, weekday=False) == (width > 0)
    assert repeated(days, weekday=True) == (width > 11)


def test_the_same_hour_of_another_week_is_the_same_cell() -> None:
    """Cells repeat every week, and without weekdays every day."""
    at = INSTANTS[:50]
    assert (calendar_cells(at, weekday=True) == calendar_cells(at + 7 * DAY, weekday=True)).all()
    assert (calendar_cells(at, weekday=False) == calendar_cells(at + DAY, weekday=False)).all()
