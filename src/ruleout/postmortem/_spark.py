"""A metric over time in one line of characters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ruleout.postmortem import _words as words

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_DOTS: Final = "_.-~=+*#"
_FEWEST: Final = 4
_ENDS: Final = 18


def sparkline(
    chart: Mapping[str, Any], width: int, *, ascii_only: bool = False
) -> list[tuple[str, str]]:
    """Lines of text with their styles: the metric, and the onset beneath it.

    Empty when the chart has fewer than four values; gaps stay blank.
    """
    points = _points(chart)
    if len(points) < _FEWEST:
        return []
    start, stop = points[0][0], points[-1][0]
    cells = _cells(points, max(_FEWEST, min(len(points), width - _ENDS, 72)))
    columns = len(cells)
    known = [v for v in cells if not math.isnan(v)]
    low, high = min(known), max(known)
    ends = f" {words.figure(low, high - low or None)} to {words.figure(high, high - low or None)}"
    line = "".join(_glyph(v, low, high, _DOTS if ascii_only else _BLOCKS) for v in cells)
    out = [(line + ends, "cyan")]
    onset = chart.get("onset")
    at = words.instant(onset.get("at")) if isinstance(onset, Mapping) else None
    if at is not None and start <= at <= stop:
        column = _column(at, columns, start, stop)
        told = "▲ onset" if column + 7 <= width else "▲"
        out.append((" " * column + told, "dim"))
    return out


def _points(chart: Mapping[str, Any]) -> list[tuple[float, float]]:
    times, values = chart.get("times"), chart.get("values")
    if not isinstance(times, Sequence) or not isinstance(values, Sequence):
        return []
    pairs = ((words.instant(t), words.finite(v)) for t, v in zip(times, values, strict=False))
    return sorted((t, v) for t, v in pairs if t is not None and v is not None)


def _column(at: float, columns: int, start: float, stop: float) -> int:
    return min(columns - 1, int((at - start) / ((stop - start) or 1.0) * columns))


def _cells(points: Sequence[tuple[float, float]], most: int) -> list[float]:
    """As many cells as leave none empty, if at least half of `most` do; else `most` with gaps."""
    start, stop = points[0][0], points[-1][0]
    tries = [_binned(points, n, start, stop) for n in range(most, most // 2, -1)]
    return next((cells for cells in tries if not any(map(math.isnan, cells))), tries[0])


def _binned(
    points: Sequence[tuple[float, float]], columns: int, start: float, stop: float
) -> list[float]:
    bins: list[list[float]] = [[] for _ in range(columns)]
    for at, value in points:
        bins[_column(at, columns, start, stop)].append(value)
    return [sum(b) / len(b) if b else math.nan for b in bins]


def _glyph(value: float, low: float, high: float, glyphs: str) -> str:
    if math.isnan(value):
        return " "
    if high <= low:
        return glyphs[len(glyphs) // 2]
    return glyphs[min(len(glyphs) - 1, int((value - low) / (high - low) * len(glyphs)))]
