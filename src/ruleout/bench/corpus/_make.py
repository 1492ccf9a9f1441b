"""Making incidents: draw a system, inject, prove the harm, write the folder, keep the truth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout.bench.corpus import _generated, _media, _ranked, _tables
from ruleout.bench.corpus._bases import System, build_system, draw_base
from ruleout.bench.corpus._benign import BENIGN, harmless_drift
from ruleout.bench.corpus._dataset import DataSet, data_folder, loaders
from ruleout.bench.corpus._metrics import LOWER_IS_BETTER, error, score, worsening
from ruleout.bench.corpus._plan import (
    DOSES,
    Recipe,
    Wish,
    draw_kit,
    draw_schedule,
    places,
    wished_kit,
)
from ruleout.bench.corpus._style import draw_style
from ruleout.bench.corpus._write import Kit, Written, write_incident
from ruleout.prevention.inject import (
    Answers,
    Event,
    InjectionError,
    Scene,
    Truth,
    inject,
    injectors,
)

LOADED = (_generated, _media, _ranked, _tables)
"""The modules whose import registers the data sets."""

_ATTEMPTS = 14
_FAITHFUL = 7
"""So many attempts keep to the data set that the manifest asks for."""

_NULLS = frozenset(
    {
        "random_fluctuation",
        "seasonality",
        "benign_mix",
        "monitor_defect",
        "already_recovered",
        "planned_event",
    }
)
_STAGE = {
    "covariate_shift": 0,
    "concept_drift": 0,
    "prior_shift": 0,
    "new_category": 0,
    "label_noise": 3,
    "corrupted_labels": 3,
    "evaluation_bug": 3,
    "threshold_change": 2,
    "mixed_versions": 2,
    "hardware_fault": 2,
    "fallback_overload": 2,
}
_QUIET = frozenset({"quiet", "harmless_drift", "monitor_defect"})
_PLACED = frozenset(
    {
        "mixed_versions",
        "hardware_fault",
        "change_regression",
        "observability_failure",
        "adversarial_shift",
        "join_loss",
        "benign_mix",
    }
)
"""Modes that can only be told where hosts and actors are logged."""

_HARMLESS = frozenset({"observability_failure"})
_NOISE = (
    ("deploy", "frontend", "Release web client 5.2"),
    ("config", "gateway", "Raise request timeout"),
    ("commit", "analytics", "Add weekly report"),
    ("deploy", "billing", "Release billing 2.8"),
    ("scale", "scorer", "Scale scorer from 4 to 5 replicas"),
    ("flag", "search", "Enable new search box for 10%"),
    ("schema", "warehouse", "Add column to archive table"),
)


class Kitchen:
    """Loads each data set and trains each model once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data: dict[str, DataSet] = {}
        self._systems: dict[tuple[str, str], System] = {}

    def names(self) -> tuple[str, ...]:
        """Data sets that can be loaded here."""
        try:
            data_folder()
        except RuleoutError:
            return (
                "card_fraud",
                "credit_lines",
                "delivery",
                "parcels",
                "search_results",
                "sensor_line",
                "digits",
                "breast_cancer",
                "wine",
            )
        return tuple(loaders())

    def system(self, name: str, rng: np.random.Generator, model: str | None = None) -> System:
        """A system on the data set `name` with one of its kinds of model, `model` if it has that."""
        if name not in self._data:
            self._data[name] = loaders()[name]()
        data = self._data[name]
        drawn = data.models[int(rng.integers(len(data.models)))]
        kind = model if model in data.models else drawn
        if (name, kind) not in self._systems:
            self._systems[name, kind] = build_system(data, kind, self.folder)
        return self._systems[name, kind]


_MOSTLY = 0.7
"""Share of the harm that a fault must do itself beside a drift that is meant to do none."""


