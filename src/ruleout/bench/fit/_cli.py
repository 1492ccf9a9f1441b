"""`ruleout fit`: weights and calibration of one's own, from closed incidents."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence

from ruleout import _arguments
from ruleout._errors import RuleoutError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ruleout fit",
        description="Refit weights of evidence and calibration on closed incidents, starting from the shipped ones. "
        "A closed incident is a folder with an incident.yaml and a cause.yaml (mode, names), or a benchmark corpus "
        "with its truth.json. Use the result with 'ruleout diagnose --weights DIR' or RULEOUT_WEIGHTS=DIR.",
    )
    parser.add_argument("folders", nargs="+", type=_arguments.path, metavar="FOLDER")
    parser.add_argument(
        "-o", "--out", type=_arguments.path, metavar="DIR", help="folder of weights to write"
    )
    parser.add_argument(
        "--designs",
        type=_arguments.path,
        metavar="FILE",
        help="keep what the diagnoses heard in this file; if it is there, read it and do not diagnose again",
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=1.0,
        metavar="NATS",
        help="how far weights may go from the shipped ones (1.0; 0 fits the calibration alone)",
    )
    parser.add_argument(
        "--check", action="store_true", help="print figures on held-out data sets and mode families"
    )
    parser.add_argument("--seed", type=_arguments.seed_word, default=0)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ruleout fit`; exit status 2 for a wrong request."""
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except RuleoutError as error:
        sys.stderr.write(f"ruleout fit: {error}\n")
        return 2


def _run(options: argparse.Namespace) -> int:
    from ruleout.bench.fit import _closed, _design, _judge, _write
    from ruleout.hypotheses import load_calibration

    if options.spread < 0:
        raise RuleoutError(f"--spread is {options.spread:g}; it cannot be negative")
    if options.designs is not None and options.designs.is_file():
        designs = _design.read_designs(options.designs)
    else:
        closed = _closed.closed_incidents(options.folders)
        designs = list(_closed.collect(closed, options.seed))
        if options.designs is not None:
            _design.write_designs(options.designs, designs)
    if not designs:
        raise RuleoutError(
            "none of these incidents has tables, which is what weights are fitted on"
        )
    if options.check:
        sys.stdout.write(_write.checked(designs, options.spread))
    fitted = _judge.train(designs, spread=options.spread, before=load_calibration())
    sys.stdout.write(_write.told(fitted, len(designs)))
    if options.out is not None:
        _write.write_folder(options.out, fitted, len(designs))
        sys.stdout.write(
            f"written to {options.out}; use: ruleout diagnose --weights {shlex.quote(str(options.out))} ...\n"
        )
    return 0
