"""What the command understands. Imports nothing heavy: this is all that `--help` runs."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from importlib import import_module

from ruleout import __version__, _arguments

_ROLES = (
    ("target", "COLUMN", "ground truth"),
    ("prediction", "COLUMN", "the decision that was served"),
    ("score", "COLUMN", "probability of the positive class, or ranking score"),
    ("positive", "VALUE", "the target's value that the score is the probability of"),
    ("timestamp", "COLUMN", "when a row was served"),
    ("id", "COLUMN", "key of a row"),
    ("weight", "COLUMN", "weight of a row"),
    ("label-available-at", "COLUMN", "when a row's label becomes final"),
    ("image", "COLUMN", "encoded images"),
    ("text", "COLUMN", "texts"),
    ("embedding", "COLUMN", "embedding vectors"),
    ("features", "A,B,...", "inputs of the model (default: all other columns)"),
    ("categorical", "A,B,...", "inputs that are categories (default: texts and booleans)"),
    ("segments", "A,B,...", "dimensions to localise in"),
    ("scores", "CLASS=COLUMN,...", "probability column of each class"),
)

PASSED_ON = {
    "bench": "ruleout.bench._cli",
    "fit": "ruleout.bench.fit._cli",
    "inject": "ruleout.prevention.inject._cli",
}
"""Commands whose module has a `main(words) -> exit status` of its own."""


def parser() -> ArgumentParser:
    """The parser of the whole command line."""
    top = ArgumentParser(
        prog="ruleout",
        description="Differential diagnosis for failing AI systems: finds the root cause of an incident, proves it by "
        "undoing it, and says how sure it is.",
    )
    top.add_argument("-V", "--version", action="version", version=f"ruleout {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_diagnose(commands)
    _add_init(commands)
    _add_demo(commands)
    _add_modes(commands)
    _add_schema(commands)
    commands.add_parser(
        "bench", help="make incidents with known causes, and score answers", add_help=False
    )
    commands.add_parser(
        "inject", help="copy an incident with one fault more, truth beside it", add_help=False
    )
    commands.add_parser(
        "fit", help="refit the weights of evidence on your own closed incidents", add_help=False
    )
    return top


def _lazily(module: str) -> Callable[[Namespace], None]:
    """The `run` function of a command's module, which is imported when it runs."""

    def run(chosen: Namespace) -> None:
        import_module(f"ruleout.cli.{module}").run(chosen)

    return run


def add_outputs(command: ArgumentParser) -> None:
    """The options of every command that ends in a diagnosis."""
    outputs = command.add_argument_group("output")
    outputs.add_argument(
        "--json",
        type=_arguments.named,
        metavar="FILE",
        help="write the diagnosis as JSON (- for standard output)",
    )
    outputs.add_argument(
        "--html",
        type=_arguments.named,
        metavar="FILE",
        help="write the report, one file that opens anywhere",
    )
    outputs.add_argument(
        "--markdown",
        type=_arguments.named,
        metavar="FILE",
        help="write a ticket's text (- for standard output)",
    )
    outputs.add_argument(
        "--quiet",
        action="store_true",
        help="no progress; no answer on the terminal if a file was asked for",
    )
    command.add_argument(
        "--seed",
        type=_arguments.seed_word,
        default=0,
        metavar="N",
        help="seed of all randomness (default 0)",
    )


