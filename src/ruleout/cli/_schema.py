"""`ruleout schema`."""

from __future__ import annotations

import json
from argparse import Namespace

from ruleout.postmortem._codec import schema


def run(chosen: Namespace) -> None:  # noqa: ARG001 - every command has this form
    """Print the JSON Schema of a diagnosis."""
    print(json.dumps(schema(), indent=2))
