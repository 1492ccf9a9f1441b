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
    folder: Path, shape: Shape, *, others: Shape | None = None, changes: str = ""
) -> ServicesResult:
    """A shop of which the front's latency takes a shape, and so may its callees'."""
    rng = np.random.default_rng(5)
    rows: list[tuple[float, str, str, float]] = []
    for entity in ("front", "cart", "store"):
        own = shape if entity == "front" else others or np.ones_like
        values = 0.1 * own(SECONDS) * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
        rows += [(t, entity, "latency_p95_s", v) for t, v in zip(SECONDS, values, strict=True)]
        load = 50.0 * (1 + 0.05 * rng.standard_normal(len(SECONDS)))
        rows += [(t, entity, "requests_per_s", v) for t, v in zip(SECONDS, load, strict=True)]
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
