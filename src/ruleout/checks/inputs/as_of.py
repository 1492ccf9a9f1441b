"""Columns that say as of when a row's inputs were read, and rows whose inputs were old by their word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import words_of
from ruleout.checks.inputs._departure import locate
from ruleout.checks.inputs.staleness import unlinked
from ruleout.checks.reproduction.feature_parity import differing
from ruleout.profile import Case, Which

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SAYS = re.compile(
    r"as_?of|fresh|stale|materiali[sz]ed|refreshed|synced|snapshot|watermark|cut_?off|read_at|fetched|loaded_at"
    r"|(re)?built_(at|on)|indexed_(at|on)|computed_at|cached_at|valid_from|(features?|profile|store)_?(ts|time|date|at|age|lag)",
    re.IGNORECASE,
)
"""How people name the instant at which inputs were read, or how old they were."""

_OF_TIME = frozenset(
    {"as", "of", "at", "feature", "features", "time", "date", "age", "lag", "ts", "feed", "service"}
)
_OF_INDEX = frozenset({"index", "indexed", "reindexed", "built", "rebuilt", "shard"})
"""Words of what is searched; its age is that of the vectors that it holds."""

_OF_ALL = frozenset({"feature", "features", "input", "inputs"})
_KNOWN, _NEARLY_ALL = 0.5, 0.95
_LEAST = 60
_OLDER = 2.0
"""Ages beyond this many times all but the oldest of the reference's are old."""

_RISE = 0.03
_SPARED = 0.1
_HARM = 0.5
"""Fresh rows that carry this much of the rise in loss of the old ones suffer from something else."""


class Ages(NamedTuple):
    """How old the inputs of each row were when it was answered, in the column's own measure."""

    column: str
    before: Floats
    now: Floats


@check(
    "as_of",
    layer="data",
    rung="inputs",
    looks_for=("stale_features", "stale_index"),
    needs=("data.reference", "data.current"),
)
def as_of(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Are the inputs of many rows older, by what was logged of their age, than they ever were?

    An instant logged beside a row, or an age, is told by its name; ages are compared with the oldest
    of the reference's. Where fresh rows of the window are as bad as old ones, age says little.
    """
    del rng
    for ages in _ages(case):
        usual = float(np.nanquantile(ages.before, 0.99))
        limit = _OLDER * max(usual, 1e-9)
        was, old = ages.before > limit, ages.now > limit
        known = np.isfinite(ages.now)
        if float(old[known].mean() - was.mean()) < _RISE or old.sum() < _LEAST:
            yield _fresh(case, ages, known)
        else:
            yield _finding(case, ages, old, was)


def _ages(case: Case) -> Iterator[Ages]:
    told = case.incident.data.columns
    taken = {told.timestamp, told.target, told.label_available_at, told.id, told.prediction}
    for name in case.current.columns:
        if name in taken or not _SAYS.search(name) or not case.reference.has(name):
            continue
        before, now = (_age(case, w, name) for w in ("reference", "current"))
        if before is None or now is None:
            continue
        known = [float(np.isfinite(x).mean()) for x in (before, now)]
        # What lies after its row, or has no usual age, tells of something else.
        if min(known) < _KNOWN or np.nanquantile(before, 0.05) < 0 or np.nanmedian(before) <= 0:
            continue
        yield Ages(name, before, now)


def _age(case: Case, which: Which, name: str) -> Floats | None:
    """Seconds by which an instant lies before its row, or a number that is an age already."""
    table = case.table(which)
    values = table.numeric(name)
    known = values[np.isfinite(values)]
    if len(known) < _LEAST:
        return None
    if float(np.median(known)) <= _EPOCH:
        return values
    return None if table.time is None else np.asarray(table.time - values)


_EPOCH = 5e8
"""Seconds since 1970 from which a number is an instant."""


def _fresh(case: Case, ages: Ages, known: Mask) -> Clear | Abstained:
    """Clear the inputs of which the column speaks; what is not known of many rows, or of any input, clears nothing."""
    mode = "stale_index" if words_of(ages.column) & _OF_INDEX else "stale_features"
    names = case.features if _OF_ALL & words_of(ages.column) else _by_words(case, ages.column)
    if mode == "stale_index":
        names = case.of_kind("embedding")
    if known.mean() < _NEARLY_ALL or not names:
        why = "is missing from many rows" if known.mean() < _NEARLY_ALL else "names no input"
        return Abstained((mode,), f"{ages.column} tells of usual ages and {why}")
    told = f"by {ages.column} the inputs are as fresh as ever"
    return Clear((mode,), Subject("feature", tuple(names)), told, _RISE, "freshness.as_of")


def _finding(case: Case, ages: Ages, old: Mask, was: Mask) -> Finding:
    scope, _ = locate(case, old.astype(float), float(was.mean()), was.astype(float))
    index = bool(words_of(ages.column) & _OF_INDEX)
    read = case.of_kind("embedding") if index else ()
    names = (
        read or differing(case) or unlinked(case) or _by_words(case, ages.column) or (ages.column,)
    )
    subject = Subject("feature", names)
    told = (
        f"{old.mean():.0%} of the rows were answered with inputs older than {_OLDER:g} times the usual, by {ages.column} "
        f"({was.mean():.1%} before)"
    )
    plans = () if index or names == (ages.column,) else (RepairPlan("parity_values", subject),)
    return Finding(
        "freshness.as_of",
        subject,
        told,
        float(old.mean()),
        float(old.mean() - was.mean()) / 0.02,
        None,
        0.3 if _spared_suffer(case, old) else 1.0,
        ("stale_index",) if index else ("stale_features",),
        ("concept_drift", "covariate_shift", "corrupted_labels", "label_noise"),
        Scope() if scope.column == ages.column else scope,
        None,
        plans,
    )


def _by_words(case: Case, column: str) -> tuple[str, ...]:
    """The inputs, or all inputs of the source, that the column's name says."""
    said = words_of(column)
    for source, fed in sorted(case.incident.data.sources.items()):
        if words_of(source) & said - _OF_TIME:
            return tuple(n for n in fed if n in case.features)
    return tuple(n for n in case.features if n in column and case.current.has(n))


def _spared_suffer(case: Case, old: Mask) -> bool:
    """Whether rows with fresh inputs got about as bad as those with old ones: then their age is not why."""
    loss, usual = case.loss("current"), float(np.nanmean(case.loss("reference")))
    known = np.isfinite(loss)
    hit, spared = loss[old & known], loss[~old & known]
    if min(len(hit), len(spared)) < max(_LEAST, _SPARED * known.sum()):
        return False
    rise = float(hit.mean()) - usual
    return float(spared.mean()) - usual > _HARM * max(rise, 0.0)