def cook(
    recipe: Recipe, kitchen: Kitchen, folder: Path, rows: int | None = None
) -> dict[str, Any] | None:
    """Make one incident; None when no attempt gave a fault that hurts."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([recipe.seed, attempt])
        try:
            made = _attempt(recipe, kitchen, folder, rng=rng, attempt=attempt, rows=rows)
        except InjectionError:
            continue
        if made is not None:
            return made
    return None


def _attempt(
    recipe: Recipe,
    kitchen: Kitchen,
    folder: Path,
    *,
    rng: np.random.Generator,
    attempt: int,
    rows: int | None,
) -> dict[str, Any] | None:
    wish = recipe.wish
    model = None if wish is None else wish.model
    fit = [recipe.dataset] if recipe.dataset else places(recipe.mode, kitchen.names())
    if wish is not None and attempt < _FAITHFUL and wish.dataset in fit:
        fit = [wish.dataset]
    if not fit:
        return None
    system = kitchen.system(str(fit[int(rng.integers(len(fit)))]), rng, model)
    split = "exploration" if recipe.mode == "feedback_loop" and rng.random() < 0.75 else None
    base = draw_base(system, rng, rows=rows, split=split)
    kit = draw_kit(system.data, recipe.mode, rng)
    if base.task == "ranking":
        # A ranker logs scores and no decisions.
        kit = replace(kit, scores=True)
    if wish is not None:
        kit = wished_kit(kit, wish.kit, recipe.mode, sources=bool(system.data.sources))
    clean = Scene.of(base)
    if "herring" in recipe.tags and recipe.mode not in BENIGN and base.numeric:
        clean = replace(harmless_drift(clean, rng), truths=())
    scene = _hurt(recipe, clean, rng, attempt)
    if recipe.second is not None:
        scene = _hurt_twice(recipe, clean, rng, attempt)
    answers = (_reference_answers(scene), scene.answers())
    metric = _symptom(recipe, system.data, scene, clean, answers=answers, kit=kit, rng=rng)
    if metric is None:
        return None
    # The event that goes with a fault is not always in the log.
    if recipe.mode not in {"planned_event", "change_regression"} and rng.random() < 0.35:
        scene = replace(scene, events=())
    written = Written(
        metric,
        noise=_noise(scene, rng, herring="herring" in recipe.tags),
        telemetry=_monitored(scene, metric, answers, rng)
        if recipe.mode == "monitor_defect"
        else None,
        segments=_dimensions(recipe, scene, rng),
        style=draw_style(
            base,
            places=recipe.mode in _PLACED or recipe.second in _PLACED,
            relabel=system.trainer.kind in {"boosted", "xgboost"} or not kit.model,
            rng=rng,
        ),
        one_table=recipe.mode != "schema_change" and kit.timestamps and bool(rng.random() < 0.06),
    )
    write_incident(scene, answers, written, kit, folder=folder / recipe.name, rng=rng)
    return _truth(recipe, scene, system, kit, metric)


def _hurt(recipe: Recipe, clean: Scene, rng: np.random.Generator, attempt: int) -> Scene:
    if recipe.mode in BENIGN:
        return BENIGN[recipe.mode](clean, rng)
    return _inject_one(recipe.mode, clean, rng, attempt, recipe.wish)


def _inject_one(
    mode: str, scene: Scene, rng: np.random.Generator, attempt: int, wish: Wish | None = None
) -> Scene:
    low, high = DOSES[wish.dose] if wish is not None else (0.35, 1.0)
    low = min(low + 0.06 * attempt, 0.9)
    dose = float(rng.uniform(low, max(high, low + 0.1)))
    # A schedule that spares too many to hurt gives way to another one.
    kind = wish.schedule if wish is not None and attempt < _FAITHFUL // 2 else None
    schedule = draw_schedule(mode, scene.base, rng, kind)
    if mode in injectors() and not injectors()[mode].slices:
        return inject(mode, scene, rng=rng, dose=dose)
    return inject(mode, scene, rng=rng, dose=dose, schedule=schedule)


def _hurt_twice(recipe: Recipe, clean: Scene, rng: np.random.Generator, attempt: int) -> Scene:
    """Two faults, each of which hurts beside the other."""
    pair = sorted((recipe.mode, str(recipe.second)), key=lambda m: _STAGE.get(m, 1))
    seeds = rng.integers(2**32, size=2)
    first = _inject_one(pair[0], clean, np.random.default_rng(seeds[0]), attempt)
    both = _inject_one(pair[1], first, np.random.default_rng(seeds[1]), attempt)
    other = _inject_one(pair[1], clean, np.random.default_rng(seeds[1]), attempt)
    if set(first.truths[-1].names) & set(other.truths[-1].names):
        raise InjectionError("both faults hit the same column; draw again")
    metric = clean.base.metric
    classes = clean.base.classes
    found = [score(metric, s.recorded, s.answers(), classes) for s in (first, other, both)]
    if min(worsening(metric, f, found[2]) for f in found[:2]) < 0.02:
        raise InjectionError("one of the two faults adds nothing; draw again")
    return both


def _reference_answers(scene: Scene) -> Answers:
    """The reference was answered by the model of its time."""
    model = scene.model if scene.features else scene.base.model
    return model.answer(scene.reference)


def _logged(scene: Scene, answers: Answers) -> tuple[pl.Series, Answers]:
    if scene.unlogged is None:
        return scene.recorded, answers
    rows = np.flatnonzero(~scene.unlogged)
    chances = None if answers.chances is None else answers.chances[rows]
    return scene.recorded[rows], Answers(answers.decision[rows], chances)


def _symptom(
    recipe: Recipe,
    data: DataSet,
    scene: Scene,
    clean: Scene,
    *,
    answers: tuple[Answers, Answers],
    kit: Kit,
    rng: np.random.Generator,
) -> str | None:
    """A metric on which the fault proves to hurt (or, for the quiet, does not)."""
    names = [m for m in data.metrics if kit.scores or m not in {"roc_auc", "log_loss"}]
    labels, served = _logged(scene, answers[1])
    first = data.metrics[0] if recipe.second else None
    for metric in [first] if first in names else rng.permutation(names).tolist():
        classes = data.classes
        before = score(metric, scene.reference[data.target], answers[0], classes)
        after = score(metric, labels, served, classes)
        worse = worsening(metric, before, after)
        noise = np.hypot(
            error(metric, scene.reference[data.target], answers[0], classes),
            error(metric, labels, served, classes),
        )
        noise = noise / max(abs(before), 1e-9) if metric in LOWER_IS_BETTER else noise
        if recipe.mode in _QUIET or (recipe.mode in _HARMLESS and scene.unlogged is not None):
            if abs(worse) < 1.8 * noise:
                return str(metric)
            continue
        least = 0.05 if metric in LOWER_IS_BETTER else 0.02
        healthy = score(metric, clean.recorded, clean.base.model.answer(clean.seen), classes)
        caused = worsening(metric, healthy, after)
        if "herring" in recipe.tags and not scene.features and caused < _MOSTLY * worse:
            continue  # what was meant to be harmless is not
        if worse > max(3.0 * noise, least) and (scene.features or caused > 0.6 * least):
            return str(metric)
    return None


def _dimensions(recipe: Recipe, scene: Scene, rng: np.random.Generator) -> tuple[str, ...]:
    """Columns that the incident names as segments."""
    base = scene.base
    actors = recipe.mode in {"adversarial_shift", "join_loss"} or rng.random() < 0.4
    listed = (
        *base.segments,
        *([base.key] if actors else []),
        "market",
        "arm",
        "exploration",
        "lookup_file",
    )
    return tuple(c for c in listed if c in scene.seen.columns)


def _noise(scene: Scene, rng: np.random.Generator, *, herring: bool) -> tuple[Event, ...]:
    """Everyday changes over both windows, and for a herring one or two right before the onset."""
    first = float(scene.base.seconds(scene.reference).min())
    last = float(scene.base.seconds(scene.seen).max())
    picked = rng.permutation(len(_NOISE))[: int(rng.integers(1, 5))]
    events = [Event(float(rng.uniform(first, last)), *_NOISE[k]) for k in picked]
    if herring:
        onset = scene.truths[-1].onset or float(scene.base.seconds(scene.seen).min())
        near = rng.permutation(len(_NOISE))[:2]
        events.extend(Event(onset - float(rng.uniform(60, 3600)), *_NOISE[k]) for k in near)
    return tuple(events)


def _monitored(
    scene: Scene, metric: str, answers: tuple[Answers, Answers], rng: np.random.Generator
) -> pl.DataFrame:
    """The monitor's own hourly series: right until the defect, then low and with gaps."""
    del answers
    base = scene.base
    begin = float(base.seconds(scene.reference).min())
    change = float(base.seconds(scene.seen).min())
    hours = np.arange(begin, float(base.seconds(scene.seen).max()), 3600.0)
    level = 0.85 + rng.normal(0, 0.01, len(hours))
    level[hours >= change] *= 0.8
    kept = (hours < change) | (rng.random(len(hours)) < 0.6)
    stamps = pl.Series("timestamp", (hours[kept] * 1e6).astype(np.int64))
    return pl.DataFrame(
        {
            "timestamp": stamps.cast(pl.Datetime("us", "UTC")),
            "entity": ["quality-monitor"] * int(kept.sum()),
            "metric": [f"monitored_{metric}"] * int(kept.sum()),
            "value": level[kept],
        }
    )


