"""Repairs and what their replay takes away of the symptom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from linked_world import broken, late, made, quiet, served
from ruleout._records import RepairPlan, Scope, Subject
from ruleout.experiments import (
    Bench,
    Undone,
    _replay,
    explain,
    repaired_case,
    replayed_outputs,
    shapley_pair,
)
from ruleout.profile import Case, Predictor

PERMUTED = {"aa": "bb", "bb": "aa", "cc": "dd", "dd": "cc"}


def plan(repair: str, *names: str, scope: Scope | None = None, **options: object) -> RepairPlan:
    return RepairPlan(repair, Subject("feature", names), scope or Scope(), options)


def undone(case: Case, told: RepairPlan) -> Undone:
    made_whole = Bench(case).undone(told)
    assert made_whole is not None
    return made_whole


RESCALED = plan("rescale", "income", slope=1000.0, offset=0.0)


@pytest.fixture(scope="module")
def thousands() -> Case:
    """Incomes a thousand times too large."""
    return made(broken(pl.col("income") * 1000))


def test_rescaling_gives_the_values_back(thousands: Case) -> None:
    """Divided by the ratio of units, the values are those that were damaged."""
    back = undone(thousands, RESCALED).features["income"]
    _, current = quiet()
    assert back.to_numpy() == pytest.approx(current["income"].to_numpy())


def test_rescaling_keeps_to_its_scope() -> None:
    """Rows before the fault began stay as they are."""
    _, current = quiet()
    income = pl.when(late(current)).then(pl.col("income") * 1000).otherwise(pl.col("income"))
    case = made(broken(income.alias("income")))
    since = float(current.filter(late(current))["ts"].dt.epoch("s")[0])
    told = plan("rescale", "income", scope=Scope(since=since), slope=1000.0, offset=0.0)
    back = undone(case, told).features["income"]
    assert back.to_numpy() == pytest.approx(current["income"].to_numpy())


def test_undoing_the_fault_takes_the_symptom_away(thousands: Case) -> None:
    """The true repair explains nearly all of it, a wrong one nothing."""
    bench = Bench(thousands)
    told = bench.explained(RESCALED)
    wrong = bench.explained(plan("rescale", "age", slope=1.05, offset=0.0))
    assert told is not None
    assert wrong is not None
    assert told.fraction > 0.8
    assert told.low <= told.fraction <= told.high
    assert told.method == "surrogate_replay"
    assert abs(wrong.fraction) < 0.15


def test_the_best_repair_is_the_one_that_explains_most(thousands: Case) -> None:
    """Of several repairs that undo a mode the best is taken; repairs of other modes are not tried."""
    half = plan("rescale", "income", slope=1.05, offset=0.0)
    bench = Bench(thousands)
    best = bench.best("unit_change", [half, RESCALED])
    assert best is not None
    assert best[0] == RESCALED
    assert bench.best("corrupted_labels", [RESCALED]) is None
    assert bench.best("unit_change", []) is None


def test_what_is_left_is_looked_for_in_as_many_rows_as_a_repair_leaves(thousands: Case) -> None:
    """Of repairs that explain as much but for chance the one that leaves most rows counts, and no poor one."""
    again = plan("rescale", "income", slope=1000.0, offset=0.0, on="a part")
    poor = plan("rescale", "income", slope=1.05, offset=0.0)

    class Parted(Bench):
        """A bench on which one plan puts a sixth of the rows right and leaves the others out."""

        def undone(self, told: RepairPlan) -> Undone | None:
            made_whole = super().undone(told)
            if told != again or made_whole is None:
                return made_whole
            return replace(made_whole, keep=np.arange(3000) % 6 == 0)

    bench = Parted(thousands)
    assert bench.fullest("unit_change", [again, RESCALED, poor]) == RESCALED
    assert bench.fullest("unit_change", [again, poor]) == again
    assert bench.fullest("unit_change", []) is None


def test_codes_get_their_names_back() -> None:
    """The permuted codes become what they were, in the affected rows alone."""
    case = made(broken(pl.col("city").replace(PERMUTED)))
    _, current = quiet()
    back = undone(case, plan("recode", "city", mapping=PERMUTED)).features["city"]
    assert back.to_list() == current["city"].to_list()
    north = Scope(column="region", values=("north",))
    part = undone(case, plan("recode", "city", scope=north, mapping=PERMUTED)).features["city"]
    elsewhere = case.current.frame["region"] != "north"
    assert (
        part.filter(elsewhere).to_list() == case.current.frame["city"].filter(elsewhere).to_list()
    )


def test_columns_return_to_their_places() -> None:
    """Exchanged columns are put back, and undoing that explains the symptom."""
    case = made(broken(pl.col("age").alias("income"), pl.col("income").alias("age")))
    told = plan("exchange", "age", "income")
    back = undone(case, told).features
    _, current = quiet()
    for name in ("age", "income"):
        assert back[name].to_numpy() == pytest.approx(current[name].to_numpy())
    explained = Bench(case).explained(told)
    assert explained is not None
    assert explained.fraction > 0.6


def test_lost_values_leave_the_spared_rows() -> None:
    """Where enough rows were spared, those that lost their values are left out."""
    lost = pl.Series(np.random.default_rng(3).random(3000) < 0.4)
    case = made(broken(pl.when(lost).then(None).otherwise(pl.col("age")).alias("age")))
    told = undone(case, plan("restore_defaults", "age", values=("null",)))
    assert told.method == "exclusion"
    assert told.keep is not None
    assert (told.keep == ~lost.to_numpy()).all()


def test_where_all_is_lost_the_reference_loses_it_too() -> None:
    """With no row spared, the same default is given to the reference and its harm measured there."""
    case = made(broken(pl.lit(0.0).alias("age")))
    told = plan("restore_defaults", "age", values=("0",))
    damaged = undone(case, told).damaged
    assert damaged is not None
    assert damaged.share == 1.0
    assert set(damaged.features["age"].to_list()) == {0.0}
    explained = Bench(case).explained(told)
    assert explained is not None
    assert explained.method == "damage_replay"
    assert explained.fraction > 0.6


def test_a_clip_is_done_to_the_reference() -> None:
    """What a bound cut off cannot come back: the reference is cut at the same bound."""
    case = made(broken(pl.col("income").clip(upper_bound=40.0)))
    told = plan("restore_resolution", "income", kind="clip", bound=40.0, upper=True, part=1.0)
    damaged = undone(case, told).damaged
    assert damaged is not None
    assert damaged.features["income"].max() == 40.0
    assert damaged.share == 1.0


def test_late_values_go_back_to_their_rows() -> None:
    """Values that came forty rows late are moved up; the last rows, whose values never came, are left out."""
    reference, current = quiet()
    late_income = pl.Series("income", np.roll(current["income"].to_numpy(), 40))
    case = made((reference, served(current.with_columns(late_income))))
    told = undone(case, plan("shift_rows", "income", rows=40))
    assert told.keep is not None
    assert told.keep.sum() == 2960
    back = told.features["income"].to_numpy()
    assert back[told.keep] == pytest.approx(current["income"].to_numpy()[:2960])


def test_cut_links_are_cut_in_the_reference() -> None:
    """Relinking shuffles the reference's own values: the same ones, in another order."""
    case = made(broken(pl.col("income").shuffle(seed=1)))
    damaged = undone(case, plan("relink", "income")).damaged
    assert damaged is not None
    before = case.reference.frame["income"][damaged.rows]
    assert sorted(damaged.features["income"].to_list()) == sorted(before.to_list())
    assert damaged.features["income"].to_list() != before.to_list()


