"""Whether the symptom is more than what the same service does on its usual days, for its usual requests.

A stretch of an incident is compared with stretches as long of the service's own past: its worst moment, its
worst few minutes, its worst half. Nothing is wrong where the past was as bad often enough; where it was
as bad at the same hour of the days before; where it was as bad under as much load; and where every kind of
request takes what it always did, and only more of the slow kinds are asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._records import Subject, Symptom
from ruleout.attribution.services._kinds import OFFERED, kind_of, words
from ruleout.attribution.services._records import Null
from ruleout.attribution.services._requests import Requests, requests_of
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._season import recurs
from ruleout.attribution.services._symptom import direction

_CALM = 0.7
"""Probability that nothing happened where the past was as bad."""

_USUAL = 0.05
"""Part of the past's stretches that must have been as bad; of a fault, hardly any was."""

_LEAST = 8
"""Samples that the past and the incident together must at least hold, the incident half of them."""

_GRANTED = 2.0
"""Scatters of the past's moments by which a past of a single stretch may be exceeded; half of that of three, and so on."""

_DAY = 86_400.0
_HOURS = 0.25
"""Part of the incident's length by which a stretch of an earlier day may lie off its hour."""

_WORSE = 1.1
"""Times as far off its level as on the worst of the days before that a symptom may be and still be as it is every day ..."""

_LIKE = 0.75
"""... and the part of that which each of them must have reached."""

_APART = 0.5
"""Part of the incident's length that earlier load must lie before it to be another's."""

_RANGE = 1.1
"""Times the past's greatest load up to which the past tells what a load costs."""

_TIED = 0.3
"""Part of the variance of the symptom's logarithm that load must explain in the past to excuse anything."""

_LABEL = re.compile(r"[:{\[(].+")
_COPY = re.compile(
    r"\b(pod|copy|instance|container|replica|task|node|host|zone|az)\s*[=:]", re.IGNORECASE
)
_KINDS = 2
"""Kinds of request that must be measured apart for a mix of them to be told."""

_MIXED = 0.8
_BY_MIX = 0.8
_MEAN = {"avg", "mean", "average"}
_TAIL = {"p90", "p95", "p99", "p999"}
_NOTED = 0.8
_BESIDE = 0.3
"""Part of a mean's growth, on a log scale, that its tail and others' latency may grow where only the mix has changed."""

_SHIFTED = 1.5
"""By what factor calls to one callee must have grown beside calls to another."""

_SLIGHT = 0.05
"""What the mix must account for of a change, and how much longer, on a log scale, each kind may take beside it."""

_NO_MORE = 0.1
"""Probability that as many requests fail as before from which on they do."""

_SHIFT = 0.02
"""Greatest probability that a mix of kinds of request is as it was, for more of one to be told."""


class Series(NamedTuple):
    """One quantity of the symptom; more is worse."""

    time: np.ndarray
    value: np.ndarray
    usual: np.ndarray
    """Which samples are the past's."""

    now: np.ndarray
    """Which are the incident's."""


def ordinary(seen: Observed, symptom: Symptom) -> list[Null]:
    """The likeliest reason why the symptom is nothing out of the usual; at most one."""
    told = symptom_series(seen)
    sign = direction(seen.incident)
    if (
        told is not None
        and symptom.significant
        and -sign * (symptom.change or 0.0) > _width(told)
        and as_bad(-told.value[told.usual], -told.value[told.now]) < _USUAL
    ):
        # It moved as it never did, and the other way than is complained of: not usual, nor the symptom.
        return []
    asked = requests_of(seen)
    if told is None:
        return [] if asked is None else _of_requests(asked)
    if as_usual(told):
        return [_as_before(seen, told)]
    found = _every_day(seen, told) or _of_load(seen, told) or _of_kinds(seen) or _of_callees(seen)
    if (
        found is None
        and asked is not None
        and kind_of(seen.incident.symptom.metric or "")
        in {
            "latency",
            "error",
            "availability",
        }
    ):
        found = next(iter(_of_requests(asked, moved=True)), None)
    return [] if found is None else [found]


