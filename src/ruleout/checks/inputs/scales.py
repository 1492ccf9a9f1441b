"""Inputs that arrive in another unit, with an offset, clipped or rounded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import defaulted, words_of
from ruleout.checks.inputs._departure import Departure, departures, like_rows, scope_words, values
from ruleout.checks.inputs.clock import HOUR, tells_time
from ruleout.profile import Case
from ruleout.stats._relation import (
    TEMPERATURES,
    Affine,
    Mixture,
    affine,
    clip,
    distance_p,
    grid,
    nearest_round,
    noise_distance,
    on_grid,
    part_in_unit,
)
from ruleout.stats._twosample import ks

Floats = NDArray[np.float64]
_HOUR = 3600.0
_ZONES, _WHOLE = 14, 0.06
"""Hours that zones lie apart at most, and how near to whole hours an offset must lie to be one of theirs."""

_PROBS = np.linspace(0.02, 0.98, 49)
_BEYOND, _BACK, _LEFT = 0.6, 0.97, 0.45
"""Parts of the values beyond the reference's range, and back in it, and of their distance that may be left."""

_EXACT, _TENTH = 0.9, 0.12
"""Part of chance's distance that a mere factor leaves at most, and a factor below which units are likelier than losses."""

_OF_FACTORS = ("quantile_relation.unit", "quantile_relation.low", "quantile_relation.counts")
_THIN = 0.8
"""Below this factor, and none of a unit, a sum more likely lacks events than changed its currency."""