def test_repeats_are_dropped_by_key() -> None:
    """The first row of every key stays."""
    reference, current = quiet()
    case = made((reference, pl.concat([current, current.head(500)]).sort("ts")))
    told = undone(case, RepairPlan("drop_repeats", Subject("pipeline")))
    assert told.keep is not None
    assert told.keep.sum() == 3000


def test_a_renamed_column_is_carried_over() -> None:
    """The vanished input is filled from the new one, text with units read as the old type."""
    reference, current = quiet()
    text = (pl.col("income").round(3).cast(pl.String) + " k").alias("income_v2")
    case = made((reference, current.with_columns(text).drop("income")))
    told = undone(
        case,
        RepairPlan(
            "rename_column", Subject("feature", ("income",)), options={"from": ("income_v2",)}
        ),
    )
    assert told.features["income"].to_numpy() == pytest.approx(
        current["income"].to_numpy(), abs=1e-3
    )


def test_a_column_that_cannot_stand_in_is_refused() -> None:
    """Values that do not read as the old type are no repair, and the bench says why."""
    reference, current = quiet()
    case = made((reference, current.with_columns(pl.lit("none").alias("note")).drop("income")))
    bench = Bench(case)
    told = RepairPlan("rename_column", Subject("feature", ("income",)), options={"from": ("note",)})
    assert bench.undone(told) is None
    assert "note cannot stand for income" in bench.refused["rename_column"]


