"""Did the log lose or gain a part of the traffic, instead of the traffic changing?

Rule: rows by slice of the columns that moved, beside an independent count of requests where the telemetry has one that
went with the log in the reference, else per unit of time. When people change, some slices grow as others shrink; when a
logging rule drops rows, the untouched slices keep their rate and the others fall (or, for bots and double logging,
rise). A log that holds the usual share of what was counted lost nothing. Without a count, assumes timestamps and
windows logged at the same usual rate; where neither is to be had, who came cannot be told from what was logged, and a
mix that explains the change speaks for both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._departure import departures
from ruleout.checks.world._bins import Binned, binned
from ruleout.checks.world._census import Census, census
from ruleout.checks.world._view import NO_HARM, Split, View, split, view
from ruleout.checks.world.decomposition import OVERLAP, blamed, fraction, moved
from ruleout.profile import Case, iso
from ruleout.stats._boosting import Floats

MODES = ("selection_bias",)
_OTHERS = ("covariate_shift", "benign_mix", "silent_nulls", "join_loss")
"""Who came is not what was logged, and rows that lost a value are still logged."""

_COUNT = "telemetry.metrics"
_SAMPLED = (0.3, 2.0)
"""Rates outside of this range of each other come from how the windows were drawn."""

_CUT, _ADDED = 0.6, 1.6
"""A slice below or above this, of its usual rate, was cut out or added to."""

_ROOM = 0.15
_BEGUN = 150
"""Rows that a window needs before and after its mix moved."""

_MUCH = 0.6
"""Of the widest spread of slices, what a column must show to speak for all."""

_FEW = 50
"""Rows of the reference that a slice needs."""


_SOME = 0.3
"""Share of the change that the mix must bring for the log to answer for it."""

_NEAR = 0.05
"""Share of the window by which a change may come before or after the mix is seen to move."""

_MADE = frozenset({"deploy", "config", "flag", "commit", "data"})
_LOGGING = re.compile(
    r"\b(sampl(e|er|es|ed|ing)|logg(er|ing|ed)|(request|access|event|impression|audit).?logs?|consent\w*|cookies?"
    r"|opt.?(in|out)|filter(s|ed|ing)?|bots?|crawlers?|scrapers?|funnel|tracking|tracker|pre.?screen\w*"
    r"|(allow|block|deny).?list\w*)\b",
    re.IGNORECASE,
)
"""How people write of changes to which requests are let in or written down."""


class Rates(NamedTuple):
    """Rows, current over reference, beside what they should be."""

    name: str
    whole: float
    least: float
    """Ratio of the slices with enough rows that are nearer to the smallest, weighted by their rows."""

    most: float
    """The same of those that are nearer to the largest."""

    def lost(self, room: float) -> bool:
        """Whether some slices are short of rows and none has more than usual."""
        return self.whole < 1 - room and abs(self.most - 1) <= room and self.least < _CUT

    def gained(self, room: float) -> bool:
        """Whether some slices have more rows than usual and none fewer."""
        return self.whole > 1 + room and abs(self.least - 1) <= room and self.most > _ADDED


@check(
    "selection",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current"),
)
def selection(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare rates of the slices of the columns that moved: beside a count of requests, else by time."""
    del rng
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    seen, parts = view(case), split(case)
    if seen is None or parts is None:
        return [Abstained(MODES, "too few labelled rows or no inputs", "data.columns.target")]
    if not moved(case, seen, parts):
        return [
            Clear(MODES, Subject(), "the mix of the inputs did not move", 0.1, "selection.none")
        ]
    names = blamed(seen, parts.parts.ratio.gain)
    counted = census(case)
    if counted is not None:
        said = list(_counted(case, seen, names, counted))
    else:
        said = list(_timed(case, seen, parts, names))
    found = [s for s in said if isinstance(s, Finding)]
    return [
        *said,
        *(f for one in found for f in (_explains(parts, one), _announced(case, one)) if f),
    ]


def _explains(parts: Split, found: Finding) -> Finding | None:
    """What the log lost or gained makes the mix of rows, which is then no shift of its own, whichever column shows it.

    Nor do answers steer inputs whose ties to them moved as rows were cut.
    """
    p = parts.parts
    if not found.against or fraction(p.covariates, p.change)[0] < _SOME:
        return None
    return replace(
        found, signal="selection.explains", subject=Subject(), supports=(), repairs=(),
        against=("covariate_shift", "benign_mix", "feedback_loop"),
    )  # fmt: skip


def _announced(case: Case, found: Finding) -> Finding | None:
    """One change of what is logged or let in, where the mix moved; the words of a log prove nothing by themselves."""
    now = case.current.time
    if now is None:
        return None
    first, last = float(np.nanmin(now)), float(np.nanmax(now))
    at = _moved_at(case) or first
    room = _NEAR * (last - first)
    told = [
        c
        for c in case.changes
        if c.kind in _MADE
        and any(abs(c.at - when) <= room for when in (first, at))
        and _LOGGING.search(f"{c.entity} {c.description}")
    ]
    if len(told) != 1:
        return None
    text = f"the mix of rows moved when what is logged or let in was changed: {told[0].entity}, {told[0].description}"
    return replace(
        found, signal="selection.announced", statement=text, statistic=told[0].at, effect=1.0, strength=1.0,
        against=("benign_mix",),
    )  # fmt: skip


