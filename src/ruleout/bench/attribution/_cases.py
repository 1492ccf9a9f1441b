"""Changes whose parts are known.

Each case takes rows of a table with a model's decisions, and changes the current window in known stages: rows drawn by class
(class balance), by a function of the inputs (inputs), and labels turned in a region (outcome given inputs). What each stage brings is
computed on the whole pool, so the truth carries no sampling error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout.bench.corpus._dataset import data_folder, table
from ruleout.incident import Incident
from ruleout.incident._model import Columns, DataSpec, SymptomSpec, TableSpec
from ruleout.stats._boosting import Floats, fit, sigmoid

KINDS = ("balance", "covariates", "conditional", "covariates+conditional", "balance+conditional")
PARTS = ("balance", "covariates", "conditional")
_ROWS = 12_000
_LEAST = 0.03
"""A change smaller than this has shares that mean nothing."""


class Pool(NamedTuple):
    """Rows of a served table."""

    name: str
    frame: pl.DataFrame
    features: tuple[str, ...]
    x: Floats
    """Numbers and codes (n, F), for the tilt."""

    label: NDArray[np.int64]
    decision: NDArray[np.int64]
    score: Floats


@dataclass(frozen=True, slots=True)
class Case:
    """One change with its known parts, in the metric's units (accuracy)."""

    pool: str
    kind: str
    reference: pl.DataFrame
    current: pl.DataFrame
    features: tuple[str, ...]
    truth: Mapping[str, float]


def pools(rng: np.random.Generator) -> list[Pool]:
    """Generated tables, and the real ones where the data folder is there."""
    made = [generated(rng, "additive", 0.0), generated(rng, "interacting", 1.5)]
    try:
        data_folder()
    except RuleoutError:
        return made
    return [*made, *_real()]


def generated(rng: np.random.Generator, name: str, twist: float) -> Pool:
    n = 60_000
    x = rng.normal(size=(n, 8))
    x[:, 5] = rng.integers(0, 4, n)
    z = 1.4 * x[:, 0] - x[:, 1] + 0.5 * (x[:, 5] - 1.5) + twist * x[:, 2] * (x[:, 3] > 0)
    label = (rng.random(n) < sigmoid(z)).astype(np.int64)
    frame = pl.DataFrame({f"x{k}": x[:, k] for k in range(8)})
    return _served(name, frame, tuple(frame.columns), x, label)


def _served(
    name: str, frame: pl.DataFrame, features: tuple[str, ...], x: Floats, label: NDArray[np.int64]
) -> Pool:
    """Train on a part that is then left out, and answer the rest."""
    half = np.arange(len(x)) < len(x) // 4
    model = fit(
        x[half], label[half].astype(float), rng=np.random.default_rng(7), loss="logistic", trees=60
    )
    score = sigmoid(model.raw(x[~half])[:, 0])
    rest = frame.filter(pl.Series(~half))
    return Pool(name, rest, features, x[~half], label[~half], (score > 0.5).astype(np.int64), score)


def _real() -> list[Pool]:
    employment = table("acs_employment_ma/employment.parquet").filter(pl.col("year") == 2015)
    loans = table("synthetic_car_loan/loans.parquet").filter(pl.col("partition") == "reference")
    adult = table("adult/adult.parquet").sample(fraction=1.0, shuffle=True, seed=3)
    told = (
        (
            "employment",
            employment,
            "employed",
            1,
            ("id", "year", "partition", "prediction", "predicted_probability"),
        ),
        (
            "car loan",
            loans,
            "repaid",
            1,
            ("id", "timestamp", "partition", "y_pred", "y_pred_proba"),
        ),
        ("adult", adult, "income", ">50K", ("split", "fnlwgt")),
    )
    return [_real_pool(*row) for row in told]


def _real_pool(
    name: str, frame: pl.DataFrame, target: str, positive: object, other: Sequence[str]
) -> Pool:
    features = tuple(c for c in frame.columns if c not in (*other, target))
    label = (frame[target].cast(pl.String) == _text(positive)).fill_null(value=False)
    if not label.any():
        label = (frame[target] == positive).fill_null(value=False)
    columns = [
        frame[c].cast(pl.Float64)
        if frame[c].dtype.is_numeric()
        else frame[c].cast(pl.String).rank("dense").cast(pl.Float64)
        for c in features
    ]
    x = np.stack([c.to_numpy() for c in columns], axis=1)
    return _served(name, frame.select(features), features, x, label.to_numpy().astype(np.int64))


def _text(value: object) -> str:
    return str(value)


