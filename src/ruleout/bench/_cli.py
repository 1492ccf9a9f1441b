"""`ruleout bench make` and `ruleout bench score`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ruleout._errors import RuleoutError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ruleout bench", description="Make incidents with known causes, and score answers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="write incident folders and their truth.json")
    make.add_argument("--out", type=Path, required=True, help="folder to write")
    make.add_argument("--n", type=int, default=200, help="incidents, spread over modes (200)")
    make.add_argument("--only", help="one failure mode or benign recipe")
    make.add_argument("--dataset", help="one data set")
    make.add_argument("--seed", type=int, default=1)
    make.add_argument("--rows", type=int, help="at most this many rows a window")
    score = commands.add_parser("score", help="diagnose a corpus and compare with the truth")
    score.add_argument("folder", type=Path)
    score.add_argument("--jobs", type=int, default=1, help="processes (1)")
    score.add_argument("--limit", type=int, help="at most so many incidents, spread evenly")
    score.add_argument("--only", help="one failure mode")
    score.add_argument("--seed", type=int, default=0)
    score.add_argument("--cli", action="store_true", help="call the command line for each")
    score.add_argument("--out", type=Path, help="results, one JSON object a line")
    return parser


def _make(options: argparse.Namespace) -> int:
    from ruleout.bench.corpus import make, modes

    if options.only is not None and options.only not in modes():
        raise RuleoutError(f"no recipe {options.only!r}; choose from {', '.join(modes())}")
    truth = make(
        options.out,
        n=options.n,
        seed=options.seed,
        only=options.only,
        dataset=options.dataset,
        rows=options.rows,
    )
    sys.stdout.write(f"{len(truth)} incidents in {options.out}\n")
    return 0


def _score(options: argparse.Namespace) -> int:
    from ruleout.bench import _score as scoring

    if not (options.folder / "truth.json").is_file():
        raise RuleoutError(
            f"{options.folder} has no truth.json; make one with 'ruleout bench make'"
        )
    results = scoring.score_corpus(
        options.folder,
        limit=options.limit,
        only=options.only,
        jobs=options.jobs,
        command=options.cli,
        seed=options.seed,
        out=options.out,
    )
    sys.stdout.write(scoring.report(results) + "\n")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ruleout bench`; exit status 2 for a wrong request."""
    options = _parser().parse_args(argv)
    try:
        return _make(options) if options.command == "make" else _score(options)
    except RuleoutError as error:
        sys.stderr.write(f"ruleout bench: {error}\n")
        return 2
