"""`ruleout demo`: write an incident, diagnose it, and say where both are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ruleout.bench.demos._write import write

if TYPE_CHECKING:
    from rich.console import Console

_STORY = {
    "images": "A shop's photo classifier lost 15 points of accuracy in two days. Version 7 of the "
    "model went live the evening before.",
    "fraud": "Blocked card payments turn out to be honest ones. A fraud ring was reported, and the "
    "season is starting.",
    "nulls": "The churn model misses customers who leave, two days after a new version of it went live.",
}
_PARTS = {
    "incident.yaml": "what is known; open it, edit it",
    "reference.parquet": "rows from before",
    "current.parquet": "rows from the incident",
    "changes.csv": "deploys, configs and dates around it",
    "photo_classifier.py": "the model, with weights_v6.npz and weights_v7.npz",
    "fraud_model.py": "the model, with fraud_weights.json",
    "known_fraud.parquet": "known cases with their scores at release and now",
}


def main(
    name: str = "images",
    out: str | Path | None = None,
    *,
    seed: int = 0,
    console: Console | None = None,
) -> Path:
    """Write a demo's incident folder, diagnose it, print the answer and write the HTML report.

    Args:
        name: `images`, `fraud` or `nulls`.
        out: the folder; by default `ruleout-demo-NAME` in the working directory.
        seed: of the generated rows and of the diagnosis.
        console: where to print.

    Returns:
        The folder.

    Raises:
        IncidentError: for an unknown demo, or a folder that is in use for something else.
    """
    from rich.console import Console

    from ruleout import _diagnose, incident
    from ruleout.postmortem import html, terminal

    screen = console or Console()
    with screen.status("Writing the incident ..."):
        folder = write(name, Path(out) if out is not None else Path(f"ruleout-demo-{name}"), seed)
    _introduce(screen, name, folder)
    with screen.status("Diagnosing ..."):
        # The model is a file that this very call has written: there is nobody else to trust.
        answer = _diagnose.run(incident.load(folder), trust_model=True, seed=seed)
    report = folder / "diagnosis.html"
    report.write_text(html(answer), encoding="utf-8")
    terminal(answer, screen)
    _print(screen, "")
    _print(screen, f"Report   {report}")
    _print(screen, f"Again    ruleout diagnose {folder}{_flag(folder)}")
    return folder


def _introduce(screen: Console, name: str, folder: Path) -> None:
    _print(screen, _STORY[name], fold=True)
    _print(screen, f"Written to {folder}:")
    for part, meaning in _PARTS.items():
        if (folder / part).exists():
            _print(screen, f"  {part:<20} {meaning}")
    _print(screen, "")


def _flag(folder: Path) -> str:
    """The model is Python code, and a later diagnosis must be told that it may run."""
    needed = any((folder / part).exists() for part in _PARTS if part.endswith(".py"))
    return " --trust-model" if needed else ""


def _print(screen: Console, text: str, *, fold: bool = False) -> None:
    screen.print(text, markup=False, highlight=False, soft_wrap=not fold)