def _width(one: Series) -> float:
    """How far single samples of the past lie apart: a mean that moves by less is told surely and felt by nobody."""
    return float(np.ptp(np.quantile(one.value[one.usual], [0.1, 0.9])))


def symptom_series(seen: Observed) -> Series | None:
    """The symptom's own metric; None where it was not recorded, or too seldom."""
    spec = seen.incident.symptom
    if spec.metric is None or spec.entity is None:
        return None
    return series_of(seen, spec.entity, spec.metric, direction(seen.incident) or 1)


def series_of(seen: Observed, entity: str, metric: str, sign: int = 1) -> Series | None:
    """One metric of one entity, turned so that more is worse; None where it has too few samples."""
    rows = seen.telemetry.metrics.filter(
        (pl.col("entity") == entity) & (pl.col("metric") == metric) & pl.col("value").is_finite()
    ).sort("time")
    time, value = rows["time"].to_numpy(), sign * rows["value"].to_numpy()
    usual = np.zeros(len(time), dtype=bool)
    for low, high in seen.windows.reference:
        usual |= (time >= low) & (time < high)
    now = (time >= seen.windows.current[0]) & (time <= seen.windows.current[1])
    usual &= ~now
    if usual.sum() < _LEAST or now.sum() < _LEAST // 2:
        return None
    return Series(time, value, usual, now)


def as_usual(one: Series) -> bool:
    """Whether stretches of the past as long as the incident were as bad, at every scale."""
    return as_bad(one.value[one.usual], one.value[one.now]) >= _USUAL


