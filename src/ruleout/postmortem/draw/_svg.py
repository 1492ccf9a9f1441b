"""Writing SVG: escaped tags, scales, ticks and axes. Styles come from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final, NamedTuple

from ruleout.postmortem import _words as words

WIDTH: Final = 460
"""Width of a usual chart in its own units; the page scales it."""

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_STEPS: Final = (
    *(1, 5, 15, 30, 60, 120, 300, 600, 1800),
    *(h * _HOUR for h in (1, 2, 3, 6, 12)),
    *(d * _DAY for d in (1, 2, 4, 7, 14, 28, 56, 91, 182, 365, 730, 1825, 3650)),
)


class Key(NamedTuple):
    """An entry of the legend: the style class of its mark and its words."""

    style: str
    label: str


class Drawing(NamedTuple):
    """A chart, drawn: markup, the title used when the data brings none, and words for those who cannot see it."""

    body: str
    title: str
    description: str
    keys: tuple[Key, ...] = ()
    wide: bool = False
    note: str = ""


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element; `class_` becomes `class`, `_` becomes `-`, floats are cut to one decimal."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    return f"<{name}{told}>{''.join(children)}</{name}>"


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return str(value)


def label(
    x: float, y: float, text: str, style: str = "", *, anchor: str = "start", tip: str = ""
) -> str:
    """Text at a point; `tip` is told when the pointer rests on it."""
    told = tag("title", escape(tip)) if tip and tip != text else ""
    return tag(
        "text", told, escape(text), x=float(x), y=float(y), class_=style,
        text_anchor="" if anchor == "start" else anchor,
    )  # fmt: skip


def slanted(x: float, y: float, text: str, style: str, tip: str) -> str:
    """Text that rises from a point, for narrow columns."""
    told = tag("title", escape(tip))
    place = f"translate({x:.1f} {y:.1f}) rotate(-50)"
    return tag("text", told, escape(text), class_=style, transform=place)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), class_=style)


def rect(
    x: float, y: float, width: float, height: float, style: str, *, tip: str = "", **more: object
) -> str:
    """A rectangle; a negative width is turned round."""
    left, size = (x, width) if width >= 0 else (x + width, -width)
    told = tag("title", escape(tip)) if tip else ""
    return tag(
        "rect",
        told,
        x=float(left),
        y=float(y),
        width=float(size),
        height=float(height),
        class_=style,
        **more,
    )


def dot(x: float, y: float, style: str, tip: str = "", r: float = 3.0) -> str:
    """A point."""
    told = tag("title", escape(tip)) if tip else ""
    return tag("circle", told, cx=float(x), cy=float(y), r=float(r), class_=style)


def path(points: Iterable[tuple[float, float]], style: str) -> str:
    """A line through the points; NaN lifts the pen."""
    steps: list[str] = []
    pen = "M"
    for x, y in points:
        if math.isnan(x) or math.isnan(y):
            pen = "M"
            continue
        steps.append(f"{pen}{_plain(float(x))} {_plain(float(y))}")
        pen = "L"
    return tag("path", d="".join(steps), class_=style) if steps else ""


def band(x: Sequence[float], low: Sequence[float], high: Sequence[float], style: str) -> str:
    """The area between two lines; a gap in either parts it."""
    runs: list[list[tuple[float, float, float]]] = [[]]
    for a, b, c in zip(x, low, high, strict=False):
        if math.isnan(a + b + c):
            runs.append([])
        else:
            runs[-1].append((a, b, c))
    outlines = (
        [*((a, c) for a, _, c in run), *((a, b) for a, b, _ in reversed(run))] for run in runs
    )
    return "".join(path(outline, style) for outline in outlines if len(outline) > 2)


def svg(width: float, height: float, title: str, description: str, *body: str) -> str:
    """The picture with its title and description."""
    return tag(
        "svg", tag("title", escape(title)), tag("desc", escape(description)), *body,
        viewBox=f"0 0 {_plain(float(width))} {_plain(float(height))}", role="img", aria_label=f"{title}. {description}",
    )  # fmt: skip


class Scale(NamedTuple):
    """A linear map from values to places on the picture."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.stop - self.start)


