"""From an incident to what the user asked to see of its diagnosis."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from ruleout._diagnose import run as diagnose
from ruleout._errors import IncidentError, SourceError
from ruleout._records import Diagnosis, SourceStatus
from ruleout.cli._memory import keep_freed
from ruleout.cli._progress import Progress
from ruleout.incident import Incident
from ruleout.sources import input_files

_FORMS = ("json", "html", "markdown")


def answer(incident: Incident, chosen: Namespace, *, trust_model: bool) -> None:
    """Diagnose the incident; write the files that `chosen` names, and the answer to the terminal.

    Raises:
        IncidentError: a file cannot be written where it should be, or is an input; found before any work is done.
        SourceError: no source could be read, so that nothing was checked.
    """
    targets = outputs(chosen)
    for form, target in targets.items():
        _require_place(form, target)
    _require_own(targets, incident)
    keep_freed()
    with Progress(quiet=chosen.quiet) as progress:
        diagnosis = diagnose(incident, trust_model=trust_model, seed=chosen.seed, progress=progress)
        _require_sources(diagnosis, incident)
        progress("writing")
        texts = {form: _render(diagnosis, form) for form in targets}
    for form, text in texts.items():
        _write(form, targets[form], text)
    if "-" not in targets.values() and not (chosen.quiet and targets):
        _show(diagnosis)


def outputs(chosen: Namespace) -> dict[str, str]:
    """Where each form of the answer goes that the user asked for.

    Raises:
        IncidentError: two forms would go to one place.
    """
    targets: dict[str, str] = {
        form: getattr(chosen, form) for form in _FORMS if getattr(chosen, form) is not None
    }
    taken: dict[str | Path, str] = {}
    for form, target in targets.items():
        place = target if target == "-" else Path(target).resolve()
        if isinstance(place, Path) and place.exists() and not place.is_file():
            continue  # a device such as /dev/null takes any number of texts
        if place in taken:
            raise IncidentError(
                f"--{form} is {target!r}, and so is --{taken[place]}; give each a file of its own"
            )
        taken[place] = form
    return targets


def _require_own(targets: Mapping[str, str], incident: Incident) -> None:
    """What is written may not take the place of what is read."""
    there = {form: Path(target) for form, target in targets.items() if Path(target).is_file()}
    if not there:
        return
    for file in input_files(incident):
        for form, path in there.items():
            if file.is_file() and file.samefile(path):
                raise IncidentError(
                    f"--{form} is {targets[form]!r}; the incident is read from that file; name another"
                )


def _require_place(form: str, target: str) -> None:
    path = Path(target)
    if target == "-":
        if form == "html":
            raise IncidentError("--html is '-'; a report goes to a file, such as report.html")
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        problem = (
            "it is a folder" if path.is_dir() else f"there is no folder {path.absolute().parent}"
        )
        raise IncidentError(
            f"--{form} is {target!r}; {problem}; name a file in a folder that exists"
        )


def _require_sources(diagnosis: Diagnosis, incident: Incident) -> None:
    """A diagnosis of nothing at all is none."""
    sources = diagnosis.run.sources
    if sources and all(source.status == "failed" for source in sources):
        told = "; ".join(_named_reason(source) for source in sources)
        raise SourceError(
            f"{incident.file}: no source could be read, so nothing was checked: {told}"
        )


def _named_reason(source: SourceStatus) -> str:
    """The reason, after the key of the source that failed; many reasons begin with it already."""
    reason = source.reason or "failed"
    return reason if reason.startswith(f"{source.name}") else f"{source.name}: {reason}"


def _render(diagnosis: Diagnosis, form: str) -> str:
    from ruleout import postmortem
    from ruleout.postmortem._codec import to_json

    if form == "json":
        return to_json(diagnosis)
    return postmortem.html(diagnosis) if form == "html" else postmortem.markdown(diagnosis)


def _write(form: str, target: str, text: str) -> None:
    if target == "-":
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    try:
        Path(target).write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
    except OSError as error:
        raise IncidentError(
            f"--{form} is {target!r}; it cannot be written: {error.strerror}"
        ) from error


def _show(diagnosis: Diagnosis) -> None:
    from rich.console import Console

    from ruleout import postmortem

    postmortem.terminal(diagnosis, Console())