def _truth(recipe: Recipe, scene: Scene, system: System, kit: Kit, metric: str) -> dict[str, Any]:
    records = [_record(t, kit, logged=bool(scene.events)) for t in scene.truths]
    main, *rest = records
    tags = [*recipe.tags, *(["two_causes"] if rest else [])]
    tags += [
        f"no_{part}" for part in ("model", "labels", "timestamps", "ids") if part not in kit.names()
    ]
    if not (kit.parity or kit.golden or kit.audit):
        tags.append("no_probes")
    return {
        **main,
        "null": main["mode"] in _NULLS,
        "second": rest[0] if rest else None,
        "identifiable": all(
            set(r["also"]) <= set(t.also) for r, t in zip(records, scene.truths, strict=True)
        ),
        "dataset": system.data.name,
        "model": system.trainer.kind,
        "metric": metric,
        "has": kit.names(),
        "tags": tags,
    }


def _record(truth: Truth, kit: Kit, *, logged: bool) -> dict[str, Any]:
    also = [*truth.also]
    if not (kit.audit and kit.ids):
        also += truth.without_audit
    if not (kit.parity and kit.ids):
        also += truth.without_parity
    if not kit.golden:
        also += truth.without_golden
    if not (kit.model and kit.previous):
        also += truth.without_model
    if not (kit.changes and logged):
        also += truth.without_changes
    accepted: Iterable[tuple[str, tuple[str, ...]]] = truth.accepted
    return {
        "mode": truth.mode,
        "also": sorted(set(also) - {truth.mode}),
        "subject": {"kind": truth.kind, "names": list(truth.names)},
        "accepted": [{"kind": k, "names": list(names)} for k, names in accepted],
        "onset": truth.onset,
        "notes": truth.notes,
    }
