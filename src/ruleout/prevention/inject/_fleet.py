"""Faults of a fleet: hosts that answer otherwise than the rest, and requests sent to the wrong one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ruleout.prevention.inject._choose import levels, pick_feature, start
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Answers, Event, Mask, Scene, Truth
from ruleout.prevention.inject._serving import Chances, older_model, remap


@injector("mixed_versions")
def mixed_versions(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Leave some hosts on another artefact than the rest."""
    base = scene.base
    other = older_model(scene, rng, max(dosage.dose, 0.5))
    hosts = levels(scene.seen, base.host)
    if len(hosts) < 2:
        raise InjectionError(f"{base.host!r} holds one host; a fleet needs two")
    count = min(len(hosts) - 1, max(2, round(dosage.dose * len(hosts) * 0.7)))
    picked = tuple(sorted(str(h) for h in rng.choice(hosts, size=count, replace=False)))
    schedule = replace(dosage.schedule, column=base.host, values=picked)
    mask = schedule.mask(base, scene.seen, rng)
    at = start(scene, dosage) or 0.0
    event = Event(at - 30.0, "deploy", "scorer", f"Roll out model {scene.model.version}")
    return (
        replace(scene, previous=other)
        .serve(mask, lambda seen, _given: other.answer(seen))
        .log(event)
        .blame(
            Truth(
                "mixed_versions",
                "host",
                picked,
                accepted=(("segment", (base.host,)), ("segment", picked), ("model", ())),
                onset=at,
            )
        )
    )


@injector("hardware_fault", variants=("noise", "stuck", "shuffle"))
def hardware_fault(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let one host answer garbage."""
    base = scene.base
    hosts = levels(scene.seen, base.host)
    bad = str(hosts[int(rng.integers(len(hosts)))])
    schedule = replace(dosage.schedule, column=base.host, values=(bad,))
    mask = schedule.mask(base, scene.seen, rng)
    seed = int(rng.integers(2**32))

    def change(chances: Chances) -> Chances:
        noise = np.random.default_rng(seed)
        if dosage.variant == "shuffle":
            return chances[noise.permutation(len(chances))]
        if chances.shape[1] == 1:
            wrong = noise.normal(0.0, 3.0 * float(chances.std() or 1.0), chances.shape)
        else:
            wrong = noise.dirichlet(np.full(chances.shape[1], 0.5), size=len(chances))
        if dosage.variant == "stuck":
            wrong = np.repeat(wrong[:1], len(chances), axis=0)
        hit = noise.random(len(chances)) < 0.4 + 0.6 * dosage.dose
        return np.where(hit[:, None], wrong, chances)

    return scene.serve(mask, remap(scene.model, change)).blame(
        Truth(
            "hardware_fault",
            "host",
            (bad,),
            accepted=(("segment", (base.host,)), ("segment", (bad,))),
            without_golden=("mixed_versions", "change_regression"),
            onset=start(scene, dosage),
            notes=str(dosage.variant),
        )
    )


@injector("change_regression")
def change_regression(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Break the answers on the hosts that got one deploy, and only there, from the deploy on."""
    base = scene.base
    hosts = levels(scene.seen, base.host)
    if len(hosts) < 3:
        raise InjectionError(f"{base.host!r} needs three hosts, so that some were not changed")
    picked = tuple(
        sorted(str(h) for h in rng.choice(hosts, size=len(hosts) // 2 + 1, replace=False))
    )
    schedule = replace(
        dosage.schedule, column=base.host, values=picked, onset=max(dosage.schedule.onset, 0.15)
    )
    mask = schedule.mask(base, scene.seen, rng)
    at = schedule.start(base, scene.seen) or 0.0
    seed = int(rng.integers(2**32))

    def change(chances: Chances) -> Chances:
        noise = np.random.default_rng(seed)
        hit = noise.random(len(chances)) < 0.2 + 0.6 * dosage.dose
        other = chances[noise.permutation(len(chances))]
        return np.where(hit[:, None], other, chances)

    event = Event(
        at,
        "deploy",
        ",".join(picked),
        "Deploy scorer 4.12: batch requests before scoring",
        diff="+ answers = zip(batch, scores, strict=False)  # order of the batch",
    )
    return (
        scene.serve(mask, remap(scene.model, change))
        .log(event)
        .blame(
            Truth(
                "change_regression",
                "change",
                ("scorer",),
                also=("mixed_versions",),
                accepted=(("host", picked), ("segment", (base.host,)), ("none", ()), ("model", ())),
                onset=at,
            )
        )
    )


@injector("experiment_misassignment")
def experiment_misassignment(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Send the wrong users to the challenger: shares off plan, arms unlike before exposure."""
    base = scene.base
    other = older_model(scene, rng, max(dosage.dose, 0.5))
    n = scene.seen.height
    planned = pl.Series("arm", np.where(rng.random(scene.reference.height) < 0.5, "B", "A"))
    name = pick_feature(scene, rng, dosage, (*base.numeric, *base.categorical), "tabular")
    rank = scene.seen[name].rank("average").fill_null(0).to_numpy() / max(n, 1)
    lean = 0.5 + 0.45 * dosage.dose + (rank - 0.5) * 0.5
    mask = dosage.schedule.mask(base, scene.seen, rng)
    in_b: Mask = np.where(mask, rng.random(n) < lean, rng.random(n) < 0.5)
    arm = pl.Series("arm", np.where(in_b, "B", "A"))
    at = start(scene, dosage) or 0.0
    event = Event(at, "flag", "experiment-service", "Change bucketing salt of experiment")
    moved = replace(scene, reference=scene.reference.with_columns(planned)).see({"arm": arm})
    return (
        replace(moved, world=moved.world.with_columns(arm), previous=other)
        .serve(in_b & mask, lambda seen, _given: other.answer(seen))
        .log(event)
        .blame(
            Truth(
                "experiment_misassignment",
                "segment",
                ("arm",),
                accepted=(("segment", ("B",)), ("segment", ("A",)), ("none", ()), ("change", ())),
                onset=at,
            )
        )
    )


@injector("observability_failure", variants=("dropped", "defaulted"))
def observability_failure(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Lose the logged answers of some hosts for stretches; users were answered all the same."""
    base = scene.base
    hosts = levels(scene.seen, base.host)
    picked = [str(h) for h in rng.choice(hosts, size=max(1, len(hosts) // 2), replace=False)]
    mask = dosage.schedule.mask(base, scene.seen, rng)
    mask &= scene.seen[base.host].cast(pl.String).is_in(picked).to_numpy()
    mask &= rng.random(len(mask)) < 0.3 + 0.7 * dosage.dose
    event = Event(
        (start(scene, dosage) or 0.0) - 10.0, "deploy", "telemetry-agent", "Roll out agent 1.9"
    )
    truth = Truth(
        "observability_failure",
        "host",
        tuple(sorted(picked)),
        also=("monitor_defect",),
        accepted=(("segment", (base.host,)), ("none", ()), ("pipeline", ()), ("metric", ())),
        onset=start(scene, dosage),
        notes=str(dosage.variant),
    )
    scene = scene.log(event).blame(truth)
    if dosage.variant == "dropped":
        return replace(scene, unlogged=mask)
    return scene.serve(mask, _zeros)


def _zeros(seen: pl.DataFrame, given: Answers) -> Answers:
    """What a logger writes when it has nothing: zero."""
    if given.chances is None:
        return Answers(np.zeros(seen.height))
    return Answers(np.zeros(seen.height, dtype=np.int64), np.zeros_like(given.chances))
