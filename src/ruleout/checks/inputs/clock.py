"""Clocks among the inputs: an hour of the day, or an instant, that goes with the time of the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import words_of
from ruleout.checks.inputs._departure import departures, scope_words
from ruleout.checks.inputs._locate import Located, locate
from ruleout.profile import Case, Which, spread_rows
from ruleout.stats._dial import of_a_day, past_midnight, round_the_clock, turned

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_ROWS = 20_000
_HOUR = 3600.0
_DAY = 24.0
_TOLERANCE = 1.5
"""Hours within which a clock goes with the request's; also what a change to summer time stays below."""

_GOES = 0.9
"""Share of reference rows that must go with the request for an input to be a clock of it."""

_CHANCE = 0.75
"""Share that goes with other requests' times from which on nothing is told by going with one's own."""

_FEW = 6
"""Different whole hours off the time of the request that the zones of one system may lie."""

_LEAST_SHARE = 0.03
_HOURS = frozenset({"hour", "hours", "hr", "hrs", "hod", "tod", "clock", "time"})
"""Words of inputs that tell the hour of the day, where they lie on too few of its hours to show it."""

HOUR = frozenset({"hour", "hr", "hod", "heure", "hora", "stunde", "uhrzeit"})
"""Words that name an hour of the day; `hours` may be how long something takes."""

_ZONES = 26.0
"""No two time zones are farther apart, in hours."""


class Clock(NamedTuple):
    """An input that tells the time of the request, and how far (hours) it is from where it was."""

    name: str
    rows: Places
    """Current rows that were looked at."""

    off: Floats
    """Hours (n,) between the input and where the reference says it stands at that time; NaN unknown."""

    turns: bool
    """Whether it is an hour of the day, which comes round, and not an instant."""


@check("clock_inputs", layer="data", rung="inputs", looks_for=("time_shift",))
def clock_inputs(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Does an hour of the day, or an instant, still go with the time of the request?

    Rule: an input that in the reference stands a fixed time from the row's timestamp (within an hour and
    a half in nine rows of ten, in all or by segment) and now stands whole hours elsewhere comes from
    another time zone. Where the row's own time says nothing, an hour of the day whose distribution is the
    reference's, turned in a part of the rows, does. An hour's change is left to summer time.
    """
    del rng
    for name in case.features:
        clock = _clock(case, name)
        if clock is None:
            yield from _by_itself(case, name)
            continue
        found = _turned(case, clock)
        if found is not None:
            yield found
        else:
            told = f"{name} goes with the time of the request as it did"
            yield Clear(("time_shift",), Subject("feature", (name,)), told, 0.03, "clock.goes")


def tells_time(case: Case, name: str) -> bool:
    """Whether an input goes with the time of the request as it did: then its values are what the hours are, none broken."""
    key = f"tells time {name}"
    if key not in case.cache:
        clock = _clock(case, name) if name in case.features else None
        case.cache[key] = clock is not None and _turned(case, clock) is None
    return bool(case.cache[key])


def by_the_clock(case: Case, name: str) -> bool:
    """Whether an input is a clock whose values follow from the time of their requests, in whatever few time zones."""
    clock = _clock(case, name) if name in case.features else None
    if clock is None:
        return False
    off = clock.off[np.isfinite(clock.off)]
    counts = np.sort(np.unique(np.round(off), return_counts=True)[1])[::-1]
    return bool(counts[:_FEW].sum() >= _GOES * len(off))


def hour_of_day(case: Case, name: str) -> bool:
    """Whether an input is an hour of the day: by its range and its name, or as it goes with the time of the request."""
    if case.kind(name) != "numeric" or not of_a_day(case.reference.numeric(name)):
        return False
    return bool(words_of(name) & HOUR) or _clock(case, name) is not None


def _clock(case: Case, name: str) -> Clock | None:
    """The input as a clock, if the reference shows that it is one."""
    turns = case.kind(name) == "numeric" and of_a_day(case.reference.numeric(name))
    if not turns and case.kind(name) != "datetime":
        return None
    windows: tuple[Which, Which] = ("reference", "current")
    rows = {w: spread_rows(case.table(w).rows, _ROWS) for w in windows}
    apart = {w: _apart(case, w, name, at, turns=turns) for w, at in rows.items()}
    was, now = apart["reference"], apart["current"]
    if was is None or now is None or min(np.isfinite(was).sum(), np.isfinite(now).sum()) < 100:
        return None
    for segment in (None, *case.segments):
        zones = [_zones(case, w, segment, at) for w, at in rows.items()]
        centres = _centres(was, *zones, turns=turns)
        if centres is None:
            continue
        before, after = (
            _wrapped(x - c, turns=turns) for x, c in zip((was, now), centres, strict=True)
        )
        goes = float((np.abs(before[np.isfinite(before)]) <= _TOLERANCE).mean())
        if goes >= _GOES and _by_chance(case, name, rows["reference"], turns=turns) < _CHANCE:
            return Clock(name, rows["current"], after, turns)
    return None


def _by_chance(case: Case, name: str, rows: Places, *, turns: bool) -> float:
    """Share of reference rows that would go with the request if each had another's time.

    What hardly varies, or is logged with days alone, goes with anything.
    """
    other = case.rng(f"clock {name}").permutation(rows)
    table = case.reference
    if table.time is None:
        return 1.0
    value, time = table.numeric(name)[rows], table.time[other]
    off = value - time / _HOUR % _DAY if turns else (value - time) / _HOUR
    off = off[np.isfinite(off)]
    if not len(off):
        return 1.0
    about = _wrapped(off - _middle(off, turns=turns), turns=turns)
    return float((np.abs(about) <= _TOLERANCE).mean())


def _apart(case: Case, which: Which, name: str, rows: Places, *, turns: bool) -> Floats | None:
    """Hours (n,) from the request to the input."""
    table = case.table(which)
    if table.time is None or not table.has(name):
        return None
    value, time = table.numeric(name)[rows], table.time[rows]
    if not turns:
        return np.asarray((value - time) / _HOUR)
    whole = bool((value[np.isfinite(value)] % 1 == 0).all())
    hour = time / _HOUR % _DAY
    return np.asarray(value - (np.floor(hour) if whole else hour))


def _zones(case: Case, which: Which, segment: str | None, rows: Places) -> NDArray[np.int32]:
    """Code (n,) of the segment whose rows share a time zone; one code for all without a segment."""
    if segment is None:
        return np.zeros(len(rows), dtype=np.int32)
    if not case.table(which).has(segment) or len(case.vocabulary(segment)) > 60:
        return np.full(len(rows), -1, dtype=np.int32)
    return case.codes(which, segment)[rows]


def _centres(
    was: Floats, before: NDArray[np.int32], after: NDArray[np.int32], *, turns: bool
) -> tuple[Floats, Floats] | None:
    """Where the clock stands in each zone in the reference, for the rows (n,) and (m,) of both windows."""
    if (before < 0).all():
        return None
    table = np.full(int(max(before.max(), after.max())) + 2, np.nan)
    for zone in np.unique(before[before >= 0]):
        here = was[(before == zone) & np.isfinite(was)]
        if len(here) >= 20:
            table[zone] = _middle(here, turns=turns)
    return table[before], table[after]


def _middle(hours: Floats, *, turns: bool) -> float:
    """Median of hours (n,); on a clock's face, about their mean direction."""
    if not turns:
        return float(np.median(hours))
    angle = np.exp(2j * np.pi * hours / _DAY).mean()
    about = float(np.angle(angle)) * _DAY / (2 * np.pi)
    return about + float(np.median(_wrapped(hours - about, turns=True)))


