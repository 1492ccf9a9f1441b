"""From chart data to a finished figure, whatever the data is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from ruleout.postmortem import _words as words
from ruleout.postmortem.draw import _bars, _flow, _grids, _lines, _media, _pairs
from ruleout.postmortem.draw._svg import Drawing, Key

DRAWN: Final[Mapping[str, Callable[[Mapping[str, Any]], Drawing | None]]] = {
    "metric_over_time": _lines.metric_over_time,
    "undo": _bars.undo,
    "waterfall": _bars.waterfall,
    "quantiles": _pairs.quantiles,
    "histogram": _lines.histogram,
    "bars": _bars.bars,
    "matching": _flow.matching,
    "confusion": _grids.confusion,
    "heatmap": _grids.heatmap,
    "images": _media.images,
    "texts": _media.texts,
    "slices": _bars.slices,
    "intervals": _bars.intervals,
    "line": _lines.line,
    "scatter": _pairs.scatter,
    "calibration": _pairs.calibration,
    "graph": _flow.graph,
    "series": _lines.series,
    "spans": _flow.spans,
    "table": _media.table,
}


def drawing(chart: object) -> Drawing | None:
    """The chart drawn; data that does not fit its kind becomes a table, no data becomes None."""
    if not isinstance(chart, Mapping) or not chart:
        return None
    kind = chart.get("kind")
    draw = DRAWN.get(kind) if isinstance(kind, str) else None
    return (draw(chart) if draw else None) or _media.fallback(chart)


def figure(chart: object, caption: str = "") -> str:
    """A `<figure>` with title, legend, picture and small print; empty for no chart."""
    drawn = drawing(chart)
    return framed(chart, drawn, caption=caption) if drawn and isinstance(chart, Mapping) else ""


def framed(chart: Mapping[str, Any], drawn: Drawing, style: str = "", *, caption: str = "") -> str:
    """A drawing in its `<figure>`; the chart's own title and note go before the drawing's."""
    title, note = (
        words.clean(chart[k], 300) if isinstance(chart.get(k), str) else ""
        for k in ("title", "note")
    )
    keys = "".join(_key(k) for k in drawn.keys)
    legend = f'<div class="keys">{keys}</div>' if keys else ""
    small = " ".join(escape(t) for t in (note, drawn.note) if t)
    classes = " ".join(c for c in ("chart", "wide" if drawn.wide else "", style) if c)
    head = f'<span class="cite">{escape(caption)}</span> ' if caption else ""
    return (
        f'<figure class="{classes}"><figcaption>{head}{escape(title or drawn.title)}</figcaption>'
        f"{legend}{drawn.body}{f'<p class=small>{small}</p>' if small else ''}</figure>"
    )


def _key(key: Key) -> str:
    return f'<span class="key"><i class="{key.style}"></i>{escape(key.label)}</span>'
