"""Following the symptom's own quantity down the call graph.

Lost time and failed requests are conserved: what a caller loses is what its callees lose plus what it
loses itself. So entities are compared by the *volume* of the symptom's kind that they lose while the
symptom is there (seconds of latency, or failures, per unit of time), not by ratios.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution.services._kinds import kind_of, worse
from ruleout.attribution.services._windows import Windows

_SHARE = 0.5
"""Power of the share: what is lost is measured at both ends of a call, and rarely adds up."""

_ALIKE = 0.85
"""How much of a caller's loss a callee explains that moves just as the symptom does."""

_STAND_IN = 0.6
"""Weight of a leaf beside a working sibling that loses more at the same instants: one call seen twice."""


_NEAR = 1.3
"""Times its caller's usual length that a callee's own may have: not every request of the caller needs it."""

_MUCH = 0.5
"""Part of a caller's loss that an unsure callee must lose itself to explain all of it."""

_SURE = 5.0
"""Standard errors by which the middle of a symptom that is there all the time lies off its usual level."""

_WITHIN = 0.8
"""Who loses this part of the symptom's failures may be where they come from."""


class Flow(NamedTuple):
    """What one entity loses of the symptom's quantity."""

    volume: float
    """Lost seconds or failures per sample while the symptom is there, beyond the rest of the window."""

    share: float
    """That volume over the symptom's own, at most 1."""

    own: float
    """The share of the volume that no callee explains."""

    agreement: float
    """Positive correlation with the symptom over the current window, shrunk for few points."""

    severity: float
    """How surely the series departed from its own level, from 0 to 1."""

    weight: float = 1.0
    """Less for what may be the client's view of another entity's work."""

    @property
    def score(self) -> float:
        """Blame from 0 to 1: explains the symptom, moves with it, and is its own doing."""
        size = self.share**_SHARE * self.own
        return float(self.weight * size * self.agreement**2 * self.severity)


class _Series(NamedTuple):
    value: np.ndarray
    level: float
    spread: float


def follow(
    metrics: pl.DataFrame,
    windows: Windows,
    symptom: tuple[str, str],
    edges: Sequence[tuple[str, str]],
    unlike: Collection[str] = (),
) -> dict[str, Flow]:
    """Flow of every entity that measures the symptom's quantity; empty when the symptom's series is not there.

    Args:
        metrics: long metrics, as `Telemetry.metrics`.
        windows: the incident's windows.
        symptom: the entity and the metric that raised the alarm.
        edges: (caller, callee) pairs.
        unlike: entities that measure the quantity in another way: they explain a caller only where they lose as much.
    """
    entity, metric = symptom
    metrics = _binned(metrics, symptom)
    kind = kind_of(metric)
    sign = worse(metric) or 1
    grid = _instants(metrics, windows, symptom, sign)
    series = _aligned(metrics, windows, grid, metric)
    if entity not in series or len(grid) < 3:
        return {}
    load = _load(metrics, grid, set(series))
    profile = _profile(series[entity], sign)
    if profile is None:
        return {}
    symptom_sound = _sound(series[entity].value, series[entity].spread)
    volumes, agreements, severities, changes = {}, {}, {}, {}
    largest = max(float(np.nanmax(np.abs(one.value))) for one in series.values())
    scale = 0.01 if kind == "availability" and largest > 1.5 else 1.0
    for name, one in series.items():
        lost = _lost(one, sign, profile)
        weight = load.get(name)
        traffic = np.ones(len(grid)) if weight is None else weight
        amount = np.where(np.isfinite(one.value), sign * (one.value - one.level), 0) * traffic
        volumes[name] = max(_contrast(amount, profile), 0.0) * scale
        sound = _sound(amount, one.spread * float(np.mean(traffic)))
        agreements[name] = _agreement(amount, profile, min(sound * symptom_sound, 1.0))
        changes[name] = (one.level, lost)
        severities[name] = float(-np.expm1(-max(lost - one.spread, 0) / (2 * one.spread)))
    calls = edges or _likely_calls(entity, changes, volumes, kind)
    unsure = unlike if edges else set(volumes)
    return _flows(entity, volumes, agreements, severities, calls, unsure)


