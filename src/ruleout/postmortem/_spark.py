"""A metric over time in one line of characters."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ruleout.postmortem import _words as words

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_DOTS: Final = "_.-~=+*#"
_FEWEST: Final = 4
_MOST: Final = 72
_ENDS: Final = 18


def sparkline(
    chart: Mapping[str, Any], width: int, *, ascii_only: bool = False
) -> list[tuple[str, str]]:
    """Lines of text with their styles: the metric point by point in the order of time, then the onset.

    Points are evenly spread, whatever time lies between them; a gap stays blank. Empty when the
    chart has fewer than four values.
    """
    points = _points(chart)
    if sum(not math.isnan(v) for _, v in points) < _FEWEST:
        return []
    columns = max(_FEWEST, min(len(points), width - _ENDS, _MOST))
    cells = _binned([v for _, v in points], columns)
    known = [v for v in cells if not math.isnan(v)]
    low, high = min(known), max(known)
    ends = f" {words.figure(low, high - low or None)} to {words.figure(high, high - low or None)}"
    glyphs = _DOTS if ascii_only else _BLOCKS
    out = [("".join(_glyph(v, low, high, glyphs) for v in cells) + ends, "cyan")]
    onset = chart.get("onset")
    at = words.instant(onset.get("at")) if isinstance(onset, Mapping) else None
    if at is not None and points[0][0] <= at <= points[-1][0]:
        first = bisect_left([t for t, _ in points], at)
        column = _column(first, columns, len(points))
        told = "▲ onset" if column + 7 <= width else "▲"
        out.append((" " * column + told, "dim"))
    return out


def _points(chart: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Instants with their values, NaN for a gap, in the order of time."""
    times, values = chart.get("times"), chart.get("values")
    if not isinstance(times, Sequence) or not isinstance(values, Sequence):
        return []
    pairs = ((words.instant(t), words.finite(v)) for t, v in zip(times, values, strict=False))
    known = [(t, math.nan if v is None else v) for t, v in pairs if t is not None]
    return sorted(known, key=lambda point: point[0])


def _column(index: int, columns: int, count: int) -> int:
    return min(columns - 1, index * columns // max(count, 1))


def _binned(values: Sequence[float], columns: int) -> list[float]:
    """Means of the values that share a column."""
    bins: list[list[float]] = [[] for _ in range(columns)]
    for i, value in enumerate(values):
        if not math.isnan(value):
            bins[_column(i, columns, len(values))].append(value)
    return [sum(b) / len(b) if b else math.nan for b in bins]


def _glyph(value: float, low: float, high: float, glyphs: str) -> str:
    if math.isnan(value):
        return " "
    if high <= low:
        return glyphs[len(glyphs) // 2]
    return glyphs[min(len(glyphs) - 1, int((value - low) / (high - low) * len(glyphs)))]
