"""The catalogue page of checks and repairs, written from what is registered.

`python -m ruleout.experiments._catalogue > docs/checks.md`
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ruleout import experiments, modes
from ruleout._registry import REPAIRS, CheckSpec, RepairSpec, load_all
from ruleout.checks._run import RUNGS, ladder

_HEAD = """# Checks and repairs

What `ruleout` looks for, rung by rung of the ladder, and how it undoes what it finds. This page is
generated from the registered checks and repairs by
`python -m ruleout.experiments._catalogue > docs/checks.md`; edit their docstrings, not the page.
"""
_RUNG_TITLES = {
    "symptom": "Is there an incident?",
    "measurement": "Is the measurement sound?",
    "reproduction": "Do the served predictions reproduce?",
    "inputs": "Did the inputs arrive as they were meant?",
    "world": "Did the world change?",
    "path": "Was the path healthy?",
}


def catalogue() -> str:
    """The page as Markdown, ending in one newline. Plug-ins that are installed appear too."""
    return "\n".join([_HEAD, *_checks(), *_repairs(), *_unseen()]).rstrip("\n") + "\n"


def _checks() -> Iterator[str]:
    by_rung: dict[str, list[CheckSpec]] = {rung: [] for rung in RUNGS}
    for spec in ladder():
        by_rung[spec.rung].append(spec)
    for place, (rung, specs) in enumerate(by_rung.items(), start=1):
        if specs:
            yield f"## Rung {place}: {_RUNG_TITLES[rung]}\n"
            yield from (_check(spec) for spec in specs)


def _check(spec: CheckSpec) -> str:
    return "\n".join(
        [
            f"### {spec.id}\n",
            f"{_summary(spec.run)}\n",
            f"- Looks for: {_links(spec.looks_for)}.",
            f"- Needs: {', '.join(f'`{need}`' for need in spec.needs) or 'nothing more'}.",
            f"- Layer: {spec.layer}.",
            "",
        ]
    )


def _repairs() -> Iterator[str]:
    load_all(experiments, "ruleout.repairs")
    yield "## Repairs\n"
    yield "A repair that brings the metric back proves what it undoes.\n"
    yield "| repair | undoes | how |"
    yield "|---|---|---|"
    yield from (_repair(spec) for _, spec in sorted(REPAIRS.items()))
    yield ""


def _repair(spec: RepairSpec) -> str:
    return f"| `{spec.id}` | {_links(spec.undoes)} | {_summary(spec.run).replace('|', '/')} |"


def _unseen() -> Iterator[str]:
    seen = {name for spec in ladder() for name in spec.looks_for}
    rest = [m for m in modes.load().values() if m.id not in seen]
    yield f"## Rung 6: {_RUNG_TITLES['path']}\n"
    yield "Metrics, traces, logs and changes are ranked together rather than check by check: see"
    yield "[services](services.md). These failure modes are named from telemetry alone:"
    yield f"{_links(m.id for m in rest if m.observable)}.\n"
    yield "## Modes that nothing looks for\n"
    yield "They appear under `not_checked` in every diagnosis.\n"
    yield from (f"- {_links([m.id])}: {m.unobservable_because}." for m in rest if not m.observable)


def _links(names: Iterable[str]) -> str:
    return (
        ", ".join(f"[`{name}`](modes.md#{name})" for name in dict.fromkeys(names))
        or "nothing by name"
    )


def _summary(run: Callable[..., Any]) -> str:
    """First paragraph of the docstring, on one line."""
    text = inspect.getdoc(run) or ""
    return " ".join(text.partition("\n\n")[0].split())


if __name__ == "__main__":
    sys.stdout.write(catalogue())
