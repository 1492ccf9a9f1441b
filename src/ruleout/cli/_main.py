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
    _tolerate_narrow_encodings()
    for library in ("OPENBLAS", "MKL"):
        # Before numpy is loaded: on matrices as small as these, more threads only wait for each other.
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    if not os.environ.get("RULEOUT_DEBUG"):
        warnings.simplefilter("ignore")
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(words)
        sys.stdout.flush()
    except RuleoutError as error:
        print(f"ruleout: {error}", file=sys.stderr)
        unread = isinstance(error, SourceError) and not isinstance(error, Untrusted)
        return Exit.UNREACHABLE if unread else Exit.USAGE
    except BrokenPipeError:
        # The reader of our output (`head`) has left. Python would complain once more on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.BROKEN_PIPE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever arrives here is a bug and is said to be one; a panic in polars is no Exception
        return _bug(error)
    return status


def _run(words: list[str]) -> int:
    """One command; those with a parser of their own get their words as they are."""
    if words and words[0] in PASSED_ON:
        status: int = import_module(PASSED_ON[words[0]]).main(words[1:])
        return status
    chosen = parser().parse_args(words)
    chosen.run(chosen)
    return Exit.DONE


def _bug(error: BaseException) -> int:
    if os.environ.get("RULEOUT_DEBUG"):
        traceback.print_exception(error)
    print(
        f"ruleout: this is a bug in ruleout, not in your incident: {type(error).__name__}: {error}\n"
        "Run the command again with RULEOUT_DEBUG=1 for the details to report.",
        file=sys.stderr,
    )
    return Exit.BUG


def _tolerate_narrow_encodings() -> None:
    """A terminal that knows no `…` or `é` gets a `?`, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
