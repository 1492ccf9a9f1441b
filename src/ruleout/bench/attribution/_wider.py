"""Changes of other metrics than accuracy, of numbers too, and into inputs that the reference never saw; their parts are known.

Drawn in stages like the cases of `_cases.py`. What each stage brings is the metric of the whole pool, weighted by how often a row is
drawn and with labels as often turned, so the truth carries no sampling error. Inputs are unseen where the reference's rows
end at a value of one of them and the current ones go on beyond it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.attribution import decompose
from ruleout.bench.attribution import _cases, _losses
from ruleout.bench.attribution._cases import ROWS, halves, poisson, region, tilt
from ruleout.incident import Incident
from ruleout.incident._model import Columns, DataSpec, SymptomSpec, TableSpec
from ruleout.profile import build_case
from ruleout.stats._boosting import Floats
from ruleout.stats._decompose import Share
from ruleout.stats._estimate import expected_auc, expected_cells, from_cells

METRICS = ("f1", "mae", "roc_auc", "accuracy")
PARTS = ("balance", "covariates", "conditional", "unseen")
KINDS = (
    "covariates",
    "unseen",
    "covariates+conditional",
    "unseen+conditional",
    "conditional",
    "balance+conditional",
    "covariates+unseen",
)
_LEAST = 0.03
"""Of the metric, or of the reference's error: a smaller change has shares that mean nothing."""

_ERRORS = 6.0
"""Standard errors that the windows must show of it."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Rows of a served table, of classes or of numbers."""

    name: str
    frame: pl.DataFrame
    x: Floats
    label: Floats
    said: Floats
    score: Floats | None
    """P(positive), or None where the label is a number."""


@dataclass(frozen=True, slots=True)
class Case:
    """One change of one metric with its known parts."""

    pool: str
    kind: str
    metric: str
    features: tuple[str, ...]
    reference: pl.DataFrame
    current: pl.DataFrame
    truth: Mapping[str, float]
    seen: float
    """The change that the windows show."""

    weights: Mapping[str, Floats]
    """By stage that draws rows, the true weight of each reference row once it has happened, (n,)."""

    inside: Floats
    """Which current rows are like some of the reference, (m,), as 0 and 1."""


class _Now(NamedTuple):
    """How often each row is drawn, and what became of its label."""

    weight: Floats
    turned: Floats
    """Chance that a class is turned, or what is added to a number."""


def pools(rng: np.random.Generator) -> tuple[list[Pool], list[Pool]]:
    """Tables with classes, and tables with numbers."""
    classes = [
        Pool(p.name, p.frame, p.x, p.label.astype(float), p.decision.astype(float), p.score)
        for p in _cases.pools(rng)
    ]
    numbers = [
        Pool(
            p.name,
            pl.DataFrame({f"x{k}": p.x[:, k] for k in range(p.x.shape[1])}),
            p.x,
            p.label,
            p.said,
            None,
        )
        for p in _losses.pools(rng)
    ]
    return classes, numbers


def level(pool: Pool, metric: str, now: _Now) -> float:
    """The metric of a pool whose rows and labels are as `now` says, without sampling."""
    if pool.score is None:
        return float(np.average(np.abs(pool.label + now.turned - pool.said), weights=now.weight))
    positive = pool.label * (1 - now.turned) + (1 - pool.label) * now.turned
    if metric == "roc_auc":
        return expected_auc(positive, pool.score, now.weight)
    return from_cells(metric, expected_cells(positive, pool.said > 0.5, now.weight))


def make(pool: Pool, kind: str, metric: str, rng: np.random.Generator) -> Case | None:
    """Draw windows for one kind of change; None when it did too little."""
    n = len(pool.label)
    loss = np.abs(pool.label - pool.said)
    known = _inside(pool.x, rng) if "unseen" in kind else np.ones(n)
    now = start = _Now(known.copy(), np.zeros(n))
    stages: dict[str, _Now] = {}
    if "balance" in kind:
        factor = float(np.exp(rng.choice([-1, 1]) * rng.uniform(1.0, 2.0)))
        now = stages["balance"] = now._replace(
            weight=now.weight * np.where(pool.label == 1, factor, 1.0)
        )
    drawn = np.ones(n)
    if "covariates" in kind:
        drawn = tilt(pool.x, loss, rng)
        now = stages["covariates"] = now._replace(weight=now.weight * drawn)
    if "conditional" in kind:
        much = (
            rng.uniform(0.2, 0.5) if pool.score is not None else rng.uniform(1.0, 2.5) * loss.mean()
        )
        now = stages["conditional"] = now._replace(turned=region(pool.x, rng) * much)
    if "unseen" in kind:
        beyond = rng.uniform(0.7, 1.5) / max(float((1 - known).mean()), 1e-9) / 4
        now = stages["unseen"] = now._replace(weight=drawn * np.where(known > 0, 1.0, beyond))
    return _windows(pool, kind, metric, (known, start, stages), rng)


