"""Counters that only ever grow, as rates; sums of durations beside their counts, as means."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

_LABEL = r"(\.[\w-]+|[{\[(].*)?$"
_HINTS = (
    r"(?i)(^|[^a-z])(total|count|counter|sum|bucket|cumulative|seconds|requests|calls|errors|failures?|fail"
    r"|failed|timeouts|retries|restarts|drops|dropped|rejected|rejections|overflow|hits|misses|evictions"
    r"|preemptions|packets|reads|writes|operations|events|messages|attempts)" + _LABEL
)
"""How names of counters end in the usual conventions, but for a label: with what they count, where with nothing else."""

_LABELS = r"[{\[(].*$"
_TOTAL = r"(?i)[^a-z]total" + _LABEL
_TWICE = 2

_AT_ONCE = (
    r"(?i)(^|[^a-z])(replicas?|instances?|pods?|nodes?|hosts?|workers?|threads?|connections?|sessions?|partitions?"
    r"|process(es)?|executors?|members?|tasks?|goroutines?|shards?|consumers?|brokers?|containers?)[^a-z]count"
    + _LABEL
)
"""Counts of what is there at one time, whatever their last word; a service that grows by the hour is no counter."""

_SO_FAR = r"(?i)(completed|finished|started|created|failed|rejected|processed|handled|opened|closed|killed|accepted|dropped)"
"""... but for what has happened to them so far."""

_AGES = r"(?i)(^|[^a-z])(age|behind|freshness|lag|lateness|staleness)[^a-z]+seconds" + _LABEL
"""Ages grow by themselves, and begin anew with each renewal: where one was seen, the age itself counts, and not how it grows."""

_LEAST = 8
"""Samples that a series must have to be told for a counter."""

_RISING = 0.02
"""Share of steps that may fall: restarts reset a counter."""

_ROWS = 500_000
"""Rows of metrics that are sorted and differenced at a time."""


def as_rates(metrics: pl.DataFrame) -> pl.DataFrame:
    """The metrics with every counter replaced by its rate a second, and `x_sum` by `x_sum` over `x_count`.

    A series is a counter where its name ends as counters' names do and it never falls but for resets
    to near nothing; one that has grown seldom, where others of its name, but for labels, are counters. All others, and
    the order of the rows, are left as they are.

    Args:
        metrics: long metrics with the columns of `METRICS`.
    """
    names = metrics["metric"].unique()
    at_once = names.str.contains(_AT_ONCE) & ~names.str.contains(_SO_FAR)
    hinted = names.filter(names.str.contains(_HINTS) & ~at_once).to_list()
    if not hinted:
        return metrics
    usual = metrics["value"].to_numpy()
    # The other columns are shared and not copied: metrics are the largest table of all.
    value = usual.copy()
    grown: dict[str, int] = {}
    for suspects in _parts(metrics, hinted):
        counters = _counters(suspects)
        told = _means(
            _rates(suspects.join(counters, on="series", how="semi", maintain_order="left"))
        )
        value[told["row"].to_numpy()] = told["value"].fill_null(np.nan).to_numpy()
        for name, most in counters.group_by("metric").agg(pl.col("grows").max()).iter_rows():
            grown[name] = max(grown.get(name, 0), most)
    if not grown:
        return metrics
    family: dict[str, int] = {}
    for name, most in grown.items():
        stem = re.sub(_LABELS, "", name)
        family[stem] = max(family.get(stem, 0), most)
    rare = [
        name
        for name, most in grown.items()
        if family[re.sub(_LABELS, "", name)] < _LEAST // 2
        # By the convention of exporters it counts, however seldom.
        and not (most >= _TWICE and re.search(_TOTAL, name))
    ]
    if rare:
        kept = metrics["metric"].is_in(rare).to_numpy()
        value[kept] = usual[kept]
    changed = metrics.with_columns(pl.Series("value", value))
    return changed if np.isfinite(value).all() else changed.filter(pl.col("value").is_finite())


def _parts(metrics: pl.DataFrame, names: list[str]) -> Iterator[pl.DataFrame]:
    """Rows of the metrics of these names, a share of the entities at a time.

    Each with its place as `row` and a number for its `series`, by which they are sorted, and then by time.
    """
    parts = -(-metrics.height // _ROWS)
    hinted = metrics["metric"].is_in(names)
    part = (metrics["entity"].hash() % parts).cast(pl.UInt16)
    # Whole numbers sort and group in a fraction of the time that names take.
    series = pl.col("entity").hash() * 31 + pl.col("metric").hash(1)
    for one in range(parts):
        rows = (hinted & (part == one)).arg_true()
        if len(rows):
            told = metrics[rows].with_columns(rows.alias("row"), series.alias("series"))
            yield told.sort("series", "time", maintain_order=True)


def _counters(suspects: pl.DataFrame) -> pl.DataFrame:
    """Names of series that grow and never fall, but for resets, and how often each grows."""
    value, step = pl.col("value"), pl.col("value").diff()
    reset = (step < 0) & (value <= 0.5 * value.shift(1))
    told = suspects.group_by("series", maintain_order=True).agg(
        pl.col("metric").first(),
        (value.len() >= _LEAST).alias("long"),
        (value.min() >= 0).alias("positive"),
        ((step < 0) & ~reset).any().alias("falls"),
        (reset.mean() <= _RISING).alias("steady"),
        reset.any().alias("renewed"),
        (step > 0).sum().alias("grows"),
        (value.first() > 0).alias("begun"),
    )
    counts = pl.col("long") & pl.col("positive") & ~pl.col("falls") & pl.col("steady")
    counts &= ~(pl.col("metric").str.contains(_AGES) & pl.col("renewed"))
    # A counter of rare events may stand still throughout; from zero, that is any constant series.
    surely = told.filter(counts & ((pl.col("grows") >= 2) | pl.col("begun")))
    # One that grew once could be anything that was set to 1, but for others of its name that count.
    often = surely.filter(pl.col("grows") >= _LEAST // 2)["metric"].unique()
    likewise = told.filter(
        counts & (pl.col("grows") == 1) & ~pl.col("begun") & pl.col("metric").is_in(often.to_list())
    )
    return pl.concat([surely, likewise]).select("series", "metric", "grows")


def _rates(table: pl.DataFrame) -> pl.DataFrame:
    """Growth a second of each counter, the first sample's as the second's; after a reset it began from nothing."""
    value, time = table["value"].to_numpy(), table["time"].to_numpy()
    series = table["series"].to_numpy()
    first = np.ones(len(value), dtype=bool)
    first[1:] = series[1:] != series[:-1]
    step, seconds = (np.diff(one, prepend=np.nan) for one in (value, time))
    grown = np.where(step < 0, value, step)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where((seconds > 0) & ~first, grown / seconds, np.nan)
    following = np.append(rate[1:], np.nan)
    rate[first] = following[first]
    since = np.where(first, np.nan, time - seconds)
    return table.select(
        "row",
        "time",
        "entity",
        "metric",
        pl.Series("value", rate).fill_nan(None),
        pl.Series("since", since).fill_nan(None),
    )


def _means(rates: pl.DataFrame) -> pl.DataFrame:
    """Sums over their counts where both are there; a mean of nothing, or without its count, is null."""
    ending = pl.col("metric").str.contains
    sums = rates.filter(ending(r"(?i)[_.]sum" + _LABEL)).with_columns(
        pl.col("metric").str.replace(r"(?i)[_.]sum" + _LABEL, "${1}").alias("stem")
    )
    counts = rates.filter(ending(r"(?i)[_.]count" + _LABEL)).select(
        "time",
        "entity",
        pl.col("metric").str.replace(r"(?i)[_.]count" + _LABEL, "${1}").alias("stem"),
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
