"""Metrics, long or wide, as one long table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from math import log
from pathlib import Path

import polars as pl

from ruleout._errors import SourceError
from ruleout.sources.telemetry._files import read_frame
from ruleout.sources.telemetry._records import METRICS
from ruleout.sources.telemetry._times import seconds

_TIMES = ("timestamp", "time", "ts", "datetime", "date")
_LONG = (
    ("entity", "service", "service_name", "host", "instance", "component", "job", "resource"),
    ("metric", "metric_name", "name", "measurement", "series"),
    ("value", "val", "metric_value", "reading"),
)
"""Names of the columns of a long table, the contract's own first."""

_ABSURD = 1e150
"""No measurement is as large; its square would not be a number."""

_SEPARATORS = "_.:/|"
_ROUNDS = 4
"""Times that the columns' cuts are gone over in the light of the others'."""


def read_metrics(path: Path, entities: Collection[str] = ()) -> pl.DataFrame:
    """Metrics of a file as (time, entity, metric, value), finite values only.

    Long tables have the columns `timestamp, entity, metric, value`, or other names that exporters give them
    (`ts, service, name, val`); wide ones a time and one column a series, named `entity_metric`.

    Raises:
        SourceError: when there is no time column, or no number beside it.
    """
    frame = read_frame(path)
    clock = _clock(frame, path)
    long = _long_columns(frame, clock)
    if long is not None:
        return _long(frame, clock, long)
    return _wide(frame, clock, entities, path)


def _clock(frame: pl.DataFrame, path: Path) -> str:
    by_name = {name.lower(): name for name in frame.columns}
    for name in _TIMES:
        if name in by_name:
            return by_name[name]
    raise SourceError(
        f"{path.name}: no time column among {frame.columns[:6]}; name it `timestamp` or `time`"
    )


def _long_columns(frame: pl.DataFrame, clock: str) -> tuple[str, str, str] | None:
    """Columns of the entity, the metric and the value, by the names that exporters give them; None in a wide table."""
    by_name = {name.lower(): name for name in frame.columns if name != clock}
    found = [next((by_name[n] for n in names if n in by_name), None) for names in _LONG]
    entity, metric, value = found
    if entity is None or metric is None or value is None:
        return None
    named = (entity, metric, value) == ("entity", "metric", "value")
    worded = all(not frame.schema[n].is_numeric() for n in (entity, metric))
    return (entity, metric, value) if named or worded else None


def _long(frame: pl.DataFrame, clock: str, columns: tuple[str, str, str]) -> pl.DataFrame:
    entity, metric, value = columns
    table = frame.select(
        seconds(frame[clock]).alias("time"),
        pl.col(entity).cast(pl.String).alias("entity"),
        pl.col(metric).cast(pl.String).alias("metric"),
        pl.col(value).cast(pl.Float64, strict=False).alias("value"),
    )
    return _finite(table)


def _wide(frame: pl.DataFrame, clock: str, entities: Collection[str], path: Path) -> pl.DataFrame:
    names = [n for n, kind in frame.schema.items() if n != clock and kind.is_numeric()]
    if not names:
        raise SourceError(f"{path.name}: no numeric column beside {clock!r}; nothing to read")
    split = split_names(names, entities)
    table = frame.select(
        seconds(frame[clock]).alias("time"), *(pl.col(n).cast(pl.Float64) for n in names)
    ).unpivot(on=names, index="time", variable_name="column", value_name="value")
    lookup = pl.DataFrame(
        {
            "column": names,
            "entity": [split[name][0] for name in names],
            "metric": [split[name][1] for name in names],
        }
    )
    return _finite(table.join(lookup, on="column", how="left", maintain_order="left"))


def _finite(table: pl.DataFrame) -> pl.DataFrame:
    told = table.select(
        (pl.col("value").abs() < _ABSURD)
        & pl.col("time").is_finite()
        & pl.col("entity").is_not_null()
    ).to_series()
    # Where every row is sound, as it mostly is, the largest table of all is not copied.
    sound = table if told.all(ignore_nulls=False) else table.filter(told)
    return sound.select(list(METRICS))


def split_names(names: list[str], entities: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """Where each wide column's name parts into (entity, metric).

    A known entity's name wins. Otherwise the cut is the one whose two halves recur most over the
    other columns, so that `user_service_cpu` and `carts_latency_p99` both part in the right place.
    """
    known = sorted(entities, key=len, reverse=True)
    chosen = {name: (name, "value") for name in names}
    open_to = {}
    for name in names:
        fixed = next(
            (e for e in known if name.startswith(e) and name[len(e) : len(e) + 1] in _SEPARATORS),
            None,
        )
        if fixed is not None and len(name) > len(fixed) + 1:
            chosen[name] = (fixed, name[len(fixed) + 1 :])
        elif cuts := _cuts(name):
            open_to[name] = cuts
    options = [cut for cuts in open_to.values() for cut in cuts]
    for own in (0, *[1] * _ROUNDS):
        settled = [] if own else [cut for name, cut in chosen.items() if name not in open_to]
        left = Counter(cut[0] for cut in (*options, *settled))
        right = Counter(cut[1] for cut in (*options, *settled))
        for name, cuts in open_to.items():
            mine = chosen[name] if own else None
            chosen[name] = max(cuts, key=lambda cut: _recurs(cut, mine, left, right))
        # A rare metric has few halves to recur: what the other columns have agreed on decides.
        options = list(chosen.values())
    return chosen


def _recurs(
    cut: tuple[str, str],
    mine: tuple[str, str] | None,
    left: Mapping[str, int],
    right: Mapping[str, int],
) -> float:
    """How often both halves of a cut recur; what the name itself has added does not count.

    The rarer half counts most: a prefix that all entities share recurs the more, and leaves a metric that
    nobody else has.
    """
    first = left[cut[0]] - (mine is not None and mine[0] == cut[0])
    second = right[cut[1]] - (mine is not None and mine[1] == cut[1])
    return 2 * log(min(first, second) + 0.5) + 0.5 * (log(first + 0.5) + log(second + 0.5))


def _cuts(name: str) -> list[tuple[str, str]]:
    return [(name[:i], name[i + 1 :]) for i in range(1, len(name) - 1) if name[i] in _SEPARATORS]
