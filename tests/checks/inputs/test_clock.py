"""Clocks among the inputs, told by the time of the request."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from linked_world import Frames, made, quiet, served
from ruleout._records import Finding
from ruleout.checks.reproduction._relations import numeric_relation
from ruleout.experiments.repairs.rescale import turn_clock
from ruleout.profile import Case
from served_world import cleared, findings


def clocks(turned: pl.Expr | None = None, instant: pl.Expr | None = None) -> Frames:
    """The quiet world with an hour of the day and an instant some minutes before the request."""
    frames = []
    for frame in quiet():
        noise = np.random.default_rng(3).integers(0, 1800, frame.height)
        frames.append(
            frame.with_columns(
                pl.col("ts").dt.hour().cast(pl.Float64).alias("hour"),
                (pl.col("ts") - pl.duration(seconds=pl.Series(noise))).alias("asked_at"),
            )
        )
    if turned is not None:
        frames[1] = frames[1].with_columns(turned.alias("hour"))
    if instant is not None:
        frames[1] = frames[1].with_columns(instant.alias("asked_at"))
    return frames[0], served(frames[1])


def told(case: Case) -> Finding:
    return findings(case, "clock_inputs")["clock.turned"]


def test_clocks_that_go_with_the_request_are_cleared() -> None:
    """An hour and an instant that stand where they did rule a time shift out."""
    case = made(clocks())
    assert findings(case, "clock_inputs") == {}
    assert cleared(case, "clock_inputs") == {"time_shift"}


def test_no_clock_says_nothing() -> None:
    """Inputs that do not go with the time of the request are no clocks of it."""
    case = made(quiet())
    assert findings(case, "clock_inputs") == {}
    assert cleared(case, "clock_inputs") == set()


@pytest.mark.parametrize("hours", [-7, 5, 12])
def test_an_hour_of_another_zone_is_found_and_turned_back(hours: int) -> None:
    """Half a day off looks like itself turned round: the timestamps say by how much, and undo it."""
    frames = clocks(turned=(pl.col("hour") + hours + 24) % 24)
    case = made(frames)
    found = told(case)
    assert found.subject.names == ("hour",)
    assert found.supports == ("time_shift",)
    assert abs(found.statistic) == abs(hours)
    undone = turn_clock(case, found.repairs[0])
    assert (undone.features["hour"] == frames[1]["ts"].dt.hour()).all()


def test_an_hour_of_one_region_is_found_there() -> None:
    """A service of one region that computes the hour in another zone is located by its segment."""
    south = pl.when(pl.col("region") == "south")
    found = told(made(clocks(turned=south.then((pl.col("hour") + 9) % 24).otherwise("hour"))))
    assert (found.scope.column, found.scope.values) == ("region", ("south",))
    assert found.statistic == 9


def test_an_instant_in_another_zone_is_found() -> None:
    """An instant that always came minutes before the request and now hours after it is in another zone."""
    found = told(made(clocks(instant=pl.col("asked_at") + pl.duration(hours=6))))
    assert found.subject.names == ("asked_at",)
    assert found.statistic == 6


def test_an_hour_of_summer_time_is_no_fault() -> None:
    """One hour's change of a local hour is what clocks do twice a year."""
    assert findings(made(clocks(turned=(pl.col("hour") + 1) % 24)), "clock_inputs") == {}


def test_an_hour_of_nought_for_all_is_a_default_and_no_count() -> None:
    """Hours fall as well where half of them are nought, as counts over a part of their events do; hours are no counts."""
    lost = pl.Series(np.random.default_rng(4).random(quiet()[1].height) < 0.5)
    case = made(clocks(turned=pl.when(lost).then(0.0).otherwise(pl.col("hour"))))
    assert findings(case, "missing_and_defaults")["defaults.value"].subject.names == ("hour",)
    assert findings(case, "thin_aggregates") == {}


