"""Whether the metric that raised the alarm says what nothing else bears out: then the measurement is at fault."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._records import Subject
from ruleout.attribution.services._failures import failed_spans
from ruleout.attribution.services._gaps import broken_off
from ruleout.attribution.services._kinds import kind_of, words
from ruleout.attribution.services._metrics import SHARES
from ruleout.attribution.services._onlookers import outcomes
from ruleout.attribution.services._ordinary import symptom_series
from ruleout.attribution.services._records import Null
from ruleout.attribution.services._scene import Observed

_WRONG = 0.85
_SCALES = (10.0, 60.0, 100.0, 1000.0, 1024.0, 1e6)
"""Factors between units of time and size."""

_CLOSE = 0.06
_CONTRADICTED = 0.25
"""Part of its change, on a log scale, that others must bear out for a metric to be believed."""

_MUCH = 0.5
"""Least change on a log scale that is worth contradicting."""

_LOOSE = 1.3
"""Times by which a metric's usual level may lie off the lengths of requests and still be one of theirs."""

_MILLISECONDS = (1e-6, 1e-3, 1.0, 1e3)
"""Milliseconds in the units in which latency is told."""

_SHARE_WORDS = {"ratio", "rate", "share", "pct", "percent", "percentage", "fraction"}
_FITS = 0.3
"""On a log scale, how near a share of failures must lie to the quotient of its entity's counts to be that quotient."""

_TIMES = {"ms", "us", "ns", "s", "seconds", "millis", "milliseconds", "microseconds", "duration"}
_SIGNED = {"offset", "skew", "drift", "delta", "diff", "difference", "jitter", "slack", "gap"}
"""Words of differences of times, which may be of either sign."""

_BELOW = 0.05
"""Part of the incident's samples that must be what no sample can be."""

_STUCK, _RUN = 0.6, 12
"""Part of the incident's samples that must be one and the same value, and least number of them."""

_REPEATS = 0.05
"""Part of the past's samples up to which one value came again."""

_FEW = 50
_WITNESSES = 3
"""So many others must measure the same kind to contradict somebody who stands outside of the path."""

_DUE = 10
"""Failures that the traces would hold, were a share of them true."""

_MOST = 0.5
"""... and this part of those at work."""

_MOVED = 0.5
"""Departure below which a witness saw nothing."""

_TINY = 1e-3
"""Share of failures below which it makes no difference how many there are."""


def mismeasured(seen: Observed) -> list[Null]:
    """The metric that raised the alarm says what nothing else bears out; at most one."""
    spec = seen.incident.symptom
    series = symptom_series(seen)
    if series is None or spec.metric is None or spec.entity is None:
        return []
    sign = 1.0 if np.median(series.value) >= 0 else -1.0
    before, now = sign * series.value[series.usual], sign * series.value[series.now]
    was, came = float(np.median(before)), float(np.median(now))
    text = _other_unit(seen, was, came, before, now) if was > 0 and came > 0 else None
    text = text or _impossible(spec.metric, before, now) or _stuck(seen, before, now)
    means = abs(float(np.mean(before))), abs(float(np.mean(now)))
    text = text or _not_the_quotient(seen, spec.entity, spec.metric, *means)
    # What the counts that it is made of deny needs no further proof.
    by_itself = text is not None
    text = text or _denied(seen, spec.entity, spec.metric, was, came)
    # Failures of a new kind raise one share of them and not another, so others must be as they were as well.
    text = text or _unlike_its_twin(seen, spec.entity, spec.metric, *means)
    text = text or _alone(seen, spec.entity, spec.metric, was, came)
    text = text or broken_off(seen, spec.entity, spec.metric)
    if text is None:
        return []
    return [Null("monitor_defect", Subject("metric", (spec.metric,)), _WRONG, text, by_itself)]


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
    others = seen.departed.filter(
        (pl.col("kind") == kind_of(spec.metric or "")) & (pl.col("entity") != spec.entity)
    )
    if _borne_out(others) > _CONTRADICTED * abs(np.log(ratio)):
        return None
    if spread_now > 3 * spread + 0.05 or beside.is_empty() or moved > 0.5 * beside.height:
        return None
    return f"{spec.metric} is {ratio:.4g} times what it was, a factor between units, and nothing beside it moved"


def _impossible(metric: str, before: np.ndarray, now: np.ndarray) -> str | None:
    """A length of time below nothing: whoever took it read two clocks."""
    told = set(words(metric))
    if not (kind_of(metric) == "latency" or told & _TIMES) or told & _SIGNED or before.min() < 0:
        return None
    share = float((now < -float(before.max())).mean())
    if share < _BELOW:
        return None
    return f"{metric} is below nothing in {share:.0%} of the incident's samples, which no length of time can be"


