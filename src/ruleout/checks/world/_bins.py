"""Columns as small integers for slices, and slices as sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.world._view import View
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._slices import Condition

_QUANTILES = 8
_LEVELS = 30
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


def _build(case: Case, seen: View) -> Binned:
    names: list[str] = []
    columns: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    edges: list[Floats] = []
    levels: list[tuple[str, ...]] = []
    rows = seen.reference.rows, seen.current.rows
    wanted = list(dict.fromkeys([*case.segments, *case.numeric, *case.categorical]))[:_WIDE]
    for name in wanted:
        if name in case.numeric:
            values = [
                case.table(w).numeric(name)[r]  # type: ignore[arg-type]
                for w, r in zip(("reference", "current"), rows, strict=True)
            ]
            cut = _cuts(np.concatenate(values))
            columns.append((_numbered(values[0], cut), _numbered(values[1], cut)))
            edges.append(cut)
            levels.append(())
        else:
            codes = [
                case.codes(w, name)[r]  # type: ignore[arg-type]
                for w, r in zip(("reference", "current"), rows, strict=True)
            ]
            top, text = _top(np.concatenate(codes), case.vocabulary(name))
            columns.append((top[codes[0]], top[codes[1]]))
            edges.append(np.empty(0))
            levels.append(text)
        names.append(name)
    ordered = np.array([len(level) == 0 for level in levels], dtype=bool)
    empty = [np.empty((len(r), 0), dtype=np.int64) for r in rows]
    stacked = [np.stack(c, axis=1) for c in zip(*columns, strict=True)] if columns else empty
    return Binned(tuple(names), stacked[0], stacked[1], ordered, tuple(edges), tuple(levels))


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
