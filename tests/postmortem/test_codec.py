"""A diagnosis as JSON and back."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleout import _records as records
from ruleout._errors import SourceError
from ruleout._records import Diagnosis
from ruleout.postmortem._codec import decode, encode, schema, to_json

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "diagnosis.schema.json"

EXAMPLE = """
{
  "version": 1,
  "incident": {"title": "...", "task": "multiclass", "fingerprint": "sha256 of all inputs"},
  "symptom": {"metric": "accuracy", "reference": 0.91, "current": 0.76, "change": -0.15,
               "low": -0.17, "high": -0.13, "significant": true, "onset": {"at": "...", "low": "...", "high": "..."},
               "labels": "mature"},
  "verdict": "cause_found",
  "layers": {"data": 0.93, "model": 0.02, "infrastructure": 0.0, "integration": 0.03, "none": 0.0, "unknown": 0.02},
  "hypotheses": [
    {"rank": 1, "failure_mode": "unit_change", "layer": "data",
     "subject": {"kind": "feature", "names": ["weight_g"]},
     "probability": 0.93, "status": "confirmed", "role": "root_cause",
     "explained": {"fraction": 0.96, "low": 0.91, "high": 1.0, "method": "repair_replay"},
     "evidence_for": ["E3", "E7"], "evidence_against": [], "not_checked": [],
     "onset": {"at": "...", "low": "...", "high": "..."}, "change": "C2",
     "chain": ["weight_g", "prediction", "accuracy"],
     "remedies": [{"kind": "mitigate", "action": "...", "reversible": true, "expected_effect": 0.144}]}
  ],
  "ruled_out": [{"failure_mode": "wrong_version", "subject": null, "because": ["E1"]}],
  "not_checked": [{"failure_mode": "label_noise", "needs": "probes.audit"}],
  "next_evidence": [{"gather": "probes.audit", "separates": ["concept_drift", "corrupted_labels"], "information_gain_bits": 0.8}],
  "safeguard_gaps": [{"safeguard": "circuit_breaker", "on": ["ranker", "feature-store"], "evidence": ["E12"]}],
  "evidence": [{"id": "E3", "check": "quantile_relation", "layer": "data", "subject": {"kind": "feature", "names": ["weight_g"]},
                "statement": "weight_g is 1000.0 times its reference (r = 1.000)", "statistic": 1000.0, "effect": 12.4,
                "p_value": 1e-9, "supports": ["unit_change"], "against": ["covariate_shift"]}],
  "changes": [{"id": "C2", "at": "...", "kind": "deploy", "entity": "ingest", "description": "...", "ref": "...", "alignment": 0.88}],
  "run": {"ruleout": "0.1.0", "seconds": 3.1, "peak_mb": 412, "sources": [{"name": "data.current", "status": "ok", "rows": 120000}]}
}
"""

FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda x: float(f"{x:.6g}") + 0.0)
st.register_type_strategy(float, FLOATS)
LAYERS = st.fixed_dictionaries(dict.fromkeys(records.Layer.__args__, FLOATS))  # type: ignore[attr-defined]
EVIDENCE = st.builds(records.Evidence, chart=st.just({}))
DIAGNOSES = st.builds(
    Diagnosis,
    layers=LAYERS,
    evidence=st.lists(EVIDENCE, max_size=2).map(tuple),
    version=st.just(1),
    charts=st.just({}),
)
SLOWLY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def diagnosis() -> Diagnosis:
    return decode(EXAMPLE)


def shape(document: Any) -> Any:
    """The keys of a document in their order, without what this release adds."""
    if isinstance(document, dict):
        added = {"weights", "signal", "strength", "reason"}
        return {key: shape(entry) for key, entry in document.items() if key not in added}
    return [shape(entry) for entry in document] if isinstance(document, list) else document


def test_the_published_example(diagnosis: Diagnosis) -> None:
    """The example of the format is read and written with the same keys, order and values."""
    written = json.loads(to_json(diagnosis))
    assert json.dumps(shape(written)) == json.dumps(json.loads(EXAMPLE)).replace("412,", "412.0,")


@SLOWLY
@given(DIAGNOSES)
def test_there_and_back(diagnosis: Diagnosis) -> None:
    """Any diagnosis survives the way to JSON and back, and its JSON fits the schema."""
    text = to_json(diagnosis)
    assert decode(text) == diagnosis
    assert to_json(decode(text)) == text
    jsonschema.validate(json.loads(text), schema())


def test_nothing_is_left_out(diagnosis: Diagnosis) -> None:
    """What is not known is null, not absent; charts are the only thing that is not written."""
    bare = records.Hypothesis(1, "unit_change", "data", records.Subject(), 0.5, "possible")
    document = encode(dataclasses.replace(diagnosis, hypotheses=(bare,), charts={"x": 1}))
    hypothesis = document["hypotheses"][0]
    assert hypothesis["explained"] is hypothesis["onset"] is hypothesis["change"] is None
    assert hypothesis["chain"] == hypothesis["remedies"] == []
    assert "charts" not in document
    assert "chart" not in document["evidence"][0]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0.1 + 0.2, 0.3),
        (-0.0, 0.0),
        (1234567.0, 1234570.0),
        (1e-300, 1e-300),
        (float("nan"), None),
        (float("inf"), None),
        (np.float32(0.1), 0.1),
        (np.int64(3), 3),
    ],
)
def test_numbers_are_stable(diagnosis: Diagnosis, number: Any, written: Any) -> None:
    """Numbers have six significant digits, no negative zero, and are null if they are not finite."""
    symptom = dataclasses.replace(diagnosis.symptom, reference=number)
    document = encode(dataclasses.replace(diagnosis, symptom=symptom))
    assert document["symptom"]["reference"] == written
    assert "-0.0" not in json.dumps(document["symptom"]["reference"])


def test_any_text_is_written_as_utf8(diagnosis: Diagnosis) -> None:
    """A title with a lone surrogate, or any other sign, gives JSON that is UTF-8 and reads back the same."""
    title = "naïve 😀 \ud800 \u2028 \x00"
    ref = dataclasses.replace(diagnosis.incident, title=title)
    text = to_json(dataclasses.replace(diagnosis, incident=ref))
    assert json.loads(text.encode("utf-8"))["incident"]["title"] == title


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.pop("verdict"), r"diagnosis\.verdict is missing"),
        (lambda d: d.update(verdict="maybe"), r"diagnosis\.verdict is 'maybe'.*cause_found"),
        (
            lambda d: d["hypotheses"][0].update(probability="high"),
            r"hypotheses\[0\]\.probability is 'high'.*number",
        ),
        (lambda d: d["hypotheses"][0].update(rank=True), r"hypotheses\[0\]\.rank"),
        (lambda d: d.update(changes={}), r"diagnosis\.changes is \{\}.*array"),
        (lambda d: d.update(version=2), "version: 2"),
    ],
)
def test_what_is_no_diagnosis_is_refused(change: Any, told: str) -> None:
    """A missing or mistyped field is named by its place."""
    document = json.loads(EXAMPLE)
    change(document)
    with pytest.raises(SourceError, match=told):
        decode(document)


def test_what_is_no_json_is_refused() -> None:
    """Text that is not JSON, and JSON that is no object, are refused."""
    for text in ("{", "[]", "[" * 100_000):
        with pytest.raises(SourceError, match=r"not JSON|not a diagnosis"):
            decode(text)


def test_unknown_fields_are_passed_over() -> None:
    """A later release may add fields; this one reads its diagnoses all the same."""
    document = json.loads(EXAMPLE)
    document["new"] = 1
    document["hypotheses"][0]["new"] = {}
    assert decode(document) == decode(EXAMPLE)


def test_a_number_that_was_not_finite() -> None:
    """A null where a number must be is read as not a number."""
    document = json.loads(EXAMPLE)
    document["run"]["seconds"] = None
    assert math.isnan(decode(document).run.seconds)


def test_the_schema_is_sound_and_published() -> None:
    """The schema is valid, accepts the example, refuses a diagnosis without layers, and is the one in the documentation."""
    jsonschema.Draft202012Validator.check_schema(schema())
    document = json.loads(EXAMPLE)
    jsonschema.validate(document, schema())
    document["layers"].pop("unknown")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())
    published = SCHEMA_FILE.read_text(encoding="utf-8")
    assert published == json.dumps(schema(), indent=2) + "\n", (
        "run: ruleout schema > docs/diagnosis.schema.json"
    )