def _stuck(seen: Observed, before: np.ndarray, now: np.ndarray) -> str | None:
    """One and the same value for most of the incident of what never was twice the same, and nobody else bears it out.

    A limit or the bound of a bucket is a round number, and what runs into it is felt elsewhere as well.
    """
    spec = seen.incident.symptom
    kind = kind_of(spec.metric or "")
    values, counts = np.unique(now, return_counts=True)
    most = int(np.argmax(counts))
    usual = np.unique(before, return_counts=True)[1].max() / len(before)
    if counts[most] < max(_STUCK * len(now), _RUN) or usual > _REPEATS or _round(values[most]):
        return None
    was = float(np.median(before))
    others = seen.departed.filter(
        (pl.col("kind") == kind)
        & ((pl.col("entity") != spec.entity) | (pl.col("metric") != spec.metric))
    )
    size = _size(kind, was, float(values[most]))
    if kind not in {*SHARES, "latency"} or _borne_out(others) > _CONTRADICTED * abs(size):
        return None
    return (
        f"{spec.metric} of {spec.entity} is {values[most]:.6g} in {counts[most]} of the incident's {len(now)} samples,"
        f" and hardly two samples before were alike"
    )


def _round(value: float) -> bool:
    """Whether a number has at most two digits that tell."""
    return float(f"{value:.2g}") == value


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
    if kind == "latency" and _same_length(was, tree.duration[old]):
        told = [
            float(
                np.log(
                    np.quantile(tree.duration[new], q)
                    / max(np.quantile(tree.duration[old], q), 1e-9)
                )
            )
            for q in (0.5, 0.95, 0.99)
        ]
    elif kind == "error" and _fails_in_traces(seen, was, came, old, new):
        told = [_failing_more(seen, old, new)]
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
    others = seen.departed.filter((pl.col("kind") == kind) & (pl.col("entity") != entity))
    # Traces are a sample, and of other requests perhaps: another entity's own measure may agree.
    agrees = change > 0 and _borne_out(others) > _CONTRADICTED * change
    if agrees or most * np.sign(change) > _CONTRADICTED * abs(change):
        return None
    return f"{metric} of {entity} went from {was:.4g} to {came:.4g}, which its {int(new.sum())} requests in the traces do not bear out"


def _fails_in_traces(
    seen: Observed, was: float, came: float, old: np.ndarray, new: np.ndarray
) -> bool:
    """Whether traces tell failures, and so many requests are in them that a share's rise would show."""
    if seen.tree is None or not failed_spans(seen.tree).any() or not 0 < was < came <= 1:
        return False
    return bool(came * new.sum() >= _DUE and old.sum() >= _FEW)


def _failing_more(seen: Observed, old: np.ndarray, new: np.ndarray) -> float:
    """Growth of the share of requests that fail in the traces, on a log scale; a single failure is granted to the past."""
    if seen.tree is None:
        return 0.0
    failed = failed_spans(seen.tree)
    before = max(float(failed[old].mean()), 1 / float(old.sum()))
    return float(np.log(max(float(failed[new].mean()), 1e-6) / before))


def _same_length(level: float, durations: np.ndarray) -> bool:
    """Whether a metric's usual level, in some unit of time, lies where the lengths of the entity's requests lie.

    Time to a first answer, or of a part of the work, is another quantity; the requests cannot deny it.
    """
    low, high = np.quantile(durations, [0.5, 0.99])
    mean = float(durations.mean())
    low, high = min(float(low), mean) / _LOOSE, max(float(high), mean) * _LOOSE
    return any(low <= level * unit <= high for unit in _MILLISECONDS)


def _length(time: np.ndarray, rows: np.ndarray) -> float:
    return max(float(np.ptp(time[rows])), 1.0)


def _not_the_quotient(
    seen: Observed, entity: str, metric: str, was: float, came: float
) -> str | None:
    """A share of failures that was what its entity's own counts made it, and no longer is."""
    if kind_of(metric) != "error" or not set(words(metric)) & _SHARE_WORDS or was <= 0:
        return None
    if abs(np.log(max(came, 1e-12) / was)) < _MUCH:
        return None
    own = seen.departed.filter(
        (pl.col("entity") == entity) & pl.col("about").is_null() & pl.col("clue").is_null()
    )
    counts = [n for n in own["metric"] if not set(words(n)) & _SHARE_WORDS]
    failed = [n for n in counts if kind_of(n) == "error"]
    asked = [n for n in counts if kind_of(n) == "traffic"]
    for over in sorted(failed):
        for under in sorted(asked):
            old, new = _quotient(seen, entity, over, under)
            fits = any(abs(np.log(max(old, 1e-12) * f / was)) < _FITS for f in (1.0, 100.0))
            if not fits or abs(np.log(max(new, 1e-12) / old)) > _CONTRADICTED * abs(
                np.log(came / was)
            ):
                continue
            return (
                f"{metric} of {entity} went from {was:.4g} to {came:.4g}, and {over} over {under}, which it was,"
                f" from {old:.4g} to {new:.4g}"
            )
    return None


