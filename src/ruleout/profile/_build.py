"""From an incident to a case: read what there is, note what failed, understand the columns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import polars as pl

from ruleout._errors import RuleoutError, SourceError, Unreachable
from ruleout._records import SourceStatus
from ruleout.incident import Incident, check_columns, check_types
from ruleout.profile._asked import check_metric
from ruleout.profile._case import Case, ChangeEvent, Kind
from ruleout.profile._echoes import echoes, file_sizes
from ruleout.profile._legible import illegible
from ruleout.profile._metric import metric_for
from ruleout.profile._outputs import Outputs
from ruleout.profile._read import Profile, read_window
from ruleout.profile._replayer import choose_predictor
from ruleout.profile._roles import class_names, input_kinds, served, threshold_in_force, truths
from ruleout.profile._row_weights import row_weights
from ruleout.profile._table import Table
from ruleout.profile._unlike import without_unlike
from ruleout.sources import (
    TableSource,
    check_keys,
    load_audit,
    load_changes,
    load_golden,
    load_parity,
    readable,
    tables_found,
    with_task,
)
from ruleout.sources.models import load_model

Progress = Callable[[str], None]


def build_case(
    incident: Incident,
    *,
    trust_model: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    changes: tuple[ChangeEvent, ...] = (),
    reported: Collection[str] | None = (),
) -> Case:
    """Read the tables, models, probes and changes of an incident.

    Args:
        incident: validated.
        trust_model: allow models whose loading executes code.
        seed: fixes every random choice.
        progress: told what is going on.
        changes: the incident's, where somebody has read them already; they are read otherwise.
        reported: metrics of the telemetry; None where that could not be read.

    Raises:
        IncidentError: when a declared column is in neither table or of a type that its role cannot have, or the
            symptom's metric is nearly one of the task, or a row has no sound weight where weights are declared.
        SourceError: when the values that tell the task cannot be read. A window that cannot be read is noted in
            `unread` instead, and is as good as empty.
    """
    say = progress or (lambda _: None)
    statuses: list[SourceStatus] = []
    say("reading tables")
    sources, unread = tables_found(incident)
    schemas = [None if s is None else s.schema for s in sources]
    check_types(incident, *schemas)
    if not unread:
        # What the table that is there lacks may be in the one that is not.
        check_columns(incident, *schemas)
        check_keys(incident, sources)
    incident = with_task(incident, *sources)
    check_metric(incident, reported)
    tables, profiles = _tables(incident, sources, statuses, unread)
    columns = incident.data.columns
    kinds = input_kinds(columns, *(tables[n].frame for n in ("reference", "current")))
    tables, profiles, unlike = without_unlike(kinds, tables, profiles)
    statuses += unlike
    reference, current = tables["reference"], tables["current"]
    classes = class_names(incident, reference.frame, current.frame)
    spec = incident.models.get("current")
    answers = served(incident, reference.frame, classes, spec.threshold if spec else None)
    threshold = threshold_in_force(answers)
    case = Case(
        incident=incident,
        reference=reference,
        current=current,
        profiles=profiles,
        kinds=kinds,
        classes=classes,
        metric=metric_for(incident.task, incident.symptom.metric),
        truths={n: truths(incident, t.frame, classes) for n, t in tables.items()},
        served=_both_served(incident, tables, classes, threshold),
        weights=row_weights(incident, tables),
        threshold=threshold,
        sources=statuses,
        unread=unread,
        seed=seed,
    )
    _attach(case, changes, trust_model=trust_model, say=say)
    return case


def _both_served(
    incident: Incident, tables: dict[str, Table], classes: tuple[str, ...], threshold: float | None
) -> dict[Any, Outputs]:
    return {n: served(incident, t.frame, classes, threshold) for n, t in tables.items()}


def _tables(
    incident: Incident,
    sources: tuple[TableSource | None, TableSource | None],
    statuses: list[SourceStatus],
    unread: dict[str, SourceError],
) -> tuple[dict[Any, Table], dict[Any, Profile]]:
    """The sampled windows and their profiles; one that turns out to be damaged is added to `unread`."""
    columns = incident.data.columns
    tables: dict[Any, Table] = {}
    profiles: dict[Any, Profile] = {}
    for which, source in zip(("reference", "current"), sources, strict=True):
        tables[which], profiles[which] = Table(pl.DataFrame(), 0, None), Profile(0, {})
        name = f"data.{which}"
        if source is not None:
            try:
                with readable(f"{name}: {source.place}"):
                    frame, time, profile = read_window(
                        source, key=columns.id, timestamp=columns.timestamp
                    )
            except SourceError as error:
                unread[name] = error
        if name in unread:
            statuses.append(SourceStatus(name, "failed", None, str(unread[name])))
        if source is None or name in unread:
            continue
        tables[which] = Table(frame, profile.rows, time)
        profiles[which] = profile
        status = "ok" if profile.rows else "empty"
        statuses.append(SourceStatus(name, status, profile.rows))
    return tables, profiles


def _attach(
    case: Case, changes: tuple[ChangeEvent, ...], *, trust_model: bool, say: Progress
) -> None:
    incident = case.incident
    say("loading models and probes")
    models: dict[str, Any] = {}
    for name, spec in incident.models.items():
        loaded = _tried(
            case,
            f"models.{name}",
            partial(
                load_model,
                spec,
                incident.folder,
                trust=trust_model,
                features=case.features,
                classes_hint=case.classes,
                raw=case.of_kind("image", "text"),
            ),
        )
        if loaded is not None:
            models[name] = loaded
    case.models = models
    _without_echoes(case)
    probes = {"parity": load_parity, "golden": load_golden, "audit": load_audit}
    for name, load in probes.items():
        if getattr(incident, name) is not None:
            setattr(case, name, _tried(case, f"probes.{name}", partial(load, incident)))
    if incident.changes is not None:
        read = partial(tuple, changes) if changes else partial(load_changes, incident)
        case.changes = _tried(case, "changes", read) or ()
    case.representations = _representations(case)
    blind = list(illegible(case))
    named = {s.name for s in blind}
    case.sources = [*(s for s in case.sources if s.name not in named), *blind]
    say("fitting what replays the model")
    case.predictor = choose_predictor(case)


def _without_echoes(case: Case) -> None:
    """Take out of the inputs what another column holds: what the model itself said, and how large an image's file is.

    The first would explain every answer, and every fault of them; the second everything that happens to images.
    """
    told = dict.fromkeys(echoes(case), "the model's own answer")
    told |= dict.fromkeys(file_sizes(case), "the size of the image's file")
    case.told_again = tuple(told)
    for name, what in told.items():
        case.kinds = {n: kind for n, kind in case.kinds.items() if n != name}
        why = f"holds {what} and is left out of the inputs"
        case.sources.append(SourceStatus(f"data.columns.features: {name}", "ok", None, why))


def _tried(case: Case, name: str, load: Callable[[], Any]) -> Any:
    """The loaded source, or None with its failure noted: an absent source is never an absent symptom."""
    try:
        loaded = load()
    except Unreachable as error:
        case.sources.append(SourceStatus(name, "failed", None, str(error)))
        return None
    except RuleoutError as error:
        case.sources.append(SourceStatus(name, "failed", None, str(error)))
        return None
    rows = (
        loaded.height
        if isinstance(loaded, pl.DataFrame)
        else len(loaded)
        if isinstance(loaded, tuple)
        else None
    )
    case.sources.append(SourceStatus(name, "empty" if rows == 0 else "ok", rows))
    return loaded


def _representations(case: Case) -> dict[str, Any]:
    """Numbers that stand for image, text and embedding columns, fitted on the reference."""
    from ruleout.profile import _unstructured

    wanted: tuple[Kind, ...] = ("image", "text", "embedding")
    out: dict[str, Any] = {}
    for name in case.of_kind(*wanted):
        if case.reference.has(name) and case.current.has(name):
            fitted = _tried(
                case, f"data.columns.{case.kind(name)}", partial(_unstructured.fit, case, name)
            )
            if fitted is not None:
                out[name] = fitted
    return out
