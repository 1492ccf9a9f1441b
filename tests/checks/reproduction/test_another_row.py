"""Logged values that are no map of the recomputed ones: old, made otherwise, held, or ahead of their label."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from systems import System, healthy, new_score, run, supported

from ruleout._records import Finding
from ruleout.checks.inputs._defaults import names_edition
from ruleout.checks.reproduction._another_row import own_link
from ruleout.checks.reproduction._relations import code_relation, numeric_relation


def _signals(system: System, right: pl.DataFrame) -> set[str]:
    case = system.serve(new_score(system.current.fill_null(0.0))).parity(right).case()
    return {o.signal for o in run(case, "feature_parity") if isinstance(o, Finding)}


def _shuffled(values: pl.Series, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).permutation(values.to_numpy())


def _leaked(frame: pl.DataFrame, seed: int) -> pl.Series:
    noise = np.random.default_rng(seed).normal(size=frame.height)
    return pl.Series("amount", 2.0 * frame["y"].cast(pl.Float64).to_numpy() + noise)


def test_a_value_that_only_its_label_made_was_ahead_of_it() -> None:
    """Recomputed values that follow from the label and from nothing else, and logs that do not know it, are a leak."""
    system = healthy()
    for place, which in enumerate(("reference", "current")):
        frame = system.frames[which]
        system.frames[which] = frame.with_columns(_leaked(frame, place))
    right = system.current
    system.frames["current"] = right.with_columns(amount=pl.Series(_shuffled(right["amount"])))
    assert "parity.ahead" in _signals(system, right)


def test_a_cause_of_the_label_is_no_leak() -> None:
    """Values that make the label are tied to its other causes at an equal label: cut off, they are of another row."""
    system = healthy()
    right = system.current
    system.frames["current"] = right.with_columns(amount=pl.Series(_shuffled(right["amount"])))
    found = _signals(system, right)
    assert "parity.ahead" not in found
    assert "parity.unrelated" in found


def test_own_links_part_causes_from_consequences() -> None:
    """At an equal label a cause is tied to the other causes, a consequence is not."""
    system = healthy()
    assert (own_link(system.case(), "amount") or 0.0) > 0.12
    for place, which in enumerate(("reference", "current")):
        frame = system.frames[which]
        system.frames[which] = frame.with_columns(_leaked(frame, place))
    assert (own_link(system.case(), "amount") or 0.0) < 0.12


def test_values_never_seen_before_were_made_otherwise() -> None:
    """Logs of a finer grain than the input ever had come from other code, not from older rows."""
    system = healthy()
    for which in ("reference", "current"):
        system.frames[which] = system.frames[which].with_columns(amount=pl.col("amount").round(1))
    right = system.current
    noise = np.random.default_rng(4).lognormal(0, 1.0, right.height)
    system.frames["current"] = right.with_columns(amount=pl.col("amount") * pl.Series(noise))
    assert "parity.otherwise" in _signals(system, right)


@pytest.mark.parametrize(
    ("value", "signal"),
    [(0.731, "parity.held"), (0.0, "parity.constant"), (-99.0, "parity.constant")],
)
def test_one_valid_value_for_all_stood_still_and_a_usual_one_is_a_default(
    value: float, signal: str
) -> None:
    """A constant like any other of an input's values is old before it is a default; zeros and sentinels are defaults."""
    system = healthy()
    right = system.current
    half = pl.int_range(right.height) >= right.height // 2
    system.frames["current"] = right.with_columns(
        amount=pl.when(half).then(value).otherwise(pl.col("amount"))
    )
    case = system.serve(new_score(system.current)).parity(right).case()
    outcomes = run(case, "feature_parity")
    found = {o.signal: o for o in outcomes if isinstance(o, Finding)}
    assert signal in found
    assert ("stale_features" in supported(outcomes)) == (signal == "parity.held")


