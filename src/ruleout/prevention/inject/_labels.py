"""Faults of the ground truth: noise, corruption, immaturity, and joins of the wrong rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._choose import blend, grown_set, start
from ruleout.prevention.inject._registry import Dosage, injector
from ruleout.prevention.inject._scene import Event, Mask, Scene, Truth

_DAY = 86_400.0


def _record(scene: Scene, labels: pl.Series) -> Scene:
    return replace(scene, recorded=labels.alias(scene.base.target))


def _mapped(scene: Scene, codes: NDArray[np.int64]) -> pl.Series:
    old = scene.recorded
    return pl.Series(old.name, [scene.base.classes[k] for k in codes]).cast(old.dtype)


def _codes(scene: Scene) -> NDArray[np.int64]:
    names = {str(c): k for k, c in enumerate(scene.base.classes)}
    found = [names.get(v, 0) for v in scene.recorded.cast(pl.String).to_list()]
    return np.array(found, dtype=np.int64)


@injector("label_noise")
def label_noise(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let annotators err at random: some labels become any other class."""
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mask &= rng.random(len(mask)) < 0.06 + 0.3 * dosage.dose
    old = scene.recorded
    if scene.base.task == "regression":
        y = old.cast(pl.Float64).to_numpy()
        noisy = y + rng.standard_t(3, size=len(y)) * np.nanstd(y) * (0.5 + dosage.dose)
        series = pl.Series(old.name, noisy.round() if old.dtype.is_integer() else noisy)
        new = series.cast(old.dtype)
    else:
        k = len(scene.base.classes)
        new = _mapped(scene, (_codes(scene) + rng.integers(1, k, size=old.len())) % k)
    return _record(scene, blend(old, new, mask)).blame(
        Truth(
            "label_noise",
            "label",
            (scene.base.target,),
            without_audit=("concept_drift", "corrupted_labels", "evaluation_bug"),
            onset=start(scene, dosage),
        )
    )


@injector("corrupted_labels", variants=("polarity", "mapping", "slice"))
def corrupted_labels(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let one label pipeline write swapped classes (or labels in another unit)."""
    base, old = scene.base, scene.recorded
    mask = dosage.schedule.mask(base, scene.seen, rng)
    if dosage.variant == "slice" and base.segments:
        mask &= _some_values(scene, rng, dosage.dose)
    elif dosage.variant == "polarity":
        mask &= rng.random(len(mask)) < 0.15 + 0.85 * dosage.dose
    if base.task == "regression":
        factor = float(rng.choice([0.1, 2.20462, 10.0, 0.453592, 100.0]))
        y = old.cast(pl.Float64) * factor
        new = y.round().cast(old.dtype) if old.dtype.is_integer() else y
    else:
        k = len(base.classes)
        codes = _codes(scene)
        if dosage.variant == "mapping" and k > 2:
            common = np.argsort(-np.bincount(codes, minlength=k), kind="stable")[: max(2, k // 2)]
            table = np.arange(k)
            table[common] = np.roll(common, 1)
            new = _mapped(scene, table[codes])
        else:
            new = _mapped(scene, (codes + 1) % k)
    at = start(scene, dosage) or 0.0
    event = Event(at - 300.0, "data", "label-pipeline", "Switch label source to v2 export")
    return (
        _record(scene, blend(old, new, mask))
        .log(event)
        .blame(
            Truth(
                "corrupted_labels",
                "label",
                (base.target,),
                accepted=(("source", ("label-pipeline",)), ("segment", base.segments)),
                without_audit=("concept_drift", "label_noise", "evaluation_bug"),
                onset=at,
            )
        )
    )


def _some_values(scene: Scene, rng: np.random.Generator, dose: float) -> Mask:
    """Rows (n,) of some values of one segment column, about a share of `dose`."""
    column = scene.base.segments[int(rng.integers(len(scene.base.segments)))]
    text = scene.seen[column].cast(pl.String)
    values = sorted(v for v in text.unique().to_list() if v is not None)
    rng.shuffle(values)
    return grown_set(text, values, 0.2 + 0.5 * dose)


@injector("evaluation_bug", variants=("lag", "batch"))
def evaluation_bug(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Join each label to another row: one or a few rows off, or mixed up within each batch."""
    old = scene.recorded
    n = old.len()
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mask &= np.arange(n) >= (1.0 - (0.25 + 0.75 * dosage.dose)) * n
    here = np.arange(n, dtype=np.int64)
    if dosage.variant == "lag":
        rows = np.clip(here - int(rng.integers(1, 5)), 0, n - 1)
    else:
        batch = here // 500
        rows = here[np.lexsort((rng.random(n), batch))]
    first = scene.base.seconds(scene.seen)[int(np.argmax(mask))]
    event = Event(float(first) - 60.0, "deploy", "metrics-job", "Release evaluation job 2.4")
    return (
        _record(scene, blend(old, old.gather(rows), mask))
        .log(event)
        .blame(
            Truth(
                "evaluation_bug",
                "label",
                (scene.base.target,),
                accepted=(("metric", (scene.base.metric,)), ("pipeline", ()), ("none", ())),
                also=("corrupted_labels", "label_noise") if dosage.variant == "batch" else (),
                without_audit=("concept_drift", "label_noise", "corrupted_labels")
                if dosage.variant == "batch"
                else (),
                onset=float(first),
                notes=str(dosage.variant),
            )
        )
    )


@injector("immature_labels")
def immature_labels(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Read labels before they are final: late positives still count as negatives."""
    base, old = scene.base, scene.recorded
    seconds = base.seconds(scene.seen)
    span = float(seconds.max() - seconds.min())
    delay = rng.exponential(span * (0.2 + 1.5 * dosage.dose), size=old.len())
    available = seconds + delay
    late: Mask = available > seconds.max()
    if base.task == "regression":
        y = old.cast(pl.Float64).to_numpy()
        part = np.clip((seconds.max() - seconds) / delay, 0.05, 1.0)
        grown = np.where(late, y * part, y)
        new = pl.Series(old.name, grown.round() if old.dtype.is_integer() else grown)
        labels = new.cast(old.dtype)
    else:
        negative = base.classes[0]
        labels = blend(old, pl.Series(old.name, [negative] * old.len()).cast(old.dtype), late)
    first = float(seconds[int(np.argmax(late))])
    return replace(_record(scene, labels), available=available).blame(
        Truth(
            "immature_labels",
            "label",
            (base.target,),
            onset=first,
            without_audit=(),
        )
    )
