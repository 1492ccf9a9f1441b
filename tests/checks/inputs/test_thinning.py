"""Sums and counts that lack a part of their events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from linked_world import START, broken, made, quiet, rows, served
from ruleout.checks.inputs.scales import lost_counts
from ruleout.incident._model import ModelSpec
from ruleout.stats._relation import Affine
from ruleout.stats._thinning import thinned, thinning
from served_world import cleared, findings


def thin(name: str, seed: int = 5) -> pl.Series:
    """The quiet world's input, every value low by a share of its own."""
    _, current = quiet()
    values = current[name].to_numpy().astype(float)
    share = np.random.default_rng(seed).beta(2, 3, len(values))
    low = values * share
    return pl.Series(name, np.floor(low + 0.5) if name == "visits" else low).cast(
        current.schema[name]
    )


@pytest.mark.parametrize("name", ["income", "visits"])
def test_a_thin_aggregate_is_cut_off_from_its_row(name: str) -> None:
    """An input that keeps shares of itself, while what goes with it stays, is a partial batch with a damage to replay."""
    case = made(broken(thin(name)))
    found = findings(case, "thin_aggregates")["thinning.cut_off"]
    assert found.subject.names == (name,)
    assert found.supports == ("partial_batch",)
    assert found.repairs[0].repair == "thin_out"


@pytest.mark.parametrize(("days", "signal"), [(6.0, "thinning.never"), (1.0, "thinning.cut_off")])
def test_what_is_thin_since_a_models_first_row_was_never_whole(days: float, signal: str) -> None:
    """A sum that is low from the launch on is computed otherwise online; one that others served before lacks events."""
    case = made(broken(thin("income")))
    spec = ModelSpec(uri="m", deployed_at=START + days * 86_400)
    case = replace(case, incident=replace(case.incident, models={"current": spec}))
    assert set(findings(case, "thin_aggregates")) == {signal}


def test_inputs_of_one_source_are_thin_together() -> None:
    """Two low inputs of a declared source are one finding."""
    frames = broken(thin("income"), thin("visits"))
    case = made(frames, sources={"events": ["income", "visits"]})
    assert findings(case, "thin_aggregates")["thinning.cut_off"].subject.names == (
        "income",
        "visits",
    )


def test_a_smaller_world_is_not_cut_off() -> None:
    """Where incomes fall because other people came, their companions say so, and no events are missing."""
    reference = rows(3000, 1)
    pool = rows(60_000, 3, start=START + 6 * 86_400, days=2)
    odds = 1 / (1 + np.exp(0.25 * (pool["income"].to_numpy() - 38)))
    chosen = pool.filter(pl.Series(np.random.default_rng(2).random(len(pool)) < odds * 0.15))
    case = made((reference, served(chosen)))
    assert "thinning.cut_off" not in findings(case, "thin_aggregates")


def test_one_factor_for_all_is_not_told_here() -> None:
    """A constant factor is a relation of quantiles; one that is no unit proposes missing events first."""
    _, current = quiet()
    case = made(broken((current["income"] * 0.37).alias("income")))
    assert findings(case, "thin_aggregates") == {}
    assert (
        cleared(case, "thin_aggregates") == set()
    )  # what may have lost events is not cleared of it
    told = findings(case, "quantile_relation")["quantile_relation.low"]
    assert told.supports == ("partial_batch", "unit_change")


def test_a_unit_clears_a_partial_batch() -> None:
    """A factor that is a unit's says nothing of events, and no other input is low."""
    case = made(broken((pl.col("income") * 0.001).alias("income")))
    assert cleared(case, "thin_aggregates") == {"partial_batch"}


@pytest.mark.parametrize(
    ("slope", "left", "whole", "lost"),
    [
        (0.45, 2.0, True, True),
        (0.45, 0.5, True, False),
        (0.45, 2.0, False, False),
        (0.001, 2.0, True, False),
    ],
)
def test_counts_that_stay_whole_by_a_fraction_lost_events(
    slope: float, left: float, whole: bool, lost: bool
) -> None:
    """A pound for a kilogram leaves fractions; what is whole before and after, and hits no fraction exactly, was thinned."""
    before = np.arange(1.0, 500.0)
    after = np.round(before * slope) if whole else before * slope
    told = Affine(slope, 0.0, 1.0, 0.4, 0.03 * left, 0.03)
    assert lost_counts(told, before, after) is lost


def test_thinning_is_fitted_to_what_was_done() -> None:
    """The fitted part and share give back the mean that the thinned sample has."""
    rng = np.random.default_rng(4)
    before = rng.lognormal(3, 0.8, 4_000)
    after = rng.lognormal(3, 0.8, 4_000) * rng.beta(3, 4, 4_000)
    told = thinning(before, after)
    assert told is not None
    assert told.distance_after < 0.15 * told.distance_before
    again = thinned(before, told, np.random.default_rng(0))
    assert again.mean() / before.mean() == pytest.approx(after.mean() / before.mean(), rel=0.15)


def test_a_higher_quantile_is_no_thinning() -> None:
    """Values that spread both ways did not lose events."""
    rng = np.random.default_rng(4)
    assert thinning(rng.lognormal(3, 0.5, 500), rng.lognormal(2.6, 1.2, 500)) is None


@pytest.mark.parametrize(
    ("share", "names"), [(0.45, {("visits", "income")}), (0.75, {("visits",)})]
)
def test_a_sum_that_keeps_as_much_as_counts_do_lost_the_same_events(
    share: float, names: set[tuple[str, ...]]
) -> None:
    """Half of the visits and near half of the income are one batch; an income in another unit is a matter of its own."""
    _, current = quiet()
    counts = pl.Series(
        "visits", np.random.default_rng(5).binomial(current["visits"].to_numpy(), 0.5)
    )
    case = made(broken(counts, (current["income"] * share).alias("income")))
    found = findings(case, "thin_aggregates")
    assert {f.subject.names for f in found.values()} == names
