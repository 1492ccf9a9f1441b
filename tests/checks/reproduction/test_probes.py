"""The golden set and the parity probe."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._records import Finding
from ruleout.checks.reproduction._relations import code_relation, lag_of, numeric_relation
from ruleout.incident._model import ParityProbe, TableSpec
from ruleout.stats._maps import logit

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import (
    DAY,
    START,
    abstained,
    cleared,
    healthy,
    new_score,
    old_score,
    run,
    supported,
    undone,
)


def test_golden_answers_that_stay_clear_the_model() -> None:
    """Stored scores that are still given rule out what sits between inputs and answers."""
    assert "wrong_version" in cleared(run(healthy().golden(new_score).case(), "golden_set"))


@pytest.mark.parametrize(
    ("served", "mode"),
    [
        (lambda f: 1 - new_score(f), "class_map_mismatch"),
        (lambda f: 1 / (1 + np.exp(-(logit(new_score(f)) * 3 + 1))), "calibration_change"),
        (lambda f: np.full(f.height, 0.2), "fallback_overload"),
        (lambda f: np.where((f["host"] == "a").to_numpy(), 0.9 - new_score(f) / 2, new_score(f)), "mixed_versions"),
        (old_score, "wrong_version"),
    ],
)  # fmt: skip
def test_golden_answers_tell_how_they_changed(served: Any, mode: str) -> None:
    """The map from stored to served scores names the fault."""
    outcomes = run(healthy().golden(served).case(), "golden_set")
    assert mode in supported(outcomes)


def test_golden_answers_of_a_model_at_hand_are_recognised() -> None:
    """If the previous version gives what is served now, it is said so."""
    system = healthy(models={"current": new_score, "previous": old_score}).golden(old_score)
    outcomes = run(system.case(), "golden_set")
    assert any("models.previous gives" in o.statement for o in outcomes if isinstance(o, Finding))


def test_equal_features_clear_the_way() -> None:
    """Logged features that are as recomputed rule out every fault on the way."""
    system = healthy()
    outcomes = run(system.parity(system.current).case(), "feature_parity")
    assert {"unit_change", "stale_features", "train_serve_skew"} <= cleared(outcomes)
    assert supported(outcomes) == set()


def _lagged(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(amount=pl.col("amount").shift(70).backward_fill().fill_null(0.0))


@pytest.mark.parametrize(
    ("fault", "mode", "names"),
    [
        (lambda f: f.with_columns(amount=pl.col("amount") * 1000), "unit_change", ("amount",)),
        (lambda f: f.with_columns(amount=pl.lit(0.0)), "silent_nulls", ("amount",)),
        (lambda f: f.with_columns(amount=pl.lit(None, pl.Float64)), "silent_nulls", ("amount",)),
        (lambda f: f.with_columns(amount=pl.col("amount").clip(None, 0.4)), "precision_loss", ("amount",)),
        (lambda f: f.with_columns(amount=pl.col("amount").round(0)), "precision_loss", ("amount",)),
        (lambda f: f.with_columns(amount=pl.col("age"), age=pl.col("amount")), "feature_swap", ("amount", "age")),
        (_lagged, "stale_features", ("amount",)),
        (lambda f: f.with_columns(amount=pl.col("amount").exp()), "train_serve_skew", ("amount",)),
        (
            lambda f: f.with_columns(device=pl.col("device").replace({"ios": "web", "web": "tv", "tv": "ios"})),
            "category_recode",
            ("device",),
        ),
    ],
)  # fmt: skip
def test_the_relation_of_logged_to_recomputed_names_the_fault(
    fault: Any, mode: str, names: tuple[str, ...]
) -> None:
    """What a logged feature is of the right one tells what happened to it; its values undo it."""
    system = healthy()
    right = system.current
    system.frames["current"] = fault(right)
    case = system.serve(new_score(system.current.fill_null(0.0))).parity(right).case()
    outcomes = run(case, "feature_parity")
    assert mode in supported(outcomes)
    found = next(o for o in outcomes if isinstance(o, Finding) and mode in o.supports)
    assert set(found.subject.names) == set(names)
    keyed = np.isin(case.current.frame["id"].to_numpy(), case.parity["id"].to_numpy())  # type: ignore[index]
    before = case.metric.value(case.truth("current"), case.outputs("current"), keyed.astype(float))
    assert undone(case, outcomes, mode) > before


def test_unknown_keys_are_an_abstention() -> None:
    """Recomputed rows of other requests say nothing, and that is said."""
    system = healthy()
    other = system.current.with_columns(id=pl.col("id") + "x")
    assert "only 0 recomputed rows" in abstained(run(system.parity(other).case(), "feature_parity"))


def test_hours_and_shifts_are_told_from_scales() -> None:
    """A constant number of hours is a clock's, also round midnight; a constant factor is a unit's."""
    rng = np.random.default_rng(0)
    hour = rng.integers(0, 24, 500).astype(float)
    assert numeric_relation((hour + 5) % 24, hour, clock=False).kind == "hours"
    stamp = rng.uniform(1.6e9, 1.7e9, 500)
    assert numeric_relation(stamp - 7200, stamp, clock=True).kind == "hours"
    assert numeric_relation(stamp * 9 / 5 + 32, stamp, clock=False).kind == "scale"
    assert code_relation(np.zeros(50, int), rng.integers(1, 5, 50)).kind == "constant"


@pytest.mark.parametrize(
    ("dial", "off", "kind"),
    [
        (True, -5.0, "hours"),
        (False, -5.0, "offset"),
        (True, -12.0, "hours"),
        (True, -2.5, "offset"),
    ],
)
def test_known_hours_of_the_day_are_hours_off(dial: bool, off: float, kind: str) -> None:
    """Whole hours part an hour of the day from its own by a zone; any other number of that range is merely off."""
    hour = np.random.default_rng(0).uniform(9, 20, 500)
    assert numeric_relation(hour + off, hour, clock=False, dial=dial).kind == kind


@pytest.mark.parametrize(("name", "mode"), [("order_hour", "time_shift"), ("rate", "unit_change")])
def test_a_recomputed_hour_tells_another_zone(name: str, mode: str) -> None:
    """An hour of the day that is logged five less than recomputed comes from another zone, whatever its range."""
    system = healthy()
    for frame in system.frames:
        hour = pl.Series(system.rng.uniform(9, 20, system.rows))
        system.frames[frame] = system.frames[frame].with_columns(hour.alias(name))
    right = system.current
    system.columns["features"] = ("amount", "age", "device", name)
    system.frames["current"] = right.with_columns(pl.col(name) - 5)
    system.probes["parity"] = ParityProbe(TableSpec(frame=right[:1000].select("id", name)), "id")
    found = next(o for o in run(system.case(), "feature_parity") if isinstance(o, Finding))
    assert found.subject.names == (name,)
    assert found.supports[0] == mode


@pytest.mark.parametrize(
    ("day", "previous", "mode"),
    [(5.0, False, "train_serve_skew"), (2.0, False, "partial_batch"), (5.0, True, "partial_batch")],
)
def test_a_sum_low_since_a_models_first_row_was_never_whole(
    day: float, previous: bool, mode: str
) -> None:
    """A sum that is low online from the launch on is computed otherwise; one that others served before was thinned out."""
    system = healthy()
    for frame in system.frames:
        spent = pl.Series(system.rng.lognormal(3, 1, system.rows))
        system.frames[frame] = system.frames[frame].with_columns(spent=spent)
    right = system.current
    system.columns["features"] = ("amount", "age", "device", "spent")
    system.frames["current"] = right.with_columns(
        spent=right["spent"] * system.rng.uniform(0, 1, system.rows)
    )
    system.probes["parity"] = ParityProbe(TableSpec(frame=right[:1000].select("id", "spent")), "id")
    case = system.case()
    spec = replace(case.incident.models["current"], deployed_at=START + day * DAY)
    models = {"current": spec} | ({"previous": spec} if previous else {})
    case = replace(case, incident=replace(case.incident, models=models))
    found = next(o for o in run(case, "feature_parity") if isinstance(o, Finding))
    assert found.supports[0] == mode


@pytest.mark.parametrize(
    ("spread", "grown", "names"),
    [(0.05, False, {("spent", "asked")}), (0.05, True, {("spent",), ("asked",)})],
)
def test_an_input_that_is_low_where_its_neighbour_is_lacks_the_same_events(
    spread: float, grown: bool, names: set[tuple[str, ...]]
) -> None:
    """A sum that keeps nearly one share in all rows looks bent; beside a thin one of its source it is as thin as that."""
    system = healthy()
    rng = system.rng
    for frame in system.frames:
        sums = {name: pl.Series(rng.lognormal(3, 1, system.rows)) for name in ("spent", "asked")}
        system.frames[frame] = system.frames[frame].with_columns(**sums)
    right = system.current
    system.columns["features"] = ("amount", "age", "device", "spent", "asked")
    kept = 0.5 + spread * rng.uniform(-1, 1, system.rows)
    system.frames["current"] = right.with_columns(
        spent=right["spent"] * rng.uniform(0, 1, system.rows),
        asked=right["asked"] * ((1 / kept) if grown else kept),
    )
    offline = right[:1000].select("id", "spent", "asked")
    system.probes["parity"] = ParityProbe(TableSpec(frame=offline), "id")
    found = [o for o in run(system.case(), "feature_parity") if isinstance(o, Finding)]
    assert {f.subject.names for f in found} == names


def test_lag_of_finds_how_late_the_log_is() -> None:
    """The recomputed value of a row turns up in the log as many rows later as the log is late."""
    values = np.random.default_rng(1).normal(size=1_000)
    late = np.r_[np.zeros(33), values[:-33]]
    rows = np.arange(100, 900, 7)
    lag, share = lag_of(late, rows, values[rows])
    assert lag == 33
    assert share > 0.95


def test_keys_written_otherwise_explain_what_recomputed_rows_lost() -> None:
    """Recomputed rows that hold values where the log has none, for keys of one form alone, were lost by a join."""
    system = healthy()
    right = system.current
    padded = np.arange(system.rows) % 3 == 0
    keys = [f"{k:012d}" if p else f"K{k:05d}" for k, p in enumerate(padded)]
    system.parity(right, rows=2_000).change(
        card=keys, amount=np.where(padded, np.nan, right["amount"].to_numpy())
    )
    system.frames["reference"] = system.frames["reference"].with_columns(card=pl.Series(keys))
    outcomes = run(system.case(), "feature_parity")
    told = [o for o in outcomes if isinstance(o, Finding) and o.signal == "parity.key"]
    assert [o.supports for o in told] == [("join_loss",)]
    assert "card" in told[0].statement


@pytest.mark.parametrize(
    ("hosts", "signal"), [(("a",), "golden.lost_on_one"), (("a", "b"), "golden.lost_on_some")]
)
def test_golden_answers_of_some_hosts_may_be_garbage(hosts: tuple[str, ...], signal: str) -> None:
    """Served scores that have nothing to do with the stored ones are no other version's."""

    def served(frame: pl.DataFrame) -> Any:
        bad = frame["host"].is_in(hosts).to_numpy()
        return np.where(bad, np.random.default_rng(1).random(frame.height), new_score(frame))

    outcomes = run(healthy().golden(served).case(), "golden_set")
    found = next(o for o in outcomes if isinstance(o, Finding) and o.supports)
    assert (found.signal, found.subject.names) == (signal, hosts)


def test_golden_answers_of_another_version_go_with_the_stored_ones() -> None:
    """An older model on one host is wrong, and still knows something."""

    def served(frame: pl.DataFrame) -> Any:
        return np.where((frame["host"] == "a").to_numpy(), old_score(frame), new_score(frame))

    outcomes = run(healthy().golden(served).case(), "golden_set")
    found = next(o for o in outcomes if isinstance(o, Finding) and o.supports)
    assert found.signal == "golden.partial"
