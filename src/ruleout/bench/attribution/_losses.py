"""Mean absolute errors estimated without labels: their error where inputs moved, and who warns where the relation changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout.attribution import estimate_performance
from ruleout.bench.attribution._cases import ROWS, halves, poisson, region, tilt
from ruleout.bench.attribution._estimates import summary
from ruleout.bench.attribution._peers import Peer
from ruleout.bench.corpus._dataset import data_folder, table
from ruleout.incident import Incident
from ruleout.incident._model import Columns, DataSpec, SymptomSpec, TableSpec
from ruleout.profile import build_case
from ruleout.stats._boosting import Floats, fit

KINDS = ("inputs", "relation")
_KNOWN = 500
"""Current rows that keep their labels; estimates do not use them, warnings may."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows of a served table whose label is a number."""

    name: str
    x: Floats
    """Inputs (n, F)."""

    label: Floats
    said: Floats


@dataclass(frozen=True, slots=True)
class Case:
    """Two windows of one pool: columns `x0`, ..., `label_` and `said_`."""

    pool: str
    kind: str
    features: tuple[str, ...]
    reference: pl.DataFrame
    current: pl.DataFrame


def pools(rng: np.random.Generator) -> list[Pool]:
    """Two generated tables, and bike rentals and the incomes of housing blocks where the data folder is there."""
    made = [_generated(rng, "even", 0.0), _generated(rng, "uneven", 0.5)]
    try:
        data_folder()
    except RuleoutError:
        return made
    bikes = table("bike_sharing/hour.parquet").drop("instant", "dteday", "casual", "registered")
    homes = table("california_housing/housing.parquet").select(
        "MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"
    )  # fmt: skip
    return [*made, _real(rng, "bikes", bikes, "cnt"), _real(rng, "california", homes, "MedInc")]


def _generated(rng: np.random.Generator, name: str, uneven: float) -> Pool:
    """Labels with noise that grows with an input by `uneven`."""
    x = rng.normal(size=(40_000, 8))
    mean = 2 * x[:, 0] - x[:, 1] + 1.5 * x[:, 2] * (x[:, 3] > 0)
    return _served(rng, name, x, mean + rng.normal(size=len(x)) * np.exp(uneven * x[:, 4]))


def _real(rng: np.random.Generator, name: str, frame: pl.DataFrame, target: str) -> Pool:
    numbers = frame.select(pl.all().cast(pl.Float64)).drop_nulls()
    return _served(rng, name, numbers.drop(target).to_numpy(), numbers[target].to_numpy())


def _served(rng: np.random.Generator, name: str, x: Floats, label: Floats) -> Pool:
    """Train on a quarter that is then left out, and answer the rest."""
    part = rng.random(len(x)) < 0.25
    told = fit(x[part], label[part], rng=rng, trees=60)
    return Pool(name, x[~part], label[~part], told.raw(x[~part])[:, 0])


def cases(many: int, seed: int) -> Iterator[Case]:
    """In turn from every pool: rows drawn by inputs that go with the error, or besides labels moved in a region."""
    rng = np.random.default_rng(seed)
    known = pools(rng)
    for k in range(many):
        yield _case(known[k % len(known)], KINDS[(k + k // len(known)) % len(KINDS)], rng)


def _case(pool: Pool, kind: str, rng: np.random.Generator) -> Case:
    error = np.abs(pool.label - pool.said)
    weight = tilt(pool.x, error, rng)
    ours, theirs = halves(len(pool.label), rng)
    moved = np.zeros(len(pool.label))
    if kind == "relation":
        moved = region(pool.x, rng) * rng.uniform(1.0, 2.5) * error.mean()
    drawn = ours[:ROWS], poisson(weight, theirs, rng)
    windows = [
        _window(pool, rows, add) for rows, add in zip(drawn, (0 * moved, moved), strict=True)
    ]
    features = tuple(f"x{k}" for k in range(pool.x.shape[1]))
    return Case(pool.name, kind, features, windows[0], windows[1])


def _window(pool: Pool, rows: NDArray[np.int64], moved: Floats) -> pl.DataFrame:
    frame = pl.DataFrame({f"x{k}": pool.x[rows, k] for k in range(pool.x.shape[1])})
    return frame.with_columns(
        pl.Series("label_", pool.label[rows] + moved[rows]), pl.Series("said_", pool.said[rows])
    )


def realised(frame: pl.DataFrame) -> float:
    """Mean absolute error of a window whose labels are all known."""
    return float((frame["label_"] - frame["said_"]).abs().to_numpy().mean())


def ours(case: Case) -> tuple[float, bool, bool]:
    """The estimate, whether its interval holds the realised error, and whether it warns."""
    n = case.current.height
    kept = np.isin(np.arange(n), np.random.default_rng(0).choice(n, min(n, _KNOWN), replace=False))
    current = case.current.with_columns(pl.when(pl.Series(kept)).then("label_").alias("label_"))
    columns = Columns(target="label_", prediction="said_", features=case.features)
    data = DataSpec(TableSpec(frame=case.reference), TableSpec(frame=current), columns)
    incident = Incident(
        title=case.kind, task="regression", symptom=SymptomSpec(metric="mae"), data=data
    )
    told = estimate_performance(build_case(replace(incident)))
    if told is None:
        return float("nan"), False, False
    e = told.estimate
    return e.value, e.low <= realised(case.current) <= e.high, "contradict" in told.caution


def run(many: int, seed: int, peers: Sequence[Peer] = ()) -> pl.DataFrame:
    """One row for each case and method; errors in units of the reference's mean absolute error."""
    rows = []
    for case in cases(many, seed):
        usual, true = realised(case.reference), realised(case.current)
        started = time.process_time()
        value, held, warned = ours(case)
        used = time.process_time() - started
        told = [("ruleout", value, held, warned, used), ("the reference's metric", usual, None, None, 0.0)]  # fmt: skip
        for peer in peers:
            said = peer.ask(lambda folder, case=case: _write_case(case, folder))  # type: ignore[misc]
            told.append((peer.name, float("nan") if said.answer is None else said.answer, None, None, said.seconds))  # fmt: skip
        rows += [
            {
                "method": method,
                "pool": case.pool,
                "kind": case.kind,
                "error": abs(value - true) / usual,
                "held": held,
                "warned": warned,
                "seconds": seconds,
            }
            for method, value, held, warned, seconds in told
        ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _write_case(case: Case, folder: Path) -> None:
    case.reference.write_parquet(folder / "reference.parquet")
    case.current.drop("label_").write_parquet(folder / "current.parquet")


def by_method(told: pl.DataFrame) -> pl.DataFrame:
    """Errors where inputs moved and where the relation changed, and the warnings in both."""
    return summary(told, dict(zip(KINDS, ("inputs moved", "relation changed"), strict=True)))
