"""Pictures, texts and tables: what is shown as it is rather than drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _read as read
from ruleout.postmortem.draw._svg import Drawing, tag

_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
_IMAGES: Final = 8
_IMAGE_SIZE: Final = 60_000
_TEXTS: Final = 6
_ROWS, _COLUMNS = 30, 10
_MAGIC: Final = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg"}


def images(chart: read.Chart) -> Drawing | None:
    """Sample pictures of both windows, side by side."""
    sides = []
    for key in ("reference", "current"):
        labels = read.texts(chart.get(f"{key}_labels"), _IMAGES, 40)
        shown = [
            _image(v, labels[i] if i < len(labels) else "")
            for i, v in enumerate(read.items(chart.get(key))[:_IMAGES])
        ]
        found = [s for s in shown if s]
        sides.append(
            f'<div class="side"><h4>{key}</h4><div class="pictures">{"".join(found) or "none"}</div></div>'
        )
    if "<img" not in "".join(sides):
        return None
    told = "sample images of the reference and of the current window"
    return Drawing(
        f'<div class="sides">{"".join(sides)}</div>', "Samples of both windows", told, wide=True
    )


def _image(value: object, label: str) -> str:
    """A picture, or nothing when the text is not a small PNG or JPEG in base64."""
    if not isinstance(value, str) or len(value) > _IMAGE_SIZE or not _BASE64.match(value):
        return ""
    kind = next((k for start, k in _MAGIC.items() if value.startswith(start)), "")
    caption = f"<figcaption>{escape(label)}</figcaption>" if label else ""
    told = escape(label or "sample")
    return (
        f'<figure><img alt="{told}" src="data:{kind};base64,{value}">{caption}</figure>'
        if kind
        else ""
    )


def texts(chart: read.Chart) -> Drawing | None:
    """Sample texts of both windows, side by side."""
    sides = [(key, read.texts(chart.get(key), _TEXTS, 240)) for key in ("reference", "current")]
    if not any(found for _, found in sides):
        return None
    parts = [
        f'<div class="side"><h4>{key}</h4>{"".join(f"<blockquote>{escape(t)}</blockquote>" for t in found) or "none"}</div>'
        for key, found in sides
    ]
    return Drawing(
        f'<div class="sides">{"".join(parts)}</div>',
        "Samples of both windows",
        "sample texts",
        wide=True,
    )


def table(chart: read.Chart) -> Drawing | None:
    """Columns and rows."""
    columns = read.texts(chart.get("columns"), _COLUMNS)
    body = [
        [_shown(v) for v in read.items(row)[:_COLUMNS]]
        for row in read.items(chart.get("rows"))[:_ROWS]
    ]
    if not columns or not body:
        return None
    hidden = len(read.items(chart.get("rows"))) - len(body)
    note = f"{words.plural(hidden, 'more row')} not shown" if hidden > 0 else ""
    return Drawing(rows(columns, body), "Table", f"{len(body)} rows", note=note)


def fallback(chart: read.Chart) -> Drawing:
    """Any mapping as a table of its parts."""
    body = [
        [words.clean(k, 40), _shown(v)]
        for k, v in list(chart.items())[:_ROWS]
        if k not in {"kind", "title", "note"}
    ]
    kind = words.clean(str(chart.get("kind", "unnamed")), 40)
    return Drawing(rows(["part", "value"], body), f"Data of kind {kind}", f"{len(body)} parts")


def rows(columns: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A plain table; all cells are escaped here."""
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in row)}</tr>" for row in body)
    return f'<div class="scroll"><table>{tag("thead", tag("tr", head))}<tbody>{lines}</tbody></table></div>'


def _shown(value: object) -> str:
    number = words.finite(value)
    if number is not None:
        return words.figure(number)
    listed = read.items(value)
    if listed:
        more = ", …" if len(listed) > 8 else ""
        return words.clean(", ".join(str(v)[:40] for v in listed[:8]) + more, 200)
    return words.clean("" if value is None else str(value)[:800], 200)
