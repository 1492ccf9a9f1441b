"""Reasons for the alarm that are nobody's fault: nothing happened, it was planned, it is over, it was measured wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ruleout._records import Subject, Symptom
from ruleout.attribution.services._kinds import kind_of
from ruleout.attribution.services._records import Null
from ruleout.attribution.services._scene import Observed
from ruleout.attribution.services._symptom import direction
from ruleout.sources._changes import meant_to_disturb

_CALM = 0.7
"""Probability of no incident where the symptom's own metric never left its usual range."""

_PLANNED = 0.9
_BEFORE = 900.0
"""Seconds by which announced work may lead the symptom."""

_AFTER = 90.0
_HARMLESS = re.compile(
    r"\bno (\w+ ){0,2}(impact|effect|downtime|disruption)|\boffice\b|cancel|postpone", re.IGNORECASE
)
_OVER = 0.6
_LASTING = 12
"""Samples for which a symptom must have stayed away to be over."""

_PART = 0.25
"""... and part of the window."""

_LATE = 0.15
"""The last part of the window, in which all must be as usual again."""

_STILL = 0.5
_WRONG = 0.85
_SCALES = (10.0, 60.0, 100.0, 1000.0, 1024.0, 1e6)
"""Factors between units of time and size."""

_CLOSE = 0.06
_CONTRADICTED = 0.25
"""Part of its change, on a log scale, that requests must bear out for a metric to be believed."""

_MUCH = 0.5
"""Least change on a log scale that is worth contradicting."""

_FEW = 50


def nulls(seen: Observed, told: Symptom) -> list[Null]:
    """The null hypotheses with some probability, likeliest first."""
    found = [
        *_quiet(told),
        *_planned(seen),
        *_recovered(seen),
        *_mismeasured(seen),
    ]
    return sorted(found, key=lambda one: -one.probability)


def shared_out(found: Sequence[Null]) -> list[Null]:
    """The nulls with probabilities that leave room for each other; the likeliest takes its part first."""
    left, out = 1.0, []
    for one in found:
        out.append(one._replace(probability=one.probability * left))
        left -= out[-1].probability
    return out


def _quiet(told: Symptom) -> list[Null]:
    if told.significant is not False:
        return []
    text = f"{told.metric} stayed within its usual range"
    return [Null("random_fluctuation", Subject(), _CALM, text)]


def _planned(seen: Observed) -> list[Null]:
    spec = seen.incident.symptom
    at = seen.start.at if seen.start else spec.noticed_at or seen.windows.current[0]
    for change in seen.changes:
        if (
            meant_to_disturb(change.kind, change.description)
            and -_AFTER <= at - change.at <= _BEFORE
        ):
            text = f"the symptom began {at - change.at:.0f} s after: {change.description}"
            return [Null("planned_event", Subject("change", (change.id,)), _PLANNED, text[:300])]
    return []


def _recovered(seen: Observed) -> list[Null]:
    """The symptom came once, went, and has stayed away for longer than it was there."""
    series = _symptom_series(seen)
    if series is None:
        return []
    before, now, sign = series
    high = float(np.quantile(sign * before, 0.975))
    width = max(high - float(np.quantile(sign * before, 0.025)), 0.02 * abs(high), 1e-12)
    bad = sign * now > high + width
    if not bad.any():
        return []
    first, last = int(np.argmax(bad)), int(len(bad) - 1 - np.argmax(bad[::-1]))
    length, since = last - first + 1, len(bad) - 1 - last
    steady = bad[first : last + 1].mean() >= 0.6
    if not steady or since < max(_LASTING, length, _PART * len(bad)) or _lasts(seen):
        return []
    text = f"the symptom lasted {length} samples and has stayed away for the {since} since"
    return [Null("already_recovered", Subject(), _OVER, text)]


def _lasts(seen: Observed) -> bool:
    """Whether something that departed is still away at the end: what is hidden for a while is not over."""
    start, end = seen.windows.current
    rows = seen.departed.filter(
        (pl.col("score") > 1.0) & ~pl.col("metric").is_in(seen.telemetry.kpis)
    )
    late = (
        seen.telemetry.metrics.filter(pl.col("time").is_between(end - _LATE * (end - start), end))
        .group_by("entity", "metric")
        .agg(pl.col("value").median().alias("late"))
    )
    known = rows.join(late, on=["entity", "metric"])
    way = (pl.col("late") - pl.col("level")) / (pl.col("now") - pl.col("level"))
    return bool(known.filter(way > _STILL).height)


