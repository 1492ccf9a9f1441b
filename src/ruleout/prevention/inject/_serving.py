"""Faults between the features and the logged answer: versions, policy, numerics, hosts, routing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._choose import start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Answers, Event, Model, Scene, Truth

Chances = NDArray[np.float64]
_VERSION_LIKE = ("wrong_version", "bad_retrain", "runtime_numerics", "change_regression")
"""What all looks like another model where no artefact can be replayed."""


def decide(chances: Chances, threshold: float) -> NDArray[np.int64]:
    """Class codes (n,) from probabilities (n, K)."""
    if chances.shape[1] == 2:
        return (chances[:, 1] >= threshold).astype(np.int64)
    first: NDArray[np.int64] = chances.argmax(axis=1).astype(np.int64)
    return first


def remap(model: Model, change: Callable[[Chances], Chances]) -> Callable[..., Answers]:
    """An answer with changed probabilities, decided by the model's own policy."""

    def answer(_seen: pl.DataFrame, given: Answers) -> Answers:
        if given.chances is None:
            moved = change(given.decision.astype(np.float64)[:, None])[:, 0]
            return Answers(moved)
        moved = change(given.chances)
        return Answers(decide(moved, model.threshold), moved)

    return answer


def constant_answer(
    scene: Scene, rng: np.random.Generator, *, popular: bool
) -> Callable[[pl.DataFrame, Answers], Answers]:
    """What a fallback answers: the base rate, or the commonest class of one column's value."""
    base, reference = scene.base, scene.reference
    if not base.classes:
        y = reference[base.target].cast(pl.Float64).to_numpy()
        level = float(np.nanmedian(y) if popular else np.nanquantile(y, rng.choice([0.1, 0.25])))
        return lambda seen, _given: Answers(np.full(seen.height, level))
    names = [str(c) for c in base.classes]
    counts = np.array([(reference[base.target].cast(pl.String) == v).sum() for v in names])
    chances = counts / counts.sum()
    if popular:
        chances = np.eye(len(names))[int(counts.argmax())] * 0.98 + 0.02 / len(names)

    def answer(seen: pl.DataFrame, _given: Answers) -> Answers:
        rows = np.tile(chances, (seen.height, 1))
        return Answers(decide(rows, scene.model.threshold), rows)

    return answer


def older_model(scene: Scene, rng: np.random.Generator, dose: float) -> Model:
    """An earlier artefact, the weaker the larger the dose: fewer features, less training."""
    base = scene.base
    ranked = sorted(base.features, key=lambda n: (-base.importance.get(n, 0.0), n))
    dropped = max(1, round(dose * len(ranked) / 2))
    keep = [n for n in base.features if n not in ranked[:dropped]]
    if len(keep) < 2:
        raise InjectionError(f"{base.name} has too few features for a weaker earlier model")
    del rng
    name = f"older-{round(dose * 100)}"
    return base.fit(base.train, name=name, version="6", features=tuple(keep), size=0.3)


@injector("wrong_version")
def wrong_version(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let another artefact answer than the registry says."""
    other = older_model(scene, rng, dosage.dose)
    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 30.0, "deploy", "scorer", "Restart scorer pods from image cache")
    served = replace(scene, previous=other)
    extent = dosage.schedule
    # Served to a part of the traffic only, the same is a fleet of mixed versions.
    partly = extent.ramp or extent.share < 1.0 or extent.column is not None
    return (
        served.serve(mask, lambda seen, _given: other.answer(seen))
        .log(event)
        .blame(
            Truth(
                "wrong_version",
                "model",
                (other.version, scene.model.version, "current", "previous"),
                accepted=tuple((k, extent.values) for k in ("host", "segment") if extent.values),
                also=("mixed_versions",) if partly else (),
                without_model=_VERSION_LIKE,
                onset=at,
            )
        )
    )


@injector("runtime_numerics", variants=("quantised", "rare_large"))
def runtime_numerics(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Compute scores with too few bits: a coarse grid everywhere, or rare large errors."""
    rare = dosage.variant == "rare_large"
    seed = int(rng.integers(2**32))
    scale = (
        float(
            np.nanstd(scene.reference[scene.base.target].cast(pl.Float64, strict=False).to_numpy())
        )
        if not scene.base.classes
        else 1.0
    )

    def change(chances: Chances) -> Chances:
        noise = np.random.default_rng(seed)
        logits = chances if chances.shape[1] == 1 else np.log(np.clip(chances, 1e-6, 1.0))
        if rare:
            hit = noise.random(len(logits)) < 0.05 + 0.3 * dosage.dose
            wrong = noise.normal(0.0, 4.0 * scale, logits.shape)
            logits = np.where(hit[:, None], logits + wrong, logits)
        else:
            step = (0.6 + 2.4 * dosage.dose) * scale
            dither = noise.normal(0.0, step / 2.0, logits.shape)
            logits = np.floor((logits + dither) / step) * step
        if chances.shape[1] == 1:
            return logits
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Chances = grown / grown.sum(axis=1, keepdims=True)
        return shares

    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 45.0, "deploy", "runtime", "Upgrade inference runtime, int8 kernels on")
    return (
        scene.serve(mask, remap(scene.model, change))
        .log(event)
        .blame(
            Truth(
                "runtime_numerics",
                "model",
                (scene.model.version, "current"),
                accepted=(("none", ()), ("pipeline", ())),
                without_golden=("wrong_version",),
                without_model=_VERSION_LIKE,
                onset=at,
                notes=str(dosage.variant),
            )
        )
    )


