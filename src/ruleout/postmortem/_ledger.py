"""The second half of the report: hypotheses, ledger, timeline, evidence, and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from ruleout import modes
from ruleout._records import Diagnosis, Evidence, Hypothesis
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words

_DETAILED: Final = 8
_BRIEF: Final = 40
_EVIDENCE: Final = 250
_CHANGES: Final = 60
_WEIGHED: Final = 3
_MODES: Final = 80
"""More than the catalogue has: the page holds the whole ledger."""

_BESIDE: Final = {
    "prior": "before any evidence",
    "undo": "undoing it, and how much went away",
    "elsewhere": "undoing something else brought the metric back",
}
_LAYERS: Final = ("data", "model", "infrastructure", "integration", "none", "unknown")


def _say(value: object, limit: int = 400) -> str:
    return escape(words.clean(value, limit))


def hypotheses(diagnosis: Diagnosis) -> str:
    """Every hypothesis with what speaks for and against it, the first ones in full."""
    found = diagnosis.hypotheses
    if not found:
        return '<div class="card">No check proposed a hypothesis.</div>'
    told = {e.id: e for e in diagnosis.evidence}
    full = "".join(_detail(h, told, diagnosis, shown=h.rank == 1) for h in found[:_DETAILED])
    brief = "".join(
        f"<tr><td>{h.rank}</td><td>{_say(story.name(h), 160)}</td><td>{story.standing(h)}</td>"
        f"<td class=n>{escape(words.percent(h.probability))}</td><td class=n>{escape(story.share(h))}</td></tr>"
        for h in found[_DETAILED : _DETAILED + _BRIEF]
    )
    rest = len(found) - _DETAILED - _BRIEF
    more = f'<p class="small">and {rest} less likely</p>' if rest > 0 else ""
    table = _table(("", "hypothesis", "status", "#likely", "#undone"), brief) if brief else ""
    elsewhere = escape(words.percent(story.elsewhere(diagnosis)))
    return (
        f'<div class="card">{_layers(diagnosis)}</div><div class="card">{full}{table}{more}'
        f'<p class="small">Something that is not in this list: {elsewhere}. '
        "“Undone” is the share of the symptom that goes away when the hypothesis is undone.</p></div>"
    )


def _layers(diagnosis: Diagnosis) -> str:
    masses = [(k, max(0.0, words.finite(diagnosis.layers.get(k)) or 0.0)) for k in _LAYERS]
    total = sum(m for _, m in masses) or 1.0
    bars = "".join(
        f'<i class="{k}" style="width:{100 * m / total:.1f}%"></i>' for k, m in masses if m > 0
    )
    names = {"none": "nothing is broken", "unknown": "unknown"}
    legend = "".join(
        f'<span><i class="swatch {k}"></i>{names.get(k, k)} {escape(words.percent(m))}</span>'
        for k, m in masses
        if m > 0
    )
    return (
        f'<h4>Where it lies</h4><div class="layers">{bars}</div><div class="legend">{legend}</div>'
    )


def _detail(
    hypothesis: Hypothesis, told: dict[str, Evidence], diagnosis: Diagnosis, *, shown: bool
) -> str:
    likely = 100 * min(1.0, max(0.0, hypothesis.probability))
    undone = words.percent(hypothesis.explained.fraction) if hypothesis.explained else "–"
    head = (
        f'<span class="row"><span class="name">{hypothesis.rank}. {_say(story.name(hypothesis), 200)}</span>'
        f'<span><span class="bar"><i style="width:{likely:.0f}%"></i></span>{escape(words.percent(hypothesis.probability))}</span>'
        f'<span><span class="status {hypothesis.status}">{story.standing(hypothesis)}</span></span>'
        f'<span class="n">undone {escape(undone)}</span></span>'
    )
    facts = "".join(
        f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in _facts(hypothesis, told, diagnosis) if v
    )
    body = f"<dl>{facts}</dl>{_weights(hypothesis, told)}"
    return f'<details{" open" if shown else ""}><summary>{head}</summary><div class="inner">{body}</div></details>'


def _facts(
    hypothesis: Hypothesis, told: dict[str, Evidence], diagnosis: Diagnosis
) -> Iterable[tuple[str, str]]:
    mode = modes.load().get(hypothesis.failure_mode)
    yield "What it is", _say(mode.definition) if mode else ""
    if hypothesis.layer != "none":
        yield "Layer and role", _say(f"{hypothesis.layer}, {hypothesis.role.replace('_', ' ')}")
    if hypothesis.explained:
        yield (
            "Undoing it",
            f"takes away {escape(story.share(hypothesis))}; {_say(story.method(hypothesis))}",
        )
    else:
        yield "Undoing it", "has not been tried or has no repair"
    yield "For", _cited(hypothesis.evidence_for, told) or "nothing beyond its prior"
    yield "Against", _cited(hypothesis.evidence_against, told) or "nothing was seen"
    yield (
        "Not checked",
        escape(words.listed([words.need_text(n) for n in hypothesis.not_checked], 6)),
    )
    yield "Since", escape(words.since(hypothesis.onset)) if hypothesis.onset else ""
    change = next((c for c in diagnosis.changes if c.id == hypothesis.change), None)
    yield (
        "Change",
        f"{_say(change.id, 20)} {_say(change.kind, 20)} {_say(change.entity, 60)}: {_say(change.description, 200)}"
        if change
        else "",
    )
    yield "Chain", " → ".join(f"<span>{_say(c, 60)}</span>" for c in story.chain(hypothesis)[:12])
    yield "Told apart by", _say(mode.tie_break) if mode else ""


def _cited(ids: Sequence[str], told: dict[str, Evidence]) -> str:
    lines = [
        f"<b>{_say(i, 20)}</b> {_say(told[i].statement) if i in told else ''}" for i in ids[:8]
    ]
    more = f"and {len(ids) - 8} more" if len(ids) > 8 else ""
    return "<br>".join([*lines, *([more] if more else [])])


def _weights(hypothesis: Hypothesis, told: dict[str, Evidence]) -> str:
    known = [(k, v) for k, w in hypothesis.weights.items() if (v := words.finite(w)) is not None]
    if not known:
        return ""
    known.sort(key=lambda item: (item[0] != "prior", -abs(item[1])))
    body = "".join(
        f"<tr><td class=id>{_say(k, 20)}</td><td class=say>{_say(told[k].statement, 160) if k in told else _BESIDE.get(k, '')}</td>"
        f'<td class="n {"pro" if w > 0 else "con"}">{w:+.2f}</td></tr>'
        for k, w in known[:12]
    )
    total = f"<tr><td></td><td class=say>sum of all {len(known)}</td><td class=n>{sum(w for _, w in known):+.2f}</td></tr>"
    return "<h4>Weights of evidence, in nats (+0.69 doubles the odds)</h4>" + _table(
        ("", "what", "#weight"), body + total
    )


def _table(columns: Sequence[str], body: str) -> str:
    head = "".join(
        f"<th{' class=n' if c.startswith('#') else ''}>{escape(c.lstrip('#'))}</th>"
        for c in columns
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def ledger(diagnosis: Diagnosis) -> str:
    """What was ruled out by which check, what nobody looked at, and what to look at next."""
    out, blind = story.ruled_out(diagnosis), story.not_checked(diagnosis)
    count = sum(len(g.items) for g in out)
    unseen = sum(len(g.items) for g in blind)
    steps = "".join(
        f"<tr><td class=say>{escape(words.need_text(n.gather))}</td><td>{escape(story.parts(n))}</td>"
        f"<td class=n>{words.figure(n.information_gain_bits)}</td></tr>"
        for n in diagnosis.next_evidence[:8]
    )
    following = (
        f'<div class="card"><h4>What to look at next, by what it would teach</h4>{_table(("gather", "parts", "#bits"), steps)}</div>'
        if steps
        else ""
    )
    return (
        f'<div class="two"><div class="card"><h4>Ruled out: {words.plural(count, "mode")}</h4>{_groups(out, "by {}".format, "A check that looked and saw nothing is the only thing that rules out.")}</div>'
        f'<div class="card"><h4>Not looked at: {words.plural(unseen, "mode")}</h4>{_groups(blind, words.lacking, "Absence of data is not absence of a fault.")}</div></div>{following}'
    )


def _groups(groups: Sequence[story.Group], phrase: Callable[[str], str], note: str) -> str:
    if not groups:
        return '<p class="small">None.</p>'
    lines = "".join(
        f"<li>{escape(words.listed(g.items, _MODES))} <span class=small>{escape(phrase(g.heading))}</span></li>"
        for g in groups[:_MODES]
    )
    rest = sum(len(g.items) for g in groups[_MODES:])
    more = f"<li class=small>and {rest:,} more</li>" if rest else ""
    return f'<ul class="plain">{lines}{more}</ul><p class="small">{note}</p>'


def timeline(diagnosis: Diagnosis) -> str:
    """Changes and the onset in the order of time; alignment is a probability, not a verdict."""
    events: list[tuple[float, str]] = []
    onset = diagnosis.symptom.onset
    if onset is not None:
        told = f"<b>the symptom begins</b> <span class=small>{escape(words.since(onset))}</span>"
        events.append((words.instant(onset.at) or 0.0, _event(onset.at, "onset", told, "")))
    kept = story.changes(diagnosis)[:_CHANGES]
    for change in kept:
        ref = f" <span class=small>{_say(change.ref, 60)}</span>" if change.ref else ""
        told = f"<b>{_say(change.entity, 60)}</b> {_say(change.description, 240)}{ref}"
        share = 100 * min(1.0, max(0.0, change.alignment))
        fit = f'<span class="bar"><i style="width:{share:.0f}%"></i></span>{escape(words.percent(change.alignment))}'
        what = f"{_say(change.id, 12)} {_say(change.kind, 20)}"
        events.append((words.instant(change.at) or 0.0, _event(change.at, what, told, fit)))
    if not events:
        return '<div class="card">No onset could be found and no change events were given.</div>'
    body = "".join(row for _, row in sorted(events, key=lambda e: e[0]))
    hidden = len(diagnosis.changes) - len(kept)
    more = (
        f'<p class="small">{words.plural(hidden, "change")} that fit the onset less are not shown.</p>'
        if hidden > 0
        else ""
    )
    return (
        f'<div class="card">{_table(("UTC", "event", "what", "#fits the onset"), body)}{more}</div>'
    )


def _event(at: str, what: str, told: str, fit: str) -> str:
    return f"<tr><td class=id>{escape(words.moment(at))}</td><td>{what}</td><td class=say>{told}</td><td class=n>{fit}</td></tr>"


def evidence(diagnosis: Diagnosis) -> str:
    """What was seen, one row each with its weight for the first hypotheses; then what was not seen."""
    if not diagnosis.evidence:
        return '<div class="card">No check reported evidence.</div>'
    leading = diagnosis.hypotheses[:_WEIGHED]
    names = (f"#{h.rank}. {words.clean(words.mode_title(h.failure_mode), 26)}" for h in leading)
    named = ("", "statement", "check", "#p", "#effect", *names)
    kept = _kept(diagnosis)
    seen = "".join(_evidence_row(e, leading) for e in kept if not _quiet(e))
    quiet = "".join(_quiet_row(e) for e in kept if _quiet(e))
    hidden = len(diagnosis.evidence) - len(kept)
    more = f'<p class="small">{words.plural(hidden, "more row")} not shown.</p>' if hidden else ""
    note = (
        '<p class="small">The last columns are weights of evidence in nats.</p>' if leading else ""
    )
    first = (
        f'<div class="card"><h4>Seen</h4>{_table(named, _beside(leading) + seen)}{note}{more}</div>'
    )
    columns = ("", "statement", "check", "speaks against", "#would have seen")
    second = f'<div class="card"><h4>Looked for and not seen</h4>{_table(columns, quiet)}</div>'
    return (first if seen else "") + (second if quiet else "")


def _kept(diagnosis: Diagnosis) -> list[Evidence]:
    """As many rows as the report shows, those that a leading hypothesis cites before all others."""
    cited = {
        i for h in diagnosis.hypotheses[:_DETAILED] for i in (*h.evidence_for, *h.evidence_against)
    }
    first = sorted(
        range(len(diagnosis.evidence)), key=lambda i: diagnosis.evidence[i].id not in cited
    )
    return [diagnosis.evidence[i] for i in sorted(first[:_EVIDENCE])]


def _quiet(item: Evidence) -> bool:
    """Whether a check looked and saw nothing: then `effect` is the least that it would have seen."""
    return item.statistic is None and item.p_value is None and not item.supports


def _quiet_row(item: Evidence) -> str:
    titles = words.listed([words.mode_title(m) for m in item.against], 4)
    least = "" if item.effect is None else f"≥ {words.figure(item.effect)}"
    return (
        f"<tr><td class=id><b>{_say(item.id, 12)}</b></td><td class=say>{_say(item.statement)}</td>"
        f"<td>{escape(words.check_name(item.check))}</td><td>{escape(titles)}</td>"
        f"<td class=n>{least}</td></tr>"
    )


def _weight(hypothesis: Hypothesis, key: str) -> str:
    weight = words.finite(hypothesis.weights.get(key))
    if weight is None:
        return "<td class=n></td>"
    return f'<td class="n {"pro" if weight > 0 else "con"}">{weight:+.2f}</td>'


def _beside(leading: Sequence[Hypothesis]) -> str:
    """Weights that come from no single piece of evidence."""
    return "".join(
        f"<tr><td></td><td class=say>{told}</td><td></td><td></td><td></td>"
        f"{''.join(_weight(h, key) for h in leading)}</tr>"
        for key, told in _BESIDE.items()
        if any(key in h.weights for h in leading)
    )


def _evidence_row(item: Evidence, leading: Sequence[Hypothesis]) -> str:
    return (
        f"<tr><td class=id><b>{_say(item.id, 12)}</b></td><td class=say>{_say(item.statement)}</td>"
        f"<td>{escape(words.check_name(item.check))}</td>"
        f"<td class=n>{words.p_value(item.p_value)}</td><td class=n>{words.figure(item.effect) if item.effect is not None else ''}</td>"
        f"{''.join(_weight(h, item.id) for h in leading)}</tr>"
    )


def footer(diagnosis: Diagnosis) -> str:
    """Sources, time and memory, and the fingerprint of all inputs."""
    run = diagnosis.run
    rows = "".join(
        f"<tr><td>{_say(s.name, 80)}</td><td>{_say(s.status, 20)}</td><td class=n>{'' if s.rows is None else f'{s.rows:,}'}</td>"
        f"<td class=say>{_say(s.reason or '', 240)}</td></tr>"
        for s in run.sources[:60]
    )
    table = (
        f'<h2>Sources</h2><div class="card">{_table(("source", "status", "#rows", "reason"), rows)}</div>'
        if rows
        else ""
    )
    return (
        f"{table}<footer>ruleout {_say(run.ruleout, 20)} · {words.figure(run.seconds)} s · {words.figure(run.peak_mb)} MB · "
        f"inputs {_say(diagnosis.incident.fingerprint, 16)}<br>"
        "A probability of 80% means: of all hypotheses given 80%, four in five should be right. "
        "This page holds no script and loads nothing.</footer>"
    )