def _unlike_its_twin(
    seen: Observed, entity: str, metric: str, was: float, came: float
) -> str | None:
    """A share of failures beside another of the same entity that was as large, and still is what it was."""
    if kind_of(metric) != "error" or not set(words(metric)) & _SHARE_WORDS or was <= 0:
        return None
    change = abs(np.log(max(came, 1e-12) / was))
    if change < 2 * _MUCH:
        return None
    beside = seen.departed.filter(
        (pl.col("entity") == entity)
        & (pl.col("kind") == "error")
        & pl.col("about").is_null()
        & pl.col("clue").is_null()
        & (pl.col("metric") != metric)
        & (pl.col("level") > 0)
    ).sort("metric")
    for name, level, now in beside.select("metric", "level", "now").iter_rows():
        if not set(words(name)) & _SHARE_WORDS or abs(np.log(level / was)) > _FITS:
            continue
        if abs(np.log(max(now, 1e-12) / level)) <= _CONTRADICTED * change:
            return (
                f"{metric} of {entity} went from {was:.4g} to {came:.4g}, and {name}, which was as large, from"
                f" {level:.4g} to {now:.4g}"
            )
    return None


def _quotient(seen: Observed, entity: str, over: str, under: str) -> tuple[float, float]:
    """One metric's sum over another's, before and during the incident; 0 where there is nothing to divide by."""
    start, end = seen.windows.current
    time = pl.col("time")
    now = time.is_between(start, end)
    usual = pl.any_horizontal([time.is_between(a, b) for a, b in seen.windows.reference]) & ~now
    rows = seen.telemetry.metrics.filter(pl.col("entity") == entity)
    told = []
    for part in (usual, now):
        means = [
            rows.filter(part & (pl.col("metric") == name))["value"].mean() for name in (over, under)
        ]
        above, below = (float(one or 0.0) for one in means)  # type: ignore[arg-type]
        told.append(above / below if below > 0 else 0.0)
    return told[0], told[1]


def _alone(seen: Observed, entity: str, metric: str, was: float, came: float) -> str | None:
    """An outcome that somebody beside the path reports, and of which those on the path see nothing."""
    kind = kind_of(metric)
    if kind not in {*SHARES, "latency"} or _on_path(seen, entity):
        return None
    kinds = list(SHARES) if kind in SHARES else [kind]
    others = seen.departed.filter(
        pl.col("kind").is_in(kinds)
        & (pl.col("entity") != entity)
        & ~pl.col("metric").is_in(list(seen.telemetry.kpis))
        & ~pl.col("host")
        & pl.col("clue").is_null()
    )
    witnesses = others["entity"].n_unique()
    at_work = set(seen.departed.filter(~pl.col("host"))["entity"]) - {entity} - outcomes(seen)
    # Where most of those at work measure nothing of the kind, that nobody saw it says little.
    if witnesses < max(_WITNESSES, _MOST * len(at_work)):
        return None
    size = _size(kind, was, came)
    if size < _MUCH:
        return None
    queues = seen.departed.filter((pl.col("kind") == "saturation") & (kind == "latency"))
    if _borne_out(pl.concat([others, queues])) > _CONTRADICTED * size:
        # Who waits longer is borne out by whoever's queue has grown.
        return None
    if _fail_more(seen, _CONTRADICTED * size):
        return None
    return (
        f"{metric} of {entity} went from {was:.4g} to {came:.4g}, and of the {others['entity'].n_unique()} that"
        f" measure the like on the path of the requests nobody saw it"
    )


def _borne_out(others: pl.DataFrame) -> float:
    """The largest change for the worse, on a log scale, that any of them measured itself."""
    rows = others.filter((pl.col("score") > _MOVED) & pl.col("about").is_null())
    return max(
        (_size(row["kind"], row["level"], row["now"]) for row in rows.iter_rows(named=True)),
        default=0.0,
    )


def _on_path(seen: Observed, entity: str) -> bool:
    """Whether requests pass through an entity: it calls, is called, has spans, or is asked something."""
    if any(entity in edge for edge in seen.edges):
        return True
    if seen.tree is not None and entity in seen.tree.services:
        return True
    own = seen.departed.filter(pl.col("entity") == entity)
    return bool(own.filter(pl.col("kind").is_in(["traffic", "cpu", "saturation"])).height)


def _size(kind: str, was: float, came: float) -> float:
    """Change for the worse on a log scale; of what succeeds, that of what fails."""
    if kind == "availability":
        whole = 100.0 if max(was, came) > 1.5 else 1.0
        was, came = whole - was, whole - came
        return float(np.log(max(came, _TINY * whole) / max(was, _TINY * whole)))
    return float(np.log(max(came, 1e-12) / max(was, _TINY * abs(came), 1e-12)))


def _fail_more(seen: Observed, least: float) -> bool:
    """Whether requests in the traces fail more often by `least` on a log scale."""
    tree = seen.tree
    if tree is None:
        return False
    root = tree.parent < 0
    failed = failed_spans(tree)
    old, new = root & (seen.period == 1), root & (seen.period == 2)
    if min(old.sum(), new.sum()) < _FEW:
        return False
    was, came = float(failed[old].mean()), float(failed[new].mean())
    return _size("error", max(was, 1 / old.sum()), max(came, 1 / new.sum())) > least
