"""Faults in the values of numeric columns: units, precision, thin aggregates, clocks, swaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._choose import as_series, blend, pick_feature, start, values
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Event, Scene, Truth

_Floats = NDArray[np.float64]

_UNITS: dict[str, Callable[[_Floats], _Floats]] = {
    "milli": lambda x: x * 1000.0,
    "kilo": lambda x: x / 1000.0,
    "cents": lambda x: x * 100.0,
    "percent": lambda x: x / 100.0,
    "minutes": lambda x: x * 60.0,
    "hours": lambda x: x / 60.0,
    "pounds": lambda x: x * 2.20462,
    "inches": lambda x: x / 25.4,
    "millimetres": lambda x: x * 25.4,
    "kilometres": lambda x: x * 1.609344,
    "tenfold": lambda x: x * 10.0,
    "fahrenheit": lambda x: x * 9.0 / 5.0 + 32.0,
    "celsius": lambda x: (x - 32.0) * 5.0 / 9.0,
}


@injector("unit_change", variants=tuple(_UNITS))
def unit_change(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Deliver one column in another unit; the dose is not used (a unit is or is not changed)."""
    name = pick_feature(scene, rng, dosage, _measures(scene), "continuous")
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    moved = as_series(scene.seen[name], _UNITS[str(dosage.variant)](values(scene.seen, name)))
    return scene.see({name: blend(scene.seen[name], moved, mask)}).blame(
        Truth(
            "unit_change",
            "feature",
            (name,),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
            without_parity=("train_serve_skew",),
        )
    )


def _measures(scene: Scene) -> list[str]:
    """Numeric columns that carry a measure: more than a handful of values."""
    seen = scene.seen
    return [
        n
        for n in scene.base.numeric
        if n not in scene.base.hours and seen[n].dtype != pl.Boolean and seen[n].n_unique() > 8
    ]


