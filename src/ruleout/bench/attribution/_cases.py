"""Changes whose parts are known.

Each case takes rows of a table with a model's decisions, and changes the current window in known stages: rows drawn by class
(class balance), by a function of the inputs (inputs), and labels turned in a region (outcome given inputs). What each stage brings is
computed on the whole pool, so the truth carries no sampling error. The weights that were drawn by are kept, so that what the
windows' own sampling costs can be told apart from what a method gets wrong.
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
MODELS = ("boosted", "linear", "overfitted", "stumps")
"""What serves a pool: a booster, a logistic regression, a booster that saw too little, one too simple."""

PARTS = ("balance", "covariates", "conditional")
ROWS = 12_000
_LEAST = 0.03
"""A change smaller than this has shares that mean nothing."""

_ERRORS = 6.0
"""Nor has one of fewer standard errors than this: the windows themselves would not show it."""


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
    weights: Mapping[str, Floats]
    """By stage that draws rows, the true weight of each reference row once it has happened, (n,)."""


def pools(rng: np.random.Generator) -> list[Pool]:
    """Generated tables, and the real ones where the data folder is there; which model serves which turns with the seed."""
    turn = int(rng.integers(len(MODELS)))
    models = [MODELS[(turn + k) % len(MODELS)] for k in range(8)]
    made = [
        generated(rng, "additive", 0.0, model=models[0]),
        generated(rng, "interacting", 1.5, model=models[1]),
        generated(rng, "correlated", 0.8, width=20, model=models[2]),
    ]
    try:
        data_folder()
    except RuleoutError:
        return made
    return [*made, *(make(model) for make, model in zip(_REAL, models[3:], strict=True))]


def generated(
    rng: np.random.Generator, name: str, twist: float, *, width: int = 8, model: str = "boosted"
) -> Pool:
    """A table of `width` inputs, of which those beyond eight follow the first ones."""
    n = 60_000
    x = rng.normal(size=(n, width))
    x[:, 8:] = 0.7 * x[:, : width - 8] + 0.7 * x[:, 8:]
    x[:, 5] = rng.integers(0, 4, n)
    z = 1.4 * x[:, 0] - x[:, 1] + 0.5 * (x[:, 5] - 1.5) + twist * x[:, 2] * (x[:, 3] > 0)
    label = (rng.random(n) < sigmoid(z)).astype(np.int64)
    frame = pl.DataFrame({f"x{k}": x[:, k] for k in range(width)})
    return _served(name, frame, tuple(frame.columns), x, label, model)


def _served(
    name: str,
    frame: pl.DataFrame,
    features: tuple[str, ...],
    x: Floats,
    label: NDArray[np.int64],
    model: str,
) -> Pool:
    """Train on a part that is then left out, and answer the rest."""
    part = np.random.default_rng(7).random(len(x)) < 0.25
    score = _scores(model, x[part], label[part].astype(float), x[~part])
    rest = frame.filter(pl.Series(~part))
    decision = (score > 0.5).astype(np.int64)
    return Pool(f"{name}, {model}", rest, features, x[~part], label[~part], decision, score)


def _scores(model: str, x: Floats, label: Floats, others: Floats) -> Floats:
    """P(positive) of `others` (m, F) as a model of that kind says after seeing `x` (n, F)."""
    rng = np.random.default_rng(7)
    if model == "linear":
        return _logistic(x, label, others)
    if model == "overfitted":
        few = rng.permutation(len(x))[:2_000]
        told = fit(x[few], label[few], rng=rng, loss="logistic", trees=150, depth=7, rate=0.3)
    elif model == "stumps":
        told = fit(x, label, rng=rng, loss="logistic", trees=25, depth=1)
    else:
        told = fit(x, label, rng=rng, loss="logistic", trees=60)
    return sigmoid(told.raw(others)[:, 0])


def _logistic(x: Floats, label: Floats, others: Floats) -> Floats:
    """Logistic regression on standardised columns, by Newton's method with a little ridge."""
    middle, spread = np.nanmean(x, axis=0), np.nanstd(x, axis=0) + 1e-9
    design, wanted = (
        np.column_stack([np.ones(len(v)), np.nan_to_num((v - middle) / spread)])
        for v in (x, others)
    )
    beta = np.zeros(design.shape[1])
    for _ in range(15):
        p = sigmoid(design @ beta)
        bend = (design * (p * (1 - p))[:, None]).T @ design + np.eye(len(beta))
        beta += np.linalg.solve(bend, design.T @ (label - p) - beta)
    return sigmoid(wanted @ beta)


