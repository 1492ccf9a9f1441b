"""Injecting into an incident folder: any two windows become a system, any system gets a fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from ruleout.incident import is_nested, load
from ruleout.incident._document import nearest
from ruleout.prevention.inject._registry import InjectionError, inject
from ruleout.prevention.inject._scene import Answers, Base, Scene
from ruleout.prevention.inject._schedule import Schedule
from ruleout.profile import Case, Outputs, build_case
from ruleout.profile._table import text_series
from ruleout.sources._labels import label_text

_MADE_UP = {"id": "_row", "timestamp": "_time", "key": "_actor", "host": "_host"}


@dataclass(frozen=True)
class Replayed:
    """The incident's own model (or the surrogate of it) as injectors ask it."""

    case: Case
    version: str = "current"
    path: Path | None = None
    threshold: float = 0.5

    def answer(self, frame: pl.DataFrame) -> Answers:
        """Answer every row of `frame`."""
        if self.case.predictor is None:
            raise InjectionError(
                "the incident's answers cannot be replayed; add models.current or logged scores"
            )
        return _answers(self.case.predictor.predict(frame))


def _answers(outputs: Outputs) -> Answers:
    if outputs.score is not None and outputs.scores is None:
        score = outputs.score
        return Answers(outputs.decision.astype(np.int64), np.column_stack([1 - score, score]))
    decision = outputs.decision
    whole = decision.astype(np.int64) if outputs.scores is not None else decision
    return Answers(whole, outputs.scores)


def _no_training(*_arguments: Any, **_options: Any) -> Replayed:
    raise InjectionError("this fault needs another training; give the mode of a fault without one")


def system_of(folder: Path, *, trust_model: bool = False, seed: int = 0) -> Base:
    """Read an incident (best a quiet one) as a served system.

    Ids, times, actors and hosts that the tables lack are made up: one host, times in order of the rows.

    Raises:
        InjectionError: when the incident has no two tables or no labels.
        IncidentError, SourceError: as for a diagnosis.
    """
    return _read(folder, trust_model=trust_model, seed=seed)[0]


def _read(folder: Path, *, trust_model: bool, seed: int) -> tuple[Base, pl.DataFrame]:
    """The system, and the reference as its own table types it."""
    case = build_case(load(folder), trust_model=trust_model, seed=seed)
    if case.unread:
        raise next(iter(case.unread.values()))
    columns = case.incident.data.columns
    if columns.target is None:
        raise InjectionError(f"{folder} names no target; data.columns.target is needed")
    named = {
        "id": columns.id,
        "timestamp": columns.timestamp,
        "key": None,
        "host": "host" if "host" in case.segments else None,
    }
    frames = [_completed(t.frame, named) for t in (case.reference, case.current)]
    if case.classes:
        # Inside, classes are text, whatever their type is in the tables.
        frames = [f.with_columns(label_text(f[columns.target])) for f in frames]
    roles = {k: v or _MADE_UP[k] for k, v in named.items()}
    model = Replayed(case, threshold=0.5 if case.threshold is None else case.threshold)
    base = Base(
        name=case.incident.title,
        subject="model",
        task=case.task,
        metric=case.metric.name,
        reference=frames[0],
        current=frames[1],
        pool=frames[0],
        features=case.features,
        numeric=case.numeric,
        categorical=case.categorical,
        target=columns.target,
        classes=case.classes,
        model=model,
        fit=_no_training,
        train=frames[0],
        nature=lambda frame: _expected(model.answer(frame)),
        segments=case.segments,
        sources=case.incident.data.sources,
        text=columns.text,
        image=columns.image,
        embedding=columns.embedding,
        id=roles["id"],
        timestamp=roles["timestamp"],
        key=roles["key"],
        host=roles["host"],
    )
    return base, case.reference.frame


def _expected(answers: Answers) -> NDArray[np.float64]:
    return answers.decision.astype(np.float64) if answers.chances is None else answers.chances


def _completed(frame: pl.DataFrame, named: Mapping[str, str | None]) -> pl.DataFrame:
    """Make up what a table lacks; times become datetimes in UTC."""
    n = frame.height
    made: dict[str, pl.Series] = {
        "id": pl.Series([f"r{k}" for k in range(n)]),
        "timestamp": pl.Series(np.arange(n) * 1_000_000).cast(pl.Datetime("us", "UTC")),
        "key": pl.Series([f"{'ab'[k % 2]}{k % max(n // 4, 1)}" for k in range(n)]),
        "host": pl.Series(["host"] * n),
    }
    absent = [made[k].alias(_MADE_UP[k]) for k, v in named.items() if v is None]
    frame = frame.with_columns(absent)
    time = named["timestamp"]
    if time is not None and frame[time].dtype == pl.String:
        frame = frame.with_columns(pl.col(time).str.to_datetime(time_zone="UTC", time_unit="us"))
    return frame