def _inside(x: Floats, rng: np.random.Generator) -> Floats:
    """Rows (n,) up to a value of one input, as 0 and 1: those beyond, a twentieth to a fifth, are the unseen ones."""
    while True:
        values = x[:, int(rng.integers(x.shape[1]))]
        up = rng.random() < 0.5
        edge = np.nanquantile(values, rng.uniform(0.8, 0.95) if up else rng.uniform(0.05, 0.2))
        kept = ~(values > edge) if up else ~(values < edge)
        if 0.03 < 1 - kept.mean() < 0.25:
            return kept.astype(float)


def _windows(
    pool: Pool,
    kind: str,
    metric: str,
    stages: tuple[Floats, _Now, Mapping[str, _Now]],
    rng: np.random.Generator,
) -> Case | None:
    known, start, between = stages
    end = list(between.values())[-1]
    parts = _differences({"": start, **between}, pool, metric)
    ours, theirs = halves(len(pool.label), rng)
    ours = ours[start.weight[ours] > 0]
    rows = ours[:ROWS], poisson(end.weight, theirs, rng)
    frames = [_drawn(pool, r, now, rng) for r, now in zip(rows, (start, end), strict=True)]
    told = [_sampled(frame, metric, rng) for frame in frames]
    error = float(np.hypot(told[0][1], told[1][1]))
    least = _LEAST if pool.score is not None else _LEAST * told[0][0]
    if not abs(sum(parts.values())) >= max(least, _ERRORS * error):
        return None
    return Case(
        pool.name,
        kind,
        metric,
        tuple(pool.frame.columns),
        frames[0],
        frames[1],
        parts,
        told[1][0] - told[0][0],
        {k: now.weight[rows[0]] for k, now in between.items() if k in ("balance", "covariates")},
        known[rows[1]],
    )


def _differences(stages: Mapping[str, _Now], pool: Pool, metric: str) -> dict[str, float]:
    """What each stage but the first brings."""
    levels = [level(pool, metric, now) for now in stages.values()]
    return dict(zip(list(stages)[1:], np.diff(levels).tolist(), strict=True))


def _drawn(
    pool: Pool, rows: NDArray[np.int64], now: _Now, rng: np.random.Generator
) -> pl.DataFrame:
    label, turned = pool.label[rows], now.turned[rows]
    frame: pl.DataFrame = pool.frame[rows.tolist()]
    if pool.score is None:
        return frame.with_columns(
            pl.Series("label_", label + turned), pl.Series("said_", pool.said[rows])
        )
    flip = rng.random(len(rows)) < turned
    return frame.with_columns(
        pl.Series("label_", np.where(flip, 1 - label, label).astype(np.int64)),
        pl.Series("said_", pool.said[rows].astype(np.int64)),
        pl.Series("score_", pool.score[rows]),
    )


def _sampled(frame: pl.DataFrame, metric: str, rng: np.random.Generator) -> tuple[float, float]:
    """The metric of a window, and its standard error by 30 bootstrap draws."""
    served, n = _served(frame), frame.height
    drawn = [np.bincount(rng.integers(0, n, n), minlength=n).astype(float) for _ in range(30)]
    values = [level(served, metric, _Now(w, np.zeros(n))) for w in (np.ones(n), *drawn)]
    return values[0], float(np.std(values[1:]))


def _served(frame: pl.DataFrame) -> Pool:
    label, said = (frame[c].cast(pl.Float64).to_numpy() for c in ("label_", "said_"))
    score = frame["score_"].to_numpy() if "score_" in frame.columns else None
    return Pool("", frame, np.empty((0, 0)), label, said, score)


def ours(case: Case) -> dict[str, Share] | None:
    """The whole path: two tables to the parts."""
    found = decompose(build_case(incident_of(case)))
    return None if found is None else {part: getattr(found.parts, part) for part in PARTS}


