"""Small served systems, healthy or with one thing wrong, for the tests of the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

import ruleout.checks
import ruleout.experiments.repairs
from ruleout._records import Abstained, Clear, Finding, Outcome
from ruleout._registry import CHECKS, REPAIRS, load_all
from ruleout.experiments._undone import Undone
from ruleout.incident import Incident
from ruleout.incident._model import (
    AuditProbe,
    Columns,
    DataSpec,
    GoldenProbe,
    ModelSpec,
    ParityProbe,
    SymptomSpec,
    TableSpec,
)
from ruleout.profile import Case, build_case

Floats = np.ndarray[Any, np.dtype[np.float64]]
DAY = 86_400.0
START = 1_700_000_000.0


def new_score(frame: pl.DataFrame) -> Floats:
    """The model that should serve."""
    x = frame["amount"].to_numpy() * 1.4 - 0.8 * frame["age"].to_numpy()
    return 1 / (1 + np.exp(-(x + 1.2 * (frame["device"] == "web").to_numpy() - 0.4)))


def old_score(frame: pl.DataFrame) -> Floats:
    """A weaker earlier model."""
    return 1 / (1 + np.exp(-(0.9 * frame["amount"].to_numpy() + 0.5 * frame["rate"].to_numpy())))


@dataclass
class System:
    """Two windows of a served binary classifier; tests change what they like and build a case."""

    rng: np.random.Generator
    rows: int = 3_000
    frames: dict[str, pl.DataFrame] = field(default_factory=dict)
    models: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    noticed_at: float | None = None

    def __post_init__(self) -> None:
        for place, which in enumerate(("reference", "current")):
            n, rng = self.rows, self.rng
            frame = pl.DataFrame(
                {
                    "id": [f"{which[0]}{i}" for i in range(n)],
                    "ts": START + place * 5 * DAY + np.linspace(0, 4 * DAY, n),
                    "host": rng.choice(["a", "b", "c", "d"], n),
                    "amount": rng.normal(size=n),
                    "age": rng.normal(size=n),
                    "rate": rng.normal(size=n),
                    "device": rng.choice(["ios", "web", "tv"], n),
                }
            )
            score = new_score(frame)
            label = (rng.random(n) < score).astype(int)
            self.frames[which] = self._served(frame.with_columns(y=label), score)

    def _served(self, frame: pl.DataFrame, score: Floats, threshold: float = 0.5) -> pl.DataFrame:
        return frame.with_columns(
            score=pl.Series(score), said=pl.Series((score >= threshold).astype(int))
        )

    @property
    def current(self) -> pl.DataFrame:
        return self.frames["current"]

    def place(self) -> Floats:
        """Position of each current row in its window, in [0, 1]."""
        return np.arange(self.rows) / self.rows

    def serve(self, score: Floats, where: Any = None, threshold: float = 0.5) -> System:
        """Replace the served scores, and decide by them."""
        old = self.current["score"].to_numpy()
        merged = score if where is None else np.where(where, score, old)
        self.frames["current"] = self._served(self.current, merged, threshold)
        return self

    def change(self, **columns: Any) -> System:
        """Replace columns of the current window."""
        self.frames["current"] = self.current.with_columns(
            **{name: pl.Series(values) for name, values in columns.items()}
        )
        return self

    def case(self, *, task: str = "binary", metric: str = "accuracy", **columns: Any) -> Case:
        """Read it as an incident."""
        roles: dict[str, Any] = {
            "id": "id",
            "timestamp": "ts",
            "target": "y",
            "prediction": "said",
            "score": "score",
            "positive": 1,
            "features": ("amount", "age", "rate", "device"),
            "segments": ("host",),
        }
        roles |= self.columns | columns
        tables = {which: TableSpec(frame=frame) for which, frame in self.frames.items()}
        incident = Incident(
            title="test",
            task=task,
            symptom=SymptomSpec(metric=metric, noticed_at=self.noticed_at),
            data=DataSpec(columns=Columns(**roles), **tables),
            models={name: ModelSpec(uri=model) for name, model in self.models.items()},
            **self.probes,
        )
        return build_case(incident, trust_model=True)

    def audit(self, labels: Any, rows: int = 800) -> System:
        """Add audited labels of some current rows."""
        chosen = np.sort(self.rng.choice(self.rows, rows, replace=False))
        frame = pl.DataFrame(
            {"id": self.current["id"][chosen], "again": np.asarray(labels)[chosen]}
        )
        self.probes["audit"] = AuditProbe(TableSpec(frame=frame), "id", "again")
        return self

    def parity(self, frame: pl.DataFrame, rows: int = 1_000) -> System:
        """Add recomputed features of some current rows."""
        chosen = np.sort(self.rng.choice(self.rows, rows, replace=False))
        offline = frame[chosen].select("id", "amount", "age", "rate", "device")
        self.probes["parity"] = ParityProbe(TableSpec(frame=offline), "id")
        return self

    def golden(self, served: Callable[[pl.DataFrame], Floats]) -> System:
        """Add golden inputs with stored and served scores."""
        inputs = self.frames["reference"][:300].select("amount", "age", "rate", "device", "host")
        frame = inputs.with_columns(
            expected=pl.Series(new_score(inputs)), served_score=pl.Series(served(inputs))
        )
        self.probes["golden"] = GoldenProbe(TableSpec(frame=frame), "expected")
        return self


def healthy(seed: int = 0, *, models: Mapping[str, Any] | None = None) -> System:
    """A system with nothing wrong, with the model that served it unless told otherwise."""
    system = System(np.random.default_rng(seed))
    system.models = {"current": new_score} if models is None else dict(models)
    return system


def run(case: Case, *checks: str) -> list[Outcome]:
    """Outcomes of some checks, by id."""
    load_all(ruleout.checks, "ruleout.checks")
    return [outcome for name in checks for outcome in CHECKS[name].run(case, case.rng(name))]


def supported(outcomes: list[Outcome]) -> set[str]:
    """Modes that findings support with at least a third of their full weight."""
    return {
        mode
        for outcome in outcomes
        if isinstance(outcome, Finding) and outcome.strength > 0.33
        for mode in outcome.supports
    }


def cleared(outcomes: list[Outcome]) -> set[str]:
    """Modes that are ruled out for every subject."""
    return {
        mode
        for outcome in outcomes
        if isinstance(outcome, Clear) and not outcome.subject.names
        for mode in outcome.modes
    }


def abstained(outcomes: list[Outcome]) -> str:
    """Reasons for abstaining, joined."""
    return "; ".join(outcome.reason for outcome in outcomes if isinstance(outcome, Abstained))


def undone(case: Case, outcomes: list[Outcome], mode: str) -> float:
    """Accuracy after the first repair that a finding proposes for `mode`."""
    load_all(ruleout.experiments.repairs, "ruleout.repairs")
    plans = [
        plan
        for outcome in outcomes
        if isinstance(outcome, Finding) and mode in outcome.supports
        for plan in outcome.repairs
    ]
    plan = plans[0]
    assert mode in REPAIRS[plan.repair].undoes, (mode, plan.repair)
    changed: Undone = REPAIRS[plan.repair].run(case, plan)
    served, truth = case.outputs("current"), case.truth("current")
    if changed.outputs is not None:
        served = changed.outputs
    if changed.truth is not None:
        truth = changed.truth
    if changed.features:
        frame = case.current.frame.with_columns([s.alias(n) for n, s in changed.features.items()])
        assert case.predictor is not None
        served = case.predictor.predict(frame)
    weight = None if changed.keep is None else changed.keep.astype(float)
    return case.metric.value(truth, served, weight)
