"""What time itself explains: a season, a slow decline, an end already reached, an event that was planned.

Rules. Season: the reference's rows at the same hours and weekdays, weighted to the current ones, show the same level.
Staleness: the loss already rose through the reference, and its slope leads to the current level without a step.
Recovered: a stretch was bad, and the last quarter of the window is back. Planned: a calendar or chaos event stands
where the level changes. Assumes timestamps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._calendar import follows_clock
from ruleout.checks.inputs._departure import departures, like_rows
from ruleout.checks.inputs.structure import repeated
from ruleout.checks.reproduction.feature_parity import off_rows
from ruleout.checks.symptom import measure
from ruleout.checks.world._episodes import (
    Stretch,
    Timed,
    departed_stretch,
    levels,
    metric_stretch,
    timed,
    worst_stretch,
)
from ruleout.checks.world._view import BLOCKS, NO_HARM, View, view
from ruleout.checks.world.new_category import loss_share
from ruleout.profile import Case, text_series
from ruleout.profile._case import ChangeEvent
from ruleout.sources._changes import meant_to_disturb
from ruleout.stats._boosting import Floats
from ruleout.stats._calendar import hours
from ruleout.stats._changepoint import step
from ruleout.stats._density import density_ratio
from ruleout.stats._twosample import ks, normal_sf

NEEDS = ("data.reference", "data.current", "data.columns.timestamp", "data.columns.target")
_APART = 0.75
"""AUC from which two sets of rows are of different mixes: what moves on within a window may bring the metric back."""

_SURE = 1e-4
_MOST_OF_IT, _SOME_OF_IT, _PART_OF_ALL = 0.7, 0.6, 0.5
"""Share of the rise in loss in an announced place, and of the rows at most, from which on it is that event's."""

_MANY = 200
"""Rows of the reference that hours need to stand for it."""

_PLACE = 30
"""Labelled rows that a segment needs to have a loss of its own."""

_REPEATS = 0.01
"""Share of the reference's rows that repeat others, from which on repeats are as rows are."""

_TURNS, _AGAIN = 5, 0.1
"""Rows since a bad stretch, and part of its share of them, whose inputs are wrong again for it not to be over."""

_END = 0.15
"""Share of the window's rows, its newest, that must be known for an episode to be known to be over."""


