"""Faults and news in categorical columns: recodes, and values nobody has seen."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import polars as pl

from ruleout.prevention.inject._choose import blend, levels, pick_feature, start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Scene, Truth
from ruleout.prevention.inject._world import draw_labels


@injector("category_recode", variants=("permute", "shift", "hash", "case"))
def category_recode(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Exchange the values of one categorical column among themselves, or respell them."""
    among = [n for n in scene.base.categorical if n not in scene.base.hours]
    name = pick_feature(scene, rng, dosage, among, "categorical")
    old = scene.seen[name]
    if old.dtype == pl.Boolean:
        mapping: dict[str, str] = {"true": "false", "false": "true"}
        variant = "permute"
    else:
        variant = str(dosage.variant)
        if variant in {"hash", "case"} and old.dtype != pl.String:
            variant = "permute"
        mapping = _recoding(levels(scene.seen, name), variant, rng)
    text = old.cast(pl.String)
    new = text.replace(list(mapping), list(mapping.values()))
    new = new == "true" if old.dtype == pl.Boolean else new.cast(old.dtype)
    if bool((new == old).fill_null(value=True).all()):
        raise InjectionError(f"{variant} leaves {name!r} as it is; choose another target")
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    return scene.see({name: blend(old, new, mask)}).blame(
        Truth("category_recode", "feature", (name,), onset=start(scene, dosage), notes=variant)
    )


def _recoding(values: list[str], how: str, rng: np.random.Generator) -> dict[str, str]:
    if how == "case":
        return {v: v.lower() if v.lower() != v else v.upper() for v in values}
    if how == "hash":
        return {v: f"{zlib.crc32(v.encode()) % 10**6:06d}" for v in values}
    if how == "shift":
        ordered = sorted(values)
        return dict(zip(ordered, ordered[1:] + ordered[:1], strict=True))
    # The commonest values change places: an index over another vocabulary order.
    head = values[: max(2, min(len(values), 6))]
    turned = head[1:] + head[:1] if rng.random() < 0.5 else head[::-1]
    return dict(zip(head, turned, strict=True))


@injector("new_category", variants=("value", "class"))
def new_category(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let a value arrive that nobody has seen, whose labels follow another rule."""
    if dosage.variant == "class" and scene.base.task == "multiclass" and not dosage.target:
        return _new_class(scene, rng, dosage)
    among = [n for n in scene.base.categorical if scene.world[n].dtype == pl.String]
    name = pick_feature(scene, rng, dosage, among, "text-valued categorical")
    mask = dosage.schedule.mask(scene.base, scene.world, rng)
    mask &= rng.random(len(mask)) < 0.1 + 0.4 * dosage.dose
    news = [f"{levels(scene.world, name)[0]}_{s}" for s in ("plus", "b2", "2026")]
    value = news[int(rng.integers(len(news)))]
    fresh = pl.Series(name, [value] * scene.world.height)
    world = scene.world.with_columns(blend(scene.world[name], fresh, mask))
    world = world.with_columns(
        draw_labels(scene, world, mask, rng, turned=0.9).alias(scene.base.target)
    )
    return scene.populate(world).blame(
        Truth(
            "new_category",
            "feature",
            (name,),
            accepted=(("class", (value,)), ("segment", (name,)), ("segment", (value,))),
            onset=start(scene, dosage),
            notes=value,
        )
    )


def _new_class(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Give a share of rows of unusual places a class that the model cannot answer."""
    mask = dosage.schedule.mask(scene.base, scene.world, rng)
    strange = pl.col(scene.base.target)
    del strange
    name = f"{scene.base.classes[0]}_new" if isinstance(scene.base.classes[0], str) else None
    if name is None:
        raise InjectionError("classes are numbers; a new class needs a name")
    mask &= rng.random(len(mask)) < 0.1 + 0.3 * dosage.dose
    old = scene.world[scene.base.target]
    labels = blend(old, pl.Series(old.name, [name] * old.len()), mask)
    world = scene.world.with_columns(labels)
    shifted = replace(scene.populate(world), seen=world)
    return shifted.blame(
        Truth(
            "new_category",
            "class",
            (name,),
            accepted=(("label", (scene.base.target,)),),
            onset=start(scene, dosage),
            notes="class",
        )
    )