def _add_diagnose(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    command = commands.add_parser(
        "diagnose",
        help="find the root cause of an incident",
        description="Find the root cause of an incident: of a folder with an incident.yaml, or of two tables.",
        epilog="exit status: 0 a diagnosis was produced; 2 the incident or the command is wrong; 3 a source could not be "
        "read and nothing else could be checked; 70 a bug in ruleout",
    )
    command.set_defaults(run=_lazily("_diagnose"))
    command.add_argument(
        "path",
        nargs="?",
        type=_arguments.named,
        metavar="PATH",
        help="incident folder, or its YAML file",
    )
    add_outputs(command)
    command.add_argument(
        "--trust-model",
        action="store_true",
        help="load models whose loading executes code (pickles, python: URIs)",
    )
    command.add_argument(
        "--weights",
        type=_arguments.named,
        metavar="DIR",
        help="weights of evidence of your own, from 'ruleout fit' (default: $RULEOUT_WEIGHTS, else the shipped ones)",
    )
    _add_tables(command)


def _add_tables(command: ArgumentParser) -> None:
    tables = command.add_argument_group("without an incident file")
    tables.add_argument(
        "--reference", metavar="TABLE", help="rows from when all was well: path, glob or URL"
    )
    tables.add_argument("--current", metavar="TABLE", help="rows from when it was not")
    for window in ("reference", "current"):
        tables.add_argument(
            f"--{window}-table", metavar="NAME", help=f"table, if --{window} is a database URL"
        )
        tables.add_argument(
            f"--{window}-window",
            nargs=2,
            metavar=("START", "END"),
            help="times, when one table holds both windows",
        )
    for role, metavar, told in _ROLES:
        tables.add_argument(f"--{role}", metavar=metavar, help=told)
    tables.add_argument("--title", metavar="TEXT", help="what went wrong, in a line")
    tables.add_argument(
        "--task",
        metavar="TASK",
        help="binary, multiclass, regression or ranking (default: told from the data)",
    )
    tables.add_argument("--metric", metavar="NAME", help="the metric that fell")
    tables.add_argument("--noticed-at", metavar="TIME", help="when somebody noticed")
    tables.add_argument("--model", metavar="URI", help="the model that served the current window")
    tables.add_argument("--previous-model", metavar="URI", help="the model before it")
    tables.add_argument(
        "--threshold", type=float, metavar="X", help="score from which the decision is positive"
    )
    tables.add_argument(
        "--changes", metavar="TABLE", help="change events: timestamp, kind, entity, description"
    )


def _add_init(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    command = commands.add_parser(
        "init",
        help="write an incident.yaml for two tables",
        description="Look at two tables, guess what their columns are, say why, and write an incident.yaml to edit.",
    )
    command.set_defaults(run=_lazily("_init"))
    command.add_argument(
        "reference", metavar="REFERENCE", help="rows from when all was well: a path or a glob"
    )
    command.add_argument("current", metavar="CURRENT", help="rows from when it was not")
    command.add_argument(
        "-o",
        "--out",
        type=_arguments.named,
        default=".",
        metavar="DIR",
        help="folder of the incident.yaml (default: here)",
    )
    command.add_argument("--title", metavar="TEXT", help="what went wrong, in a line")
    command.add_argument(
        "--force", action="store_true", help="replace an incident.yaml that is there"
    )


def _add_demo(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    command = commands.add_parser(
        "demo",
        help="write a lifelike incident and diagnose it",
        description="Write a lifelike incident to a folder and diagnose it.",
    )
    command.set_defaults(run=_lazily("_demo"))
    command.add_argument(
        "name", nargs="?", default="images", help="images (default), fraud, nulls or latency"
    )
    command.add_argument(
        "--fault", metavar="NAME", help="of latency: tokens (default), queue or runtime"
    )
    command.add_argument(
        "-o",
        "--out",
        type=_arguments.named,
        metavar="DIR",
        help="folder to write (default: ruleout-demo-NAME)",
    )
    command.add_argument(
        "--force", action="store_true", help="replace an incident.yaml that no demo wrote"
    )
    add_outputs(command)


def _add_modes(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    command = commands.add_parser(
        "modes",
        help="the failure modes that a diagnosis can name",
        description="List the failure modes, or tell all about one.",
    )
    command.set_defaults(run=_lazily("_modes"))
    command.add_argument("id", nargs="?", metavar="ID", help="a failure mode, such as unit_change")


def _add_schema(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    command = commands.add_parser(
        "schema",
        help="the JSON Schema of a diagnosis",
        description="Print the JSON Schema of what `diagnose --json` writes.",
    )
    command.set_defaults(run=_lazily("_schema"))
