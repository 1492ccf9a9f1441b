"""Lost time parted by machine, queue, amount and runtime, on simulated requests."""

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import numpy as np
import polars as pl
import pytest

from ruleout import _diagnose
from ruleout._records import Diagnosis
from ruleout.attribution.latency._requests import Operation, Requests
from ruleout.attribution.latency._stages import kind_of_operation, split
from ruleout.incident import load

START = 1_790_000_000.0
WORDS = np.array(
    ["the", "lamp", "is", "broken", "and", "nobody", "answers", "since", "monday", "please", "help"]
)
ROWS = 240


@dataclass(frozen=True)
class World:
    """What is done to the requests of the incident."""

    pieces: float = 1.0
    """Tokens for each word."""

    words: float = 1.0
    """Length of texts, as a multiple."""

    infer: float = 1.0
    """Time at equal tokens, as a multiple."""

    encode: float = 1.0
    wait: float = 0.3
    """Mean wait in milliseconds."""

    ids: bool = True
    """Whether rows name their traces."""


def test_slower_runtime(tmp_path: Path) -> None:
    """The model alone takes longer at equal tokens: the runtime, with the queue behind it as a consequence."""
    answer = _answer(tmp_path, World(infer=4, wait=9))
    _expect(answer, "slow_runtime", ("reader",))
    assert "latency.queue" in _clear(answer)


def test_slower_machine(tmp_path: Path) -> None:
    """Tokenisation and inference both take longer: the machine."""
    _expect(_answer(tmp_path, World(infer=4, encode=4)), "noisy_neighbour", ("reader",))


def test_queue(tmp_path: Path) -> None:
    """Requests wait, and the work takes no longer than before: the queue."""
    _expect(_answer(tmp_path, World(wait=30)), "queue_backlog", ("reader",))


def test_tokeniser(tmp_path: Path) -> None:
    """The same texts give four times the tokens: the tokeniser, and no runtime."""
    answer = _answer(tmp_path, World(pieces=4))
    _expect(answer, "tokenizer_mismatch", ("message",))
    assert "latency.rate" in _clear(answer)


def test_longer_texts(tmp_path: Path) -> None:
    """Tokens follow from texts as before, which are three times as long: the requests."""
    _expect(_answer(tmp_path, World(words=3)), "traffic_surge", ("reader",))


def test_rows_without_traces(tmp_path: Path) -> None:
    """Without trace ids in the tables the stages are said not to have been looked at, and nothing is parted."""
    answer = _answer(tmp_path, World(infer=4, ids=False))
    assert not any(e.signal.startswith("latency.") for e in answer.evidence)
    needs = {row.needs for row in answer.not_checked if row.failure_mode == "slow_runtime"}
    assert "a column with trace ids" in " ".join(needs)
    assert answer.symptom.metric == "latency_ms"


def test_probabilities_sum_to_one(tmp_path: Path) -> None:
    """Hypotheses of both kinds and the unknown share one unit of probability."""
    answer = _answer(tmp_path, World(pieces=4))
    assert sum(answer.layers.values()) == pytest.approx(1, abs=1e-6)
    assert sum(h.probability for h in answer.hypotheses) <= 1 + 1e-6


def test_stages_are_drawn_from_usual_to_now(tmp_path: Path) -> None:
    """The report's chart leads from the usual time over the stages to the time now, and says what undoing leaves."""
    chart = _answer(tmp_path, World(infer=4, wait=9)).charts["waterfall"]
    assert chart["kind"] == "waterfall"
    total = sum(step["value"] for step in chart["steps"])
    assert abs(chart["start"] + total - chart["end"]) < 0.1 * (chart["end"] - chart["start"])
    assert "slower runtime undone" in chart["note"]


def test_nothing_lost_is_nothing_parted() -> None:
    """Requests that take as long as before are not parted."""
    rng = np.random.default_rng(0)
    assert split(_requests(rng), _requests(rng), {}, rng) is None


def test_shares_sum_to_one() -> None:
    """The stages' shares of lost time sum to one, each inside its interval."""
    rng = np.random.default_rng(1)
    found = split(_requests(rng), _requests(rng, wait=5, infer=2), {}, rng)
    assert found is not None
    assert sum(s.share.fraction for s in found.stages) == pytest.approx(1, abs=0.05)
    assert all(s.share.low <= s.share.fraction <= s.share.high for s in found.stages)
    assert found.surely > 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("queue.wait", "queue"),
        ("acquireConnection", "queue"),
        ("Tokenize", "encode"),
        ("text_encoder", "encode"),
        ("onnx.run", "model"),
        ("ModelInfer", "model"),
        ("POST /classify", "other"),
    ],
)
def test_operations_are_known_by_their_words(name: str, kind: str) -> None:
    """The generic words of a span's name say what it does."""
    assert kind_of_operation(name) == kind


