"""What the checks of tabular inputs see, each fault made to one small world at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from linked_world import DAY, START, Frames, broken, late, made, quiet, served
from ruleout._records import Clear, Scope
from ruleout.checks.inputs._calendar import follows_clock
from ruleout.checks.inputs._context import context
from ruleout.checks.inputs._departure import departures
from ruleout.checks.inputs.clock import tells_time
from ruleout.checks.inputs.structure import repeated
from ruleout.checks.world._view import view
from ruleout.experiments.repairs.recode import exchange
from ruleout.incident._model import TelemetrySpec
from ruleout.profile import Case
from ruleout.stats._relation import clip
from served_world import cleared, findings, outcomes

CHECKS = {
    "missing_and_defaults": {"silent_nulls", "join_loss"},
    "quantile_relation": {"unit_change"},
    "resolution": {"precision_loss"},
    "recoding": {"category_recode"},
    "exchanged_columns": {"feature_swap"},
    "freshness": {"stale_features"},
    "schema": {"schema_change"},
    "repeated_rows": {"join_fanout"},
    "volume": {"partial_batch"},
}
HOUR = 3600.0
PERMUTED = {"aa": "bb", "bb": "aa", "cc": "dd", "dd": "cc"}


@pytest.fixture(scope="module")
def calm() -> Case:
    """Two quiet windows."""
    return made(quiet())


@pytest.mark.parametrize("name", CHECKS)
def test_a_quiet_world_is_cleared(calm: Case, name: str) -> None:
    """Where nothing happened, a check finds nothing and rules out what it looks for."""
    assert findings(calm, name) == {}
    assert cleared(calm, name) == CHECKS[name]


def hit(share: float, seed: int = 9) -> pl.Series:
    return pl.Series(np.random.default_rng(seed).random(3000) < share)


def where(rows: pl.Series, name: str, value: Any) -> pl.Expr:
    return (
        pl.when(rows)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(pl.col(name))
        .alias(name)
    )


@pytest.mark.parametrize("value", [None, 0.0, -999.0])
def test_lost_values_are_found_as_nulls_and_defaults(value: float | None) -> None:
    """A third of the ages lost to nothing, to 0 or to -999 is one finding with its share and a repair."""
    case = made(broken(where(hit(0.33), "age", value)))
    found = findings(case, "missing_and_defaults")["defaults.value"]
    assert found.subject.names == ("age",)
    assert found.statistic == pytest.approx(0.33, abs=0.03)
    assert "silent_nulls" in found.supports
    assert found.repairs[0].repair == "restore_defaults"


def test_inputs_lost_together_are_one_finding() -> None:
    """Two inputs of the same rows are one loss; of different rows they are two."""
    same = made(broken(where(hit(0.4), "age", None), where(hit(0.4), "income", None)))
    apart = made(broken(where(hit(0.4), "age", None), where(hit(0.4, 5), "income", None)))
    assert findings(same, "missing_and_defaults")["defaults.value"].subject.names == (
        "age",
        "income",
    )
    assert len(findings(apart, "missing_and_defaults")["defaults.value"].subject.names) == 1


def test_a_whole_source_is_the_subject() -> None:
    """When all inputs of a declared source are lost together, the source is named."""
    frames = broken(where(hit(0.4), "age", None), where(hit(0.4), "income", None))
    case = made(frames, sources={"bureau": ["age", "income"], "web": ["visits"]})
    found = findings(case, "missing_and_defaults")["defaults.value"]
    assert (found.subject.kind, found.subject.names) == ("source", ("bureau",))


def test_a_loss_of_the_last_day_is_dated() -> None:
    """Values lost since the second day are scoped to it, with the rate inside it."""
    _, current = quiet()
    case = made(broken(where(late(current) & hit(0.6), "age", None)))
    found = findings(case, "missing_and_defaults")["defaults.value"]
    assert found.scope.since == pytest.approx(START + 7 * 86_400, abs=7200)
    assert found.statistic == pytest.approx(0.6, abs=0.06)


def test_a_loss_of_one_region_is_confined_to_it() -> None:
    """Values lost in one region alone are scoped to it and may be a join's."""
    _, current = quiet()
    case = made(broken(where((current["region"] == "west") & hit(0.7), "age", None)))
    found = findings(case, "missing_and_defaults")
    assert (found["defaults.value"].scope.column, found["defaults.value"].scope.values) == (
        "region",
        ("west",),
    )
    assert "join_loss" in found["defaults.entity"].supports


def test_values_lost_anywhere_are_no_joins() -> None:
    """A loss that no key and no segment explains rules the join out."""
    case = made(broken(where(hit(0.4), "age", None)))
    assert cleared(case, "missing_and_defaults") == {"join_loss"}


