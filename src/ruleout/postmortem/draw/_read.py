"""Reading chart data that anybody may have written: total functions, never an error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ruleout.postmortem import _words as words

Chart = Mapping[str, Any]
POINTS = 600
"""Most points of a line that are drawn; what is longer is thinned evenly."""


def items(value: object) -> Sequence[Any]:
    """A list as it is; everything else, text included, as an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def numbers(value: object, most: int = 100_000) -> list[float]:
    """Numbers with NaN for every gap."""
    found = (words.finite(v) for v in items(value)[:most])
    return [math.nan if v is None else v for v in found]


def instants(value: object) -> list[float]:
    """Instants or plain numbers, NaN where there is none."""
    found = (words.instant(v) for v in items(value))
    return [math.nan if v is None else v for v in found]


def texts(value: object, most: int, limit: int = 60) -> list[str]:
    """The first `most` texts, cleaned and cut."""
    return [words.clean(v, limit) for v in items(value)[:most]]


def rows(value: object, most: int = 1_000) -> list[Mapping[str, Any]]:
    """The mappings of a list."""
    return [v for v in items(value)[:most] if isinstance(v, Mapping)]


def grid(value: object, most: int) -> list[list[float]]:
    """A table of numbers, cut to a square of `most`."""
    return [numbers(row, most) for row in items(value)[:most]]


def number(chart: Chart, key: str) -> float | None:
    """One finite number."""
    return words.finite(chart.get(key))


def text(chart: Chart, key: str, limit: int = 80) -> str:
    """One text, or nothing."""
    value = chart.get(key)
    return words.clean(value, limit) if isinstance(value, str) else ""


def fit(chart: Chart) -> tuple[float, float] | None:
    """Intercept and slope of `current = a + b * reference`."""
    line = chart.get("fit")
    if not isinstance(line, Mapping):
        return None
    a, b = words.finite(line.get("a")), words.finite(line.get("b"))
    return None if a is None or b is None else (a, b)


def known(*columns: Sequence[float]) -> list[float]:
    """All numbers that are there."""
    return [v for column in columns for v in column if not math.isnan(v)]


def paired(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Points of which both sides are there, thinned to `POINTS`."""
    both = [(a, b) for a, b in zip(x, y, strict=False) if not (math.isnan(a) or math.isnan(b))]
    return both[:: max(1, math.ceil(len(both) / POINTS))]


def thinned(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """A line in the order of `x`, its gaps kept as NaN, thinned to `POINTS`."""
    line = [(a, b) for a, b in zip(x, y, strict=False) if not math.isnan(a)]
    line.sort(key=lambda point: point[0])
    return line[:: max(1, math.ceil(len(line) / POINTS))]


def shown(value: float | None, form: object, step: float | None = None) -> str:
    """A number in the chart's format: `share`, `count` or a plain number."""
    if value is None or math.isnan(value):
        return "–"
    if form == "share":
        return words.percent(value)
    return f"{value:,.0f}" if form == "count" else words.figure(value, step)
