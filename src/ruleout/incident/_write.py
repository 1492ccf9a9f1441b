"""Writing an `incident.yaml` to start from."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from ruleout._errors import IncidentError
from ruleout.incident._model import Task
from ruleout.incident._roles import Guess

_HEAD = """# An incident for ruleout. Edit it, then run: ruleout diagnose {folder}
# Everything but `title` and one source of evidence is optional; more evidence makes the answer surer:
#   models:  {{current: {{uri: model.onnx}}}}           replays what was served
#   changes: changes.csv                            timestamp, kind, entity, description
#   probes:  {{audit: {{labels: audited.parquet, key: id, label: label}}}}
"""


def write_incident(
    folder: Path,
    reference: str,
    current: str,
    guesses: Sequence[Guess],
    *,
    task: Task,
    title: str,
    force: bool,
) -> Path:
    """Write `incident.yaml` with the guessed roles, each with its reason beside it.

    Args:
        folder: where to; it is made.
        reference: path or glob of the reference table, relative to the working directory.
        current: likewise.
        guesses: of `guess_roles`.
        task: what the values say; `none` leaves the key out.
        title: the incident's title.
        force: replace a file that is there.

    Returns:
        The file.

    Raises:
        IncidentError: the file exists and `force` is false, or it cannot be written.
    """
    file = folder / "incident.yaml"
    if file.exists() and not force:
        raise IncidentError(f"{file} exists; give another folder with -o, or --force to replace it")
    lines = [
        _HEAD.format(folder=shlex.quote(str(folder))),
        "version: 1",
        f"title: {_scalar(title)}",
    ]
    if task != "none":
        lines.append(f"task: {task}")
    lines += ["", "data:"]
    lines += [
        f"  {role}: {_scalar(_relative(uri, folder))}"
        for role, uri in (("reference", reference), ("current", current))
    ]
    if guesses:
        lines += ["  columns:", *(f"    {line}" for guess in guesses for line in _role(guess))]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise IncidentError(f"{file}: cannot be written: {error.strerror}") from error
    return file


def _role(guess: Guess) -> Iterator[str]:
    yield f"{guess.role}: {_scalar(guess.value)}  # {' '.join(guess.why.split())}"


def _scalar(value: Any) -> str:
    """A value in YAML's one-line form, quoted where it has to be."""
    plain = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(
        [plain], default_flow_style=True, allow_unicode=True, width=float("inf"), sort_keys=False
    )
    return text.strip()[1:-1]


def _relative(uri: str, folder: Path) -> str:
    """A path as seen from the folder; URLs and absolute paths stay."""
    if "://" in uri or Path(uri).is_absolute():
        return uri
    return Path(os.path.relpath(uri, folder)).as_posix()
