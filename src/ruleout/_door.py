"""The Python door: `ruleout.diagnose` for folders and frames, and an answer that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruleout._records import Diagnosis, Hypothesis


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A diagnosis with ways to look at it; notebooks show it as a page."""

    diagnosis: Diagnosis

    @property
    def verdict(self) -> str:
        """`cause_found`, `inconclusive` or `no_incident`."""
        return self.diagnosis.verdict

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Ranked hypotheses, likeliest first."""
        return self.diagnosis.hypotheses

    def to_json(self) -> str:
        """The diagnosis in the public format."""
        from ruleout.postmortem._codec import to_json

        return to_json(self.diagnosis)

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from ruleout import postmortem

        return postmortem.html(self.diagnosis)

    def to_markdown(self) -> str:
        """The report for a ticket."""
        from ruleout import postmortem

        return postmortem.markdown(self.diagnosis)

    def save(self, path: str | Path) -> Path:
        """Write the report; the ending (`.html`, `.json`, `.md`) chooses the format.

        Raises:
            ValueError: for another ending.
        """
        target = Path(path)
        writers = {".html": self.to_html, ".json": self.to_json, ".md": self.to_markdown}
        if target.suffix not in writers:
            raise ValueError(f"{target.name!r} ends in none of {', '.join(writers)}")
        target.write_text(writers[target.suffix](), encoding="utf-8")
        return target

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        from ruleout import postmortem

        out = StringIO()
        postmortem.terminal(self.diagnosis, Console(file=out, width=100))
        return out.getvalue()

    def __repr__(self) -> str:
        # A prompt shows this after every call: all evidence and charts would fill many screens.
        first = next((h.failure_mode for h in self.hypotheses), None)
        told = "" if first is None else f", {first} {self.hypotheses[0].probability:.0%}"
        return f"<ruleout.Answer: {self.verdict}{told}; print() shows it>"

    def _repr_html_(self) -> str:
        from ruleout import postmortem

        return postmortem.notebook(self.diagnosis)


def diagnose(
    incident: str | Path | None = None,
    *,
    reference: Any = None,
    current: Any = None,
    trust_model: bool = False,
    seed: int = 0,
    **parts: Any,
) -> Answer:
    """Diagnose an incident folder, or two tables.

    Args:
        incident: the folder or its YAML file.
        reference: the rows of the good time: a polars or pandas frame, or a path.
        current: the rows of the bad time.
        trust_model: allow models whose loading executes code.
        seed: fixes every random choice.
        **parts: the roles of the columns (`target="y"`, `prediction="p"`, `score=`, `timestamp=`,
            `id=`, `segments=`, ...) and the other parts of an incident (`metric=`, `model=`,
            `changes=`, `sources=`, ...).

    Raises:
        IncidentError: the arguments contradict each other or the tables, or the seed is negative or no whole number.
        SourceError: a table cannot be read.
        TypeError: for neither or both of `incident` and tables.
    """
    from ruleout._diagnose import run
    from ruleout.incident import from_frames, load

    given = reference is not None or current is not None
    if (incident is None) != given:
        raise TypeError("give either an incident folder, or reference= and current= tables")
    if incident is not None:
        if parts:
            raise TypeError(f"{', '.join(parts)}: a folder says this in its incident.yaml")
        return Answer(run(load(incident), trust_model=trust_model, seed=seed))
    made = from_frames(reference=reference, current=current, **parts)
    return Answer(run(made, trust_model=trust_model, seed=seed))
