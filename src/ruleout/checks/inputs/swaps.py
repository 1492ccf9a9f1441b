"""Two columns that arrive in each other's place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._context import Context, context
from ruleout.checks.inputs._departure import Departure, departures, scope_words
from ruleout.profile import Case, spread_rows
from ruleout.stats._relation import mixture, noise_distance
from ruleout.stats._twosample import ks_sorted

Floats = NDArray[np.float64]
_MOST = 40
_ROOM = 0.1
"""Of an input's range, how far beyond it values of another window may lie."""

_CROSSED, _LEAST_SHARE, _NEARLY = 30, 0.02, 0.8
"""Rows that must have crossed over, and of those that are strange to either input, what part."""


@check("exchanged_columns", layer="integration", rung="inputs", looks_for=("feature_swap",))
def exchanged_columns(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Does each of two inputs now look like the other did, in its values and its correlations?

    Marginals are compared crosswise; where the two marginals are alike to begin with, the
    correlations with all other inputs (and the label) decide.
    """
    del rng
    ctx = context(case)
    moved = departures(case)
    ranked = sorted(moved, key=lambda n: -moved[n].distance / max(moved[n].usual, 1e-6))[:_MOST]
    found = [
        f
        for a, b in combinations(sorted(ranked), 2)
        if (f := _pair(case, ctx, moved[a], moved[b])) is not None
    ]
    if found:
        yield max(found, key=lambda f: f.effect)
    else:
        told = "no two inputs look like each other did"
        yield Clear(("feature_swap",), Subject(), told, 0.1, "swap.none")


def _pair(case: Case, ctx: Context, first: Departure, second: Departure) -> Finding | None:
    kinds = {case.kind(first.name), case.kind(second.name)}
    if len(kinds) != 1 or "datetime" in kinds:
        return None
    if not (first.departed and second.departed):
        return _by_correlation(case, ctx, first, second)
    told = _by_rows(case, first, second) if kinds == {"numeric"} else None
    if told is not None:
        return told
    gaps = _text_gaps if kinds == {"categorical"} else _number_gaps
    # Where one of the two departs by more in some rows, its scope is narrower than the exchange.
    narrow, wide = sorted((first, second), key=lambda d: int(d.rows.sum()))
    for place, rows in ((narrow, first.rows & second.rows), (wide, first.rows | second.rows)):
        if rows.sum() < 50:
            continue
        own, cross, shares, noise = gaps(case, first.name, second.name, rows)
        apart = abs(shares[0] - shares[1]) > 0.15 + 0.1 * max(shares)
        if min(own) < 3 * noise or min(shares) < 0.05 or apart:
            continue
        if max(cross) <= max(1.6 * noise, 0.15 * min(own)):
            return _finding((first, second), place, own, cross, "swap.marginals", min(own) / noise)
    return None


def crossed(case: Case, a: str, b: str) -> NDArray[np.bool_]:
    """Current rows (n,) in which each of two numbers lies where the other always did, and itself never."""
    was = [_range(case, n) for n in (a, b)]
    now = [case.current.numeric(n) for n in (a, b)]
    inside = [[_within(value, own) for own in was] for value in now]
    return inside[0][1] & ~inside[0][0] & inside[1][0] & ~inside[1][1]


def _within(values: Floats, usual: tuple[float, float]) -> NDArray[np.bool_]:
    """Whether values (n,) lie in a range, or as far beyond as another sample may reach."""
    low, high = usual
    room = _ROOM * (high - low)
    return np.asarray((values >= low - room) & (values <= high + room))


def _range(case: Case, name: str) -> tuple[float, float]:
    """Least and largest reference value of a number (cached in the case)."""
    key = f"range of {name}"
    if key not in case.cache:
        known = _known(case.reference.numeric(name))
        case.cache[key] = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    low, high = case.cache[key]
    return low, high


def _overlap(one: tuple[float, float], two: tuple[float, float]) -> bool:
    """Whether two ranges share most of the narrower: then no row says that it crossed over."""
    shared = min(one[1], two[1]) - max(one[0], two[0])
    return shared > 0.5 * min(one[1] - one[0], two[1] - two[0])


def _by_rows(case: Case, first: Departure, second: Departure) -> Finding | None:
    """Two inputs of ranges apart, in some rows each in the other's: whatever drift there is beside it."""
    was = [_range(case, d.name) for d in (first, second)]
    if _overlap(was[0], was[1]):
        return None
    rows = crossed(case, first.name, second.name)
    share = float(rows.mean())
    if rows.sum() < _CROSSED or share < _LEAST_SHARE:
        return None
    now = [case.current.numeric(d.name) for d in (first, second)]
    strange = np.any(
        [~_within(x, own) & np.isfinite(x) for x, own in zip(now, was, strict=True)], axis=0
    )
    if float(rows[strange].mean()) < _NEARLY:
        return None
    place = min((first, second), key=lambda d: (float((rows & ~d.rows).sum()), int(d.rows.sum())))
    if float((rows & ~place.rows).sum()) > 0.05 * rows.sum():
        place = replace(place, scope=Scope(), rows=np.ones(len(rows), dtype=bool))
    found = _finding(
        (first, second), place, (first.distance, second.distance), (0.0, 0.0), "swap.marginals",
        min(first.distance / first.usual, second.distance / second.usual),
    )  # fmt: skip
    told = (
        f"in {share:.0%} of the rows {first.name} lies where only {second.name} did and the reverse"
        f"{scope_words(place)}"
    )
    plan = RepairPlan("exchange", found.subject, place.scope, {"crossed": True})
    return replace(found, statement=told, repairs=(plan,))


Gaps = tuple[tuple[float, float], tuple[float, float], tuple[float, float], float]
"""Distances to the own past, to the own past mixed with the other's, that part's share, and chance."""


def _number_gaps(case: Case, a: str, b: str, rows: NDArray[np.bool_]) -> Gaps:
    was = [_known(case.reference.numeric(n)) for n in (a, b)]
    now = [_known(case.current.numeric(n)[rows]) for n in (a, b)]
    if min(len(x) for x in (*was, *now)) < 30:
        return (0.0, 0.0), (1.0, 1.0), (0.0, 0.0), 1.0
    one, two = mixture(was[0], was[1], now[0]), mixture(was[1], was[0], now[1])
    own = one.distance_before, two.distance_before
    cross = one.distance_after, two.distance_after
    return own, cross, (one.share, two.share), noise_distance(case.reference.rows, int(rows.sum()))


def _known(values: Floats) -> Floats:
    return values[np.isfinite(values)]


def _text_gaps(case: Case, a: str, b: str, rows: NDArray[np.bool_]) -> Gaps:
    was = [_shares(case, "reference", n, rows) for n in (a, b)]
    now = [_shares(case, "current", n, rows) for n in (a, b)]
    parts = _part(was[0], was[1], now[0]), _part(was[1], was[0], now[1])
    own = _variation(was[0], now[0]), _variation(was[1], now[1])
    cross = parts[0][1], parts[1][1]
    width = len({*was[0], *was[1]})
    noise = 0.4 * float(np.sqrt(width * (1 / max(case.reference.rows, 1) + 1 / max(rows.sum(), 1))))
    return own, cross, (parts[0][0], parts[1][0]), noise


def _part(
    own: dict[str, float], other: dict[str, float], now: dict[str, float]
) -> tuple[float, float]:
    """Share of `other` in `now`, and the variation that is left."""
    names = sorted({*own, *other, *now})
    f, g, h = (np.array([d.get(n, 0.0) for n in names]) for d in (own, other, now))
    towards = g - f
    scale = float(towards @ towards)
    share = float(np.clip((h - f) @ towards / scale, 0.0, 1.0)) if scale > 0 else 0.0
    return share, 0.5 * float(np.abs(h - f - share * towards).sum())


def _shares(case: Case, which: str, name: str, rows: NDArray[np.bool_]) -> dict[str, float]:
    codes = case.codes(which, name)  # type: ignore[arg-type]
    if which == "current":
        codes = codes[rows]
    words = case.vocabulary(name)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    return {w: c / max(counts.sum(), 1) for w, c in zip(words, counts, strict=True) if c}


def _variation(a: dict[str, float], b: dict[str, float]) -> float:
    return 0.5 * sum(abs(a.get(k, 0.0) - b.get(k, 0.0)) for k in sorted({*a, *b}))


def _by_correlation(
    case: Case, ctx: Context, first: Departure, second: Departure
) -> Finding | None:
    """For two inputs of one shape: are their correlations with everything else exchanged?"""
    if case.kind(first.name) != "numeric" or first.departed or second.departed:
        return None
    if first.name not in ctx.names or second.name not in ctx.names:
        return None
    if not _alike(_few(case, first.name), _few(case, second.name)):
        return None
    others = ctx.without(first.name, second.name, label=True)
    before, after = _correlations(case, ctx)
    places = [int(np.flatnonzero(ctx.of(name))[0]) for name in (first.name, second.name)]
    was, now = [before[i][others] for i in places], [after[i][others] for i in places]
    kept = float(((now[0] - was[0]) ** 2 + (now[1] - was[1]) ** 2).sum())
    exchanged = float(((now[0] - was[1]) ** 2 + (now[1] - was[0]) ** 2).sum())
    noise = 2 * others.sum() * (1 / len(ctx.before) + 1 / len(ctx.after))
    if kept < 8 * noise or exchanged > max(2 * noise, 0.15 * kept):
        return None
    gaps = (kept, kept), (exchanged, exchanged)
    return _finding((first, second), first, *gaps, "swap.correlations", kept / noise)


def _few(case: Case, name: str) -> Floats:
    """At most 4,000 reference values, evenly spread, sorted: enough to see whether two shapes are alike."""
    key = f"few of {name}"
    if key not in case.cache:
        values = case.reference.numeric(name)
        some = values[spread_rows(len(values), 4_000)]
        case.cache[key] = np.sort(some[~np.isnan(some)])
    made: Floats = case.cache[key]
    return made


def _alike(a: Floats, b: Floats) -> bool:
    """Whether two sorted samples are within 0.1 of each other (Kolmogorov-Smirnov); a few points tell most apart."""
    if len(a) and len(b):
        points = a[:: max(1, len(a) // 32)]
        shares = (np.searchsorted(x, points, "right") / len(x) for x in (a, b))
        if np.abs(np.subtract(*shares)).max() > 0.1:
            return False
    return ks_sorted(a, b).effect <= 0.1


def _correlations(case: Case, ctx: Context) -> tuple[Floats, Floats]:
    """Correlations (M, M) of all columns in the reference and in the current window (cached)."""
    if "column correlations" not in case.cache:
        case.cache["column correlations"] = (_correlated(ctx.before), _correlated(ctx.after))
    made: tuple[Floats, Floats] = case.cache["column correlations"]
    return made


def _correlated(x: Floats) -> Floats:
    centred = x - x.mean(axis=0)
    spread = centred.std(axis=0)
    return np.asarray(centred.T @ centred / len(x) / np.maximum(np.outer(spread, spread), 1e-9))


def _finding(
    pair: tuple[Departure, Departure],
    place: Departure,
    own: tuple[float, float],
    cross: tuple[float, float],
    signal: str,
    effect: float,
) -> Finding:
    first, second = pair
    subject = Subject("feature", (first.name, second.name))
    told = (
        f"{first.name} looks like {second.name} did and the reverse{scope_words(place)} (distance to its own past "
        f"{own[0]:.3g} and {own[1]:.3g}, to the other's {cross[0]:.3g} and {cross[1]:.3g})"
    )
    return Finding(
        signal,
        subject,
        told,
        max(cross),
        effect,
        None,
        1.0,
        ("feature_swap",),
        (
            "covariate_shift",
            "unit_change",
            "concept_drift",
            "category_recode",
            "silent_nulls",
            "precision_loss",
            "stale_features",
        ),
        place.scope,
        place.onset,
        (RepairPlan("exchange", subject, place.scope),),
        {
            "kind": "table",
            "columns": ["input", "distance to its own past", "distance to the other's past"],
            "rows": [[first.name, own[0], cross[0]], [second.name, own[1], cross[1]]],
        },
    )
