"""A chart as a picture of its own: SVG that needs no page, and PNG for tickets and chat."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from ruleout._errors import need
from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _svg
from ruleout.postmortem.draw._figure import drawing
from ruleout.postmortem.draw._svg import Key

_HEAD: Final = 46
_MARGIN: Final = 12
_VIEW: Final = re.compile(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')
_BLOCKS: Final = {
    "refbar": "refbar", "curbar": "curbar", "undbar": "undbar", "bandkey": "band", "onsetkey": "onsetband",
    "movedkey": "node moved", "refpoint": "refbar", "curpoint": "curbar", "curline": "curbar", "changekey": "change",
}  # fmt: skip
"""Legend marks that are drawn as small rectangles, by the style that fills them."""


def svg(chart: object) -> str:
    """The chart as an SVG document in light colours, with title and legend inside.

    Raises:
        ValueError: for a chart that is text, a table or pictures rather than a drawing.
    """
    drawn = drawing(chart)
    view = _VIEW.match(drawn.body) if drawn else None
    if drawn is None or view is None or not isinstance(chart, dict):
        kind = words.clean(chart.get("kind"), 40) if isinstance(chart, dict) else "none"
        raise ValueError(
            f"a chart of kind {kind!r} has no picture; html() shows it as text or a table"
        )
    width, height = float(view[1]), float(view[2])
    given = chart.get("title")
    title = words.clean(given, 120) if isinstance(given, str) else drawn.title
    wide, tall = width + 2 * _MARGIN, height + _HEAD + _MARGIN
    start = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN} {-_HEAD} {wide:.0f} {tall:.0f}" '
        f'width="{wide:.0f}" height="{tall:.0f}"><style>{escape(_style())}</style>'
    )
    paper = (
        f'<rect x="{-_MARGIN}" y="{-_HEAD}" width="{wide:.0f}" height="{tall:.0f}" fill="#fff"/>'
    )
    heading = _svg.label(0, -26, _svg.cut(title, width, 7.2), "strong")
    return start + paper + heading + _legend(drawn.keys, width) + drawn.body[view.end() :]


def png(chart: object, *, scale: float = 2.0) -> bytes:
    """The chart as PNG, `scale` pixels to the unit. Needs `ruleout[charts]`.

    Raises:
        MissingExtra: when the extra `charts` is not installed.
        ValueError: for a chart that is text, a table or pictures rather than a drawing.
    """
    picture = svg(chart)
    return bytes(need("vl_convert", extra="charts").svg_to_png(picture, scale=scale))


@cache
def _style() -> str:
    """The page's rules for pictures with the light palette put in."""
    sheet = (files("ruleout.postmortem") / "report.css").read_text(encoding="utf-8")
    palette = dict(re.findall(r"(--\w+): ([^;]+);", sheet.partition("}")[0]))
    rules = re.findall(r"^ *(svg [^{]+\{[^}]*\}(?: *svg [^{]+\{[^}]*\})*)", sheet, re.MULTILINE)
    plain = re.sub(r"var\((--\w+)\)", lambda found: palette[found[1]], "\n".join(rules))
    return plain.replace('system-ui, -apple-system, "Segoe UI", Roboto, ', "").replace('"', "")


def _legend(keys: tuple[Key, ...], width: float) -> str:
    out, x = [], 0.0
    for key in keys:
        block = _BLOCKS.get(key.style)
        name = key.style.removeprefix("role ")
        if block or name != key.style:
            out.append(_svg.rect(x, -14, 12, 9, block or f"node {name}"))
        else:
            out.append(
                _svg.path(
                    [(x, -9), (x + 14, -9)], f"line {key.style.replace('onsetline', 'onset')}"
                )
            )
        told = _svg.cut(key.label, width - x - 20)
        out.append(_svg.label(x + 18, -5, told, "tick"))
        x += 32 + 6.2 * len(told)
    return "".join(out)
