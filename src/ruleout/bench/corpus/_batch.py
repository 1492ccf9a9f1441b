"""Making many incidents: recipes by data set over processes, the truth kept as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from ruleout.bench.corpus._make import Kitchen, cook
from ruleout.bench.corpus._plan import Recipe, manifest

Made = tuple[str, dict[str, Any]]


def make(
    out: Path | str,
    *,
    n: int = 200,
    seed: int = 1,
    only: str | None = None,
    dataset: str | None = None,
    rows: int | None = None,
    per_mode: int | None = None,
) -> dict[str, Any]:
    """Write incidents and their `truth.json` to the folder `out`, and return the truth.

    Args:
        out: folder to write; `out/.cache` keeps trained models.
        n: number of incidents, spread evenly over modes.
        seed: the same seed and arguments give the same bytes.
        only: one failure mode or benign recipe.
        dataset: one data set.
        rows: at most this many rows a window.
        per_mode: incidents for each mode, instead of `n`.
    """
    recipes = manifest(n, seed, only, dataset, per_mode=per_mode)
    return make_recipes(Path(out), recipes, rows=rows)


def make_recipes(
    out: Path, recipes: Sequence[Recipe], *, jobs: int = 1, rows: int | None = None
) -> dict[str, Any]:
    """Make every recipe in the folder `out`, and return the truth that is written beside them.

    A recipe of a manifest that is in `out/truth.json` already is not made again, so that a run that was cut
    short goes on.

    Args:
        out: folder to write; `out/.cache` keeps trained models.
        recipes: what to make; incidents of one data set are made by one process.
        jobs: processes.
        rows: at most this many rows a window.
    """
    out.mkdir(parents=True, exist_ok=True)
    seeds = {r.name: r.seed for r in recipes if r.wish is not None}
    truth = {k: t for k, t in _read(out).items() if seeds.get(k) == t.get("seed", -1)}
    todo = [r for r in recipes if r.name not in truth]
    for name, told in _made(out, _by_data_set(todo), jobs, rows):
        truth[name] = told
        if len(truth) % 10 == 0:
            _keep(truth, out)
    _keep(truth, out)
    return truth


def _read(out: Path) -> dict[str, Any]:
    path = out / "truth.json"
    if not path.is_file():
        return {}
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def _keep(truth: dict[str, Any], out: Path) -> None:
    text = json.dumps(truth, indent=1, sort_keys=True, ensure_ascii=False)
    (out / "truth.json").write_text(text + "\n", encoding="utf-8")


def _by_data_set(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Recipes that share a data set, the largest groups first."""
    groups: dict[str, list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(recipe.wish.dataset if recipe.wish else "", []).append(recipe)
    return sorted(groups.values(), key=len, reverse=True)


def _made(out: Path, groups: Sequence[list[Recipe]], jobs: int, rows: int | None) -> Iterator[Made]:
    if jobs == 1:
        kitchen = Kitchen(out / ".cache")
        for group in groups:
            yield from _cooked(kitchen, out, group, rows)
        return
    with ProcessPoolExecutor(jobs) as pool:
        work = [(out, k, group, rows) for k, group in enumerate(groups)]
        for done in pool.map(_group, work):
            yield from done


def _group(work: tuple[Path, int, list[Recipe], int | None]) -> list[Made]:
    """One group in a process of its own, with its own shelf of models, so that no two write one file."""
    out, number, group, rows = work
    return list(_cooked(Kitchen(out / ".cache" / str(number)), out, group, rows))


def _cooked(kitchen: Kitchen, out: Path, group: list[Recipe], rows: int | None) -> Iterator[Made]:
    for recipe in group:
        told = cook(recipe, kitchen, out, rows)
        if told is not None:
            told = {**told, "seed": recipe.seed, "tags": [*told["tags"], *_asked(recipe)]}
            yield recipe.name, told


def _asked(recipe: Recipe) -> list[str]:
    """Tags that tell twins and kits of the manifest apart."""
    if recipe.wish is None or recipe.wish.kit == "drawn":
        return []
    return [f"kit_{recipe.wish.kit}"]
