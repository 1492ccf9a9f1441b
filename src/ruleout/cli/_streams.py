"""Standard streams that are narrow, closed or cannot be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from ruleout._errors import RuleoutError


class Unwritable(RuleoutError):  # noqa: N818 - the message is the name
    """What was printed cannot be written: the disk is full, for example."""


class Output:
    """Standard output whose failures say that they are its own; a reader that has left stays a `BrokenPipeError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Print a text.

        Raises:
            Unwritable: the stream takes nothing.
        """
        with self._own():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write out what was printed.

        Raises:
            Unwritable: the stream takes nothing.
        """
        with self._own():
            self._stream.flush()

    @contextmanager
    def _own(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self._stream)
            raise Unwritable(
                f"standard output cannot be written: {error.strerror}; send it elsewhere"
            ) from error


@contextmanager
def standard_streams() -> Iterator[None]:
    """Streams that a command can rely on: open, of any encoding, and with errors that name standard output.

    The first file that is opened would otherwise take the number of a closed stream, and get its output.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - it is open until the process ends
            setattr(sys, name, nowhere)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no `…` or `é` gets a `?`, not a traceback.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    plain = sys.stdout
    sys.stdout = cast("TextIO", Output(plain))
    try:
        yield
    finally:
        sys.stdout = plain


def complain(message: str) -> None:
    """Tell standard error; if that cannot be written either, the exit status alone has to tell."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Send what a stream still holds to nowhere: Python would complain about it once more on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
