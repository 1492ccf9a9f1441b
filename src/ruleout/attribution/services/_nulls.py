"""Reasons for the alarm that are nobody's fault: nothing happened, it was planned, it is over, it was measured wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout._records import Subject, Symptom
from ruleout.attribution.services._monitor import mismeasured
from ruleout.attribution.services._ordinary import Series, ordinary, symptom_series
from ruleout.attribution.services._rank import TEMPERATURE, UNKNOWN, entity_scores
from ruleout.attribution.services._records import Null, Signal
from ruleout.attribution.services._scene import Observed
from ruleout.sources._changes import Change, meant_to_disturb

_CALM = 0.7
"""Probability of no incident where the symptom's own metric never left its usual range."""

_PLANNED = 0.9
_BEFORE = 900.0
"""Seconds by which announced work may lead the symptom."""

_AFTER = 90.0
_DAY = 86_400.0
_HOURS = re.compile(
    r"\b([01]?\d|2[0-3]):([0-5]\d)(?::\d\d)?\s*(?:-|–|to|until)\s*([01]?\d|2[0-3]):([0-5]\d)\b"
)
"""The hour from which work is announced, in universal time as all times are."""

_HARMLESS = re.compile(
    r"\bno (\w+ ){0,2}(impact|effect|downtime|disruption)|\boffice\b|cancel|postpone", re.IGNORECASE
)
_OVER = 0.6
_LASTING = 12
"""Samples for which a symptom must have stayed away to be over, or twice as many as it was there."""

_FEWEST = 8
"""... of which there must be so many all the same: few samples are quiet by chance."""

_MANY, _SMOOTH = 100, 5
"""Samples of the incident for each sample on either side by which one is smoothed, and at most so many."""

_PART = 0.25
"""... and part of the window."""

_LATE = 0.15
"""The last part of the window, in which all must be as usual again."""

_STILL = 0.5


_OF_SYMPTOM = {"symptom_flow", "beneath", "seen_below"}
"""Signals that share out the symptom's own loss, and prove no trouble where there was none."""


def nulls(seen: Observed, told: Symptom, signals: Sequence[Signal] = ()) -> list[Null]:
    """The null hypotheses with some probability, likeliest first.

    Args:
        seen: the incident.
        told: its symptom.
        signals: everything that speaks for an entity: that nothing happened must hold against it.
    """
    found = [
        *(_against(one, signals) for one in _quiet(seen, told)),
        *_planned(seen),
        *_recovered(seen),
        *(_against(one, signals) for one in mismeasured(seen)),
    ]
    return sorted(found, key=lambda one: -one.probability)


def _against(one: Null, signals: Sequence[Signal]) -> Null:
    """Chance or a broken measure, with odds less what somebody shows beyond what healthy entities do as well."""
    if one.by_itself or one.mode not in {"random_fluctuation", "monitor_defect"}:
        return one
    scores = entity_scores([s for s in signals if s.name not in _OF_SYMPTOM])
    over = max(max(scores.values(), default=0.0) - UNKNOWN, 0.0)
    odds = one.probability / (1 - one.probability) * float(np.exp(-over / TEMPERATURE))
    return one._replace(probability=odds / (1 + odds))


def shared_out(found: Sequence[Null]) -> list[Null]:
    """The nulls with probabilities that leave room for each other; the likeliest takes its part first."""
    left, out = 1.0, []
    for one in found:
        out.append(one._replace(probability=one.probability * left))
        left -= out[-1].probability
    return out


def _quiet(seen: Observed, told: Symptom) -> list[Null]:
    found = ordinary(seen, told)
    if found or not (told.significant is False or _level(seen, told)):
        return found
    text = f"{told.metric} stayed within its usual range"
    return [Null("random_fluctuation", Subject(), _CALM, text)]


