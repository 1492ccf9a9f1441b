"""Charts over time and other lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key, Scale

LEFT, RIGHT, TOP, BOTTOM = 52, 12, 14, 26
_GAP = 2.5
"""A pause of more than this many usual steps is shown as one."""

_STYLES = ("s0", "s1", "s2", "s3", "s4", "s5")


def metric_over_time(chart: read.Chart, width: float = 920, height: float = 270) -> Drawing | None:
    """The metric with its interval, both windows, the onset's interval and the changes."""
    times, values = read.instants(chart.get("times")), read.numbers(chart.get("values"))
    points = read.thinned(times, values)
    if len(read.known([v for _, v in points])) < 2:
        return None
    low, high = (read.thinned(times, read.numbers(chart.get(k))) for k in ("low", "high"))
    level = read.number(chart, "reference")
    every = read.known([v for _, v in points], [v for _, v in low], [v for _, v in high])
    x = Scale(points[0][0], points[-1][0], LEFT, width - RIGHT)
    y = Scale(*svg.spread([*every, *([] if level is None else [level])]), height - BOTTOM, TOP + 16)
    body = [
        _windows(chart, x, height),
        svg.y_axis(y, LEFT, width - RIGHT),
        svg.x_axis(
            x, height - BOTTOM, height - BOTTOM, time=svg.is_time(times), most=int(width / 85)
        ),
        _onset(chart, x, height),
        svg.band([x(t) for t, _ in low], [y(v) for _, v in low], [y(v) for _, v in high], "band"),
        "" if level is None else svg.line(LEFT, y(level), width - RIGHT, y(level), "level"),
        svg.path([(x(t), y(v)) for t, v in points], "cur line"),
        _marks(chart, x, height),
    ]
    metric = read.text(chart, "metric") or "metric"
    told = f"{metric} between {words.figure(min(every))} and {words.figure(max(every))}"
    keys = [Key("cur", metric)]
    keys += [Key("bandkey", "interval")] if low and high else []
    keys += [Key("level", "reference level")] if level is not None else []
    keys += [Key("onsetkey", "onset")] if chart.get("onset") else []
    keys += [Key("changekey", "change event")] if chart.get("changes") else []
    title = f"{metric} over time"
    return Drawing(svg.svg(width, height, title, told, *body), title, told, tuple(keys), wide=True)


def _windows(chart: read.Chart, x: Scale, height: float) -> str:
    windows = chart.get("windows")
    current = read.instants(windows.get("current")) if isinstance(windows, Mapping) else []
    if len(current) != 2 or any(math.isnan(t) for t in current):
        return ""
    start, stop = (min(max(t, x.low), x.high) for t in current)
    if stop <= start:
        return ""
    area = svg.rect(x(start), TOP, x(stop) - x(start), height - TOP - BOTTOM, "window")
    if x(stop) - x(start) < 100:
        return area
    return area + svg.label(x(stop) - 4, TOP + 12, "current window", "hint", anchor="end")


def _onset(chart: read.Chart, x: Scale, height: float) -> str:
    onset = chart.get("onset")
    if not isinstance(onset, Mapping):
        return ""
    at, low, high = (words.instant(onset.get(k)) for k in ("at", "low", "high"))
    if at is None or not x.low <= at <= x.high:
        return ""
    start, stop = (x(min(max(at if t is None else t, x.low), x.high)) for t in (low, high))
    area = svg.rect(start, TOP, max(1.0, stop - start), height - TOP - BOTTOM, "onsetband")
    return area + svg.line(x(at), TOP, x(at), height - BOTTOM, "onset")


def _marks(chart: read.Chart, x: Scale, height: float) -> str:
    found = []
    for change in read.rows(chart.get("changes"), 40):
        at = words.instant(change.get("at"))
        if at is not None and x.low <= at <= x.high:
            name, told = (
                words.clean(change.get("id") or "", 8),
                words.clean(change.get("label") or "", 120),
            )
            found.append((x(at), name, f"{name} {words.moment(at)} {told}".strip()))
    out, levels = [], [-math.inf] * 4
    bottom = height - BOTTOM
    for place, name, tip in sorted(found):
        # A name that would touch its neighbour is set one line higher.
        level = next((i for i, taken in enumerate(levels) if place - taken > 22), len(levels) - 1)
        levels[level] = place
        shape = f"M{place:.1f} {bottom - 9:.1f}l5 9h-10z"
        out.append(svg.tag("path", svg.tag("title", escape(tip)), class_="change", d=shape))
        y = bottom - 12 - 12 * level
        out.append(svg.label(place, y, name, "hint", anchor="middle", tip=tip))
    return "".join(out)


