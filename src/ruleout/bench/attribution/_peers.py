"""Asking other products, each in an environment of its own: a folder a line in, a line of JSON out."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from ruleout._errors import RuleoutError


class Said(NamedTuple):
    """A peer's answer to one case."""

    answer: Any
    """What it says; None when it failed."""

    seconds: float
    """CPU seconds that it took, without importing itself."""


class Peer:
    """A product behind a command line, as in `NAME=COMMAND`; its process lives until `close`."""

    def __init__(self, told: str) -> None:
        self.name, _, command = told.partition("=")
        if not command:
            raise RuleoutError(f"--peer {told!r} is not of the form NAME=COMMAND")
        try:
            self._process = subprocess.Popen(  # noqa: S603
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise RuleoutError(f"--peer {told!r}: cannot run it: {error}") from error

    def ask(self, write: Callable[[Path], None]) -> Said:
        """The answer to the case that `write` puts into a folder.

        Raises:
            RuleoutError: the peer's process has ended.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise RuleoutError(f"peer {self.name!r} has no pipes")
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder))
            line = ""
            with suppress(BrokenPipeError):  # an ended process gives no line either
                self._process.stdin.write(f"{folder}\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
        if not line:
            raise RuleoutError(
                f"peer {self.name!r} ended without an answer; see its messages above"
            )
        told = json.loads(line)
        if isinstance(told, str):
            return Said(None, 0.0)
        return Said(told["answer"], float(told["seconds"]))

    def close(self) -> None:
        """End the peer's process."""
        self._process.kill()
        self._process.wait()
