"""Columns as small integers for slices, and slices as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.world._view import View
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._clusters import k_means
from ruleout.stats._slices import Condition

_QUANTILES = 8
_LEVELS = 30
_AXES = 16  # of a representation; later ones say little
_GROUPS = 8
_WIDE = 200  # columns; beyond this only the first ones are searched


@dataclass(frozen=True, slots=True)
class Binned:
    """Binned columns of both windows, with what the bins mean."""

    names: tuple[str, ...]
    reference: NDArray[np.int64]
    current: NDArray[np.int64]
    ordered: NDArray[np.bool_]
    edges: tuple[Floats, ...]
    """Inner edges of a numeric column; empty for a categorical one."""

    levels: tuple[tuple[str, ...], ...]
    """Value of each bin of a categorical column."""

    def describe(self, conditions: tuple[Condition, ...]) -> str:
        """A slice as text: `amount >= 120 and country = DE`."""
        return " and ".join(self._one(c) for c in conditions)

    def _one(self, condition: Condition) -> str:
        name, edges = self.names[condition.column], self.edges[condition.column]
        if not self.ordered[condition.column]:
            return f"{name} = {self.levels[condition.column][condition.low]}"
        # bin 0 holds missing values; bin k holds [edges[k-2], edges[k-1])
        if condition.high == 0:
            return f"{name} is missing"
        low = edges[condition.low - 2] if condition.low >= 2 else None
        high = edges[condition.high - 1] if condition.high - 1 < len(edges) else None
        if low is None:
            return f"{name} < {high:.6g}" if high is not None else f"{name} is present"
        return f"{name} >= {low:.6g}" if high is None else f"{low:.6g} <= {name} < {high:.6g}"


def binned(case: Case, seen: View) -> Binned:
    """Bins of all inputs and segments over the view's rows, computed once."""
    if "world bins" not in case.cache:
        case.cache["world bins"] = _build(case, seen)
    found: Binned = case.cache["world bins"]
    return found


class _Column(NamedTuple):
    name: str
    reference: NDArray[np.int64]
    current: NDArray[np.int64]
    edges: Floats
    levels: tuple[str, ...]


def _build(case: Case, seen: View) -> Binned:
    wanted = list(dict.fromkeys([*case.segments, *case.numeric, *case.categorical]))[:_WIDE]
    columns = [
        _numeric(case, seen, name) if name in case.numeric else _coded(case, seen, name)
        for name in wanted
    ]
    columns += [_grouped(case, seen, name) for name in case.representations]
    sides = [
        np.stack([getattr(c, w) for c in columns], axis=1)
        if columns
        else np.empty((len(side.rows), 0), dtype=np.int64)
        for w, side in (("reference", seen.reference), ("current", seen.current))
    ]
    return Binned(
        tuple(c.name for c in columns),
        sides[0],
        sides[1],
        np.array([not c.levels for c in columns], dtype=bool),
        tuple(c.edges for c in columns),
        tuple(c.levels for c in columns),
    )


def _numeric(case: Case, seen: View, name: str) -> _Column:
    before = case.reference.numeric(name)[seen.reference.rows]
    now = case.current.numeric(name)[seen.current.rows]
    cut = _cuts(np.concatenate([before, now]))
    return _Column(name, _numbered(before, cut), _numbered(now, cut), cut, ())


def _coded(case: Case, seen: View, name: str) -> _Column:
    before = case.codes("reference", name)[seen.reference.rows]
    now = case.codes("current", name)[seen.current.rows]
    top, text = _top(np.concatenate([before, now]), case.vocabulary(name))
    return _Column(name, top[before], top[now], np.empty(0), text)


def _grouped(case: Case, seen: View, name: str) -> _Column:
    """Images, texts or vectors by groups that look alike; a group of texts is called by its most typical one."""
    own = np.array([owner == name for owner in seen.owner], dtype=bool)
    both = np.nan_to_num(np.concatenate([seen.reference.x[:, own], seen.current.x[:, own]]))
    group, centres = k_means(both[:, :_AXES], _GROUPS, rng=case.rng(f"groups {name}"))
    split_at = len(seen.reference.x)
    levels = []
    for k, centre in enumerate(centres):
        typical = int(((both[:, :_AXES] - centre) ** 2).sum(axis=1).argmin())
        which, side = (
            ("reference", seen.reference) if typical < split_at else ("current", seen.current)
        )
        row = int(side.rows[typical - (0 if which == "reference" else split_at)])
        levels.append(_title(case, which, name, row, k))
    return _Column(name, group[:split_at], group[split_at:], np.empty(0), tuple(levels))


def _title(case: Case, which: str, name: str, row: int, group: int) -> str:
    if case.kind(name) != "text":
        return f"group {group + 1}"
    table = case.reference if which == "reference" else case.current
    text = " ".join(str(table.frame[name][row]).split())
    return f"group {group + 1}, like {text[:40]!r}"


def _cuts(values: Floats) -> Floats:
    known = values[np.isfinite(values)]
    if not len(known):
        return np.empty(0)
    return np.unique(np.quantile(known, np.arange(1, _QUANTILES) / _QUANTILES))


def _numbered(values: Floats, cut: Floats) -> NDArray[np.int64]:
    known = np.isfinite(values)
    bins = np.zeros(len(values), dtype=np.int64)
    bins[known] = np.searchsorted(cut, values[known], side="right") + 1
    return bins


def _top(
    codes: NDArray[np.int32], vocabulary: tuple[str, ...]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Bin of each code (its last entry is for missing), and what the bins are called."""
    size = len(vocabulary)
    count = np.bincount(codes[codes >= 0], minlength=size)
    order = np.argsort(-count, kind="stable")[:_LEVELS]
    table = np.full(size + 1, len(order), dtype=np.int64)
    table[order] = np.arange(len(order))
    table[-1] = len(order) + 1  # code -1 indexes the last entry
    return table, (*(vocabulary[k] for k in order), "(other)", "(missing)")