@check("slow_decline", layer="model", rung="world", looks_for=("model_staleness",), needs=NEEDS)
def slow_decline(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for a rise of the loss through the reference that leads to the current level."""
    del rng
    modes = ("model_staleness",)
    before, now = timed(case, "reference"), timed(case, "current")
    if before is None or now is None:
        return [
            Abstained(
                modes, "needs timestamps and 200 labelled rows a window", "data.columns.timestamp"
            )
        ]
    if case.significant is False:
        return [Abstained(modes, NO_HARM)]
    if float(now.time[0]) < float(before.time[-1]) - 1:
        return [Abstained(modes, "the current window does not follow the reference in time")]
    slope, se = _slope(before.time, before.loss)
    lead = float(np.median(now.time) - np.median(before.time))
    rise = float(now.loss.mean() - before.loss.mean())
    z, share = slope / max(se, 1e-300), slope * lead / rise if rise > 0 else 0.0
    jump = _jump(before, now)
    text = (
        f"through the reference the loss rose by {slope * (before.time[-1] - before.time[0]):+.3g} (z = {z:.1f}); carried "
        f"on, that slope explains {share:.0%} of the rise, and the step between the windows is {jump:+.3g}"
    )
    if z < 3 or not 0.4 <= share <= 2.5 or jump > 0.5 * rise:
        return [Clear(modes, Subject(), text, 0.4, "slow_decline.none")]
    version = case.incident.models["current"].version if "current" in case.incident.models else None
    subject = Subject("model", (version or "current",))
    return [
        Finding(
            signal="slow_decline.ramp",
            subject=subject,
            statement=text,
            statistic=slope,
            effect=share,
            p_value=normal_sf(z),
            strength=float(np.clip(min(share, 1.0) * min(z / 6, 1.0), 0.2, 1.0)),
            supports=modes,
            against=("wrong_version", "unit_change", "corrupted_labels", "evaluation_bug"),
        )
    ]


def _slope(time: Floats, loss: Floats) -> tuple[float, float]:
    """Slope of the loss in time by blocks, and its standard error from the blocks' own scatter."""
    block = (np.arange(len(time)) * BLOCKS // len(time)).astype(np.int64)
    count = np.bincount(block)
    x, y = np.bincount(block, weights=time) / count, np.bincount(block, weights=loss) / count
    x = x - x.mean()
    spread = float(x @ x)
    if spread <= 0:
        return 0.0, 1.0
    slope = float(x @ y) / spread
    scatter = y - y.mean() - slope * x
    return slope, float(np.sqrt(scatter @ scatter / (BLOCKS - 2) / spread))


def _jump(before: Timed, now: Timed) -> float:
    """Step of the loss at the boundary, over what both windows' own slopes lead to there."""
    edge = []
    for part, at in ((before, before.time[-1]), (now, now.time[0])):
        slope, _ = _slope(part.time, part.loss)
        edge.append(float(part.loss.mean() + slope * (at - part.time.mean())))
    return edge[1] - edge[0]


@check("recovered", layer="none", rung="world", looks_for=("already_recovered",), needs=NEEDS)
def recovered(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for a bad stretch that ended before the window did."""
    modes = ("already_recovered",)
    before, now = timed(case, "reference"), timed(case, "current")
    if before is None or now is None:
        return [
            Abstained(
                modes, "needs timestamps and 200 labelled rows a window", "data.columns.timestamp"
            )
        ]
    now = _once(case, now)
    found = worst_stretch(case, before, now) or departed_stretch(case, before, now)
    found = found or metric_stretch(case, before, now)
    if found is not None and _open_ended(case, now):
        why = "the newest rows have no labels yet: whether it is over cannot be told"
        return [Abstained(modes, why, "data.columns.label_available_at")]
    if found is None:
        told = "no bad stretch ended before the window did"
        return [Clear(modes, Subject(), told, 0.2, "recovered.none")]
    seen = levels(case, found, before, now)
    base, during, after = seen.base, seen.during, seen.after
    back = after - base < 2 * seen.error and after - base < 0.2 * (during - base)
    back = back and _metric_back(case, now.rows[found.since])
    text = seen.told(float(found.bad.mean()))
    place = (_comes_back(case, found, now) or _still_off(case, found, now)) if back else None
    if place is not None:
        back, text = False, f"{text}, but {place}"
    if back and not _like_the_reference(case, now.rows[found.since], now.rows[found.bad], rng):
        text = f"{text}, but the rows since are others than the reference's: the mix moved on"
        return [Abstained(modes, text)]
    if not back:
        return [Clear(modes, Subject(), text, 0.2, "recovered.not_back")]
    return [
        Finding(
            signal="recovered.back",
            subject=Subject("metric", (case.metric.name,)),
            statement=text,
            statistic=float(now.time[int(found.since.argmax())]),
            effect=(during - after) / max(during - base, 1e-12),
            p_value=normal_sf(found.z),
            strength=1.0,
            supports=modes,
        )
    ]


def _once(case: Case, now: Timed) -> Timed:
    """Current rows without those that repeat others: an error told five times is one, not a bad stretch.

    All of them where the reference's repeat as well, or where repeats ended with the window's last quarter.
    """
    again = repeated(case, "current")[now.rows]
    late = again[-len(again) // 4 :]
    if repeated(case, "reference").mean() > _REPEATS or late.mean() < 0.5 * again.mean():
        return now
    return Timed(now.time[~again], now.loss[~again], now.rows[~again])


def _comes_back(case: Case, found: Stretch, now: Timed) -> str | None:
    """Words, where inputs are still not as recomputed now and then since the stretch: what comes in turns is not over."""
    off = off_rows(case)[now.rows]
    during, since = (off[part & np.isfinite(off)] for part in (found.bad, found.since))
    if min(len(during), len(since)) < _PLACE or float(since.sum()) < _TURNS:
        return None
    if float(since.mean()) < _AGAIN * float(during.mean()):
        return None
    return f"{since.mean():.0%} of the rows since have inputs that are not as recomputed ({during.mean():.0%} in it)"


def _still_off(case: Case, found: Stretch, now: Timed) -> str | None:
    """The segment in which an input departed for good and the loss stays high though all rows together are back.

    A part of the rows that is as bad as ever hides in the mean of all, once some other rows do well.
    """
    loss = case.loss("reference")
    for moved in departures(case).values():
        scope = moved.scope
        if not moved.departed or scope.column is None or scope.until is not None:
            continue
        inside = moved.rows[now.rows]
        late, bad = now.loss[inside & found.since], now.loss[inside & found.bad]
        usual = loss[like_rows(case, moved)]
        usual = usual[np.isfinite(usual)]
        if min(len(late), len(bad), len(usual)) < _PLACE:
            continue
        risen = float(late.mean() - usual.mean())
        error = math.sqrt(float(late.var()) / len(late) + float(usual.var()) / len(usual))
        if risen > 3 * error and risen > 0.2 * float(bad.mean() - usual.mean()):
            where = f"{scope.column} is {', '.join(scope.values[:3])}"
            return (
                f"where {where} it is still {late.mean():.3g} ({usual.mean():.3g} in the reference)"
            )
    return None


def _open_ended(case: Case, now: Timed) -> bool:
    """Whether labels are missing from the end of the window on, as they are where they come late."""
    labelled = np.zeros(case.current.rows, dtype=bool)
    labelled[now.rows] = True
    end = int((1 - _END) * len(labelled))
    return float(labelled[end:].mean()) < 0.5 * float(labelled[:end].mean())


def _metric_back(case: Case, rows: NDArray[np.int64]) -> bool:
    """Whether the metric itself, not only the loss, is back over the last rows."""
    change = measure(case)
    said, truth = case.outputs("current").take(rows), case.truth("current")[rows]
    weight = case.weight("current")
    weight = None if weight is None else weight[rows]
    gone = abs(change.metric.value(truth, said, weight) - change.reference)
    return not gone > 0.4 * abs(change.change) if change.significant else True


def _like_the_reference(
    case: Case, rows: NDArray[np.int64], bad: NDArray[np.int64], rng: np.random.Generator
) -> bool:
    """Whether current rows (by position) have the reference's inputs again, as they must after a recovery.

    Inputs that moved and were the same through the bad stretch (`bad`) did not bring the metric back:
    columns that stayed where that stretch had them are left aside, and so is a mix that stayed as a whole. The end
    of a window has its own hours: what tells time is left aside, and the reference's rows are of the same hours.
    """
    seen = view(case)
    if seen is None:
        return True
    inside = np.isin(seen.current.rows, rows)
    if inside.sum() < 60:
        return True
    since, during = seen.current.x[inside], seen.current.x[np.isin(seen.current.rows, bad)]
    if len(during) < 60:
        return True
    told = np.array([case.kind(n) == "datetime" or follows_clock(case, n) for n in seen.owner])
    keep = ~_stayed(seen.reference.x, during, since) & ~told
    same = seen.reference.x[_at_their_hours(case, seen, rows)]
    for others, columns in ((same, keep), (during, ~told)):
        if not columns.any():
            return True
        ratio = density_ratio(
            others[:, columns],
            since[:, columns],
            rng=rng,
            categorical=seen.categorical[columns],
            trees=20,
        )
        if ratio.auc < _APART:
            return True
    return False


def _at_their_hours(case: Case, seen: View, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The reference's labelled rows (n,) at the hours of some current rows; all, where those are too few."""
    every = np.ones(len(seen.reference.rows), dtype=bool)
    before, now = case.reference.time, case.current.time
    if before is None or now is None:
        return every
    alike = np.isin(hours(before[seen.reference.rows]), hours(now[rows]))
    return alike if alike.sum() >= _MANY else every


def _stayed(before: Floats, during: Floats, since: Floats) -> NDArray[np.bool_]:
    """Columns (F,) that moved for the bad stretch and did not move back after it."""
    out = np.zeros(before.shape[1], dtype=bool)
    for k in range(before.shape[1]):
        away = ks(before[:, k], since[:, k])
        out[k] = away.p_value < _SURE and ks(during[:, k], since[:, k]).effect < 0.5 * away.effect
    return out


@check(
    "planned", layer="none", rung="world", looks_for=("planned_event",), needs=(*NEEDS, "changes")
)
def planned(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Look for a planned event where the level of the loss changed."""
    del rng
    modes = ("planned_event",)
    before, now = timed(case, "reference"), timed(case, "current")
    if before is None or now is None:
        return [
            Abstained(
                modes, "needs timestamps and 200 labelled rows a window", "data.columns.timestamp"
            )
        ]
    events = [
        c
        for c in case.changes
        if (c.kind == "calendar" or meant_to_disturb(c.kind, c.description))
        and before.time[0] <= c.at <= now.time[-1]
    ]
    if not case.changes:
        return [Abstained(modes, "no change log", "changes")]
    if not events:
        return [
            Clear(
                modes,
                Subject(),
                "no calendar or chaos event lies in the windows",
                0.0,
                "planned.none",
            )
        ]
    low, high = _onset(before, now)
    near = [c for c in events if low <= c.at <= high]
    if not near or case.significant is False:
        named = None if case.significant is False else _named(case, events, high)
        text = f"{len(events)} planned events, none where the loss changed"
        return [named or Clear(modes, Subject(), text, 0.0, "planned.elsewhere")]
    # What is meant to disturb goes before a holiday that happens to lie nearer.
    surely = max(meant_to_disturb(c.kind, c.description) for c in near)
    meant = [c for c in near if surely and meant_to_disturb(c.kind, c.description) == surely]
    event = min(meant or near, key=lambda c: abs(c.at - (low + high) / 2))
    if _risen_before(before, now, event.at):
        elsewhere = f"the loss had risen before the planned event began: {event.description}"
    else:
        elsewhere = _not_there(case, event) or ""
    if elsewhere:
        return [Clear(modes, Subject(), elsewhere, 0.0, "planned.elsewhere")]
    found = Finding(
        signal="planned.coincides",
        subject=Subject("change", (event.id,)),
        statement=f"the loss changed when a planned event began: {event.description}",
        statistic=event.at,
        effect=1.0,
        p_value=None,
        strength=_certainty(case, event),
        supports=modes,
    )
    # What was planned ended as planned: that it is over is no other reading of it.
    over = replace(
        found, signal="planned.over", subject=Subject(), supports=(), against=("already_recovered",)
    )
    return [found, over]


def _not_there(case: Case, event: ChangeEvent) -> str | None:
    """Words, where the event is one place's (a site, a shop, a region) and the loss rose in all places alike."""
    for name in dict.fromkeys([*case.segments, *case.categorical]):
        if not (case.current.has(name) and case.reference.has(name)):
            continue
        told = [
            v for v in case.vocabulary(name) if len(v) > 1 and v.lower() == event.entity.lower()
        ]
        if not told:
            continue
        rows = np.asarray(text_series(case.current.frame, name) == told[0])
        rows = np.nan_to_num(rows.astype(float)) > 0
        share = loss_share(case, rows)
        if share is not None and share < min(_SOME_OF_IT, 1.5 * float(rows.mean())):
            return (
                f"{event.description}: planned for {name} = {told[0]}, where {max(share, 0.0):.0%} of the rise in loss"
                f" and {rows.mean():.0%} of the rows are"
            )
    return None


def _named(case: Case, events: list[ChangeEvent], latest: float) -> Finding | None:
    """An announced event that names the place in which the loss rose, and hardly anywhere else.

    What recurs (some hours of every day) has no one beginning at which the loss would change its level.
    """
    for event in sorted((c for c in events if c.at <= latest), key=lambda c: -c.at):
        said = set(re.findall(r"[\w-]+", event.description.lower()))
        for name in dict.fromkeys([*case.segments, *case.categorical]):
            told = [v for v in case.vocabulary(name) if len(v) > 1 and v.lower() in said]
            if len(told) != 1 or not case.current.has(name):
                continue
            rows = np.asarray(text_series(case.current.frame, name) == told[0])
            share = loss_share(case, np.nan_to_num(rows.astype(float)) > 0)
            if share is None or share < _MOST_OF_IT or float(rows.mean()) > _PART_OF_ALL:
                continue
            return Finding(
                "planned.names_place",
                Subject("change", (event.id,)),
                f"{share:.0%} of the rise in loss is where {name} = {told[0]}, which was announced: {event.description}",
                share,
                share,
                None,
                _certainty(case, event),
                ("planned_event",),
                scope=Scope(column=name, values=(told[0],)),
            )
    return None


def announcement(case: Case) -> ChangeEvent | None:
    """A calendar entry where the loss changed that is no disturbance: a campaign, a launch, a holiday."""
    before, now = timed(case, "reference"), timed(case, "current")
    if before is None or now is None:
        return None
    low, high = _onset(before, now)
    told = [
        c
        for c in case.changes
        if c.kind == "calendar"
        and low <= c.at <= high
        and not meant_to_disturb(c.kind, c.description)
    ]
    return min(told, key=lambda c: abs(c.at - (low + high) / 2), default=None)


def _risen_before(before: Timed, now: Timed, at: float) -> bool:
    """Whether the current rows before `at` were as bad as those after it: an effect precedes no cause."""
    early, late = now.loss[now.time < at], now.loss[now.time >= at]
    if min(len(early), len(late)) < 30:
        return False
    usual = float(before.loss.mean())
    noise = float(np.sqrt(before.loss.var() / len(before.loss) + early.var() / len(early)))
    rise = float(early.mean()) - usual
    return rise > 2 * noise and rise > 0.5 * (float(late.mean()) - usual)


def _certainty(case: Case, event: ChangeEvent) -> float:
    """A chaos run is meant to hurt, planned work may; any other calendar entry says little of what broke."""
    if event.kind == "chaos":
        return 1.0
    meant = meant_to_disturb(event.kind, event.description)
    if not meant:
        return 0.15
    return min(0.3 if "world benign" in case.cache else 0.95, meant)


def _onset(before: Timed, now: Timed) -> tuple[float, float]:
    """Interval of instants in which the level of the loss changed, a block wider on either side."""
    blocks = int(np.clip(len(now.loss) // 40, 4, 60))
    block = (np.arange(len(now.loss)) * blocks // len(now.loss)).astype(np.int64)
    count = np.bincount(block).astype(float)
    values = np.r_[before.loss.mean(), np.bincount(block, weights=now.loss) / count]
    weight = np.r_[float(len(before.loss)), count]
    found = step(values, weight, float(now.loss.var() + before.loss.var()) / 2 or 1e-9)
    starts = np.r_[now.time[np.searchsorted(block, np.arange(blocks))], now.time[-1]]
    width = float(now.time[-1] - now.time[0]) / blocks
    first, last = starts[max(found.low - 1, 0)], starts[min(found.high - 1, blocks)]
    # what an event sets off may take a while to show
    return float(first) - max(1.5 * width, 0.25 * float(now.time[-1] - now.time[0])), float(
        last
    ) + 1.5 * width
