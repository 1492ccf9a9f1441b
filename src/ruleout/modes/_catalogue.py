"""The catalogue page of the failure modes, written from the data."""

from __future__ import annotations

from collections.abc import Iterator

from ruleout.modes._load import Mode, load

_CHAPTERS = {
    "none": "Null hypotheses, to be beaten before a fault is named",
    "data": "Data",
    "model": "Model",
    "infrastructure": "Infrastructure",
    "integration": "Integration",
}

_HEAD = """# Failure modes

Every mode that a diagnosis can name, with what it is mistaken for and what parts the two.
This page is generated from `src/ruleout/modes/*.toml` by `python -m ruleout.modes > docs/modes.md`;
edit the files, not the page. A *part* is a key of `incident.yaml`.
"""


def catalogue() -> str:
    """The page as Markdown, ending in one newline."""
    modes = tuple(load().values())
    chapters = (
        "\n".join([f"## {title}\n", *(_entry(m) for m in modes if m.layer == layer)])
        for layer, title in _CHAPTERS.items()
    )
    return "\n".join([_HEAD, _contents(modes), *chapters]).rstrip("\n") + "\n"


def _contents(modes: tuple[Mode, ...]) -> str:
    rows = (f"| {m.code} | [`{m.id}`](#{m.id}) | {m.layer} | {m.risk} |" for m in modes)
    head = "| code | failure mode | layer | risk (severity × occurrence × detection) |"
    return "\n".join([head, "|---|---|---|--:|", *rows, ""])


def _entry(m: Mode) -> str:
    return "\n".join(
        [f"### {m.id}\n", f"**{m.title}** ({m.code}). {m.definition}\n", *_facts(m), ""]
    )


def _facts(m: Mode) -> Iterator[str]:
    yield f"- Seen: {'; '.join(m.present)}."
    yield f"- Not seen: {'; '.join(m.absent)}."
    yield f"- Mistaken for: {', '.join(f'[`{c}`](#{c})' for c in m.confusable_with)}."
    yield f"- What parts them: {m.tie_break}"
    if m.observable:
        yield f"- Needs: {', '.join(f'`{n}`' for n in m.needs)}."
    else:
        yield f"- Not observable: {m.unobservable_because}."
    if m.sharpened_by:
        yield f"- Surer with: {', '.join(f'`{n}`' for n in m.sharpened_by)}."
    for remedy in m.remedies:
        when = "Now" if remedy.kind == "mitigate" else "For good"
        yield f"- {when}: {remedy.action.replace('{subject}', m.subject)}."
    yield f"- So that it does not come back: {'; '.join(m.prevention)}."
