"""What is being done, on the terminal, once it takes longer than a glance."""

from __future__ import annotations

import sys
from threading import Lock, Timer
from types import TracebackType
from typing import Self

_PATIENCE_SECONDS = 2.0
_CLEAR = "\r\x1b[K"


class Progress:
    """A line on standard error that names the current step; shown after two seconds, on terminals only."""

    def __init__(self, *, quiet: bool) -> None:
        self.wanted = not quiet and sys.stderr.isatty()
        self.message = ""
        self.shown = False
        self.lock = Lock()
        self.timer = Timer(_PATIENCE_SECONDS, self._start)
        self.timer.daemon = True

    def __call__(self, message: str) -> None:
        """Name the step that begins now."""
        with self.lock:
            self.message = " ".join(message.split())
            if self.shown:
                self._draw()

    def __enter__(self) -> Self:
        if self.wanted:
            self.timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.timer.cancel()
        with self.lock:
            if self.shown:
                self.shown = False
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()

    def _start(self) -> None:
        with self.lock:
            self.shown = True
            self._draw()

    def _draw(self) -> None:
        sys.stderr.write(f"{_CLEAR}{self.message[:76] or 'reading the incident'} ...")
        sys.stderr.flush()
