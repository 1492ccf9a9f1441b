"""How far each metric of each entity has departed from its own reference."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import polars as pl

from ruleout.attribution.services._entities import about
from ruleout.attribution.services._kinds import ASKED, clue_of, kind_of, on_host, words, worse
from ruleout.attribution.services._windows import Windows

_RELATIVE_FLOOR = 0.02
"""A departure is measured in units of at least this share of the usual level."""

_SHARE_FLOOR = 0.05
"""For shares of failures: at least this part of the largest change of the same metric."""

_CHANCE = 1.5
"""Spreads by which the worst tenth of sound blocks lies off."""

SHARES = ("error", "availability")
"""Kinds that tell how much fails, on a scale that entities share."""

_RARE = 0.25
"""Counts a sample that are taken for granted where fewer were seen."""

_UNASKED = 0.002
"""An entity whose busiest moment is below this part of the busiest anywhere is asked nothing."""

_SECONDS = 0.25
"""Power of the time that was lost over the most that the same metric lost anywhere."""

_REACHED = 0.9
_PARTS = frozenset(
    ["pct", "perc", "percent", "percentage", "ratio", "share", "util", "utilisation", "utilization"]
)
_WHOLE, _HALF = 1.05, 0.5
"""Words of shares; the largest that a share in parts of one is, and the one up to which most places are free."""

_FREE = 0.75
"""Parts of a limit: at the first it is reached, below the second it was not."""

_NOTHING = 0.01
"""Part of what is usually left of a disk below which nothing is."""

_RAN_OUT = 3.0
"""Departure of a disk on which nothing is left."""

_BLOCKS = 20
"""So many blocks the reference should hold."""

_NULL = 0.75
"""The reference's block that a departure must exceed; its very worst may be the tail of another incident."""


def departures(
    metrics: pl.DataFrame,
    windows: Windows,
    machines: Collection[str] = (),
    names: Collection[str] = (),
) -> pl.DataFrame:
    """One row a series: how much further the incident went than the reference ever does.

    The current window is cut into quarters (finer, where the reference would hold fewer than twenty
    blocks as long), and the reference likewise; the worst tenth of the current blocks is compared with
    the median, spread and upper blocks of the reference.

    Args:
        metrics: long metrics, as `Telemetry.metrics`.
        windows: the incident's windows.
        machines: entities that are machines.
        names: of entities; a metric whose label names another one is the caller's view of it.

    Returns:
        `entity, metric, kind, clue, host, about, full, level, now, middle_now, up, down, score, sign, alone, idle`:
        `now` is the worst tenth of the incident's blocks, `middle_now` their median, `up` and `down` in units
        of the series' own spread, `score` is the departure beyond the reference's upper blocks on a
        log scale, in the bad direction of its kind (the larger of both where either may be bad),
        `alone` that score over the largest of the same kind anywhere, `idle` whether nobody asks
        the entity anything, `host` whether a machine is measured, `about` the entity that the metric's label names,
        and `full` whether what is held has come to its limit (null where no limit was recorded).
    """
    start, end = windows.current
    known = sum(high - low for low, high in windows.reference)
    blocks = _blocks(metrics, windows, min((end - start) / 4, known / _BLOCKS))
    if blocks.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    summary = _summary(blocks)
    if summary.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    metric_names = summary["metric"].to_list()
    pairs = summary.select("metric", "entity").iter_rows()
    told = [about(metric, entity, names) for metric, entity in pairs]
    kinds = [kind_of(name) for name in metric_names]
    level = summary["level"].to_numpy()
    spread = _spread(summary, kinds)
    up = (summary["high"].to_numpy() - level) / spread
    down = (level - summary["low"].to_numpy()) / spread
    null_up = np.maximum((summary["ref_high"].to_numpy() - level) / spread, 0)
    null_down = np.maximum((level - summary["ref_low"].to_numpy()) / spread, 0)
    over = _beyond(up, null_up)
    under = _beyond(down, null_down)
    side = np.array([worse(name) for name in metric_names])
    sign = np.where(side == 0, np.where(over >= under, 1, -1), side)
    score = np.where(sign > 0, over, under)
    score = np.where(_ran_out(summary, sign), np.maximum(score, _RAN_OUT), score)
    return (
        summary.select("entity", "metric", "level", "high", "low", "middle_now")
        .with_columns(
            pl.Series("kind", kinds),
            pl.Series("clue", [_clue(name) for name in metric_names], dtype=pl.String),
            pl.Series("host", [on_host(name) for name in metric_names])
            | pl.col("entity").is_in(list(machines)),
            pl.Series("about", told, dtype=pl.String),
            pl.Series(
                "now", np.where(sign > 0, summary["high"].to_numpy(), summary["low"].to_numpy())
            ),
            pl.Series("up", up),
            pl.Series("down", down),
            pl.Series("score", score),
            pl.Series("sign", sign),
        )
        .with_columns(_alone().alias("alone"), pl.col("entity").is_in(_idle(blocks)).alias("idle"))
        .pipe(_with_limits)
        .select(list(_SCHEMA))
    )


