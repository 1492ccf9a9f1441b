"""Alarms that are nobody's fault: nothing happened, it was planned, it is over, or it was measured wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.incident import SymptomSpec, TableSpec

SECONDS = np.arange(shop.START, shop.END, 5.0)
Values = np.ndarray
Shape = Callable[[Values], Values]


def _of(
    folder: Path,
    shape: Shape,
    *,
    others: Shape | None = None,
    changes: str = "",
    fill: float = np.nan,
    asked: bool = True,
) -> ServicesResult:
    """A shop of which the front's latency takes a shape, and so may its callees'; what has none is filled or left out."""
    rng = np.random.default_rng(5)
    rows: list[tuple[float, str, str, float]] = []
    for entity in ("front", "cart", "store"):
        own = shape if entity == "front" else others or np.ones_like
        values = 0.1 * own(SECONDS) * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
        open_at = np.isnan(values)
        values = np.where(open_at, fill, values)
        known = zip(SECONDS, values, strict=True)
        rows += [(t, entity, "latency_p95_s", v) for t, v in known if np.isfinite(v)]
        load = 50.0 * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
        told = zip(SECONDS, load, open_at, strict=True)
        rows += [(t, entity, "requests_per_s", v) for t, v, gone in told if asked or not gone]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(folder / "m.parquet")
    symptom = SymptomSpec(metric="latency_p95_s", entity="front", noticed_at=shop.END - 10)
    incident = shop.incident(
        folder,
        metrics=("m.parquet",),
        topology=(("front", "cart"), ("cart", "store")),
        symptom=symptom,
    )
    if changes:
        (folder / "changes.csv").write_text("timestamp,kind,entity,description\n" + changes)
        incident = replace(incident, changes=TableSpec(uri="changes.csv"))
    return analyse(incident, np.random.default_rng(0))


def _raised(since: float, until: float) -> Shape:
    return lambda t: np.where((t >= since) & (t < until), 3.0, 1.0)


def test_a_metric_that_never_left_its_range_is_chance(tmp_path: Path) -> None:
    """Nothing happened: the null is told with its probability, and nobody is accused."""
    result = _of(tmp_path, np.ones_like)
    assert [one.mode for one in result.nulls] == ["random_fluctuation"]
    assert result.no_incident > 0.5


def test_a_symptom_that_went_away_long_ago_is_over(tmp_path: Path) -> None:
    """Raised for a minute and as usual ever since; while it lasts, it is not over."""
    over = _of(tmp_path, _raised(shop.FAULT, shop.FAULT + 60))
    assert "already_recovered" in {one.mode for one in over.nulls}
    lasting = _of(tmp_path, _raised(shop.FAULT, shop.END))
    assert "already_recovered" not in {one.mode for one in lasting.nulls}


@pytest.mark.parametrize(("factor", "defect"), [(1000.0, True), (2.7, False)])
def test_a_metric_in_another_unit_is_the_monitors(
    tmp_path: Path, factor: float, defect: bool
) -> None:
    """One latency that steps from seconds to milliseconds beside another that stays is measured wrong."""
    rng = np.random.default_rng(5)
    late = shop.FAULT <= SECONDS
    rows: list[tuple[float, str, str, float]] = []
    for metric, level in (("latency_p95_s", 0.1), ("latency_p50_s", 0.05)):
        values = level * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
        if metric == "latency_p95_s":
            values = np.where(late, factor * values, values)
        rows += [(t, "front", metric, v) for t, v in zip(SECONDS, values, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    symptom = SymptomSpec(metric="latency_p95_s", entity="front", noticed_at=shop.END - 10)
    incident = shop.incident(tmp_path, metrics=("m.parquet",), symptom=symptom)
    result = analyse(incident, np.random.default_rng(0))
    assert ("monitor_defect" in {one.mode for one in result.nulls}) is defect


@pytest.mark.parametrize(
    ("words", "planned"),
    [
        ("chaos,store,planned failover exercise of the store", True),
        ("config,store,office closed for a planned exercise", False),
        ("deploy,store,release 4.2", False),
    ],
)
def test_announced_work_explains_what_begins_with_it(
    tmp_path: Path, words: str, planned: bool
) -> None:
    """Work that was meant to disturb, made as the symptom begins, is what it is; a release is not."""
    at = "2023-11-14T22:23:00Z"
    result = _of(tmp_path, _raised(shop.FAULT, shop.END), changes=f"{at},{words}\n")
    assert ("planned_event" in {one.mode for one in result.nulls}) is planned


@pytest.mark.parametrize(("hour", "planned"), [("22:24-23:30", True), ("21:55-22:05", False)])
def test_announced_hours_count_from_their_own_beginning(
    tmp_path: Path, hour: str, planned: bool
) -> None:
    """Work announced well before is what begins with the hour it names, and not what begins at another."""
    line = f"2023-11-14T21:50:00Z,calendar,store,planned backfill {hour} UTC\n"
    result = _of(tmp_path, _raised(shop.FAULT, shop.END), changes=line)
    assert ("planned_event" in {one.mode for one in result.nulls}) is planned


@pytest.mark.parametrize(("failing", "defect"), [(1.0, True), (30.0, False)])
def test_a_share_that_its_own_counts_do_not_make_is_the_monitors(
    tmp_path: Path, failing: float, defect: bool
) -> None:
    """A rate of failures that was failures over requests, and leaves it, was given another denominator."""
    rng = np.random.default_rng(5)
    late = shop.FAULT <= SECONDS
    failed = 5.0 * np.where(late, failing, 1.0) * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
    asked = 500.0 * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
    rate = np.where(late, 30.0, 1.0) * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
    told = {"ErrorRate": rate, "Errors.Sum": failed, "Invocations.Sum": asked}
    rows = [(t, "front", m, v) for m, vs in told.items() for t, v in zip(SECONDS, vs, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    symptom = SymptomSpec(metric="ErrorRate", entity="front", noticed_at=shop.END - 10)
    incident = shop.incident(tmp_path, metrics=("m.parquet",), symptom=symptom)
    result = analyse(incident, np.random.default_rng(0))
    assert ("monitor_defect" in {one.mode for one in result.nulls}) is defect


@pytest.mark.parametrize(("level", "defect"), [(0.014, True), (0.0007, False)])
def test_requests_deny_only_a_measure_of_their_own_length(
    tmp_path: Path, level: float, defect: bool
) -> None:
    """A latency that left the spans behind is measured wrong; the time to a first part never was their length."""
    shop.spans(np.random.default_rng(1), rate=2.0).write_parquet(tmp_path / "s.parquet")
    rng = np.random.default_rng(2)
    late = shop.FAULT <= SECONDS
    noise = 1 + 0.05 * rng.standard_normal(len(SECONDS))
    values = level * np.where(late, 3.7, 1.0) * noise
    rows = [(t, "front", "latency_p95_s", v) for t, v in zip(SECONDS, values, strict=True)]
    schema = ["timestamp", "entity", "metric", "value"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(tmp_path / "m.parquet")
    symptom = SymptomSpec(metric="latency_p95_s", entity="front", noticed_at=shop.END - 10)
    incident = shop.incident(
        tmp_path, metrics=("m.parquet",), traces=("s.parquet",), symptom=symptom
    )
    result = analyse(incident, np.random.default_rng(0))
    assert ("monitor_defect" in {one.mode for one in result.nulls}) is defect


@pytest.mark.parametrize(
    ("value", "feels", "defect"), [(0.4872, 1.0, True), (0.5, 1.0, False), (0.4872, 3.0, False)]
)
def test_a_metric_that_stands_still_is_the_monitors(
    tmp_path: Path, value: float, feels: float, defect: bool
) -> None:
    """The same odd number again and again, which nobody bears out, is no time that anything took; a limit may be."""
    stands = _raised(shop.FAULT, shop.END)
    result = _of(
        tmp_path,
        lambda t: np.where(stands(t) > 1, np.nan, 1.0),
        others=lambda t: np.where(t >= shop.FAULT, feels, 1.0),
        fill=value,
    )
    assert ("monitor_defect" in {one.mode for one in result.nulls}) is defect


@pytest.mark.parametrize(("asked", "defect"), [(True, True), (False, False)])
def test_a_metric_that_breaks_off_while_requests_go_on_is_the_monitors(
    tmp_path: Path, asked: bool, defect: bool
) -> None:
    """Without samples of its length, requests that are counted were served all the same; without requests, there is none."""
    gone = _raised(shop.FAULT + 30, shop.END)
    result = _of(tmp_path, lambda t: np.where(gone(t) > 1, np.nan, 1.0), asked=asked)
    assert ("monitor_defect" in {one.mode for one in result.nulls}) is defect
