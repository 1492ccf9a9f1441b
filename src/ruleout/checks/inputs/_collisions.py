"""Values that come again: a continuous input that draws on few of its old values, its rows on many."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._departure import departures
from ruleout.profile import Case, Which
from ruleout.stats._relation import grid

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEAST = 200
"""Rows of which collisions are counted."""


def collisions(case: Case, name: str, before: Floats, after: Floats) -> float | None:
    """How many times as often as before two rows agree in a continuous input; None where they do not.

    Rows that agree in all other inputs too are one row drawn again (a sample with replacement, a
    retried request), and count once: only values that come again in different rows were held.
    """
    known = _held_rows(case, name, before, after)
    if known is None:
        return None
    # One value alone is a default or a bound: old values that come again are many.
    known[1] = _without_commonest(known[1])
    now, was = _collision_rate(known[1]), _expected_collisions(known[0], known[1])
    if now < 3 / len(known[1]) or now < 2 * was or np.isin(known[1], known[0]).mean() < 0.8:
        return None
    coarse = np.unique(known[0]).size < 50 or grid(known[0], known[1]) is not None
    return None if coarse else now / was


def _held_rows(case: Case, name: str, before: Floats, after: Floats) -> list[Floats] | None:
    """Known values of both windows in rows that were not drawn again; None where they are few or plainly differ."""
    moved = departures(case)[name] if case.kind(name) == "numeric" else None
    if moved is None:
        return None
    hit = moved.rows if moved.departed else np.ones(len(after), dtype=bool)
    now = after[hit][np.isfinite(after[hit])]
    # The cheapest question first: most inputs end here.
    if len(now) < _LEAST or _collision_rate(_without_commonest(now)) < 3 / len(now):
        return None
    if any(d.name == name for d in defaulted(case)):
        return None
    first = [_first_of_rest(case, w, name) for w in ("reference", "current")]
    known = [x[np.isfinite(x)] for x in (before[first[0]], after[hit & first[1]])]
    return known if min(len(x) for x in known) >= _LEAST else None


def _first_of_rest(case: Case, which: Which, name: str) -> Mask:
    """Rows (n,) whose other inputs, taken together, did not come before."""
    frame = case.table(which).frame
    rest = [n for n in case.features if n != name and n in frame.columns and _plain(case, n)]
    if not rest:
        return np.ones(frame.height, dtype=bool)
    # By series, not by name: a name may read as a pattern of names.
    known = pl.DataFrame([frame.get_column(n).rename(str(k)) for k, n in enumerate(rest)])
    return known.to_struct("rest").is_first_distinct().to_numpy()


def _plain(case: Case, name: str) -> bool:
    return case.kind(name) in ("numeric", "categorical", "datetime")


def _without_commonest(values: Floats) -> Floats:
    """Values less the one that most rows hold, where it is more than one in fifty and the rest are many."""
    points, counts = np.unique(values, return_counts=True)
    rest = values[values != points[counts.argmax()]]
    return rest if counts.max() > 0.02 * len(values) and len(rest) >= 200 else values


def _expected_collisions(before: Floats, after: Floats) -> float:
    """Chance that two rows would agree if values were as fine as before, wherever they now lie."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 21)[1:-1]))
    home, place = np.searchsorted(edges, before, "right"), np.searchsorted(edges, after, "right")
    share = np.bincount(place, minlength=len(edges) + 1) / len(after)
    rates = [
        _collision_rate(before[home == b]) if (home == b).sum() > 1 else 1.0
        for b in range(len(edges) + 1)
    ]
    return float((share**2 * np.array(rates)).sum()) + 1e-9


def _collision_rate(values: Floats) -> float:
    """Chance that two rows hold the same value."""
    counts = np.unique(values, return_counts=True)[1].astype(float)
    n = counts.sum()
    return float((counts * (counts - 1)).sum() / max(n * (n - 1), 1) + 1 / n**2)