@injector("precision_loss", variants=("round", "clip_high", "clip_low", "saturate", "int_cast"))
def precision_loss(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Round, clip, cast or saturate one column; the dose sets how coarse or how low the bound."""
    among = _measures(scene)
    if dosage.variant == "int_cast":
        among = [n for n in among if scene.seen[n].dtype.is_float()]
    name = pick_feature(scene, rng, dosage, among, "continuous")
    x = values(scene.seen, name)
    low, high = np.nanquantile(x, [0.02, 0.98])
    coarse = _COARSEN[str(dosage.variant)](x, float(low), float(high), dosage.dose)
    if np.nanmax(np.abs(coarse - x)) == 0:
        raise InjectionError(f"{dosage.variant} leaves {name!r} as it is; choose another target")
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    moved = as_series(scene.seen[name], coarse)
    return scene.see({name: blend(scene.seen[name], moved, mask)}).blame(
        Truth(
            "precision_loss",
            "feature",
            (name,),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
        )
    )


def _round(x: _Floats, low: float, high: float, dose: float) -> _Floats:
    step = (high - low) * (0.25 + 0.75 * dose)
    step = 10.0 ** np.ceil(np.log10(step)) if dose > 0.5 else step
    return np.round(x / step) * step


def _int_cast(x: _Floats, low: float, high: float, dose: float) -> _Floats:
    del low, high, dose
    return np.trunc(x)


def _saturate(x: _Floats, low: float, high: float, dose: float) -> _Floats:
    bound = float(np.nanquantile(x, 1.0 - 0.8 * dose))
    bounds = np.array([0.0, 1.0, 9.99, 15.0, 31.0, 127.0, 255.0, 999.0, 9999.0, 32767.0, 65535.0])
    near = bounds[np.argmin(np.abs(bounds - bound))]
    return np.minimum(x, near if low < near < high else bound)


_COARSEN: dict[str, Callable[[_Floats, float, float, float], _Floats]] = {
    "round": _round,
    "clip_high": lambda x, _low, _high, d: np.minimum(x, np.nanquantile(x, 1.0 - 0.85 * d)),
    "clip_low": lambda x, _low, _high, d: np.maximum(x, np.nanquantile(x, 0.85 * d)),
    "saturate": _saturate,
    "int_cast": _int_cast,
}


@injector("partial_batch", variants=("thin", "late"))
def partial_batch(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Publish aggregates over a part of their events: low by a different share for every row."""
    names = _aggregates(scene, rng, dosage)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    kept = 1.0 - 0.9 * dosage.dose
    moved: dict[str, pl.Series] = {}
    share = rng.beta(6.0 * kept + 0.3, 6.0 * (1.0 - kept) + 0.3, scene.seen.height)
    if dosage.variant == "late":
        share = np.where(rng.random(len(share)) < dosage.dose, share * 0.2, 1.0)
    for name in names:
        x = values(scene.seen, name)
        whole = scene.seen[name].dtype.is_integer()
        thin = np.floor(x * share + rng.random(len(x)) * 0.999) if whole else x * share
        moved[name] = blend(scene.seen[name], as_series(scene.seen[name], thin), mask)
    source, columns = scene.base.source_of(names[0])
    return scene.see(moved).blame(
        Truth(
            "partial_batch",
            "feature",
            tuple(names),
            accepted=(("source", (source,)), ("feature", columns)),
            without_parity=("covariate_shift",),
            onset=start(scene, dosage),
        )
    )


def _aggregates(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> list[str]:
    if dosage.target:
        return list(dosage.target)
    fit = [n for n in scene.base.counts if n in scene.inputs]
    first = pick_feature(scene, rng, dosage, fit, "aggregate")
    together = [n for n in scene.base.source_of(first)[1] if n in fit]
    return together or [first]


@injector("time_shift", variants=("hours",))
def time_shift(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Shift clock columns by whole hours, as another time zone does."""
    hours = {n: how for n, how in scene.base.hours.items() if n in scene.inputs}
    if not hours:
        raise InjectionError(f"{scene.base.name} has no clock column; name one in `hours`")
    by = int(rng.choice([-8, -7, -6, -5, 5, 7, 8, 9] if dosage.dose > 0.5 else [-3, -2, 2, 3]))
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    moved = {}
    for name, how in hours.items():
        old = scene.seen[name]
        new = (old.cast(pl.Int64) + by) % 24 if how == "hour" else old.dt.offset_by(f"{by}h")
        moved[name] = blend(old, new.cast(old.dtype), mask)
    return scene.see(moved).blame(
        Truth(
            "time_shift",
            "feature",
            tuple(hours),
            onset=start(scene, dosage),
            notes=f"{by} h",
        )
    )


@injector("feature_swap", variants=("numeric", "similar"))
def feature_swap(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let two numeric inputs arrive in each other's place."""
    one, two = _pair(scene, rng, dosage)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    a, b = scene.seen[one], scene.seen[two]
    moved = {one: blend(a, b.alias(one), mask), two: blend(b, a.alias(two), mask)}
    return scene.see(moved).blame(
        Truth("feature_swap", "feature", (one, two), onset=start(scene, dosage))
    )


def _pair(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> tuple[str, str]:
    if len(dosage.target) == 2:
        return dosage.target[0], dosage.target[1]
    among = [n for n in _measures(scene) if n not in scene.base.hours]
    if len(among) < 2:
        raise InjectionError(f"{scene.base.name} has fewer than two numeric features to exchange")
    one = pick_feature(scene, rng, dosage, among, "numeric")
    rest = [n for n in among if n != one]
    if dosage.variant == "similar":
        centre = np.nanmedian(values(scene.seen, one))
        far = [abs(np.nanmedian(values(scene.seen, n)) - centre) for n in rest]
        return one, rest[int(np.argmin(far))]
    return one, rest[int(rng.integers(len(rest)))]


@injector("train_serve_skew", variants=("log", "fill", "floor", "window"))
def train_serve_skew(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Compute one feature by another code path in serving, from the launch of the model on."""
    name = pick_feature(scene, rng, dosage, _measures(scene), "continuous")
    x = values(scene.seen, name)
    spread = float(np.nanstd(x)) or 1.0
    if dosage.variant == "log":
        skewed = np.sign(x) * np.log1p(np.abs(x))
    elif dosage.variant == "fill":
        skewed = np.where(rng.random(len(x)) < 0.3 + 0.6 * dosage.dose, np.nanmedian(x), x)
    elif dosage.variant == "floor":
        skewed = np.where(x > np.nanmedian(x), np.sqrt(np.abs(x)) * np.sign(x), x)
    else:
        skewed = x * (1 - dosage.dose * 0.7) + rng.normal(0, spread * dosage.dose, len(x))
    first = float(scene.base.seconds(scene.seen).min())
    launch = Event(first, "deploy", "scorer", f"Launch model {scene.model.version} online")
    return (
        scene.see({name: as_series(scene.seen[name], skewed)})
        .log(launch)
        .blame(
            Truth(
                "train_serve_skew",
                "feature",
                (name,),
                # Filled in for some rows, in serving alone: what a connector's default is, from launch.
                also=("silent_nulls",) if dosage.variant == "fill" else (),
                onset=first,
                without_parity=("covariate_shift", "precision_loss", "unit_change", "silent_nulls"),
                notes=str(dosage.variant),
            )
        )
    )
