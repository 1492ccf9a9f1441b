"""`ruleout demo latency`: a text model becomes slow; a real one, served by a process that is started and traced.

Nothing here is made up but the messages: an ONNX model answers over HTTP on loopback, the spans are
OpenTelemetry's, and between the two windows one setting of the running service is changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._errors import IncidentError, need
from ruleout.bench.demos._load import FRONT, Front, Sample, Served, post, served
from ruleout.bench.demos._messages import CLASSES, messages
from ruleout.bench.demos._scene import times, write_text
from ruleout.bench.demos._spans import write_spans
from ruleout.bench.demos._text_model import write_model
from ruleout.bench.demos._text_service import NAME, SPANS

_TEXTS = 600
_EVERY = 0.5
_HOST = "host-1"


class _Fault(NamedTuple):
    settings: Mapping[str, object]
    kind: str
    description: str
    ref: str


FAULTS: Mapping[str, _Fault] = {
    "tokens": _Fault(
        {"tokeniser": 2},
        "deploy",
        "Tokeniser 2.0 with marked beginnings of words",
        "tokeniser@2.0.0",
    ),
    "queue": _Fault(
        {"batch": 8, "batch_wait_ms": 40},
        "config",
        "Collect up to 8 requests before each run of the model",
        "serving#88",
    ),
    "runtime": _Fault(
        {"model": "model_double.onnx"},
        "model",
        "The same model exported anew by the training job",
        "messages@4",
    ),
}


def write(folder: Path, seed: int, fault: str = "tokens", seconds: float = 5.0) -> None:
    """Serve, measure and write the incident; about twice `seconds` and five more.

    Args:
        folder: where the incident goes.
        seed: of the messages and of the model.
        fault: what is changed in the running service: `tokens`, `queue` or `runtime`.
        seconds: of load in each window.

    Raises:
        IncidentError: for an unknown fault.
        MissingExtra: without onnx, onnxruntime and the SDK of OpenTelemetry.
    """
    if fault not in FAULTS:
        raise IncidentError(f"there is no fault called {fault!r}; there are {', '.join(FAULTS)}")
    for module in ("onnx", "onnxruntime", "opentelemetry.sdk"):
        need(module, extra="latency")
    rng = np.random.default_rng([seed, 4])
    with tempfile.TemporaryDirectory() as work:
        place = Path(work)
        write_model(place, rng)
        texts, labels = messages(rng, _TEXTS)
        truth = dict(zip(texts, labels, strict=True))
        with served(place) as port:
            front = Front(port)
            front.send(texts, min(seconds / 5, 0.5))
            front.spans.clear()
            before = front.send(texts, seconds)
            post(port, "/settings", FAULTS[fault].settings)
            after = front.send(texts, seconds)
        (folder / "traces.jsonl").unlink(missing_ok=True)
        shutil.copyfile(place / SPANS, folder / "traces.jsonl")
        write_spans(folder / "traces.jsonl", FRONT, front.spans)
        shutil.copyfile(place / "vocabulary.json", folder / "vocabulary.json")
    for name, (rows, _) in (("reference", before), ("current", after)):
        _logged(rows, truth).write_parquet(folder / f"{name}.parquet")
    _metrics(before, after).write_parquet(folder / "metrics.parquet")
    _tell(folder, before[0], after[0], FAULTS[fault])


def _logged(rows: Sequence[Served], truth: Mapping[str, str]) -> pl.DataFrame:
    """What the front end logs of each request."""
    scores = np.array([row.answer["scores"] for row in rows])
    return pl.DataFrame(
        {
            "trace_id": [row.trace for row in rows],
            "received_at": times(np.array([row.at for row in rows])),
            "message": [row.text for row in rows],
            "tokens": [int(row.answer["tokens"]) for row in rows],
            **{f"p_{name}": scores[:, i] for i, name in enumerate(CLASSES)},
            "routed_to": [CLASSES[i] for i in scores.argmax(axis=1)],
            "topic": [truth[row.text] for row in rows],
        }
    )


def _metrics(*windows: tuple[Sequence[Served], Sequence[Sample]]) -> pl.DataFrame:
    """Samples of the machine and of the service, and latency and traffic by half seconds."""
    rows: list[tuple[float, str, str, float]] = []
    for requests, samples in windows:
        for one in samples:
            rows += [
                (one.at, _HOST, "cpu_utilisation", one.host),
                (one.at, NAME, "cpu_used", one.process),
                (one.at, NAME, "queue_length", float(one.queue)),
            ]
        at = np.array([row.at for row in requests])
        took = np.array([row.seconds for row in requests]) * 1000
        beat = np.floor((at - at[0]) / _EVERY)
        for step in np.unique(beat)[:-1]:
            now = took[beat == step]
            end = float(at[0] + (step + 1) * _EVERY)
            rows.append((end, NAME, "latency_p95_ms", float(np.quantile(now, 0.95))))
            rows.append((end, NAME, "requests_per_second", len(now) / _EVERY))
    frame = pl.DataFrame(rows, schema=["timestamp", "entity", "metric", "value"], orient="row")
    return frame.with_columns(times(frame["timestamp"].to_numpy()).alias("timestamp")).filter(
        pl.col("value").is_finite()
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _tell(folder: Path, before: Sequence[Served], after: Sequence[Served], fault: _Fault) -> None:
    """Write the changes and `incident.yaml`."""
    first, turn, last = before[0].at, (before[-1].at + after[0].at) / 2, after[-1].at + 1e-3
    write_text(
        folder,
        "changes.csv",
        f"""
        timestamp,kind,entity,description,ref
        {_iso(first - 5400)},deploy,{FRONT},New page for messages,frontend@5.1.0
        {_iso(turn)},{fault.kind},{NAME},{fault.description},{fault.ref}
        """,
    )
    write_text(folder, "incident.yaml", incident(first, turn, last))


def incident(first: float, turn: float, last: float) -> str:
    """The text of `incident.yaml`: load from `first` to `last`, and the change at `turn` (epoch seconds)."""
    scores = ", ".join(f"{name}: p_{name}" for name in CLASSES)
    return f"""
    version: 1
    title: The text model answers slowly
    task: multiclass

    symptom:
      metric: latency_p95_ms
      entity: {NAME}
      direction: up
      noticed_at: {_iso(last)}

    windows:
      reference: [{_iso(first)}, {_iso(turn)}]
      current: [{_iso(turn)}, {_iso(last)}]

    data:
      reference: reference.parquet
      current: current.parquet
      columns:
        id: trace_id                  # joins each logged message to its trace
        timestamp: received_at
        target: topic
        prediction: routed_to
        scores: {{{scores}}}
        text: message
        features: [message, tokens]

    telemetry:
      metrics: metrics.parquet
      traces: traces.jsonl
      topology: [[{FRONT}, {NAME}], [{NAME}, {_HOST}]]
      entities: {{{FRONT}: service, {NAME}: service, {_HOST}: host}}
      kpis: [latency_p95_ms]

    changes: changes.csv
    """