def _wrapped(hours: Floats, *, turns: bool) -> Floats:
    """Hours (n,) from -12 to 12 where they are on a clock's face."""
    half = _DAY / 2
    return np.asarray((hours + half) % _DAY - half) if turns else hours


def _by_itself(case: Case, name: str) -> Iterator[Finding]:
    """An hour of the day that no time of the request goes with: its distribution alone can tell of a turn."""
    moved = departures(case).get(name)
    if moved is None or not moved.departed or case.kind(name) != "numeric":
        return
    before = case.reference.numeric(name)
    after = case.current.numeric(name)[moved.rows]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if any(not len(x) or x.min() < 0 or x.max() >= _DAY for x in (before, after)):
        return
    told = turned(before, after)
    named = bool(words_of(name) & _HOURS)
    if told is None or not (round_the_clock(before) or (named and past_midnight(before, told))):
        return
    subject = Subject("feature", (name,))
    part = "all" if told.share > 0.95 else f"{told.share:.0%}"
    options = {"hours": float(told.hours), "share": told.share}
    yield Finding(
        "clock.dial",
        subject,
        f"{name} reads as if {part} of its hours{scope_words(moved)} were {told.hours:+d} off (total variation "
        f"{told.distance_before:.3f} before, {told.distance_after:.3f} once those are turned back)",
        float(told.hours),
        told.distance_before / max(moved.usual, 1e-6),
        None,
        1.0,
        ("time_shift",),
        ("covariate_shift", "concept_drift", "unit_change", "partial_batch"),
        moved.scope,
        moved.onset,
        (RepairPlan("turn_clock", subject, moved.scope, options),),
    )


def _turned(case: Case, clock: Clock) -> Finding | None:
    """The clock in another zone, where part of the rows or all of them stand whole hours off."""
    known = np.isfinite(clock.off)
    far = np.abs(clock.off) > _TOLERANCE
    if far[known].mean() < _LEAST_SHARE:
        return None
    place = locate(case, clock.rows, np.where(known, far.astype(float), np.nan))
    inside, outside = place.rows & known & far, ~place.rows & known
    if inside.sum() < 30:
        return None
    rest = _middle(clock.off[outside], turns=clock.turns) if outside.sum() >= 30 else 0.0
    shift = _wrapped(
        np.array([_middle(clock.off[inside], turns=clock.turns) - rest]), turns=clock.turns
    )[0]
    step = 1.0 if clock.turns else 0.25
    whole = float(round(shift / step) * step)
    left = _wrapped(clock.off[inside] - rest - whole, turns=clock.turns)
    gone = float((np.abs(left) <= 2 * _TOLERANCE).mean())
    if abs(shift - whole) > 0.1 or not _TOLERANCE < abs(whole) <= _ZONES or gone < 0.8:
        return None
    return _finding(case, clock, whole, place)


def _finding(case: Case, clock: Clock, hours: float, place: Located) -> Finding:
    subject = Subject("feature", (clock.name,))
    share = float(case.scope_rows(place.scope).mean())
    told = f"{clock.name} is {hours:+g} hours off the time of the request, where it was not before ({share:.0%} of rows, {place.words})"
    return Finding(
        "clock.turned",
        subject,
        told,
        hours,
        share,
        None,
        1.0,
        ("time_shift",),
        ("covariate_shift", "concept_drift", "unit_change", "stale_features", "silent_nulls"),
        place.scope,
        place.onset,
        (RepairPlan("turn_clock", subject, place.scope, {"hours": hours}),),
    )