def _expect(answer: Diagnosis, mode: str, names: tuple[str, ...]) -> None:
    first = answer.hypotheses[0]
    assert (first.failure_mode, first.subject.names) == (mode, names)
    assert first.probability > 0.5
    assert first.explained is not None
    assert first.explained.fraction > 0.6
    assert answer.symptom.metric == "latency_ms"


def _clear(answer: Diagnosis) -> set[str]:
    return {e.signal for e in answer.evidence if not e.supports}


def _requests(rng: np.random.Generator, wait: float = 1, infer: float = 1) -> Requests:
    own = {
        Operation("reader", "queue"): rng.gamma(9, wait / 9, 200),
        Operation("reader", "infer"): 5 * rng.gamma(9, infer / 9, 200),
    }
    return Requests(np.arange(200), START + np.arange(200.0), sum(own.values(), np.zeros(200)), own)


def _answer(folder: Path, world: World) -> Diagnosis:
    rng = np.random.default_rng(7)
    spans: list[dict[str, object]] = []
    metrics: list[dict[str, object]] = []
    usual = World(ids=world.ids)
    for name, start, one in (("reference", START, usual), ("current", START + 120, world)):
        _window(folder / f"{name}.parquet", start, one, (spans, metrics), rng)
    lines = [json.dumps(span) for span in spans]
    (folder / "traces.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pl.DataFrame(metrics).write_parquet(folder / "metrics.parquet")
    (folder / "incident.yaml").write_text(dedent(INCIDENT), encoding="utf-8")
    return _diagnose.run(load(folder))


def _window(
    path: Path,
    start: float,
    world: World,
    out: tuple[list[dict[str, object]], list[dict[str, object]]],
    rng: np.random.Generator,
) -> None:
    rows = []
    for i in range(ROWS):
        at = start + i * 0.5 + float(rng.uniform(0, 0.1))
        size = int(rng.integers(4, 30) * world.words)
        tokens = round(size * world.pieces) + 1
        trace = f"{int(at * 1000):032x}"
        parts = {
            "queue": float(rng.gamma(4, world.wait / 4)),
            "tokenise": 0.02 * tokens * world.encode * float(rng.gamma(50, 1 / 50)),
            "infer": 0.2 * tokens * world.infer * float(rng.gamma(50, 1 / 50)),
        }
        _trace(out[0], trace, at, parts)
        for entity, metric, value in (
            ("reader", "latency_ms", sum(parts.values())),
            ("host-1", "cpu_utilisation", 0.3),
        ):
            told = {"timestamp": at, "entity": entity, "metric": metric}
            out[1].append({**told, "value": value + float(rng.normal(0, 0.01))})
        rows.append(
            {
                "request": trace if world.ids else f"r{start:.0f}-{i}",
                "at": at,
                "message": " ".join(rng.choice(WORDS, size)),
                "tokens": tokens,
                "urgent": i % 2,
                "said": i % 2,
            }
        )
    frame = pl.DataFrame(rows)
    ms = (frame["at"] * 1000).cast(pl.Int64).cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")
    frame.with_columns(ms.alias("at")).write_parquet(path)


def _trace(spans: list[dict[str, object]], trace: str, at: float, parts: dict[str, float]) -> None:
    clock = int(at * 1e9)
    end = clock + int(sum(parts.values()) * 1e6)
    base = {"trace_id": trace, "service": "reader"}
    spans.append(
        base | {"span_id": trace[-12:], "parent_span_id": None, "name": "POST /read", "start_ns": clock, "end_ns": end}
    )  # fmt: skip
    for n, (name, took) in enumerate(parts.items()):
        done = clock + int(took * 1e6)
        spans.append(
            base | {"span_id": f"{trace[-12:]}{n}", "parent_span_id": trace[-12:], "name": name, "start_ns": clock, "end_ns": done}
        )  # fmt: skip
        clock = done


INCIDENT = """
    version: 1
    title: The reader is slow
    task: binary
    symptom: {metric: latency_ms, entity: reader, direction: up}
    windows:
      reference: [2026-09-21T14:13:20Z, 2026-09-21T14:15:20Z]
      current: [2026-09-21T14:15:20Z, 2026-09-21T14:17:21Z]
    data:
      reference: reference.parquet
      current: current.parquet
      columns:
        id: request
        timestamp: at
        target: urgent
        prediction: said
        positive: 1
        text: message
        features: [message, tokens]
    telemetry:
      metrics: metrics.parquet
      traces: traces.jsonl
      entities: {reader: service, host-1: host}
"""
