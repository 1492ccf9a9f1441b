"""The answer on one terminal screen: at most 40 lines at 80 columns, two columns when it is wide.

Signs and words carry the meaning, colour only repeats it. Text from the incident is never parsed as
markup, and control characters have been taken out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ruleout._records import Diagnosis, Hypothesis
from ruleout.postmortem import _actions as doing
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words
from ruleout.postmortem._spark import sparkline

_GUTTER: Final = 11
_WIDE: Final = 140
_SCREEN: Final = 40
_SIGN: Final = {"cause_found": "●", "inconclusive": "◐", "no_incident": "○"}
_STYLE: Final = {
    "cause_found": "bold red",
    "inconclusive": "bold yellow",
    "no_incident": "bold green",
}
_ASCII: Final = str.maketrans({
    "●": "*", "◐": "+", "○": "o", "→": ">", "–": "-", "…": "~", "×": "x", "−": "-", "·": "-", "±": "~",
    "─": "-", "▲": "^", "≥": ">", "≤": "<", "│": "|", "\ufffd": "?",
})  # fmt: skip


class Row(NamedTuple):
    """A labelled paragraph with the most lines that it may take."""

    label: str
    text: str
    most: int = 2
    style: str = ""


def terminal(diagnosis: Diagnosis, console: Console) -> None:
    """Print the diagnosis; plain text where the console is a pipe or NO_COLOR is set."""
    width = max(40, console.width)
    lines = (
        _wide(diagnosis, width, console) if width >= _WIDE else _narrow(diagnosis, width, console)
    )
    for line in lines:
        if console.options.ascii_only:
            # As long as it was, so that columns stay aligned.
            plain = line.plain.replace(" → ", " ->").translate(_ASCII)
            line.plain = plain.encode("ascii", "replace").decode()
        line.rstrip()
        console.print(
            line, no_wrap=True, overflow="crop", crop=True, highlight=False, soft_wrap=False
        )


def _narrow(diagnosis: Diagnosis, width: int, console: Console) -> list[Text]:
    head = _head(diagnosis, width, 6)
    symptom = [Text(), *_symptom(diagnosis, width, console)]
    lower = _lower(diagnosis, width, 3)
    if len(head) + len(symptom) + len(lower) > _SCREEN:
        # The verdict's end is worth more than the third hypothesis.
        lower = _lower(diagnosis, width, 2)
    left = _SCREEN - len(symptom) - len(lower)
    head = _head(diagnosis, width, max(3, min(6, left - 1)))
    # The chain is the first thing that a full screen can spare.
    chain = _rows(_chain(diagnosis), width) if len(head) < left else []
    return [*head, *symptom, *chain, *lower]


def _lower(diagnosis: Diagnosis, width: int, most: int) -> list[Text]:
    return [
        Text(),
        *_hypotheses(diagnosis, width, most=most, lines=1),
        Text(),
        *_rows(_action_rows(diagnosis, 2), width),
        *_rows(_ledger_rows(diagnosis, 2), width),
    ]


def _wide(diagnosis: Diagnosis, width: int, console: Console) -> list[Text]:
    half = (width - 3) // 2
    left = [
        *_symptom(diagnosis, half, console),
        *_rows(_chain(diagnosis), half),
        Text(),
        *_hypotheses(diagnosis, half, most=4, lines=2),
    ]
    right = [
        *_rows(_action_rows(diagnosis, 3), half),
        Text(),
        *_rows(_ledger_rows(diagnosis, 4), half),
    ]
    return [*_head(diagnosis, width, 4), Text(), *_beside(left, right, half)]


def _beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    lines = []
    for i in range(max(len(left), len(right))):
        line = left[i].copy() if i < len(left) else Text()
        line.append(" " * (width - cell_len(line.plain)) + " │ ", "dim")
        lines.append(line.append_text(right[i]) if i < len(right) else line)
    return lines


def _head(diagnosis: Diagnosis, width: int, most: int) -> list[Text]:
    verdict = diagnosis.verdict
    badge = f"{_SIGN[verdict]} {story.LABEL[verdict]}"
    title = words.clean(diagnosis.incident.title, 200)
    first = Text().append(badge, _STYLE[verdict]).append(f"  {fit(title, width - len(badge) - 2)}")
    return [first, *(Text(line, "bold") for line in wrap(story.headline(diagnosis), width, most))]


def _symptom(diagnosis: Diagnosis, width: int, console: Console) -> list[Text]:
    move = story.move(diagnosis.symptom)
    if move is None:
        rows = [Row("metric", story.unmeasured(diagnosis.symptom), 1)]
    else:
        # A long name takes the room that it needs: which metric it is must not be guessed.
        label, told = move.metric, move.line("   ")
        if cell_len(label) >= _GUTTER:
            label, rest = _split(label, _GUTTER)
            told = f"{rest} {told}"
        rows = [Row(label, told, 1, "bold")]
    if asked := story.stands_for(diagnosis):
        rows.append(Row("stands for", asked, 1))
    spark = sparkline(
        story.chart(diagnosis, "metric"), width - _GUTTER, ascii_only=console.options.ascii_only
    )
    rows += [Row("", line, 1, style) for line, style in spark]
    rows.append(Row("since", story.since(diagnosis), 1))
    rows.append(Row("who is hit", story.who(diagnosis), 2))
    return _rows(rows, width)


def _chain(diagnosis: Diagnosis) -> list[Row]:
    """How the first cause reaches the symptom, where that takes more than one step."""
    chain = next((story.chain(h) for h in story.causes(diagnosis)), ())
    told = " → ".join(words.clean(name, 40) for name in chain)
    return [Row("chain", told, 1)] if len(chain) > 1 else []


def _hypotheses(diagnosis: Diagnosis, width: int, *, most: int, lines: int) -> list[Text]:
    if not diagnosis.hypotheses:
        return [Text().append("No hypothesis was proposed by any check.", "dim")]
    right = f"{'likely':>6}  {'undone':>7}"
    out = [Text().append(f"{'HYPOTHESES':<{width - len(right)}}{right}", "dim")]
    told = {e.id: f"{e.id} {words.clean(e.statement)}" for e in diagnosis.evidence}
    for hypothesis in diagnosis.hypotheses[:most]:
        out.append(_title_line(hypothesis, width))
        out.extend(_rows(_reasons(hypothesis, told, 2 if hypothesis.rank == 1 else lines), width))
    hidden = len(diagnosis.hypotheses) - most
    rest = words.percent(story.elsewhere(diagnosis))
    more = f"and {hidden} less likely; " if hidden > 0 else ""
    out.append(Text().append(f"  {more}something not in the list: {rest}", "dim"))
    return out


def _title_line(hypothesis: Hypothesis, width: int) -> Text:
    share = words.percent(hypothesis.explained.fraction) if hypothesis.explained else "–"
    right = f"{words.percent(hypothesis.probability):>6}  {share:>7}"
    room = width - len(right) - 1
    tag = f"[{story.standing(hypothesis)}]"
    left = fit(f"{hypothesis.rank} {story.name(hypothesis)}", room - len(tag) - 1)
    style = "bold" if hypothesis.rank == 1 else ""
    line = Text().append(left, style).append(f" {tag}", "dim")
    return line.append(" " * (width - cell_len(line.plain) - len(right))).append(right, style)


def _reasons(hypothesis: Hypothesis, told: dict[str, str], lines: int) -> list[Row]:
    pro = [told.get(i, i) for i in hypothesis.evidence_for]
    con = [told.get(i, i) for i in hypothesis.evidence_against]
    rows = [
        Row("  for", _first(pro) or "nothing beyond its prior", lines, "green" if pro else "dim")
    ]
    missing = words.listed([words.need_text(n) for n in hypothesis.not_checked], 2)
    if con:
        tail = f"; not checked: {missing}" if missing else ""
        rows.append(Row("  against", _first(con) + tail, lines, "yellow"))
    elif missing:
        rows.append(Row("  unseen", missing, lines, "dim"))
    return rows


def _first(items: Sequence[str]) -> str:
    more = f" (+{len(items) - 1} more)" if len(items) > 1 else ""
    return f"{items[0].rstrip('.')}{more}" if items else ""


def _action_rows(diagnosis: Diagnosis, lines: int) -> list[Row]:
    todo = doing.actions(diagnosis)[:2]
    rows = [Row("do now" if i == 0 else "", a.line, 2, "bold") for i, a in enumerate(todo)]
    rows += [Row("prevent", a.text, 1) for a in doing.prevention(diagnosis)[:1]]
    rows += [Row("missing", doing.missing(gap), 1) for gap in diagnosis.safeguard_gaps[:1]]
    for step in diagnosis.next_evidence[:1]:
        bits = words.figure(step.information_gain_bits)
        told = f"{words.need_text(step.gather)}: parts {story.parts(step)} ({bits} bits)"
        rows.append(Row("next", told, lines))
    return rows


def _ledger_rows(diagnosis: Diagnosis, lines: int) -> list[Row]:
    rows = [
        Row("ruled out", _ledger(diagnosis, story.ruled_out, "nothing"), lines),
        Row(
            "not looked",
            _ledger(diagnosis, story.not_checked, "nothing was left out", words.lacking),
            lines,
        ),
    ]
    if told := story.fitting(diagnosis):
        rows.append(Row("changes", told, max(1, lines - 1)))
    if failed := story.failed_sources(diagnosis):
        rows.append(Row("sources", words.listed(failed, 2), 1, "yellow"))
    return rows


def _ledger(
    diagnosis: Diagnosis,
    groups: Callable[[Diagnosis], tuple[story.Group, ...]],
    empty: str,
    phrase: Callable[[str], str] = "by {}".format,
) -> str:
    made = groups(diagnosis)
    total = sum(len(g.items) for g in made)
    if not total:
        return empty
    shown, said = [], 0
    for group in made[:3]:
        shown.append(f"{words.listed(group.items, 3)} ({phrase(group.heading)})")
        said += len(group.items)
    more = f"; and {total - said} more" if total > said else ""
    return f"{words.plural(total, 'mode')}: {'; '.join(shown)}{more}"


def _rows(rows: Iterable[Row], width: int) -> list[Text]:
    out = []
    for row in rows:
        for i, line in enumerate(wrap(row.text, width - _GUTTER, row.most)):
            label = row.label if i == 0 else ""
            out.append(Text().append(set_cell_size(label, _GUTTER), "dim").append(line, row.style))
    return out


def wrap(text: str, width: int, most: int) -> list[str]:
    """At most `most` lines of at most `width` cells; what does not fit ends in an ellipsis."""
    lines: list[str] = []
    rest = text
    while rest and len(lines) < most - 1 and cell_len(rest) > width:
        cut = _break(rest, width)
        lines.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return [*lines, fit(rest, width)]


def _break(text: str, width: int) -> int:
    """Where to break: after the last space that fits, or in the middle of a long word."""
    cells = end = space = 0
    for end, char in enumerate(text):
        cells += cell_len(char)
        if cells > width:
            break
        if char == " ":
            space = end
    return space if space > width // 2 else max(1, end)


def _split(text: str, width: int) -> tuple[str, str]:
    """What fits into so many cells, and the rest."""
    cells = 0
    for at, char in enumerate(text):
        cells += cell_len(char)
        if cells > width:
            return text[:at], text[at:]
    return text, ""


def fit(text: str, width: int) -> str:
    """The text in at most `width` cells."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(1, width - 1)).rstrip() + "…"
