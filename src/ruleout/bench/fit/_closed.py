"""Closed incidents: folders whose cause is known, and the designs of their diagnoses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruleout import _diagnose, incident, modes
from ruleout._errors import IncidentError
from ruleout.bench.fit._design import Design, design

CAUSE = "cause.yaml"
"""Beside `incident.yaml`: `mode`, and where it matters `names` of the subject and modes that would be as right (`also`)."""

Closed = tuple[Path, dict[str, Any]]


def closed_incidents(folders: Sequence[Path]) -> list[Closed]:
    """Every incident of the folders with what was true of it, in the form of the benchmark's truth.

    Args:
        folders: a corpus with `truth.json`, an incident with `cause.yaml`, or a folder of such incidents.

    Raises:
        IncidentError: a folder holds no closed incident, or a cause cannot be read.
    """
    found: list[Closed] = []
    for folder in folders:
        here = list(_in(folder))
        if not here:
            raise IncidentError(
                f"{folder} holds no closed incident; put a {CAUSE} with `mode: ...` beside its incident.yaml"
            )
        found.extend(here)
    return found


def _in(folder: Path) -> Iterator[Closed]:
    listed = folder / "truth.json"
    if listed.is_file():
        truths = _truths(listed)
        yield from ((folder / name, truth) for name, truth in sorted(truths.items()))
        return
    below = sorted(p.parent for p in folder.glob(f"*/{CAUSE}"))
    for one in [folder] if (folder / CAUSE).is_file() else below:
        yield one, _cause(one / CAUSE)


def _truths(path: Path) -> dict[str, Any]:
    try:
        truths = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IncidentError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(truths, dict):
        raise IncidentError(f"{path} is a {type(truths).__name__}; it must be an object by folder")
    return truths


def _cause(path: Path) -> dict[str, Any]:
    document = incident.read_document(path)
    told = document.mapping()
    if "mode" not in told:
        document.fail("it must say `mode: ...` with a failure mode")
    also = list(told["also"].names()) if "also" in told else []
    for name in (told["mode"].name(), *also):
        try:
            modes.mode(name)
        except KeyError as error:
            raise IncidentError(f"{path}: {error.args[0]}") from error
    names = list(told["names"].names()) if "names" in told else []
    mode = modes.mode(told["mode"].name())
    return {
        "mode": mode.id,
        "also": also,
        "subject": {"kind": "feature" if names else "none", "names": names},
        "accepted": [],
        "null": mode.is_null,
        "second": None,
        "identifiable": True,
        "dataset": path.parent.name,
        "model": "own",
        "tags": [],
    }


def collect(closed: Sequence[Closed], seed: int = 0) -> Iterator[Design]:
    """Diagnose each closed incident and keep what its hypotheses heard; those without tables are left out."""
    for folder, truth in closed:
        kept: list[_diagnose.Examined] = []
        _diagnose.run(incident.load(folder), seed=seed, observe=kept.append)
        if kept:
            yield design(f"{folder.parent.name}/{folder.name}", kept[0], truth)
