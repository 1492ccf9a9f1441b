"""The diagnosis in a notebook cell: scoped styles, no script, at home in light and dark themes."""

from __future__ import annotations

import io
from functools import cache
from html import escape
from importlib.resources import files

from rich.console import Console

from ruleout._records import Diagnosis, Hypothesis
from ruleout.postmortem import _actions as doing
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words
from ruleout.postmortem._markdown import markdown
from ruleout.postmortem._terminal import terminal
from ruleout.postmortem.draw import figure
from ruleout.postmortem.draw._figure import framed
from ruleout.postmortem.draw._lines import metric_over_time


@cache
def _style() -> str:
    return (files("ruleout.postmortem") / "notebook.css").read_text(encoding="utf-8")


def notebook(diagnosis: Diagnosis) -> str:
    """An HTML fragment for `_repr_html_`; every style rule is scoped to the class `ruleout`."""
    todo = doing.actions(diagnosis)[:3]
    now = f"<ol>{''.join(f'<li>{escape(a.line)}</li>' for a in todo)}</ol>"
    return (
        f'<div class="ruleout"><style>{_style()}</style>'
        f'<p class="head {diagnosis.verdict}"><b>{story.LABEL[diagnosis.verdict]}</b> '
        f"{escape(words.clean(diagnosis.incident.title, 160))}</p>"
        f'<p class="sentence">{escape(story.headline(diagnosis))}</p>{_facts(diagnosis)}'
        f'<div class="charts">{_charts(diagnosis)}</div>'
        f'<p class="label">Do now</p>{now}<p class="label">Hypotheses</p>{_hypotheses(diagnosis)}'
        f"{_ledger(diagnosis)}</div>"
    )


def mimebundle(diagnosis: Diagnosis) -> dict[str, str]:
    """The forms among which a front end chooses: HTML, Markdown and plain text."""
    text = io.StringIO()
    terminal(diagnosis, Console(file=text, width=100, no_color=True, color_system=None))
    return {
        "text/html": notebook(diagnosis),
        "text/markdown": markdown(diagnosis),
        "text/plain": text.getvalue(),
    }


def _facts(diagnosis: Diagnosis) -> str:
    move = story.move(diagnosis.symptom)
    metric = f"{move.metric} {move.line()}" if move else story.unmeasured(diagnosis.symptom)
    told = (
        ("metric", metric),
        ("since", story.since(diagnosis)),
        ("who is hit", story.who(diagnosis)),
    )
    return f"<dl>{''.join(f'<dt>{k}</dt><dd>{escape(v)}</dd>' for k, v in told)}</dl>"


def _charts(diagnosis: Diagnosis) -> str:
    chart = story.chart(diagnosis, "metric")
    small = metric_over_time(chart, 460, 200) if chart.get("kind") == "metric_over_time" else None
    return (framed(chart, small) if small else "") + figure(diagnosis.charts.get("undo"))


def _hypotheses(diagnosis: Diagnosis) -> str:
    rows = "".join(_row(h) for h in diagnosis.hypotheses[:5])
    rest = f"<tr><td></td><td>something that is not in the list</td><td>{escape(words.percent(story.elsewhere(diagnosis)))}</td><td></td><td></td></tr>"
    head = "<tr><th></th><th>hypothesis</th><th>likely</th><th>status</th><th>undone</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}{rest}</tbody></table>"


def _row(hypothesis: Hypothesis) -> str:
    return (
        f"<tr><td>{hypothesis.rank}</td><td>{escape(story.name(hypothesis))}</td><td>{escape(words.percent(hypothesis.probability))}</td>"
        f"<td>{story.standing(hypothesis)}</td><td>{escape(story.share(hypothesis))}</td></tr>"
    )


def _ledger(diagnosis: Diagnosis) -> str:
    out, blind = story.ruled_out(diagnosis), story.not_checked(diagnosis)
    lines = []
    for name, groups, phrase in (
        ("Ruled out", out, "by {}".format),
        ("Not looked at", blind, words.lacking),
    ):
        count = sum(len(g.items) for g in groups)
        items = "".join(
            f"<li>{escape(words.listed(g.items, 6))} <small>{escape(phrase(g.heading))}</small></li>"
            for g in groups[:8]
        )
        lines.append(
            f"<details><summary>{name}: {words.plural(count, 'mode')}</summary><ul>{items}</ul></details>"
        )
    return "".join(lines)
