"""An independent count of what was served, found among the telemetry by how it goes with the rows of the log.

Rule: a count that went with the rows of the reference, bin by bin and in proportion, counts the same requests. What
share of it the log holds now, beside the share it held then, is the log's doing. Gauges that only follow the load
(utilisation, memory) do not start at nothing when nothing is asked, and are left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.checks.measurement._telemetry import metrics_of
from ruleout.profile import Case, Which
from ruleout.stats._boosting import Floats

_BINS = 20
_BINS_NOW = 6
_TIED = 0.9
"""Least correlation with the rows by bin, and what the count may be off at no rows, as a share of its mean: 1 less this."""

_SAME = 0.02
"""A count within this of the rows of the reference counts them and nothing else."""

_POISSON = 1.6
"""Variance over mean up to which hourly numbers are drawn at one rate."""

_DAYS = 8
_REQUESTS = re.compile(
    r"(^|[^a-z])(requests?|reqs?|rps|qps|calls?|events?|hits|visits|messages?|records?|rows|invocations?|served|received"
    r"|ingested|throughput)([^a-z]|$)",
    re.IGNORECASE,
)
"""How people name a count of what was asked."""

_WRITTEN = re.compile(
    r"(^|[^a-z])(written|logged|stored|persisted|exported|appended|flushed|inserted)([^a-z]|$)",
    re.IGNORECASE,
)
"""How people name a count of what the log took down: it falls with the log, whatever was asked."""

_STRETCHES = 8


class Census(NamedTuple):
    """Rows of the log per counted request."""

    entity: str
    metric: str
    before: float
    now: float
    counted: float
    """Requests now over requests before, by the count."""

    usual: float
    """Spread of the log of the share between stretches of the reference."""

    same: bool
    """Whether the count was the number of rows itself."""

    @property
    def share(self) -> float:
        """Of what the log used to hold, how much it holds."""
        return self.now / self.before

    @property
    def rows(self) -> float:
        """Rows of the log, current over reference."""
        return self.counted * self.share


def census(case: Case) -> Census | None:
    """The count that departs most from the log of those that went with it in the reference; None without any."""
    if "world census" not in case.cache:
        found = list(_all(case))
        case.cache["world census"] = max(
            found, key=lambda c: (c.same, abs(np.log(max(c.share, 1e-9)))), default=None
        )
    told: Census | None = case.cache["world census"]
    return told


def _all(case: Case) -> Iterator[Census]:
    if not case.incident.telemetry.metrics or case.reference.time is None:
        return
    metrics = metrics_of(case)
    for (entity, metric), series in pl.concat(
        [metrics.select("entity", "metric", "time", "value"), _sums(metrics)]
    ).group_by(["entity", "metric"], maintain_order=True):
        if _WRITTEN.search(str(metric)):
            continue
        asked = _REQUESTS.search(f"{entity} {metric}") is not None
        found = _beside(case, series, asked=asked)
        if found is not None:
            before, now, usual = found
            held, holds = (float(b[:, 0].sum() / b[:, 1].sum()) for b in (before, now))
            counted = float(now[:, 1].sum() / before[:, 1].sum())
            same = abs(held - 1) < _SAME
            yield Census(str(entity), str(metric), held, holds, counted, usual, same)


def _sums(metrics: pl.DataFrame) -> pl.DataFrame:
    """Counts that are told by label (`requests{zone="a"}`), added up under the name they share."""
    told = metrics.with_columns(metric=pl.col("metric").str.extract(r"^([^{]+)\{.*\}$")).drop_nulls(
        "metric"
    )
    several = pl.len().over("entity", "metric", "time") > 1
    summed = told.filter(several).group_by("entity", "metric", "time", maintain_order=True)
    return (
        summed.agg(pl.col("value").sum())
        .select("entity", "metric", "time", "value")
        .match_to_schema(metrics.select("entity", "metric", "time", "value").schema)
    )


def _beside(
    case: Case, series: pl.DataFrame, *, asked: bool
) -> tuple[Floats, Floats, float] | None:
    """Rows and counts by bin of both windows, (k, 2), and how steady their ratio usually is; None if not tied.

    A count of what is `asked`, by its name, is tied as well where both are flat, as they are without busy hours.
    """
    time, value = series["time"].to_numpy(), series["value"].to_numpy()
    if len(time) < _BINS + _BINS_NOW or (value < 0).any() or value.min() == value.max():
        return None
    if (np.diff(value) >= 0).all():  # a counter that runs on
        time, value = time[1:], np.diff(value)
    step = float(np.median(np.diff(time)))
    if step <= 0:
        return None
    best: tuple[float, Floats, float] | None = None
    for lag in (0.0, -step):  # counts stand at the start of what they count, or at its end
        before = _bins(case, "reference", time + lag, value, step)
        tie = _tie(before)
        if tie is None and asked:
            tie = _flat(before, step)
        if tie is not None and (best is None or tie > best[0]):
            best = tie, before, lag
    if best is None:
        return None
    now = _bins(case, "current", time + best[2], value, step)
    if len(now) < _BINS_NOW or now[:, 1].sum() <= 0 or now[:, 0].sum() <= 0:
        return None
    return best[1], now, _spread(best[1])


def _bins(case: Case, which: Which, start: Floats, value: Floats, step: float) -> Floats:
    """Rows of the log and counts in the bins (k, 2) that lie wholly in a window."""
    table = case.table(which)
    if table.time is None or not table.rows:
        return np.empty((0, 2))
    at = np.sort(table.time[np.isfinite(table.time)])
    if not len(at):
        return np.empty((0, 2))
    inside = (start >= at[0] - step / 2) & (start + step <= at[-1] + step / 2)
    begin = start[inside]
    rows = np.searchsorted(at, begin + step) - np.searchsorted(at, begin)
    return np.stack([rows * (table.total_rows / table.rows), value[inside]], axis=1)


def _tie(bins: Floats) -> float | None:
    """Correlation of rows and counts (k, 2), where it is high and the line goes through nothing; else None."""
    rows, count = bins[:, 0], bins[:, 1]
    if len(bins) < _BINS or min(rows.std(), count.std()) <= 0 or rows.sum() <= 0:
        return None
    r = float(np.corrcoef(rows, count)[0, 1])
    slope = r * float(rows.std() / count.std())
    rest = abs(float(rows.mean() - slope * count.mean())) / float(rows.mean())
    return r if r >= _TIED and rest <= 1 - _TIED else None


def _flat(bins: Floats, step: float) -> float | None:
    """Nought where rows are a part of counts drawn by chance (Poisson), by bins of `step` seconds or by days; else None."""
    if bins[:, 1].min(initial=np.inf) <= 0 or (bins[:, 1] % 1 != 0).any():
        return None
    days = max(int(86_400 // step), 1)
    whole = len(bins) // days
    by_day = bins[: whole * days].reshape(whole, days, 2).sum(axis=1)
    enough = (bins, _BINS), (by_day, _DAYS)
    return 0.0 if any(len(b) >= least and _drawn(b) for b, least in enough) else None


def _drawn(bins: Floats) -> bool:
    rows, count = bins[:, 0], bins[:, 1]
    # More rows than counted requests are no part of them.
    if rows.sum() <= 0 or rows.sum() > (1 + _SAME) * count.sum():
        return False
    due = count * float(rows.sum() / count.sum())
    return float(((rows - due) ** 2 / due).sum() / (len(rows) - 1)) < _POISSON


def _spread(bins: Floats) -> float:
    parts = [part.sum(axis=0) for part in np.array_split(bins, _STRETCHES)]
    share = [float(p[0] / p[1]) for p in parts if p[1] > 0 and p[0] > 0]
    return float(np.std(np.log(share))) if len(share) > 1 else 1.0
