"""`ruleout demo`."""

from __future__ import annotations

import sys
from argparse import Namespace

from ruleout.bench import demos
from ruleout.cli._answer import answer
from ruleout.incident import load


def run(chosen: Namespace) -> None:
    """Write a demo's incident folder, and diagnose it."""
    folder = demos.write(chosen.name, chosen.out or f"ruleout-demo-{chosen.name}", chosen.seed)
    if not chosen.quiet:
        print(f"wrote {folder}; diagnose it again with: ruleout diagnose {folder}", file=sys.stderr)
    # The model of a demo is the one that was just written.
    answer(load(folder), chosen, trust_model=True)
