"""Inputs that another code path computes: moved alone, in the same order."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import ruleout.experiments.repairs
from linked_world import broken, made, quiet, served
from ruleout._registry import REPAIRS, load_all
from served_world import cleared, findings


def test_a_bent_copy_is_told_from_a_shift() -> None:
    """A logarithm in serving moves the income and neither the age nor the order of rows."""
    case = made(broken((pl.col("income").log1p() * 9).alias("income")))
    found = findings(case, "monotone_relation")["bent.alone"]
    assert found.subject.names == ("income",)
    assert found.supports == ("train_serve_skew",)


def test_undoing_a_bent_copy_brings_back_the_values() -> None:
    """The quantile map of the repair gives each row about what it had."""
    reference, current = quiet()
    case = made(broken((pl.col("income").log1p() * 9).alias("income")))
    plan = findings(case, "monotone_relation")["bent.alone"].repairs[0]
    load_all(ruleout.experiments.repairs, "ruleout.repairs")
    mended = REPAIRS[plan.repair].run(case, plan).features["income"].to_numpy()
    gap = np.abs(mended - current["income"].to_numpy())
    assert np.median(gap) < 0.1 * reference["income"].to_numpy().std()


def test_a_world_that_moves_takes_its_correlates_along() -> None:
    """Richer rows are drawn: age moves with income, and nothing is computed otherwise."""
    reference, current = quiet(12_000)
    weight = np.exp(current["income"].to_numpy() / 40)
    chosen = np.random.default_rng(4).choice(
        len(weight), 3_000, replace=False, p=weight / weight.sum()
    )
    case = made((reference, served(current[np.sort(chosen)])))
    assert "bent.alone" not in findings(case, "monotone_relation")


def test_a_unit_is_left_to_its_own_check() -> None:
    """A factor is a unit, not a bent copy."""
    assert findings(made(broken(pl.col("income") * 1000)), "monotone_relation") == {}


def test_quiet_windows_rule_a_bent_copy_out() -> None:
    """Where nothing moved, nothing was bent."""
    assert cleared(made(quiet()), "monotone_relation") == {"train_serve_skew"}


@pytest.mark.parametrize("factor", [4.345, 0.2])
def test_a_frequent_value_that_a_map_moved_is_no_default(factor: float) -> None:
    """Forty hours that became 173.8 are another unit, not a default of 173.8."""
    reference, current = (
        frame.with_columns(
            income=pl.when(pl.Series(np.random.default_rng(seed).random(3000)) < 0.45)
            .then(40.0)
            .otherwise(pl.col("income"))
        )
        for seed, frame in enumerate(quiet())
    )
    case = made((reference, served(current.with_columns(pl.col("income") * factor))))
    assert findings(case, "missing_and_defaults") == {}
    found = next(iter(findings(case, "quantile_relation").values()))
    assert found.statistic == pytest.approx(factor, rel=0.01)


def test_counts_over_a_part_of_their_events_are_no_default() -> None:
    """More noughts among counts of which the others fell too are missing events."""
    _, current = quiet()
    thin = np.random.default_rng(5).binomial(current["visits"].to_numpy(), 0.25)
    case = made(broken(pl.Series("visits", thin)))
    assert findings(case, "missing_and_defaults") == {}
    assert {f.supports for f in findings(case, "thin_aggregates").values()} == {("partial_batch",)}


def test_one_of_two_values_that_is_commoner_is_weak_evidence_of_a_default() -> None:
    """A flag can only rise: whether the world or a default raised it, its marginal does not say."""
    reference, current = (
        frame.with_columns(
            flag=pl.Series((np.random.default_rng(9 + i).random(3000) < share).astype(int))
        )
        for i, (frame, share) in enumerate(zip(quiet(), (0.08, 0.3), strict=True))
    )
    assert set(findings(made((reference, current)), "missing_and_defaults")) == {"defaults.level"}


def test_an_input_without_a_value_left_may_have_been_renamed() -> None:
    """Nulls in every row keep the schema open."""
    case = made(broken(pl.lit(None, dtype=pl.Float64).alias("age")))
    assert "schema_change" in findings(case, "missing_and_defaults")["defaults.gone"].supports
    assert cleared(case, "schema") == set()


def test_a_bound_is_told_though_the_world_drifted_besides() -> None:
    """Nothing lies beyond the bound and much lay there: a bound took it, whatever else moved."""
    reference, current = quiet(6_000)
    young = current.filter(pl.col("age") < 55)[:3_000]
    bound = float(reference["income"].quantile(0.6) or 0.0)
    case = made((reference, served(young.with_columns(pl.col("income").clip(upper_bound=bound)))))
    assert "resolution.clip" in findings(case, "resolution")
    assert findings(case, "missing_and_defaults") == {}
    assert "freshness.collisions" not in findings(case, "freshness")


@pytest.mark.parametrize(
    ("bent", "signal"),
    [(pl.col("income") * 1.12, "bent.factor"), (pl.col("income").log1p() * 9, "bent.alone")],
)
def test_a_small_factor_is_a_unit_where_the_input_moved_alone(bent: pl.Expr, signal: str) -> None:
    """A currency is worth a tenth more: a world would take correlates along, and other code would bend the order's steps."""
    found = findings(made(broken(bent.alias("income"), n=8_000)), "monotone_relation")
    assert set(found) == {signal}
    assert found[signal].supports == (
        ("unit_change",) if signal == "bent.factor" else ("train_serve_skew",)
    )