def _level(seen: Observed, told: Symptom) -> bool:
    """Whether the symptom's mean may not have moved at all, and no sample lies far beyond the usual range."""
    series = symptom_series(seen)
    if series is None or told.low is None or told.high is None or not told.low <= 0 <= told.high:
        return False
    return not _beyond(series).any()


def _beyond(series: Series) -> np.ndarray:
    """Which samples of the incident lie beyond the usual range by as much as it is wide.

    Where samples are many, a lone one is a slow request and no symptom: they are taken by the median of their next ones.
    """
    before, now = series.value[series.usual], series.value[series.now]
    high = float(np.quantile(before, 0.975))
    width = max(high - float(np.quantile(before, 0.025)), 0.02 * abs(high), 1e-12)
    side = min(len(now) // _MANY, _SMOOTH)
    if side:
        rows = np.lib.stride_tricks.sliding_window_view(
            np.pad(now, side, mode="edge"), 2 * side + 1
        )
        now = np.median(rows, axis=1)
    return np.asarray(now > high + width)


def _planned(seen: Observed) -> list[Null]:
    spec = seen.incident.symptom
    at = seen.start.at if seen.start else spec.noticed_at or seen.windows.current[0]
    earliest = seen.start.low if seen.start else at
    found: list[Null] = []
    for change in seen.changes:
        meant = meant_to_disturb(change.kind, change.description)
        if not meant:
            continue
        hour = _announced(change)
        if -_AFTER <= at - change.at <= _BEFORE:
            text = f"the symptom began {at - change.at:.0f} s after: {change.description}"
        elif hour is not None and at - hour >= -_AFTER and earliest - hour <= _BEFORE:
            text = f"the symptom began when it was announced: {change.description}"
        else:
            continue
        found.append(
            Null("planned_event", Subject("change", (change.id,)), meant * _PLANNED, text[:300])
        )
    return sorted(found, key=lambda one: -one.probability)[:1]


def _announced(change: Change) -> float | None:
    """When the hours begin that an event's description announces; None where it names none."""
    told = _HOURS.search(change.description)
    if told is None:
        return None
    begin = change.at - change.at % _DAY + 3600.0 * int(told[1]) + 60.0 * int(told[2])
    # An hour that was over by the time of the event is the next day's.
    return begin if begin >= change.at - _AFTER else begin + _DAY


def _recovered(seen: Observed) -> list[Null]:
    """The symptom came once, went, and has stayed away for longer than it was there."""
    series = symptom_series(seen)
    if series is None:
        return []
    bad = _beyond(series)
    if not bad.any():
        return []
    first, last = int(np.argmax(bad)), int(len(bad) - 1 - np.argmax(bad[::-1]))
    length, since = last - first + 1, len(bad) - 1 - last
    steady = bad[first : last + 1].mean() >= 0.6
    if not steady or since < max(min(_LASTING, max(2 * length, _FEWEST)), length, _PART * len(bad)):
        return []
    if _lasts(seen):
        return []
    text = f"the symptom lasted {length} samples and has stayed away for the {since} since"
    return [Null("already_recovered", Subject(), _OVER, text)]


def _lasts(seen: Observed) -> bool:
    """Whether something that departed is still away at the end: what is hidden for a while is not over."""
    start, end = seen.windows.current
    # A count that nobody knows the meaning of may go up for reasons of its own.
    telling = (pl.col("kind") != "other") | pl.col("clue").is_not_null()
    rows = seen.departed.filter(
        (pl.col("score") > 1.0) & telling & ~pl.col("metric").is_in(seen.telemetry.kpis)
    )
    late = (
        seen.telemetry.metrics.filter(pl.col("time").is_between(end - _LATE * (end - start), end))
        .group_by("entity", "metric")
        .agg(pl.col("value").median().alias("late"))
    )
    known = rows.join(late, on=["entity", "metric"])
    way = (pl.col("late") - pl.col("level")) / (pl.col("now") - pl.col("level"))
    return bool(known.filter(way > _STILL).height)