def spread(
    values: Sequence[float], *, zero: bool = False, pad: float = 0.06
) -> tuple[float, float]:
    """The range of the values with some air; with `zero`, zero is part of it."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        room = abs(high) * 0.1 or 1.0
        return low - room, high + room
    air = pad * (high - low)
    return low - air * (not zero or low < 0), high + air * (not zero or high > 0)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values within a range, in steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / max(1, most)
    if not math.isfinite(raw) or raw <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)] or [low]


def tick_label(value: float, marks: Sequence[float]) -> str:
    """A tick with as many decimals as its neighbours need."""
    step = abs(marks[1] - marks[0]) if len(marks) > 1 else abs(value) or 1.0
    if abs(value) < 1e-9 * step:
        return "0"
    if step >= 1e5 or step < 1e-5:
        largest = max(abs(m) for m in marks)
        return f"{value:.{max(2, math.ceil(math.log10(largest / step)) + 1)}g}"
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def time_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Round instants with their names in UTC."""
    step = next((s for s in _STEPS if (high - low) / s <= most), _STEPS[-1])
    first = math.ceil(low / step)
    marks = [i * float(step) for i in range(first, math.floor(high / step) + 1)][: 2 * most]
    return [(m, time_label(m, step)) for m in marks]


def time_label(at: float, step: float) -> str:
    """An instant named by what changes from tick to tick: a day or an hour."""
    when = datetime.fromtimestamp(at, UTC)
    if step >= 300 * _DAY:
        return f"{words.MONTHS[when.month - 1]} {when.year}"
    if step >= _DAY or (when.hour, when.minute, when.second) == (0, 0, 0):
        return f"{when.day} {words.MONTHS[when.month - 1]}"
    return when.strftime("%H:%M" if step >= 60 else "%H:%M:%S")


def is_time(values: Sequence[float]) -> bool:
    """Whether numbers look like epoch seconds of this century."""
    found = [v for v in values if not math.isnan(v)]
    return bool(found) and min(found) > 9e8 and max(found) < 5e9


def y_axis(scale: Scale, left: float, right: float, form: object = "number", most: int = 5) -> str:
    """Grid lines across the picture with their values at the left."""
    marks = ticks(scale.low, scale.high, most)
    named = [(words.percent(m) if form == "share" else tick_label(m, marks)) for m in marks]
    return "".join(
        line(left, scale(m), right, scale(m), "grid")
        + label(left - 6, scale(m) + 4, name, "tick", anchor="end")
        for m, name in zip(marks, named, strict=True)
    )


def x_axis(
    scale: Scale,
    top: float,
    bottom: float,
    *,
    form: object = "number",
    time: bool = False,
    most: int = 5,
) -> str:
    """Grid lines down the picture with their values beneath."""
    if time:
        named = time_ticks(scale.low, scale.high, most)
    else:
        marks = ticks(scale.low, scale.high, most)
        named = [(m, words.percent(m) if form == "share" else tick_label(m, marks)) for m in marks]
    return "".join(
        line(scale(m), top, scale(m), bottom, "grid")
        + label(scale(m), bottom + 16, name, "tick", anchor="middle")
        for m, name in named
    )


def folded(text: str, width: float, size: float = 6.2) -> list[str]:
    """The text on one line or, where that is too short, on two; what still does not fit is cut."""
    most = max(2, int(width / size))
    if len(text) <= most:
        return [text]
    space = text.rfind(" ", most // 2, most + 1)
    at = space if space > 0 else most
    return [text[:at].rstrip(), cut(text[at:].lstrip(), width, size)]


def cut(text: str, width: float, size: float = 6.4) -> str:
    """The text cut to about `width` units at the usual font size."""
    most = max(2, int(width / size))
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
