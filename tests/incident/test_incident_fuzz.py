"""Whatever a file holds, loading gives an incident or an `IncidentError`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleout._errors import IncidentError
from ruleout.incident import Columns, Incident, TelemetrySpec, from_document, from_frames
from ruleout.incident._document import parse

KEYS = [
    "version", "title", "task", "symptom", "windows", "data", "models", "probes", "telemetry", "changes", "impact",
    "metric", "entity", "direction", "noticed_at", "reference", "current", "columns", "sources", "graph", "uri", "table",
    "query", "threshold", "deployed_at", "previous", "parity", "golden", "audit", "offline", "key", "inputs", "expected",
    "labels", "label", "currency", "per_false_positive",
    *Columns.__dataclass_fields__, *TelemetrySpec.__dataclass_fields__,
]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=4),
    st.sampled_from(["binary", "a.parquet", "sqlite:///x", "down", "2026-01-01T00:00:00Z", *KEYS]),
)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=25,
)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def incident_or_error(text: str) -> None:
    told = ""
    try:
        assert isinstance(from_document(parse(text, "fuzz.yaml"), Path()), Incident)
    except IncidentError as error:
        told = str(error)
    assert not told or ("fuzz.yaml" in told and len(told) < 2_000)


@FUZZ
@given(DOCUMENTS)
def test_any_document(document: Any) -> None:
    """Any YAML document, of the right keys or not, is loaded or refused with the file's name."""
    incident_or_error(yaml.safe_dump(document, allow_unicode=True))


@FUZZ
@given(
    st.fixed_dictionaries({"title": st.just("x")}, optional=dict.fromkeys(KEYS[2:11], DOCUMENTS))
)
def test_any_section(document: dict[str, Any]) -> None:
    """Any content of the known sections is loaded or refused."""
    incident_or_error(yaml.safe_dump(document))


@FUZZ
@given(st.text(alphabet=st.sampled_from("ab:{}[],&*!|>-?'\"#%@`\n\t 01~<=."), max_size=60))
def test_any_text(text: str) -> None:
    """Any text made of YAML's own signs is loaded or refused."""
    incident_or_error(text)


@FUZZ
@given(st.dictionaries(st.sampled_from([*Columns.__dataclass_fields__]), DOCUMENTS, max_size=4))
def test_any_arguments(columns: dict[str, Any]) -> None:
    """Any roles from Python make an incident or an error."""
    told = "the arguments"
    try:
        assert isinstance(from_frames("a.csv", "b.csv", **columns), Incident)
    except IncidentError as error:
        told = str(error)
    assert "the arguments" in told
