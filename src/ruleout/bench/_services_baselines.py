"""Simple rankings of entities by their metrics, to be beaten.

`robust z` takes the largest departure of a median in units of the reference's deviation, `BARO` the
largest departure of any sample in units of the reference's interquartile range (after Pham et al.,
FSE 2024, with the windows as told), and `correlation` how well a series of the symptom's metric goes
with the symptom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from ruleout.attribution.services import settle_windows
from ruleout.incident import Incident
from ruleout.sources.telemetry import read_telemetry

METHODS = ("robust z", "BARO", "correlation")


def baseline_ranks(
    incident: Incident, right: Sequence[str], nowhere: int
) -> Mapping[str, int | None]:
    """Rank of the first right entity by each method; None where it has nothing to go by."""
    spare = replace(incident, telemetry=replace(incident.telemetry, traces=(), logs=()))
    telemetry = read_telemetry(spare)
    windows = settle_windows(spare, telemetry)
    if telemetry.metrics.is_empty() or windows is None:
        return dict.fromkeys(METHODS)
    time = pl.col("time")
    before = pl.any_horizontal([(time >= a) & (time < b) for a, b in windows.reference])
    now = (time >= windows.current[0]) & (time <= windows.current[1])
    table = telemetry.metrics.filter(before | now).with_columns(now.alias("now"))
    orders = {
        "robust z": _largest(table, robust=True),
        "BARO": _largest(table, robust=False),
        "correlation": _correlated(table, incident),
    }
    return {
        name: None if order is None else _rank(order, right, nowhere)
        for name, order in orders.items()
    }


def _rank(order: Sequence[str], right: Sequence[str], nowhere: int) -> int:
    return next((i for i, name in enumerate(order, 1) if name in right), nowhere)


def _largest(table: pl.DataFrame, *, robust: bool) -> list[str]:
    """Entities by the largest departure of any of their metrics."""
    value = pl.col("value")
    usual = value.filter(~pl.col("now"))
    middle = usual.median()
    if robust:
        size = (value.filter("now").median() - middle).abs()
        scale = 1.4826 * (usual - middle).abs().median()
    else:
        size = (value.filter("now") - middle).abs().max()
        scale = usual.quantile(0.75) - usual.quantile(0.25)
    found = table.group_by("entity", "metric").agg(size.alias("size"), scale.alias("scale"))
    score = pl.col("size") / pl.when(pl.col("scale") > 0).then(pl.col("scale")).otherwise(1.0)
    ranked = found.drop_nulls().group_by("entity").agg(score.max().alias("score"))
    return ranked.sort("score", "entity", descending=[True, False])["entity"].to_list()


def _correlated(table: pl.DataFrame, incident: Incident) -> list[str] | None:
    """Entities by how their series of the symptom's metric correlates with the symptom's."""
    entity, metric = incident.symptom.entity, incident.symptom.metric
    if entity is None or metric is None:
        return None
    rows = table.filter(pl.col("metric") == metric)
    own = rows.filter(pl.col("entity") == entity).select("time", pl.col("value").alias("symptom"))
    if own.height < 4:
        return None
    found = (
        rows.filter(pl.col("entity") != entity)
        .join(own, on="time")
        .group_by("entity")
        .agg(pl.corr("value", "symptom").fill_nan(0).fill_null(0).alias("r"))
    )
    return found.sort("r", "entity", descending=[True, False])["entity"].to_list()