def test_doing_nothing_explains_nothing(thousands: Case) -> None:
    """A repair that changes no value takes nothing away."""
    same = Undone(features={"income": thousands.current.frame["income"]})
    told = explain(thousands, same)
    assert told is not None
    assert told.fraction == pytest.approx(0.0)


def test_perfect_answers_and_labels_are_bounded(thousands: Case) -> None:
    """A repair that does better than the good time explains all of it and no more."""
    perfect = replace(thousands.outputs("current"), decision=thousands.truth("current"))
    told = explain(thousands, Undone(outputs=perfect))
    assert told is not None
    assert told.fraction == 1.0
    assert told.high <= 1.0


def test_without_a_predictor_changed_inputs_cannot_be_replayed(thousands: Case) -> None:
    """Where nothing answers for changed inputs, there is no share to tell."""
    mute = replace(thousands, predictor=None, cache={})
    told = undone(thousands, RESCALED)
    assert replayed_outputs(mute, told) is None
    assert explain(mute, told) is None
    assert repaired_case(mute, told) is None


@pytest.mark.parametrize("reads", ["photo", "brightness"])
def test_a_model_that_reads_no_image_cannot_say_what_another_image_would_bring(reads: str) -> None:
    """A head on numbers taken from a picture answers as ever when only the picture is put right: that proves nothing."""
    _, current = quiet()
    files = pl.Series("photo", [b"dark"] * current.height, dtype=pl.Binary)
    case = made((quiet()[0].with_columns(photo=pl.lit(b"light")), current.with_columns(files)))
    said = case.outputs("current")
    case.kinds = {**case.kinds, "photo": "image"}
    case.predictor = Predictor(
        "model", 1.0, lambda f: said.take(np.arange(f.height)), frozenset({reads})
    )
    repaired = Undone(features={"photo": pl.Series("photo", [b"light"] * current.height)})
    assert (replayed_outputs(case, repaired) is None) == (reads == "brightness")


def test_rows_that_a_repair_leaves_alone_keep_their_answers(thousands: Case) -> None:
    """Only changed rows are replayed; the others keep what was served."""
    column = thousands.current.frame["income"].to_numpy().copy()
    column[:10] /= 1000
    answers = replayed_outputs(thousands, Undone(features={"income": pl.Series("income", column)}))
    assert answers is not None
    before, after = answers
    served_score = thousands.outputs("current").score
    assert served_score is not None
    assert before.score is not None
    assert after.score is not None
    assert (after.score[10:] == served_score[10:]).all()
    assert (after.score[:10] != before.score[:10]).any()


def test_the_repaired_case_is_sound(thousands: Case) -> None:
    """With the fault undone, the case holds the old values and most of the old metric."""
    mended = repaired_case(thousands, undone(thousands, RESCALED))
    assert mended is not None

    def accuracy(case: Case) -> float:
        return case.metric.value(case.truth("current"), case.outputs("current"))

    good = thousands.metric.value(thousands.truth("reference"), thousands.outputs("reference"))
    assert abs(accuracy(mended) - good) < 0.25 * abs(accuracy(thousands) - good)
    assert mended.significant is None


def test_kept_rows_alone_make_the_repaired_case(thousands: Case) -> None:
    """A repair that leaves rows out leaves them out everywhere; too few rows are no case."""
    keep = np.arange(3000) < 1000
    part = repaired_case(thousands, Undone(keep=keep))
    assert part is not None
    assert (
        part.current.rows
        == len(part.truth("current"))
        == len(part.outputs("current").decision)
        == 1000
    )
    assert repaired_case(thousands, Undone(keep=np.arange(3000) < 50)) is None
    assert repaired_case(thousands, Undone(weight=np.ones(3000))) is None


def test_shapley_shares_of_a_pair() -> None:
    """Shares sum to what both explain; independent causes keep their own, equal ones get halves."""
    assert shapley_pair(0.3, 0.5, 0.8) == pytest.approx((0.3, 0.5))
    assert shapley_pair(0.6, 0.6, 0.6) == pytest.approx((0.3, 0.3))
    assert sum(shapley_pair(0.2, 0.1, 0.9)) == pytest.approx(0.9)


def test_an_interval_holds_its_own_estimate(
    thousands: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where draws lie to one side of what all rows say, the interval reaches to it."""
    monkeypatch.setattr(_replay, "_repaired_current", lambda *_: (0.9, np.linspace(0.0, 0.2, 100)))
    told = explain(thousands, Undone(keep=np.ones(thousands.current.rows, dtype=bool)))
    assert told is not None
    assert told.low <= told.fraction == 0.9 <= told.high
