"""Entry point of the `ruleout` command: what becomes of errors, and the exit status.

0    a diagnosis was produced, whatever it says
2    the incident or the command is wrong
3    a source could not be read, and nothing else could be checked
70   a bug in ruleout
130  interrupted
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from enum import IntEnum
from importlib import import_module

from ruleout._errors import RuleoutError, SourceError, Untrusted
from ruleout.cli._parser import PASSED_ON, parser
from ruleout.cli._streams import complain, discard, standard_streams


class Exit(IntEnum):
    """What the shell learns."""

    DONE = 0
    USAGE = 2
    UNREACHABLE = 3
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `ruleout`; by default those of the process.

    Returns:
        The exit status.
    """
    for library in ("OPENBLAS", "MKL"):
        # Before numpy is loaded: on matrices as small as these, more threads only wait for each other.
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    if not os.environ.get("RULEOUT_DEBUG"):
        warnings.simplefilter("ignore")
    words = list(sys.argv[1:] if arguments is None else arguments)
    with standard_streams():
        return _answered(words)


def _answered(words: list[str]) -> int:
    """The exit status of one command, whatever it raises."""
    try:
        return _run(words)
    except RuleoutError as error:
        complain(f"ruleout: {error}")
        unread = isinstance(error, SourceError) and not isinstance(error, Untrusted)
        return Exit.UNREACHABLE if unread else Exit.USAGE
    except BrokenPipeError:
        # The reader of our output (`head`) has left.
        discard(sys.stdout)
        return Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever arrives here is a bug and is said to be one; a panic in polars is no Exception
        return _bug(error)


def _run(words: list[str]) -> int:
    """One command, and what it printed written out; help is printed on the way to a `SystemExit`."""
    try:
        return _command(words)
    finally:
        sys.stdout.flush()


def _command(words: list[str]) -> int:
    """One command; those with a parser of their own get their words as they are."""
    if words and words[0] in PASSED_ON:
        status: int = import_module(PASSED_ON[words[0]]).main(words[1:])
        return status
    chosen = parser().parse_args(words)
    chosen.run(chosen)
    return Exit.DONE


def _bug(error: BaseException) -> int:
    told = "".join(traceback.format_exception(error)) if os.environ.get("RULEOUT_DEBUG") else ""
    complain(
        f"{told}ruleout: this is a bug in ruleout, not in your incident: {type(error).__name__}: {error}\n"
        "Run the command again with RULEOUT_DEBUG=1 for the details to report."
    )
    return Exit.BUG
