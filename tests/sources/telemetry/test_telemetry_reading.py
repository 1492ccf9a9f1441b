"""Metrics, spans and logs in every form that the format allows."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from ruleout.incident import Incident, TelemetrySpec
from ruleout.sources.telemetry import Telemetry, read_telemetry
from ruleout.sources.telemetry._metrics import read_metrics, split_names


def _read(folder: Path, **spec: object) -> Telemetry:
    return read_telemetry(Incident(title="t", telemetry=TelemetrySpec(**spec), folder=folder))  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_epoch_numbers_are_told_apart_by_size(tmp_path: Path, scale: int) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds give the same instants."""
    frame = pl.DataFrame(
        {
            "timestamp": [1_700_000_000 * scale, 1_700_000_060 * scale],
            "entity": ["a", "a"],
            "metric": ["cpu", "cpu"],
            "value": [1.0, 2.0],
        }
    )
    frame.write_parquet(tmp_path / "m.parquet")
    assert _read(tmp_path, metrics=("m.parquet",)).metrics["time"].to_list() == [1.7e9, 1.7e9 + 60]


@pytest.mark.parametrize(
    "text", ["2023-11-14T22:13:20Z", "2023-11-14 22:13:20", "2023-11-14T23:13:20+01:00"]
)
def test_written_instants_are_utc_unless_they_say_otherwise(tmp_path: Path, text: str) -> None:
    """ISO text with Z, without a zone, and with an offset names the same instant."""
    (tmp_path / "m.csv").write_text(f"timestamp,entity,metric,value\n{text},a,cpu,1\n")
    assert _read(tmp_path, metrics=("m.csv",)).metrics["time"].to_list() == [1.7e9]


def test_wide_columns_part_where_both_halves_recur() -> None:
    """Names with underscores in either half are parted by what the other columns share."""
    names = [
        f"{service}_{metric}"
        for service in ("carts", "user_db", "front-end")
        for metric in ("cpu", "latency_p99", "mem")
    ]
    split = split_names(names)
    assert split["user_db_latency_p99"] == ("user_db", "latency_p99")
    assert split["carts_latency_p99"] == ("carts", "latency_p99")
    assert split["front-end_mem"] == ("front-end", "mem")


def test_a_known_entity_decides_the_cut() -> None:
    """An entity that the incident names wins over what recurs."""
    assert split_names(["a_b_cpu", "a_c_cpu"], {"a_b"})["a_b_cpu"] == ("a_b", "cpu")


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    """NaN, infinity and text are not values."""
    (tmp_path / "m.csv").write_text(
        "timestamp,entity,metric,value\n1,a,x,NaN\n2,a,x,inf\n3,a,x,oops\n4,a,x,5\n"
    )
    assert _read(tmp_path, metrics=("m.csv",)).metrics["value"].to_list() == [5.0]


SPAN = {
    "trace_id": "t",
    "span_id": "s",
    "parent_span_id": "p",
    "service": "cart",
    "name": "get",
    "kind": "SPAN_KIND_SERVER",
    "start_ns": 5,
    "end_ns": 9,
    "status": "ERROR",
}


def test_a_span_a_line(tmp_path: Path) -> None:
    """One JSON span a line is read, with kind and failure in one vocabulary; bad lines are left out."""
    (tmp_path / "s.jsonl").write_text(json.dumps(SPAN) + "\nnot json\n")
    row = _read(tmp_path, traces=("s.jsonl",)).spans.row(0, named=True)
    assert (row["service"], row["kind"], row["error"], row["end"]) == ("cart", "server", True, 9)


def test_otlp_json_gives_the_same_span(tmp_path: Path) -> None:
    """An OTLP export request a line gives the same row as a flat span."""
    request = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [
                        {"key": "service.name", "value": {"stringValue": "cart"}},
                        {"key": "host.name", "value": {"stringValue": "node-1"}},
                    ]
                },
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "t",
                                "spanId": "s",
                                "parentSpanId": "p",
                                "name": "get",
                                "kind": 2,
                                "startTimeUnixNano": "5",
                                "endTimeUnixNano": "9",
                                "status": {"code": 2},
                            }
                        ]
                    }
                ],
            }
        ]
    }
    (tmp_path / "o.jsonl").write_text(json.dumps(request))
    (tmp_path / "s.jsonl").write_text(json.dumps(SPAN))
    nested = _read(tmp_path, traces=("o.jsonl",)).spans
    flat = _read(tmp_path, traces=("s.jsonl",)).spans
    assert nested.drop("instance", "host").rows() == flat.drop("instance", "host").rows()
    assert nested.select("instance", "host").row(0) == ("node-1", "node-1")


