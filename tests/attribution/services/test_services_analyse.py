"""The whole analysis on small incidents, and on input that is broken or hostile."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import shop

from ruleout import modes
from ruleout._records import Abstained
from ruleout.attribution.services import ServicesResult, analyse
from ruleout.incident import Incident, SymptomSpec, TableSpec


def _run(incident: Incident) -> ServicesResult:
    return analyse(incident, np.random.default_rng(0))


def _holds(result: ServicesResult) -> None:
    """Probabilities sum to one, and every mode is one of the catalogue's."""
    total = sum(one.probability for one in result.hypotheses) + result.unknown + result.no_incident
    assert total == pytest.approx(1.0, abs=1e-6)
    known = set(modes.load())
    assert {one.failure_mode for one in result.hypotheses} <= known


def _wide(folder: Path, fault: str, kind: str) -> None:
    rng = np.random.default_rng(4)
    time = np.arange(shop.START, shop.END, 1.0)
    columns = {"time": time}
    for service in ("carts", "orders", "front-end", "user_db"):
        for metric, level in (("cpu", 5.0), ("mem", 200.0), ("latency", 0.02), ("load", 50.0)):
            values = level * (1 + 0.05 * rng.standard_normal(len(time)))
            if service == fault and metric == kind:
                values[time >= shop.FAULT] *= 4
            if service in {fault, "front-end"} and metric == "latency":
                values[time >= shop.FAULT] *= 1.5
            columns[f"{service}_{metric}"] = values
    pl.DataFrame(columns).write_csv(folder / "data.csv")


@pytest.mark.parametrize("fault", ["carts", "orders", "user_db"])
@pytest.mark.parametrize(("kind", "mode"), [("cpu", "cpu_saturation"), ("mem", "memory_leak")])
def test_wide_metrics_name_service_and_mode(
    tmp_path: Path, fault: str, kind: str, mode: str
) -> None:
    """Wide metrics alone name the service whose resource departed, and the mode of that resource."""
    _wide(tmp_path, fault, kind)
    result = _run(shop.incident(tmp_path, metrics=("data.csv",)))
    assert result.hypotheses[0].subject.names == (fault,)
    assert result.hypotheses[0].failure_mode == mode
    _holds(result)


def test_traces_alone_name_a_delayed_service(tmp_path: Path) -> None:
    """Traces alone tell a delay on the wire from work, and who stands behind it."""
    shop.spans(np.random.default_rng(0), wire={"store": 90.0}).write_parquet(tmp_path / "s.parquet")
    result = _run(shop.incident(tmp_path, traces=("s.parquet",)))
    assert result.hypotheses[0].subject.names == ("store",)
    assert result.hypotheses[0].failure_mode == "network_fault"
    assert result.hypotheses[0].probability > 0.5
    _holds(result)


def test_an_onset_a_minute_off_does_not_matter(tmp_path: Path) -> None:
    """Windows that are 60 s late or early change nothing about who is named."""
    shop.spans(np.random.default_rng(0), own={"cart": 60.0}).write_parquet(tmp_path / "s.parquet")
    base = shop.incident(tmp_path, traces=("s.parquet",))
    for shift in (-60.0, 60.0):
        from dataclasses import replace

        from ruleout.incident import Window

        moved = replace(
            base,
            reference_window=Window(shop.START, shop.FAULT - 30 + shift),
            current_window=Window(shop.FAULT + shift, shop.END),
        )
        assert _run(moved).hypotheses[0].subject.names == ("cart",)


def test_the_same_input_gives_the_same_answer(tmp_path: Path) -> None:
    """Two runs agree to the last digit."""
    _wide(tmp_path, "carts", "cpu")
    incident = shop.incident(tmp_path, metrics=("data.csv",))
    first, second = _run(incident), _run(incident)
    assert first.hypotheses == second.hypotheses
    assert first.symptom == second.symptom


