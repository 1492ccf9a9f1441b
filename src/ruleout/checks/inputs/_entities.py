"""Whether an input stands still for each entity: a value served from what its key last had."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Finding, Scope, Subject
from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._locate import locate
from ruleout.profile import Case, Which

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_LEAST_ENTITIES = 30
_LEAST_VISITS = 100
_LEAST_Z = 6.0
_BESIDE = 3.0
"""Standard errors from which an input stands still too, once another certainly does."""

_LEAST_RISE = 0.03
_MIXED = 0.85
"""Share of rows up to which an input that holds one value still moves beside it."""

_BINS = 4
_COARSER = 3.0


class Visits(NamedTuple):
    """Rows whose entity came before, with the row of its last visit; positions in both windows, end to end."""

    row: Places
    before: Places
    gap: Floats
    """Logarithm of the seconds between the two; nought without timestamps."""


class Still(NamedTuple):
    """Inputs that keep an entity's value from visit to visit, and did not."""

    entity: str
    names: tuple[str, ...]
    was: float
    """Share of visits with the value of the visit before, of the clearest input, in the reference."""

    now: float
    z: float
    scope: Scope
    rows: NDArray[np.bool_]


def standing_still(case: Case) -> Still | None:
    """The inputs that now repeat what the same entity had on its visit before, against the reference's visits.

    Visits are compared at equal times between them, since a slow value repeats the more the sooner its
    entity comes again; agreement that any two entities show (few values, a default) is taken off. Whole
    rows that come again are no visits.
    """
    found = [s for name in case.segments if (s := _of_one_key(case, name)) is not None]
    return max(found, key=lambda s: (s.z, s.entity), default=None)


def _of_one_key(case: Case, entity: str) -> Still | None:
    if not (case.reference.has(entity) and case.current.has(entity)):
        return None
    if len(case.vocabulary(entity)) < _LEAST_ENTITIES:
        return None
    lost = {d.name for d in defaulted(case)}
    names = [n for n in case.features if case.kind(n) in ("numeric", "categorical")]
    values = {n: (_values(case, "reference", n), _values(case, "current", n)) for n in names}
    was, now = _visits(case, entity, list(values.values()))
    if min(len(was.row), len(now.row)) < _LEAST_VISITS:
        return None
    rises = {
        n: _rise(was, now, *values[n], case.codes("current", entity))
        for n in names
        if n not in lost
    }
    certain = {
        n: r for n, r in rises.items() if r is not None and r.z > _LEAST_Z and r.rise > _LEAST_RISE
    }
    # Where half of all inputs stand still, it is rows that come again.
    if not certain or len(certain) > max(0.5 * len(names), 1):
        return None
    first = max(certain, key=lambda n: (certain[n].z, n))
    beside = {
        n for n, r in rises.items() if r is not None and r.z > _BESIDE and r.rise > _LEAST_RISE
    }
    scope, rows = _where(case, now, values[first])
    top = certain[first]
    ordered = tuple(sorted(beside, key=lambda n: (-rises[n].z, n)))  # type: ignore[union-attr]
    return Still(entity, ordered, top.was, top.now, top.z, scope, rows)


def _values(case: Case, which: Which, name: str) -> Floats:
    if not case.table(which).has(name):
        return np.full(case.table(which).rows, np.nan)
    if case.kind(name) == "categorical":
        codes = case.codes(which, name).astype(float)
        return np.where(codes < 0, np.nan, codes)
    return case.table(which).numeric(name)


def _visits(case: Case, entity: str, inputs: list[tuple[Floats, Floats]]) -> tuple[Visits, Visits]:
    """Visits of the reference, and of the current window with those of the reference before them."""
    split = case.reference.rows
    codes = np.concatenate([case.codes("reference", entity), case.codes("current", entity)])
    order = np.argsort(codes, kind="stable")
    same = (codes[order][1:] == codes[order][:-1]) & (codes[order][1:] >= 0)
    before, row = order[:-1][same], order[1:][same]
    whole = np.ones(len(row), dtype=bool)
    for values in inputs:
        column = np.concatenate(values)
        whole &= (column[row] == column[before]) | np.isnan(column[row])
    before, row = before[~whole], row[~whole]
    times = [case.table(w).time for w in ("reference", "current")]
    gap = np.zeros(len(row))
    if times[0] is not None and times[1] is not None:
        stamps = np.concatenate([times[0], times[1]])
        gap = np.log1p(np.maximum(np.nan_to_num(stamps[row] - stamps[before]), 0.0))
    early = row < split
    return (
        Visits(row[early], before[early], gap[early]),
        Visits(row[~early], before[~early], gap[~early]),
    )


