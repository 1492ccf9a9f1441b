"""Charts of cells: confusion matrices and heat maps."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Final

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw import _svg as svg
from ruleout.postmortem.draw._svg import Drawing, Key

_CLASSES: Final = 20
_ALL: Final = 200
_NAMES: Final = 92
_UPRIGHT: Final = 44
_PANEL: Final = 460.0
_ROWS, _COLUMNS = 24, 48
_MOVED: Final = 0.1
"""Cells whose share of the row moved by more than this are framed."""

Cells = Sequence[Sequence[float]]


def confusion(chart: read.Chart) -> Drawing | None:
    """Both confusion matrices by share of the true class; cells that moved are framed."""
    classes = read.texts(chart.get("classes"), _ALL)
    before, after = (_shares(read.grid(chart.get(k), _ALL)) for k in ("reference", "current"))
    if not classes or any(
        len(m) != len(classes) or {len(r) for r in m} != {len(classes)} for m in (before, after)
    ):
        return None
    kept = _changed_most(before, after)
    hidden = len(classes) - len(kept)
    names = [classes[i] for i in kept]
    before, after = ([[m[i][j] for j in kept] for i in kept] for m in (before, after))
    moved = {
        (i, j): f"{names[i]} predicted as {names[j]}: {words.percent(a)} to {words.percent(b)}"
        for i, rows in enumerate(zip(before, after, strict=True))
        for j, (a, b) in enumerate(zip(*rows, strict=True))
        if _moved(a, b) > _MOVED
    }
    cell = min(64.0, (svg.WIDTH - _NAMES) / len(names))
    head = 48 if cell >= _UPRIGHT else 82
    panel, height = max(_PANEL, _NAMES + cell * len(names) + 34), head + cell * len(names) + 4
    body = [
        *_matrix("reference", before, names, left=_NAMES, top=head, cell=cell, moved=()),
        *_matrix("current", after, names, left=_NAMES + panel, top=head, cell=cell, moved=moved),
    ]
    told = "; ".join(list(moved.values())[:8]) or "no cell moved"
    title = "Confusion matrices: which class is taken for which"
    keys = (Key("movedkey", "moved by more than 10 points"),)
    note = f"{hidden} classes that changed less are not drawn" if hidden else ""
    picture = svg.svg(2 * panel, height, title, told, *body)
    return Drawing(picture, title, told, keys, wide=True, note=note)


def _shares(counts: Cells) -> list[list[float]]:
    totals = [sum(v for v in row if not math.isnan(v)) for row in counts]
    # A class that no row has has no shares: nought per cent would be a claim about it.
    return [
        [math.nan if t <= 0 else 0.0 if math.isnan(v) else v / t for v in row]
        for row, t in zip(counts, totals, strict=True)
    ]


def _moved(before: float, after: float) -> float:
    """How far a share moved; a window without the class has moved none."""
    return 0.0 if math.isnan(before) or math.isnan(after) else abs(after - before)


def _changed_most(before: Cells, after: Cells) -> list[int]:
    """The classes to draw, in their order: those with the largest change in their row or column."""
    change = [
        max(max(_moved(a, b) for a, b in zip(x, y, strict=True)) for x, y in pairs)
        for pairs in (
            ((before[i], after[i]), ([r[i] for r in before], [r[i] for r in after]))
            for i in range(len(before))
        )
    ]
    return sorted(sorted(range(len(change)), key=lambda i: -change[i])[:_CLASSES])


def _row_name(name: str, x: float, y: float, room: float) -> str:
    return svg.label(x, y + 4, svg.cut(name, room), "tick", anchor="end", tip=name)


def _matrix(
    name: str,
    side: Cells,
    classes: Sequence[str],
    *,
    left: float,
    top: float,
    cell: float,
    moved: Collection[tuple[int, int]],
) -> list[str]:
    out = [svg.label(left, 14, f"{name}: true class in rows, predicted in columns", "hint")]
    for j, told in enumerate(classes):
        x = left + cell * (j + 0.5)
        if cell >= _UPRIGHT:
            out.append(
                svg.label(x, top - 8, svg.cut(told, cell), "tick", anchor="middle", tip=told)
            )
        else:
            out.append(svg.slanted(x, top - 6, svg.cut(told, 64), "tick", told))
    for i, row in enumerate(side):
        y = top + cell * i
        out.append(_row_name(classes[i], left - 6, y + cell / 2, _NAMES - 8))
        for j, value in enumerate(row):
            told = "–" if math.isnan(value) else words.percent(value)
            tip = f"{classes[i]} predicted as {classes[j]}: {told}"
            style = "cell moved" if (i, j) in moved else "cell"
            out.append(_cell(left + cell * j, y, cell, cell, share=value, style=style, tip=tip))
            if cell >= 34:
                x, ink = left + cell * (j + 0.5), _ink(value)
                out.append(svg.label(x, y + cell / 2 + 4, told, ink, anchor="middle"))
    return out


def _cell(
    x: float, y: float, width: float, height: float, *, share: float, style: str, tip: str
) -> str:
    strength = f"{0.04 + 0.9 * min(1.0, max(0.0, 0.0 if math.isnan(share) else share)):.2f}"
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