@injector("threshold_change", variants=("up", "down"))
def threshold_change(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Decide at another threshold; scores stay as they were."""
    if scene.base.task != "binary":
        raise InjectionError("only a binary decision has a threshold to change")
    old = scene.model.threshold
    new = (
        old + (0.98 - old) * dosage.dose
        if dosage.variant == "up"
        else old * (1 - dosage.dose * 0.97)
    )

    def answer(_seen: pl.DataFrame, given: Answers) -> Answers:
        if given.chances is None:
            return given
        return Answers(decide(given.chances, new), given.chances)

    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 20.0, "config", "decision-policy", "Update decision policy")
    return (
        scene.serve(mask, answer)
        .log(event)
        .blame(
            Truth(
                "threshold_change",
                "model",
                (scene.model.version, "current"),
                accepted=(("none", ()), ("pipeline", ())),
                onset=at,
                notes=f"{old:.3f} to {new:.3f}",
            )
        )
    )


@injector("calibration_change", variants=("temperature", "bias"))
def calibration_change(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Put another monotone map behind the scores; decisions follow the new scores."""
    if not scene.base.classes:
        raise InjectionError("a regression's answers have no calibration map")
    sharpen = 1.0 + 4.0 * dosage.dose if rng.random() < 0.5 else 1.0 / (1.0 + 5.0 * dosage.dose)
    shift = (-1.0 if rng.random() < 0.5 else 1.0) * (0.5 + 2.5 * dosage.dose)
    if dosage.variant == "temperature":
        shift *= 0.3 if scene.base.task == "binary" else 0.0
    else:
        sharpen = 1.0

    def change(chances: Chances) -> Chances:
        logits = np.log(np.clip(chances, 1e-9, 1.0)) * sharpen
        if chances.shape[1] == 2:
            logits[:, 1] += shift
        grown = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: Chances = grown / grown.sum(axis=1, keepdims=True)
        return shares

    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 20.0, "config", "post-processor", "Refit score post-processor")
    return (
        scene.serve(mask, remap(scene.model, change))
        .log(event)
        .blame(
            Truth(
                "calibration_change",
                "model",
                (scene.model.version, "current"),
                accepted=(("none", ()), ("pipeline", ())),
                without_model=("class_weight_change",),
                onset=at,
                notes=f"slope {sharpen:.2f}, shift {shift:.2f}",
            )
        )
    )


@injector("class_map_mismatch", variants=("rotate", "swap"))
def class_map_mismatch(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Name the output indices by another order of the classes."""
    k = len(scene.base.classes)
    if k < 2:
        raise InjectionError("a regression has no class names to mix up")
    table = np.arange(k)
    if k == 2:
        table = table[::-1]
    elif dosage.variant == "rotate":
        some = rng.permutation(k)[: max(2, round(k * (0.4 + 0.6 * dosage.dose)))]
        table[some] = np.roll(some, 1)
    else:
        order = np.argsort([str(c) for c in scene.base.classes])
        mixed = np.roll(order, 1) if (order == np.arange(k)).all() else order
        table = mixed

    def answer(_seen: pl.DataFrame, given: Answers) -> Answers:
        if given.chances is None:
            return Answers(table[given.decision])
        back = np.argsort(table)
        return Answers(table[given.decision], given.chances[:, back])

    mask = dosage.schedule.mask(scene.base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 20.0, "deploy", "scorer", "Repackage model artefact")
    return (
        scene.serve(mask, answer)
        .log(event)
        .blame(
            Truth(
                "class_map_mismatch",
                "model",
                (scene.model.version, "current"),
                accepted=(
                    ("none", ()),
                    ("pipeline", ()),
                    ("class", tuple(str(c) for c in scene.base.classes)),
                    ("label", (scene.base.target,)),
                ),
                onset=at,
            )
        )
    )