def _binned(metrics: pl.DataFrame, symptom: tuple[str, str]) -> pl.DataFrame:
    """Metrics of the symptom's name and of traffic, brought to the instants at which the symptom is sampled.

    Entities are seldom sampled at the same instants; a sample counts for the symptom's nearest.
    """
    entity, metric = symptom
    own = metrics.filter((pl.col("entity") == entity) & (pl.col("metric") == metric))["time"]
    traffic = [name for name in metrics["metric"].unique() if kind_of(name) == "traffic"]
    kept = metrics.filter(pl.col("metric").is_in([metric, *traffic]))
    instants = np.unique(own.to_numpy())
    if len(instants) < 2:
        return kept
    middles = (instants[1:] + instants[:-1]) / 2
    times = kept["time"].to_numpy()
    place = np.searchsorted(middles, times)
    if np.array_equal(instants[place], times):
        return kept
    reach = 0.75 * float(np.median(np.diff(instants)))
    near = np.abs(times - instants[place]) <= reach
    moved = kept.with_columns(pl.Series("time", instants[place])).filter(pl.Series(near))
    return moved.group_by("time", "entity", "metric", maintain_order=True).agg(
        pl.col("value").mean()
    )


def _likely_calls(
    symptom: str,
    levels: Mapping[str, tuple[float, float]],
    volumes: Mapping[str, float],
    kind: str,
) -> list[tuple[str, str]]:
    """Who may call whom where nobody told: the slower waits for the quicker, and faults thin out upwards.

    Args:
        symptom: the entity that raised the alarm; for failures it is taken to call whoever loses as many.
        levels: usual level and change for the worse by entity.
        volumes: what each loses.
        kind: what is measured.
    """
    found = []
    for caller, (above, caller_lost) in levels.items():
        for callee, (below, lost) in levels.items():
            if kind == "latency":
                waits = _NEAR * above > below and lost * above > caller_lost * below
            elif symptom in (caller, callee):
                other = callee if caller == symptom else caller
                within = volumes[other] >= _WITHIN * volumes[symptom]
                waits = within if caller == symptom else lost > caller_lost and not within
            else:
                waits = lost > caller_lost
            if caller != callee and waits:
                found.append((caller, callee))
    return found


def _flows(
    entity: str,
    volumes: Mapping[str, float],
    agreements: Mapping[str, float],
    severities: Mapping[str, float],
    edges: Sequence[tuple[str, str]],
    unsure: Collection[str],
) -> dict[str, Flow]:
    total = max(volumes[entity], 1e-12)
    callees: dict[str, set[str]] = {}
    for caller, callee in edges:
        if callee in volumes and callee != caller:
            callees.setdefault(caller, set()).add(callee)
    result = {}
    for name, volume in volumes.items():
        under = callees.get(name, set())
        below = sum(volumes[callee] * agreements[callee] for callee in under)
        # A callee that moves with the symptom explains its caller even where the sums do not match.
        # Who was only guessed to be called, or measures it in another way, must also lose as much.
        able = [c for c in under if c not in unsure or volumes[c] >= _MUCH * volume]
        alike = max((agreements[c] ** 2 * severities[c] for c in able), default=0.0)
        explained = max(min(below / volume, 1.0), _ALIKE * alike) if volume > 0 else 0.0
        own = 1 - 0.8 * explained
        share = min(volume / total, 1.0)
        result[name] = Flow(volume, share, own, agreements[name], severities[name])
    for name in _stand_ins(result, callees):
        result[name] = result[name]._replace(weight=_STAND_IN)
    return result


def _stand_ins(flows: Mapping[str, Flow], callees: Mapping[str, set[str]]) -> set[str]:
    """Leaves that may be a caller's view of a sibling: it does work of its own, loses more, and moves alike."""
    found = set()
    for siblings in callees.values():
        working = [
            flows[name]
            for name in siblings
            if callees.get(name) and flows[name].agreement > 0.5 and flows[name].severity > 0.5
        ]
        most = max((flow.volume for flow in working), default=0.0)
        served = set().union(*(callees.get(name, set()) for name in siblings))
        found |= {
            name
            for name in siblings
            if not callees.get(name) and name not in served and 0 < flows[name].volume < most
        }
    return found


def _floor(level: float, kind: str) -> float:
    """The least spread that counts: a share of the level, or of what is missing to a full score."""
    if kind == "availability" and level > 1.5:
        return 0.1 + 0.02 * abs(100 - level)
    return 0.02 * abs(level)


def _instants(
    metrics: pl.DataFrame, windows: Windows, symptom: tuple[str, str], sign: int
) -> np.ndarray:
    """The instants to compare: the incident's, and where all of them are bad, as many usual ones."""
    start, end = windows.current
    rows = metrics.filter((pl.col("entity") == symptom[0]) & (pl.col("metric") == symptom[1]))
    time, value = rows["time"].to_numpy(), rows["value"].to_numpy()
    now = (time >= start) & (time <= end)
    usual = np.zeros(len(time), dtype=bool)
    for low, high in windows.reference:
        usual |= (time >= low) & (time < high)
    grid = np.unique(
        metrics.filter((pl.col("metric") == symptom[1]) & pl.col("time").is_between(start, end))[
            "time"
        ].to_numpy()
    )
    if now.sum() < 2 or usual.sum() < 3:
        return grid
    level = np.median(value[usual])
    spread = max(float(np.ptp(np.quantile(value[usual], [0.1, 0.9]))), 1e-12)
    bad = sign * (value[now] - level)
    least = float(np.quantile(bad, 0.1))
    throughout = least >= spread and least >= 0.3 * float(bad.max())
    surely = float(np.median(bad)) * np.sqrt(now.sum()) >= _SURE * spread / 2.56
    if not (throughout or surely):
        return grid
    return np.concatenate([np.sort(time[usual])[-len(grid) :], grid])


