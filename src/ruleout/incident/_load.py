"""From a document to a validated `Incident`: every key of the contract, version 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ruleout._errors import IncidentError
from ruleout.incident._document import Node, is_frame, nearest, plain, read
from ruleout.incident._graph import edges_of, graph_file
from ruleout.incident._model import (
    AuditProbe,
    Columns,
    DataSpec,
    GoldenProbe,
    Incident,
    ModelSpec,
    ParityProbe,
    SymptomSpec,
    TableSpec,
    Task,
    TelemetrySpec,
    Window,
)

TASKS: tuple[Task, ...] = get_args(Task)
LIVE = ("prometheus", "otlp", "mlflow", "wandb", "dvc", "git", "uri")
"""Kinds of live sources, by the key that says where each is."""

DATABASES = ("sqlite", "duckdb", "postgresql", "postgres")

_TOP = (
    "version",
    "title",
    "task",
    "symptom",
    "windows",
    "data",
    "models",
    "probes",
    "telemetry",
    "changes",
    "impact",
)
_COSTS = ("per_false_positive", "per_false_negative", "per_failed_request")


def load(path: str | Path) -> Incident:
    """The incident in a folder with an `incident.yaml`, or in a YAML file.

    Sources are not opened. `task` is inferred from the columns' roles where it is not given;
    `Incident.task_declared` is then false, and `sources.with_task` settles it from the data.

    Raises:
        IncidentError: the incident breaks a rule of the contract; the message names file, line, key, value and
            the way out.
    """
    place = Path(path)
    file = place / "incident.yaml" if place.is_dir() else place
    if not file.exists():
        missing = (
            f"there is no incident.yaml in {place}" if place.is_dir() else f"{place} does not exist"
        )
        raise IncidentError(f"{missing}; write one with: ruleout init REFERENCE CURRENT -o FOLDER")
    return from_document(read(file), file.resolve().parent)


def from_document(document: Node, folder: Path) -> Incident:
    """The incident that a document describes, its paths relative to `folder`.

    Raises:
        IncidentError: as `load`.
    """
    top = document.mapping(_TOP)
    _version(top.get("version"))
    if "title" not in top:
        raise IncidentError(f"{document.file}: title: is missing; say in a line what went wrong")
    data = _data(top["data"], folder) if "data" in top else DataSpec()
    windows = top["windows"].mapping(("reference", "current")) if "windows" in top else {}
    probes = top["probes"].mapping(("parity", "golden", "audit")) if "probes" in top else {}
    declared = "task" in top
    incident = Incident(
        title=top["title"].text(),
        task=cast("Task", top["task"].choice(TASKS)) if declared else _task_of_roles(data.columns),
        task_declared=declared,
        symptom=_symptom(top["symptom"]) if "symptom" in top else SymptomSpec(),
        reference_window=_reference_window(windows["reference"], tables="data" in top)
        if "reference" in windows
        else None,
        current_window=_current_window(windows["current"]) if "current" in windows else None,
        data=data,
        models=_models(top["models"]) if "models" in top else {},
        parity=_parity(probes["parity"]) if "parity" in probes else None,
        golden=_golden(probes["golden"]) if "golden" in probes else None,
        audit=_audit(probes["audit"]) if "audit" in probes else None,
        telemetry=_telemetry(top["telemetry"]) if "telemetry" in top else TelemetrySpec(),
        changes=table_spec(top["changes"]) if "changes" in top else None,
        impact=_impact(top["impact"]) if "impact" in top else {},
        folder=folder,
        file=document.file,
    )
    _require_evidence(incident)
    return incident


def table_spec(node: Node) -> TableSpec:
    """Where a table is: a path, glob or URL, a mapping with `table` or `query`, or (from Python) a frame."""
    if isinstance(node.content, dict):
        entries = node.mapping(("uri", "url", "table", "query"))
        if len(entries.keys() & {"uri", "url"}) != 1:
            node.fail("it needs one `uri` (or `url`): a path, a glob or a database URL")
        uri = entries["uri" if "uri" in entries else "url"].text()
    elif is_frame(node.content):
        return TableSpec(frame=node.content)
    else:
        entries, uri = {}, node.text()
    database = uri.partition(":")[0] in DATABASES and "://" in uri
    if database and len(entries.keys() & {"table", "query"}) != 1:
        node.fail("a database URL needs either `table` or `query`: {uri: ..., table: ...}")
    for key in ("table", "query"):
        if key in entries and not database:
            entries[key].fail(
                f"only a database URL ({', '.join(d + '://' for d in DATABASES)}) has a {key}"
            )
    return TableSpec(
        uri=uri,
        table=entries["table"].text() if "table" in entries else None,
        query=entries["query"].text() if "query" in entries else None,
    )


def _version(node: Node | None) -> None:
    if node is not None and (type(node.content) is not int or node.content != 1):
        node.fail("this release reads version 1")


def _symptom(node: Node) -> SymptomSpec:
    entries = node.mapping(("metric", "entity", "direction", "noticed_at"))
    direction = entries["direction"].choice(("down", "up")) if "direction" in entries else None
    return SymptomSpec(
        metric=entries["metric"].name() if "metric" in entries else None,
        entity=entries["entity"].name() if "entity" in entries else None,
        direction=cast('Literal["down", "up"] | None', direction),
        noticed_at=entries["noticed_at"].instant() if "noticed_at" in entries else None,
    )


def _window(node: Node) -> Window | None:
    """A span of time, or None for a span of no length."""
    ends = node.items()
    if len(ends) != 2:
        node.fail("a window is two times, [start, end]")
    start, end = ends[0].instant(), ends[1].instant()
    if start > end:
        node.fail("it ends before it starts; exchange the two")
    return Window(start, end) if start < end else None


def _reference_window(node: Node, *, tables: bool) -> Window | None:
    """The reference window; None when the incident says that it knows no time before.

    Telemetry exporters write "from the first sample to the start of the incident", which has no length, or a
    negative one, when the first sample is later. That is an absent reference. Beside tables, where a person
    wrote the window, a reversed one is a mistake.
    """
    if not tables and len(ends := node.items()) == 2 and ends[0].instant() > ends[1].instant():
        return None
    return _window(node)


def _current_window(node: Node) -> Window:
    window = _window(node)
    if window is None:
        node.fail("it has no length; the current window needs some time in it")
    return window


def _data(node: Node, folder: Path) -> DataSpec:
    entries = node.mapping(("reference", "current", "columns", "sources", "graph"))
    sources = entries["sources"].mapping() if "sources" in entries else {}
    return DataSpec(
        reference=table_spec(entries["reference"]) if "reference" in entries else None,
        current=table_spec(entries["current"]) if "current" in entries else None,
        columns=_columns(entries["columns"]) if "columns" in entries else Columns(),
        sources={name: source.names() for name, source in sources.items()},
        graph=_graph(entries["graph"], folder) if "graph" in entries else (),
        graph_file=graph_file(entries["graph"].content) if "graph" in entries else None,
    )


def _columns(node: Node) -> Columns:
    entries = node.mapping(Columns.__dataclass_fields__)
    roles = {key: entries[key].name() for key in _SINGLE_ROLES if key in entries}
    lists = {
        key: entries[key].names()
        for key in ("features", "categorical", "segments")
        if key in entries
    }
    for role in ("prediction", "score", "label_available_at", "timestamp"):
        if role in roles and roles[role] == roles.get("target"):
            entries[role].fail("the same column is the target; a column has one of these roles")
    if roles.get("target") in lists.get("features", ()):
        entries["features"].fail(f"the target {roles['target']!r} cannot be a feature as well")
    scores = entries["scores"].mapping() if "scores" in entries else {}
    if "positive" in entries and isinstance(entries["positive"].content, list | dict):
        entries["positive"].fail("it must be one value of the target")
    return Columns(
        **cast("dict[str, Any]", roles),
        **cast("dict[str, Any]", lists),
        positive=entries["positive"].content if "positive" in entries else None,
        scores={name: column.name() for name, column in scores.items()},
    )


_SINGLE_ROLES = (
    "id",
    "timestamp",
    "target",
    "prediction",
    "score",
    "weight",
    "image",
    "text",
    "embedding",
    "label_available_at",
)


def _models(node: Node) -> dict[str, ModelSpec]:
    return {role: _model(entry) for role, entry in node.mapping(("current", "previous")).items()}


def _model(node: Node) -> ModelSpec:
    if isinstance(node.content, str) or callable(node.content):
        return ModelSpec(uri=node.text() if isinstance(node.content, str) else node.content)
    entries = node.mapping(("uri", "version", "deployed_at", "threshold"))
    if "uri" not in entries:
        node.fail("a model needs a `uri`: a path or a URL")
    uri = entries["uri"]
    return ModelSpec(
        uri=uri.content if callable(uri.content) else uri.text(),
        version=entries["version"].name() if "version" in entries else None,
        deployed_at=entries["deployed_at"].instant() if "deployed_at" in entries else None,
        threshold=entries["threshold"].number() if "threshold" in entries else None,
    )


def _needed(node: Node, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Node]:
    entries = node.mapping((*needed, *optional))
    for key in needed:
        if key not in entries:
            node.fail(f"it needs `{key}`; the keys are {', '.join((*needed, *optional))}")
    return entries


def _parity(node: Node) -> ParityProbe:
    entries = _needed(node, ("offline", "key"))
    return ParityProbe(table_spec(entries["offline"]), entries["key"].name())


def _golden(node: Node) -> GoldenProbe:
    entries = _needed(node, ("inputs", "expected"), ("served",))
    served = {"served": entries["served"].name()} if "served" in entries else {}
    return GoldenProbe(table_spec(entries["inputs"]), entries["expected"].name(), **served)


def _audit(node: Node) -> AuditProbe:
    entries = _needed(node, ("labels", "key", "label"))
    return AuditProbe(table_spec(entries["labels"]), entries["key"].name(), entries["label"].name())


def _telemetry(node: Node) -> TelemetrySpec:
    entries = node.mapping(TelemetrySpec.__dataclass_fields__)
    signals = {
        key: _signal(entries[key]) for key in ("metrics", "traces", "logs") if key in entries
    }
    entities = entries["entities"].mapping() if "entities" in entries else {}
    return TelemetrySpec(
        **cast("dict[str, Any]", signals),
        topology=_pairs(entries["topology"], "caller, callee") if "topology" in entries else (),
        entities={name: kind.name() for name, kind in entities.items()},
        kpis=entries["kpis"].names() if "kpis" in entries else (),
    )


def _signal(node: Node) -> tuple[Any, ...]:
    """Paths, globs, frames from Python, or the mappings of live sources; one or a list."""
    parts = node.items() if isinstance(node.content, list) else (node,)
    return tuple(_part(part) for part in parts)


def _part(node: Node) -> Any:
    if isinstance(node.content, dict):
        if not any(key in LIVE for key in node.content):
            named = next(iter(node.content), "")
            node.fail(f"a live source begins with its kind; {nearest(named, LIVE)}")
        return plain(node.value)
    return node.content if is_frame(node.content) else node.text()


def _pairs(node: Node, rule: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in node.items():
        ends = item.items()
        if len(ends) != 2:
            item.fail(f"each entry is a pair, [{rule}]")
        pairs.append((ends[0].name(), ends[1].name()))
    return tuple(pairs)


def _graph(node: Node, folder: Path) -> tuple[tuple[str, str], ...]:
    """Pairs, or a graph of another tool: a DOT or GML file or text, or an object from Python."""
    if isinstance(node.content, list):
        return _pairs(node, "cause, effect")
    try:
        return edges_of(node.content, folder)
    except IncidentError as error:
        node.fail(str(error))


def _impact(node: Node) -> Mapping[str, Any]:
    entries = node.mapping(("currency", *_COSTS))
    return {
        key: entry.name() if key == "currency" else entry.number() for key, entry in entries.items()
    }


def _task_of_roles(columns: Columns) -> Task:
    """What the columns' roles alone say of the task; `none` when only the data can tell."""
    if columns.scores:
        return "multiclass"
    if columns.positive is not None:
        return "binary"
    return "none"


def _require_evidence(incident: Incident) -> None:
    telemetry = incident.telemetry
    evidence = (
        incident.data.reference,
        incident.data.current,
        incident.parity,
        incident.golden,
        incident.audit,
        incident.changes,
        *telemetry.metrics,
        *telemetry.traces,
        *telemetry.logs,
    )
    if all(source is None for source in evidence):
        raise IncidentError(
            f"{incident.file}: there is no source of evidence; give data.reference and data.current, a probe, "
            "telemetry.metrics, telemetry.traces, telemetry.logs or changes"
        )
