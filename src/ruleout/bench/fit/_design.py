"""What an incident's evidence says of each hypothesis, before it is weighed: the rows of the fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruleout._diagnose import Examined
from ruleout._errors import SourceError
from ruleout.hypotheses import Candidate, Numbered, heard, load_weights, undo_term

Parameter = tuple[str, str]
"""Signal and mode, or an undoing's table and side: one number in the weights."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One weight that a hypothesis calls on."""

    signal: str
    key: str
    strength: float
    default: float
    """Nats at full strength where the weights have no such entry."""


@dataclass(frozen=True, slots=True)
class Row:
    """One hypothesis: what it is, its log-odds before evidence, and the evidence it hears."""

    mode: str
    kind: str
    names: tuple[str, ...]
    prior: float
    terms: tuple[Heard, ...]

    @property
    def subject(self) -> dict[str, Any]:
        """As in a diagnosis."""
        return {"kind": self.kind, "names": list(self.names)}


@dataclass(frozen=True, slots=True)
class Design:
    """All hypotheses of one incident, and what was true of it (None: nobody knows)."""

    name: str
    rows: tuple[Row, ...]
    truth: Mapping[str, Any] | None = None


def design(name: str, found: Examined, truth: Mapping[str, Any] | None = None) -> Design:
    """The design of the first pass over an incident."""
    rows = tuple(_row(c, found.rows) for c in found.candidates)
    return Design(name, rows, truth)


def _row(candidate: Candidate, outcomes: Sequence[Numbered]) -> Row:
    strongest: dict[tuple[str, float], Heard] = {}
    table = load_weights()
    for term in heard(candidate, outcomes):
        listed = candidate.mode in table.get(term.signal, {})
        # Without an entry, a finding that supports and one that contradicts are worth different nats.
        key = (term.signal, 0.0 if listed else term.default)
        if not listed and term.default == 0:
            continue
        if key not in strongest or term.strength > strongest[key].strength:
            strongest[key] = Heard(term.signal, candidate.mode, term.strength, term.default)
    terms = list(strongest.values())
    undone = undo_term(candidate)
    if undone is not None:
        terms.append(Heard(undone[0], undone[1], undone[2], 0.0))
    subject = candidate.subject
    said = sum(t.strength * table.get(t.signal, {}).get(t.key, t.default) for t in terms)
    # What else the engine weighed (a proof of another hypothesis, say) is no parameter and stays as it is.
    return Row(candidate.mode, subject.kind, subject.names, candidate.logit - said, tuple(terms))


def write_designs(path: Path, designs: Iterable[Design]) -> None:
    """One JSON object a line."""
    with path.open("w", encoding="utf-8") as lines:
        for one in designs:
            lines.write(json.dumps(as_json(one), ensure_ascii=False) + "\n")


def as_json(one: Design) -> dict[str, Any]:
    """A design in plain lists and numbers."""
    rows = [
        [
            r.mode,
            r.kind,
            r.names,
            r.prior,
            [[t.signal, t.key, t.strength, t.default] for t in r.terms],
        ]
        for r in one.rows
    ]
    return {"name": one.name, "truth": one.truth, "rows": rows}


def read_designs(path: Path) -> list[Design]:
    """What `write_designs` wrote.

    Raises:
        SourceError: the file cannot be read, or something else wrote it.
    """
    try:
        return [_read(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(
            f"{path}: holds no designs ({type(error).__name__}: {error}); remove it, and they are made again"
        ) from error


def _read(line: str) -> Design:
    told = json.loads(line)
    rows = tuple(
        Row(mode, kind, tuple(names), before, tuple(Heard(*t) for t in terms))
        for mode, kind, names, before, terms in told["rows"]
    )
    return Design(told["name"], rows, told["truth"])