def test_a_span_that_was_delivered_twice_is_one(tmp_path: Path) -> None:
    """Exporters retry; the second copy is left out."""
    (tmp_path / "s.jsonl").write_text("\n".join([json.dumps(SPAN)] * 3))
    assert _read(tmp_path, traces=("s.jsonl",)).spans.height == 1


def test_lists_and_globs_are_put_together(tmp_path: Path) -> None:
    """Several files of one source are one table."""
    for index in range(3):
        pl.DataFrame(
            {"timestamp": [1.7e9 + index], "entity": ["a"], "metric": ["m"], "value": [1.0]}
        ).write_parquet(tmp_path / f"part-{index}.parquet")
    found = _read(tmp_path, metrics=("part-0.parquet", "part-[12].parquet"))
    assert found.metrics.height == 3
    assert found.sources[0].rows == 3


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"metrics": ("gone.csv",)}, "gone.csv does not exist"),
        ({"metrics": ("mm.csv",)}, "mm.csv does not exist; the nearest file is 'm.csv'"),
        ({"metrics": ("q*.csv",)}, "q*.csv matches no file"),
        ({"metrics": ({"prometheus": "http://x"},)}, "{prometheus} is a live source"),
        ({"metrics": (7,)}, "7 is not a path"),
        ({"traces": ("m.csv",)}, "no ['span'"),
        ({"logs": ("m.csv",)}, "lack `timestamp` or `message`"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path: Path, spec: dict[str, object], words: str) -> None:
    """A source that fails names the value, the rule and the way out."""
    (tmp_path / "m.csv").write_text("a,b\n1,2\n")
    status = _read(tmp_path, **spec).sources[0]
    assert status.status == "failed"
    assert words in (status.reason or "")


def test_a_prefix_that_all_share_is_part_of_the_entity() -> None:
    """Neither a common prefix of all entities nor a metric that one alone has misleads the cut."""
    metrics = ["cpu_usage", "memory_usage", "requests_total", "latency_p99"]
    names = [f"prod.{name}-api_{one}" for name in ("cart", "user", "ship") for one in metrics]
    split = split_names([*names, "prod.cart-api_gpu.clock"])
    assert {split[name][0] for name in names} == {f"prod.{x}-api" for x in ("cart", "user", "ship")}
    assert split["prod.cart-api_gpu.clock"] == ("prod.cart-api", "gpu.clock")


def test_attributes_tell_the_copy_the_machine_the_build_and_who_is_called(tmp_path: Path) -> None:
    """Keys of OpenTelemetry's conventions fill columns, whether attributes are JSON text or objects."""
    told = {
        "k8s.pod.name": "cart-7f9",
        "k8s.node.name": "node-2",
        "service.version": "1.4.2",
        "peer.service": "cart-redis",
    }
    (tmp_path / "s.jsonl").write_text(json.dumps(SPAN | {"attributes": told}))
    row = SPAN | {"attributes": json.dumps(told)}
    pl.DataFrame([row]).write_parquet(tmp_path / "s.parquet")
    for name in ("s.jsonl", "s.parquet"):
        span = _read(tmp_path, traces=(name,)).spans
        assert span.select("instance", "host", "version", "peer").row(0) == (
            "cart-7f9",
            "node-2",
            "1.4.2",
            "cart-redis",
        )


@pytest.mark.parametrize(
    "names",
    [
        ("timestamp", "entity", "metric", "value"),
        ("ts", "service", "name", "val"),
        ("Time", "host", "metric_name", "Reading"),
    ],
)
def test_long_metrics_by_the_names_of_exporters(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A time, who, what and how much are one long table, whatever the columns are called."""
    rows = [
        ("2026-09-11 10:03:00+00:00", "api", "p95_ms", 41.3),
        ("2026-09-11 10:04", "db", "cpu", 2),
    ]
    frame = pl.DataFrame(rows, schema=list(names), orient="row", strict=False)
    frame.write_csv(tmp_path / "metrics.csv")
    read = read_metrics(tmp_path / "metrics.csv")
    assert read["entity"].to_list() == ["api", "db"]
    assert read["metric"].to_list() == ["p95_ms", "cpu"]
    assert read["value"].to_list() == [41.3, 2.0]
