"""`ruleout modes`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from ruleout._errors import IncidentError
from ruleout.modes import Mode, load, mode


def run(chosen: Namespace) -> None:
    """Print one line a failure mode, or the page of one."""
    if chosen.id is None:
        width = max(map(len, load()))
        for entry in load().values():
            print(f"{entry.code:4}  {entry.id:{width}}  {entry.layer:14}  {entry.title}")
        return
    try:
        entry = mode(chosen.id)
    except KeyError as error:
        raise IncidentError(error.args[0]) from error
    print("\n".join(_page(entry)))


def _page(entry: Mode) -> Iterator[str]:
    yield f"{entry.id} ({entry.code}, {entry.layer}): {entry.title}"
    yield ""
    yield entry.definition
    yield ""
    yield from _listed("Seen", entry.present)
    yield from _listed("Not seen", entry.absent)
    yield from _listed("Mistaken for", entry.confusable_with)
    yield f"What parts them: {entry.tie_break}"
    if entry.observable:
        yield from _listed("Needs", entry.needs)
    else:
        yield f"Not observable: {entry.unobservable_because}"
    yield from _listed("Surer with", entry.sharpened_by)
    for remedy in entry.advice():
        yield f"{remedy.kind.capitalize()}: {remedy.action}"


def _listed(head: str, entries: tuple[str, ...]) -> Iterator[str]:
    if entries:
        yield f"{head}: {'; '.join(entries)}"
