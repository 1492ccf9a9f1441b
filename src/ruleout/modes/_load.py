"""From the TOML files beside this module to frozen records."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from ruleout._records import Layer, Remedy


def called(name: str, kind: str) -> str:
    """A subject's name in a sentence: an incident's models are known by their role alone."""
    return f"the {name} model" if kind == "model" and name in {"current", "previous"} else name


@dataclass(frozen=True, slots=True)
class ModeRemedy:
    """Something to do against a mode, with a place for the subject's names."""

    kind: str
    """`mitigate` (now, reversible) or `fix` (for good)."""

    action: str
    """One sentence; `{subject}` stands for the incident's own names."""

    reversible: bool


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which an AI system fails, or one null hypothesis (layer `none`)."""

    id: str
    code: str
    layer: Layer
    title: str
    definition: str
    subject: str
    """What to call the subject where the diagnosis names none, e.g. `the affected features`."""

    confusable_with: tuple[str, ...]
    tie_break: str
    needs: tuple[str, ...]
    """Parts of an incident without which nobody can look, e.g. `probes.audit`."""

    sharpened_by: tuple[str, ...]
    """Parts that make the answer surer."""

    observable: bool
    """Whether an incident can carry what would show this mode at all."""

    unobservable_because: str
    prior: float
    """Relative log-odds before any evidence, in nats."""

    present: tuple[str, ...]
    """What should be seen if the mode is at work."""

    absent: tuple[str, ...]
    """What should not be seen if it is."""

    remedies: tuple[ModeRemedy, ...]
    prevention: tuple[str, ...]
    safeguards: tuple[str, ...]
    severity: int
    """FMEA default, 1 (a nuisance) to 10 (money or people are hurt at once)."""

    occurrence: int
    """FMEA default, 1 (once in years) to 10 (every week)."""

    detection: int
    """FMEA default, 1 (always noticed at once) to 10 (never noticed)."""

    @property
    def is_null(self) -> bool:
        """Whether this is a null hypothesis: something to beat before a fault is named."""
        return self.layer == "none"

    @property
    def risk(self) -> int:
        """Risk priority number: severity times occurrence times detection, 1 to 1000."""
        return self.severity * self.occurrence * self.detection

    def advice(self, names: Sequence[str] = (), kind: str = "") -> tuple[Remedy, ...]:
        """What to do now, for good and to prevent a repeat, about the subject of `kind` called `names`."""
        subject = ", ".join(called(name, kind) for name in names) or self.subject
        done = tuple(
            Remedy(r.kind, r.action.replace("{subject}", subject), r.reversible)
            for r in self.remedies
        )
        return done + tuple(Remedy("prevent", text, reversible=True) for text in self.prevention)


@cache
def load() -> Mapping[str, Mode]:
    """Every mode by its id, nulls first, then in the order of their codes."""
    found = [
        _mode(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in files(__package__).iterdir()
        if entry.name.endswith(".toml")
    ]
    found.sort(key=lambda m: ("NDMFIL".index(m.code[0]), m.code))
    return MappingProxyType({m.id: m for m in found})


def mode(name: str) -> Mode:
    """The mode with this id.

    Raises:
        KeyError: for an unknown id; the message names the nearest one.
    """
    known = load()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "docs/modes.md lists them all"
    raise KeyError(f"no failure mode is called {name!r}; {hint}")


def _mode(raw: Mapping[str, Any]) -> Mode:
    """The record of one file. A missing key is a `KeyError`, an unknown one a `TypeError`."""
    plain = {k: v for k, v in raw.items() if k not in {"signature", "fmea", "remedies"}}
    plain.setdefault("unobservable_because", "")
    lists = {k: tuple(v) for k, v in plain.items() if isinstance(v, list)}
    return Mode(
        **{**plain, **lists},
        present=tuple(raw["signature"]["present"]),
        absent=tuple(raw["signature"]["absent"]),
        remedies=tuple(ModeRemedy(**r) for r in raw["remedies"]),
        **raw["fmea"],
    )
