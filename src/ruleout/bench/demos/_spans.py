"""OpenTelemetry spans to a file of OTLP/JSON, one export request a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruleout._errors import need


def provider(service: str, spans: list[Any]) -> Any:
    """A tracer provider that keeps every ended span in `spans`, for `write_spans`."""
    trace = need("opentelemetry.sdk.trace", extra="latency")
    resource = need("opentelemetry.sdk.resources", extra="latency").Resource
    export = need("opentelemetry.sdk.trace.export", extra="latency")

    class Keep(export.SpanExporter):  # type: ignore[name-defined,misc]
        def export(self, ended: Sequence[Any]) -> Any:
            spans.extend(ended)
            return export.SpanExportResult.SUCCESS

    made = trace.TracerProvider(resource=resource.create({"service.name": service}))
    made.add_span_processor(export.SimpleSpanProcessor(Keep()))
    return made


def write_spans(path: Path, service: str, spans: Sequence[Any], size: int = 500) -> None:
    """Append ended spans of one service to `path`, `size` a line."""
    with path.open("a", encoding="utf-8") as file:
        for first in range(0, len(spans), size):
            part = [_span(one) for one in spans[first : first + size]]
            request = {
                "resourceSpans": [
                    {
                        "resource": {"attributes": [_pair("service.name", service)]},
                        "scopeSpans": [{"scope": {"name": "ruleout.demo"}, "spans": part}],
                    }
                ]
            }
            file.write(json.dumps(request) + "\n")


def _span(one: Any) -> dict[str, Any]:
    context = one.get_span_context()
    return {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "parentSpanId": f"{one.parent.span_id:016x}" if one.parent is not None else "",
        "name": one.name,
        "kind": one.kind.value + 1,
        "startTimeUnixNano": str(one.start_time),
        "endTimeUnixNano": str(one.end_time),
        "attributes": [_pair(key, value) for key, value in (one.attributes or {}).items()],
        "status": {"code": 2 if one.status.status_code.name == "ERROR" else 0},
    }


def _pair(key: str, value: Any) -> dict[str, Any]:
    kind = (
        {"intValue": str(value)}
        if isinstance(value, int)
        else {"doubleValue": value}
        if isinstance(value, float)
        else {"stringValue": str(value)}
    )
    return {"key": key, "value": kind}
