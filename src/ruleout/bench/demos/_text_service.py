"""The process that serves the demo's text model: HTTP on loopback, one worker, every request traced.

`python -m ruleout.bench.demos._text_service FOLDER` prints its port, answers `POST /classify`, changes its
settings on `POST /settings`, tells how it is on `GET /metrics`, and ends when its input is closed: it never
outlives the process that started it. Its spans are then in FOLDER/spans_service.jsonl.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from ruleout._errors import need
from ruleout.bench.demos._spans import provider, write_spans
from ruleout.bench.demos._tokens import Tokeniser

NAME = "text-classifier"
SPANS = "spans_service.jsonl"


@dataclass
class _Job:
    text: str
    context: Any
    since: int
    """When it was put into the queue, in nanoseconds."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)


class Service:
    """A queue, a worker, and the model behind them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spans: list[Any] = []
        self.tracer = provider(NAME, self.spans).get_tracer("ruleout.demo")
        self.jobs: queue.Queue[_Job] = queue.Queue()
        self._words = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        self.settings: dict[str, Any] = {}
        self.change({"tokeniser": 1, "model": "model.onnx", "batch": 1, "batch_wait_ms": 0})
        threading.Thread(target=self._work, daemon=True).start()

    def change(self, settings: Mapping[str, Any]) -> None:
        """Take new settings: `tokeniser` release, `model` file, `batch` size and `batch_wait_ms`."""
        wanted = self.settings | dict(settings)
        runtime = need("onnxruntime", extra="latency")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = runtime.InferenceSession(
            str(self.folder / wanted["model"]), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(3):
            session.run(None, {"tokens": np.ones((1, 64), dtype=np.int64)})
        self._tokenise = Tokeniser(self._words, int(wanted["tokeniser"]))
        self._session, self.settings = session, wanted

    def answer(self, text: str, context: Any) -> dict[str, Any]:
        """Wait for one text's turn and its answer."""
        job = _Job(text, context, time.time_ns())
        self.jobs.put(job)
        job.done.wait()
        return job.answer

    def _work(self) -> None:
        while True:
            batch = [self.jobs.get()]
            until = time.monotonic() + float(self.settings["batch_wait_ms"]) / 1000
            while len(batch) < int(self.settings["batch"]):
                try:
                    batch.append(self.jobs.get(timeout=max(until - time.monotonic(), 0)))
                except queue.Empty:
                    break
            for job in batch:
                self._serve(job)

    def _serve(self, job: _Job) -> None:
        waiting = self.tracer.start_span("queue", context=job.context, start_time=job.since)
        waiting.end()
        with self.tracer.start_as_current_span("tokenise", context=job.context) as span:
            tokens = self._tokenise(job.text)
            span.set_attribute("tokens", len(tokens))
        with self.tracer.start_as_current_span("infer", context=job.context) as span:
            span.set_attribute("model", str(self.settings["model"]))
            feed = {"tokens": np.array([tokens], dtype=np.int64)}
            scores = self._session.run(None, feed)[0][0]
        job.answer = {"tokens": len(tokens), "scores": [float(x) for x in scores]}
        job.done.set()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    propagate = need("opentelemetry.propagate", extra="latency")
    trace = need("opentelemetry.trace", extra="latency")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._reply(
                {"cpu_s": time.process_time(), "queue": service.jobs.qsize(), "pid": os.getpid()}
            )

        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/settings":
                service.change(told)
                self._reply(service.settings)
                return
            caller = propagate.extract(dict(self.headers.items()))
            with service.tracer.start_as_current_span(
                "POST /classify", context=caller, kind=trace.SpanKind.SERVER
            ) as span:
                self._reply(service.answer(told["text"], trace.set_span_in_context(span)))

        def _reply(self, answer: Mapping[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 its name upstream
            """Traces tell more."""

    return Handler


def main(folder: Path) -> None:
    """Serve until the standard input ends."""
    service = Service(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()
    write_spans(folder / SPANS, NAME, service.spans)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
