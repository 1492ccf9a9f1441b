"""The report as one HTML file: verdict, then proof, then ledger.

It holds no script and loads nothing: a content policy in the page forbids both. Every text of the
incident is cleaned and escaped, counts are capped, and charts are drawn until a budget is spent,
so the file stays under two megabytes whatever the diagnosis holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any, Final

from ruleout._records import Diagnosis, Evidence
from ruleout.postmortem import _actions as doing
from ruleout.postmortem import _ledger as ledger
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words
from ruleout.postmortem._charts import PLACES
from ruleout.postmortem.draw import figure
from ruleout.postmortem.draw._figure import framed
from ruleout.postmortem.draw._lines import metric_over_time

LIMIT: Final = 1_900_000
"""Characters of a whole page; a megabyte is read at once even over a telephone."""

_CHARTS: Final = 40
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_SECTIONS: Final = {
    "do": "Do now",
    "proof": "Proof",
    "hypotheses": "Hypotheses",
    "ledger": "Ledger",
    "timeline": "Timeline",
    "evidence": "Evidence",
}


@cache
def _style() -> str:
    return (files("ruleout.postmortem") / "report.css").read_text(encoding="utf-8")


def html(diagnosis: Diagnosis) -> str:
    """The whole report as one self-contained page."""
    title = words.clean(diagnosis.incident.title, 200) or "Untitled incident"
    before = _header(diagnosis, title) + _facts(diagnosis) + _section("do", _actions(diagnosis))
    after = "".join(
        _section(key, write(diagnosis))
        for key, write in (
            ("hypotheses", ledger.hypotheses),
            ("ledger", ledger.ledger),
            ("timeline", ledger.timeline),
            ("evidence", ledger.evidence),
        )
    )
    # Charts take what the words leave.
    left = LIMIT - len(before) - len(after) - len(_style())
    body = before + _section("proof", _proof(diagnosis, left)) + after + ledger.footer(diagnosis)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – diagnosis</title><style>{_style()}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _section(key: str, body: str) -> str:
    return f'<section id="{key}"><h2>{_SECTIONS[key]}</h2>{body}</section>' if body else ""


def _header(diagnosis: Diagnosis, title: str) -> str:
    links = "".join(f'<a href="#{key}">{name}</a>' for key, name in _SECTIONS.items())
    task = (
        ""
        if diagnosis.incident.task == "none"
        else f" · {words.clean(diagnosis.incident.task, 20)}"
    )
    return (
        f'<header><div class="eyebrow">Diagnosis{escape(task)}</div><h1>{escape(title)}</h1>'
        f'<div class="card verdict {diagnosis.verdict}"><div class="badge">{story.LABEL[diagnosis.verdict]}</div>'
        f'<p class="sentence">{escape(story.headline(diagnosis))}</p></div><nav>{links}</nav></header>'
    )


def _facts(diagnosis: Diagnosis) -> str:
    move = story.move(diagnosis.symptom)
    if move is None:
        told = [("Metric", "–", story.unmeasured(diagnosis.symptom))]
    else:
        asked = story.stands_for(diagnosis)
        under = [move.told, move.labels, f"stands for {asked}" if asked else ""]
        told = [(move.metric, f"{move.before} → {move.after}", "; ".join(u for u in under if u))]
    told.append(("Since", *story.begun(diagnosis)))
    told.append(("Who is hit", *story.struck(diagnosis, 2)))
    told.append(("How sure", *story.sure(diagnosis)))
    facts = (
        f'<div class="fact"><span>{escape(a)}</span><b>{escape(b)}</b><span>{escape(c)}</span></div>'
        for a, b, c in told
    )
    return f'<div class="facts">{"".join(facts)}</div>'


def _actions(diagnosis: Diagnosis) -> str:
    items = "".join(
        f"<li><b>{escape(a.text)}</b><br><span class=small>{escape(a.when)}"
        f"{': ' + escape(a.effect) if a.effect else ''}</span></li>"
        for a in doing.actions(diagnosis)[:8]
    )
    now = f'<div class="card"><h4>In this order</h4><ol class=todo>{items}</ol></div>'
    after = "".join(f"<li>{escape(a.text)}</li>" for a in doing.prevention(diagnosis)[:6])
    after += "".join(
        f"<li>Missing safeguard: <b>{escape(doing.missing(g))}</b></li>"
        for g in diagnosis.safeguard_gaps[:8]
    )
    if not after:
        return now
    goal = "alarm again" if diagnosis.verdict == "no_incident" else "come back"
    later = f"<h4>So that it does not {goal}</h4><ul class=plain>{after}</ul>"
    return f'<div class="two">{now}<div class="card">{later}</div></div>'


def _proof(diagnosis: Diagnosis, left: int) -> str:
    wanted = _wanted(diagnosis)
    drawn: list[str] = []
    for chart, caption in wanted[:_CHARTS]:
        picture = (
            _metric(chart) if chart.get("kind") == "metric_over_time" else figure(chart, caption)
        )
        if len(picture) <= left:
            drawn.append(picture)
            left -= len(picture)
    if not drawn:
        return '<p class="small">No check handed over a chart.</p>'
    hidden = len(wanted) - len(drawn)
    more = f"{words.plural(hidden, 'more chart')} left out to keep this file small."
    return f'<div class="charts">{"".join(drawn)}</div>' + (
        f'<p class="small">{more}</p>' if hidden else ""
    )


def _wanted(diagnosis: Diagnosis) -> list[tuple[Mapping[str, Any], str]]:
    """All charts, in the order in which they make the case, with what cites them."""
    names = [*PLACES, *(key for key in diagnosis.charts if key not in PLACES)]
    named = [(story.chart(diagnosis, name), "") for name in names]
    cited = [i for h in diagnosis.hypotheses[:5] for i in (*h.evidence_for, *h.evidence_against)]
    place = {name: i for i, name in reversed(list(enumerate(cited)))}
    items = sorted(diagnosis.evidence, key=lambda e: place.get(e.id, len(cited)))
    named = [(chart, cite) for chart, cite in named if not _blameless(chart)]
    unique: list[tuple[Mapping[str, Any], str]] = []
    for chart, cite in [*named, *((_titled(e), e.id) for e in items)]:
        if chart and not any(chart == seen for seen, _ in unique):
            unique.append((chart, cite))
    return unique


def _blameless(chart: Mapping[str, Any]) -> bool:
    """Whether a graph shows who calls whom and nobody who has to do with the incident."""
    nodes = chart.get("nodes")
    if chart.get("kind") != "graph" or not isinstance(nodes, Sequence):
        return False
    told = [n for n in nodes if isinstance(n, Mapping)]
    return bool(told) and not any(n.get("role") or n.get("score") for n in told)


def _titled(item: Evidence) -> Mapping[str, Any]:
    """A piece of evidence's chart; a table without a title is headed by what its check looks for."""
    if item.chart.get("kind") != "table" or item.chart.get("title"):
        return item.chart
    return {**item.chart, "title": words.check_name(item.check).capitalize()}


def _metric(chart: Mapping[str, Any]) -> str:
    """The metric twice, for wide and for narrow screens: text in a scaled picture must stay legible."""
    wide, narrow = metric_over_time(chart), metric_over_time(chart, 430, 270)
    if wide is None or narrow is None:
        return figure(chart)
    return framed(chart, wide, "wideonly") + framed(chart, narrow, "narrow")
