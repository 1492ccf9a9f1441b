"""What `incident.yaml` may say, and what is said when it breaks a rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ruleout._errors import IncidentError
from ruleout.incident import Incident, TableSpec, Window, load

TABLES = "title: x\ndata: {reference: a.parquet, current: b.parquet}\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (tmp_path / "incident.yaml").write_bytes(raw)
    return tmp_path


def loaded(tmp_path: Path, text: str) -> Incident:
    return load(written(tmp_path, text))


FULL = """
version: 1
title: Category classifier lost 15 points of accuracy
task: multiclass
symptom: {metric: accuracy, entity: null, direction: down, noticed_at: 2026-11-20T14:30:00Z}
windows:
  reference: [2026-11-06T00:00:00Z, 2026-11-18T00:00:00Z]
  current:   [2026-11-18T00:00:00Z, 2026-11-20T00:00:00Z]
data:
  reference: reference.parquet
  current: {uri: "sqlite:///rows.db", table: served}
  columns:
    id: request_id
    timestamp: ts
    target: label
    prediction: predicted
    score: p_fraud
    positive: 1
    scores: {cat: p_cat, no: p_dog, 7: p_seven}
    weight: null
    features: [amount, device, amount]
    categorical: [device]
    segments: country
  sources: {crm: [income, age], device-service: [device]}
  graph: [[age, income], [income, label]]
models:
  current:  {uri: model_v7.onnx, version: 7, deployed_at: 2026-11-18, threshold: 0.5}
  previous: model_v6.onnx
probes:
  parity: {offline: recomputed.parquet, key: request_id}
  golden: {inputs: golden.parquet, expected: expected_score}
  audit:  {labels: audited.parquet, key: request_id, label: audited_label}
telemetry:
  metrics: [metrics.parquet, {prometheus: "http://localhost:9090", queries: {up: up}}]
  traces: traces.jsonl
  topology: [[frontend, ranker], [ranker, feature-store]]
  entities: {ranker: service, node-3: host}
  kpis: [checkout_rate]
