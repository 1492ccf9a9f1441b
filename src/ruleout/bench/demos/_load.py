"""Load on the demo's text service: a shop's front end that sends messages, traced, and samples of how all are."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ruleout._errors import SourceError, need
from ruleout.bench.demos._spans import provider

FRONT = "shop-frontend"
_CLIENTS = 2
_PAUSE = 0.02
_PATIENCE = 20.0


class Served(NamedTuple):
    """One request as the front end logs it."""

    trace: str
    at: float
    text: str
    seconds: float
    answer: Mapping[str, Any]


class Sample(NamedTuple):
    """How the machine and the service were at one instant."""

    at: float
    host: float
    """Share of the machine's processors that were busy since the sample before; NaN where that is not told."""

    process: float
    """Processors that the service used since the sample before."""

    queue: int


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The port of a service that reads its model from `folder`; its process ends with the block, however it ends.

    Raises:
        SourceError: when it does not come up.
    """
    command = [sys.executable, "-m", "ruleout.bench.demos._text_service", str(folder)]
    process = subprocess.Popen(  # noqa: S603 it is our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt at the terminal is for us alone
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise SourceError("the text service has no pipes")
        told = process.stdout.readline().strip()
        if not told.isdigit():
            raise SourceError("the text service did not start; its error stands above")
        yield int(told)
        process.stdin.close()
        process.wait(_PATIENCE)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def post(port: int, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What the service answers to one request of its own connection."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        return _ask(connection, path, body, {})
    finally:
        connection.close()


def _ask(
    connection: HTTPConnection,
    path: str,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    method = "GET" if body is None else "POST"
    connection.request(method, path, None if body is None else json.dumps(body), dict(headers))
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    return found


class Front:
    """The traced caller of the service."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.spans: list[Any] = []
        self._failed: Exception | None = None
        self._stopped = threading.Event()
        self._tracer = provider(FRONT, self.spans).get_tracer("ruleout.demo")
        self._propagate = need("opentelemetry.propagate", extra="latency")
        self._trace = need("opentelemetry.trace", extra="latency")

    def send(self, texts: Sequence[str], seconds: float) -> tuple[list[Served], list[Sample]]:
        """Send texts over and over for so long, by a few clients that pause after each answer.

        Raises:
            SourceError: when the service stops answering.
        """
        found: list[Served] = []
        self._failed = None
        self._stopped.clear()
        until = time.monotonic() + seconds
        clients = [
            threading.Thread(target=self._client, args=(texts[i::_CLIENTS], until, found))
            for i in range(_CLIENTS)
        ]
        for client in clients:
            client.start()
        try:
            samples = list(self._watch(until))
        except (OSError, HTTPException, ValueError) as error:
            raise SourceError(f"the text service stopped answering: {error}") from error
        finally:
            self._stopped.set()
            for client in clients:
                client.join()
        if self._failed is not None or not found:
            raise SourceError(f"the text service stopped answering: {self._failed}")
        return sorted(found, key=lambda one: one.at), samples

    def _client(self, texts: Sequence[str], until: float, found: list[Served]) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        count = 0
        try:
            while time.monotonic() < until and not self._stopped.is_set():
                found.append(self._classify(connection, texts[count % len(texts)]))
                count += 1
                time.sleep(_PAUSE)
        except (OSError, HTTPException, ValueError) as error:
            self._failed = error
        finally:
            connection.close()

    def _classify(self, connection: HTTPConnection, text: str) -> Served:
        headers: dict[str, str] = {}
        with self._tracer.start_as_current_span(
            "classify", kind=self._trace.SpanKind.CLIENT
        ) as span:
            self._propagate.inject(headers)
            at, start = time.time(), time.perf_counter()
            answer = _ask(connection, "/classify", {"text": text}, headers)
            seconds = time.perf_counter() - start
            trace = f"{span.get_span_context().trace_id:032x}"
        return Served(trace, at, text, seconds, answer)

    def _watch(self, until: float, every: float = 0.25) -> Iterator[Sample]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        before = (*_machine(), _ask(connection, "/metrics", None, {})["cpu_s"], time.monotonic())
        while time.monotonic() < until - every:
            time.sleep(every)
            told = _ask(connection, "/metrics", None, {})
            now = (*_machine(), told["cpu_s"], time.monotonic())
            busy, total, used, wall = (float(x - y) for x, y in zip(now, before, strict=True))
            share = busy / total if total > 0 else np.nan
            yield Sample(time.time(), share, used / max(wall, 1e-9), int(told["queue"]))
            before = now
        connection.close()


def _machine() -> tuple[float, float]:
    """Busy and all processor time of the machine, in ticks; zeros where /proc does not tell."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:
        return 0.0, 0.0
    ticks = [float(x) for x in line.split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
