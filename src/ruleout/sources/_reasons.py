"""Why something could not be read, in words that are the same on every machine and in every run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ruleout.incident import Incident

_LONGEST = 300
_TRACE = re.compile(r"\s*(?:Stack trace:|Traceback \(most recent call last\):).*", re.DOTALL)
_CLOCK = re.compile(r"\[\d\d:\d\d:\d\d(?:\.\d+)?\]\s*")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


def without_trace(text: str) -> str:
    """A message of another library on one line, without its stack trace, clock times and addresses."""
    plain = _ADDRESS.sub("0x...", _CLOCK.sub("", _TRACE.sub("", text)))
    return " ".join(plain.split())


def steady(reason: str, incident: Incident) -> str:
    """A reason that does not depend on where the incident's folder is or how it was given.

    Paths become relative to the folder; what other libraries add of clocks, addresses and stacks is left out.
    """
    text = without_trace(reason)
    file = Path(incident.file)
    if file.name != incident.file and file.resolve().parent == incident.folder:
        text = text.replace(incident.file, file.name)
    if incident.folder != Path(incident.folder.anchor):
        text = text.replace(f"{incident.folder}{os.sep}", "").replace(str(incident.folder), ".")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
