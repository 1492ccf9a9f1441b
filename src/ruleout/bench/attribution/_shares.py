"""Shares of a change against shares that are known, by `ruleout`, by its two single-robust halves, and by peers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout.attribution import decompose
from ruleout.bench.attribution._cases import PARTS, Case, cases, incident_of
from ruleout.bench.attribution._peers import Peer
from ruleout.profile import build_case
from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit
from ruleout.stats._density import density_ratio


class Told(NamedTuple):
    """What one method says: parts (None where it has no such part), and whether its intervals hold."""

    value: Mapping[str, float | None]
    held: Mapping[str, bool]


def ours(case: Case) -> Told:
    """The whole path: two tables to an attribution."""
    found = decompose(build_case(incident_of(case)))
    if found is None:
        return Told(dict.fromkeys(PARTS, float("nan")), {})
    shares = {name: getattr(found.parts, name) for name in PARTS}
    unseen = found.parts.unseen.value
    value = {
        name: s.value + (unseen if name == "covariates" else 0.0) for name, s in shares.items()
    }
    held = {
        name: bool(s.low <= case.truth.get(name, 0.0) <= s.high)
        for name, s in shares.items()
        if s.high > s.low or name in case.truth  # a part that neither names has no interval
    }
    return Told(value, held)


def numbers(case: Case) -> tuple[Floats, Floats, Floats, Floats]:
    """Inputs of both windows as numbers and codes, and the losses of both."""
    both = pl.concat([case.reference.select(case.features), case.current.select(case.features)])
    x = np.stack(
        [
            (c if c.dtype.is_numeric() else c.cast(pl.String).rank("dense"))
            .cast(pl.Float64)
            .to_numpy()
            for c in both.get_columns()
        ],
        axis=1,
    )
    n = case.reference.height
    loss = [
        (f["label_"] != f["said_"]).cast(pl.Float64).to_numpy()
        for f in (case.reference, case.current)
    ]
    return x[:n], x[n:], loss[0], loss[1]


def weights_alone(case: Case) -> Told:
    """Inputs by a density ratio, the rest to the relation."""
    x, now, before, after = numbers(case)
    ratio = density_ratio(x, now, rng=np.random.default_rng(0))
    return _two_parts(before, after, float(np.average(before, weights=ratio.reference)))


def outcome_alone(case: Case) -> Told:
    """Inputs by a model of the loss, the rest to the relation."""
    x, now, before, after = numbers(case)
    _, foreign = cross_fit(x, before, now, rng=np.random.default_rng(0))
    return _two_parts(before, after, float(foreign.mean()))


def _two_parts(before: Floats, after: Floats, moved: float) -> Told:
    return Told(
        {
            "balance": None,
            "covariates": float(before.mean() - moved),
            "conditional": float(moved - after.mean()),
        },
        {},
    )


def true_weights(case: Case) -> Told:
    """The parts that the true weights of the reference's rows give: what is left is the sampling of the windows."""
    _, _, before, after = numbers(case)
    level, parts = float(before.mean()), dict.fromkeys(PARTS, 0.0)
    for stage, weight in case.weights.items():
        moved = float(np.average(before, weights=weight))
        parts[stage], level = level - moved, moved
    parts["conditional"] = level - float(after.mean())
    return Told(dict(parts), {})


METHODS: Mapping[str, Callable[[Case], Told]] = {
    "ruleout": ours,
    "weights alone": weights_alone,
    "outcome model alone": outcome_alone,
    "the true weights": true_weights,
}


def write_case(case: Case, folder: Path) -> None:
    """What a peer reads: both windows as numbers and codes, the loss, and the names of the inputs."""
    x, now, *_ = numbers(case)
    for name, rows, frame in (
        ("reference", x, case.reference),
        ("current", now, case.current),
    ):
        table = pl.DataFrame({f"x{k}": rows[:, k] for k in range(rows.shape[1])})
        table.with_columns(
            *(frame[c].cast(pl.Float64) for c in ("label_", "said_", "score_"))
        ).write_parquet(folder / f"{name}.parquet")