def as_bad(past: np.ndarray, now: np.ndarray) -> float:
    """Part of the past's stretches, as long as the incident, that were as bad at their worst.

    What a moment shows by chance, half of the incident does not; so of the worst sample, the worst three in a
    row, the worst quarter and the worst half, the one counts that the past reached least often. A past of few
    stretches has not seen the worst of what is usual: the fewer they are, the more is granted.
    """
    length = len(now)
    granted = _GRANTED / np.sqrt(1 + len(past) / length)
    least = 1.0
    for size in sorted({1, 3, max(length // 4, 1), max(length // 2, 1)}):
        if size > min(length, len(past)):
            continue
        worst = float(_means(now, size).max())
        means = _means(past, size)
        worst -= granted * _scatter(means, size)
        span = min(length - size + 1, len(means))
        stretches = np.lib.stride_tricks.sliding_window_view(means, span).max(axis=1)
        least = min(least, float((stretches >= worst).mean()))
    return least


def _scatter(means: np.ndarray, size: int) -> float:
    """By how much neighbouring stretches differ by chance: what creeps or comes and goes slowly does not count."""
    steps = means[size:] - means[:-size]
    if len(steps) < 2:
        return 0.0
    low, middle, high, most = np.quantile(steps, [0.25, 0.5, 0.75, 0.98])
    # What has a heavy tail is judged by its tail: in units of a normal's, both tell the same.
    return float(max((high - low) / 1.35, (most - middle) / 2.05) / np.sqrt(2))


def _means(values: np.ndarray, size: int) -> np.ndarray:
    total = np.cumsum(np.r_[0.0, values])
    return np.asarray((total[size:] - total[:-size]) / size)


def _as_before(seen: Observed, told: Series) -> Null:
    metric = seen.incident.symptom.metric
    daily = _every_day(seen, told)
    if daily is not None:
        return daily
    times = recurs(*told)
    if times:
        text = f"{metric} has risen as far {times} times, as long after each other each time"
        return Null("seasonality", Subject(), _CALM, text)
    text = f"{metric} was as bad before, and more than once, over stretches as long as the incident"
    return Null("random_fluctuation", Subject(), _CALM, text)


def _every_day(seen: Observed, told: Series) -> Null | None:
    """The symptom comes at this hour of every day that was recorded, as far as it does now, and not at others."""
    days = _days_alike(seen, told)
    if not days:
        return None
    text = f"{seen.incident.symptom.metric} rises as far at this hour of every day recorded before ({days})"
    return Null("seasonality", Subject(), _CALM, text)


def _days_alike(seen: Observed, told: Series) -> int:
    """How many days are recorded before, if on all of them it came at this hour as far as it does now; else 0."""
    level = float(np.median(told.value[told.usual]))
    start, end = seen.windows.current
    slack = _HOURS * (end - start)
    now = told.value[told.now]
    size = max(len(now) // 4, 1)
    here = float(_means(now, size).max()) - level
    days = int((start - told.time[0]) // _DAY)
    if days < 1 or here <= 0:
        return 0
    reached = []
    for day in range(1, days + 1):
        low, high = start - day * _DAY - slack, end - day * _DAY + slack
        values = told.value[(told.time >= low) & (told.time <= high) & ~told.now]
        if len(values) < max(len(now) // 2, size):
            return 0
        reached.append(float(_means(values, size).max()) - level)
    if here > _WORSE * max(reached) or min(reached) < _LIKE * min(here, max(reached)):
        return 0
    return days


def borne_before(seen: Observed, entity: str) -> bool:
    """Whether an entity is asked no more than it was in the past, or at this hour of the days before."""
    asked = seen.departed.filter(
        (pl.col("entity") == entity) & (pl.col("kind") == "traffic") & pl.col("about").is_null()
    )
    names = [name for name in sorted(asked["metric"]) if set(words(name)) & OFFERED]
    found = [one for one in (series_of(seen, entity, name) for name in names) if one is not None]
    # What has grown a while before the incident was declared is the same surge, and no past.
    start, end = seen.windows.current
    apart = [
        one._replace(usual=one.usual & (one.time < start - _APART * (end - start))) for one in found
    ]
    return bool(found) and all(
        (past.usual.sum() >= _LEAST and as_usual(past)) or _days_alike(seen, one) > 0
        for past, one in zip(apart, found, strict=True)
    )


def _of_load(seen: Observed, told: Series) -> Null | None:
    """The symptom is what the past had under as much load, which it had as well."""
    entity = seen.incident.symptom.entity
    names = seen.telemetry.metrics.filter(pl.col("entity") == entity)["metric"].unique().to_list()
    loads = sorted(n for n in names if kind_of(n) == "traffic" and set(words(n)) & OFFERED)
    for metric in loads:
        load = series_of(seen, str(entity), metric)
        if load is None or not np.array_equal(load.time, told.time):
            continue
        asked, lost = load.value, told.value
        if min(asked.min(), lost.min()) <= 0:
            continue
        size = max(int(told.now.sum()) // 4, 1)
        greatest = float(_means(asked[load.usual], size).max())
        if float(_means(asked[load.now], size).max()) > _RANGE * greatest:
            continue
        x, y = np.log(asked), np.log(lost)
        slope, base = np.polyfit(x[load.usual], y[load.usual], 1)
        left = y - slope * x - base
        tied = 1 - float(np.var(left[load.usual]) / max(np.var(y[load.usual]), 1e-12))
        if slope > 0 and tied >= _TIED and as_usual(told._replace(value=left)):
            text = f"{seen.incident.symptom.metric} is what it was before under as much {metric}"
            return Null("seasonality", Subject(), _CALM, text)
    return None


def _of_kinds(seen: Observed) -> Null | None:
    """A measure of all requests is worse, and each kind of them that is measured apart is as quick as ever."""
    spec = seen.incident.symptom
    kind = kind_of(spec.metric or "")
    rows = seen.departed.filter(
        (pl.col("entity") == spec.entity) & (pl.col("kind") == kind) & pl.col("about").is_null()
    )
    names = sorted(rows["metric"])
    sign = direction(seen.incident) or 1
    for whole in names:
        apart = [n for n in names if _LABEL.fullmatch(n.removeprefix(whole)) and n != whole]
        apart = [n for n in apart if not _COPY.search(n)]
        if len(apart) < _KINDS:
            continue
        series = [series_of(seen, str(spec.entity), name, sign) for name in (whole, *apart)]
        known = [one for one in series if one is not None]
        if len(known) < len(series) or as_usual(known[0]) or not all(map(as_usual, known[1:])):
            continue
        text = (
            f"{whole} of {spec.entity} is worse, and each of the {len(apart)} kinds of request in it is as it was:"
            " more of the costly ones are asked"
        )
        return Null("benign_mix", Subject(), _MIXED, text)
    return None


def _of_callees(seen: Observed) -> Null | None:
    """A mean is worse, and neither its tail nor anybody's latency is: less of what is quick is asked, by the calls made."""
    spec = seen.incident.symptom
    if kind_of(spec.metric or "") != "latency" or not set(words(spec.metric or "")) & _MEAN:
        return None
    slow = seen.departed.filter((pl.col("kind") == "latency") & pl.col("about").is_null())
    mine = slow.filter(pl.col("entity") == spec.entity)
    whole = mine.filter(pl.col("metric") == spec.metric)
    tails = mine.filter(pl.Series([bool(_TAIL & set(words(m))) for m in mine["metric"]]))
    others = slow.filter(pl.col("entity") != spec.entity)
    if whole.is_empty() or tails.is_empty() or others.is_empty():
        return None
    grown = float(np.log(whole["now"][0] / max(whole["level"][0], 1e-12)))
    longest = max(
        float(np.log(max(now, 1e-12) / max(level, 1e-12)))
        for level, now in pl.concat([tails, others.filter(pl.col("score") > _NOTED)])
        .select("level", "now")
        .iter_rows()
    )
    calls = seen.departed.filter(
        (pl.col("entity") == spec.entity)
        & pl.col("about").is_not_null()
        & pl.col("kind").is_in(["traffic", "other"])
        & (pl.col("level") > 0)
        & (pl.col("middle_now") > 0)
    )
    ratio = [now / level for level, now in calls.select("level", "middle_now").iter_rows()]
    if longest > _BESIDE * grown or len(ratio) < 2 or max(ratio) < _SHIFTED * min(ratio):
        return None
    text = f"{spec.metric} of {spec.entity} is worse, its tail and everybody's latency as before, and its calls are shared otherwise"
    return Null("benign_mix", Subject(), _MIXED, text)


def _of_requests(asked: Requests, *, moved: bool = False) -> list[Null]:
    """What requests in the traces tell: nothing of note (unless it is known that all of them moved), or only that other kinds of them are asked."""
    sound = asked.same_failures > _NO_MORE
    alike = all(_calm(*one) for one in asked.alike[:2]) and (sound or _calm(*asked.alike[2]))
    if not alike and not _mostly_mixed(asked):
        return []
    strictly = _calm(*asked.alike[2]) and all(_calm(*one) for one in asked.plain)
    if not moved and alike and strictly:
        text = f"{asked.number} requests are as quick and as sound as those before the incident"
        return [Null("random_fluctuation", Subject(), _CALM, text)]
    if asked.same_mix > _SHIFT:
        return []
    longer = "what it did" if alike else "hardly longer than it did"
    text = (
        f"each kind of request takes {longer}; what is asked has changed, {asked.more} most of all"
    )
    return [Null("benign_mix", Subject(), _MIXED, text)]


def _mostly_mixed(asked: Requests) -> bool:
    """Whether the mix alone would have made the change, and what each kind takes longer is small beside it."""
    before, now = asked.alike[1]
    longer = float(np.mean(now) - np.mean(before))
    lasting = float(_means(np.asarray(now), max(len(now) // 4, 1)).max() - np.mean(before))
    sound = asked.same_failures > _NO_MORE or _calm(*asked.alike[2])
    return sound and asked.by_mix >= _BY_MIX and longer < _SLIGHT and lasting < 2 * _SLIGHT


def _calm(before: Sequence[float] | np.ndarray, now: Sequence[float] | np.ndarray) -> bool:
    return as_bad(np.asarray(before), np.asarray(now)) >= _USUAL