def test_a_value_too_rare_to_be_a_default_was_kept() -> None:
    """Whoever fills in a usual value takes a common one; what stood still may be any."""
    system = healthy()
    for which in ("reference", "current"):
        system.frames[which] = system.frames[which].with_columns(amount=pl.col("amount").round(1))
    right = system.current
    counts = system.frames["reference"]["amount"].value_counts(sort=True)
    rare = counts.filter(pl.col("count") < 0.1 * pl.col("count").max())["amount"].sort()
    half = pl.int_range(right.height) >= right.height // 2
    system.frames["current"] = right.with_columns(
        amount=pl.when(half).then(float(rare[len(rare) // 2])).otherwise(pl.col("amount"))
    )
    case = system.serve(new_score(system.current)).parity(right).case()
    found = {o.signal for o in run(case, "feature_parity") if isinstance(o, Finding)}
    assert "parity.kept" in found
    assert "parity.held" not in found


def test_two_logged_values_that_part_low_from_high_are_rounded() -> None:
    """Steps wider than most of an input's range leave two values, and neither is a default."""
    right = np.random.default_rng(0).uniform(0.1, 14.9, 400)
    told = numeric_relation(np.round(right / 10) * 10, right, clock=False)
    assert told.kind == "rounded"
    assert told.value == 10
    mixed = np.where(np.arange(400) % 2 == 0, 0.0, 10.0)
    assert numeric_relation(mixed, right, clock=False).kind != "rounded"


def test_inputs_lost_in_other_rows_were_lost_by_themselves() -> None:
    """Two inputs of one source at nought in different rows are two findings; in the same rows they are one."""

    def told(second: pl.Expr) -> list[tuple[str, ...]]:
        system = healthy()
        right = system.current
        half = pl.int_range(right.height) >= right.height // 2
        system.frames["current"] = right.with_columns(
            amount=pl.when(half).then(0.0).otherwise(pl.col("amount")),
            age=pl.when(second).then(0.0).otherwise(pl.col("age")),
        )
        case = system.serve(new_score(system.current)).parity(right).case()
        found = [o for o in run(case, "feature_parity") if isinstance(o, Finding)]
        return sorted(
            tuple(sorted(f.subject.names)) for f in found if f.signal == "parity.constant"
        )

    half = pl.int_range(pl.len()) >= pl.len() // 2
    assert told(half) == [("age", "amount")]
    assert told(~half) == [("age",), ("amount",)]


@pytest.mark.parametrize(("column", "told"), [("lookup_file", True), ("region", False)])
def test_values_lost_in_one_edition_of_a_file_are_the_files(column: str, told: bool) -> None:
    """Recomputed rows that lost a value are all of one edition: it was written badly; a region writes nothing."""
    system = healthy()
    for which in ("reference", "current"):
        n = system.frames[which].height
        system.frames[which] = system.frames[which].with_columns(
            pl.Series(column, np.where(np.arange(n) // 50 % 2 == 0, "one", "two"))
        )
    right = system.current
    bad = pl.col(column) == "two"
    system.frames["current"] = right.with_columns(
        amount=pl.when(bad).then(0.0).otherwise(pl.col("amount"))
    )
    case = system.serve(new_score(system.current)).parity(right).case(segments=("host", column))
    found = {o.signal: o for o in run(case, "feature_parity") if isinstance(o, Finding)}
    assert "parity.constant" in found
    assert ("parity.edition" in found) is told


@pytest.mark.parametrize(("factor", "signal"), [(2.0, "parity.twice"), (10.0, "parity.scale")])
def test_whole_numbers_that_doubled_were_counted_twice(factor: float, signal: str) -> None:
    """Counts that are twice what they should be hold each event twice; tenfold is another unit."""
    system = healthy()
    for which in ("reference", "current"):
        system.frames[which] = system.frames[which].with_columns(pl.col("amount").abs().round() + 1)
    right = system.current
    system.frames["current"] = right.with_columns(pl.col("amount") * factor)
    assert signal in _signals(system, right)


@pytest.mark.parametrize("by_build", [True, False])
def test_inputs_that_are_wrong_in_some_editions_of_a_file(*, by_build: bool) -> None:
    """Values garbled in all rows of every other build of a lookup were written badly; in half of any build's rows they were not."""
    system = healthy()
    for which in ("reference", "current"):
        frame = system.frames[which]
        build = pl.int_range(frame.height) // (frame.height // 12)
        system.frames[which] = frame.with_columns(lookup_build="b" + build.cast(pl.String))
    right = system.current
    half = np.random.default_rng(1).random(right.height) < 0.5
    odd = (np.arange(right.height) // (right.height // 12)) % 2 == 1
    amount = np.where(odd if by_build else half, _shuffled(right["amount"]), right["amount"])
    system.frames["current"] = right.with_columns(amount=pl.Series(amount))
    assert ("parity.edition" in _signals(system, right)) is by_build


def test_an_edition_is_nobodys_actor() -> None:
    """Builds and lookups are many and short-lived; who acts is somebody."""
    assert names_edition("lookup_build")
    assert names_edition("app_version")
    assert not names_edition("card_id")


@pytest.mark.parametrize(("names", "kind"), [((1, 0), "recode"), ((1, 1), "constant")])
def test_two_categories_that_changed_places_are_no_default(
    names: tuple[int, int], kind: str
) -> None:
    """A rare category that became the common one, and the reverse, is a recode; a default leaves its own value alone."""
    offline = np.r_[np.zeros(900, dtype=np.int64), np.ones(80, dtype=np.int64)]
    online = np.array(names, dtype=np.int64)[offline]
    differ = online != offline
    assert code_relation(online[differ], offline[differ]).kind == kind
