"""Charts in rows: bars, steps, dumbbells and intervals, each with its words at the left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key, Scale

NAMES: Final = 150
"""Room for the words at the left of a row."""

PAIR: Final = (Key("refbar", "reference"), Key("curbar", "current"))
_MOST: Final = 24


def _axis(x: Scale, top: float, bottom: float, form: object = "number") -> str:
    return svg.x_axis(x, top, bottom, form=form, most=4)


def _name(text: str, middle: float, style: str = "", tip: str = "") -> str:
    """The words of a row, on two lines when one is too short for them."""
    lines = svg.folded(text, NAMES - 14)
    x, first = NAMES - 8, middle + 4 - 6 * (len(lines) - 1)
    return "".join(
        svg.label(
            x,
            first + 12 * i,
            line,
            style or ("tick" if len(lines) > 1 else ""),
            anchor="end",
            tip=tip or text,
        )
        for i, line in enumerate(lines)
    )


def _whisker(x: Scale, low: float, high: float, y: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return ""
    ends = "".join(svg.line(x(v), y - 4, x(v), y + 4, "whisker") for v in (low, high))
    return svg.line(x(low), y, x(high), y, "whisker") + ends


def _at(values: Sequence[float], i: int) -> float:
    return values[i] if i < len(values) else math.nan


def undo(chart: read.Chart) -> Drawing | None:
    """The metric in the reference, in the incident and after each repair, with intervals."""
    labels, values = read.texts(chart.get("labels"), 12), read.numbers(chart.get("values"), 12)
    low, high = read.numbers(chart.get("low"), 12), read.numbers(chart.get("high"), 12)
    every = read.known(values, low, high)
    if not labels or not read.known(values):
        return None
    each, top = 34, 8
    bottom = top + each * len(labels)
    x = Scale(*svg.spread(every, zero=True, pad=0.02), NAMES, svg.WIDTH - 62)
    change = max(every) - min(every)
    body = [_axis(x, top, bottom)]
    for i, text in enumerate(labels):
        value, middle = _at(values, i), top + each * (i + 0.5)
        body.append(_name(text, middle))
        if math.isnan(value):
            continue
        style = ("refbar", "curbar")[i] if i < 2 else "undbar"
        body.append(
            svg.rect(
                x(0),
                middle - 9,
                x(value) - x(0),
                18,
                style,
                tip=f"{text}: {words.figure(value, change)}",
            )
        )
        body.append(_whisker(x, _at(low, i), _at(high, i), middle))
        body.append(
            svg.label(
                svg.WIDTH - 4, middle + 4, words.figure(value, change), "strong", anchor="end"
            )
        )
    metric = read.text(chart, "metric") or "the metric"
    title = f"{metric}: before, during, and with the cause undone"
    told = "; ".join(f"{t} {words.figure(v, change)}" for t, v in zip(labels, values, strict=False))
    keys = (*PAIR, Key("undbar", "undone"))
    return Drawing(svg.svg(svg.WIDTH, bottom + 26, title, told, *body), title, told, keys)


def waterfall(chart: read.Chart) -> Drawing | None:
    """From the reference to the current value by what each cause explains."""
    start, end = read.number(chart, "start"), read.number(chart, "end")
    steps = [
        (words.clean(s.get("label", ""), 60), words.finite(s.get("value")) or 0.0)
        for s in read.rows(chart.get("steps"), 12)
    ]
    if start is None or end is None or not steps:
        return None
    scale = end - start or 1.0
    rest = end - start - sum(v for _, v in steps)
    if abs(rest) > 0.005 * abs(scale):
        steps.append(("unexplained", rest))
    levels, at = [start, end], start
    for _, value in steps:
        at += value
        levels.append(at)
    each, top = 32, 8
    bottom = top + each * (len(steps) + 2)
    x = Scale(*svg.spread(levels, pad=0.12), NAMES, svg.WIDTH - 78)
    body = [
        _axis(x, top, bottom),
        _level(x, "reference", start, top=top, each=each, style="refbar", scale=scale),
    ]
    at = start
    for i, (text, value) in enumerate(steps, 1):
        middle = top + each * (i + 0.5)
        style = "restbar" if text == "unexplained" else "curbar"
        body += [
            svg.line(x(at), middle - each, x(at), middle, "identity"),
            _name(text, middle),
            svg.rect(
                x(at),
                middle - 9,
                x(at + value) - x(at),
                18,
                style,
                tip=f"{text}: {words.signed(value, scale)}",
            ),
            svg.label(
                svg.WIDTH - 4, middle + 4, words.signed(value, scale), "strong", anchor="end"
            ),
        ]
        at += value
    body.append(
        _level(x, "current", end, top=bottom - each, each=each, style="curbar", scale=scale)
    )
    metric = read.text(chart, "metric") or "the metric"
    title = f"{metric}: what explains the change"
    told = "; ".join(f"{text} {words.signed(value, scale)}" for text, value in steps)
    return Drawing(svg.svg(svg.WIDTH, bottom + 26, title, told, *body), title, told)


def _level(
    x: Scale, name: str, value: float, *, top: float, each: float, style: str, scale: float
) -> str:
    middle = top + each / 2
    return "".join((
        _name(name, middle, "strong"),
        svg.rect(x(value) - 2.5, middle - 11, 5, 22, style, tip=name),
        svg.label(svg.WIDTH - 4, middle + 4, words.figure(value, scale), "strong", anchor="end"),
    ))  # fmt: skip


def bars(chart: read.Chart) -> Drawing | None:
    """Paired bars by category, in the given order."""
    names = read.texts(chart.get("categories"), _MOST)
    sides = [read.numbers(chart.get(k), _MOST) for k in ("reference", "current")]
    every, form = read.known(*sides), chart.get("format")
    if not names or not every:
        return None
    each, top = 36, 8
    bottom = top + each * len(names)
    x = Scale(*svg.spread(every, zero=True, pad=0.02), NAMES, svg.WIDTH - 62)
    body = [_axis(x, top, bottom, form)]
    for i, text in enumerate(names):
        body.append(_name(text, top + each * (i + 0.5)))
        for j, (style, side) in enumerate(zip(("refbar", "curbar"), sides, strict=True)):
            value, y = _at(side, i), top + each * i + 4 + 14 * j
            if math.isnan(value):
                continue
            told = read.shown(value, form, max(every) - min(every))
            body.append(svg.rect(x(0), y, x(value) - x(0), 12, style, tip=f"{text}: {told}"))
            body.append(svg.label(max(x(value), x(0)) + 5, y + 10, told, "tick"))
    name = read.text(chart, "name")
    title = (
        f"{name}: {'share' if form == 'share' else 'value'} by category" if name else "By category"
    )
    hidden = len(read.items(chart.get("categories"))) - len(names)
    note = f"{hidden:,} more categories are not drawn" if hidden > 0 else ""
    told = f"{len(names)} categories, reference and current"
    return Drawing(
        svg.svg(svg.WIDTH, bottom + 26, title, told, *body), title, told, PAIR, note=note
    )


def slices(chart: read.Chart) -> Drawing | None:
    """The metric of each slice before and after, the largest change first."""
    found = []
    for row in read.rows(chart.get("rows")):
        before, after = words.finite(row.get("before")), words.finite(row.get("after"))
        if before is not None and after is not None:
            found.append(
                (words.clean(row.get("name", ""), 80), before, after, words.finite(row.get("n")))
            )
    if not found:
        return None
    found.sort(key=lambda r: -abs(r[2] - r[1]))
    every = [v for _, a, b, _ in found for v in (a, b)]
    found = found[:_MOST]
    each, top = 30, 8
    bottom = top + each * len(found)
    x, scale = Scale(*svg.spread(every), NAMES, svg.WIDTH - 70), max(every) - min(every)
    body = [_axis(x, top, bottom)]
    for i, (text, before, after, n) in enumerate(found):
        middle = top + each * (i + 0.5)
        rows = "" if n is None else f", {n:,.0f} rows"
        tip = f"{text}: {words.figure(before, scale)} to {words.figure(after, scale)}{rows}"
        body += [
            _name(text, middle, tip=tip),
            svg.line(x(before), middle, x(after), middle, "dumbbell"),
            svg.dot(x(before), middle, "ref point hollow", tip, 5),
            svg.dot(x(after), middle, "cur point solid", tip, 5),
            svg.label(
                svg.WIDTH - 4,
                middle + 4,
                words.signed(after - before, scale),
                "strong",
                anchor="end",
            ),
        ]
    metric = read.text(chart, "metric") or "the metric"
    title = f"{metric} by slice: who is hit"
    told = "; ".join(
        f"{t} from {words.figure(a, scale)} to {words.figure(b, scale)}" for t, a, b, _ in found[:8]
    )
    return Drawing(
        svg.svg(svg.WIDTH, bottom + 26, title, told, *body),
        title,
        told,
        # Other titles than this one do not say what is measured.
        (Key("refpoint", f"{metric}, reference"), Key("curpoint", f"{metric}, current")),
    )


def intervals(chart: read.Chart) -> Drawing | None:
    """Values with their intervals against a line."""
    found = [
        r for r in read.rows(chart.get("rows"), _MOST) if words.finite(r.get("value")) is not None
    ]
    if not found:
        return None
    zero, form = read.number(chart, "zero") or 0.0, chart.get("format")
    columns = [
        [v for r in found if (v := words.finite(r.get(k))) is not None]
        for k in ("value", "low", "high")
    ]
    every = [zero, *read.known(*columns)]
    each, top = 28, 8
    bottom = top + each * len(found)
    x = Scale(*svg.spread(every), NAMES, svg.WIDTH - 70)
    body = [_axis(x, top, bottom, form), svg.line(x(zero), top, x(zero), bottom, "identity")]
    for i, row in enumerate(found):
        middle, text = top + each * (i + 0.5), words.clean(row.get("label", ""), 80)
        value, low, high = (read.numbers([row.get(k)])[0] for k in ("value", "low", "high"))
        told = read.shown(value, form, max(every) - min(every))
        body += [
            _name(text, middle),
            _whisker(x, low, high, middle),
            svg.dot(x(value), middle, "cur point solid", f"{text}: {told}", 4.5),
            svg.label(svg.WIDTH - 4, middle + 4, told, "strong", anchor="end"),
        ]
    title = f"{read.text(chart, 'name') or 'Values'} with intervals"
    told = f"{len(found)} values with intervals, compared with {words.figure(zero)}"
    return Drawing(svg.svg(svg.WIDTH, bottom + 26, title, told, *body), title, told)