def _ran_out(summary: pl.DataFrame, sign: np.ndarray) -> np.ndarray:
    """Whether of a disk nothing is left any more: however fast it filled before, it had some left until then."""
    free = np.array([_clue(name) == "disk_free" for name in summary["metric"]])
    rest = _NOTHING * summary["level"].to_numpy()
    gone = (summary["low"].to_numpy() <= rest) & (summary["middle_now"].to_numpy() <= rest)
    return np.asarray(free & (sign < 0) & gone & (summary["least"].to_numpy() > rest))


def _with_limits(table: pl.DataFrame) -> pl.DataFrame:
    """The table with `full`: whether what is held was far from its limit, and is no longer."""
    limits = (
        table.filter(pl.col("clue") == "limit")
        .group_by("entity", "about")
        .agg(pl.col("middle_now").max().alias("limit"))
    )
    joined = table.join(
        limits, on=["entity", "about"], how="left", nulls_equal=True, maintain_order="left"
    )
    held = (pl.col("clue") == "held") & (pl.col("limit") > 0)
    reached = (pl.col("now") >= _REACHED * pl.col("limit")) & (
        pl.col("level") < _FREE * pl.col("limit")
    )
    # A share of places has its limit in itself.
    part = pl.when(pl.max_horizontal("now", "level") > _WHOLE).then(0.01).otherwise(1.0)
    now, level = pl.col("now") * part, pl.col("level") * part
    shares = pl.Series(
        [bool(_PARTS & set(words(name))) for name in joined["metric"]], dtype=pl.Boolean
    )
    share = (pl.col("clue") == "held") & pl.col("limit").is_null() & shares & (now <= _WHOLE)
    return joined.with_columns(
        pl.when(held)
        .then(reached)
        .when(share & (now < _HALF))
        .then(pl.lit(value=False))
        .when(share & (now >= _REACHED) & (level < _FREE))
        .then(pl.lit(value=True))
        .alias("full")
    )


def _clue(metric: str) -> str | None:
    found = clue_of(metric)
    return None if found is None else found.name


def _idle(blocks: pl.DataFrame) -> list[str]:
    """Entities that were next to never asked anything, before or during the incident, as far as traffic tells."""
    names = [name for name in blocks["metric"].unique().to_list() if set(words(name)) & ASKED]
    traffic = blocks.filter(pl.col("metric").is_in([n for n in names if kind_of(n) == "traffic"]))
    asked = traffic.group_by("entity", "metric").agg(pl.col("value").max())
    share = pl.col("value") / pl.col("value").max().over("metric").clip(lower_bound=1e-12)
    busy = asked.group_by("entity").agg(share.max())
    return sorted(busy.filter(pl.col("value") < _UNASKED)["entity"].to_list())


_SCHEMA = {
    "entity": pl.String,
    "metric": pl.String,
    "kind": pl.String,
    "clue": pl.String,
    "host": pl.Boolean,
    "about": pl.String,
    "full": pl.Boolean,
    "level": pl.Float64,
    "now": pl.Float64,
    "middle_now": pl.Float64,
    "up": pl.Float64,
    "down": pl.Float64,
    "score": pl.Float64,
    "sign": pl.Int64,
    "alone": pl.Float64,
    "idle": pl.Boolean,
}


def _alone() -> pl.Expr:
    """A departure over the largest of its kind; failures and lost time also by how many and how much."""
    group = ("kind", "clue", "host")
    score = pl.col("score") / pl.col("score").max().over(group).clip(lower_bound=1e-9)
    moved = (pl.col("now") - pl.col("level")).abs()
    share = moved / moved.max().over("metric").clip(lower_bound=1e-12)
    return (
        pl.when(pl.col("kind").is_in(SHARES))
        .then(pl.min_horizontal(score, share))
        .when(pl.col("kind") == "latency")
        .then(pl.min_horizontal(score, share**_SECONDS))
        .otherwise(score)
    )


