"""Changes of the world itself: who comes, how often, and what the features mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.prevention.inject._choose import blend, grown_set, levels, pick_feature, start, values
from ruleout.prevention.inject._registry import Dosage, InjectionError, injector
from ruleout.prevention.inject._scene import Event, Mask, Scene, Truth

_AMBIGUOUS_LABELS = ("concept_drift", "corrupted_labels", "label_noise", "evaluation_bug")


def draw_labels(
    scene: Scene, world: pl.DataFrame, mask: Mask, rng: np.random.Generator, *, turned: float
) -> pl.Series:
    """Labels (n,) in which the rows of `mask` follow another rule with probability `turned`."""
    base, old = scene.base, world[scene.base.target]
    hit = mask & (rng.random(len(mask)) < turned)
    if base.task == "regression":
        y = old.cast(pl.Float64).to_numpy().copy()
        low, high = np.nanquantile(y, [0.05, 0.95])
        y[hit] = np.clip(low + high - y[hit], np.nanmin(y), np.nanmax(y))
        return (
            pl.Series(old.name, y).cast(old.dtype)
            if old.dtype.is_integer()
            else pl.Series(old.name, y)
        )
    names = [str(c) for c in base.classes]
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    text = old.cast(pl.String).replace(list(following), list(following.values()))
    new = text.cast(pl.Float64).cast(old.dtype) if old.dtype.is_numeric() else text.cast(old.dtype)
    return blend(old, new, hit)


def row_loss(scene: Scene, frame: pl.DataFrame) -> NDArray[np.float64]:
    """How wrong the model is on clean rows (n,): absolute error, or one minus P(truth)."""
    answers = scene.model.answer(frame)
    if answers.chances is None:
        truth = frame[scene.base.target].cast(pl.Float64).to_numpy()
        gap: NDArray[np.float64] = np.abs(answers.decision.astype(np.float64) - truth)
        return gap
    codes = {str(c): k for k, c in enumerate(scene.base.classes)}
    truth = np.array([codes[v] for v in frame[scene.base.target].cast(pl.String).to_list()])
    doubt: NDArray[np.float64] = 1.0 - answers.chances[np.arange(len(truth)), truth]
    return doubt


def _restock(scene: Scene, chosen: pl.DataFrame, mask: Mask) -> pl.DataFrame:
    """Put the clean rows `chosen` (as many as `mask` has) into the world, keeping days and ids."""
    base = scene.base
    kept = [base.id, base.timestamp, base.key, base.host, *base.segments]
    columns = [c for c in chosen.columns if c in scene.world.columns and c not in kept]
    spots = np.zeros(scene.world.height, dtype=np.int64)
    spots[mask] = np.arange(int(mask.sum()))
    fresh = chosen.select(columns)[spots]
    world = scene.world.with_columns(
        [blend(scene.world[c], fresh[c].cast(scene.world[c].dtype), mask) for c in columns]
    )
    return _retimed(scene, world, mask)


def _retimed(scene: Scene, world: pl.DataFrame, mask: Mask) -> pl.DataFrame:
    """Make the time of day agree with the clock columns again, and sort.

    A row that would move to before the fault's beginning comes a day later; one that would leave the window stays.
    """
    base = scene.base
    first, last = world[base.timestamp].filter(pl.Series(mask)).min(), world[base.timestamp].max()
    for name, how in base.hours.items():
        hour = pl.col(name) if how == "hour" else pl.col(name).dt.hour()
        ts = pl.col(base.timestamp)
        back = ts.dt.truncate("1d") + pl.duration(
            hours=hour.cast(pl.Int64), minutes=ts.dt.minute(), seconds=ts.dt.second()
        )
        back = pl.when(back < first).then(back + pl.duration(days=1)).otherwise(back)
        back = pl.when(pl.Series(mask) & (back <= last)).then(back).otherwise(ts)
        world = world.with_columns(back.cast(world[base.timestamp].dtype).alias(base.timestamp))
        if how == "datetime":
            world = world.with_columns(pl.col(base.timestamp).cast(world[name].dtype).alias(name))
        return world.sort(base.timestamp, maintain_order=True)
    return world


def _draw(weight: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw n rows by weight, each once where the pool is large enough: repeats look like another fault."""
    times = max(1, -(-3 * n // (2 * len(weight))))
    stock = np.tile(np.arange(len(weight)), times)
    w = np.tile(weight, times) + 1e-12
    race = rng.exponential(size=len(w)) / w
    # In the order of the race the heaviest come first, and the shift would fade as they run out.
    return rng.permutation(stock[np.argsort(race, kind="stable")[:n]]).astype(np.int64)


def draw_restocked(
    scene: Scene, weight: NDArray[np.float64], mask: Mask, rng: np.random.Generator
) -> pl.DataFrame:
    """The world with the rows of `mask` (n,) drawn anew from the pool by `weight` (pool,)."""
    chosen = scene.base.pool[_draw(weight, int(mask.sum()), rng)]
    return _restock(scene, chosen, mask)


@injector("covariate_shift", variants=("one", "two"))
def covariate_shift(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let more rows arrive from where the model does worse; labels follow the same rule."""
    pool = scene.base.pool
    loss = row_loss(scene, pool)
    names, score = _harmful_direction(scene, pool, loss, rng, dosage)
    weight = np.exp(4.0 * dosage.dose * score)
    mask = dosage.schedule.mask(scene.base, scene.world, rng)
    chosen = pool[_draw(weight, int(mask.sum()), rng)]
    return scene.populate(_restock(scene, chosen, mask)).blame(
        Truth(
            "covariate_shift",
            "feature",
            names,
            onset=start(scene, dosage),
            accepted=(("feature", names[:1]),),
        )
    )


def _harmful_direction(
    scene: Scene,
    pool: pl.DataFrame,
    loss: NDArray[np.float64],
    rng: np.random.Generator,
    dosage: Dosage,
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """One or two features and a score in [-1, 1] of them (n,) that grows with the loss."""
    scored: list[tuple[float, str, NDArray[np.float64]]] = []
    for name in dosage.target or (*scene.base.numeric, *scene.base.categorical):
        if name not in scene.inputs or name in scene.base.hours:
            continue
        score = _profile(pool, name, loss)
        scored.append((float(np.cov(score, loss)[0, 1]), name, score))
    if not scored:
        raise InjectionError(f"{scene.base.name} has no features whose mix could move")
    scored.sort(key=lambda s: (-s[0], s[1]))
    top = scored[: max(2, len(scored) // 4)]
    first = top[int(rng.integers(len(top)))] if not dosage.target else top[0]
    if dosage.variant == "one" or len(top) < 2:
        return (first[1],), first[2]
    second = next(s for s in top if s[1] != first[1])
    return (first[1], second[1]), (first[2] + second[2]) / 2


def _profile(pool: pl.DataFrame, name: str, loss: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank (n,) in [-1, 1] of the mean loss of each row's bin or value of one feature."""
    column = pool[name]
    if column.dtype.is_numeric() and column.n_unique() > 12:
        x = values(pool, name)
        edges = np.unique(np.nanquantile(x, np.linspace(0, 1, 9)[1:-1]))
        bins = pl.Series(np.where(np.isnan(x), -1, np.searchsorted(edges, x))).cast(pl.String)
    else:
        bins = column.cast(pl.String).fill_null("")
    mean = pl.DataFrame({"b": bins, "l": loss}).select(pl.col("l").mean().over("b")).to_series()
    ranked = mean.rank("average").to_numpy()
    return 2.0 * (ranked - 0.5) / len(ranked) - 1.0


@injector("prior_shift", variants=("up", "down"))
def prior_shift(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Change how often each class occurs; rows of a class look as before."""
    base, pool = scene.base, scene.base.pool
    if not base.classes:
        raise InjectionError("a regression has no class balance to change")
    codes = pool[base.target].cast(pl.String).to_list()
    loss = row_loss(scene, pool)
    names = [str(c) for c in base.classes]
    which = np.array([names.index(v) for v in codes])
    bad = np.array(
        [loss[which == k].mean() if (which == k).any() else 0.0 for k in range(len(names))]
    )
    order = np.argsort(-bad, kind="stable")
    grown = int(order[0] if dosage.variant == "up" else order[min(1, len(order) - 2)])
    weight = np.where(which == grown, np.exp(3.5 * dosage.dose), 1.0)
    mask = dosage.schedule.mask(base, scene.world, rng)
    chosen = pool[_draw(weight, int(mask.sum()), rng)]
    return scene.populate(_restock(scene, chosen, mask)).blame(
        Truth(
            "prior_shift",
            "label",
            (base.target,),
            accepted=(("class", (names[grown],)),),
            onset=start(scene, dosage),
        )
    )


@injector("concept_drift", variants=("reversed", "region", "gradual"))
def concept_drift(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let the labels follow another rule at the same features."""
    among = [n for n in (*scene.base.numeric, *scene.base.categorical) if n not in scene.base.hours]
    mask = dosage.schedule.mask(scene.base, scene.world, rng)
    if dosage.variant == "gradual":
        n = len(mask)
        mask &= rng.random(n) < np.linspace(0.1, 1.0, n)
    names: tuple[str, ...] = ()
    if not among:
        labels = draw_labels(scene, scene.world, mask, rng, turned=0.2 + 0.5 * dosage.dose)
    elif dosage.variant == "region":
        name = pick_feature(scene, rng, dosage, among, "tabular")
        region = mask & _region(scene.world, name, 0.2 + 0.4 * dosage.dose, rng)
        labels, names = draw_labels(scene, scene.world, region, rng, turned=0.75), (name,)
    else:
        name = pick_feature(scene, rng, dosage, among, "tabular")
        labels, names = _reversed_labels(scene, name, mask, rng), (name,)
    world = scene.world.with_columns(labels.alias(scene.base.target))
    return scene.populate(world).blame(
        Truth(
            "concept_drift",
            "feature" if names else "label",
            names or (scene.base.target,),
            accepted=(("label", (scene.base.target,)), ("none", ())),
            without_audit=_AMBIGUOUS_LABELS,
            onset=start(scene, dosage),
            notes=str(dosage.variant),
        )
    )


def _region(frame: pl.DataFrame, name: str, share: float, rng: np.random.Generator) -> Mask:
    if frame[name].dtype.is_numeric() and frame[name].n_unique() > 8:
        x = values(frame, name)
        upper: Mask = x >= np.nanquantile(x, 1 - share)
        lower: Mask = x <= np.nanquantile(x, share)
        return upper if rng.random() < 0.5 else lower
    return grown_set(frame[name].cast(pl.String), levels(frame, name), share)


def _reversed_labels(scene: Scene, name: str, mask: Mask, rng: np.random.Generator) -> pl.Series:
    """Draw labels for rows of `mask` from nature's rule with one feature's effect turned round."""
    base, world = scene.base, scene.world
    old = world[base.target]
    column = world[name]
    if column.dtype.is_numeric() and column.n_unique() > 8:
        order = column.rank("ordinal").to_numpy().astype(np.int64) - 1
        ranked = column.sort(nulls_last=True).gather(len(order) - 1 - order)
    else:
        known = levels(world, name)
        turned = dict(zip(known, known[::-1], strict=True))
        ranked = column.cast(pl.String).replace(list(turned), list(turned.values()))
        ranked = ranked == "true" if column.dtype == pl.Boolean else ranked.cast(column.dtype)
    expected = base.nature(world.with_columns(ranked.alias(name)))
    if not base.classes:
        before = base.nature(world)
        y = old.cast(pl.Float64).to_numpy() + expected - before
        low = float(old.cast(pl.Float64).min() or 0.0)  # type: ignore[arg-type]
        moved = np.maximum(y, low)
        series = pl.Series(old.name, np.round(moved) if old.dtype.is_integer() else moved)
        return blend(old, series.cast(old.dtype), mask)
    drawn = (expected.cumsum(axis=1) < rng.random(len(expected))[:, None]).sum(axis=1)
    drawn = np.minimum(drawn, len(base.classes) - 1)
    new = pl.Series(old.name, [base.classes[k] for k in drawn]).cast(old.dtype)
    return blend(old, new, mask)


@injector("model_staleness", slices=False)
def model_staleness(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let the world move away slowly from when the model was trained, over both windows."""
    base = scene.base
    among = [n for n in (*base.numeric, *base.categorical) if n not in base.hours]
    name = pick_feature(scene, rng, dosage, among, "tabular")
    turned = {}
    begin = float(base.seconds(scene.reference).min())
    finish = float(base.seconds(scene.world).max())
    for key, frame in (("reference", scene.reference), ("world", scene.world)):
        age = (base.seconds(frame) - begin) / (finish - begin)
        hit = rng.random(len(age)) < (0.3 + 0.7 * dosage.dose) * age
        held = Scene.of(base).populate(frame)
        turned[key] = frame.with_columns(_reversed_labels(held, name, hit, rng).alias(base.target))
    moved = replace(scene.populate(turned["world"]), reference=turned["reference"])
    return moved.blame(
        Truth(
            "model_staleness",
            "model",
            (scene.model.version, "current"),
            also=("concept_drift",),
            accepted=(("none", ()), ("feature", (name,)), ("label", (base.target,))),
            onset=begin,
            notes=name,
        )
    )


@injector("selection_bias", variants=("filter", "bots"), slices=True)
def selection_bias(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Log only some of the rows: most of those that the model answers well are lost."""
    base = scene.base
    loss = row_loss(scene, scene.world)
    names, score = _harmful_direction(scene, scene.world, loss, rng, dosage)
    keep = 1.0 / (1.0 + np.exp(-(6.0 * score - 2.0) * (0.5 + dosage.dose)))
    mask = dosage.schedule.mask(base, scene.world, rng)
    kept = ~mask | (rng.random(len(mask)) < keep)
    at = start(scene, dosage) or 0.0
    rows = np.flatnonzero(kept).astype(np.int64)
    event = Event(at, "config", "request-logger", "Change sampling rule of the request log")
    return (
        scene.take(rows)
        .log(event)
        .blame(
            Truth(
                "selection_bias",
                "feature",
                names,
                accepted=(("pipeline", ()), ("none", ()), ("feature", names[:1])),
                onset=at,
                also=("covariate_shift",),
            )
        )
    )


@injector("adversarial_shift")
def adversarial_shift(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let a few actors send many positives that look like the negatives the model passes."""
    base = scene.base
    if base.task != "binary":
        raise InjectionError("an adversary needs a binary decision to get past")
    pool = base.pool
    answers = base.model.answer(pool)
    if answers.chances is None:
        raise InjectionError(f"model {base.model.version} gives no probabilities")
    p = answers.chances[:, 1]
    near = np.exp(-(((p - base.model.threshold * 0.7) / 0.15) ** 2)) * (p < base.model.threshold)
    mask = dosage.schedule.mask(base, scene.world, rng)
    mask &= rng.random(len(mask)) < 0.05 + 0.25 * dosage.dose
    chosen = pool[_draw(near, int(mask.sum()), rng)]
    world = _restock(scene, chosen, mask)
    actors = [f"x{int(a):06d}" for a in rng.integers(0, 10**6, size=int(rng.integers(3, 8)))]
    who = rng.choice(actors, size=world.height)
    positive = pl.Series([base.classes[1]] * world.height).cast(world[base.target].dtype)
    world = world.with_columns(
        blend(world[base.key], pl.Series(base.key, who), mask),
        blend(world[base.target], positive.alias(base.target), mask),
    )
    return scene.populate(world).blame(
        Truth(
            "adversarial_shift",
            "segment",
            tuple(sorted(actors)),
            accepted=(("segment", (base.key,)), ("feature", (base.key,)), ("none", ())),
            onset=start(scene, dosage),
        )
    )


@injector("feedback_loop")
def feedback_loop(scene: Scene, rng: np.random.Generator, dosage: Dosage) -> Scene:
    """Let the model's own answers flow back into a feature, more with every round."""
    base = scene.base
    among = [n for n in base.numeric if n not in base.hours and scene.seen[n].n_unique() > 8]
    name = pick_feature(scene, rng, dosage, among, "continuous")
    x = values(scene.seen, name)
    answers = base.model.answer(scene.seen)
    said = answers.decision.astype(np.float64)
    if answers.chances is not None:
        said = answers.chances[:, min(1, answers.chances.shape[1] - 1)]
    said = (said - np.nanmean(said)) / (np.nanstd(said) or 1.0)
    # Fed back against the feature's meaning: what is shown more looks ever more like itself.
    reach = float(np.nanquantile(x, 0.95) - np.nanquantile(x, 0.05)) or 1.0
    rounds = np.linspace(0.2, 1.0, len(x))
    side = -1.0 if np.nan_to_num(np.corrcoef(np.nan_to_num(x), said)[0, 1]) > 0 else 1.0
    side = side if rng.random() < 0.7 else -side
    fed = np.clip(x + side * dosage.dose * reach * rounds * said, np.nanmin(x), np.nanmax(x))
    mask = dosage.schedule.mask(base, scene.seen, rng)
    columns = scene.seen.columns
    if "exploration" in columns:
        mask &= ~scene.seen["exploration"].cast(pl.Boolean).to_numpy()
    series = pl.Series(name, fed)
    if scene.seen[name].dtype.is_integer():
        series = series.round().cast(scene.seen[name].dtype)
    moved = blend(scene.seen[name], series, mask)
    return (
        scene.see({name: moved})
        .populate_features({name: moved})
        .blame(
            Truth(
                "feedback_loop",
                "feature",
                (name,),
                accepted=(("none", ()), ("model", ())),
                # Without traffic that the model does not steer, nothing tells it from the world.
                also=() if "exploration" in columns else ("covariate_shift", "concept_drift"),
                onset=start(scene, dosage),
            )
        )
    )
