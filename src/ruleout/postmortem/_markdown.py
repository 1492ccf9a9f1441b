"""The diagnosis for a ticket: short, in tables, with a done-test for each action."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ruleout._records import Diagnosis
from ruleout.postmortem import _actions as doing
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words

_HYPOTHESES: Final = 5
_ACTIONS: Final = 8
_GROUPS: Final = 12
_SPECIAL: Final = re.compile(r"([\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_]))")
"""What Markdown reads inside a line; an underscore only where no letter or digit is on both sides."""

_LINKED: Final = re.compile(r"(?<=@)(?=\w)|(?<=#)(?=\d)|(?<=://)(?=\w)|(?<=www)(?=\.)")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def safe(text: object, limit: int = 300) -> str:
    """Text that Markdown, a table cell, HTML, mentions and issue numbers leave as it is."""
    shown = words.clean(text, limit)
    shown = _SPECIAL.sub(r"\\\1", shown)
    shown = "".join(_ENTITIES.get(c, c) for c in shown)
    # A zero-width space keeps trackers from notifying people and linking addresses and issues.
    return _LINKED.sub("&#8203;", shown)


def markdown(diagnosis: Diagnosis) -> str:
    """The diagnosis as Markdown (GitHub's dialect) of about one page."""
    parts = [
        f"# {safe(diagnosis.incident.title, 200) or 'Untitled incident'}",
        f"**{story.LABEL[diagnosis.verdict].capitalize()}.** {safe(story.headline(diagnosis), 800)}",
        _facts(diagnosis),
        _actions(diagnosis),
        _hypotheses(diagnosis),
        _evidence(diagnosis),
        _ledger(diagnosis),
        _changes(diagnosis),
        _origin(diagnosis),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"
    return "\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)])


def _facts(diagnosis: Diagnosis) -> str:
    move = story.move(diagnosis.symptom)
    if move is None:
        rows = [("Metric", story.unmeasured(diagnosis.symptom))]
    else:
        rows = [("Metric", f"{move.metric}: {move.line()}")]
    if asked := story.stands_for(diagnosis):
        rows.append(("Stands for", asked))
    rows += [("Since", story.since(diagnosis)), ("Who is hit", story.who(diagnosis))]
    return _table(("", ""), [(f"**{k}**", safe(v)) for k, v in rows])


def _actions(diagnosis: Diagnosis) -> str:
    todo = [*doing.actions(diagnosis), *doing.prevention(diagnosis)][:_ACTIONS]
    rows = [(safe(a.text), safe(a.when), safe(a.effect), "", safe(a.done)) for a in todo]
    return "## Actions\n\n" + _table(("action", "when", "effect", "owner", "done when"), rows)


def _hypotheses(diagnosis: Diagnosis) -> str:
    if not diagnosis.hypotheses:
        return ""
    rows = [
        (
            str(h.rank),
            safe(story.name(h), 160),
            words.percent(h.probability),
            story.standing(h),
            story.share(h),
            ", ".join(safe(i, 20) for i in h.evidence_for[:6]) or "–",
            ", ".join(safe(i, 20) for i in h.evidence_against[:6]) or "–",
            ", ".join(safe(n, 60) for n in h.not_checked[:4]) or "–",
        )
        for h in diagnosis.hypotheses[:_HYPOTHESES]
    ]
    columns = ("", "hypothesis", "likely", "status", "undone", "for", "against", "not checked")
    hidden = len(diagnosis.hypotheses) - len(rows)
    more = f"{hidden} less likely; " if hidden > 0 else ""
    rest = words.percent(story.elsewhere(diagnosis))
    return f"## Hypotheses\n\n{_table(columns, rows)}\n\n{more}something that is not in the list: {rest}"


def _evidence(diagnosis: Diagnosis) -> str:
    leading = diagnosis.hypotheses[:_HYPOTHESES]
    cited = {i for h in leading for i in (*h.evidence_for[:6], *h.evidence_against[:6])}
    shown = [e for e in diagnosis.evidence if e.id in cited]
    if not shown:
        return ""
    lines = [
        f"- **{safe(e.id, 20)}** {safe(e.statement)} ({safe(words.check_name(e.check), 60)})"
        for e in shown
    ]
    return "## Evidence\n\n" + "\n".join(lines)


def _ledger(diagnosis: Diagnosis) -> str:
    out, blind = story.ruled_out(diagnosis), story.not_checked(diagnosis)
    parts = ["## Ledger"]
    if out:
        rows = [(safe(words.listed(g.items, 6)), safe(g.heading)) for g in out[:_GROUPS]]
        parts.append(_table(("ruled out", "by"), rows) + _rest(out))
    if blind:
        rows = [(safe(words.listed(g.items, 6)), safe(g.heading)) for g in blind[:_GROUPS]]
        parts.append(_table(("not looked at", "needs, or why not"), rows) + _rest(blind))
    if diagnosis.next_evidence:
        steps = [
            (
                safe(words.need_text(n.gather)),
                safe(story.parts(n)),
                words.figure(n.information_gain_bits),
            )
            for n in diagnosis.next_evidence[:3]
        ]
        parts.append(_table(("look at next", "parts", "bits"), steps))
    return "\n\n".join(parts) if len(parts) > 1 else ""


def _rest(groups: Sequence[story.Group]) -> str:
    rest = sum(len(g.items) for g in groups[_GROUPS:])
    return f"\n\nand {rest:,} more" if rest else ""


def _changes(diagnosis: Diagnosis) -> str:
    found = story.changes(diagnosis)
    if not found:
        return ""
    rows = [
        (
            words.moment(c.at) if words.instant(c.at) is not None else safe(c.at, 40),
            safe(f"{c.id} {c.kind}", 40),
            safe(c.entity, 60),
            safe(c.description, 160),
            words.percent(c.alignment),
        )
        for c in found[:6]
    ]
    return "## Changes\n\n" + _table(("UTC", "event", "entity", "what", "fits the onset"), rows)


def _origin(diagnosis: Diagnosis) -> str:
    failed = story.failed_sources(diagnosis)
    lost = f"Sources that gave nothing: {safe(words.listed(failed, 6), 600)}. " if failed else ""
    return f"{lost}ruleout {safe(diagnosis.run.ruleout, 20)}, inputs {safe(diagnosis.incident.fingerprint, 16)}"
