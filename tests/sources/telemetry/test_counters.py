"""Counters become rates, and timed sums become means."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ruleout.sources.telemetry import _counters
from ruleout.sources.telemetry._counters import as_rates


def long(**series: list[float]) -> pl.DataFrame:
    rows = [
        (60.0 * place, "shop", name, float(value))
        for name, values in series.items()
        for place, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=["time", "entity", "metric", "value"], orient="row")


def values(table: pl.DataFrame, metric: str) -> list[float]:
    return table.filter(pl.col("metric") == metric).sort("time")["value"].to_list()


def test_a_counter_becomes_growth_a_second() -> None:
    """A series that only grows and is named like a counter is told as a rate."""
    rates = as_rates(long(requests_total=[100 + 120 * i for i in range(12)]))
    assert values(rates, "requests_total") == [2.0] * 12


def test_a_reset_counts_from_nothing() -> None:
    """After a restart the counter's own value is its growth."""
    counted = [600.0 * i for i in range(60)]
    counted[50:] = [600.0 * i for i in range(1, 11)]
    assert values(as_rates(long(requests_total=counted)), "requests_total") == [10.0] * 60


def test_a_timed_sum_becomes_a_mean() -> None:
    """A sum of durations beside its count is told as the mean duration."""
    number = np.cumsum([10.0, 20, 30, 20, 10, 20, 30, 20, 10, 20])
    table = long(rpc_seconds_sum=list(0.25 * number), rpc_seconds_count=list(number))
    np.testing.assert_allclose(values(as_rates(table), "rpc_seconds_sum"), [0.25] * 10)


def test_a_gauge_that_rises_is_left() -> None:
    """What is not named like a counter, or falls now and then, stays as it is."""
    table = long(memory_bytes=[float(i) for i in range(20)], sessions_total=[5.0, 9, 4, 8] * 5)
    assert as_rates(table).equals(table)


def test_what_is_there_at_one_time_is_no_counter() -> None:
    """A service that is scaled down and then up by one every hour has as many copies as it says."""
    copies = [8.0] * 20 + [2.0] * 100 + [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    table = long(replica_count=copies)
    assert as_rates(table).equals(table)
    done = long(completed_tasks_count=[60.0 * i for i in range(60)])
    assert values(as_rates(done), "completed_tasks_count") == [1.0] * 60


def test_a_mean_without_its_count_is_left_out() -> None:
    """Where a count is not sampled beside its sum, or nothing was timed, no mean is made up."""
    number = np.cumsum([10.0, 20, 30, 20, 0, 20, 30, 20, 10, 20])
    table = long(rpc_seconds_sum=list(0.25 * number), rpc_seconds_count=list(number))
    lost = (pl.col("metric") == "rpc_seconds_count") & (pl.col("time") == 420)
    found = as_rates(table.filter(~lost))
    means = found.filter(pl.col("metric") == "rpc_seconds_sum").sort("time")
    assert set(means["time"]) == {60.0 * place for place in range(10)} - {240.0, 420.0, 480.0}
    np.testing.assert_allclose(means["value"], 0.25)


def test_counters_are_told_apart_in_however_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entities' share that is read at a time changes nothing."""
    table = pl.concat(
        [
            long(
                requests_total=[float(i * k) for i in range(1, 30)], mem=[5.0, 4.0] * 14 + [1.0]
            ).with_columns(pl.lit(f"shop{k}").alias("entity"))
            for k in range(1, 6)
        ]
    )
    whole = as_rates(table)
    monkeypatch.setattr(_counters, "_ROWS", 40)
    assert as_rates(table).equals(whole)
    third = whole.filter(pl.col("entity") == "shop3")
    assert values(third, "requests_total") == pytest.approx([3.0 / 60] * 29)


def test_a_label_does_not_hide_a_counter() -> None:
    """Counters and timed sums whose names end in a label are told as those without."""
    number = [10.0 * i for i in range(12)]
    table = long(
        **{
            "attempts_total.stock": number,
            'rpc_seconds_sum{peer="stock"}': [0.5 * n for n in number],
            'rpc_seconds_count{peer="stock"}': number,
        }
    )
    rates = as_rates(table)
    np.testing.assert_allclose(values(rates, "attempts_total.stock"), [1 / 6] * 12)
    np.testing.assert_allclose(values(rates, 'rpc_seconds_sum{peer="stock"}'), [0.5] * 12)


def test_who_counted_once_counts_as_others_of_its_name() -> None:
    """One error on one machine is one event, and no new level, where another machine counts many."""
    table = long(ecc_errors_total=[0.0] * 6 + [1.0] * 6).with_columns(pl.lit("b").alias("entity"))
    alone = as_rates(table)
    assert values(alone, "ecc_errors_total")[-1] == 1
    busy = long(ecc_errors_total=[3.0 * i for i in range(12)])
    rates = as_rates(pl.concat([busy, table])).filter(pl.col("entity") == "b")
    assert values(rates, "ecc_errors_total")[-1] == 0
    assert sum(values(rates, "ecc_errors_total")) == pytest.approx(1 / 60)


def test_an_age_that_begins_anew_is_no_counter() -> None:
    """An index is renewed now and then, and its age is what counts; an age that only grew tells nothing but time."""
    ages = [300.0 * i for i in range(30)] + [300.0 * i for i in range(90)]
    table = long(index_age_seconds=ages)
    assert as_rates(table).equals(table)
    assert values(as_rates(long(index_age_seconds=ages[:30])), "index_age_seconds") == [5.0] * 30


def test_a_counter_of_rare_events_counts_as_others_of_its_family_do() -> None:
    """What grew twice is a counter where its name says total, or where the like of another label grows often."""
    seldom = [0.0] * 6 + [1.0] + [29.0] * 5
    rate = max(values(as_rates(long(timeouts_total=seldom)), "timeouts_total"))
    assert rate == pytest.approx(28 / 60)
    table = long(**{"retries{to=a}": seldom, "retries{to=b}": [float(i) for i in range(12)]})
    assert max(values(as_rates(table), "retries{to=a}")) == pytest.approx(28 / 60)
    assert max(values(as_rates(long(retries=seldom)), "retries")) == 29.0