def inject_folder(
    source: Path,
    out: Path,
    mode: str,
    *,
    dose: float = 0.5,
    target: tuple[str, ...] = (),
    schedule: Schedule | None = None,
    variant: str | None = None,
    seed: int = 0,
    trust_model: bool = False,
) -> Scene:
    """Copy an incident with one fault more, and write the truth beside it.

    `out` gets the incident, `out` with the ending `.truth.json` what was done. Probes that the fault would have moved are left out.

    Raises:
        InjectionError: when `out` exists, the schedule's column has none of its values, or as for `inject`.
    """
    if out.exists():
        raise InjectionError(f"{out} exists; give a folder that does not")
    base, healthy = _read(source, trust_model=trust_model, seed=seed)
    if schedule is not None and schedule.column in base.current.columns:
        _require_rows(base.current, schedule.column, schedule.values)
    rng = np.random.default_rng(seed)
    scene = inject(
        mode, base, rng=rng, dose=dose, target=target, schedule=schedule, variant=variant
    )
    shutil.copytree(source, out)
    document = yaml.safe_load((out / "incident.yaml").read_text(encoding="utf-8"))
    _write_tables(scene, healthy, document, out)
    truth = json.dumps([asdict(t) for t in scene.truths], indent=1, ensure_ascii=False)
    out.with_name(out.name + ".truth.json").write_text(truth + "\n", encoding="utf-8")
    return scene


def _require_rows(frame: pl.DataFrame, column: str, wanted: tuple[str, ...]) -> None:
    known = text_series(frame, column).drop_nulls().unique().sort()
    if is_nested(frame.schema[column]) or not known.is_in(list(wanted)).any():
        raise InjectionError(
            f"no current row has {column} = {', '.join(wanted)}; {nearest(', '.join(wanted), known)}"
        )


def _retyped(labels: pl.Series, like: pl.Series) -> pl.Series:
    """Labels as text in the type of `like` again; a label that the type cannot hold becomes null."""
    if like.dtype in (pl.String, labels.dtype):
        return labels
    known = like.drop_nulls().unique().sort()
    return labels.replace_strict(
        label_text(known), known, default=None, return_dtype=like.dtype
    ).alias(labels.name)


def _write_tables(scene: Scene, healthy: pl.DataFrame, document: dict[str, Any], out: Path) -> None:
    base, columns = scene.base, document["data"]["columns"]
    answers = scene.answers()
    current = scene.seen.with_columns(scene.recorded.alias(base.target))
    current = current.with_columns(_logged(base, columns, current, answers))
    for window, frame in (("current", current), ("reference", scene.reference)):
        made_up = [c for c in _MADE_UP.values() if c in frame.columns]
        typed = _retyped(frame[base.target], healthy[base.target])
        frame.drop(made_up).with_columns(typed).write_parquet(out / f"injected_{window}.parquet")
    document["data"]["reference"] = "injected_reference.parquet"
    document["data"]["current"] = "injected_current.parquet"
    document.pop("windows", None)
    probes = document.get("probes") or {}
    inputs = list(base.features)
    if not scene.world.select(inputs).equals(base.current.select(inputs)):
        probes.pop("parity", None)
    if not scene.world[base.target].equals(base.current[base.target]):
        probes.pop("audit", None)
    if scene.servings or scene.model is not base.model:
        probes.pop("golden", None)
    if not probes:
        document.pop("probes", None)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    (out / "incident.yaml").write_text(text, encoding="utf-8")


def _logged(
    base: Base, columns: Mapping[str, Any], frame: pl.DataFrame, answers: Answers
) -> list[pl.Series]:
    """The answer columns as the incident names and types them."""
    found: list[pl.Series] = []
    name = columns.get("prediction")
    if name and base.classes:
        said = pl.Series(name, [base.classes[k] for k in answers.decision], dtype=pl.String)
        found.append(_retyped(said, frame[name]))
    elif name:
        found.append(pl.Series(name, answers.decision.astype(np.float64)))
    if answers.chances is None:
        return found
    if columns.get("score") and answers.chances.shape[1] == 2:
        found.append(pl.Series(columns["score"], answers.chances[:, 1]))
    places = {str(c): k for k, c in enumerate(base.classes)}
    for value, column in (columns.get("scores") or {}).items():
        found.append(pl.Series(column, answers.chances[:, places[str(value)]]))
    return found