def make(pool: Pool, kind: str, rng: np.random.Generator) -> Case | None:
    """Draw windows for one kind of change; None when it did too little."""
    loss = (pool.label != pool.decision).astype(float)
    weight = np.ones(len(loss))
    parts: dict[str, float] = {}
    level = float(1 - loss.mean())
    if "balance" in kind:
        factor = float(np.exp(rng.choice([-1, 1]) * rng.uniform(1.0, 2.0)))
        weight = weight * np.where(pool.label == 1, factor, 1.0)
        level = _stage(parts, "balance", level, 1 - float(np.average(loss, weights=weight)))
    if "covariates" in kind:
        weight = weight * np.exp(rng.uniform(1.2, 2.0) * _harm(pool, loss, rng))
        level = _stage(parts, "covariates", level, 1 - float(np.average(loss, weights=weight)))
    turned = np.zeros(len(loss))
    if "conditional" in kind:
        turned = _region(pool, rng) * rng.uniform(0.2, 0.5)
        worse = loss * (1 - turned) + (1 - loss) * turned
        level = _stage(parts, "conditional", level, 1 - float(np.average(worse, weights=weight)))
    change = sum(parts.values())
    if abs(change) < _LEAST:
        return None
    windows = [
        _draw(pool, w, t, rng) for w, t in ((np.ones(len(loss)), 0 * turned), (weight, turned))
    ]
    return Case(pool.name, kind, windows[0], windows[1], pool.features, parts)


def by_score(pool: Pool, rng: np.random.Generator) -> Case:
    """Windows of which the current one is drawn by score alone: P(label | score) is exactly as before."""
    weight = np.exp(rng.choice([-1, 1]) * rng.uniform(1.0, 2.5) * pool.score)
    none = np.zeros(len(weight))
    windows = [_draw(pool, w, none, rng) for w in (none + 1.0, weight)]
    return Case(pool.name, "scores", windows[0], windows[1], pool.features, {})


def _stage(parts: dict[str, float], name: str, before: float, after: float) -> float:
    parts[name] = after - before
    return after


def _harm(pool: Pool, loss: Floats, rng: np.random.Generator) -> Floats:
    """A score (n,) in about [-1, 1] of one or two inputs that grows with the loss."""
    told = np.zeros(len(loss))
    for column in rng.choice(pool.x.shape[1], min(3, pool.x.shape[1]), replace=False):
        rank = np.unique(pool.x[:, column], return_inverse=True)[1]
        bins = np.minimum((rank * 8) // (rank.max() + 1), 7)
        mean = np.bincount(bins, weights=loss, minlength=8) / np.maximum(
            np.bincount(bins, minlength=8), 1
        )
        told += (mean[bins] - loss.mean()) / max(float(mean[bins].std()), 1e-9)
    return np.asarray(np.clip(told / 2.0, -1.5, 1.5))


def _region(pool: Pool, rng: np.random.Generator) -> Floats:
    column = pool.x[:, int(rng.integers(pool.x.shape[1]))]
    return (np.nan_to_num(column) >= np.nanquantile(column, rng.uniform(0.3, 0.7))).astype(float)


def _draw(pool: Pool, weight: Floats, turned: Floats, rng: np.random.Generator) -> pl.DataFrame:
    rows = (
        rng.choice(len(weight), _ROWS, replace=False, p=weight / weight.sum())
        if np.ptp(weight) == 0
        else _poisson(weight, rng)
    )
    flip = rng.random(len(rows)) < turned[rows]
    label = np.where(flip, 1 - pool.label[rows], pool.label[rows])
    drawn: pl.DataFrame = pool.frame[rows.tolist()]
    return drawn.with_columns(
        pl.Series("label_", label),
        pl.Series("said_", pool.decision[rows]),
        pl.Series("score_", pool.score[rows]),
    )


def _poisson(weight: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows kept independently with chances in proportion to `weight`: exactly the tilted distribution."""
    chance = weight * min(_ROWS / weight.sum(), 1.0 / weight.max())
    return np.flatnonzero(rng.random(len(weight)) < chance)


def cases(many: int, seed: int) -> Iterator[Case]:
    """`many` cases, in turn from every pool and of every kind."""
    rng = np.random.default_rng(seed)
    known = pools(rng)
    made = 0
    for attempt in range(6 * many):
        if made == many:
            return
        case = make(
            known[attempt % len(known)], KINDS[(attempt + attempt // len(known)) % len(KINDS)], rng
        )
        if case is not None:
            made += 1
            yield case


def incident_of(case: Case) -> Incident:
    """The incident that a case's windows describe."""
    columns = Columns(
        target="label_", prediction="said_", score="score_", positive=1, features=case.features
    )
    return Incident(
        title=case.kind,
        task="binary",
        symptom=SymptomSpec(metric="accuracy"),
        data=DataSpec(TableSpec(frame=case.reference), TableSpec(frame=case.current), columns),
    )
