"""OTLP/JSON trace exports (opentelemetry-proto, `ExportTraceServiceRequest`) as flat span rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def otlp_rows(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every span of one export request, as the row that section 1.2 of the format describes."""
    for resource in _list(request.get("resourceSpans")):
        shared = _attributes(_mapping(resource.get("resource")).get("attributes"))
        service = shared.get("service.name")
        scopes = resource.get("scopeSpans") or resource.get("instrumentationLibrarySpans")
        for scope in _list(scopes):
            for span in _list(scope.get("spans")):
                status = _mapping(span.get("status"))
                yield {
                    "trace_id": span.get("traceId"),
                    "span_id": span.get("spanId"),
                    "parent_span_id": span.get("parentSpanId"),
                    "service": service,
                    "name": span.get("name"),
                    "kind": span.get("kind"),
                    "start_ns": span.get("startTimeUnixNano"),
                    "end_ns": span.get("endTimeUnixNano"),
                    "status": status.get("code", 0),
                    "status_message": status.get("message") or None,
                    "attributes": shared | _attributes(span.get("attributes")),
                }


def _list(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _attributes(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in _list(pairs):
        value = _mapping(pair.get("value"))
        found[str(pair.get("key"))] = next(iter(value.values()), None)
    return found