def _counted(case: Case, seen: View, names: tuple[str, ...], counted: Census) -> Iterator[Outcome]:
    """Judge by the share of counted requests that the log holds."""
    room = max(0.03, 3.0 * counted.usual)
    share = counted.share
    told = (
        f"the log holds {share:.0%} of what it used to hold of {counted.metric} at {counted.entity} "
        f"({counted.before:.3g} rows a count before, {counted.now:.3g} now)"
    )
    if abs(share - 1) <= room:
        yield Clear(MODES, Subject(), told, room, "selection.counted")
        return
    rates = _slices(case, seen, share)
    cut = [r for r in rates if (r.lost if share < 1 else r.gained)(_ROOM)]
    # What was selected on shows slices that are whole beside such as are gone; what goes with it shows both blurred.
    best = max(cut, key=lambda r: (r.most - r.least, r.name), default=None)
    if best is not None:
        names = (best.name,)
        told = f"{told}: slices of {best.name} are at {best.least:.2f} to {best.most:.2f} of it"
    yield _finding("selection.uncounted", names, told, share, 1.0 if counted.same or best else 0.5)


def _timed(case: Case, seen: View, parts: Split, names: tuple[str, ...]) -> Iterator[Outcome]:
    """Judge by rows per unit of time: since the mix moved, where that was within the window, else over all of it."""
    since = _since_onset(case, seen, names)
    if since is not None:
        best, at = since
        text = (
            f"since {iso(at)} the log holds {best.whole:.0%} of the rows that the window began with, hour by hour: some "
            f"slices of {best.name} keep their rate ({best.most:.2f}) while others are at {best.least:.2f}"
        )
        about = names if best.name in names else (best.name,)
        yield _finding("selection.lost", about, text, best.whole, 1.0)
        return
    whole = rate(case)
    if whole is None or not _SAMPLED[0] < whole < _SAMPLED[1]:
        why = (
            "no timestamps and no count of requests"
            if whole is None
            else f"{whole:.2f} times the usual rate: the windows were not drawn at one rate"
        )
        yield from _open(case, parts, names, why)
        return
    room = max(_ROOM, 2.0 * _usual(case))
    rates = _slices(case, seen, whole)
    # Where the columns that moved most show slices that grew as others shrank, people changed, whatever others show.
    most = max((r.most - r.least for r in rates), default=0.0)
    cut = [r for r in rates if (r.lost(room) or r.gained(room)) and r.most - r.least > _MUCH * most]
    if not cut:
        text = f"{whole:.2f} times the usual rate, and no part was cut out or added to"
        if abs(np.log(whole)) < room:
            yield Clear(MODES, Subject(), text, room, "selection.steady_volume")
        else:
            yield from _open(case, parts, names, text)
        return
    # Slices of what goes with the columns that were selected on are cut as well, and seldom more plainly.
    best = max(cut, key=lambda r: (r.name in names, r.most - r.least, r.name))
    lost = best.whole < 1
    kept, changed = (best.most, best.least) if lost else (best.least, best.most)
    verb = "lost" if lost else "gained"
    text = (
        f"the log {verb} rows ({whole:.2f} times the usual rate): some slices of {best.name} keep their absolute "
        f"rate ({kept:.2f}) while others are at {changed:.2f}"
    )
    about = names if best.name in names else (best.name,)
    yield _finding(f"selection.{verb}", about, text, whole, 1.0)


def _since_onset(case: Case, seen: View, names: tuple[str, ...]) -> tuple[Rates, float] | None:
    """The slices that lost rows when the mix moved, beside those that kept theirs, and since when; None without any.

    Windows that were drawn at different rates say nothing of each other's; the rows of one window do, hour by hour
    of the day as the reference has them.
    """
    at = _moved_at(case)
    if at is None:
        return None
    times = case.current.time
    before = case.reference.time
    if times is None or before is None:
        return None
    late = times >= at
    counts = float((~late).sum()), float(late.sum())
    if min(counts) < _BEGUN:
        return None
    usual = _by_hour(before)
    first, last = float(np.nanmin(times)), float(np.nanmax(times))
    due = [_due(usual, a, b) for a, b in ((first, at), (at, last))]
    if min(due) <= 0:
        return None
    whole = (counts[1] / due[1]) / (counts[0] / due[0])
    room = max(_ROOM, 2.0 * _usual_day(before, usual), 3.0 / np.sqrt(counts[0]))
    rates = _slices(case, seen, whole, since=at)
    cut = [r for r in rates if r.lost(room)]
    best = max(cut, key=lambda r: (r.name in names, r.most - r.least, r.name), default=None)
    return None if best is None else (best, at)


def _moved_at(case: Case) -> float | None:
    """When the input that departed most did, within the current window."""
    moved = [d for d in departures(case).values() if d.departed and d.onset is not None]
    if not moved:
        return None
    most = max(moved, key=lambda d: (d.distance / max(d.usual, 1e-9), d.name))
    return None if most.onset is None else datetime.fromisoformat(most.onset.at).timestamp()


