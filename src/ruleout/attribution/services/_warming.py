"""A service that is slow while copies added to it are new, where only the whole of it is measured.

A surge makes a service slow before copies are added, and quick again because they were. New copies that warm up make it
slow after they were added, and quick again while as many serve as much.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout.attribution.services._fresh import Fresh
from ruleout.attribution.services._kinds import OFFERED, clue_of, kind_of, words
from ruleout.attribution.services._windows import Windows

_LEAST = 8
"""Samples of the incident that each series must hold."""

_SLOW = 3.0
"""Times its usual time, and its time later, that a service must take while copies are new."""

_COPY = r'\{copy="([^"]+)"\}$'
"""How series of copies are told under their service."""

_UP, _BROKEN_OFF = "uptime", 0.98
"""Word of how long a copy is up, and part of its usual growth below which it began anew."""

_YOUNG = 0.3
"""Part of the time until the next copy in which one is new, and of its end in which it is warm."""

_WELL = 2.0
"""Times its usual time that a service with warm copies may take."""

_ADDED = 1.4
_SAME = 0.8
"""Part of the later copies that must have served at the worst, and of the load at the worst that must be served later."""


def warming(metrics: pl.DataFrame, windows: Windows) -> list[Fresh]:
    """Services that were slow from the moment on when copies were added, and no longer once these were warm.

    Args:
        metrics: long metrics, as `Telemetry.metrics`.
        windows: the incident's windows.
    """
    names = metrics["metric"].unique().sort().to_list()
    copied = [n for n in names if (clue := clue_of(n)) is not None and clue.name == "replicas"]
    timed = [n for n in names if kind_of(n) == "latency"]
    loads = [n for n in names if kind_of(n) == "traffic" and set(words(n)) & OFFERED]
    found = []
    for entity, metric in (
        metrics.filter(pl.col("metric").is_in(copied))
        .select("entity", "metric")
        .unique()
        .sort("entity", "metric")
        .iter_rows()
    ):
        own = metrics.filter(pl.col("entity") == entity).sort("time")
        copies = _series(own, metric, windows)
        # A surge is served by more copies; who cannot tell that it was none cannot tell who warmed up.
        load = next((one for n in loads if (one := _series(own, n, windows)) is not None), None)
        if copies is None or load is None or copies[1].max() < _ADDED * copies[2]:
            continue
        for name in timed:
            slow = _series(own, name, windows)
            told = None if slow is None else _slow_while_new(slow, copies, load)
            if told is not None:
                found.append(Fresh(str(entity), name, *told, whole=True))
    return found


def replaced(metrics: pl.DataFrame, windows: Windows) -> list[Fresh]:
    """Services that are slow whenever a copy under a new name has begun in the incident, and quick again before the next.

    Args:
        metrics: long metrics, as `Telemetry.metrics`, with copies told under their services.
        windows: the incident's windows.
    """
    start, end = windows.current
    copy = pl.col("metric").str.extract(_COPY).alias("copy")
    rows = metrics.filter(pl.col("metric").str.contains(_COPY)).with_columns(copy)
    first = rows.group_by("entity", "copy").agg(pl.col("time").min())
    born = first.filter((pl.col("time") > start) & (pl.col("time") < end))
    found = [*_renewed(rows, windows)]
    for (entity,), part in born.group_by("entity", maintain_order=True):
        own = metrics.filter(pl.col("entity") == entity).sort("time")
        for name in sorted(n for n in own["metric"].unique() if kind_of(n) == "latency"):
            slow = _series(own, name, windows)
            told = None if slow is None else _after_births(slow, part["time"].sort().to_numpy())
            if told is not None:
                found.append(Fresh(str(entity), name, *told, whole=True))
    return found


def _renewed(rows: pl.DataFrame, windows: Windows) -> list[Fresh]:
    """The same of copies that begin anew under their old names, by their own time and the time for which they are up."""
    start, end = windows.current
    up = rows.filter(
        pl.Series([_UP in words(name) for name in rows["metric"]], dtype=pl.Boolean)
    ).sort("time")
    usual = pl.col("value").median().over("entity", "metric")
    # Told as growth a second, it is one but for the sample in which it began anew.
    anew = up.filter(
        (pl.col("value") < _BROKEN_OFF * usual)
        & (usual > 0)
        & (pl.col("time") > start)
        & (pl.col("time") < end)
    )
    found = []
    for (entity, copy), part in anew.group_by("entity", "copy", maintain_order=True):
        own = rows.filter((pl.col("entity") == entity) & (pl.col("copy") == copy)).sort("time")
        for name in sorted(n for n in own["metric"].unique() if kind_of(n) == "latency"):
            slow = _series(own, name, windows)
            told = None if slow is None else _after_births(slow, part["time"].sort().to_numpy())
            if told is not None:
                found.append(Fresh(str(entity), name, *told, whole=True))
    return found


def _after_births(
    slow: tuple[np.ndarray, np.ndarray, float], born: np.ndarray
) -> tuple[float, float, float] | None:
    """The median time just after copies began, the one before the next began, and the usual one; None if it was not so."""
    time, value, usual = slow
    last = np.searchsorted(born, time, side="right") - 1
    # The last one's life is not over; it is as long as the others' at least.
    life = float(np.median(np.diff(born))) if len(born) > 1 else 0.0
    edges = np.append(born, max(time[-1], born[-1] + life))
    known = (last >= 0) & (np.diff(edges)[np.maximum(last, 0)] > 0)
    age = (time - born[np.maximum(last, 0)]) / np.maximum(np.diff(edges)[np.maximum(last, 0)], 1e-9)
    young, old = known & (age < _YOUNG), known & (age > 1 - _YOUNG)
    # Each copy's own sample at its beginning may still be its forerunner's.
    if usual <= 0 or min(young.sum(), old.sum()) < max(len(born), 2):
        return None
    worst, later = float(np.quantile(value[young], 0.75)), float(np.median(value[old]))
    if worst < _SLOW * max(later, usual) or later > _WELL * usual:
        return None
    return worst, later, usual


def _series(
    own: pl.DataFrame, metric: str, windows: Windows
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Times and values in the incident, and the usual value."""
    rows = own.filter((pl.col("metric") == metric) & pl.col("value").is_finite())
    time, value = rows["time"].to_numpy(), rows["value"].to_numpy()
    usual = np.zeros(len(time), dtype=bool)
    for low, high in windows.reference:
        usual |= (time >= low) & (time < high)
    now = (time >= windows.current[0]) & (time <= windows.current[1])
    if now.sum() < _LEAST or not usual.any():
        return None
    return time[now], value[now], float(np.median(value[usual]))


def _slow_while_new(
    slow: tuple[np.ndarray, np.ndarray, float],
    copies: tuple[np.ndarray, np.ndarray, float],
    load: tuple[np.ndarray, np.ndarray, float],
) -> tuple[float, float, float] | None:
    """The greatest time while copies were new, the time later and the usual one; None where it was not so."""
    time, value, usual = slow
    if usual <= 0:
        return None
    quarter = max(len(value) // 4, 2)
    bad = np.flatnonzero(value > _SLOW * usual)
    later = float(np.median(value[-quarter:]))
    worst = int(np.argmax(value))
    if not len(bad) or value[worst] < _SLOW * later:
        return None
    added = copies[0][np.flatnonzero(copies[1] > copies[2])[0]]
    if time[bad[0]] < added:
        return None
    at = float(np.interp(time[worst], copies[0], copies[1]))
    asked = float(np.interp(time[worst], load[0], load[1]))
    as_many = at >= _SAME * float(copies[1][-quarter:].max())
    as_much = float(np.median(load[1][-quarter:])) >= _SAME * asked
    return (float(value[worst]), later, usual) if as_many and as_much else None