def _beyond(size: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Log-departure in excess of what the reference's own blocks reach; never below zero."""
    return np.asarray(np.maximum(np.log1p(np.maximum(size - _CHANCE, 0)) - np.log1p(null), 0))


def _spread(summary: pl.DataFrame, kinds: Sequence[str]) -> np.ndarray:
    """The unit of each series' departure: its noise, but not less than what would be worth a look."""
    level = np.abs(summary["level"].to_numpy())
    robust = np.maximum(1.4826 * summary["mad"].to_numpy(), summary["middle"].to_numpy() / 1.35)
    floor = np.maximum(_RELATIVE_FLOOR * level, 1e-9)
    # A series that is zero throughout its reference has no scale: borrow the size of what came, and how
    # unsteadily it came. One sample of many that is not zero is no new level.
    came = np.maximum(0.02 * np.abs(summary["high"].to_numpy()), summary["unsteady"].to_numpy())
    fallback = np.where(level == 0, came, 0)
    # Small whole numbers are counts; what is counted scatters by the root of its number (Poisson).
    counted = np.sqrt(np.maximum(level, _RARE) / summary["size"].to_numpy())
    counts = np.where(summary["counted"].to_numpy() & (level > 0), counted, 0)
    known = [robust, floor, fallback, counts, _common_scale(summary, kinds)]
    return np.asarray(np.maximum.reduce(known))


def _common_scale(summary: pl.DataFrame, kinds: Sequence[str]) -> np.ndarray:
    """For shares of failures, a part of the largest change of the same metric anywhere.

    Such series stand at their best value with no noise at all: any failure would be as far out as any
    other, and who fails most could not be told from who passes a few failures on.
    """
    moved = pl.max_horizontal(
        (pl.col("high") - pl.col("level")).abs(), (pl.col("low") - pl.col("level")).abs()
    )
    largest = summary.select(moved.max().over("metric")).to_series().to_numpy()
    return np.where(np.isin(kinds, SHARES), _SHARE_FLOOR * largest, 0.0)


def _blocks(metrics: pl.DataFrame, windows: Windows, length: float) -> pl.DataFrame:
    start, end = windows.current
    time = pl.col("time")
    current = (time >= start) & (time <= end)
    reference = pl.any_horizontal(
        [(time >= low) & (time < high) for low, high in windows.reference]
    )
    return (
        metrics.lazy()
        .filter(current | reference)
        .with_columns(
            current.alias("now"),
            (pl.col("value") == pl.col("value").round()).alias("whole"),
            ((time - start) / length).floor().cast(pl.Int64).alias("block"),
        )
        .group_by("entity", "metric", "now", "block")
        .agg(
            pl.col("value").mean(),
            pl.col("value").var().fill_null(0.0).alias("var"),
            pl.len().alias("size"),
            pl.col("whole").all(),
        )
        # A block that holds a sample or two, at the edge of a window, is mostly noise.
        .filter(pl.col("size") >= 0.5 * pl.col("size").median().over("entity", "metric"))
        .collect()
    )


def _summary(blocks: pl.DataFrame) -> pl.DataFrame:
    value, old, new = pl.col("value"), ~pl.col("now"), pl.col("now")
    reference = (
        blocks.filter(old)
        .group_by("entity", "metric")
        .agg(
            value.median().alias("level"),
            (value - value.median()).abs().median().alias("mad"),
            (value.quantile(0.75) - value.quantile(0.25)).alias("middle"),
            value.quantile(_NULL, "higher").alias("ref_high"),
            value.quantile(1 - _NULL, "lower").alias("ref_low"),
            value.min().alias("least"),
            pl.col("size").median(),
            (pl.col("whole").all() & (value.n_unique() > 1)).alias("counted"),
        )
    )
    current = (
        blocks.filter(new)
        .group_by("entity", "metric")
        .agg(
            value.quantile(0.9, "higher").alias("high"),
            value.quantile(0.1, "lower").alias("low"),
            value.median().alias("middle_now"),
            (pl.col("var") / pl.col("size")).mean().sqrt().alias("unsteady"),
        )
    )
    return reference.join(current, on=["entity", "metric"]).sort("entity", "metric")
