"""`ruleout demo`."""

from __future__ import annotations

import sys
from argparse import Namespace

from ruleout.bench import demos
from ruleout.cli._answer import answer, outputs
from ruleout.cli._memory import keep_freed
from ruleout.cli._progress import Progress
from ruleout.incident import load


def run(chosen: Namespace) -> None:
    """Write a demo's incident folder, diagnose it, and leave a report beside it."""
    outputs(chosen)
    keep_freed()
    place = chosen.out or f"ruleout-demo-{chosen.name}"
    with Progress(quiet=chosen.quiet) as progress:
        # The demo that serves a model takes some seconds before there is anything to diagnose.
        progress(
            "serving and tracing the model" if chosen.name == "latency" else "writing the demo"
        )
        folder = demos.write(chosen.name, place, chosen.seed, chosen.fault, force=chosen.force)
    if not chosen.quiet:
        print(demos.introduction(chosen.name, folder), file=sys.stderr)
        chosen.html = chosen.html or str(folder / "diagnosis.html")
    # The model of a demo is the one that was just written.
    answer(load(folder), chosen, trust_model=True)
    if not chosen.quiet:
        print(f"\nReport   {chosen.html}\n{demos.farewell(folder)}", file=sys.stderr)
