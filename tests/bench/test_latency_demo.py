"""The demo of a slow text model, at a reduced size: it starts a real process on loopback."""

import importlib.util
import json
import os
import signal
import time
from pathlib import Path

import polars as pl
import pytest

from ruleout import _diagnose
from ruleout._errors import IncidentError, MissingExtra, SourceError
from ruleout.bench import demos
from ruleout.bench.demos import _latency, _load, _messages, _tokens
from ruleout.incident import load

NEEDED = ("onnx", "onnxruntime", "opentelemetry")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
real = [
    pytest.mark.service,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
ANSWERS = {
    "tokens": ("tokenizer_mismatch", "message"),
    "queue": ("queue_backlog", "text-classifier"),
    "runtime": ("slow_runtime", "text-classifier"),
}
SECONDS = 2.5


@pytest.fixture(scope="module", params=ANSWERS)
def slow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("latency") / request.param
    folder.mkdir()
    _latency.write(folder, 0, request.param, seconds=SECONDS)
    return folder


class TestRunning:
    pytestmark = real

    def test_requests_become_slower(self, slow: Path) -> None:
        """The changed setting really costs time: the median root span grows by a quarter or more, by far as a rule."""
        spans = _spans(slow)
        roots = spans.filter(pl.col("parent") == "")
        turn = pl.read_parquet(slow / "current.parquet")["received_at"].min().timestamp()  # type: ignore[union-attr]
        took = roots.with_columns(pl.col("start") >= turn * 1e9).group_by("start").agg("took")
        median = {bool(late): pl.Series(part).median() for late, part in took.iter_rows()}
        assert median[True] > 1.25 * median[False]  # type: ignore[operator]

    def test_every_logged_request_has_its_trace(self, slow: Path) -> None:
        """The logged rows name their traces, each with waiting, tokenisation and inference below the call."""
        logged = pl.read_parquet(slow / "reference.parquet")["trace_id"]
        spans = _spans(slow)
        names = spans.filter(pl.col("trace").is_in(logged.implode())).group_by("trace").agg("name")
        assert names.height == len(logged)
        wanted = {"classify", "POST /classify", "queue", "tokenise", "infer"}
        assert all(set(found) == wanted for found in names["name"].to_list())

    def test_the_stage_is_named(self, slow: Path) -> None:
        """The first hypothesis is the setting's failure mode, most of the added time goes with it."""
        mode, name = ANSWERS[slow.name]
        answer = _diagnose.run(load(slow))
        first = answer.hypotheses[0]
        assert (first.failure_mode, first.subject.names) == (mode, (name,))
        assert first.explained is not None
        assert first.explained.method == "trace_replay"
        assert first.explained.low > 0.1
        assert answer.symptom.metric == "latency_p95_ms"
        assert "text-classifier" in first.chain
        said = [row.signal for row in answer.evidence if row.signal.startswith("latency.")]
        assert said == ["latency.host", "latency.queue", "latency.amount", "latency.rate"]

    def test_the_process_ends_with_the_block(self, tmp_path: Path) -> None:
        """The service is gone after its block, also when the block ends by an interrupt."""
        from ruleout.bench.demos._text_model import write_model

        rng = pytest.importorskip("numpy").random.default_rng(0)
        write_model(tmp_path, rng)
        found: dict[str, int] = {}
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117 the interrupt comes in the middle
            with _load.served(tmp_path) as port:
                found = {"port": port, "pid": _ask(port)["pid"]}
                raise KeyboardInterrupt
        with pytest.raises(ConnectionRefusedError):
            _ask(found["port"])
        with pytest.raises(ProcessLookupError):
            os.kill(found["pid"], 0)

    def test_a_service_that_dies_is_said(self, tmp_path: Path) -> None:
        """When the service dies under load, the load ends with an error at once."""
        from ruleout.bench.demos._text_model import write_model

        write_model(tmp_path, pytest.importorskip("numpy").random.default_rng(0))
        started = time.monotonic()
        with _load.served(tmp_path) as port:
            os.kill(_ask(port)["pid"], signal.SIGKILL)
            with pytest.raises(SourceError, match="stopped answering"):
                _load.Front(port).send(["Where is it?", "It is here."], 30)
        assert time.monotonic() - started < 25

    def test_a_service_without_a_model_is_said(self, tmp_path: Path) -> None:
        """A process that cannot start is an error, not a wait."""
        started = time.monotonic()
        with pytest.raises(SourceError, match="did not start"), _load.served(tmp_path):
            pass
        assert time.monotonic() - started < 20


def test_unknown_fault_names_those_there_are(tmp_path: Path) -> None:
    """A fault that does not exist lists those that do; other demos take none."""
    with pytest.raises(IncidentError, match="tokens, queue, runtime"):
        demos.write("latency", tmp_path / "a", fault="gremlins")
    with pytest.raises(IncidentError, match="--fault"):
        demos.write("nulls", tmp_path / "b", fault="tokens")


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an extra the demo names the line that installs it, and leaves no folder behind."""

    def absent(module: str, *, extra: str) -> None:
        raise MissingExtra(f"{module}: pip install 'ruleout[{extra}]'")

    monkeypatch.setattr(_latency, "need", absent)
    with pytest.raises(MissingExtra, match=r"ruleout\[latency\]"):
        demos.write("latency", tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_the_second_tokeniser_cuts_words_up() -> None:
    """Release 2 with a vocabulary of release 1 gives several times the tokens, and no word of them."""
    import numpy as np

    texts, labels = _messages.messages(np.random.default_rng(0), 50)
    assert set(labels) <= set(_messages.CLASSES)
    words = _tokens.vocabulary(texts)
    first, second = _tokens.Tokeniser(words), _tokens.Tokeniser(words, 2)
    assert all(len(second(text)) > 2 * len(first(text)) for text in texts)
    assert first("Where is it?")[0] == words["[start]"]


def _ask(port: int) -> dict[str, int]:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    return dict(_load._ask(connection, "/metrics", None, {}))


def _spans(folder: Path) -> pl.DataFrame:
    rows = []
    for line in (folder / "traces.jsonl").read_text(encoding="utf-8").splitlines():
        for scope in json.loads(line)["resourceSpans"][0]["scopeSpans"]:
            rows += [
                {
                    "trace": span["traceId"],
                    "parent": span["parentSpanId"],
                    "name": span["name"],
                    "start": int(span["startTimeUnixNano"]),
                    "took": int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]),
                }
                for span in scope["spans"]
            ]
    return pl.DataFrame(rows)
