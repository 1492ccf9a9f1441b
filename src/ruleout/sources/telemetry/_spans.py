"""Spans, one a row or as OTLP/JSON, as one table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ruleout._errors import SourceError
from ruleout.sources.telemetry._files import TEXT, json_rows, read_frame
from ruleout.sources.telemetry._otlp import otlp_rows
from ruleout.sources.telemetry._records import SPANS

_KINDS = {"1": "internal", "2": "server", "3": "client", "4": "producer", "5": "consumer"}
_ALIASES = {
    "trace_id": "trace",
    "span_id": "span",
    "parent_span_id": "parent",
    "start_ns": "start",
    "end_ns": "end",
}
_TOLD = {
    "instance": (
        "service.instance.id", "k8s.pod.name", "instance", "pod", "host.name", "host.id", "host"
    ),
    "host": ("k8s.node.name", "host.name", "host.id", "node", "host"),
    "version": ("service.version", "version"),
    "peer": ("peer.service", "destination.service", "server.address", "net.peer.name", "db.name"),
    "reason": (
        "status_message", "error.message", "exception.message", "otel.status_description", "error.type", "exception.type"
    ),
    "code": ("http.status_code", "http.response.status_code", "rpc.grpc.status_code"),
}  # fmt: skip
"""Columns that attributes fill: of each, the first key that is there (names of OpenTelemetry's conventions)."""

_KEYS = tuple(dict.fromkeys(key for keys in _TOLD.values() for key in keys))
_SAMPLE = 2_000
"""Spans that are searched for the keys of attributes; what none of them has is not looked for in the others."""


def read_spans(path: Path) -> pl.DataFrame:
    """Spans of a file as the columns of `SPANS`, those without a service or times left out.

    Raises:
        SourceError: when a needed column is missing or nothing can be parsed.
    """
    frame = _rows(path) if path.suffix in TEXT else read_frame(path)
    frame = frame.rename({k: v for k, v in _ALIASES.items() if k in frame.columns})
    missing = [name for name in ("span", "service", "start", "end") if name not in frame.columns]
    if missing:
        raise SourceError(
            f"{path.name}: a span has no {missing}; see the format of one span a row "
            "(trace_id, span_id, parent_span_id, service, name, start_ns, end_ns)"
        )
    columns = [_column(frame, name) for name in SPANS]
    table = frame.select(columns).with_columns(
        pl.col("parent").replace("", None), pl.col("name").fill_null("")
    )
    keep = pl.col("service").is_not_null() & pl.col("start").is_not_null()
    keep &= pl.col("end").is_not_null() & (pl.col("end") >= pl.col("start"))
    return table.filter(keep)


def _column(frame: pl.DataFrame, name: str) -> pl.Expr:
    if name == "error":
        return _error(frame).alias("error")
    if name == "peer":
        return _told(frame, name).str.replace(r":\d+$", "").alias(name)
    if name in _TOLD:
        return _told(frame, name).alias(name)
    if name not in frame.columns:
        return pl.lit(None, dtype=SPANS[name]).alias(name)
    column = pl.col(name)
    if name == "kind":
        text = column.cast(pl.String).str.to_lowercase().str.strip_prefix("span_kind_")
        return text.replace(_KINDS).alias("kind")
    return column.cast(SPANS[name], strict=False)


def _error(frame: pl.DataFrame) -> pl.Expr:
    if "status" not in frame.columns:
        return pl.lit(None, dtype=pl.Boolean)
    text = pl.col("status").cast(pl.String).str.to_lowercase()
    number = text.cast(pl.Float64, strict=False)
    bad = text.str.contains("err|fail|exception|unavailable|deadline|^2$|^5\\d\\d$")
    return pl.when(text.is_null()).then(None).otherwise(bad | (number >= 500)).cast(pl.Boolean)


def _told(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A column of its own, else what the attributes say."""
    keys = _TOLD[name]
    own = [key for key in (name, *keys) if key in frame.columns]
    found = [pl.col(key).cast(pl.String, strict=False) for key in dict.fromkeys(own)]
    if frame.schema.get("attributes") == pl.String:
        known = set(_KEYS) - set(own)
        some = frame["attributes"].drop_nulls()
        some = some.sample(min(_SAMPLE, len(some)), seed=0) if len(some) > _SAMPLE else some
        text = "\n".join(some)
        found += [
            pl.col("attributes").str.extract(rf'"{re.escape(key)}"\s*:\s*"?([^",}}]+)', 1)
            for key in keys
            if key in known and f'"{key}"' in text
        ]
    return pl.coalesce(found) if found else pl.lit(None, dtype=pl.String)


_FIELDS = (
    "trace_id", "span_id", "parent_span_id", "service", "name", "kind", "start_ns", "end_ns", "status",
)  # fmt: skip


def _rows(path: Path) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {name: [] for name in (*_FIELDS, *_KEYS)}
    for row in json_rows(path):
        spans = otlp_rows(row) if "resourceSpans" in row else (row,)
        for span in spans:
            told = _attributes(span.get("attributes"))
            for name in _FIELDS:
                columns[name].append(_scalar(span.get(name)))
            for name in _KEYS:
                columns[name].append(_scalar(told.get(name, span.get(name))))
    if not columns["span_id"]:
        raise SourceError(f"{path.name}: no span could be parsed; one JSON object a line is needed")
    integers = ("start_ns", "end_ns")
    # A key that no span has is no column; the others of its name may be.
    told_of = [name for name in _KEYS if any(value is not None for value in columns[name])]
    return pl.DataFrame(
        {
            name: pl.Series(name, [_integer(v) for v in columns[name]], dtype=pl.Int64)
            if name in integers
            else pl.Series(name, columns[name], dtype=pl.String, strict=False)
            for name in (*_FIELDS, *told_of)
        }
    )


def _attributes(value: Any) -> Mapping[str, Any]:
    """Attributes as a mapping; text is JSON, as in Parquet."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value if not isinstance(value, bool) else str(value)
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _integer(value: Any) -> int | None:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < 2**62 else None
