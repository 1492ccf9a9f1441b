"""What must not be accused: quiet pairs, harmless drift, seasons, mixes, defects, plans, recoveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl

from ruleout.prevention.inject import Event, InjectionError, Scene, Schedule, Truth, inject
from ruleout.prevention.inject._choose import as_series, levels, values
from ruleout.prevention.inject._world import draw_restocked, row_loss

Benign = Callable[[Scene, np.random.Generator], Scene]

_KINDS = ("silent_nulls", "unit_change", "fallback_overload", "feature_swap", "category_recode")


def quiet(scene: Scene, rng: np.random.Generator) -> Scene:
    """Two windows of one world, and an alarm all the same."""
    del rng
    return scene.blame(Truth("random_fluctuation", also=("monitor_defect",)))


def harmless_drift(scene: Scene, rng: np.random.Generator) -> Scene:
    """Move the features that matter least, in the world itself."""
    base = scene.base
    order = sorted(
        (n for n in base.numeric if n not in base.hours and scene.seen[n].n_unique() > 8),
        key=lambda n: (base.importance.get(n, 0.0), n),
    )
    if not order:
        raise InjectionError(f"{base.name} has no numeric feature to drift")
    name = order[0]
    x = values(scene.world, name)
    by = float(np.nanstd(x)) * float(rng.uniform(0.3, 0.8))
    moved = as_series(scene.world[name], np.round(x + by, 3))
    world = scene.world.with_columns(moved.alias(name))
    held = scene.populate(world)
    return held.blame(Truth("random_fluctuation", also=("benign_mix",), notes=f"{name} drifts"))


def season(scene: Scene, rng: np.random.Generator) -> Scene:
    """Make weekends harder in both windows, and let the current one be a weekend."""
    base = scene.base
    if base.hours or base.key not in scene.world.columns:
        raise InjectionError(f"{base.name} has a clock of its own; its days cannot be moved")
    loss = row_loss(scene, base.pool)
    weekend = pl.col(base.timestamp).dt.weekday() > 5
    reference = _harder(scene, scene.reference, weekend, loss, rng)
    start = scene.world[base.timestamp].dt.truncate("1d").min()
    shift = (5 - int(start.weekday())) % 7  # type: ignore[union-attr]
    world = scene.world.with_columns(pl.col(base.timestamp) + pl.duration(days=shift))
    keep = world.select(weekend.alias("w"))["w"].to_numpy()
    rows = np.flatnonzero(keep)
    if len(rows) < world.height * 0.3:
        raise InjectionError(f"{base.name}: too few weekend rows")
    moved = replace(scene, reference=reference).populate(world[rows])
    moved = moved.populate(_harder(moved, moved.world, weekend, loss, rng))
    return moved.blame(Truth("seasonality", also=("benign_mix",)))


def _harder(
    scene: Scene,
    frame: pl.DataFrame,
    when: pl.Expr,
    loss: np.ndarray[tuple[int], np.dtype[np.float64]],
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Replace rows at `when` by rows of the pool on which the model does worse."""
    held = replace(scene, world=frame)
    hit = frame.select(when.alias("w"))["w"].to_numpy() & (rng.random(frame.height) < 0.8)
    return draw_restocked(held, np.exp(2.5 * loss / (loss.std() or 1.0)).clip(0, 50), hit, rng)


def benign_mix(scene: Scene, rng: np.random.Generator) -> Scene:
    """Let a market where the model always did worse send more traffic."""
    base = scene.base
    names = [n for n in base.categorical if base.pool[n].dtype == pl.String]
    if not names:
        raise InjectionError(f"{base.name} has no text-valued column to make markets of")
    loss = row_loss(scene, base.pool)
    scored = []
    for name in names:
        table = (
            pl.DataFrame({"v": base.pool[name], "l": loss})
            .drop_nulls("v")
            .group_by("v")
            .agg(pl.col("l").mean(), pl.len().alias("n"))
            .filter(pl.col("n") > 0.05 * len(loss))
            .sort("l", "v")
        )
        if table.height > 1:
            gap = float(table["l"][-1]) - float(loss.mean())
            scored.append((gap, name, str(table["v"][-1])))
    if not scored:
        raise InjectionError(f"{base.name} has no large slice")
    _gap, name, worst = max(scored)
    known = levels(base.pool, name)
    market = {v: f"market-{chr(97 + k % 20)}" for k, v in enumerate(known)}

    def named(frame: pl.DataFrame) -> pl.DataFrame:
        text = frame[name].fill_null(known[0])
        return frame.with_columns(
            text.replace_strict(list(market), list(market.values()), default="other").alias(
                "market"
            )
        )

    inside = (base.pool[name] == worst).fill_null(value=False).to_numpy()
    weight = np.where(inside, float(rng.uniform(4, 9)), 1.0)
    hit = np.ones(scene.world.height, dtype=bool)
    world = named(draw_restocked(scene, weight, hit, rng))
    moved = replace(scene, reference=named(scene.reference)).populate(world)
    first = float(base.seconds(world).min())
    event = Event(first - 1800, "calendar", "marketing", f"Campaign in {market[worst]} begins")
    return moved.log(event).blame(
        Truth(
            "benign_mix",
            "segment",
            ("market",),
            also=("covariate_shift",),
            accepted=(("segment", (market[worst],)), ("feature", (name,)), ("none", ())),
        )
    )


def monitor_defect(scene: Scene, rng: np.random.Generator) -> Scene:
    """Nothing happens to the rows; only the monitor's own series says so."""
    del rng
    at = float(scene.base.seconds(scene.seen).min())
    event = Event(at, "config", "dashboard", "Change of the query behind the quality panel")
    return scene.log(event).blame(
        Truth("monitor_defect", "metric", (), also=("random_fluctuation",), onset=at)
    )


def recovered(scene: Scene, rng: np.random.Generator) -> Scene:
    """A fault that began and ended inside the current window, some time ago."""
    onset = float(rng.uniform(0.05, 0.15))
    schedule = Schedule(onset=onset, end=onset + float(rng.uniform(0.3, 0.4)))
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    hurt = inject(kind, scene, rng=rng, dose=1.0, schedule=schedule)
    truth = Truth(
        "already_recovered", also=(kind,), onset=hurt.truths[-1].onset, accepted=(("none", ()),)
    )
    return replace(hurt, truths=(truth,))


def planned(scene: Scene, rng: np.random.Generator) -> Scene:
    """A fault that was announced: a chaos run or a migration covers its time."""
    onset = float(rng.uniform(0.1, 0.3))
    kind = ("fallback_overload", "silent_nulls")[int(rng.integers(2))]
    hurt = inject(kind, scene, rng=rng, dose=0.9, schedule=Schedule(onset=onset))
    at = hurt.truths[-1].onset or 0.0
    what = ("chaos", "calendar")[int(rng.integers(2))]
    text = "Game day: dependencies of scoring are switched off until evening"
    event = Event(at - 5.0, what, "scoring", text)
    truth = Truth("planned_event", also=(kind,), onset=at, accepted=(("none", ()),))
    return replace(hurt, truths=(truth,), events=(*scene.events, event))


BENIGN: dict[str, Benign] = {
    "quiet": quiet,
    "harmless_drift": harmless_drift,
    "seasonality": season,
    "benign_mix": benign_mix,
    "monitor_defect": monitor_defect,
    "already_recovered": recovered,
    "planned_event": planned,
}
"""The healthy and the excused, by the name of the recipe."""
