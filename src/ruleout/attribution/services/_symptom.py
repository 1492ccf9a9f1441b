"""The symptom's own metric before and during the incident, with an interval that respects autocorrelation."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from math import comb

import numpy as np
import polars as pl

from ruleout._records import Onset, Symptom
from ruleout.attribution.services._kinds import worse
from ruleout.attribution.services._onset import Start, onset
from ruleout.attribution.services._windows import Windows
from ruleout.incident._model import Incident
from ruleout.sources.telemetry import Telemetry

_RESAMPLES = 400
_ENOUGH = 2


def symptom(
    incident: Incident,
    telemetry: Telemetry,
    windows: Windows | None,
    start: Start | None,
    rng: np.random.Generator,
) -> Symptom:
    """Level before, level while the symptom is there, and a 95% block-bootstrap interval of the change."""
    spec = incident.symptom
    found = (
        None if windows is None else _samples(telemetry, spec.entity, spec.metric, windows, start)
    )
    when = as_onset(start)
    if found is None:
        return Symptom(spec.metric, None, None, None, None, None, None, when, "none")
    before, after = found
    change = float(np.mean(after) - np.mean(before))
    sign = direction(incident)
    drawn = np.sort(_resampled(after, rng) - _resampled(before, rng))
    low, high = float(drawn[int(0.025 * _RESAMPLES)]), float(drawn[int(0.975 * _RESAMPLES)])
    return Symptom(
        spec.metric,
        float(np.mean(before)),
        float(np.mean(after)),
        change,
        low,
        high,
        True if not low <= 0 <= high else _quiet(before, after, sign),
        when,
        "none",
    )


def placed(incident: Incident, telemetry: Telemetry) -> Incident:
    """The incident, its symptom told by entity and metric where only the name of a column was given.

    A table with a column a series names entity and metric in one. Nothing changes where the name fits none, or several.
    """
    spec = incident.symptom
    if spec.entity is not None or spec.metric is None:
        return incident
    pairs = telemetry.metrics.select("entity", "metric").unique().rows()
    if any(metric == spec.metric for _, metric in pairs):
        return incident
    joined = re.compile("[-_./:|]")
    whole = spec.metric
    found = [
        (entity, metric)
        for entity, metric in pairs
        if len(whole) == len(entity) + len(metric) + 1
        and whole.startswith(entity)
        and whole.endswith(metric)
        and joined.fullmatch(whole[len(entity)])
    ]
    if len(found) != 1:
        return incident
    entity, metric = found[0]
    return replace(incident, symptom=replace(spec, entity=entity, metric=metric))


def direction(incident: Incident) -> int:
    """+1 where more of the symptom's metric is worse, -1 where less is, 0 where either may be."""
    spec = incident.symptom
    return {"up": 1, "down": -1}.get(spec.direction or "", worse(spec.metric or ""))


_USUAL = 0.05
"""Share of sound instants beyond the reference's range: it was drawn from few instants itself."""

_CHANCE = 0.05


def _quiet(before: np.ndarray, after: np.ndarray, sign: int) -> bool | None:
    """False where no more instants of the incident leave the reference's usual range than chance has it, else None.

    A short symptom inside a long window moves its mean little; then it cannot be told by the mean. What lies as
    far out again as the range is wide is no chance, however few instants do.
    """
    low, high = np.quantile(before, [0.025, 0.975])
    width = max(high - low, 1e-12)
    beyond = np.maximum(
        (after - high) if sign >= 0 else -np.inf, (low - after) if sign <= 0 else -np.inf
    )
    if (beyond > width).any():
        return None
    count = int((beyond > 0).sum())
    return False if _tail(count, len(after)) > _CHANCE else None


def _tail(count: int, n: int) -> float:
    """Probability of `count` or more of `n` sound instants beyond the range (binomial)."""
    return 1.0 - sum(comb(n, k) * _USUAL**k * (1 - _USUAL) ** (n - k) for k in range(count))


def symptom_onset(incident: Incident, telemetry: Telemetry, windows: Windows) -> Start | None:
    """Onset of the symptom's own metric; None where it was not recorded or does not depart."""
    spec = incident.symptom
    if spec.metric is None or spec.entity is None:
        return None
    series = telemetry.metrics.filter(
        (pl.col("entity") == spec.entity) & (pl.col("metric") == spec.metric)
    )
    return onset(series, windows, direction(incident))


def _samples(
    telemetry: Telemetry,
    entity: str | None,
    metric: str | None,
    windows: Windows,
    start: Start | None,
) -> tuple[np.ndarray, np.ndarray] | None:
    if entity is None or metric is None:
        return None
    rows = telemetry.metrics.filter(
        (pl.col("entity") == entity) & (pl.col("metric") == metric)
    ).sort("time")
    time, value = rows["time"].to_numpy(), rows["value"].to_numpy()
    since = max(windows.current[0], start.at) if start else windows.current[0]
    after = value[(time >= since) & (time <= windows.current[1])]
    usual = np.zeros(len(time), dtype=bool)
    for low, high in windows.reference:
        usual |= (time >= low) & (time < high) & ((time < since) | (time > windows.current[1]))
    if len(after) < _ENOUGH:
        # What began with the last sample is no symptom yet: the whole window tells what there is.
        after = value[(time >= windows.current[0]) & (time <= windows.current[1])]
    before = value[usual]
    return (before, after) if len(before) >= 3 and len(after) >= _ENOUGH else None


def _resampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Means of moving-block bootstrap samples (Künsch, 1989), blocks of the cube root of the length."""
    n = len(values)
    size = max(round(n ** (1 / 3)), 1)
    starts = rng.integers(0, n - size + 1, size=(_RESAMPLES, -(-n // size)))
    index = (starts[:, :, None] + np.arange(size)).reshape(_RESAMPLES, -1)[:, :n]
    return np.asarray(values[index].mean(axis=1))


def as_onset(start: Start | None) -> Onset | None:
    """An onset in the words of the contract."""
    if start is None:
        return None
    return Onset(iso(start.at), iso(start.low), iso(start.at + start.ramp))


def iso(at: float) -> str:
    """An instant as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