@pytest.mark.parametrize(
    ("name", "factor"), [("income", 100.0), ("income", 0.001), ("age", 12.0), ("age", 1 / 2.54)]
)
def test_a_unit_is_found_with_its_factor(name: str, factor: float) -> None:
    """An input in another unit is found with the ratio of the units, and only that input."""
    case = made(broken(pl.col(name) * factor))
    found = findings(case, "quantile_relation")
    assert set(found) == {"quantile_relation.unit"}
    (told,) = found.values()
    assert told.subject.names == (name,)
    assert told.statistic == pytest.approx(factor, rel=0.03)
    assert told.supports == ("unit_change",)


def test_fahrenheit_is_a_unit() -> None:
    """A scale with an offset, as between thermometers, is a unit as well."""
    case = made(broken(pl.col("age") * 1.8 + 32))
    (told,) = findings(case, "quantile_relation").values()
    assert told.supports == ("unit_change",)
    assert dict(told.repairs[0].options) == {
        "slope": pytest.approx(1.8, rel=0.05),
        "offset": pytest.approx(32, abs=4),
    }


def test_a_part_in_another_unit_is_found_with_its_share() -> None:
    """A fifth of the rows in another unit, told by nothing but their values, is a finding of its own."""
    case = made(
        broken(
            pl.when(hit(0.2))
            .then(pl.col("income") * 100)
            .otherwise(pl.col("income"))
            .alias("income")
        )
    )
    told = findings(case, "quantile_relation")["quantile_relation.part"]
    assert told.repairs[0].options["share"] == pytest.approx(0.2, abs=0.04)


def test_a_drift_of_the_world_is_no_unit() -> None:
    """Older people (a wider range, moved) are not the reference in another unit."""
    case = made(broken(pl.col("income") ** 1.3))
    assert "quantile_relation.unit" not in findings(case, "quantile_relation")


def test_a_clip_and_a_grid_are_lost_resolution() -> None:
    """Values cut at a bound, and values rounded, are found as such with bound and step."""
    cut = findings(made(broken(pl.col("income").clip(upper_bound=50.0))), "resolution")
    assert cut["resolution.clip"].repairs[0].options["bound"] == 50.0
    coarse = findings(made(broken((pl.col("age") / 10).round() * 10)), "resolution")
    assert coarse["resolution.grid"].repairs[0].options["step"] == 10.0
    assert coarse["resolution.grid"].repairs[0].options["part"] == pytest.approx(1.0)


def test_permuted_codes_are_matched_back() -> None:
    """Codes that changed places are found by their rows, with the way back."""
    told = findings(made(broken(pl.col("city").replace(PERMUTED))), "recoding")["recode.profile"]
    assert told.subject.names == ("city",)
    assert dict(told.repairs[0].options["mapping"]) == PERMUTED


def test_codes_spelt_anew_are_found() -> None:
    """Capitals for small letters are known categories in a new spelling."""
    told = findings(made(broken(pl.col("city").str.to_uppercase())), "recoding")["recode.spelling"]
    assert told.repairs[0].options["mapping"]["AA"] == "aa"
    assert told.supports == ("category_recode",)


def test_exchanged_columns_are_one_pair() -> None:
    """Two columns in each other's place are found together, by their values."""
    frames = broken(pl.col("age").alias("income"), pl.col("income").alias("age"))
    found = findings(made(frames), "exchanged_columns")
    assert {n: f.subject.names for n, f in found.items()} == {"swap.marginals": ("age", "income")}


def test_an_exchange_shows_where_one_column_departs_in_some_places_most() -> None:
    """Counts of which one differs by place are still found in each other's place, in all places."""
    rng = np.random.default_rng(4)

    def counted(frame: pl.DataFrame) -> pl.DataFrame:
        depot = rng.integers(0, 12, len(frame))
        return frame.with_columns(
            depot=pl.Series([f"d{k:02d}" for k in depot]),
            ahead=pl.Series(rng.normal(30 + depot, 5).round()),
            queue=pl.Series(rng.normal(26 + 5 * depot, 6).round()),
        )

    reference, current = (counted(f) for f in quiet())
    since = late(current)
    current = current.with_columns(
        ahead=pl.when(since).then("queue").otherwise("ahead"),
        queue=pl.when(since).then("ahead").otherwise("queue"),
    )
    told = findings(made((reference, current), segments=["depot"]), "exchanged_columns")
    assert {n: f.subject.names for n, f in told.items()} == {"swap.marginals": ("ahead", "queue")}
    assert told["swap.marginals"].scope.column is None


def test_one_moved_column_is_no_exchange() -> None:
    """A column in another unit beside a sound one is not exchanged with it."""
    assert cleared(made(broken(pl.col("income") * 100)), "exchanged_columns") == {"feature_swap"}


