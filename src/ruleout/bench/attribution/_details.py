"""The inputs' part of a change divided among inputs, and among the sources that fill them, against shares that are known.

Rows are drawn by one to three inputs, each by itself, from a table whose inputs are independent, or were made so. The loss that is expected when a group of
inputs follows the current window is then the reference's loss weighted by that group's own factors, on the whole pool, and the
true shares are the Shapley values of that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ruleout.attribution import DetailShare, decompose
from ruleout.bench.attribution import _cases
from ruleout.bench.attribution._cases import MODELS, ROWS, Pool, halves, poisson
from ruleout.profile import build_case
from ruleout.stats._boosting import Floats, fit, sigmoid
from ruleout.stats._shapley import shapley

_LEAST = 0.03
"""Least change of accuracy: a smaller one has shares that mean nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """Windows that differ by some of the inputs, with the true shares of the inputs' part."""

    windows: _cases.Case
    inputs: Mapping[str, float]
    """By input that moved, its share; they sum to 1."""

    sources: Mapping[str, float]

    groups: Mapping[str, tuple[str, ...]]
    """Inputs of each source."""

    sampled: tuple[Mapping[str, float], Mapping[str, float]]
    """The shares that the true weights give on the reference's rows: what is left is the sampling of that window."""


def pools(rng: np.random.Generator) -> list[Pool]:
    """Generated tables of eight independent inputs, and real ones with every column shuffled by itself, served by every kind of model."""
    known = _cases.pools(rng)
    made = [
        _cases.generated(rng, name, twist, model=model)
        for name, twist in (("additive", 0.0), ("interacting", 1.5))
        for model in MODELS[:2]
    ]
    return [*made, *(_shuffled(pool, rng) for pool in known[3:])]


def _shuffled(pool: Pool, rng: np.random.Generator) -> Pool:
    """A table's columns as they are, one by one, with labels as a booster taught by it expects them, and a simpler model that serves."""
    x = np.stack([rng.permutation(column) for column in pool.x.T], axis=1)
    taught = fit(pool.x, pool.label.astype(float), rng=rng, loss="logistic", trees=80)
    label = (rng.random(len(x)) < sigmoid(taught.raw(x)[:, 0])).astype(np.int64)
    served = fit(pool.x, pool.label.astype(float), rng=rng, loss="logistic", trees=25, depth=1)
    score = sigmoid(served.raw(x)[:, 0])
    frame = pl.DataFrame({name: x[:, k] for k, name in enumerate(pool.features)})
    decision = (score > 0.5).astype(np.int64)
    return Pool(f"{pool.name}, shuffled", frame, pool.features, x, label, decision, score)


def cases(many: int, seed: int) -> Iterator[Case]:
    """`many` cases, in turn from every pool."""
    rng = np.random.default_rng(seed)
    known = pools(rng)
    made = 0
    for attempt in range(10 * many):
        if made == many:
            return
        case = _make(known[attempt % len(known)], rng)
        if case is not None:
            made += 1
            yield case


def _make(pool: Pool, rng: np.random.Generator) -> Case | None:
    loss = (pool.label != pool.decision).astype(float)
    chosen = rng.choice(len(pool.features), int(rng.integers(1, 4)), replace=False).tolist()
    factor = {pool.features[c]: _factor(pool.x[:, c], loss, rng) for c in chosen}
    weight = np.asarray(np.prod(list(factor.values()), axis=0))
    change = float(loss.mean() - np.average(loss, weights=weight))
    if abs(change) < _LEAST:
        return None
    ours, theirs = halves(len(loss), rng)
    rows = ours[:ROWS], poisson(weight, theirs, rng)
    frames = [_cases.drawn_rows(pool, r, np.zeros(len(loss)), rng) for r in rows]
    windows = _cases.Case(
        pool.name, "inputs", frames[0], frames[1], pool.features, {"covariates": change}, {}
    )
    alone = {name: (name,) for name in factor}
    groups = {f"source {k}": pool.features[k::3] for k in range(3)}
    here = {name: f[rows[0]] for name, f in factor.items()}
    return Case(
        windows,
        truth(loss, factor, alone),
        truth(loss, factor, groups),
        groups,
        (truth(loss[rows[0]], here, alone), truth(loss[rows[0]], here, groups)),
    )


