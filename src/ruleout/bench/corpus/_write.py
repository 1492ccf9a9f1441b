"""Writing a scene as an incident folder: tables, models, probes, change log, and nothing of the truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from ruleout.bench.corpus._metrics import LOWER_IS_BETTER
from ruleout.bench.corpus._style import Style, positive, styled
from ruleout.prevention.inject import Answers, Event, Scene

_METRIC_WORDS = {
    "accuracy": "Accuracy",
    "roc_auc": "ROC AUC",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "log_loss": "Log loss",
    "precision": "Precision",
    "recall": "Recall",
    "mae": "Mean absolute error",
    "rmse": "RMSE",
}


@dataclass(frozen=True, slots=True)
class Kit:
    """Which parts of the evidence an incident hands over."""

    model: bool = True
    previous: bool = True
    parity: bool = True
    golden: bool = True
    audit: bool = True
    changes: bool = True
    timestamps: bool = True
    ids: bool = True
    labels: bool = True
    lineage: bool = True
    scores: bool = True
    final_at: bool = False

    def names(self) -> list[str]:
        """The parts that are there."""
        return [n for n in self.__slots__ if getattr(self, n)]


@dataclass(frozen=True, slots=True)
class Written:
    """What the folder holds besides the faults: the metric, noise in the change log, telemetry."""

    metric: str
    noise: tuple[Event, ...] = ()
    telemetry: pl.DataFrame | None = None
    segments: tuple[str, ...] = ()
    one_table: bool = False
    """Write both windows into one table, told apart by their times."""

    style: Style = field(default_factory=Style)


def title(scene: Scene, metric: str, rng: np.random.Generator) -> str:
    """A title as the person on call would put it: the symptom alone."""
    words, subject = _METRIC_WORDS[metric], scene.base.subject
    verb = "rose" if metric in LOWER_IS_BETTER else "fell"
    forms = (
        f"{words} of the {subject} {verb}",
        f"{subject.capitalize()}: {words} {verb}",
        f"{words} of the {subject} {verb} over the last days",
        f"Alert: {subject} {words.lower()} is worse than last month",
    )
    return forms[int(rng.integers(len(forms)))]


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")


def _served(scene: Scene, frame: pl.DataFrame, answers: Answers, kit: Kit) -> pl.DataFrame:
    """Add the logged answers to a window."""
    base = scene.base
    if not base.classes:
        frame = frame.with_columns(pl.Series("prediction", answers.decision.astype(np.float64)))
        return frame.with_columns(pl.col("prediction").round(4))
    kind = scene.base.reference[base.target].dtype
    said = pl.Series("prediction", [base.classes[k] for k in answers.decision]).cast(kind)
    frame = frame.with_columns(said)
    if answers.chances is None or not kit.scores:
        return frame
    if len(base.classes) == 2:
        scored = frame.with_columns(pl.Series("score", answers.chances[:, 1].round(6)))
        return scored.drop("prediction") if base.task == "ranking" else scored
    columns = [
        pl.Series(f"p_{c}", answers.chances[:, k].round(6)) for k, c in enumerate(base.classes)
    ]
    return frame.with_columns(columns)


def current_table(scene: Scene, answers: Answers, kit: Kit) -> pl.DataFrame:
    """The current window as logged."""
    base = scene.base
    frame = scene.seen.with_columns(scene.recorded.alias(base.target))
    frame = _served(scene, frame, answers, kit)
    if scene.unlogged is not None:
        lost = pl.Series(scene.unlogged)
        names = [c for c in frame.columns if c in {"prediction", "score"} or c.startswith("p_")]
        frame = frame.with_columns(
            [pl.when(lost).then(None).otherwise(pl.col(c)).alias(c) for c in names]
        )
    if scene.available is not None:
        stamps = pl.Series("label_final_at", (scene.available * 1e6).astype(np.int64))
        frame = frame.with_columns(stamps.cast(pl.Datetime("us", "UTC")))
    elif kit.final_at:
        frame = _early(base.timestamp, frame)
    return _stripped(scene, frame, kit)


def reference_table(scene: Scene, answers: Answers, kit: Kit) -> pl.DataFrame:
    """The reference window as logged."""
    frame = _served(scene, scene.reference, answers, kit)
    if kit.final_at or scene.available is not None:
        frame = _early(scene.base.timestamp, frame)
    return _stripped(scene, frame, kit)


def _early(timestamp: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Labels that were final well before anybody looked."""
    return frame.with_columns((pl.col(timestamp) + pl.duration(minutes=1)).alias("label_final_at"))


def _stripped(scene: Scene, frame: pl.DataFrame, kit: Kit) -> pl.DataFrame:
    base = scene.base
    if not kit.ids:
        frame = frame.drop(base.id)
    if not kit.timestamps:
        frame = frame.drop(base.timestamp)
        if "label_final_at" in frame.columns:
            frame = frame.drop("label_final_at")
    return frame