def _employment(model: str) -> Pool:
    frame = table("acs_employment_ma/employment.parquet").filter(pl.col("year") == 2015)
    other = ("id", "year", "partition", "prediction", "predicted_probability")
    return _real_pool("employment", frame, "employed", 1, other, model)


def _loans(model: str) -> Pool:
    frame = table("synthetic_car_loan/loans.parquet").filter(pl.col("partition") == "reference")
    other = ("id", "timestamp", "partition", "y_pred", "y_pred_proba")
    return _real_pool("car loan", frame, "repaid", 1, other, model)


def _adult(model: str) -> Pool:
    frame = table("adult/adult.parquet")
    return _real_pool("adult", frame, "income", ">50K", ("split", "fnlwgt"), model)


def _california(model: str) -> Pool:
    frame = table("california_housing/housing.parquet")
    other = ("id", "timestamp", "partition", "y_pred", "y_pred_proba")
    return _real_pool("california", frame, "clf_target", 1, other, model)


def _bikes(model: str) -> Pool:
    frame = table("bike_sharing/hour.parquet").with_columns(
        (pl.col("cnt") > pl.col("cnt").median()).cast(pl.Int64).alias("busy")
    )
    other = ("instant", "dteday", "casual", "registered", "cnt")
    return _real_pool("bikes", frame, "busy", 1, other, model)


_REAL = (_employment, _loans, _adult, _california, _bikes)


def _real_pool(
    name: str,
    frame: pl.DataFrame,
    target: str,
    positive: object,
    other: Sequence[str],
    model: str,
) -> Pool:
    """A real table in random order, so that its windows differ by what is done to them and by nothing else."""
    frame = frame.sample(fraction=1.0, shuffle=True, seed=3)
    features = tuple(c for c in frame.columns if c not in (*other, target))
    label = (frame[target].cast(pl.String) == str(positive)).fill_null(value=False)
    if not label.any():
        label = (frame[target] == positive).fill_null(value=False)
    columns = [
        frame[c].cast(pl.Float64)
        if frame[c].dtype.is_numeric()
        else frame[c].cast(pl.String).rank("dense").cast(pl.Float64)
        for c in features
    ]
    x = np.stack([c.to_numpy() for c in columns], axis=1)
    codes = label.to_numpy().astype(np.int64)
    return _served(name, frame.select(features), features, x, codes, model)


def make(pool: Pool, kind: str, rng: np.random.Generator) -> Case | None:
    """Draw windows for one kind of change; None when it did too little."""
    loss = (pool.label != pool.decision).astype(float)
    weight = np.ones(len(loss))
    parts: dict[str, float] = {}
    weights: dict[str, Floats] = {}
    level = float(1 - loss.mean())
    if "balance" in kind:
        factor = float(np.exp(rng.choice([-1, 1]) * rng.uniform(1.0, 2.0)))
        weights["balance"] = weight = weight * np.where(pool.label == 1, factor, 1.0)
        level = _stage(parts, "balance", level, 1 - float(np.average(loss, weights=weight)))
    if "covariates" in kind:
        weights["covariates"] = weight = weight * tilt(pool.x, loss, rng)
        level = _stage(parts, "covariates", level, 1 - float(np.average(loss, weights=weight)))
    turned = np.zeros(len(loss))
    if "conditional" in kind:
        turned = region(pool.x, rng) * rng.uniform(0.2, 0.5)
        worse = loss * (1 - turned) + (1 - loss) * turned
        level = _stage(parts, "conditional", level, 1 - float(np.average(worse, weights=weight)))
    ours, theirs = halves(len(pool.label), rng)
    drawn = ours[:ROWS], poisson(weight, theirs, rng)
    error = np.sqrt(
        sum(
            p * (1 - p) / len(rows) for p, rows in zip((1 - loss.mean(), level), drawn, strict=True)
        )
    )
    if abs(sum(parts.values())) < max(_LEAST, _ERRORS * error):
        return None
    frames = [
        drawn_rows(pool, rows, t, rng) for rows, t in zip(drawn, (0 * turned, turned), strict=True)
    ]
    kept = {stage: w[drawn[0]] for stage, w in weights.items()}
    return Case(pool.name, kind, frames[0], frames[1], pool.features, parts, kept)


