"""The benchmark's manifest: every incident written down before it is made.

A line says what is asked for: cause, data set, kind of model, dose, schedule, evidence handed over, herring,
second cause, seed. Where a system has nothing that the fault could hit, or the fault does not hurt at the
dose asked for, later attempts take a stronger dose and then another data set of the mode; the truth beside
the incident tells what was made.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ruleout._errors import IncidentError
from ruleout.bench.corpus._benign import BENIGN
from ruleout.bench.corpus._plan import PAIRS, Recipe, Wish, all_data_sets, places
from ruleout.prevention.inject import injectors

VERSION = 2
"""Changes whenever the same seed would ask for other incidents."""

SIZE = 2_100
_BENIGN_SHARE, _PAIR_SHARE = 0.17, 0.07
_MODELS = ("boosted", "linear", "forest", "neural")
_DOSES = ("middle", "strong", "weak")
_SCHEDULES = ("whole", "step", "whole", "ramp", "part", "group")
_KITS = ("drawn", "full", "drawn", "drawn", "no_model", "drawn", "no_probes", "bare", "no_times")
_UNLABELLED = frozenset(
    {
        "silent_nulls",
        "unit_change",
        "category_recode",
        "feature_swap",
        "stale_features",
        "covariate_shift",
        "precision_loss",
        "join_loss",
        "fallback_overload",
        "threshold_change",
        "quiet",
    }
)
"""Causes that can be seen without labels; every ninth of their incidents has none."""

_TWINS: Mapping[str, str] = {
    "concept_drift": "audit",
    "corrupted_labels": "audit",
    "label_noise": "audit",
    "train_serve_skew": "parity",
    "stale_features": "parity",
    "wrong_version": "model",
    "calibration_loss": "model",
}
"""Causes that one observation parts from their like: made in pairs, with it and without."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A line of the manifest belongs to one: a cause, and whether it comes alone."""

    cause: str
    second: str | None = None


def manifest_recipes(n: int = SIZE, seed: int = 1) -> list[Recipe]:
    """About `n` recipes: every cause evenly, benign incidents, pairs of causes, twins."""
    out: list[Recipe] = []
    faults = list(injectors())
    benign = max(1, round(n * _BENIGN_SHARE / len(BENIGN)))
    pairs = max(1, round(n * _PAIR_SHARE / len(PAIRS)))
    single = max(1, round((n - benign * len(BENIGN) - pairs * len(PAIRS)) / len(faults)))
    for cause, count in [*((f, single) for f in faults), *((b, benign) for b in BENIGN)]:
        out.extend(_of_cause(cause, count, seed))
    for first, second in PAIRS:
        out.extend(_one(first, k, seed, second=second) for k in range(pairs))
    return out


def _of_cause(cause: str, count: int, seed: int) -> Iterator[Recipe]:
    for k in range(count):
        part = _TWINS.get(cause)
        if part is not None and k % 6 in (4, 5):
            # Two lines in a row share the seed: the same fault with the observation and without it.
            yield _one(cause, k - k % 6 + 4, seed, kit=("with_", "no_")[k % 6 - 4] + part, name=k)
        else:
            yield _one(cause, k, seed)


def _one(
    cause: str,
    k: int,
    seed: int,
    *,
    second: str | None = None,
    kit: str | None = None,
    name: int | None = None,
) -> Recipe:
    own = zlib.crc32(f"{VERSION}|{seed}|{cause}|{second}|{k}".encode())
    rng = np.random.default_rng(own)
    sites = sorted(set(places(cause, all_data_sets())))
    # Start at another data set for each cause, so that no data set goes with one kind of line.
    turn = k + zlib.crc32(cause.encode()) % 97
    missing = kit or _KITS[int(rng.integers(len(_KITS)))]
    if cause in _UNLABELLED and second is None and k % 9 == 8:
        missing = "no_labels"
    wish = Wish(
        dataset=sites[turn % len(sites)],
        model=_MODELS[(turn // len(sites)) % len(_MODELS)],
        dose=_DOSES[int(rng.integers(3))],
        schedule=_SCHEDULES[int(rng.integers(len(_SCHEDULES)))],
        kit=missing,
    )
    tags = ("herring",) if rng.random() < 0.2 else ()
    label = "-".join(filter(None, (cause, second))) + f"-{k if name is None else name:03d}"
    return Recipe(label, cause, own, None, second, tags, wish)


def tenth(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Every tenth recipe of each stratum, at least one."""
    return _thinned(recipes, lambda group: group[::10])


def sample(recipes: Sequence[Recipe], n: int, offset: int = 0) -> list[Recipe]:
    """`n` recipes, spread over the strata as evenly as goes; `offset` picks others of each."""
    groups = list(_strata(recipes).values())
    order = [
        g[(round_ * 7 + offset) % len(g)] for round_ in range(1 + n // len(groups)) for g in groups
    ]
    chosen = list(dict.fromkeys(order))
    if n < len(groups):
        chosen = [groups[k][offset % len(groups[k])] for k in _spread(len(groups), n)]
    return chosen[:n]


def _spread(total: int, n: int) -> list[int]:
    return [int(k) for k in np.linspace(0, total - 1, n).round()]


def _strata(recipes: Sequence[Recipe]) -> dict[Stratum, list[Recipe]]:
    groups: dict[Stratum, list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(Stratum(recipe.mode, recipe.second), []).append(recipe)
    return groups


def _thinned(recipes: Sequence[Recipe], thin: Any) -> list[Recipe]:
    return [r for group in _strata(recipes).values() for r in thin(group)]


def write_manifest(path: Path, recipes: Sequence[Recipe], seed: int) -> None:
    """A head line with version and seed, then one recipe a line."""
    head = {"manifest": VERSION, "seed": seed, "incidents": len(recipes)}
    lines = [json.dumps(head), *(json.dumps(asdict(r)) for r in recipes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> list[Recipe]:
    """What `write_manifest` wrote.

    Raises:
        IncidentError: the file is of another version, or no manifest.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    version = lines[0].get("manifest") if lines else None
    if version != VERSION:
        raise IncidentError(
            f"{path} is a manifest of version {version!r}, this is version {VERSION}; "
            "write it again with 'ruleout bench manifest'"
        )
    return [
        Recipe(**{**row, "tags": tuple(row["tags"]), "wish": Wish(**row["wish"])})
        for row in lines[1:]
    ]