def line(chart: read.Chart) -> Drawing | None:
    """Named lines over numbers or instants."""
    x_values = read.instants(chart.get("x"))
    series = [
        (words.clean(s.get("name", ""), 40), read.thinned(x_values, read.numbers(s.get("values"))))
        for s in read.rows(chart.get("series"), len(_STYLES))
    ]
    every = read.known([v for _, points in series for _, v in points])
    across = read.known(x_values)
    if not every or len(across) < 2:
        return None
    width, height, form = svg.WIDTH, 230, chart.get("format")
    x = Scale(min(across), max(across), LEFT, width - RIGHT)
    y = Scale(*svg.spread(every), height - BOTTOM - 14, TOP)
    mark = words.instant(chart.get("mark"))
    body = [
        svg.y_axis(y, LEFT, width - RIGHT, form),
        svg.x_axis(x, y.start, y.start, time=svg.is_time(across)),
        "" if mark is None else svg.line(x(mark), TOP, x(mark), y.start, "onset"),
        *(
            svg.path([(x(a), y(b)) for a, b in p], f"line {s}")
            for s, (_, p) in zip(_STYLES, series, strict=False)
        ),
        svg.label(
            (LEFT + width) / 2, height - 2, read.text(chart, "x_label"), "hint", anchor="middle"
        ),
    ]
    title = read.text(chart, "y_label") or _named(chart, "lines")
    told = f"lines: {words.listed([name for name, _ in series], 6)}"
    keys = tuple(Key(s, name) for s, (name, _) in zip(_STYLES, series, strict=False))
    return Drawing(svg.svg(width, height, title, told, *body), title, told, keys)


def _named(chart: read.Chart, what: str) -> str:
    name = read.text(chart, "name")
    return f"{name}: {what}" if name else what.capitalize()


def histogram(chart: read.Chart) -> Drawing | None:
    """Two distributions as step outlines."""
    edges = read.numbers(chart.get("edges"), 202)
    sides = (
        [read.numbers(chart.get(k), len(edges) - 1) for k in ("reference", "current")]
        if edges
        else []
    )
    every = read.known(*sides)
    if len(read.known(edges)) < 2 or not every or len(read.known(edges)) < len(edges):
        return None
    width, height = svg.WIDTH, 210
    x = Scale(min(edges), max(edges), LEFT, width - RIGHT)
    y = Scale(*svg.spread(every, zero=True), height - BOTTOM, TOP)
    body = [svg.y_axis(y, LEFT, width - RIGHT, "share"), svg.x_axis(x, y.start, y.start)]
    for style, side in zip(("ref", "cur"), sides, strict=True):
        steps = [
            (x(e), y(v)) for v, a, b in zip(side, edges, edges[1:], strict=False) for e in (a, b)
        ]
        body.append(svg.path([(x(edges[0]), y(0)), *steps], f"{style} line"))
    title, told = _named(chart, "distribution"), "share of rows by bin, reference and current"
    return Drawing(svg.svg(width, height, title, told, *body), title, told, PAIR)


PAIR = (Key("ref", "reference"), Key("cur", "current"))


def series(chart: read.Chart) -> Drawing | None:
    """Metrics of several entities on one time axis, each with its own onset."""
    times = read.instants(chart.get("times"))
    drawn = [
        (r, read.thinned(times, read.numbers(r.get("values"))))
        for r in read.rows(chart.get("rows"), 12)
    ]
    drawn = [(r, p) for r, p in drawn if read.known([v for _, v in p])]
    across = read.known(times)
    if not drawn or len(across) < 2:
        return None
    width, each = 920, 54
    height = each * len(drawn) + BOTTOM + TOP
    x = Scale(min(across), max(across), 210, width - RIGHT)
    body = [svg.x_axis(x, TOP, height - BOTTOM, time=svg.is_time(across), most=8)]
    for i, (row, points) in enumerate(drawn):
        body.append(_strip(row, points, x, TOP + each * i, each))
    mark = words.instant(chart.get("mark"))
    if mark is not None:
        body.append(svg.line(x(mark), TOP, x(mark), height - BOTTOM, "onset"))
    told = f"aligned metrics of {words.listed([words.clean(r.get('entity', ''), 40) for r, _ in drawn], 6)}"
    title = "The chain on one time axis"
    keys = (Key("cur", "metric"), Key("onsetline", "onset"))
    return Drawing(svg.svg(width, height, title, told, *body), title, told, keys, wide=True)


def _strip(
    row: read.Chart, points: Sequence[tuple[float, float]], x: Scale, top: float, each: float
) -> str:
    values = read.known([v for _, v in points])
    y = Scale(*svg.spread(values), top + each - 10, top + 6)
    entity, metric = words.clean(row.get("entity", ""), 60), words.clean(row.get("metric", ""), 60)
    onset = words.instant(row.get("onset"))
    return "".join((
        svg.label(4, top + 22, svg.cut(entity, 148, 7.2), "strong", tip=entity),
        svg.label(4, top + 38, svg.cut(metric, 148), "hint", tip=metric),
        svg.label(x.start - 8, top + 16, words.figure(max(values)), "tick", anchor="end"),
        svg.label(x.start - 8, top + each - 8, words.figure(min(values)), "tick", anchor="end"),
        svg.line(4, top + each, x.stop, top + each, "grid"),
        "" if onset is None else svg.line(x(onset), top + 2, x(onset), top + each - 4, "onset"),
        svg.path([(x(t), y(v)) for t, v in _bridged(points)], "cur line"),
    ))  # fmt: skip


def _bridged(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The known points, with a gap only where one is much longer than this row's usual step.

    Rows that were sampled at other times than their neighbours have a hole at every other place of the common axis.
    """
    known = [p for p in points if not math.isnan(p[1])]
    steps = sorted(b[0] - a[0] for a, b in pairwise(known))
    most = _GAP * steps[len(steps) // 2] if steps else math.inf
    line = known[:1]
    for before, after in pairwise(known):
        if after[0] - before[0] > most:
            line.append((after[0], math.nan))
        line.append(after)
    return line