def true_weights(case: Case) -> dict[str, Share]:
    """The parts that the true weights give: what is left is the sampling of the windows."""
    before, after = _served(case.reference), _served(case.current)
    none = np.zeros(len(after.label))
    weights = {"": np.ones(len(before.label)), **case.weights}
    levels = [
        level(before, case.metric, _Now(w, np.zeros(len(before.label)))) for w in weights.values()
    ]
    common = level(after, case.metric, _Now(case.inside, none))
    parts = dict(zip(list(weights)[1:], np.diff(levels).tolist(), strict=True))
    parts["conditional"] = common - levels[-1]
    parts["unseen"] = level(after, case.metric, _Now(none + 1, none)) - common
    return {part: Share(parts.get(part, 0.0), np.nan, np.nan) for part in PARTS}


METHODS: Mapping[str, Callable[[Case], dict[str, Share] | None]] = {
    "ruleout": ours,
    "the true weights": true_weights,
}


def cases(many: int, seed: int) -> Iterator[Case]:
    """`many` cases, in turn of every kind and metric, from every pool that has it."""
    rng = np.random.default_rng(seed)
    classes, numbers = pools(rng)
    made = 0
    for attempt in range(8 * many):
        if made == many:
            return
        turn, place = divmod(attempt, len(KINDS))
        kind, metric = KINDS[place], METRICS[(turn + place) % len(METRICS)]
        from_ = numbers if metric == "mae" else classes
        if "balance" in kind and metric == "mae":
            continue
        case = make(from_[int(rng.integers(len(from_)))], kind, metric, rng)
        if case is not None:
            made += 1
            yield case


def incident_of(case: Case) -> Incident:
    """The incident that a case's windows describe."""
    data = DataSpec(
        TableSpec(frame=case.reference),
        TableSpec(frame=case.current),
        Columns(target="label_", prediction="said_", features=case.features),
    )
    numbers = Incident(
        title=case.kind, task="regression", symptom=SymptomSpec(metric=case.metric), data=data
    )
    if case.metric == "mae":
        return numbers
    columns = replace(data.columns, score="score_", positive=1)
    return replace(numbers, task="binary", data=replace(data, columns=columns))


def run(many: int, seed: int) -> pl.DataFrame:
    """One row for each case, method and part; shares of the change that the windows show."""
    rows: list[dict[str, object]] = []
    for number, case in enumerate(cases(many, seed)):
        for method, tell in METHODS.items():
            started = time.process_time()
            told = tell(case)
            rows += _rows(number, case, method, told, time.process_time() - started)
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        (pl.col("told").fill_null(0.0) - pl.col("true")).abs().alias("error")
    )


def _rows(
    number: int, case: Case, method: str, told: Mapping[str, Share] | None, seconds: float
) -> list[dict[str, object]]:
    whole = sum(case.truth.values())
    rows: list[dict[str, object]] = []
    for part in PARTS:
        share, true = None if told is None else told[part], case.truth.get(part, 0.0)
        looked = share is not None and (share.high > share.low or part in case.truth)
        rows.append(
            {
                "case": number,
                "pool": case.pool,
                "kind": case.kind,
                "metric": case.metric,
                "method": method,
                "part": part,
                "true": true / whole,
                "told": None if share is None else share.value / case.seen,
                "held": share.low <= true <= share.high if share is not None and looked else None,
                "seconds": seconds,
            }
        )
    return rows


def by(told: pl.DataFrame, column: str) -> pl.DataFrame:
    """How right the parts are by the kind of change or by the metric, beside what the windows' sampling alone costs."""
    whole = told.with_columns(
        (pl.col("error").max().over("case", "method") <= 0.10).alias("right"),
        (pl.col("method") == "ruleout").alias("mine"),
    )
    mine = pl.col("mine")
    return whole.group_by(column, maintain_order=True).agg(
        pl.col("case").n_unique().alias("cases"),
        pl.col("error").filter(mine).mean().alias("mean error of a share"),
        pl.col("right").filter(mine).mean().alias("all parts within 10 points"),
        pl.col("held").filter(mine).cast(pl.Float64).mean().alias("90% intervals hold"),
        pl.col("right").filter(~mine).mean().alias("within 10 points by the true weights"),
        pl.col("seconds").filter(mine).mean().alias("CPU s a case"),
    )