def _factor(values: Floats, loss: Floats, rng: np.random.Generator) -> Floats:
    """How much likelier each row becomes by one input alone, (n,): the more, the more its eighth of the values errs."""
    rank = np.unique(values, return_inverse=True)[1]
    bins = np.minimum((rank * 8) // (rank.max() + 1), 7)
    rows = np.maximum(np.bincount(bins, minlength=8), 1)
    mean = np.bincount(bins, weights=loss, minlength=8) / rows
    slope = rng.uniform(0.4, 1.0) / max(float(mean[bins].std()), 1e-9)
    return np.asarray(np.exp(np.clip(slope * (mean[bins] - loss.mean()), -1.5, 1.5)))


def truth(
    loss: Floats, factor: Mapping[str, Floats], groups: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Share of each group of inputs in the change of the mean of `loss` (n,), whose rows are drawn by `factor` (n,) of some inputs."""
    names = list(groups)

    def worth(coalition: frozenset[int]) -> float:
        inside = {name for k in coalition for name in groups[names[k]]}
        weight = np.ones(len(loss))
        for name in inside & set(factor):
            weight = weight * factor[name]
        return float(np.average(loss, weights=weight))

    shares = shapley(len(names), worth, rng=np.random.default_rng(0))
    return dict(zip(names, (shares / shares.sum()).tolist(), strict=True))


def ours(case: Case) -> tuple[Sequence[DetailShare], Sequence[DetailShare]]:
    """Parts by input and by source as the whole path tells them; empty where nothing was divided."""
    whole = _cases.incident_of(case.windows)
    found = decompose(build_case(replace(whole, data=replace(whole.data, sources=case.groups))))
    return ((), ()) if found is None else (found.features, found.sources)


def run(many: int, seed: int) -> pl.DataFrame:
    """One row for each case, method and way of dividing."""
    rows: list[dict[str, object]] = []
    for number, case in enumerate(cases(many, seed)):
        started = time.process_time()
        told = ours(case)
        used = time.process_time() - started
        part = case.windows.truth["covariates"]
        for by, parts, sampled, true in zip(
            ("input", "source"), told, case.sampled, (case.inputs, case.sources), strict=True
        ):
            whole = sum(t.value for t in parts)
            mine = {t.name: t.value / whole for t in parts}
            held = [
                t.low <= true.get(t.name, 0.0) * part <= t.high for t in parts if t.name in true
            ]
            common = {"case": number, "pool": case.windows.pool, "by": by}
            rows.append(
                {
                    **common,
                    "method": "ruleout",
                    **_judged(mine, true),
                    "held": float(np.mean(held)) if held else None,
                    "seconds": used,
                }
            )
            rows.append({**common, "method": "the true weights", **_judged(sampled, true)})
    return pl.DataFrame(rows, infer_schema_length=None)


def _judged(said: Mapping[str, float], true: Mapping[str, float]) -> dict[str, object]:
    """How far shares are from the true ones; names that did not move have a true share of nought."""
    if not said:
        return {"divided": False, "first": None, "error": None, "worst": None}
    away = [abs(said.get(name, 0.0) - true.get(name, 0.0)) for name in {*said, *true}]
    first = max(said, key=lambda name: said[name]) == max(true, key=lambda name: true[name])
    return {"divided": True, "first": first, "error": float(np.mean(away)), "worst": max(away)}


def by_way(told: pl.DataFrame) -> pl.DataFrame:
    """How right shares by input and by source are, where the part was divided."""
    return told.group_by("by", "method", maintain_order=True).agg(
        pl.len().alias("cases"),
        pl.col("divided").mean(),
        pl.col("first").mean().alias("the largest is named first"),
        pl.col("error").mean().alias("mean error of a share"),
        (pl.col("worst") <= 0.10).mean().alias("all shares within 10 points"),
        pl.col("held").mean().alias("90% intervals hold"),
        pl.col("seconds").mean().alias("CPU s a case"),
    )