@pytest.mark.parametrize(("name", "told"), [("order_hour", True), ("kappa", False)])
def test_hours_of_business_are_known_by_their_name(name: str, told: bool) -> None:
    """Few hours of the day, turned past midnight, are a clock's; a measure of the same range is something else."""
    rng = np.random.default_rng(4)
    frames = [
        f.with_columns(pl.Series(name, rng.normal(15, 2, f.height).clip(10, 20))) for f in quiet()
    ]
    frames[1] = frames[1].with_columns((pl.col(name) + 6) % 24)
    case = made((frames[0], frames[1]), features=("age", name))
    assert ("clock.dial" in findings(case, "clock_inputs")) is told


@pytest.mark.parametrize("goes", [True, False])
def test_an_hour_of_a_shop_open_by_day_alone_is_a_clock(goes: bool) -> None:
    """Ten hours of opening are told by the requests' times; a measure of the same range that they do not tell is no hour."""
    rng, frames = np.random.default_rng(6), []
    for frame in quiet():
        opened = pl.col("ts").dt.truncate("1d") + pl.duration(
            seconds=pl.Series(np.sort(rng.integers(9 * 3600, 19 * 3600, frame.height)))
        )
        hour = opened.dt.hour() + opened.dt.minute() / 60
        value = hour if goes else pl.Series(rng.uniform(9, 19, frame.height))
        frames.append(frame.with_columns(value.alias("begun"), ts=opened).sort("ts"))
    frames[1] = frames[1].with_columns(begun=pl.col("begun") - 5)
    found = findings(made((frames[0], frames[1])), "clock_inputs")
    assert found.get("clock.turned") is None if not goes else found["clock.turned"].statistic == -5


def test_what_goes_with_any_time_is_no_clock() -> None:
    """Where requests are logged by their day alone, a small count lies near midnight, and is a count all the same."""
    rng = np.random.default_rng(5)
    frames = [
        f.with_columns(
            ts=pl.col("ts").dt.truncate("1d"),
            nights=pl.Series(
                np.where(
                    rng.random(f.height) < 0.95,
                    rng.integers(0, 2, f.height),
                    rng.integers(2, 16, f.height),
                )
                * 1.0
            ),
        )
        for f in quiet()
    ]
    frames[1] = frames[1].with_columns(nights=pl.col("nights") + 3)
    case = made((frames[0], frames[1]), features=("age", "nights"))
    assert "clock.turned" not in findings(case, "clock_inputs")


def test_a_clock_is_never_stale() -> None:
    """An hour that rows of some amounts came at, and no longer do, says when they were asked and is no older row's."""
    frames = []
    for place, made_of in enumerate(clocks()):
        zone = pl.col("region").replace_strict({"north": 0, "south": 6, "west": 13})
        frame = made_of.with_columns(hour=(pl.col("hour") + zone) % 24).drop("asked_at")
        inputs = frame.select("age", pl.col("income") + 0.6 * pl.col("hour"), "visits", "city")
        order = np.arange(frame.height)
        if place == 1:
            order = np.random.default_rng(2).permutation(order)
        frames.append(served(frame.with_columns(inputs[order])))
    told_of = {
        f.subject.names for f in findings(made((frames[0], frames[1])), "freshness").values()
    }
    assert ("hour",) not in told_of


@pytest.mark.parametrize("zones", [(6,), (5, 6, 8), tuple(range(1, 24))])
def test_recomputed_hours_that_are_zones_off(zones: tuple[int, ...]) -> None:
    """Hours that lie a few zones off the recomputed ones came from other clocks; hours that lie anywhere did not."""
    rng = np.random.default_rng(5)
    right = rng.integers(0, 24, 600).astype(float)
    logged = (right + rng.choice(zones, 600)) % 24
    told = numeric_relation(logged, right, clock=False, dial=True)
    assert (told.kind == "hours") is (len(zones) < 6)


def test_counts_that_lost_a_few_events_are_no_hours() -> None:
    """Counts below 24 that lack one to three are off by few whole numbers, and nobody's clock."""
    rng = np.random.default_rng(6)
    right = rng.integers(4, 24, 600).astype(float)
    told = numeric_relation(right - rng.choice([1.0, 2.0, 3.0], 600), right, clock=False)
    assert told.kind != "hours"
