"""Incidents of a small served world, made by changing one thing about its current window."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding
from ruleout._registry import CHECKS
from ruleout.checks._run import ladder, run_check
from ruleout.incident._model import Columns, DataSpec, Incident, SymptomSpec, TableSpec
from ruleout.profile import Case, build_case

START = 1_700_000_000 - 1_700_000_000 % (7 * 86_400)
FEATURES = ("amount", "age", "visits", "kind")


def rule(frame: pl.DataFrame) -> Any:
    """Log-odds of the positive class."""
    kind = frame["kind"].replace_strict({"a": 0.0, "b": 1.0, "c": -1.0}, default=0.0).to_numpy()
    return (
        1.8 * frame["amount"].to_numpy()
        - 1.2 * frame["age"].to_numpy()
        + 0.6 * frame["visits"].to_numpy()
        + kind
    )


def rows(
    n: int, rng: np.random.Generator, *, start: float = START, days: float = 8
) -> pl.DataFrame:
    """Rows of the world in order of time."""
    frame = pl.DataFrame(
        {
            "ts": np.sort(start + rng.uniform(0, days * 86_400, n)),
            "amount": rng.normal(size=n),
            "age": rng.normal(size=n),
            "visits": rng.normal(size=n),
            "kind": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
            "region": rng.choice(["north", "south", "west"], n),
            "account": [f"u{k}" for k in rng.integers(0, 400, n)],
        }
    ).with_columns(
        pl.from_epoch((pl.col("ts") * 1e6).cast(pl.Int64), time_unit="us").dt.replace_time_zone(
            "UTC"
        )
    )
    return answered(frame, (rng.random(n) < 1 / (1 + np.exp(-rule(frame)))).astype(int))


def answered(frame: pl.DataFrame, label: Any) -> pl.DataFrame:
    """Rows with a label and what the model serves for them."""
    score = 1 / (1 + np.exp(-rule(frame)))
    return frame.with_columns(
        pl.Series("label", label),
        pl.Series("score", score),
        pl.Series("said", (score > 0.5).astype(int)),
    )


def windows(rng: np.random.Generator, n: int = 4000) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A reference of eight days and the two days after it."""
    return rows(n, rng), rows(n, rng, start=START + 8 * 86_400, days=2)


def case_of(reference: pl.DataFrame, current: pl.DataFrame, **more: Any) -> Case:
    """A case whose symptom counts as real unless `significant` says otherwise."""
    significant = more.pop("significant", True)
    columns = Columns(
        timestamp="ts" if more.pop("times", True) else None,
        id=more.pop("id", None),
        target="label",
        prediction="said",
        score="score",
        positive=1,
        label_available_at=more.pop("arrives", None),
        features=more.pop("features", FEATURES),
        segments=more.pop("segments", ("region",)),
    )
    case = build_case(
        Incident(
            title="test",
            task="binary",
            symptom=SymptomSpec(metric=more.pop("metric", "accuracy")),
            data=DataSpec(TableSpec(frame=reference), TableSpec(frame=current), columns),
            **more,
        )
    )
    case.significant = significant
    return case


def outcomes(case: Case, name: str) -> tuple[Any, ...]:
    """What one check says; a crash fails the test."""
    ladder()
    done = run_check(CHECKS[name], case).outcomes
    assert not any(isinstance(o, Abstained) and o.reason.startswith("crashed") for o in done), done
    return done


def findings(case: Case, name: str) -> dict[str, Finding]:
    """The findings of one check by signal."""
    return {o.signal: o for o in outcomes(case, name) if isinstance(o, Finding)}


def cleared(case: Case, name: str) -> set[str]:
    """The modes that one check rules out."""
    return {m for o in outcomes(case, name) if isinstance(o, Clear) for m in o.modes}


def abstained(case: Case, name: str) -> set[str]:
    """The modes that one check says it did not look for."""
    return {m for o in outcomes(case, name) if isinstance(o, Abstained) for m in o.modes}
