"""The manifest: which mode on which data, where and when, with which evidence handed over."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ruleout.bench.corpus._benign import BENIGN
from ruleout.bench.corpus._dataset import DataSet
from ruleout.bench.corpus._write import Kit
from ruleout.prevention.inject import Base, Schedule, injectors

_TEXT = ("text_sms_spam", "text_clinc150", "text_sentiment_domains")
_TABLES = (
    "adult",
    "california_housing",
    "synthetic_car_loan",
    "acs_employment_ma",
    "bike_sharing",
    "card_fraud",
    "delivery",
    "sensor_line",
    "parcels",
    "credit_lines",
    "search_results",
)
_SMALL = ("digits", "breast_cancer", "wine")
_ONLY: Mapping[str, tuple[str, ...]] = {
    "image_preprocessing": ("clothing_products",),
    "tokenizer_mismatch": _TEXT,
    "context_truncation": _TEXT,
    "embedding_mismatch": ("intent_embeddings",),
    "time_shift": ("bike_sharing", "card_fraud", "delivery", "parcels"),
    "category_recode": (
        "adult",
        "synthetic_car_loan",
        "acs_employment_ma",
        "delivery",
        "sensor_line",
    ),
}
_ANYWHERE = frozenset(
    {
        "label_noise",
        "corrupted_labels",
        "evaluation_bug",
        "immature_labels",
        "class_map_mismatch",
        "hardware_fault",
        "runtime_numerics",
        "fallback_overload",
        "prior_shift",
        "concept_drift",
    }
)
"""Modes that also strike where there are no tabular features."""

_OWN_PLACE = frozenset(
    {
        "mixed_versions",
        "hardware_fault",
        "change_regression",
        "observability_failure",
        "adversarial_shift",
        "immature_labels",
        "train_serve_skew",
        "experiment_misassignment",
    }
)
"""Modes that choose their own hosts or slices."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a line of the manifest asks for; the first attempts keep to it."""

    dataset: str
    model: str
    """Kind of model, if the data set has it."""

    dose: str
    """`weak`, `middle` or `strong`."""

    schedule: str
    """`whole`, `step`, `ramp`, `part` (of the entities) or `group` (some regions or hosts)."""

    kit: str
    """`drawn`, `full`, `bare`, `no_` or `with_` and a part."""


DOSES: Mapping[str, tuple[float, float]] = {
    "weak": (0.25, 0.5),
    "middle": (0.5, 0.75),
    "strong": (0.75, 1.0),
}
_BARE = ("model", "previous", "parity", "golden", "audit", "changes", "lineage")
_PARTS: Mapping[str, tuple[str, ...]] = {
    "model": ("model", "previous"),
    "probes": ("parity", "golden", "audit"),
    "times": ("timestamps",),
    "ids": ("ids",),
    "labels": ("labels",),
    "audit": ("audit",),
    "parity": ("parity",),
}
_NEEDS_TIME = frozenset({"immature_labels", "seasonality", "already_recovered", "planned_event"})
_NEEDS_CHANGES = frozenset({"planned_event", "change_regression"})


@dataclass(frozen=True, slots=True)
class Recipe:
    """One incident to make; everything else follows from it."""

    name: str
    mode: str
    """A failure mode, or a benign recipe."""

    seed: int
    dataset: str | None = None
    second: str | None = None
    tags: tuple[str, ...] = field(default=())
    wish: Wish | None = None


def modes() -> list[str]:
    """Everything that can be made: failure modes first, then benign recipes."""
    return [*injectors(), *BENIGN]


def all_data_sets() -> tuple[str, ...]:
    """Every data set that a mode may be sent to."""
    return (*_TABLES, *_SMALL, *_TEXT, "clothing_products", "intent_embeddings")


def places(mode: str, data_sets: tuple[str, ...]) -> list[str]:
    """Data sets on which `mode` can strike, of those that are loaded."""
    if mode in _ONLY:
        fit = _ONLY[mode]
    elif mode in BENIGN or mode in _ANYWHERE:
        fit = (*_TABLES, *_TABLES, *_SMALL, *_TEXT, "clothing_products", "intent_embeddings")
        fit = (*_TABLES, *_SMALL) if mode in {"benign_mix", "seasonality"} else fit
    else:
        fit = (*_TABLES, *_TABLES, *_SMALL)
    return [d for d in fit if d in data_sets]