changes: changes.csv
impact: {currency: USD, per_false_positive: 4.0, per_failed_request: 1}
"""


def test_everything_is_read(tmp_path: Path) -> None:
    """Every key of the format arrives in the incident, paths as written, times as epoch seconds in UTC."""
    incident = loaded(tmp_path, FULL)
    columns = incident.data.columns
    assert incident.folder == tmp_path.resolve()
    assert incident.symptom.noticed_at == 1795185000.0
    assert incident.current_window == Window(1794960000.0, 1795132800.0)
    assert incident.data.current == TableSpec(uri="sqlite:///rows.db", table="served")
    assert columns.features == ("amount", "device")
    assert columns.scores == {"cat": "p_cat", "no": "p_dog", "7": "p_seven"}
    assert columns.segments == ("country",)
    assert columns.weight is None
    assert incident.data.sources == {"crm": ("income", "age"), "device-service": ("device",)}
    assert incident.models["current"].version == "7"
    assert incident.models["current"].deployed_at == 1794960000.0
    assert incident.models["previous"].uri == "model_v6.onnx"
    assert incident.golden is not None
    assert incident.golden.served == "served_score"
    assert incident.telemetry.metrics[1] == {
        "prometheus": "http://localhost:9090",
        "queries": {"up": "up"},
    }
    assert incident.telemetry.traces == ("traces.jsonl",)
    assert incident.telemetry.topology == (("frontend", "ranker"), ("ranker", "feature-store"))
    assert incident.impact == {
        "currency": "USD",
        "per_false_positive": 4.0,
        "per_failed_request": 1.0,
    }


def test_title_and_one_source_suffice(tmp_path: Path) -> None:
    """Everything but the title and one source of evidence may be left out."""
    incident = loaded(tmp_path, "title: x\ntelemetry: {metrics: m.parquet}")
    assert (incident.task, incident.task_declared) == ("none", False)


def test_the_file_itself_may_be_named(tmp_path: Path) -> None:
    """A path to the YAML file, of any name, is as good as the folder."""
    (tmp_path / "other.yml").write_text(TABLES)
    assert load(tmp_path / "other.yml").title == "x"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "title: x\ntelemetry: {metrics: [a.csv, {promtheus: 'http://x'}]}",
            ["incident.yaml:2", "telemetry.metrics[1] is {promtheus}", "did you mean 'prometheus'?"],
        ),
        (TABLES + "tak: binary", ["incident.yaml:3", "'tak'", "did you mean 'task'?"]),
        (TABLES + "task: bin", ["incident.yaml:3", "task is 'bin'", "did you mean 'binary'?"]),
        (TABLES + "task: 3", ["task is 3", "multiclass"]),
        (TABLES + "task: [binary]", ["task is ['binary']"]),
        (TABLES + "version: 2", ["version is 2", "reads version 1"]),
        (TABLES + "version: true", ["version is true"]),
        (TABLES + "title: y", ["title", "already on line 1"]),
        ("data: {reference: a, current: b}", ["title: is missing"]),
        ("title: ' '\ndata: {reference: a}", ["title is ' '", "must be a text"]),
        ("title: x", ["no source of evidence", "data.reference"]),
        ("title: x\nmodels: {current: a.onnx}", ["no source of evidence"]),
        ("", ["title: is missing"]),
        ("3", ["the document is 3", "mapping"]),
        ("- a", ["the document", "mapping"]),
        (TABLES + "symptom: {direction: lower}", ["symptom.direction", "'lower'", "down, up"]),
        (TABLES + "symptom: {noticed: 1}", ["symptom.noticed", "did you mean 'noticed_at'?"]),
        (TABLES + "symptom: {noticed_at: soon}", ["symptom.noticed_at is 'soon'", "2026-11-20T"]),
        (TABLES + "symptom: {noticed_at: 1700000000000}", ["milliseconds"]),
        (TABLES + "symptom: {noticed_at: .inf}", ["not finite"]),
        (TABLES + "symptom: {noticed_at: true}", ["symptom.noticed_at is true"]),
        (TABLES + "windows: {reference: [2026-01-02, 2026-01-01]}", ["windows.reference", "2026-01-02", "ends before"]),
        (TABLES + "windows: {current: [2026-01-02]}", ["windows.current", "[start, end]"]),
        (TABLES + "windows: {current: [2026-01-02, 2026-01-02]}", ["no length"]),
        (TABLES + "windows: {curent: [1, 2]}", ["did you mean 'current'?"]),
        ("title: x\ndata:\n  reference: a\n  columns: {targt: y}", ["incident.yaml:4", "data.columns.targt", "'target'"]),
        ("title: x\ndata: {reference: a, columns: {target: [y]}}", ["data.columns.target", "a name"]),
        ("title: x\ndata: {reference: a, columns: {target: y, prediction: y}}", ["data.columns.prediction", "is the target"]),
        ("title: x\ndata: {reference: a, columns: {target: y, features: [x, y]}}", ["features", "'y'"]),
        ("title: x\ndata: {reference: a, columns: {positive: [1]}}", ["positive", "one value"]),
        ("title: x\ndata: {reference: {uri: 'sqlite:///a'}}", ["data.reference", "`table` or `query`"]),
        ("title: x\ndata: {reference: {uri: a, table: t}}", ["data.reference.table", "database URL"]),
        ("title: x\ndata: {reference: {table: t}}", ["data.reference", "`uri`"]),
        ("title: x\ndata: {reference: 5}", ["data.reference is 5", "must be a text"]),
        (TABLES + "models: {curent: a}", ["models.curent", "did you mean 'current'?"]),
        (TABLES + "models: {current: {uri: a, threshold: .nan}}", ["models.current.threshold", "finite"]),
        (TABLES + "models: {current: {uri: a, threshold: high}}", ["models.current.threshold", "number"]),
        (TABLES + "models: {current: {version: 7}}", ["models.current", "`uri`"]),
        (TABLES + "probes: {audit: {labels: a, key: id}}", ["probes.audit", "needs `label`"]),
        (TABLES + "probes: {parity: a.parquet}", ["probes.parity", "mapping"]),
        (TABLES + "telemetry: {metric: a}", ["telemetry.metric", "did you mean 'metrics'?"]),
        (TABLES + "telemetry: {topology: [[a, b, c]]}", ["telemetry.topology[0]", "[caller, callee]"]),
        (TABLES + "telemetry: {metrics: {}}", ["telemetry.metrics", "live source"]),
        (TABLES + "impact: {per_false_positiv: 1}", ["did you mean 'per_false_positive'?"]),
        (TABLES + "<<: {a: 1}", ["merge keys"]),
        ("a: &a [*a]", ["may not contain itself"]),
        ("[a", ["incident.yaml:1", "not YAML"]),
        ("a: !!python/object:os.system x", ["not YAML", "python/object"]),
        ("a: !!set {x, y}", ["tag"]),
        ("? [a]\n: b", ["a key must be a plain word"]),
        ("title: 2026-99-99", ["'2026-99-99'", "month", "quote it"]),
        ("[" * 5000, ["nested too deeply"]),
        ("title: \x00", ["not YAML"]),
        (b"title: \xff", ["byte 7 is 0xff", "UTF-8"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named(tmp_path: Path, text: Any, parts: list[str]) -> None:
    """A mistake is answered with file, key, value, rule and way out."""
    with pytest.raises(IncidentError) as caught:
        load(written(tmp_path, text))
    for part in ["incident.yaml", *parts]:
        assert part in str(caught.value)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """A path without an incident is an error that names the way to write one."""
    with pytest.raises(IncidentError, match=r"no incident\.yaml in .*ruleout init"):
        load(tmp_path)
    with pytest.raises(IncidentError, match="does not exist"):
        load(tmp_path / "nowhere.yaml")


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path) -> None:
    """Aliases of aliases are shared, so a message about a billion of them is still short."""
    bomb = "title: x\ndata: {reference: a}\nimpact:\n  a0: &a0 [x, x]\n" + "".join(
        f"  a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)
    )
    with pytest.raises(IncidentError) as caught:
        load(written(tmp_path, bomb))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "window", ["['2026-06-23T09:00:00Z', '2026-06-23T09:00:00Z']", "[2026-06-02, 2026-06-01]"]
)
def test_telemetry_without_a_time_before(tmp_path: Path, window: str) -> None:
    """A reference window of no or negative length beside telemetry alone means that there is no reference."""
    text = "title: x\ntelemetry: {metrics: m.parquet}\nwindows: {reference: " + window + "}"
    assert loaded(tmp_path, text).reference_window is None


def test_a_reference_after_the_incident(tmp_path: Path) -> None:
    """The reference may be later than the current window."""
    text = (
        TABLES + "windows: {reference: [2026-02-01, 2026-03-01], current: [2026-01-01, 2026-01-02]}"
    )
    incident = loaded(tmp_path, text)
    assert incident.reference_window is not None
    assert incident.current_window is not None
    assert incident.reference_window.start > incident.current_window.end


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("2026-01-02", 1767312000.0),
        ("2026-01-02T00:00:00", 1767312000.0),
        ("'2026-01-02 01:00:00+01:00'", 1767312000.0),
        ("2026-01-02T01:00:00+01:00", 1767312000.0),
        ("1767312000", 1767312000.0),
        ("1767312000.5", 1767312000.5),
    ],
)
def test_times(tmp_path: Path, time: str, seconds: float) -> None:
    """Times are ISO 8601, dates or epoch seconds; without a zone they are UTC."""
    assert (
        loaded(tmp_path, TABLES + f"symptom: {{noticed_at: {time}}}").symptom.noticed_at == seconds
    )


@pytest.mark.parametrize(
    ("columns", "task"),
    [("{scores: {a: p_a, b: p_b}}", "multiclass"), ("{positive: 1}", "binary"), ("{target: y}", "none")],
)  # fmt: skip
def test_the_roles_tell_the_task(tmp_path: Path, columns: str, task: str) -> None:
    """Scores of classes make a task multiclass, a positive value makes it binary; else the data must tell."""
    incident = loaded(tmp_path, f"title: x\ndata: {{reference: a, columns: {columns}}}")
    assert (incident.task, incident.task_declared) == (task, False)


def test_names_keep_their_spelling(tmp_path: Path) -> None:
    """A column called `no`, `007` or 2026-01-01 does not turn into a boolean, a number or a date."""
    text = (
        "title: x\ndata: {reference: a, columns: {target: no, id: 007, features: [2026-01-01, on]}}"
    )
    columns = loaded(tmp_path, text).data.columns
    assert (columns.target, columns.id, columns.features) == ("no", "007", ("2026-01-01", "on"))


@pytest.mark.data
def test_real_service_incidents_load(data_folder: Path) -> None:
    """Every labelled service incident is loaded, odd windows and all."""
    files = sorted(data_folder.glob("services/*/*/incident.yaml"))
    assert len([load(file) for file in files]) >= 80


def test_the_documented_incident_loads(tmp_path: Path) -> None:
    """The incident on the page about the format is one."""
    page = Path(__file__).parents[2] / "docs" / "incident-format.md"
    incident = loaded(
        tmp_path, page.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    )
    assert incident.models["previous"].version == "6"
    assert incident.data.graph == (("age", "income"), ("income", "label"))