def _golden_score(answers: Answers, reference: Answers) -> NDArray[np.float64]:
    """One number a row (n,): P(positive), or P(the class expected), or the value."""
    if answers.chances is None or reference.chances is None:
        return answers.decision.astype(np.float64)
    if answers.chances.shape[1] == 2:
        return answers.chances[:, 1]
    rows = np.arange(len(reference.decision))
    picked: NDArray[np.float64] = answers.chances[rows, reference.decision]
    return picked


def golden_table(scene: Scene, rng: np.random.Generator, n: int = 400) -> pl.DataFrame:
    """Fixed inputs, the scores stored for them, and what the fleet answers now."""
    base = scene.base
    rows = np.sort(
        rng.choice(scene.reference.height, size=min(n, scene.reference.height), replace=False)
    )
    inputs = scene.reference[rows]
    # Each golden row goes to a replica as a recent request did.
    recent = rng.integers(int(scene.seen.height * 0.8), scene.seen.height, size=len(rows))
    # Who served the reference window is what the scores were stored from.
    expected = (scene.model if scene.features else base.model).answer(inputs)
    now = scene.model.answer(inputs)
    for serving in scene.servings:
        hit = serving.mask[recent]
        if hit.any():
            now = now.where(hit, serving.answer(inputs, now))
    host = scene.seen[base.host].gather(recent)
    return inputs.select(base.id, *scene.inputs).with_columns(
        host.alias(base.host),
        pl.Series("expected_score", _golden_score(expected, expected).round(6)),
        pl.Series("served_score", _golden_score(now, expected).round(6)),
    )


def parity_table(scene: Scene, rng: np.random.Generator, n: int = 2_000) -> pl.DataFrame:
    """Features recomputed from raw as of request time, for a sample of requests."""
    base = scene.base
    source = scene.offline if scene.offline is not None else scene.world
    fresh = source.unique(base.id, keep="first", maintain_order=True)
    rows = np.sort(rng.choice(fresh.height, size=min(n, fresh.height), replace=False))
    kept = [n_ for n_ in scene.inputs if n_ in fresh.columns]
    return fresh[rows].select(base.id, *kept)


def audit_table(scene: Scene, rng: np.random.Generator, n: int = 800) -> pl.DataFrame:
    """True labels of a sample of requests."""
    base = scene.base
    fresh = scene.world.unique(base.id, keep="first", maintain_order=True)
    rows = np.sort(rng.choice(fresh.height, size=min(n, fresh.height), replace=False))
    return fresh[rows].select(base.id, pl.col(base.target).alias("audited_label"))