@check("quantile_relation", layer="data", rung="inputs", looks_for=("unit_change", "time_shift"))
def quantile_relation(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Is an input an affine map of what it was: another unit, another zero, another time zone?

    Quantiles of the affected rows are mapped back by the simplest map (scale, offset, both) that
    makes the two samples agree to within chance (Wilk and Gnanadesikan, 1968, for the plot). A
    shift of the world bends the line or leaves a rest; a unit does neither. Whole numbers that now are all
    multiples of one, and once divided by it lie where they did, are in another unit whoever they belong to.
    """
    del rng
    moved, told_of = 0, []
    for name, found in departures(case).items():
        if case.kind(name) == "categorical" or not found.departed:
            continue
        moved += 1
        before, after = known_values(case, name, found)
        told = whole_map(before, after) or best_map(before, after)
        if told is None or (told.slope != 1.0 and told.offset != 0.0):
            told = temperature_map(before, after) or told
        if told is not None:
            told_of.append(_affine_finding(case, found, told, before, after))
        elif case.kind(name) == "numeric" and (part := part_in_unit(before, after)) is not None:
            yield _part_finding(found, *part)
    yield from _together(case, told_of)
    if not moved:
        yield Clear(
            ("unit_change",),
            Subject(),
            "no numeric input's distribution moved",
            0.05,
            "scales.none",
        )


def _together(case: Case, found: Sequence[Finding]) -> Iterator[Finding]:
    """The findings, those of inputs that moved by one factor in the same rows as one: one path has changed them all."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    time = np.zeros(1) if case.current.time is None else case.current.time
    known = time[np.isfinite(time)]
    start = float(known.min()) if len(known) else 0.0
    tenth = max(float(np.ptp(known)) / 10, 1.0) if len(known) else 1.0
    for one in found:
        key: tuple[object, ...] = (one.subject.names,)
        if one.signal in _OF_FACTORS:
            options, scope = one.repairs[0].options, one.scope
            begun = None if scope.since is None else round((scope.since - start) / tenth)
            factor = f"{options['slope']:.3g}"
            key = (one.signal, factor, options["offset"], scope.column, scope.values, begun)
        groups.setdefault(key, []).append(one)
    for same in groups.values():
        first = max(same, key=lambda one: one.effect)
        if len(same) < 2:
            yield first
            continue
        names = tuple(one.subject.names[0] for one in same)
        subject = Subject("feature", names)
        # Where some began later by their own count, rows are few: the widest scope holds them all.
        scope = min((one.scope for one in same), key=lambda one: one.since or 0.0)
        plan = RepairPlan("rescale", subject, scope, dict(first.repairs[0].options))
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield replace(
            first,
            subject=subject,
            statement=f"{len(names)} inputs ({shown}) moved by one factor in the same rows: {first.statement}",
            scope=scope,
            repairs=(plan,),
        )


def known_values(case: Case, name: str, found: Departure) -> tuple[Floats, Floats]:
    """Known values of both windows, the affected rows only, less any new default."""
    before, after = values(case, "reference", name), values(case, "current", name)
    rows = found.rows.copy()
    for lost in defaulted(case):
        if lost.name == name:
            rows &= ~lost.rows
    before, after = before[like_rows(case, found)], after[rows]
    return before[np.isfinite(before)], after[np.isfinite(after)]


def best_map(before: Floats, after: Floats, *, small: bool = False) -> Affine | None:
    """The simplest affine map that makes the samples agree; None if none does.

    Maps as small as what the world does to a distribution count only where asked for.
    """
    zero = _common(before)
    if (
        zero is not None
        and len(after)
        and abs(float((after == zero).mean()) - float((before == zero).mean())) < 0.1
    ):
        # Where most rows hold one value, the map shows in the others.
        before, after = before[before != zero], after[after != zero]
    mending = [m for m in affine(before, after) if m.mends and (small or _moves(m, before))]
    if not mending:
        return None
    least = min(m.distance_after for m in mending)
    near = [m for m in mending if m.distance_after <= least + 0.5 * m.noise]
    simple = [m for m in near if m.offset == 0.0 or m.slope == 1.0]
    units = [m for m in simple if m.offset == 0.0 and nearest_round(m.slope, 1e-9) is not None]
    chosen = min(units or simple or near, key=lambda m: m.distance_after)
    if chosen.offset != 0.0:
        return chosen
    slack = _slack(before, after)
    factor = nearest_round(chosen.slope, slack)
    return chosen if factor is None else chosen._replace(slope=factor)


def whole_map(before: Floats, after: Floats) -> Affine | None:
    """The whole unit ratio that all values (m,) of a count are multiples of now, beyond the range they had.

    Rounding leaves multiples too, but where the values lay; a population that moved leaves none.
    """
    if min(len(before), len(after)) < 50 or (before % 1 != 0).any() or (after % 1 != 0).any():
        return None
    factor = float(np.gcd.reduce(np.abs(after).astype(np.int64)))
    if factor < 2 or nearest_round(factor, 1e-9) is None or on_grid(before, factor) > 0.5:
        return None
    back = after / factor
    low, high = before.min(), before.max()
    fits, fitted = (float(((x >= low) & (x <= high)).mean()) for x in (back, after))
    one, two = ks(before, after).effect, ks(before, back).effect
    if fits < 0.99 or fitted > 0.7 or two > 0.5 * one or len(np.unique(back)) < 3:
        return None
    q0, q1 = np.quantile(before, _PROBS), np.quantile(after, _PROBS)
    r = float(np.corrcoef(q0, q1)[0, 1]) if np.ptp(q0) > 0 and np.ptp(q1) > 0 else 0.0
    return Affine(factor, 0.0, r, one, two, noise_distance(len(before), len(after)))


def temperature_map(before: Floats, after: Floats) -> Affine | None:
    """Another unit of temperature, where values that the reference never had come back into its range by it.

    Days that were warmer as well leave a rest, which no other line would: no unit but a temperature's has both a
    scale and a zero of its own.
    """
    if min(len(before), len(after)) < 50:
        return None
    low, high = float(before.min()), float(before.max())
    beyond = float(((after < low) | (after > high)).mean())
    apart = ks(before, after).effect
    best: Affine | None = None
    for slope, offset in TEMPERATURES:
        back = (after - offset) / slope
        left = ks(before, back).effect
        inside = float(((back >= low) & (back <= high)).mean())
        if beyond < _BEYOND or inside < _BACK or left > _LEFT * apart:
            continue
        if best is None or left < best.distance_after:
            r = float(np.corrcoef(np.quantile(before, _PROBS), np.quantile(after, _PROBS))[0, 1])
            noise = noise_distance(len(before), len(after))
            best = Affine(slope, offset, r, apart, left, noise)
    return best


def _slack(before: Floats, after: Floats) -> float:
    """How far (relative) a fitted scale may lie from the true one by the samples' size alone, 1% to 6%."""
    spread = float(np.std(np.log(np.abs(before[before != 0])))) if (before != 0).any() else 0.0
    return float(
        np.clip(1.5 * spread / math.sqrt(max(min(len(before), len(after)), 1)), 0.01, 0.06)
    )


def _common(values: Floats) -> float | None:
    """The value that more than two rows in five share, if there is one."""
    points, counts = np.unique(values, return_counts=True)
    if not len(points) or counts.max() < 0.4 * len(values) or len(points) < 5:
        return None
    return float(points[counts.argmax()])


def _moves(found: Affine, before: Floats) -> bool:
    """Whether the map changes values by more than a drift of the world would: a tenth of the scale."""
    if found.slope < 0 or abs(math.log(abs(found.slope))) > 0.15:
        return True
    return abs(found.offset) > 0.1 * float(before.std())


def _affine_finding(
    case: Case, found: Departure, told: Affine, before: Floats, after: Floats
) -> Finding:
    name = found.name
    in_time = case.kind(name) == "datetime"
    pure = told.offset == 0.0 and nearest_round(told.slope) is not None
    counts = lost_counts(told, before, after)
    unit = not in_time and (pure or is_temperature(told)) and not counts
    kind = _kind(told, in_time=in_time, unit=unit, before=before)
    if _other_hours(name, told, before):
        kind, told = "clock", told._replace(offset=float(round(told.offset)))
    shape = f"{told.slope:.6g} times its reference" if told.slope != 1 else "its reference"
    if told.offset:
        size = f"{told.offset / _HOUR:+.3g} hours" if in_time else f"{told.offset:+.4g}"
        shape += f" {size}"
    sentence = (
        f"{name} is {shape}{scope_words(found)} (r = {told.r:.3f}; distance "
        f"{told.distance_before:.3f} before, {told.distance_after:.3f} once undone)"
    )
    supports: tuple[str, ...] = ("time_shift",) if kind == "clock" else ("unit_change",)
    if kind == "plain" and told.slope != 1.0 and told.offset != 0.0:
        # No unit has both a scale and a zero of its own, temperatures apart.
        kind, supports = "line", ("unit_change", "train_serve_skew")
    if kind == "plain" and told.slope < _THIN and told.offset == 0 and before.min(initial=0.0) >= 0:
        kind, supports = "counts" if counts else "low", ("partial_batch", "unit_change")
    options: Mapping[str, Any] = {"slope": told.slope, "offset": told.offset}
    strength = 1.0 - 0.5 * min(1.0, told.distance_after / max(0.12 * told.distance_before, 1e-9))
    if whole_map(before, after) is not None:
        strength = 1.0
    return Finding(
        f"quantile_relation.{kind}",
        Subject("feature", (name,)),
        sentence,
        told.slope,
        told.distance_before / told.noise,
        distance_p(told.distance_before, len(before), len(after)),
        strength,
        supports,
        ("covariate_shift", "concept_drift", "silent_nulls", "precision_loss"),
        found.scope,
        found.onset,
        (RepairPlan("rescale", Subject("feature", (name,)), found.scope, options),),
        quantile_chart(name, before, after, told),
    )


def _part_finding(found: Departure, unit: tuple[float, float], told: Mixture) -> Finding:
    """Only some rows, told apart by their values alone, are in another unit."""
    subject, (factor, offset) = Subject("feature", (found.name,)), unit
    zero = f" {offset:+.6g}" if offset else ""
    sentence = (
        f"{told.share:.0%} of the values of {found.name} are {factor:.6g} times what they were{zero}{scope_words(found)} "
        f"(distance {told.distance_before:.3f} before, {told.distance_after:.3f} with that part undone)"
    )
    options = {"slope": factor, "offset": offset, "share": told.share}
    return Finding(
        "quantile_relation.part",
        subject,
        sentence,
        factor,
        told.distance_before / max(found.usual, 1e-6),
        None,
        1.0 - min(0.5, 3 * told.distance_after / told.distance_before),
        ("unit_change",),
        ("covariate_shift", "concept_drift", "corrupted_labels"),
        found.scope,
        found.onset,
        (RepairPlan("rescale", subject, found.scope, options),),
    )


def _kind(told: Affine, *, in_time: bool, unit: bool, before: Floats) -> str:
    if in_time:
        hours = told.offset / _HOUR
        return "clock" if told.slope == 1 and abs(hours - round(4 * hours) / 4) < 0.03 else "plain"
    if unit:
        return "unit"
    strong = told.slope < 0 or abs(math.log(abs(told.slope))) > 0.4
    return "plain" if strong or abs(told.offset) > 0.7 * float(before.std()) else "weak"


def lost_counts(told: Affine, before: Floats, after: Floats) -> bool:
    """Whether whole numbers fell to a fraction and are whole still, other than by the factor alone: events are missing."""
    whole = bool((before % 1 == 0).all() and (after % 1 == 0).all())
    near = told.distance_after > _EXACT * told.noise
    return whole and near and told.offset == 0 and _TENTH < told.slope < _THIN


def _other_hours(name: str, told: Affine, before: Floats) -> bool:
    """Whether an hour of the day, by its name and its range, is whole hours off: a zone, and no unit."""
    hours = round(told.offset)
    return (
        told.slope == 1
        and 1 <= abs(hours) <= _ZONES
        and abs(told.offset - hours) < _WHOLE
        and bool(words_of(name) & HOUR)
        and 0 <= float(before.min()) <= float(before.max()) <= 24
    )


def is_temperature(told: Affine) -> bool:
    """Fahrenheit for Celsius, Kelvin for Celsius, or back."""
    return any(
        abs(told.slope - a) < 0.05 * a and abs(told.offset - b) < 0.1 * abs(b) + 0.5
        for a, b in TEMPERATURES
    )


def quantile_chart(name: str, before: Floats, after: Floats, told: Affine) -> Mapping[str, Any]:
    """Chart data: quantiles of both windows and the fitted line."""
    probs = np.linspace(0.01, 0.99, 41)
    return {
        "kind": "quantiles",
        "name": name,
        "probs": [float(p) for p in probs],
        "reference": [float(v) for v in np.quantile(before, probs)],
        "current": [float(v) for v in np.quantile(after, probs)],
        "fit": {"a": float(told.offset), "b": float(told.slope)},
        "title": f"{name}: quantiles now against then",
    }


@check("resolution", layer="data", rung="inputs", looks_for=("precision_loss",))
def resolution(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Were values clipped at a bound, rounded to a grid, or cast to integers?

    A clip puts on its bound just what the reference had beyond it (a default takes from
    everywhere); rounding puts nearly all values on a grid that the reference is not on.
    """
    del rng
    seen = False
    for name, found in departures(case).items():
        if case.kind(name) != "numeric" or tells_time(case, name):
            continue
        before = case.reference.numeric(name)[like_rows(case, found)]
        after = case.current.numeric(name)[found.rows]
        before, after = before[np.isfinite(before)], after[np.isfinite(after)]
        told = _cast(case, found, before) or _coarser(found, before, after)
        if told is not None:
            seen = True
            yield told
    if not seen:
        yield Clear(
            ("precision_loss",),
            Subject(),
            "no input was clipped or rounded",
            0.01,
            "resolution.none",
        )


def _coarser(found: Departure, before: Floats, after: Floats) -> Finding | None:
    name = found.name
    cut = clip(before, after)
    if cut is not None and found.departed:
        side = "above" if cut.upper else "below"
        told = (
            f"{name} has nothing {side} {cut.bound:.6g}{scope_words(found)}: {cut.share_at:.1%} of rows sit "
            f"on it, {cut.share_beyond:.1%} lay beyond it before"
        )
        options = {"kind": "clip", "bound": cut.bound, "upper": cut.upper, "part": cut.part}
        return _loss_finding(
            found,
            "resolution.clip",
            told,
            cut.share_at,
            min(1.0, 0.4 + cut.share_at / 0.1),
            options,
        )
    told_grid = None if whole_map(before, after) is not None else grid(before, after)
    if told_grid is None:
        return None
    step, share = told_grid
    was = on_grid(before, step)
    told = f"{share:.0%} of the values of {name} now lie on steps of {step:g}{scope_words(found)}, {was:.0%} did before"
    harm = min(1.0, step / (float(before.std()) or 1.0))
    return _loss_finding(
        found,
        "resolution.grid",
        told,
        step,
        0.5 + 0.5 * harm,
        {"kind": "grid", "step": step, "part": min(1.0, (share - was) / max(1 - was, 1e-9))},
    )


def _cast(case: Case, found: Departure, before: Floats) -> Finding | None:
    """Noughts in place of fractions: a default of nought, or what a cast to whole numbers leaves of them."""
    lost = defaulted(case)
    nought = [d for d in lost if d.name == found.name and d.value in ("0", "-0")]
    # A cast spares the numbers from one up, and noughts all over are a default of their source.
    if not nought or len(lost) > 1 or not len(before) or np.abs(before).max() >= 1:
        return None
    if np.unique(before).size < 10:
        return None
    share = nought[0].after
    told = (
        f"{found.name} is 0 in {share:.0%} of rows{scope_words(found)}; all its values lay under 1, "
        "of which a cast to whole numbers leaves 0"
    )
    options = {"kind": "grid", "step": 1.0, "part": share}
    finding = _loss_finding(found, "resolution.cast", told, share, 1.0, options)
    return replace(finding, supports=("precision_loss",), against=("silent_nulls", "join_loss"))


def _loss_finding(
    found: Departure,
    signal: str,
    told: str,
    size: float,
    strength: float,
    options: Mapping[str, Any],
) -> Finding:
    subject = Subject("feature", (found.name,))
    return Finding(
        signal,
        subject,
        told,
        size,
        size / max(noise_distance(1000, 1000), 1e-9),
        None,
        strength,
        ("precision_loss", "train_serve_skew"),
        ("covariate_shift", "silent_nulls", "unit_change"),
        found.scope,
        found.onset,
        (RepairPlan("restore_resolution", subject, found.scope, options),),
    )
