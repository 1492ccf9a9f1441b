"""Counters that only ever grow, as rates; sums of durations beside their counts, as means."""

from __future__ import annotations

import numpy as np
import polars as pl

_HINTS = (
    r"(?i)(^|[^a-z])(total|count|counter|sum|bucket|cumulative|seconds|requests|calls|errors|failures?|fail"
    r"|failed|timeouts|retries|restarts|drops|dropped|rejected|rejections|overflow|hits|misses|evictions"
    r"|preemptions|packets|reads|writes|operations|events|messages)$"
)
"""How names of counters end in the usual conventions: with what they count, where with nothing else."""

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
    suspects = metrics.with_row_index("row").filter(pl.col("metric").is_in(hinted))
    suspects = suspects.sort(*_KEYS, "time")
    counters = _counters(suspects)
    if counters.is_empty():
        return metrics
    told = _means(_rates(suspects.join(counters, on=_KEYS, how="semi", maintain_order="left")))
    # The other columns are shared and not copied: metrics are the largest table of all.
    value = metrics["value"].to_numpy().copy()
    value[told["row"].to_numpy()] = told["value"].fill_null(np.nan).to_numpy()
    changed = metrics.with_columns(pl.Series("value", value))
    return changed if np.isfinite(value).all() else changed.filter(pl.col("value").is_finite())


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
    """Growth a second of each counter, the first sample's as the second's; after a reset it began from nothing."""
    step = pl.col("value").diff().over(_KEYS)
    seconds = pl.col("time").diff().over(_KEYS)
    grown = pl.when(step < 0).then(pl.col("value")).otherwise(step)
    rate = pl.when(seconds > 0).then(grown / seconds)
    first = seconds.is_null()
    return table.with_columns(rate.alias("rate")).select(
        "row",
        "time",
        *_KEYS,
        pl.when(first)
        .then(pl.col("rate").shift(-1).over(_KEYS))
        .otherwise(pl.col("rate"))
        .alias("value"),
        (pl.col("time") - seconds).alias("since"),
    )


def _means(rates: pl.DataFrame) -> pl.DataFrame:
    """Sums over their counts where both are there; a mean of nothing, or without its count, is null."""
    ending = pl.col("metric").str.contains
    sums = rates.filter(ending(r"(?i)[_.]sum$")).with_columns(
        pl.col("metric").str.replace(r"(?i)[_.]sum$", "").alias("stem")
    )
    counts = rates.filter(ending(r"(?i)[_.]count$")).select(
        "time",
        "entity",
        pl.col("metric").str.replace(r"(?i)[_.]count$", "").alias("stem"),
        pl.col("value").alias("number"),
        pl.col("since").alias("counted"),
    )
    paired = sums.join(counts.select("entity", "stem").unique(), on=["entity", "stem"], how="semi")
    if paired.is_empty():
        return rates
    number = counts.unique(["entity", "stem", "time"], keep="first")
    mean = paired.join(number, on=["entity", "stem", "time"], how="left").with_columns(
        # After a gap in one of them their rates are not of the same stretch.
        pl.when((pl.col("number") > 0) & pl.col("since").eq_missing(pl.col("counted")))
        .then(pl.col("value") / pl.col("number"))
        .alias("value")
    )
    rest = rates.join(paired.select("row"), on="row", how="anti")
    return pl.concat([rest, mean.select(rates.columns)])