def by_score(pool: Pool, rng: np.random.Generator) -> Case:
    """Windows of which the current one is drawn by score alone: P(label | score) is exactly as before."""
    weight = np.exp(rng.choice([-1, 1]) * rng.uniform(1.0, 2.5) * pool.score)
    ours, theirs = halves(len(pool.label), rng)
    none = np.zeros(len(weight))
    windows = [
        drawn_rows(pool, rows, none, rng) for rows in (ours[:ROWS], poisson(weight, theirs, rng))
    ]
    return Case(pool.name, "scores", windows[0], windows[1], pool.features, {}, {})


def halves(rows: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that the two windows may draw: none is in both, as in life."""
    order = rng.permutation(rows)
    return order[: rows // 2], order[rows // 2 :]


def _stage(parts: dict[str, float], name: str, before: float, after: float) -> float:
    parts[name] = after - before
    return after


def tilt(inputs: Floats, loss: Floats, rng: np.random.Generator) -> Floats:
    """How much likelier each row of `inputs` (n, F) becomes, by up to three of them that go with `loss` (n,), in steps or smoothly."""
    columns = rng.choice(inputs.shape[1], min(3, inputs.shape[1]), replace=False)
    if rng.random() < 0.5:
        return np.asarray(np.exp(rng.uniform(1.2, 2.0) * _harm(inputs, columns, loss)))
    x = inputs[:, columns]
    scaled = np.clip(
        np.nan_to_num((x - np.nanmean(x, axis=0)) / (np.nanstd(x, axis=0) + 1e-9)), -3, 3
    )
    slopes = rng.uniform(0.3, 0.8, len(columns)) * np.sign(scaled.T @ (loss - loss.mean()))
    return np.asarray(np.exp(np.clip(scaled @ slopes, -3.0, 3.0)))


def _harm(inputs: Floats, columns: NDArray[np.int64], loss: Floats) -> Floats:
    """A score (n,) in about [-1, 1] of some inputs that grows with the loss."""
    told = np.zeros(len(loss))
    for column in columns:
        rank = np.unique(inputs[:, column], return_inverse=True)[1]
        bins = np.minimum((rank * 8) // (rank.max() + 1), 7)
        mean = np.bincount(bins, weights=loss, minlength=8) / np.maximum(
            np.bincount(bins, minlength=8), 1
        )
        told += (mean[bins] - loss.mean()) / max(float(mean[bins].std()), 1e-9)
    return np.asarray(np.clip(told / 2.0, -1.5, 1.5))


def region(inputs: Floats, rng: np.random.Generator) -> Floats:
    """Rows (n,) of `inputs` (n, F) beyond a value of one of them, or of two, as 0 and 1."""
    inside = np.ones(len(inputs), dtype=bool)
    for column in rng.choice(inputs.shape[1], int(rng.integers(1, 3)), replace=False):
        x = inputs[:, column]
        inside &= np.nan_to_num(x) >= np.nanquantile(x, rng.uniform(0.3, 0.7))
    return inside.astype(float)


def drawn_rows(
    pool: Pool, rows: NDArray[np.int64], turned: Floats, rng: np.random.Generator
) -> pl.DataFrame:
    """A window of those rows (n,) of the pool, each label turned with the chance that its row has in `turned`."""
    flip = rng.random(len(rows)) < turned[rows]
    label = np.where(flip, 1 - pool.label[rows], pool.label[rows])
    drawn: pl.DataFrame = pool.frame[rows.tolist()]
    return drawn.with_columns(
        pl.Series("label_", label),
        pl.Series("was_", pool.label[rows]),
        pl.Series("said_", pool.decision[rows]),
        pl.Series("score_", pool.score[rows]),
    )


def poisson(weight: Floats, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows kept independently with chances in proportion to `weight`: exactly the tilted distribution."""
    mine = weight[rows]
    chance = mine * min(ROWS / mine.sum(), 1.0 / mine.max())
    return np.asarray(rows[rng.random(len(rows)) < chance])


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