def _aligned(
    metrics: pl.DataFrame, windows: Windows, grid: np.ndarray, metric: str
) -> dict[str, _Series]:
    """Each entity's values of one metric at the instants of `grid`, with its usual level and spread."""
    kind = kind_of(metric)
    rows = metrics.filter(pl.col("metric") == metric)
    before = pl.any_horizontal(
        [(pl.col("time") >= low) & (pl.col("time") < high) for low, high in windows.reference]
    )
    value = pl.col("value")
    usual = (
        rows.filter(before)
        .group_by("entity")
        .agg(
            value.median().alias("level"),
            ((value.quantile(0.9) - value.quantile(0.1)) / 2.56).alias("spread"),
        )
    )
    levels = {name: (level, spread) for name, level, spread in usual.iter_rows()}
    result = {}
    for name, values in _on_grid(rows, grid).items():
        known = values[np.isfinite(values)]
        level, spread = levels.get(name, (float(np.median(known)), 0.0))
        floor = max(_floor(level, kind), 0.02 * float(np.ptp(known)), 1e-9)
        result[name] = _Series(values, level, max(spread, floor))
    return result


def _on_grid(rows: pl.DataFrame, grid: np.ndarray) -> dict[str, np.ndarray]:
    """Values by entity at the instants of `grid`, NaN where there is none."""
    order = np.argsort(grid, kind="stable")
    result = {}
    for (name,), part in rows.filter(pl.col("time").is_in(grid.tolist())).group_by(
        "entity", maintain_order=True
    ):
        values = np.full(len(grid), np.nan)
        places = order[np.searchsorted(grid, part["time"].to_numpy(), sorter=order)]
        values[places] = part["value"].to_numpy()
        result[str(name)] = values
    return result


def _load(metrics: pl.DataFrame, grid: np.ndarray, entities: set[str]) -> dict[str, np.ndarray]:
    """Traffic by entity at the instants of `grid`, gaps filled with its median."""
    names = sorted(n for n in metrics["metric"].unique().to_list() if kind_of(n) == "traffic")
    result: dict[str, np.ndarray] = {}
    for metric in names:
        found = _on_grid(metrics.filter(pl.col("metric") == metric), grid)
        for name, values in found.items():
            if name in entities and name not in result:
                result[name] = np.nan_to_num(values, nan=float(np.nanmedian(values)))
    return result


def _profile(symptom: _Series, sign: int) -> np.ndarray | None:
    """How strongly the symptom is there at each instant, from 0 to 1."""
    bad = sign * symptom.value
    known = np.isfinite(bad)
    if known.sum() < 3 or np.ptp(bad[known]) <= 0:
        return None
    best = np.quantile(bad[known], 0.1)
    shape = np.clip((bad - best) / (bad[known].max() - best), 0, 1)
    return np.asarray(np.nan_to_num(shape, nan=0.0))


def _contrast(values: np.ndarray, profile: np.ndarray) -> float:
    inside = float((values * profile).sum() / profile.sum())
    outside = float((values * (1 - profile)).sum() / max((1 - profile).sum(), 1e-9))
    return inside - outside


def _lost(one: _Series, sign: int, profile: np.ndarray) -> float:
    known = np.isfinite(one.value)
    if not (profile * known).sum():
        return 0.0
    bad = sign * np.where(known, one.value - one.level, 0)
    return float((bad * profile * known).sum() / (profile * known).sum())


def _sound(values: np.ndarray, noise: float) -> float:
    """The share of a series' variance that its usual noise does not account for, at least a quarter."""
    variance = float(np.nanvar(values))
    return max(1 - noise**2 / variance, 0.25) if variance > 0 else 1.0


def _agreement(values: np.ndarray, profile: np.ndarray, sound: float) -> float:
    """Positive correlation, corrected for the noise of both (Spearman, 1904) and shrunk for few points.

    The symptom goes perfectly with itself, noise and all; uncorrected, no other could keep up.
    """
    if np.ptp(values) <= 0:
        return 0.0
    r = float(np.corrcoef(values, profile)[0, 1] / np.sqrt(sound))
    n = len(values)
    return min(max(r, 0.0), 1.0) * n / (n + 1.0)