def write_incident(
    scene: Scene,
    answers: tuple[Answers, Answers],
    written: Written,
    kit: Kit,
    *,
    folder: Path,
    rng: np.random.Generator,
) -> None:
    """Write `folder`; `answers` are those of the reference and of the current window."""
    folder.mkdir(parents=True, exist_ok=True)
    style = written.style
    reference = styled(scene.base, reference_table(scene, answers[0], kit), style)
    current = styled(scene.base, current_table(scene, answers[1], kit), style)
    if style.pending:
        unknown = pl.int_range(pl.len()) >= round(current.height * (1 - style.pending))
        target = pl.col(scene.base.target)
        current = current.with_columns(
            pl.when(unknown).then(None).otherwise(target).alias(scene.base.target)
        )
    if not kit.labels:
        current = current.with_columns(
            pl.lit(None, dtype=current[scene.base.target].dtype).alias(scene.base.target)
        )
    document: dict[str, Any] = {
        "version": 1,
        "title": title(scene, written.metric, rng),
        "task": scene.base.task,
        "symptom": {
            "metric": written.metric,
            "noticed_at": _stamp(float(scene.base.seconds(scene.seen).max()) + 1.0),
        },
        "data": _data(scene, current, written, kit),
    }
    _tables(scene, reference, current, written=written, folder=folder, document=document)
    _models(scene, kit, folder, document)
    _probes(scene, kit, style, folder=folder, document=document, rng=rng)
    _changes(scene, written, kit, folder, document)
    if written.telemetry is not None:
        written.telemetry.write_parquet(folder / "metrics.parquet")
        document["telemetry"] = {
            "metrics": "metrics.parquet",
            "kpis": [f"monitored_{written.metric}"],
        }
    (folder / "incident.yaml").write_text(
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def _data(scene: Scene, current: pl.DataFrame, written: Written, kit: Kit) -> dict[str, Any]:
    base = scene.base
    media = {"text": base.text, "image": base.image, "embedding": base.embedding}
    roles: dict[str, Any] = {
        "id": base.id if kit.ids else None,
        "timestamp": base.timestamp if kit.timestamps else None,
        "target": base.target,
        "prediction": "prediction" if "prediction" in current.columns else None,
    }
    if len(base.classes) == 2:
        roles["positive"] = positive(base, written.style)
        if "score" in current.columns:
            roles["score"] = "score"
    elif base.classes and f"p_{base.classes[0]}" in current.columns:
        roles["scores"] = {c: f"p_{c}" for c in base.classes}
    extra = [c for c in ("token_count", "unknown_tokens") if c in current.columns]
    roles["features"] = [
        c for c in (*scene.inputs, *extra) if c not in media.values() and c in current.columns
    ]
    roles["categorical"] = [c for c in base.categorical if c in current.columns]
    roles.update({k: v for k, v in media.items() if v})
    roles["segments"] = [c for c in written.segments if c in current.columns]
    if "label_final_at" in current.columns:
        roles["label_available_at"] = "label_final_at"
    named = {v for v in roles.values() if isinstance(v, str)} | set(roles["segments"])
    named |= set((roles.get("scores") or {}).values())
    rest = [c for c in current.columns if c not in named]
    if written.style.implicit and set(rest) == set(roles["features"]):
        roles["features"] = None
    empty = {k for k, v in roles.items() if v is None or v == []}
    spec: dict[str, Any] = {
        "reference": "reference.parquet",
        "current": "current.parquet",
        "columns": {k: v for k, v in roles.items() if k not in empty},
    }
    if kit.lineage and base.sources:
        spec["sources"] = {k: list(v) for k, v in base.sources.items()}
    return spec


def _tables(
    scene: Scene,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    written: Written,
    folder: Path,
    document: dict[str, Any],
) -> None:
    if not written.one_table:
        reference.write_parquet(folder / "reference.parquet")
        current.write_parquet(folder / "current.parquet")
        return
    both = pl.concat([reference, current], how="diagonal_relaxed")
    both.write_parquet(folder / "requests.parquet")
    base = scene.base
    marks = [
        float(base.seconds(scene.reference).min()),
        float(base.seconds(scene.seen).min()),
        float(base.seconds(scene.seen).max()) + 1.0,
    ]
    document["windows"] = {
        "reference": [_stamp(marks[0] - 1.0), _stamp(marks[1] - 1.0)],
        "current": [_stamp(marks[1] - 1.0), _stamp(marks[2])],
    }
    document["data"].update(reference="requests.parquet", current="requests.parquet")


def _models(scene: Scene, kit: Kit, folder: Path, document: dict[str, Any]) -> None:
    given = {"current": scene.model if kit.model else None}
    given["previous"] = scene.previous if kit.previous and kit.model else None
    entries: dict[str, Any] = {}
    begin = float(scene.base.seconds(scene.reference).min())
    for role, model in given.items():
        if model is None or model.path is None:
            continue
        name = f"model_v{model.version}{model.path.suffix}"
        shutil.copyfile(model.path, folder / name)
        entries[role] = {"uri": name, "version": model.version}
        if role == "current" and kit.changes:
            launch = [e.at for e in scene.events if e.kind == "model"]
            entries[role]["deployed_at"] = _stamp(launch[0] if launch else begin - 86_400 * 9)
        if scene.base.task == "binary":
            entries[role]["threshold"] = model.threshold
    if entries:
        document["models"] = entries


def _probes(
    scene: Scene,
    kit: Kit,
    style: Style,
    *,
    folder: Path,
    document: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    probes: dict[str, Any] = {}
    key = scene.base.id
    media = scene.base.image is not None
    if kit.parity and kit.ids:
        offline = styled(scene.base, parity_table(scene, rng, 300 if media else 2_000), style)
        offline.write_parquet(folder / "offline.parquet")
        probes["parity"] = {"offline": "offline.parquet", "key": key}
    if kit.golden:
        golden = styled(scene.base, golden_table(scene, rng, 100 if media else 400), style)
        golden.write_parquet(folder / "golden.parquet")
        probes["golden"] = {"inputs": "golden.parquet", "expected": "expected_score"}
    if kit.audit and kit.ids:
        audited = styled(scene.base, audit_table(scene, rng), style)
        audited.write_parquet(folder / "audited.parquet")
        probes["audit"] = {"labels": "audited.parquet", "key": key, "label": "audited_label"}
    if probes:
        document["probes"] = probes


def _changes(
    scene: Scene, written: Written, kit: Kit, folder: Path, document: dict[str, Any]
) -> None:
    events = sorted((*scene.events, *written.noise), key=lambda e: e.at)
    if not kit.changes or not events:
        return
    pl.DataFrame(
        {
            "timestamp": [_stamp(e.at) for e in events],
            "kind": [e.kind for e in events],
            "entity": [e.entity for e in events],
            "description": [e.description for e in events],
            "diff": [e.diff or "" for e in events],
        }
    ).write_csv(folder / "changes.csv")
    document["changes"] = "changes.csv"
