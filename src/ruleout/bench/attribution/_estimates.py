"""Metrics estimated without labels: their error where only inputs moved, and who warns where the relation changed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from ruleout.attribution import estimate_performance
from ruleout.bench.attribution._cases import Case, Pool, by_score, incident_of, make, pools
from ruleout.bench.attribution._peers import Peer
from ruleout.incident._model import SymptomSpec, TableSpec
from ruleout.profile import build_case
from ruleout.stats._estimate import expected_auc, expected_cells, from_cells

METRICS = ("accuracy", "f1", "auc")
_KNOWN = 500
"""Current rows that keep their labels; estimates do not use them, warnings may."""


def _cases(many: int, seed: int) -> Iterator[Case]:
    """In turn from every pool: scores moved, inputs moved, or the relation changed."""
    rng = np.random.default_rng(seed)
    known = pools(rng)
    made = 0
    for attempt in range(6 * many):
        if made == many:
            return
        kind = ("scores", "covariates", "conditional")[(attempt + attempt // len(known)) % 3]
        pool = known[attempt % len(known)]
        case = by_score(pool, rng) if kind == "scores" else _made(pool, kind, rng)
        if case is not None:
            made += 1
            yield case


def _made(pool: Pool, kind: str, rng: np.random.Generator) -> Case | None:
    """A change of that kind that does enough, in a few attempts."""
    return next((c for _ in range(8) if (c := make(pool, kind, rng)) is not None), None)


def realised(frame: pl.DataFrame, metric: str) -> float:
    """The metric of a window whose labels are all known."""
    label, said, score = (
        frame[c].cast(pl.Float64).to_numpy() for c in ("label_", "said_", "score_")
    )
    if metric == "auc":
        return expected_auc(label, score)
    return from_cells(metric, expected_cells(label, said > 0.5, np.ones(len(label))))


def ours(case: Case, metric: str) -> tuple[float, bool, bool]:
    """The estimate, whether its interval holds the realised metric, and whether it warns."""
    n = case.current.height
    kept = np.isin(np.arange(n), np.random.default_rng(0).choice(n, min(n, _KNOWN), replace=False))
    current = case.current.with_columns(
        pl.when(pl.Series(kept)).then(pl.col("label_")).alias("label_")
    )
    whole = incident_of(case)
    unlabelled = replace(
        whole,
        symptom=SymptomSpec(metric=metric),
        data=replace(whole.data, current=TableSpec(frame=current)),
    )
    told = estimate_performance(build_case(unlabelled))
    if told is None:
        return float("nan"), False, False
    true = realised(case.current, metric)
    e = told.estimate
    return e.value, e.low <= true <= e.high, "contradict" in told.caution


def run(many: int, seed: int, peers: Sequence[Peer] = ()) -> pl.DataFrame:
    """One row for each case, metric and method."""
    rows = []
    for case in _cases(many, seed):
        true = {metric: realised(case.current, metric) for metric in METRICS}
        for metric in METRICS:
            started = time.process_time()
            value, held, warned = ours(case, metric)
            used = time.process_time() - started
            rows.append(_row(case, "ruleout", value - true[metric], used, held=held, warned=warned))
            stale = realised(case.reference, metric) - true[metric]
            rows.append(_row(case, "the reference's metric", stale, 0.0))
        for peer in peers:
            said = peer.ask(lambda folder, case=case: _write_case(case, folder))  # type: ignore[misc]
            for metric, value in (said.answer or {}).items():
                used = said.seconds / len(METRICS)
                rows.append(_row(case, peer.name, value - true[metric], used))
    return pl.DataFrame(rows, infer_schema_length=None)


def _write_case(case: Case, folder: Path) -> None:
    columns = ("label_", "said_", "score_")
    case.reference.select(columns).write_parquet(folder / "reference.parquet")
    case.current.select(columns[1:]).write_parquet(folder / "current.parquet")


def _row(
    case: Case,
    method: str,
    error: float,
    seconds: float,
    *,
    held: bool | None = None,
    warned: bool | None = None,
) -> dict[str, object]:
    return {
        "method": method,
        "kind": case.kind,
        "error": abs(error),
        "held": held,
        "warned": warned,
        "seconds": seconds,
    }


_CHANGED = "relation changed"
_MADE = {"scores": "scores moved", "covariates": "inputs moved", "conditional": _CHANGED}


def by_method(told: pl.DataFrame) -> pl.DataFrame:
    """Errors where inputs moved and where the relation changed, and the warnings in both."""
    return summary(told, _MADE)


def summary(told: pl.DataFrame, made: Mapping[str, str]) -> pl.DataFrame:
    """Errors, intervals and warnings of each method, by the kinds of cases `made`, each with its words.

    Where the relation changed, no interval can hold.
    """
    columns = []
    for kind, words in made.items():
        for column, name in (
            ("error", "mean error"),
            ("held", "90% intervals hold"),
            ("warned", "warned"),
        ):
            if words != _CHANGED or column != "held":
                mean = pl.col(column).cast(pl.Float64).filter(pl.col("kind") == kind).mean()
                columns.append(mean.alias(f"{name}, {words}"))
    seconds = pl.col("seconds").mean().alias("CPU s an estimate")
    return told.group_by("method", maintain_order=True).agg(*columns, seconds)