_DAY = 86_400.0
_HOUR = 3_600.0


def _by_hour(times: Floats) -> Floats:
    """Rows by hour of the day (24,), as shares of the mean hour, drawn a little towards it."""
    known = times[np.isfinite(times)]
    counts = np.bincount((known % _DAY // _HOUR).astype(np.int64), minlength=24).astype(float)
    return np.asarray((counts + 5) / (counts + 5).mean())


def _due(by_hour: Floats, start: float, end: float) -> float:
    """Hours between two instants, each weighted by how many rows its hour of the day brings."""
    edges = np.append(np.arange(start, end, _HOUR / 4), end)
    middle = (edges[1:] + edges[:-1]) / 2
    weight = by_hour[(middle % _DAY // _HOUR).astype(np.int64)]
    return float((np.diff(edges) / _HOUR * weight).sum())


def _usual_day(times: Floats, by_hour: Floats) -> float:
    """Spread of the log of the rows of half days of the reference, beside what their hours bring."""
    known = np.sort(times[np.isfinite(times)])
    edges = np.arange(known[0], known[-1], _DAY / 2)
    if len(edges) < 4:
        return _ROOM
    counts = np.diff(np.searchsorted(known, edges))
    due = np.array([_due(by_hour, a, b) for a, b in pairwise(edges)])
    return float(np.std(np.log((counts + 0.5) / due)))


def _open(case: Case, parts: Split, names: tuple[str, ...], why: str) -> Iterator[Outcome]:
    """Nothing tells who came from what was logged: where the mix explains the change, both stay."""
    p = parts.parts
    share, low, _ = fraction(p.covariates, p.change)
    if p.overlap < OVERLAP or p.supported < OVERLAP:
        share = 0.0
    mixed = case.cache.get("world mix")  # what the groups of one column explain, by its check
    if mixed is not None:
        names, share, low = (mixed[0],), mixed[1], 0.1
    if low <= 0 or share < 0.4 or not names:
        yield Abstained(MODES, why, _COUNT)
        return
    text = f"the mix of rows explains {share:.0%} of the change, and nothing tells who came from what was logged: {why}"
    yield _finding("selection.open", names, text, share, float(np.clip(share, 0.0, 1.0)))


def _finding(
    signal: str, names: tuple[str, ...], text: str, statistic: float, strength: float
) -> Finding:
    subject = Subject("feature", names)
    sure = signal != "selection.open"
    return Finding(
        signal=signal,
        subject=subject,
        statement=text,
        statistic=statistic,
        effect=abs(statistic - 1) if sure else statistic,
        p_value=None,
        strength=strength,
        supports=MODES,
        against=_OTHERS if sure else (),
        repairs=(RepairPlan("reweight", subject, options={"to": "inputs"}),),
    )


def _slices(case: Case, seen: View, whole: float, *, since: float | None = None) -> list[Rates]:
    """Ratios of rows by bin of every column that moved, where the log (since an instant) is at `whole` of its due."""
    table = binned(case, seen)
    if since is not None and case.current.time is not None:
        late = case.current.time[seen.current.rows] >= since
        table = replace(table, current=table.current[late])
    told = (
        slice_rates(table, name, whole) for name, went in departures(case).items() if went.departed
    )
    return [r for r in told if r is not None]


def slice_rates(table: Binned, name: str, whole: float) -> Rates | None:
    """Ratios by bin of one column; None when the column is not binned or has no two bins with enough rows."""
    if name not in table.names:
        return None
    column = table.names.index(name)
    size = int(max(table.reference[:, column].max(), table.current[:, column].max())) + 1
    before, now = (
        np.bincount(bins[:, column], minlength=size) / len(bins)
        for bins in (table.reference, table.current)
    )
    enough = before * len(table.reference) >= _FEW
    if enough.sum() < 2 or np.ptp(now[enough] / before[enough]) == 0:
        return None
    ratio = now[enough] * whole / before[enough]
    # The extremes of many slices are chance; those that kept their rate, and the others, are each told together.
    high = ratio >= (ratio.min() + ratio.max()) / 2
    least, most = (
        float(np.average(ratio[part], weights=before[enough][part])) for part in (~high, high)
    )
    return Rates(name, whole, least, most)


def rate(case: Case) -> float | None:
    """Rows per unit of time, current over reference; None without timestamps or an extent in time."""
    if case.reference.time is None or case.current.time is None:
        return None
    spans = [float(np.nanmax(t) - np.nanmin(t)) for t in (case.reference.time, case.current.time)]
    if min(spans) <= 0:
        return None
    return (case.current.total_rows / spans[1]) / (case.reference.total_rows / spans[0])


def _usual(case: Case) -> float:
    """Spread of the log rate between blocks of the reference."""
    time = case.reference.time
    if time is None:
        return 0.0
    count, _ = np.histogram(time[np.isfinite(time)], bins=8)
    return float(np.std(np.log(count[1:-1] + 0.5)))