def test_repeated_values_are_stale() -> None:
    """A cache that serves each value a dozen times shows in runs of equal values."""
    reference, current = quiet()
    held = current.with_columns(pl.col("income").gather(np.arange(3000) // 12 * 12))
    told = findings(made((reference, served(held))), "freshness")["freshness.runs"]
    assert told.subject.names == ("income",)
    assert told.supports == ("stale_features",)


def test_values_of_earlier_rows_are_found_with_their_lag() -> None:
    """Values that arrive forty rows late are found with that lag."""
    reference, current = quiet()
    delayed = current.with_columns(pl.Series("income", np.roll(current["income"].to_numpy(), 40)))
    told = findings(made((reference, served(delayed))), "freshness")["freshness.lag"]
    assert told.statistic == 40
    assert told.repairs[0].options["rows"] == 40


def test_values_of_other_rows_have_lost_their_link() -> None:
    """Shuffled values are usual as such but no longer follow from the rest of their rows."""
    frames = broken(pl.col("income").shuffle(seed=4))
    case = made(frames)
    assert not departures(case)["income"].departed
    assert "freshness.unlinked" in findings(case, "freshness")


def test_a_vanished_column_is_matched_with_the_new_one() -> None:
    """A renamed column is a changed contract, with a repair that renames it back."""
    reference, current = quiet()
    told = findings(made((reference, current.rename({"income": "income_v2"}))), "schema")
    found = told["schema.changed"]
    assert found.subject.names == ("income",)
    assert found.repairs[0].repair == "rename_column"
    assert found.repairs[0].options["from"] == ("income_v2",)


def test_columns_that_were_always_empty_and_are_filled_now_took_others_place() -> None:
    """A log that lists the new names before they are filled still shows one change of the contract."""
    reference, current = quiet()
    names = {"income": "income_v2", "age": "person_age"}
    empty = [pl.lit(None, dtype=pl.Float64).alias(new) for new in names.values()]
    later = pl.int_range(pl.len()) >= 700
    moved = current.with_columns(
        pl.when(later).then(pl.col(old)).alias(new) for old, new in names.items()
    ).with_columns(pl.when(~later).then(pl.col(old)).alias(old) for old in names)
    told = findings(made((reference.with_columns(empty), moved)), "schema")["schema.changed"]
    assert set(told.repairs[0].subject.names) == set(names)
    pairs = zip(told.repairs[0].subject.names, told.repairs[0].options["from"], strict=True)
    assert dict(pairs) == names


def test_numbers_that_no_longer_read_are_a_changed_type() -> None:
    """Numbers written with a currency sign are a changed contract."""
    reference, current = quiet()
    text = current.with_columns(
        ("EUR " + pl.col("income").round(2).cast(pl.String)).alias("income")
    )
    assert findings(made((reference, text)), "schema")["schema.changed"].subject.names == (
        "income",
    )


def test_repeated_keys_are_a_fan_out() -> None:
    """Rows that came twice are found by their keys, with their share."""
    reference, current = quiet()
    twice = pl.concat([current, current.head(600)]).sort("ts")
    told = findings(made((reference, twice)), "repeated_rows")["repeats.rows"]
    assert told.statistic == pytest.approx(600 / 3600)
    assert told.subject.names == ("key",)


@pytest.mark.parametrize("missing", [pl.lit(None, dtype=pl.String), pl.lit(" ")])
def test_rows_without_a_key_repeat_none(missing: pl.Expr) -> None:
    """A third of the ids lost is no fan-out; with nearly all of them lost, nobody could tell."""
    reference, current = (f.with_columns(pl.col("key").cast(pl.String)) for f in quiet())
    lost = (reference, current.with_columns(where(hit(0.33), "key", missing)))
    assert findings(made(lost), "repeated_rows") == {}
    assert cleared(made(lost), "repeated_rows") == {"join_fanout"}
    gone = made((reference, current.with_columns(where(hit(0.99), "key", missing))))
    assert findings(gone, "repeated_rows") == {}
    assert cleared(gone, "repeated_rows") == set()


def test_known_keys_still_repeat_beside_lost_ones() -> None:
    """Rows that came twice are found among those whose key is known, and only those are dropped."""
    reference, current = quiet()
    some = current.with_columns(where(hit(0.33), "key", pl.lit(None)))
    case = made((reference, pl.concat([some, some.head(600)]).sort("ts")))
    share = float(some["key"].is_not_null().head(600).sum() / case.current.frame["key"].count())
    told = findings(case, "repeated_rows")["repeats.rows"]
    assert told.statistic == pytest.approx(share)
    assert not repeated(case, "current")[case.current.frame["key"].is_null().to_numpy()].any()


@pytest.mark.parametrize("copies", [1, 600])
def test_one_row_that_stands_for_lost_ones_was_not_multiplied(copies: int) -> None:
    """Without keys, rows that came twice are a fan-out; one row six hundred times is what came instead of others."""
    reference, current = (f.drop("key") for f in quiet())
    head = current.head(600) if copies == 1 else pl.concat([current.head(1)] * copies)
    again = pl.concat([current, head])
    found = findings(made((reference, again), id=None), "repeated_rows")
    assert ("repeats.rows" in found) is (copies == 1)


def test_a_thin_end_is_a_partial_batch() -> None:
    """When nine in ten of the last rows are missing, the batch was cut short."""
    reference, current = quiet()
    thin = current.filter(~late(current, 0.6) | hit(0.03))
    assert findings(made((reference, thin)), "volume")["volume.thin"].supports == ("partial_batch",)


def test_a_departure_is_measured_against_the_usual(calm: Case) -> None:
    """Inputs of a quiet world have not departed; one in another unit has, in all rows."""
    assert not any(d.departed for d in departures(calm).values())
    moved = departures(made(broken(pl.col("income") * 100)))
    assert {n for n, d in moved.items() if d.departed} == {"income"}
    assert moved["income"].scope == Scope()
    assert moved["income"].rows.all()


def test_a_departure_of_a_stretch_is_located() -> None:
    """An input that broke a day ago has departed in that day's rows, with an onset that says so."""
    _, current = quiet()
    income = pl.when(late(current)).then(pl.col("income") * 100).otherwise(pl.col("income"))
    found = departures(made(broken(income.alias("income"))))["income"]
    assert found.departed
    assert found.scope.since == pytest.approx(START + 7 * 86_400, abs=7200)
    assert (found.rows == late(current).to_numpy()).mean() > 0.95
    assert found.onset is not None


def test_the_context_is_on_the_references_scale(calm: Case) -> None:
    """Every column of the context has mean 0 and spread 1 in the reference, and the label is left out by default."""
    ctx = context(calm)
    assert np.abs(ctx.before.mean(axis=0)).max() < 0.01
    assert ctx.before.std(axis=0) == pytest.approx(1.0, abs=0.02)
    assert not (ctx.without() & ctx.label).any()
    assert ctx.without("age", label=True).sum() == ctx.before.shape[1] - 1


def test_answers_that_stand_still_do_not_accuse_the_labels() -> None:
    """When a unit drives every answer to one end, labels cannot go with answers, and that is no fault of theirs."""
    found = findings(made(broken(pl.col("income") * 100_000)), "label_alignment")
    assert "labels.shuffled" not in found


def test_a_value_that_the_classes_bring_is_no_default() -> None:
    """More rows of a class bring more of what its rows hold; within classes the value is as frequent as before."""
    rng = np.random.default_rng(4)

    def window(frame: pl.DataFrame, share: float) -> pl.DataFrame:
        label = rng.random(frame.height) < share
        contract = np.where(rng.random(frame.height) < np.where(label, 0.8, 0.3), 0.0, 2.0)
        contract = np.where(rng.random(frame.height) < 0.3, 1.0, contract)
        return served(frame.with_columns(contract=pl.Series(contract))).with_columns(
            label=pl.Series(label.astype(int))
        )

    frames = quiet()
    case = made((window(frames[0], 0.3), window(frames[1], 0.6)))
    assert departures(case)["contract"].departed
    found = findings(case, "missing_and_defaults")
    assert not [f for f in found.values() if "contract" in f.subject.names]


@pytest.mark.parametrize(
    ("spelt", "told"), [(lambda k: f"{k:015X}", True), (lambda k: f"K{k:08X}", False)]
)
def test_keys_that_are_written_otherwise_lose_their_join(spelt: Any, told: bool) -> None:
    """A segment that says how the key is written is no reason of its own: the join lost those keys."""
    rng = np.random.default_rng(8)
    frames = []
    for k, frame in enumerate(quiet()):
        new = rng.random(frame.height) < 0.4
        number = rng.integers(1 << 24, 1 << 31, frame.height)
        keys = [spelt(n) if late_ else f"K{n:08X}" for n, late_ in zip(number, new, strict=True)]
        lost = pl.Series(new & (k == 1))
        keyed = frame.with_columns(
            pl.Series("card", keys), pl.Series("format", np.where(new, "padded", "plain"))
        )
        frames.append(served(keyed.with_columns(where(lost, "age", None))))
    case = made((frames[0], frames[1]), segments=["region", "format"])
    found = findings(case, "missing_and_defaults")
    assert ("defaults.key" in found) == told


def _fallen_back(names: tuple[str, ...]) -> Frames:
    """The world in which some rows hold the usual value of these inputs."""
    reference, current = quiet()
    rows = hit(0.4)
    medians = {n: float(reference[n].cast(pl.Float64).median()) for n in names}
    return reference, served(current.with_columns([where(rows, n, v) for n, v in medians.items()]))


@pytest.mark.parametrize(("names", "told"), [(("age", "income"), True), (("income",), False)])
def test_sources_that_fall_back_together_have_one_fallback(
    names: tuple[str, ...], told: bool
) -> None:
    """Usual values from two sources in the same rows come from where the sources meet."""
    case = made(_fallen_back(names), sources={"crm": ["age"], "bank": ["income"]})
    found = findings(case, "missing_and_defaults")
    assert ("defaults.sources" in found) == told
    if told:
        assert found["defaults.sources"].supports == ("fallback_overload",)
        assert found["defaults.sources"].subject.names == ("bank", "crm")


@pytest.mark.parametrize(("sorted_", "told"), [(True, False), (False, True)])
def test_keys_that_come_in_one_go_do_not_tell_who_lost_values(sorted_: bool, told: bool) -> None:
    """Rows of one key that follow each other are hit together when a fault begins, whatever the key."""
    rng = np.random.default_rng(3)
    reference, current = quiet()
    n = current.height
    keys = np.arange(n) // 8 if sorted_ else rng.integers(0, n // 8, n)
    lost = (np.arange(n) // 8 >= n // 24) if sorted_ else keys % 3 == 0
    frames = [
        f.drop("ts").with_columns(pl.Series("query", [f"q{k:04d}" for k in keys[: f.height]]))
        for f in (reference, current)
    ]
    now = served(frames[1].with_columns(where(pl.Series(lost), "age", None)))
    case = made((frames[0], now), timestamp=None)
    assert ("defaults.key" in findings(case, "missing_and_defaults")) == told


@pytest.mark.parametrize("days", [1, 5])
def test_the_number_of_the_day_is_no_fault_when_days_go_on(days: int) -> None:
    """An input that goes on with the calendar is new in time: no default, no recode and no shift of who comes."""
    frames = [
        f.with_columns(day=((f["ts"].dt.epoch("s") - START) // (days * int(DAY))).cast(pl.Float64))
        for f in quiet()
    ]
    case = made((frames[0], frames[1]))
    case.significant = True
    for check in ("missing_and_defaults", "recoding"):
        assert not [f for f in findings(case, check).values() if "day" in f.subject.names]
    seen = view(case)
    assert seen is not None
    assert "day" not in seen.owner


@pytest.mark.parametrize(("shifted", "known"), [(0, True), (3, False)])
def test_one_weekday_has_one_value_of_its_own(shifted: int, known: bool) -> None:
    """Rows of one day hold that day's number and nobody filled it in; another day's number is a default."""
    reference, current = quiet()
    at = reference["ts"].dt.epoch("s").to_numpy()
    reference = reference.with_columns(
        ts=pl.from_epoch(pl.Series((START - 28 * DAY + (at - at.min()) * 21 * DAY / np.ptp(at)).astype(np.int64)))
        .dt.replace_time_zone("UTC")
    )  # fmt: skip
    late_at = current["ts"].dt.epoch("s").to_numpy()
    one_day = START + (late_at - late_at.min()) * 0.9 * DAY / np.ptp(late_at)
    current = current.with_columns(
        ts=pl.from_epoch(pl.Series(one_day.astype(np.int64))).dt.replace_time_zone("UTC")
    )
    day = pl.col("ts").dt.weekday() % 7
    frames = (
        reference.with_columns(dow=day.cast(pl.Float64)),
        current.with_columns(dow=((day + shifted) % 7).cast(pl.Float64)),
    )
    case = made(frames)
    lost = [f for f in findings(case, "missing_and_defaults").values() if "dow" in f.subject.names]
    assert (not lost) is known


def test_rush_hours_alone_are_neither_cut_nor_renamed() -> None:
    """A window of some hours holds those hours: an input that tells the time of the request as ever is not broken."""

    def timed(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(hr=pl.col("ts").dt.hour().cast(pl.Float64))

    reference, current = quiet()
    current = current.filter(pl.col("ts").dt.hour().is_in([8, 9, 17, 18, 19]))
    case = made((timed(reference), timed(current)))
    assert tells_time(case, "hr")
    for check in ("resolution", "recoding"):
        assert not [f for f in findings(case, check).values() if "hr" in f.subject.names]
    moved = current.with_columns(hr=(pl.col("ts").dt.hour() + 5).cast(pl.Float64) % 24)
    assert not tells_time(made((timed(reference), moved)), "hr")


@pytest.mark.parametrize(("value", "told"), [("true", True), ("false", False)])
def test_rows_that_say_so_themselves_fell_back(value: str, told: bool) -> None:
    """Defaults in just the rows that are logged as answered by a fallback are a fallback's."""
    rows = hit(0.5)
    other = "false" if value == "true" else "true"
    marked = pl.when(rows).then(pl.lit(value)).otherwise(pl.lit(other)).alias("used_fallback")
    reference, current = quiet()
    both = pl.Series(np.random.default_rng(2).random(reference.height) < 0.5)
    reference = reference.with_columns(
        used_fallback=pl.when(both).then(pl.lit(value)).otherwise(pl.lit(other))
    )
    now = served(current.with_columns(where(rows, "age", 99.0), marked))
    case = made((reference, now), segments=("used_fallback",))
    assert ("defaults.flagged" in findings(case, "missing_and_defaults")) is told


@pytest.mark.parametrize("opened", [0.5, 0.0, None])
def test_defaults_that_came_as_a_breaker_opened_are_a_fallbacks(
    tmp_path: Path, opened: float | None
) -> None:
    """A breaker that opened with the defaults tells whose they are; one that opened before, or never did, does not."""
    reference, current = quiet()
    late_rows = hit(0.9) & pl.Series(np.arange(3000) >= 1500)
    now = served(current.with_columns(where(late_rows, "age", 99.0)))
    case = made((reference, now), segments=())
    first, last = (float(f(case.current.time)) for f in (np.min, np.max))
    times = np.arange(float(np.min(case.reference.time)), last, 1_800.0)
    since = np.inf if opened is None else first + opened * (last - first)
    open_now = (times >= since).astype(float)
    frame = pl.DataFrame(
        {
            "timestamp": times,
            "entity": "gate",
            "metric": "crm.circuit_breaker.open",
            "value": open_now,
        }
    )
    frame.write_parquet(tmp_path / "metrics.parquet")
    telemetry = TelemetrySpec(metrics=("metrics.parquet",))
    case.incident = replace(case.incident, telemetry=telemetry, folder=tmp_path)
    assert ("defaults.fell_back" in findings(case, "fallbacks")) is (opened == 0.5)


def test_an_odd_value_that_was_never_seen_may_have_been_kept() -> None:
    """A number that hardly repeats need not have had a value before for somebody to keep it: both readings stay."""
    reference, current = quiet()
    age = reference["age"].to_numpy()
    odd = float(np.quantile(age, 0.8)) + 1e-4
    assert not (age == odd).any()
    case = made((reference, served(current.with_columns(where(hit(0.6), "age", odd)))))
    found = findings(case, "missing_and_defaults")["defaults.still"]
    assert {"stale_features", "silent_nulls"} <= set(found.supports)


def test_a_clip_is_seen_beside_a_value_that_was_always_common() -> None:
    """Noughts may always have been many: the bound is the value that gained."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(1.2, 6000).astype(float)
    found = clip(counts[:3000], np.minimum(counts[3000:], 1.0))
    assert found is not None
    assert (found.bound, found.upper) == (1.0, True)


def test_what_time_tells_is_the_clocks() -> None:
    """Hours, weekdays and their names go with the clock; amounts and places do not."""

    def timed(frame: pl.DataFrame) -> pl.DataFrame:
        at = pl.col("ts")
        names = {str(k): f"day {k}" for k in range(1, 8)}
        weekday = at.dt.weekday()
        return frame.with_columns(
            hour=at.dt.hour(),
            weekday=weekday,
            dayname=weekday.cast(pl.String).replace_strict(names),
        )

    reference, current = (timed(f) for f in quiet())
    case = made((reference, current))
    told = {name for name in case.kinds if follows_clock(case, name)}
    assert told == {"hour", "weekday", "dayname"}


def test_degrees_of_another_scale_are_a_unit_though_days_were_warmer() -> None:
    """Fahrenheit in a week that was warmer as well is no line of its own, but a unit and a rest."""
    rng = np.random.default_rng(3)
    reference, current = quiet()
    before = reference.with_columns(temp=pl.Series(rng.normal(14, 4, len(reference))))
    warmer = rng.normal(17, 3.2, len(current))
    now = current.with_columns(temp=pl.Series(1.8 * warmer + 32))
    told = findings(made((before, now)), "quantile_relation")["quantile_relation.unit"]
    assert told.repairs[0].options == {"slope": 1.8, "offset": 32.0}
    drifted = current.with_columns(temp=pl.Series(1.3 * warmer + 3))
    assert "quantile_relation.unit" not in findings(made((before, drifted)), "quantile_relation")


@pytest.mark.parametrize(("column", "turns"), [("surface", False), ("lookup_file", True)])
def test_segments_that_always_came_in_stretches_take_no_turns(column: str, turns: bool) -> None:
    """A default in one surface, whose sessions come in stretches as ever, was written by no second generator."""

    def served_in_sessions(frame: pl.DataFrame) -> pl.DataFrame:
        session = np.arange(len(frame)) // 60
        inside = np.random.default_rng(5).random(session.max() + 1) < 0.5
        return frame.with_columns(pl.Series(column, np.where(inside[session], "mail", "feed")))

    before, now = (served_in_sessions(frame) for frame in quiet())
    now = now.with_columns(age=pl.when(pl.col(column) == "mail").then(0.0).otherwise("age"))
    found = findings(made((before, served(now)), segments=[column]), "missing_and_defaults")
    assert ("defaults.turns" in found) is turns


@pytest.mark.parametrize(("column", "told"), [("app_version", False), ("lookup_file", True)])
def test_one_edition_of_a_file_may_take_few_turns(column: str, told: bool) -> None:
    """A window that holds a turn or two of a bad edition names it; a version of a client is no file."""

    def written(frame: pl.DataFrame) -> pl.DataFrame:
        turn = np.arange(len(frame)) * 5 // len(frame)
        return frame.with_columns(pl.Series(column, np.where(turn % 2 == 1, "b", "a")))

    before, now = (written(frame) for frame in quiet())
    now = now.with_columns(age=pl.when(pl.col(column) == "b").then(0.0).otherwise("age"))
    found = findings(made((before, served(now)), segments=[column]), "missing_and_defaults")
    assert "defaults.value" in found
    assert ("defaults.edition" in found) is told


def test_inputs_that_moved_by_one_factor_are_one_finding() -> None:
    """Two inputs in another unit in the same rows are one fault, undone together; by two factors they are two."""
    same = made(broken(pl.col("income") * 100, pl.col("age") * 100))
    (one,) = [f for n, f in findings(same, "quantile_relation").items() if n.endswith("unit")]
    assert sorted(one.subject.names) == ["age", "income"]
    assert sorted(one.repairs[0].subject.names) == ["age", "income"]
    apart = made(broken(pl.col("income") * 100, pl.col("age") * 1000))
    found = findings(apart, "quantile_relation")["quantile_relation.unit"]
    assert len(found.subject.names) == 1


def test_some_rows_that_crossed_over_are_an_exchange_beside_a_drift() -> None:
    """Where two inputs' ranges are apart, rows in which each lies in the other's say it, however both have drifted."""
    frames = [
        f.with_columns(far=pl.Series(np.random.default_rng(k).normal(500, 20, f.height)))
        for k, f in enumerate(quiet())
    ]
    crossed = pl.Series(np.random.default_rng(2).random(frames[1].height) < 0.4)
    drifted = frames[1].with_columns(far=pl.col("far") + 15)
    mixed = drifted.with_columns(
        far=pl.when(crossed).then(pl.col("age")).otherwise(pl.col("far")),
        age=pl.when(crossed).then(pl.col("far")).otherwise(pl.col("age")),
    )
    case = made((frames[0], served(mixed)))
    found = findings(case, "exchanged_columns")["swap.marginals"]
    assert set(found.subject.names) == {"age", "far"}
    back = exchange(case, found.repairs[0]).features["age"]
    assert (back > 300).mean() < 0.05 < (mixed["age"] > 300).mean()  # type: ignore[operator]
    calm = made((frames[0], served(drifted)))
    assert findings(calm, "exchanged_columns") == {}


def test_one_of_two_categories_may_be_all_there_is() -> None:
    """A flag that is always off may have stood still no more than a week of holidays has; one of many categories has."""
    frames = [
        f.with_columns(
            flag=pl.when(pl.col("income") > f["income"].median())
            .then(pl.lit("on"))
            .otherwise(pl.lit("off"))
        )
        for f in quiet()
    ]
    off = made((frames[0], served(frames[1].with_columns(flag=pl.lit("off")))))
    assert set(findings(off, "missing_and_defaults")) <= {"defaults.level"}
    city = made((frames[0], served(frames[1].with_columns(city=pl.lit("aa")))))
    assert "defaults.frozen" in findings(city, "missing_and_defaults")


def test_editions_beyond_count_are_no_keys_of_a_join() -> None:
    """Of sixty builds of a file every other one lost all its values: it was written badly, and nothing failed to join."""

    def written(frame: pl.DataFrame) -> pl.DataFrame:
        build = np.arange(len(frame)) * 60 // len(frame)
        return frame.with_columns(lookup_build=pl.Series([f"b{4000 + k}" for k in build]))

    before, now = (written(frame) for frame in quiet())
    bad = pl.col("lookup_build").str.slice(1).cast(pl.Int64) % 7 < 3
    now = now.with_columns(age=pl.when(bad).then(0.0).otherwise("age"))
    case = made((before, served(now)), segments=["lookup_build"])
    found = findings(case, "missing_and_defaults")
    assert "defaults.key" not in found
    assert {"defaults.edition", "defaults.turns"} & set(found)


@pytest.mark.parametrize(
    ("column", "mode"),
    [("features_as_of", "stale_features"), ("index_built_at", "stale_index")],
)
@pytest.mark.parametrize(("since", "old"), [(0.4, True), (1.0, False)])
def test_inputs_are_old_by_what_was_logged_of_them(
    since: float, old: bool, column: str, mode: str
) -> None:
    """An instant beside each row that falls days behind is staleness, though no value repeats; one as ever clears it."""
    rng = np.random.default_rng(4)

    def read(frame: pl.DataFrame, late_from: float) -> pl.DataFrame:
        age = rng.uniform(0.1, 3.0, len(frame)) * HOUR
        age[int(late_from * len(frame)) :] += 3 * DAY
        at = frame["ts"].dt.epoch("s").to_numpy() - age
        return frame.with_columns(pl.from_epoch(pl.Series(at.astype(np.int64))).alias(column))

    before, now = quiet()
    inputs = ["age", "income", "visits", "city"]
    case = made((read(before, 1.0), read(now, since)), features=inputs)
    found = findings(case, "as_of")
    assert ("freshness.as_of" in found) is old
    assert not old or found["freshness.as_of"].supports == (mode,)
    # Without vectors among the inputs, a fresh index clears none of them.
    assert (cleared(case, "as_of") == {mode}) is (not old and mode == "stale_features")


def test_inputs_of_other_kinds_are_not_cleared_of_lost_values() -> None:
    """Who looked at numbers and categories alone says nothing of texts."""
    before, now = (f.with_columns(note=pl.lit("as it was")) for f in quiet())
    case = made((before, now), text="note")
    (outcome,) = outcomes(case, "missing_and_defaults")
    assert isinstance(outcome, Clear)
    assert "age" in outcome.subject.names
    assert "note" not in outcome.subject.names


@pytest.mark.parametrize(("name", "zone"), [("pickup_hour", True), ("visits_a_week", False)])
def test_hours_that_are_whole_hours_off_are_in_another_zone(name: str, zone: bool) -> None:
    """Hours of business days, which no clock goes round, five hours early: a zone; any other input is not."""
    rng = np.random.default_rng(8)
    before, now = (
        f.with_columns(pl.Series(name, np.clip(rng.normal(16, 2, len(f)), 9, 22.5)))
        for f in quiet()
    )
    now = now.with_columns(pl.col(name) - 5.0)
    case = made((before, now), features=["age", "income", "visits", "city", name])
    found = findings(case, "quantile_relation")
    assert ("quantile_relation.clock" in found) is zone
    assert findings(case, "thin_aggregates") == {}


def test_ages_that_are_missing_clear_nothing() -> None:
    """Where a fifth of the rows no longer tell how old their inputs were, they may be of any age; nor does one feed clear another."""
    rng = np.random.default_rng(4)

    def read(frame: pl.DataFrame, column: str, lost: float) -> pl.DataFrame:
        age = pl.Series(rng.uniform(60.0, 900.0, len(frame)))
        return frame.with_columns(
            pl.when(pl.Series(rng.random(len(frame)) < lost))
            .then(None)
            .otherwise(age)
            .alias(column)
        )

    before, now = quiet()
    inputs = ["age", "income", "visits", "city"]
    for column, lost, named in (
        ("features_age", 0.0, set(inputs)),
        ("features_age", 0.2, set()),
        ("income_fetched_s", 0.0, {"income"}),
        ("weather_cached_at", 0.0, set()),
    ):
        case = made((read(before, column, 0.0), read(now, column, lost)), features=inputs)
        told = [o for o in outcomes(case, "as_of") if isinstance(o, Clear)]
        assert {n for one in told for n in one.subject.names} == named, column


def test_an_input_does_not_repeat_within_itself() -> None:
    """What is an input and a segment has as long runs within its own groups as there are rows, and keeps nothing for it."""
    reference, current = quiet()
    sparse = current.gather_every(3)  # as the reference is, over a longer time
    names = ("age", "income", "visits", "city")
    few = reference.tail(reference.height // 10)
    case = made((few, sparse), segments=("region", "city"), features=names)
    told = [f.statement for f in findings(case, "freshness").values()]
    assert not [t for t in told if "within each city" in t]
