"""Counters that only ever grow, as rates; sums of durations beside their counts, as means."""

from __future__ import annotations

import polars as pl

_HINTS = r"(?i)(^|[^a-z])(total|count|counter|sum|bucket|cumulative|seconds)$"
"""How names of counters end in the usual conventions."""

_LEAST = 8
"""Samples that a series must have to be told for a counter."""

_RISING = 0.02
"""Share of steps that may fall: restarts reset a counter."""

_KEYS = ["entity", "metric"]


def as_rates(metrics: pl.DataFrame) -> pl.DataFrame:
    """The metrics with every counter replaced by its rate a second, and `x_sum` by `x_sum` over `x_count`.

    A series is a counter where its name ends as counters' names do and it never falls but for resets
    to near nothing. All others, and the order of the rows, are left as they are.

    Args:
        metrics: long metrics with the columns of `METRICS`.
    """
    names = metrics["metric"].unique()
    hinted = names.filter(names.str.contains(_HINTS)).to_list()
    if not hinted:
        return metrics
    suspects = metrics.filter(pl.col("metric").is_in(hinted)).sort(*_KEYS, "time")
    counters = _counters(suspects)
    if counters.is_empty():
        return metrics
    rates = _rates(suspects.join(counters, on=_KEYS, how="semi"))
    rest = metrics.join(counters, on=_KEYS, how="anti", maintain_order="left")
    return pl.concat([rest, _means(rates)])


def _counters(suspects: pl.DataFrame) -> pl.DataFrame:
    """Names of series that grow and never fall, but for resets."""
    value, step = pl.col("value"), pl.col("value").diff()
    reset = (step < 0) & (value <= 0.5 * value.shift(1))
    told = suspects.group_by(_KEYS, maintain_order=True).agg(
        (value.len() >= _LEAST).alias("long"),
        (value.min() >= 0).alias("positive"),
        ((step < 0) & ~reset).any().alias("falls"),
        (reset.mean() <= _RISING).alias("steady"),
        (step > 0).sum().alias("grows"),
        (value.first() > 0).alias("begun"),
    )
    counts = pl.col("long") & pl.col("positive") & ~pl.col("falls") & pl.col("steady")
    # A counter of rare events may stand still throughout; from zero, that is any constant series.
    known = told.filter(counts & ((pl.col("grows") >= 2) | pl.col("begun")))
    family = known.group_by("metric").agg(pl.col("grows").max().alias("most"))
    return known.join(family.filter(pl.col("most") >= _LEAST // 2), on="metric").select(_KEYS)


def _rates(table: pl.DataFrame) -> pl.DataFrame:
    """Growth a second of each counter, from its second sample on; after a reset it began from nothing."""
    step = pl.col("value").diff().over(_KEYS)
    seconds = pl.col("time").diff().over(_KEYS)
    grown = pl.when(step < 0).then(pl.col("value")).otherwise(step)
    rate = table.with_columns((grown / seconds).alias("value"))
    return rate.filter((seconds > 0).fill_null(value=False) & pl.col("value").is_not_null())


def _means(rates: pl.DataFrame) -> pl.DataFrame:
    """Sums over their counts where both are there; a mean of nothing is left out."""
    stem = pl.col("metric").str.replace(r"(?i)[_.]sum$", "")
    sums = rates.filter(pl.col("metric").str.contains(r"(?i)[_.]sum$")).with_columns(
        stem.alias("stem")
    )
    counts = rates.filter(pl.col("metric").str.contains(r"(?i)[_.]count$")).select(
        "time",
        "entity",
        pl.col("metric").str.replace(r"(?i)[_.]count$", "").alias("stem"),
        pl.col("value").alias("number"),
    )
    paired = sums.join(counts, on=["entity", "stem", "time"], how="inner", maintain_order="left")
    if paired.is_empty():
        return rates
    mean = paired.filter(pl.col("number") > 0).with_columns(pl.col("value") / pl.col("number"))
    # A sum whose count was not sampled at the same instant would stand among means as what it is not.
    kept = rates.join(paired.select(_KEYS), on=_KEYS, how="anti")
    return pl.concat([kept.sort(*_KEYS, "time"), mean.select(rates.columns)])