PAIRS = (
    ("unit_change", "label_noise"),
    ("silent_nulls", "threshold_change"),
    ("category_recode", "unit_change"),
    ("stale_features", "corrupted_labels"),
    ("covariate_shift", "silent_nulls"),
    ("concept_drift", "unit_change"),
    ("precision_loss", "threshold_change"),
    ("feature_swap", "hardware_fault"),
    ("silent_nulls", "mixed_versions"),
    ("unit_change", "fallback_overload"),
)


def manifest(
    n: int,
    seed: int,
    only: str | None,
    dataset: str | None,
    *,
    per_mode: int | None = None,
) -> list[Recipe]:
    """`n` recipes that visit every mode evenly; `only` and `dataset` restrict them."""
    listed = [only] if only else modes()
    count = n if per_mode is None else per_mode * len(listed)
    recipes = []
    for k in range(count):
        mode = listed[k % len(listed)]
        own = zlib.crc32(f"{seed}|{mode}|{k}".encode())
        rng = np.random.default_rng(own)
        second = None
        # Every twelfth incident has two causes, every fifth a red herring.
        if only is None and rng.random() < 0.07:
            mode, second = PAIRS[int(rng.integers(len(PAIRS)))]
        tags = ("herring",) if rng.random() < 0.2 else ()
        recipes.append(Recipe(f"incident-{k:04d}", mode, own, dataset, second, tags))
    return recipes


_KINDS: Mapping[str, float] = {"whole": 0.0, "step": 0.5, "ramp": 0.8, "part": 0.85, "group": 0.95}
"""Where in the draw of a schedule its kinds lie."""


def draw_schedule(
    mode: str, base: Base, rng: np.random.Generator, kind: str | None = None
) -> Schedule:
    """When and for whom: mostly everybody from the start or from an onset on; or of one `kind`."""
    u = rng.random() if kind is None else _KINDS[kind]
    late = float(rng.uniform(0.15, 0.6))
    if mode in _OWN_PLACE:
        return Schedule() if u < 0.6 or mode == "immature_labels" else Schedule(onset=late)
    if u < 0.45:
        return Schedule()
    if u < 0.75:
        return Schedule(onset=late)
    if u < 0.82:
        return Schedule(onset=float(rng.uniform(0.0, 0.3)), ramp=True)
    if u < 0.91:
        return Schedule(share=float(rng.uniform(0.4, 0.8)))
    column = ("region", "host")[int(rng.integers(2))]
    values = sorted(base.current[column].unique().to_list())
    some = rng.choice(values, size=max(1, len(values) // 2), replace=False)
    return Schedule(column=column, values=tuple(str(v) for v in some))


def wished_kit(kit: Kit, wish: str, mode: str, *, sources: bool) -> Kit:
    """The drawn kit, changed to what a manifest asks for; what the mode cannot do without stays."""
    if wish == "drawn":
        return kit
    if wish == "full":
        kit = Kit(lineage=sources)
    elif wish == "bare":
        kit = replace(kit, **dict.fromkeys(_BARE, False))
    else:
        word, _, part = wish.partition("_")
        kit = replace(kit, **dict.fromkeys(_PARTS[part], word == "with"))
        if word == "with":
            kit = replace(kit, ids=True)
    return replace(
        kit,
        timestamps=kit.timestamps or mode in _NEEDS_TIME,
        changes=kit.changes or mode in _NEEDS_CHANGES,
        ids=kit.ids or mode == "join_fanout",
    )


def draw_kit(data: DataSet, mode: str, rng: np.random.Generator) -> Kit:
    """Which evidence is handed over; one in ten gets two tables and nothing else."""
    if rng.random() < 0.1:
        return Kit(
            model=False,
            previous=False,
            parity=False,
            golden=False,
            audit=False,
            changes=False,
            lineage=False,
            timestamps=bool(rng.random() < 0.5),
            ids=bool(rng.random() < 0.5),
        )
    u = rng.random(10)
    needs_time = mode in _NEEDS_TIME
    return Kit(
        model=bool(u[0] < 0.8),
        previous=bool(u[1] < 0.6),
        parity=bool(u[2] < 0.6),
        golden=bool(u[3] < 0.5),
        audit=bool(u[4] < 0.4),
        changes=bool(u[5] < 0.65) or mode in _NEEDS_CHANGES,
        timestamps=bool(u[6] < 0.95) or needs_time,
        ids=bool(u[7] < 0.92) or mode == "join_fanout",
        lineage=bool(u[8] < 0.7) and bool(data.sources),
        scores=bool(u[9] < 0.93),
        final_at=bool(rng.random() < 0.2),
    )
