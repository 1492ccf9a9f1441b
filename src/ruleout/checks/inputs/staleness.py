"""Values that are real but not of this row: old, repeated, or cut off from everything around them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._collisions import collisions
from ruleout.checks.inputs._context import Context, context
from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._departure import departures, locate
from ruleout.checks.inputs._entities import Still, interleaved, standing_still
from ruleout.checks.inputs.clock import by_the_clock
from ruleout.profile import Case
from ruleout.stats._lag import Lag, best_lag, longest_runs
from ruleout.stats._leave_out import LeaveOut

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_SLOW = 5.0
"""Mean length of runs from which an input is slow by nature."""

_LEAST_LINK = 0.12
"""Below this correlation with its row, a value cannot be seen to have lost it."""

_CURVED = 60
"""Squares join the regressions on so many columns at most."""


class Link(NamedTuple):
    """How well a value follows from the rest of its row, before and now."""

    before: float
    after: float
    z: float
    """Fall in standard errors (Fisher's transform)."""

    expected: Floats
    """What the rest of each current row says of the value (m,)."""

    observed: Floats

    slope: float
    """How much the value still moves with what is expected of it: 1 in the reference, 0 once cut off.

    A population of narrower range lowers the correlation but not the slope.
    """


@check("freshness", layer="data", rung="inputs", looks_for=("stale_features",))
def freshness(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do values repeat, follow from another row, or no longer follow from their own?

    A regression of each input on the rest of its row is learned on the reference. Where the link is
    gone now though the values as such are usual, the lag at which it returns is searched by
    cross-correlation; runs of repeated values are compared with the reference's, and so is how often
    an entity (a key among the segments) has the value of its visit before.
    """
    del rng
    ctx, lost, moved, links = _linked(case)
    with_label: dict[str, Link | None] = {}
    if ctx.after[:, ctx.label].any():
        beside = Regressions(ctx, label=True)
        with_label = {n: beside.link(n) for n in links}
    still = standing_still(case)
    if still is not None:
        yield _still_finding(still)
    yield from interleaved(case)
    seen = still is not None
    for name in links:
        for finding in _of_one(case, ctx, name, links, with_label, moved):
            seen = True
            yield finding
    if not seen:
        told = "values repeat no more than before and still follow from their rows"
        # What is read (texts, images) was not looked at.
        partly = lost or (links and case.of_kind("text", "image", "embedding"))
        looked = Subject("feature", tuple(sorted(links))) if partly else Subject()
        yield Clear(("stale_features",), looked, told, 0.2, "freshness.none")


class _Linked(NamedTuple):
    ctx: Context
    lost: set[str]
    """Inputs with more defaults than before."""

    moved: set[str]
    links: dict[str, Link | None]
    """How each input follows from the rest of its row."""


def _linked(case: Case) -> _Linked:
    """Every input's regression on the rest of its row, learned once for all who ask."""
    if "inputs linked" not in case.cache:
        ctx = context(case)
        lost = {d.name for d in defaulted(case)}
        moved = lost | {n for n, d in departures(case).items() if d.departed}
        alone = Regressions(ctx, label=False)
        links = {n: alone.link(n) for n in ctx.names[:-1] if n not in lost}
        case.cache["inputs linked"] = _Linked(ctx, lost, moved, links)
    told: _Linked = case.cache["inputs linked"]
    return told


def unlinked(case: Case) -> tuple[str, ...]:
    """Inputs that no longer follow from the rest of their row, on their own side."""
    ctx, _, moved, links = _linked(case)
    return tuple(
        n
        for n, k in links.items()
        if k is not None and _broken(k) and _culprit(ctx, n, links, moved)
    )


def _of_one(
    case: Case,
    ctx: Context,
    name: str,
    links: dict[str, Link | None],
    with_label: dict[str, Link | None],
    moved: set[str],
) -> Iterator[Finding]:
    runs = _runs(case, name)
    if runs is not None:
        yield runs
    if by_the_clock(case, name):
        return  # Whatever else of the row it went with, it says when that was asked.
    link = links[name]
    broken = link is not None and _broken(link) and _culprit(ctx, name, links, moved)
    if not broken:
        link = with_label.get(name)
        if link is None or not _broken(link):
            return
    if link is None:
        return
    lag = best_lag(link.observed, link.expected, most=len(link.observed) // 3)
    if lag is not None and lag.z > 5 and lag.r > max(0.4 * link.before, 1.5 * abs(link.after)):
        yield _lag_finding(case, ctx, name, link, lag)
    elif broken:
        yield _broken_finding(case, name, link)


class Regressions:
    """Every input's leading column on the rest of its row, learned on the reference."""

    def __init__(self, ctx: Context, *, label: bool) -> None:
        """Use the label as one of the rest with `label`."""
        self._ctx = ctx
        self._used = np.ones(len(ctx.owner), dtype=bool) if label else ~ctx.label
        self._made: dict[bool, tuple[LeaveOut, Floats, Floats]] = {}

    def link(self, name: str, without: Collection[str] = ()) -> Link | None:
        """How the input follows from the rest of its row, less `without`; None where it never did."""
        ctx = self._ctx
        places = np.flatnonzero(ctx.of(name))
        if not len(places):
            return None
        y, z = ctx.before[:, places[0]], ctx.after[:, places[0]]
        answer = (
            None
            if y.std() == 0 or z.std() == 0
            else self._expected({name, *without}, int(places[0]))
        )
        if answer is None:
            return None
        said, expected = answer
        before, after = _correlation(said, y), _correlation(expected, z)
        before = adjusted(before, len(y), self._width())
        if not before > _LEAST_LINK:
            return None
        # Slow inputs hold fewer independent values than rows.
        error = math.sqrt(longest_runs(y) / len(y) + longest_runs(z) / len(z))
        fall = (
            math.atanh(min(before, 0.999)) - math.atanh(float(np.clip(after, -0.999, 0.999)))
        ) / error
        variance = float(expected.var())
        slope = float(np.cov(expected, z)[0, 1]) / variance if variance > 1e-9 else 1.0
        return Link(before, after, fall, expected, z, slope)

    def _width(self) -> int:
        """Columns that a regression has to choose from."""
        used = int(self._used.sum())
        return 2 * used if used <= _CURVED else used

    def _expected(self, names: Collection[str], column: int) -> tuple[Floats, Floats] | None:
        """What the rest of each row says of the column, reference (n,) and current (m,)."""
        places = [self._ctx.names.index(n) for n in names if n in self._ctx.names]
        own = np.isin(self._ctx.owner, places)[self._used]
        rest = int((~own).sum())
        if not rest:
            return None
        curved = rest <= _CURVED
        fit, x, x_now = self._fitted(curved=curved)
        place = int(np.flatnonzero(np.flatnonzero(self._used) == column)[0])
        beta = fit.coefficients(place, np.tile(own, 2) if curved else own)
        return x @ beta, x_now @ beta

    def _fitted(self, *, curved: bool) -> tuple[LeaveOut, Floats, Floats]:
        if curved not in self._made:
            x, now = self._ctx.before[:, self._used], self._ctx.after[:, self._used]
            if curved:
                x, now = _with_squares(x), _with_squares(now)
            self._made[curved] = LeaveOut(x, 0.01 * len(x)), x, now
        return self._made[curved]


def _with_squares(x: Floats) -> Floats:
    return np.concatenate([x, x**2 - 1], axis=1)


def _curved(x: Floats) -> Floats:
    """Columns with their squares, up to a bound on the width."""
    return _with_squares(x) if x.shape[1] <= _CURVED else x


def adjusted(r: float, rows: int, columns: int) -> float:
    """A fitted correlation less what so many columns fit by chance (adjusted R2, Ezekiel 1930)."""
    if rows <= columns + 1:
        return 0.0
    squared = 1 - (1 - r * r) * (rows - 1) / (rows - columns - 1)
    return math.copysign(math.sqrt(max(squared, 0.0)), r)


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _broken(link: Link) -> bool:
    fell = link.z > 8 and link.after < 0.7 * link.before and link.before - link.after > 0.06
    return fell and link.slope < 0.75


def _culprit(ctx: Context, name: str, links: dict[str, Link | None], moved: set[str]) -> bool:
    """Whether the link broke on this side: it is gone towards inputs that are themselves sound, too."""
    mine = links[name]
    if mine is None:
        return False
    worse = {
        o for o, k in links.items() if o != name and k is not None and _broken(k) and k.z > mine.z
    }
    suspect = (worse | moved) - {name}
    if not suspect:
        return True
    keep, own = ctx.without(name, *sorted(suspect)), ctx.of(name)
    if not keep.any():
        return False
    x, y = _curved(ctx.before[:, keep]), ctx.before[:, own][:, 0]
    gram = x.T @ x + 0.01 * len(y) * np.eye(x.shape[1])
    beta = np.linalg.solve(gram, x.T @ (y - y.mean()))
    before = _correlation(x @ beta, y)
    after = _correlation(_curved(ctx.after[:, keep]) @ beta, ctx.after[:, own][:, 0])
    return before > _LEAST_LINK and after < 0.7 * before and before - after > 0.06


def _still_finding(still: Still) -> Finding:
    names, entity = still.names, still.entity
    told = (
        f"{', '.join(names)}: in {still.now:.1%} of visits what the same {entity} had on its visit before "
        f"({names[0]}; {still.was:.1%} before)"
    )
    strength = min(1.0, 0.7 + still.now - still.was)
    rise = still.now - still.was
    found = _stale(
        names[0], "freshness.entities", told, still.z, strength, still.scope, still.rows, rise
    )
    subject = Subject("feature", names)
    return replace(found, subject=subject, repairs=(RepairPlan("relink", subject, still.scope),))


def _runs(case: Case, name: str) -> Finding | None:
    """Values that repeat more than in the reference: in neighbouring rows, or of one host or region."""
    if case.kind(name) not in ("numeric", "categorical"):
        return None
    before, after = (_as_numbers(case, w, name) for w in ("reference", "current"))
    if case.current.time is None:
        return _collisions(case, name, before, after)
    if longest_runs(before) > _SLOW:
        # An input that is slow by nature (a day, a season) cannot be seen to repeat.
        return None
    orders = {"": (np.arange(len(before)), np.arange(len(after)))}
    orders |= {s: _by_group(case, s) for s in case.segments if s != name}
    # Rows twice as dense repeat a slow value twice as often: look at both windows equally often.
    density = _density(case)
    for group, (one, two) in orders.items():
        was = longest_runs(before[one][:: max(1, round(1 / density))])
        now = longest_runs(after[two][:: max(1, round(density))])
        if now < 2.5 or now < 2 * was + 0.5 or was > _SLOW:
            continue  # What a group has in common repeats as often as there are rows of it.
        # Few values left (a clip, a default) make runs in any order of the rows.
        if now < 2 * _chance_runs(after) + 0.5:
            continue
        repeats = [_repeats(before, one), _repeats(after, two)]
        scope, rows = locate(case, repeats[1], float(repeats[0].mean()), repeats[0])
        where = f" within each {group}" if group else ""
        told = f"{name} repeats: runs of {now:.1f} equal values in a row{where}, {was:.1f} before"
        return _stale(name, "freshness.runs", told, now / was, 1.0, scope, rows, now / was)
    return _collisions(case, name, before, after)


def _chance_runs(values: Floats) -> float:
    """Mean length of runs of equal values when their order is random."""
    counts = np.unique(values, return_counts=True)[1]
    return 1.0 / max(1.0 - float(((counts / max(len(values), 1)) ** 2).sum()), 1e-6)


def _density(case: Case) -> float:
    """Current rows per second over reference rows per second; 1 where it cannot be told."""
    spans = []
    for which in ("reference", "current"):
        time = case.table(which).time
        length = float(time[-1] - time[0]) if time is not None and len(time) > 1 else 0.0
        spans.append(len(time) / length if time is not None and length > 0 else math.nan)
    ratio = float(spans[1] / spans[0])
    return ratio if math.isfinite(ratio) and ratio > 0 else 1.0


def _by_group(case: Case, segment: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of both windows by value of a segment, in order of time within each."""
    return (
        np.argsort(case.codes("reference", segment), kind="stable"),
        np.argsort(case.codes("current", segment), kind="stable"),
    )


def _repeats(values: Floats, order: NDArray[np.int64]) -> Floats:
    """Per row, the share of its neighbours in the given order that repeat the value before them."""
    ordered = values[order]
    same = np.r_[False, ordered[1:] == ordered[:-1]].astype(float)
    out = np.empty(len(values))
    out[order] = np.convolve(same, np.ones(9) / 9, mode="same")
    return out


def _collisions(case: Case, name: str, before: Floats, after: Floats) -> Finding | None:
    """A continuous input that uses its old values, but far fewer of them, each many times."""
    found = collisions(case, name, before, after)
    if found is None:
        return None
    moved = departures(case)[name]
    told = f"{name} draws on few of its old values again and again: two rows agree {found:.1f} times as often as before"
    strength = min(1.0, found / 4)
    return _stale(
        name, "freshness.collisions", told, found, strength, moved.scope, moved.rows, found
    )


def _as_numbers(case: Case, which: str, name: str) -> Floats:
    if case.kind(name) == "categorical":
        return case.codes(which, name).astype(float)  # type: ignore[arg-type]
    return case.table(which).numeric(name)  # type: ignore[arg-type]


def _lag_finding(case: Case, ctx: Context, name: str, link: Link, lag: Lag) -> Finding:
    step = max(1, round(case.current.rows / len(ctx.rows_after)))
    told = (
        f"{name} follows from the rows {lag.rows * step} earlier (r = {lag.r:.2f}) rather than from its own "
        f"(r = {link.after:.2f}; {link.before:.2f} before)"
    )
    subject = Subject("feature", (name,))
    plan = RepairPlan("shift_rows", subject, Scope(), {"rows": lag.rows * step})
    return Finding(
        "freshness.lag",
        subject,
        told,
        float(lag.rows * step),
        lag.z,
        None,
        1.0,
        ("stale_features",),
        ("concept_drift", "covariate_shift", "category_recode"),
        Scope(),
        None,
        (plan,),
    )


def _broken_finding(case: Case, name: str, link: Link) -> Finding:
    moved = departures(case)[name]
    told = (
        f"{name} no longer follows from the rest of its row (r = {link.after:.2f}, {link.before:.2f} before), though its "
        f"values {'moved' if moved.departed else 'as such are usual'}"
    )
    # Old values lie where the input's values lie: a marginal that moved far is none of them.
    calm = 1.0 if not moved.departed else float(np.clip(1.0 - 2.0 * moved.distance, 0.0, 0.5))
    strength = calm * float(np.clip(1.0 - link.after / max(link.before, 1e-9), 0.0, 1.0))
    everywhere = np.ones(case.current.rows, dtype=bool)
    return _stale(
        name, "freshness.unlinked", told, link.z, strength, Scope(), everywhere, moved.distance
    )


def _stale(
    name: str,
    signal: str,
    told: str,
    effect: float,
    strength: float,
    scope: Scope,
    rows: Mask,
    distance: float,
) -> Finding:
    subject = Subject("feature", (name,))
    plans = (RepairPlan("relink", subject, scope),) if rows.any() else ()
    return Finding(
        signal,
        subject,
        told,
        distance,
        effect,
        None,
        strength,
        ("stale_features",),
        ("concept_drift", "covariate_shift"),
        scope,
        None,
        plans,
    )
