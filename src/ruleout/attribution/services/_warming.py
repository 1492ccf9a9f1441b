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
