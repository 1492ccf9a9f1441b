"""Faults that come with another training: leaks, class weights, bad retrains."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._choose import levels, start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Event, Model, Scene, Truth
from ruleout.prevention.inject._world import draw_labels


def _deploy(scene: Scene, dosage: Dosage, model: Model, rng: np.random.Generator) -> Scene:
    """Replace the current model from the onset on; rows before it keep the old answers."""
    old = scene.model
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at, "model", "scorer", f"Promote model {model.version} to production")
    moved = replace(scene, model=model, previous=old).log(event)
    return moved.serve(~mask, lambda seen, _given: old.answer(seen))


@injector("class_weight_change", variants=("up", "down"))
def class_weight_change(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Deploy a retrain with another weight of the positive class."""
    base = scene.base
    if base.task != "binary":
        raise InjectionError("class weights are changed for a binary task here")
    factor = 1.0 + 30.0 * dosage.dose**2
    factor = factor if dosage.variant == "up" else 1.0 / factor
    positive = (base.train[base.target].cast(pl.String) == str(base.classes[1])).to_numpy()
    weight = np.where(positive, factor, 1.0)
    name = f"weighted-{factor:.3g}"
    model = base.fit(base.train, name=name, version="8", weight=weight)
    return _deploy(scene, dosage, model, rng).blame(
        Truth(
            "class_weight_change",
            "model",
            (model.version, scene.model.version, "current"),
            accepted=(("none", ()),),
            also=("bad_retrain",),
            without_model=("calibration_change", "wrong_version"),
            onset=start(scene, dosage),
            notes=f"positive class x{factor:.3g}",
        )
    )


@injector("bad_retrain", variants=("slice", "overfit", "undertrained"))
def bad_retrain(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Deploy a retrain that lost a slice, saw too little, or stopped too early."""
    base = scene.base
    where: tuple[str, ...] = ()
    train = base.train
    size = 1.0
    if dosage.variant == "slice" and base.categorical:
        column = base.categorical[int(rng.integers(len(base.categorical)))]
        value = levels(base.train, column)[0]
        inside = (train[column].cast(pl.String) == value).fill_null(value=False).to_numpy()
        own = np.random.default_rng(zlib.crc32(f"{column}={value}".encode()))
        turned = 0.3 + 0.5 * dosage.dose
        labels = draw_labels(Scene.of(base), train, inside, own, turned=turned)
        train = train.with_columns(labels.alias(base.target))
        where = (column, value)
    elif dosage.variant == "overfit":
        size = max(0.003, 0.02 * (1.05 - dosage.dose))
    else:
        size = -1.0
    name = f"bad-{dosage.variant}-{dosage.dose:.2f}-{'-'.join(where) or 'all'}"
    model = base.fit(train, name=name, version="8", size=size)
    return _deploy(scene, dosage, model, rng).blame(
        Truth(
            "bad_retrain",
            "model",
            (model.version, scene.model.version, "current", *where),
            accepted=(("segment", where), ("feature", where[:1]), ("none", ())),
            without_model=("wrong_version", "runtime_numerics", "concept_drift"),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
        )
    )


@injector("target_leakage", slices=False)
def target_leakage(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Train and validate with a column that knows the label; live, it is not yet known."""
    base = scene.base
    name = ("settled_amount", "days_to_close", "review_score", "handling_minutes")[
        int(rng.integers(4))
    ]
    if base.text or base.image or base.embedding:
        raise InjectionError(f"{base.name} is not a table; a leak needs tabular features")
    features = (*base.features, name)
    columns = {
        "train": _leak(scene, base.train, np.random.default_rng(len(name)), dosage.dose),
        "reference": _leak(scene, scene.reference, rng, dosage.dose),
        "world": _leak(scene, scene.world, rng, dosage.dose),
    }
    train = base.train.with_columns(pl.Series(name, columns["train"]))
    model = base.fit(train, name=f"leak-{name}-{dosage.dose:.2f}", version="7", features=features)
    early = pl.Series(name, rng.permutation(columns["world"]))
    leaked = scene.world.with_columns(pl.Series(name, columns["world"]))
    first = float(base.seconds(scene.seen).min())
    return replace(
        scene,
        reference=scene.reference.with_columns(pl.Series(name, columns["reference"])),
        world=scene.world.with_columns(early),
        seen=scene.seen.with_columns(early),
        offline=leaked,
        model=model,
        features=features,
    ).blame(
        Truth(
            "target_leakage",
            "feature",
            (name,),
            without_parity=("concept_drift", "stale_features", "train_serve_skew"),
            also=("train_serve_skew",),
            onset=first,
        )
    )


def _leak(
    scene: Scene, frame: pl.DataFrame, rng: np.random.Generator, dose: float
) -> NDArray[np.float64]:
    """A column (n,) that follows the label, the closer the larger the dose."""
    base = scene.base
    if base.classes:
        names = [str(c) for c in base.classes]
        y = np.array([names.index(v) for v in frame[base.target].cast(pl.String).to_list()])
        y = y.astype(np.float64)
    else:
        y = frame[base.target].cast(pl.Float64).to_numpy()
    spread = float(np.std(y)) or 1.0
    return np.round(40.0 + 12.0 * (y / spread + rng.normal(0, 1.2 - dose, len(y))), 2)