def test_nothing_departs_means_unknown(tmp_path: Path) -> None:
    """Where nothing departs, no entity is named with any confidence."""
    _wide(tmp_path, "nobody", "cpu")
    result = _run(shop.incident(tmp_path, metrics=("data.csv",)))
    assert max((one.probability for one in result.hypotheses), default=0.0) < 0.5
    _holds(result)


def test_a_change_at_the_onset_is_named_by_its_id(tmp_path: Path) -> None:
    """The change that lost a guard shortly before the onset is the first hypothesis'."""
    rng = np.random.default_rng(2)
    time = np.arange(shop.START, shop.END, 15.0)
    parts = []
    for service in ("pay", "front", "mail"):
        values = 0.01 * (1 + 0.1 * rng.standard_normal(len(time)))
        if service != "mail":
            values[time >= shop.FAULT] += 0.5 if service == "pay" else 0.2
        parts.append(
            pl.DataFrame(
                {"timestamp": time, "entity": service, "metric": "error_ratio", "value": values}
            )
        )
    pl.concat(parts).write_parquet(tmp_path / "m.parquet")
    pl.DataFrame(
        {
            "timestamp": [shop.FAULT - 300, shop.FAULT - 60, shop.FAULT - 30],
            "kind": ["deploy", "deploy", "deploy"],
            "entity": ["mail", "pay", "front"],
            "description": ["v1", "v2", "v3"],
            "ref": ["aaa", "bbb", "ccc"],
            "diff": ["+// words\n", "-\tif card == nil {\n-\t\treturn\n-\t}\n", "+// words\n"],
        }
    ).write_parquet(tmp_path / "c.parquet")
    incident = shop.incident(
        tmp_path,
        metrics=("m.parquet",),
        topology=(("front", "pay"), ("front", "mail")),
        symptom=SymptomSpec("error_ratio", "front", None, shop.FAULT + 60),
    )
    from dataclasses import replace

    result = _run(replace(incident, changes=TableSpec(uri="c.parquet")))
    top = result.hypotheses[0]
    assert top.subject.names == ("pay",)
    assert top.chain == ("pay", "front", "error_ratio")
    assert {one.id: one.ref for one in result.changes}[top.change or ""] == "bbb"
    assert result.symptom.significant
    _holds(result)


BAD = {
    "empty.jsonl": "",
    "words.jsonl": "this is not JSON\n{\n",
    "null.jsonl": "null\n[]\n3\n",
    "columns.csv": "a,b\n1,2\n",
    "text.csv": "time,x\nyesterday,high\n",
    "nan.csv": "time,a_cpu\n1,nan\n2,inf\n",
    "deep.jsonl": "[" * 100_000,
    "span.jsonl": json.dumps({"span_id": "x", "service": "s", "start_ns": "later", "end_ns": 5}),
    "huge.jsonl": json.dumps(
        {"span_id": "x", "service": "s", "name": "n", "start_ns": 10**30, "end_ns": 10**30}
    ),
    "binary.parquet": "\x00\x01PAR",
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("part", ["metrics", "traces", "logs"])
def test_broken_telemetry_is_a_reason_and_never_a_traceback(
    tmp_path: Path, name: str, part: str
) -> None:
    """Whatever is in a file, the answer is a source with a reason, and unknown."""
    (tmp_path / name).write_text(BAD[name])
    result = _run(shop.incident(tmp_path, **{part: (name,)}))
    assert result.sources[0].status in {"failed", "empty"}
    assert result.sources[0].reason
    assert result.unknown == pytest.approx(1.0)
    assert any(isinstance(o, Abstained) for c in result.checked for o in c.outcomes)


def test_a_missing_file_leaves_the_others_their_say(tmp_path: Path) -> None:
    """One source that is not there does not silence another."""
    _wide(tmp_path, "carts", "cpu")
    result = _run(shop.incident(tmp_path, metrics=("data.csv",), traces=("gone.parquet",)))
    assert [s.status for s in result.sources] == ["ok", "failed"]
    assert result.hypotheses[0].subject.names == ("carts",)
