"""Charts of what the leading hypotheses are about, where no check has drawn it: both windows of the column."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._records import Evidence, Hypothesis
from ruleout.profile import Case, Which

Floats = NDArray[np.float64]
Chart = dict[str, Any]

_LEADING: Final = 3
_LEAST: Final = 0.05
"""A hypothesis that is less likely than this needs no picture."""

_OF_THE_METRIC: Final = {"waterfall", "slices"}
"""Charts that show what became of the metric, and nothing of a column."""

_COLUMNS: Final = 2
_BARS: Final = 10
_SHOWN: Final = 6
_LONG: Final = 200
"""Characters of a text that are shown."""

_BINS: Final = 24
_TAIL: Final = 0.01
"""Share of the values beyond either end of a histogram; they are counted in its last bins."""

_ALIKE: Final = 0.06
"""Total variation below which two distributions look the same."""

_BOTH: Final[tuple[Which, Which]] = ("reference", "current")


def subject_charts(
    case: Case, ranked: Sequence[Hypothesis], evidence: Sequence[Evidence]
) -> dict[str, Chart]:
    """Both windows of the columns behind the leading hypotheses whose own evidence has no chart.

    An on-call reader wants to see what the answer says moved, whichever check said so.
    """
    drawn = {e.id for e in evidence if e.chart and e.chart.get("kind") not in _OF_THE_METRIC}
    made: dict[str, Chart] = {}
    for name in dict.fromkeys(_undrawn(ranked, drawn)):
        chart = _column(case, name)
        if chart:
            made[f"subject {name}"] = chart
    return made


def _undrawn(ranked: Sequence[Hypothesis], drawn: set[str]) -> Iterator[str]:
    for told in ranked[:_LEADING]:
        about = told.subject.kind in {"feature", "label"}
        likely = told.status != "ruled_out" and told.probability >= _LEAST
        if about and likely and not drawn & set(told.evidence_for):
            yield from told.subject.names[:_COLUMNS]


def _column(case: Case, name: str) -> Chart:
    if not (case.reference.has(name) and case.current.has(name)):
        return {}
    labels = name == case.incident.data.columns.target and bool(case.classes)
    numbers = case.reference.frame[name].dtype.is_numeric() and not labels
    # A column that is no input (the similarity of a retrieved document, say) has no kind.
    kind = case.kinds.get(name, "numeric" if numbers else "categorical")
    if kind == "numeric":
        return _numbers(case, name)
    if kind == "text":
        return _texts(case, name)
    return _values(case, name) if kind == "categorical" else {}


def _texts(case: Case, name: str) -> Chart:
    """A few texts of each window, from its whole length."""
    sides: dict[str, list[str]] = {}
    for which in _BOTH:
        known = case.table(which).frame[name].cast(pl.String).drop_nulls()
        places = np.unique(np.linspace(0, max(0, len(known) - 1), _SHOWN).astype(int))
        sides[which] = [_short(str(known[int(i)])) for i in places] if len(known) else []
    if not all(sides.values()):
        return {}
    return {"kind": "texts", "name": name, "title": f"{name}: texts before and now", **sides}


def _short(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG].rstrip()}…"


def _numbers(case: Case, name: str) -> Chart:
    """A histogram on bins that both windows share, or bars where there are few values."""
    known = [v[np.isfinite(v)] for v in (case.table(w).numeric(name) for w in _BOTH)]
    if min(len(v) for v in known) == 0:
        return {}
    pooled = np.concatenate(known)
    if len(np.unique(pooled)) <= _BARS:
        return _values(case, name)
    # Each window gives its own ends, so that a short one is not cut away by a long one.
    low = min(float(np.quantile(v, _TAIL)) for v in known)
    high = max(float(np.quantile(v, 1 - _TAIL)) for v in known)
    if not low < high:
        return {}
    edges = _edges(low, high, whole=bool((pooled == np.round(pooled)).all()))
    shares = [np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / len(v) for v in known]
    return {
        "kind": "histogram",
        "name": name,
        **_headed(name, *shares),
        "edges": [float(e) for e in edges],
        "reference": [round(float(s), 6) for s in shares[0]],
        "current": [round(float(s), 6) for s in shares[1]],
    }


def _edges(low: float, high: float, *, whole: bool) -> Floats:
    """Bins of one width; those of whole numbers hold equally many of them, or the outline becomes a comb."""
    if not whole:
        return np.linspace(low, high, _BINS + 1)
    width = math.ceil((high - low + 1) / _BINS)
    return np.arange(math.floor(low) - 0.5, high + width + 0.5, width)


def _headed(name: str, before: Floats, now: Floats) -> dict[str, str]:
    """The title, and a note where the picture alone would be taken for "nothing is wrong"."""
    headed = {"title": f"{name}: its values before and now"}
    if float(np.abs(before - now).sum()) / 2 < _ALIKE:
        headed["note"] = (
            "Both windows hold much the same values; what is wrong with them shows only row by row."
        )
    return headed


def _values(case: Case, name: str) -> Chart:
    """Bars of the commonest values of either window; the rest and what is missing have bars too."""
    every = case.vocabulary(name)
    shares = []
    for which in _BOTH:
        codes = case.codes(which, name)
        counts = np.bincount(np.where(codes < 0, len(every), codes), minlength=len(every) + 1)
        shares.append(counts / max(1, len(codes)))
    order = np.argsort(-np.maximum(shares[0][:-1], shares[1][:-1]), kind="stable")
    if len(order) < 2 and not shares[1][-1] + shares[0][-1]:
        return {}
    kept, rest = order[:_BARS], order[_BARS:]
    rows = [(every[i], float(shares[0][i]), float(shares[1][i])) for i in kept]
    if len(rest):
        more = f"{len(rest)} other{'s' if len(rest) > 1 else ''}"
        rows.append((more, float(shares[0][rest].sum()), float(shares[1][rest].sum())))
    if shares[0][-1] + shares[1][-1]:
        rows.append(("missing", float(shares[0][-1]), float(shares[1][-1])))
    return {
        "kind": "bars",
        "name": name,
        **_headed(name, *shares),
        "format": "share",
        "categories": [r[0] for r in rows],
        "reference": [round(r[1], 6) for r in rows],
        "current": [round(r[2], 6) for r in rows],
    }