def interleaved(case: Case) -> Iterator[Finding]:
    """Inputs that hold one value of theirs and move in neighbouring rows of each segment alike.

    A replica or a stream that stands still does so for all it serves: what comes and goes from row to
    row, in no segment more than in another, is a default that happens to be a usual value.
    """
    groups = [n for n in case.segments if 2 <= len(case.vocabulary(n)) <= _LEAST_ENTITIES]
    for lost in defaulted(case):
        if lost.kind != "frozen" or lost.after > _MIXED or not groups:
            continue
        inside = lost.rows.nonzero()[0]
        span = slice(int(inside[0]), int(inside[-1]) + 1)
        hit = lost.rows[span].astype(float)
        apart = [_worst_gap(hit, case.codes("current", n)[span]) for n in groups]
        if (
            len(hit) < _LEAST_VISITS
            or max(apart) > 0.5
            or _run(lost.rows[span]) > 3 / (1 - hit.mean())
        ):
            continue
        told = f"{lost.name} is {lost.value} in {hit.mean():.0%} of rows, in turn with rows that have their own values"
        yield Finding(
            "freshness.interleaved",
            Subject("feature", (lost.name,)),
            told,
            float(hit.mean()),
            1 - max(apart),
            None,
            1.0,
            (),
            ("stale_features",),
        )


def _worst_gap(hit: Floats, codes: NDArray[np.int32]) -> float:
    """Widest gap between the shares of rows (n,) hit in a segment's values."""
    known = codes >= 0
    counts = np.bincount(codes[known])
    shares = np.bincount(codes[known], weights=hit[known])[counts >= 30] / counts[counts >= 30]
    return float(np.ptp(shares)) if len(shares) >= 2 else 1.0


def _run(hit: NDArray[np.bool_]) -> float:
    """Mean length of the runs of hit rows (n,)."""
    starts = int(hit[0]) + int((hit[1:] & ~hit[:-1]).sum())
    return float(hit.sum() / max(starts, 1))


class _Rise(NamedTuple):
    was: float
    now: float
    rise: float
    z: float


def _rise(
    was: Visits, now: Visits, before: Floats, after: Floats, codes: NDArray[np.int32]
) -> _Rise | None:
    """How much more visits agree with those before them than chance and the reference's visits do."""
    known = [x[np.isfinite(x)] for x in (before, after[np.unique(codes, return_index=True)[1]])]
    if min(len(x) for x in known) < _LEAST_ENTITIES:
        return None
    chance = [_agreement(x) for x in known]
    if chance[1] > _COARSER * chance[0] + 0.01:
        return None  # Rounded, clipped or defaulted values agree more often, whoever has them.
    column = np.concatenate([before, after])
    agrees = [(column[v.row] == column[v.before]).astype(float) for v in (was, now)]
    usual, error = _at_equal_gaps(was.gap, agrees[0], now.gap)
    share = float(agrees[1].mean())
    expected = max(usual, chance[1])
    variance = error**2 + max(share * (1 - share), expected * (1 - expected), 1e-3) / len(now.row)
    rise = (share - expected) / max(1 - expected, 1e-9)
    return _Rise(usual, share, rise, (share - expected) / math.sqrt(variance))


def _agreement(values: Floats) -> float:
    """Chance that two rows of known values (n,) agree."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    return float((counts * (counts - 1)).sum() / max(len(values) * (len(values) - 1), 1))


def _at_equal_gaps(was: Floats, agrees: Floats, now: Floats) -> tuple[float, float]:
    """The reference's share of agreeing visits were its gaps those of now, and its standard error."""
    edges = np.unique(np.quantile(was, np.linspace(0, 1, _BINS + 1)[1:-1]))
    home, place = np.searchsorted(edges, was, "right"), np.searchsorted(edges, now, "right")
    share = np.bincount(place, minlength=len(edges) + 1) / len(now)
    counts = np.maximum(np.bincount(home, minlength=len(edges) + 1), 1)
    rates = np.bincount(home, weights=agrees, minlength=len(edges) + 1) / counts
    variance = share**2 * np.maximum(rates * (1 - rates), 1e-3) / counts
    return float(share @ rates), math.sqrt(float(variance.sum()))


def _where(
    case: Case, now: Visits, values: tuple[Floats, Floats]
) -> tuple[Scope, NDArray[np.bool_]]:
    """The current rows in which values stand still: which visits agree with those before them."""
    column = np.concatenate(values)
    order = np.argsort(now.row, kind="stable")
    rows = now.row[order] - case.reference.rows
    agrees = (column[now.row] == column[now.before])[order].astype(float)
    place = locate(case, rows, agrees)
    return place.scope, case.scope_rows(place.scope)
