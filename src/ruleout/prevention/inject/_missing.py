"""Values that do not arrive: sentinels, failed joins, changed schemas, default features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from ruleout.prevention.inject._choose import blend, pick_feature, start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Event, Mask, Scene, Truth


@injector(
    "silent_nulls", variants=("null", "zero", "minus_one", "empty", "sentinel", "median", "mode")
)
def silent_nulls(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Fill the columns of one source with a sentinel for a share of rows; requests succeed."""
    names = _columns_of_source(scene, rng, dosage)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mask &= rng.random(len(mask)) < 0.15 + 0.85 * dosage.dose
    moved = {n: _filled(scene, n, mask, str(dosage.variant)) for n in names}
    source, columns = scene.base.source_of(names[0])
    return scene.see(moved).blame(
        Truth(
            "silent_nulls",
            "feature",
            tuple(names),
            accepted=(("source", (source,)), ("feature", columns)),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
        )
    )


@injector("malformed_artifact", variants=("null", "zero", "minus_one"))
def malformed_artifact(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let two generators write a lookup file in turns, one of them badly: its keys find nothing."""
    names = _columns_of_source(scene, rng, dosage)
    source, columns = scene.base.source_of(names[0])
    stem = source or "lookup"
    turns = {
        which: pl.Series("lookup_file", _turns(frame.height, stem, rng))
        for which, frame in (("reference", scene.reference), ("current", scene.seen))
    }
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mask &= (turns["current"] == f"{stem}-b").to_numpy()
    mask &= rng.random(len(mask)) < 0.5 + 0.5 * dosage.dose
    moved = {n: _filled(scene, n, mask, str(dosage.variant)) for n in names}
    at = start(scene, dosage) or 0.0
    event = Event(at - 60.0, "config", stem, "Raise the size limit of the second generator")
    written = replace(scene, reference=scene.reference.with_columns(turns["reference"]))
    return (
        replace(written, world=written.world.with_columns(turns["current"]))
        .see({**moved, "lookup_file": turns["current"]})
        .log(event)
        .blame(
            Truth(
                "malformed_artifact",
                "feature",
                tuple(names),
                accepted=(
                    ("source", (source,)),
                    ("feature", columns),
                    ("segment", ("lookup_file",)),
                ),
                onset=start(scene, dosage),
                notes=str(dosage.variant),
            )
        )
    )


def _turns(n: int, stem: str, rng: np.random.Generator) -> list[str]:
    """Who wrote the file that each row (n,) was served from: two generators, in turns of 40 to 120 rows."""
    length = int(rng.integers(40, 121))
    return [f"{stem}-{'ab'[row // length % 2]}" for row in range(n)]


def _columns_of_source(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> list[str]:
    if dosage.target:
        return list(dosage.target)
    first = pick_feature(
        scene, rng, dosage, (*scene.base.numeric, *scene.base.categorical), "tabular"
    )
    together = [
        n for n in scene.base.source_of(first)[1] if n in scene.inputs and n not in scene.base.hours
    ]
    whole_source = rng.random() < 0.5
    return together if whole_source and first in together else [first]


def _filled(scene: Scene, name: str, mask: Mask, how: str) -> pl.Series:
    old = scene.seen[name]
    new = pl.Series(name, [_sentinel(old, how)] * old.len(), strict=False)
    if old.dtype == pl.Boolean and new.dtype != pl.Boolean:
        new = new.cast(pl.Boolean)
    elif old.dtype == pl.String:
        new = new.cast(pl.String)
    elif old.dtype.is_temporal():
        new = pl.Series(name, [None] * old.len(), dtype=old.dtype)
    elif new.dtype == pl.Null:
        new = new.cast(old.dtype)
    return blend(old, new, mask)


def _sentinel(old: pl.Series, how: str) -> Any:
    """The value that stands for "nothing came" in a column of this type."""
    if how == "null" or old.dtype.is_temporal():
        return None
    common = old.drop_nulls().mode().sort()
    if how == "mode" or (how == "median" and not old.dtype.is_numeric()):
        return common[0] if common.len() else None
    if how == "median":
        middle = float(np.nanmedian(old.drop_nulls().cast(pl.Float64).to_numpy()))
        return int(middle) if old.dtype.is_integer() else middle
    if old.dtype == pl.Boolean:
        return False
    if old.dtype == pl.String:
        return {"zero": "0", "minus_one": "-1", "empty": "", "sentinel": "UNKNOWN"}[how]
    number = {"zero": 0, "minus_one": -1, "empty": 0, "sentinel": 999}[how]
    return number if old.dtype.is_integer() else float(number)


@injector("join_loss", variants=("null", "default"))
def join_loss(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Lose the columns of one source for the keys of one format, as a failed join does."""
    keys = scene.seen[scene.base.key].cast(pl.String)
    shapes = keys.str.extract(r"^([A-Za-z]+)", 1).fill_null("")
    kinds = sorted(shapes.unique().to_list())
    if len(kinds) < 2:
        raise InjectionError(
            f"all keys in {scene.base.key!r} have one format; a join cannot lose some"
        )
    names = _columns_of_source(scene, rng, dosage)
    names = [n for n in scene.base.source_of(names[0])[1] if n in scene.inputs] or names
    lost = sorted(
        kinds,
        key=lambda k: -float((shapes == k).mean() or 0.0),  # the commonest formats first
    )[: max(1, round(dosage.dose * (len(kinds) - 1)))]
    mask = dosage.schedule.mask(scene.base, scene.seen, rng) & shapes.is_in(lost).to_numpy()
    how = "null" if dosage.variant == "null" else "mode"
    moved = {
        n: _filled(scene, n, mask, how if how == "null" else _default(scene, n)) for n in names
    }
    source, columns = scene.base.source_of(names[0])
    return scene.see(moved).blame(
        Truth(
            "join_loss",
            "feature",
            tuple(names),
            accepted=(("source", (source,)), ("feature", columns), ("edge", (scene.base.key,))),
            onset=start(scene, dosage),
            notes=f"keys of format {', '.join(lost)}",
        )
    )


def _default(scene: Scene, name: str) -> str:
    return "zero" if scene.seen[name].dtype.is_numeric() else "sentinel"


@injector("schema_change", variants=("renamed", "retyped"))
def schema_change(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let an upstream rename or retype one field, which the reader then finds empty."""
    name = pick_feature(
        scene, rng, dosage, (*scene.base.numeric, *scene.base.categorical), "tabular"
    )
    if name in scene.base.hours:
        raise InjectionError(f"{name!r} is a clock column; choose another target")
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    old = scene.seen[name]
    moved = {name: _filled(scene, name, mask, "null")}
    if dosage.variant == "renamed":
        moved[_renamed(name, rng)] = blend(_filled(scene, name, mask | True, "null"), old, mask)
    else:
        text = old.cast(pl.String).str.replace(".", ",", literal=True)
        moved[f"{name}_raw"] = blend(pl.Series(name, [None] * old.len(), pl.String), text, mask)
    source, columns = scene.base.source_of(name)
    event = Event(
        (start(scene, dosage) or 0.0) - 120.0, "schema", source or "upstream", "Publish contract v2"
    )
    return (
        scene.see(moved)
        .log(event)
        .blame(
            Truth(
                "schema_change",
                "feature",
                (name,),
                accepted=(("source", (source,)), ("feature", columns)),
                onset=start(scene, dosage),
                notes=str(dosage.variant),
            )
        )
    )


def _renamed(name: str, rng: np.random.Generator) -> str:
    head, *rest = name.split("_")
    camel = head.lower() + "".join(p.capitalize() for p in rest)
    spare = [camel if camel != name else f"{name}_v2", f"{name}_value", f"new_{name}"]
    return spare[int(rng.integers(len(spare)))]


@injector("fallback_overload", variants=("constant", "popular", "default_features"))
def fallback_overload(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Answer a share of requests from a fallback: a constant, the commonest answer, or defaults."""
    from ruleout.prevention.inject._serving import constant_answer

    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    mask &= _bursts(len(mask), 0.2 + 0.75 * dosage.dose, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at, "config", "feature-store", "Circuit breaker to feature-store opened")
    truth = Truth(
        "fallback_overload",
        "pipeline",
        (),
        onset=at,
        notes=str(dosage.variant),
        without_changes=("silent_nulls",) if dosage.variant == "default_features" else (),
    )
    if dosage.variant == "default_features":
        names = [n for n in scene.inputs if n in scene.base.numeric and n not in scene.base.hours]
        if not names:
            raise InjectionError(f"{scene.base.name} has no numeric features to default")
        moved = {n: _filled(scene, n, mask, "median") for n in names}
        return scene.see(moved).log(event).blame(truth)
    answer = constant_answer(scene, rng, popular=dosage.variant == "popular")
    return scene.serve(mask, answer).log(event).blame(truth)


def _bursts(n: int, share: float, rng: np.random.Generator) -> Mask:
    """Runs of requests (n,), as a breaker opens and closes, on for about `share` of them."""
    blocks = max(n // 150, 1)
    on = rng.random(blocks) < share
    on[int(rng.integers(blocks))] = True
    stretched: Mask = np.repeat(on, -(-n // blocks))[:n]
    return stretched