def run(many: int, seed: int, peers: Sequence[Peer] = ()) -> pl.DataFrame:
    """One row for each case, method and part."""
    rows = []
    for number, case in enumerate(cases(many, seed)):
        for method, told, seconds in chain(_own(case), _peers(case, peers)):
            rows += _rows(number, case, method, told, seconds)
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(
        (pl.col("told").fill_null(0.0) - pl.col("true")).abs().alias("error")
    )


def _own(case: Case) -> list[tuple[str, Told | None, float]]:
    out: list[tuple[str, Told | None, float]] = []
    for method, tell in METHODS.items():
        started = time.process_time()
        told = tell(case)
        out.append((method, told, time.process_time() - started))
    return out


def _peers(case: Case, peers: Sequence[Peer]) -> list[tuple[str, Told | None, float]]:
    out: list[tuple[str, Told | None, float]] = []
    for peer in peers:
        said = peer.ask(lambda folder: write_case(case, folder))
        if said.answer is None:
            out.append((peer.name, None, said.seconds))
        for method, parts in (said.answer or {}).items():
            told = Told({part: parts.get(part) for part in PARTS}, {})
            out.append((method, told, parts["seconds"]))
    return out


def _rows(
    number: int, case: Case, method: str, told: Told | None, seconds: float
) -> list[dict[str, object]]:
    whole, seen = sum(case.truth.values()), _seen(case)
    rows: list[dict[str, object]] = []
    for part in PARTS:
        value = told.value[part] if told is not None else None
        rows.append(
            {
                "case": number,
                "pool": case.pool,
                "kind": case.kind,
                "method": method,
                "part": part,
                "true": case.truth.get(part, 0.0) / whole,
                "told": None if value is None else value / seen,
                "asked": told is not None and (value is not None or part not in case.truth),
                "held": None if told is None else told.held.get(part),
                "seconds": seconds,
            }
        )
    return rows


def _seen(case: Case) -> float:
    """The change of accuracy that the windows show: what a method divides, and what its parts are shares of."""
    _, _, before, after = numbers(case)
    return float(before.mean() - after.mean())


def by_method(told: pl.DataFrame) -> pl.DataFrame:
    """Each method on the cases whose parts it has names for, beside `ruleout` on the same cases."""
    whole = told.with_columns(
        (pl.col("error").max().over("case", "method") <= 0.10).alias("right"),
        pl.col("asked").all().over("case", "method").alias("can"),
    )
    many = whole["case"].n_unique()
    mine = whole.filter(pl.col("method") == "ruleout")
    out = []
    for (method,), rows in whole.group_by("method", maintain_order=True):
        can = rows.filter(pl.col("can"))
        same = mine.filter(pl.col("case").is_in(can["case"].unique().to_list()))
        out.append(
            {
                "method": method,
                "cannot answer": many - can["case"].n_unique(),
                "mean error of a share": can["error"].mean(),
                "all parts within 10 points": can["right"].mean(),
                "90% intervals hold": can["held"].cast(pl.Float64).mean(),
                "ruleout's mean error on the same cases": same["error"].mean(),
                "CPU s a case": rows.group_by("case")
                .agg(pl.col("seconds").max())["seconds"]
                .mean(),
            }
        )
    return pl.DataFrame(out, infer_schema_length=None)


def by_kind(told: pl.DataFrame) -> pl.DataFrame:
    """How right `ruleout` is for each kind of change."""
    return (
        told.filter(pl.col("method") == "ruleout")
        .with_columns((pl.col("error").max().over("case") <= 0.10).alias("right"))
        .group_by("kind", maintain_order=True)
        .agg(
            pl.col("case").n_unique().alias("cases"),
            pl.col("error").mean().alias("mean error of a share"),
            pl.col("right").mean().alias("all parts within 10 points"),
            pl.col("held").cast(pl.Float64).mean().alias("90% intervals hold"),
        )
    )
