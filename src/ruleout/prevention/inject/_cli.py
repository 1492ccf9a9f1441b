"""`ruleout inject`: a copy of an incident with one fault more."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ruleout import _arguments
from ruleout._errors import RuleoutError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ruleout inject", description="Copy an incident with one fault more, truth beside it."
    )
    parser.add_argument("source", type=_arguments.path, help="incident folder, best a quiet one")
    parser.add_argument("mode", help="failure mode to inject")
    parser.add_argument("--out", type=_arguments.path, required=True, help="folder to write")
    parser.add_argument("--dose", type=float, default=0.5, help="from 0 (nothing) to 1 (0.5)")
    parser.add_argument("--target", help="columns to hit, separated by commas")
    parser.add_argument("--variant", help="one of the injector's variants")
    parser.add_argument("--onset", type=float, default=0.0, help="share of the window before it")
    parser.add_argument("--end", type=float, default=1.0, help="share of the window at its end")
    parser.add_argument("--ramp", action="store_true", help="grow from the onset to the end")
    parser.add_argument("--share", type=float, default=1.0, help="share of entities that are hit")
    parser.add_argument("--where", metavar="COLUMN=VALUE", help="only rows with this value")
    parser.add_argument("--seed", type=_arguments.seed_word, default=0)
    parser.add_argument("--trust-model", action="store_true", help="allow models that run code")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run `ruleout inject`; exit status 2 for a wrong request."""
    options = _parser().parse_args(argv)
    from ruleout.prevention.inject import Schedule, inject_folder

    column, equals, value = (options.where or "").partition("=")
    if options.where is not None and not (column and equals):
        sys.stderr.write(f"ruleout inject: --where is {options.where!r}; write COLUMN=VALUE\n")
        return 2
    schedule = Schedule(
        options.onset,
        options.end,
        options.ramp,
        options.share,
        column or None,
        (value,) if column else (),
    )
    try:
        scene = inject_folder(
            options.source,
            options.out,
            options.mode,
            dose=options.dose,
            target=tuple(options.target.split(",")) if options.target else (),
            schedule=schedule,
            variant=options.variant,
            seed=options.seed,
            trust_model=options.trust_model,
        )
    except RuleoutError as error:
        sys.stderr.write(f"ruleout inject: {error}\n")
        return 2
    for truth in scene.truths:
        sys.stdout.write(f"{truth.mode} {truth.kind} {', '.join(truth.names)}: {options.out}\n")
    return 0
