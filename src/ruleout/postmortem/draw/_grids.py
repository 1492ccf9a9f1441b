"""Charts of cells: confusion matrices and heat maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key

_CLASSES: Final = 20
_ROWS, _COLUMNS = 24, 48
_MOVED: Final = 0.1
"""Cells whose share of the row moved by more than this are framed."""

Cells = Sequence[Sequence[float]]


def confusion(chart: read.Chart) -> Drawing | None:
    """Both confusion matrices by share of the true class; cells that moved are framed."""
    classes = read.texts(chart.get("classes"), _CLASSES)
    sides = [_shares(read.grid(chart.get(k), _CLASSES)) for k in ("reference", "current")]
    size = len(classes)
    if not size or any(len(s) != size or any(len(row) != size for row in s) for s in sides):
        return None
    names = 92
    cell = min(64.0, (svg.WIDTH - names) / size)
    panel = names + cell * size + 34
    height = 48 + cell * size + 4
    moved = [
        (i, j)
        for i in range(size)
        for j in range(size)
        if abs(sides[1][i][j] - sides[0][i][j]) > _MOVED
    ]
    body = []
    for k, (name, side) in enumerate(zip(("reference", "current"), sides, strict=True)):
        left = names + (panel if k else 0)
        body.append(
            svg.label(left, 14, f"{name}: true class in rows, predicted in columns", "hint")
        )
        body += _matrix(
            side, classes, left=left, top=48, cell=cell, moved=set(moved) if k else set()
        )
        if not k:
            body += [
                _row_name(c, left - 6, 48 + cell * (i + 0.5), names - 8)
                for i, c in enumerate(classes)
            ]
        else:
            body += [
                _row_name(c, left - 6, 48 + cell * (i + 0.5), names - 8)
                for i, c in enumerate(classes)
            ]
    told = "; ".join(
        f"{classes[i]} predicted as {classes[j]}: {words.percent(sides[0][i][j])} to {words.percent(sides[1][i][j])}"
        for i, j in moved[:8]
    )
    title = "Confusion matrices: which class is taken for which"
    keys = (Key("movedkey", "moved by more than 10 points"),)
    return Drawing(
        svg.svg(2 * panel, height, title, told or "no cell moved", *body),
        title,
        told,
        keys,
        wide=True,
    )


def _shares(counts: Cells) -> list[list[float]]:
    totals = [sum(v for v in row if not math.isnan(v)) for row in counts]
    return [
        [0.0 if math.isnan(v) or t <= 0 else v / t for v in row]
        for row, t in zip(counts, totals, strict=True)
    ]


def _row_name(name: str, x: float, y: float, room: float) -> str:
    return svg.label(x, y + 4, svg.cut(name, room), "tick", anchor="end", tip=name)


def _matrix(
    side: Cells,
    classes: Sequence[str],
    *,
    left: float,
    top: float,
    cell: float,
    moved: set[tuple[int, int]],
) -> list[str]:
    out = [
        svg.label(
            left + cell * (j + 0.5), top - 8, svg.cut(c, cell, 6.0), "tick", anchor="middle", tip=c
        )
        for j, c in enumerate(classes)
    ]
    for i, row in enumerate(side):
        for j, value in enumerate(row):
            tip = f"{classes[i]} predicted as {classes[j]}: {words.percent(value)}"
            style = "cell moved" if (i, j) in moved else "cell"
            out.append(
                _cell(
                    left + cell * j, top + cell * i, cell, cell, share=value, style=style, tip=tip
                )
            )
            if cell >= 34:
                x, y = left + cell * (j + 0.5), top + cell * (i + 0.5) + 4
                out.append(svg.label(x, y, words.percent(value), _ink(value), anchor="middle"))
    return out


def _cell(
    x: float, y: float, width: float, height: float, *, share: float, style: str, tip: str
) -> str:
    strength = f"{0.04 + 0.9 * min(1.0, max(0.0, share)):.2f}"
    return svg.rect(x + 1, y + 1, width - 2, height - 2, style, tip=tip, fill_opacity=strength)


def _ink(share: float) -> str:
    return "tick on" if share > 0.55 else "tick"


def heatmap(chart: read.Chart) -> Drawing | None:
    """A grid of values, darker for larger."""
    rows, columns = read.texts(chart.get("rows"), _ROWS), read.texts(chart.get("columns"), _COLUMNS)
    values = [read.numbers(r, _COLUMNS) for r in read.items(chart.get("values"))[:_ROWS]]
    every = read.known(*values)
    if not rows or not columns or not every:
        return None
    low, high = min(every), max(every)
    names, cell, tall = 150, (svg.WIDTH - 154) / len(columns), 24
    body = []
    for i, (name, row) in enumerate(zip(rows, values, strict=False)):
        body.append(_row_name(name, names - 8, 24 + tall * (i + 0.5), names - 12))
        for j, value in enumerate(row[: len(columns)]):
            if math.isnan(value):
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            tip = f"{name}, {columns[j]}: {read.shown(value, chart.get('format'), high - low)}"
            body.append(
                _cell(
                    names + cell * j, 24 + tall * i, cell, tall, share=share, style="cell", tip=tip
                )
            )
    every_nth = max(1, math.ceil(len(columns) * 44 / (svg.WIDTH - names)))
    body += [
        svg.label(
            names + cell * (j + 0.5),
            16,
            svg.cut(c, cell * every_nth),
            "tick",
            anchor="middle",
            tip=c,
        )
        for j, c in enumerate(columns)
        if j % every_nth == 0
    ]
    name = read.text(chart, "name")
    title = f"{name}: by row and column" if name else "By row and column"
    told = f"values from {read.shown(low, chart.get('format'))} to {read.shown(high, chart.get('format'))}"
    height = 28 + tall * min(len(rows), len(values))
    return Drawing(svg.svg(svg.WIDTH, height, title, told, *body), title, told, note=told)