def _symptom_series(seen: Observed) -> tuple[np.ndarray, np.ndarray, int] | None:
    """Values of the symptom's own metric before and during the incident, and the sign of the worse."""
    spec = seen.incident.symptom
    if spec.metric is None or spec.entity is None:
        return None
    rows = seen.telemetry.metrics.filter(
        (pl.col("entity") == spec.entity) & (pl.col("metric") == spec.metric)
    ).sort("time")
    time, value = rows["time"].to_numpy(), rows["value"].to_numpy()
    usual = np.zeros(len(time), dtype=bool)
    for low, high in seen.windows.reference:
        usual |= (time >= low) & (time < high)
    now = (time >= seen.windows.current[0]) & (time <= seen.windows.current[1])
    if usual.sum() < 8 or now.sum() < 4:
        return None
    return value[usual], value[now], direction(seen.incident) or 1


def _mismeasured(seen: Observed) -> list[Null]:
    """The metric that raised the alarm says what nothing else bears out."""
    spec = seen.incident.symptom
    series = _symptom_series(seen)
    if series is None or spec.metric is None or spec.entity is None:
        return []
    before, now, _ = series
    subject = Subject("metric", (spec.metric,))
    was, came = float(np.median(before)), float(np.median(now))
    if was > 0 and came > 0:
        text = _other_unit(seen, was, came, before, now)
        if text is not None:
            return [Null("monitor_defect", subject, _WRONG, text)]
    text = _denied(seen, spec.entity, spec.metric, was, came)
    return [] if text is None else [Null("monitor_defect", subject, _WRONG, text)]


def _other_unit(
    seen: Observed, was: float, came: float, before: np.ndarray, now: np.ndarray
) -> str | None:
    """One step by a factor between units, scatter and all, while what else the entity measures of the kind stays."""
    spec = seen.incident.symptom
    ratio = came / was
    factor = next((f for s in _SCALES for f in (s, 1 / s) if abs(np.log(ratio / f)) < _CLOSE), None)
    if factor is None:
        return None
    spread = np.ptp(np.quantile(before, [0.1, 0.9])) / was
    spread_now = np.ptp(np.quantile(now, [0.1, 0.9])) / came
    beside = seen.departed.filter(
        (pl.col("entity") == spec.entity)
        & (pl.col("kind") == kind_of(spec.metric or ""))
        & (pl.col("metric") != spec.metric)
    )
    moved = beside.filter(pl.col("score") > 1.0).height
    if spread_now > 3 * spread + 0.05 or beside.is_empty() or moved > 0.5 * beside.height:
        return None
    return f"{spec.metric} is {ratio:.4g} times what it was, a factor between units, and nothing beside it moved"


def _denied(seen: Observed, entity: str, metric: str, was: float, came: float) -> str | None:
    """The same quantity as the spans of the entity tell it, where they tell otherwise."""
    tree, kind = seen.tree, kind_of(metric)
    if tree is None or entity not in tree.services or was <= 0:
        return None
    code = tree.services.index(entity)
    mine = (tree.entry == np.arange(len(tree.entry))) & (tree.service == code)
    old, new = mine & (seen.period == 1), mine & (seen.period == 2)
    if min(old.sum(), new.sum()) < _FEW:
        return None
    change = np.log(max(came, 1e-3 * was) / was)
    if abs(change) < _MUCH:
        return None
    if kind == "latency":
        told = [
            float(
                np.log(
                    np.quantile(tree.duration[new], q)
                    / max(np.quantile(tree.duration[old], q), 1e-9)
                )
            )
            for q in (0.5, 0.95, 0.99)
        ]
    elif kind == "traffic":
        told = [
            float(
                np.log(
                    (new.sum() / _length(tree.time, new)) / (old.sum() / _length(tree.time, old))
                )
            )
        ]
    else:
        return None
    most = max(told, key=lambda x: x * np.sign(change))
    if most * np.sign(change) > _CONTRADICTED * abs(change):
        return None
    return f"{metric} of {entity} went from {was:.4g} to {came:.4g}, which its {int(new.sum())} requests in the traces do not bear out"


def _length(time: np.ndarray, rows: np.ndarray) -> float:
    return max(float(np.ptp(time[rows])), 1.0)
