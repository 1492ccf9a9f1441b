"""Charts of one thing against another: quantiles, points, calibration."""

from __future__ import annotations

import math
from html import escape

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key, Scale

LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 40
HEIGHT = 290


def _frame(x: Scale, y: Scale, across: str, up: str, form: object = "number") -> str:
    return "".join((
        svg.y_axis(y, x.start, x.stop, form),
        svg.x_axis(x, y.stop, y.start, form=form),
        svg.label((x.start + x.stop) / 2, y.start + 34, across, "hint", anchor="middle"),
        svg.tag("text", escape(up), class_="hint", text_anchor="middle",
                transform=f"translate(12 {(y.start + y.stop) / 2:.1f}) rotate(-90)"),
    ))  # fmt: skip


def _scales(x: tuple[float, float], y: tuple[float, float]) -> tuple[Scale, Scale]:
    return Scale(*x, LEFT, svg.WIDTH - RIGHT), Scale(*y, HEIGHT - BOTTOM, TOP)


def _straight(a: float, b: float, x: Scale, y: Scale, style: str) -> str:
    """The part of `a + b * x` that lies inside the picture."""
    steps = [x.low + (x.high - x.low) * i / 200 for i in range(201)]
    inside = [(s, a + b * s) for s in steps if y.low <= a + b * s <= y.high]
    return (
        svg.path([(x(s), y(v)) for s, v in (inside[:1] + inside[-1:])], style)
        if len(inside) > 1
        else ""
    )


def quantiles(chart: read.Chart) -> Drawing | None:
    """Quantiles now against the reference, with identity and the fitted line."""
    points = read.paired(read.numbers(chart.get("reference")), read.numbers(chart.get("current")))
    if len(points) < 2:
        return None
    x, y = _scales(svg.spread([a for a, _ in points]), svg.spread([b for _, b in points]))
    line = read.fit(chart)
    if line == (0.0, 1.0):
        line = None  # that is no fit but the line of no change, which is drawn anyway
    unchanged = _straight(0, 1, x, y, "identity")
    body = [
        _frame(x, y, "reference quantile", "current quantile"),
        unchanged,
        "" if line is None else _straight(*line, x, y, "fitline"),
        *(
            svg.dot(x(a), y(b), "cur point", f"{words.figure(a)} became {words.figure(b)}")
            for a, b in points
        ),
    ]
    name = read.text(chart, "name") or "the column"
    told = f"{len(points)} quantiles of {name}, current against reference"
    keys = [Key("curpoint", "quantiles"), *[Key("identity", "unchanged")] * bool(unchanged)]
    if line is not None:
        fitted = equation(*line)
        told += f"; fitted line: {fitted}"
        keys.append(Key("fitline", fitted))
    title = f"{name}: quantiles now against the reference"
    return Drawing(svg.svg(svg.WIDTH, HEIGHT, title, told, *body), title, told, tuple(keys))


def equation(a: float, b: float) -> str:
    """A fitted line in words."""
    start = "" if a == 0 else f"{words.figure(a)} + "
    return f"now = {start}{words.figure(b)} × before"


def scatter(chart: read.Chart) -> Drawing | None:
    """Points with the diagonal or a fitted line."""
    points = read.paired(read.numbers(chart.get("x"), 500), read.numbers(chart.get("y"), 500))
    if not points:
        return None
    every = [v for p in points for v in p]
    alike = bool(chart.get("diagonal"))
    across = svg.spread(every if alike else [a for a, _ in points])
    x, y = _scales(across, across if alike else svg.spread([b for _, b in points]))
    line = read.fit(chart)
    x_label, y_label = read.text(chart, "x_label") or "x", read.text(chart, "y_label") or "y"
    body = [
        _frame(x, y, x_label, y_label),
        _straight(0, 1, x, y, "identity") if alike else "",
        "" if line is None else _straight(*line, x, y, "fitline"),
        *(svg.dot(x(a), y(b), "cur point", r=2.6) for a, b in points),
    ]
    name = read.text(chart, "name")
    title = f"{name + ': ' if name else ''}{y_label} against {x_label}"
    told = f"{len(points)} points"
    keys = [Key("identity", "equal")] * alike
    if line is not None:
        keys.append(
            Key(
                "fitline",
                f"{y_label} = {words.figure(line[0])} + {words.figure(line[1])} × {x_label}",
            )
        )
    return Drawing(svg.svg(svg.WIDTH, HEIGHT, title, told, *body), title, told, tuple(keys))


def calibration(chart: read.Chart) -> Drawing | None:
    """Reliability curves of both windows; the size of a point is its number of rows."""
    x, y = _scales((0.0, 1.0), (0.0, 1.0))
    body = [
        _frame(x, y, "predicted rate", "observed rate", "share"),
        svg.line(x(0), y(0), x(1), y(1), "identity"),
    ]
    said = []
    for style, key in (("ref", "reference"), ("cur", "current")):
        side = chart.get(key)
        curve = side if isinstance(side, dict) else {}
        points = _curve(curve)
        if not points:
            continue
        body.append(svg.path([(x(a), y(b)) for a, b, _ in points], f"{style} line"))
        for a, b, share in points:
            told = f"{key}: {words.percent(b)} seen where {words.percent(a)} was predicted"
            body.append(svg.dot(x(a), y(b), f"{style} point", told, 2.5 + 4 * math.sqrt(share)))
        said.append(f"{key} {len(points)} points")
    if not said:
        return None
    title, told = "Calibration: observed against predicted rate", ", ".join(said)
    keys = (Key("ref", "reference"), Key("cur", "current"), Key("identity", "calibrated"))
    return Drawing(svg.svg(svg.WIDTH, HEIGHT, title, told, *body), title, told, keys)


def _curve(curve: read.Chart) -> list[tuple[float, float, float]]:
    """Predicted and observed rate of each point, and its rows as a share of the largest point's."""
    predicted, observed, rows = (read.numbers(curve.get(k)) for k in ("predicted", "observed", "n"))
    rows += [math.nan] * (len(predicted) - len(rows))
    most = max(read.known(rows), default=1.0) or 1.0
    return [
        (a, b, 0.02 if math.isnan(n) else min(1.0, max(0.0, n / most)))
        for a, b, n in zip(predicted, observed, rows, strict=False)
        if not (math.isnan(a) or math.isnan(b))
    ][: read.POINTS]
