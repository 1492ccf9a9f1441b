from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout.checks.world.feedback import tie
from ruleout.checks.world.season import season_weight
from served_world import FEATURES, START, answered, case_of, cleared, findings, rows, rule, windows

DAY = 86_400.0


def flipped(frame: pl.DataFrame, share: Any, rng: np.random.Generator) -> pl.DataFrame:
    """Labels flipped with a probability per row."""
    flip = rng.random(frame.height) < share
    return frame.with_columns(
        pl.Series("label", np.where(flip, 1 - frame["label"], frame["label"]))
    )


def at(frame: pl.DataFrame) -> Any:
    """Epoch seconds of the rows."""
    return frame["ts"].dt.epoch("s").to_numpy()


def test_a_weekend_that_is_always_bad_is_a_season() -> None:
    """Weekends were as bad in the reference: the season explains the change, and nothing else is left."""
    rng = np.random.default_rng(1)

    def weekend(frame: pl.DataFrame) -> Any:
        return np.where(frame["ts"].dt.weekday().to_numpy() > 5, 0.25, 0.0)

    reference = rows(9000, rng, days=21)
    saturday = START + 21 * DAY
    saturday += ((5 - int((saturday // DAY + 3) % 7)) % 7) * DAY
    current = rows(3000, rng, start=saturday, days=2)
    case = case_of(
        flipped(reference, weekend(reference), rng), flipped(current, weekend(current), rng)
    )
    found = findings(case, "season")["season.explains"]
    assert 0.8 < found.effect < 1.2


@pytest.mark.parametrize("nights", [True, False])
def test_a_short_night_is_enough_to_know_its_season(*, nights: bool) -> None:
    """Some 120 rows of a night are compared with the reference's nights, which were as bad, or never were."""
    rng = np.random.default_rng(5)
    reference = rows(6000, rng, days=14)
    dark = (at(reference) % DAY) < DAY / 4
    current = rows(480, rng, start=START + 14 * DAY, days=1).filter(pl.col("ts").dt.hour() < 6)
    assert 60 < current.height < 200
    case = case_of(
        flipped(reference, np.where(dark & nights, 0.4, 0.0), rng), flipped(current, 0.4, rng)
    )
    assert ("season.explains" in findings(case, "season")) == nights


def test_one_bad_day_of_its_kind_is_hardly_a_season() -> None:
    """Where one weekend of three was bad, the season is told with less weight than where all were."""
    saturday = START + 21 * DAY
    saturday += ((5 - int((saturday // DAY + 3) % 7)) % 7) * DAY

    def strength(weekends: float) -> float:
        rng = np.random.default_rng(21)
        reference = rows(9000, rng, days=21)
        weekend = reference["ts"].dt.weekday().to_numpy() > 5
        bad = weekend & (at(reference) < START + weekends * 7 * DAY)
        spoilt = flipped(reference, np.where(bad, 0.3 * 3 / weekends, 0.0), rng)
        current = flipped(rows(3000, rng, start=saturday, days=2), 0.25, rng)
        return float(findings(case_of(spoilt, current), "season")["season.explains"].strength)

    assert strength(1) < 0.6 < strength(3)


def test_the_same_weeks_of_last_year_tell_the_season() -> None:
    """A week that is bad every year is a season, whatever its weekdays; a week that was sound last year is none."""

    def case(last_year: float) -> Any:
        rng = np.random.default_rng(23)
        recent = rows(6000, rng, days=20)
        then = rows(3000, rng, start=START + 20 * DAY - 364 * DAY, days=6)
        reference = pl.concat([flipped(then, last_year, rng), recent]).sort("ts")
        current = flipped(rows(3000, rng, start=START + 20 * DAY, days=6), 0.3, rng)
        return case_of(reference, current)

    found = findings(case(0.3), "season")["season.explains"]
    assert "same weeks of earlier years" in found.statement
    assert "season.explains" not in findings(case(0.0), "season")


def test_a_drop_at_all_hours_is_no_season() -> None:
    """A drop that the same hours of the reference did not have rules the season out."""
    rng = np.random.default_rng(2)
    reference, current = windows(rng)
    case = case_of(reference, flipped(current, 0.2, rng))
    assert cleared(case, "season") == {"seasonality"}


def test_a_window_without_counterpart_is_not_judged() -> None:
    """Hours that the reference does not have give no weights."""
    night = START + np.arange(0, 4 * 3600, 60.0)
    days = [night + k * DAY for k in range(10)]
    assert season_weight(np.concatenate(days), night + 12 * 3600) is None


def test_a_ramp_through_the_reference_is_staleness() -> None:
    """Loss that rises steadily from the reference's start and reaches the current level has no step."""
    rng = np.random.default_rng(3)
    reference, current = rows(8000, rng), rows(4000, rng, start=START + 8 * DAY, days=2)
    share = [0.035 * (at(f) - START) / DAY for f in (reference, current)]
    case = case_of(flipped(reference, share[0], rng), flipped(current, share[1], rng))
    assert "slow_decline.ramp" in findings(case, "slow_decline")


def test_a_step_is_no_staleness() -> None:
    """A step at the window's start after a flat reference rules staleness out."""
    rng = np.random.default_rng(4)
    reference, current = windows(rng)
    assert cleared(case_of(reference, flipped(current, 0.3, rng)), "slow_decline") == {
        "model_staleness"
    }


def test_an_episode_that_ended_is_recovered() -> None:
    """Bad from a tenth to a half of the window and fine since: recovered. Still bad: not."""
    rng = np.random.default_rng(5)
    reference, current = windows(rng)
    position = np.linspace(0, 1, current.height)
    over = flipped(current, np.where((position > 0.1) & (position < 0.5), 0.5, 0.0), rng)
    lasting = flipped(current, np.where(position > 0.1, 0.5, 0.0), rng)
    assert "recovered.back" in findings(case_of(reference, over), "recovered")
    assert cleared(case_of(reference, lasting), "recovered") == {"already_recovered"}


@pytest.mark.parametrize("keyed", [True, False])
def test_an_error_told_many_times_is_no_episode(*, keyed: bool) -> None:
    """A dozen wrong rows that a join multiplied look like a bad stretch; by their keys they are a dozen."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng)
    place = np.arange(current.height)
    wrong = (place > current.height // 3) & (place % 97 == 0) & (place < current.height // 2)
    flip = np.where(wrong, 1 - current["label"], current["label"])
    current = current.with_columns(label=pl.Series(flip), key=pl.Series(place))
    reference = reference.with_columns(key=pl.Series(-1 - np.arange(reference.height)))
    times = np.where(wrong, 60, np.where(place % 5 == 0, 3, 1))
    current = current[np.repeat(place, times)]
    if not keyed:
        current = current.with_columns(key=pl.Series(np.arange(current.height)))
    case = case_of(reference, current, id="key")
    assert ("recovered.back" in findings(case, "recovered")) is not keyed


@pytest.mark.parametrize("lasting", [False, True])
def test_an_episode_shows_in_the_metric_where_errors_hide_it(*, lasting: bool) -> None:
    """Ranks that were lost for a while hardly change the errors where one class is rare; the area under the curve does."""
    rng = np.random.default_rng(5)
    frames = []
    for frame, broken in zip(windows(rng), (False, True), strict=True):
        rare = 0.45 / (1 + np.exp(-(3 * rule(frame) - 3)))
        label = (rng.random(frame.height) < rare).astype(int)
        position = np.linspace(0, 1, frame.height)
        lost = broken & (position > 0.1) & ((position < 0.55) | lasting)
        score = np.where(lost, rng.permutation(rare), rare)
        frames.append(
            frame.with_columns(
                label=pl.Series(label),
                score=pl.Series(score),
                said=pl.Series((score > 0.5).astype(int)),
            )
        )
    case = case_of(*frames, metric="auc")
    assert ("recovered.back" in findings(case, "recovered")) is not lasting


def test_an_episode_is_over_though_the_end_of_a_window_has_a_day_of_its_own() -> None:
    """An input that tells the time is at the end of a window what it is nowhere before; that is no other mix."""
    rng = np.random.default_rng(5)
    reference, current = (f.with_columns(asked_at=pl.col("ts")) for f in windows(rng))
    position = np.linspace(0, 1, current.height)
    inside = (position > 0.1) & (position < 0.5)
    over = flipped(current, np.where(inside, 0.5, 0.0), rng).with_columns(
        visits=pl.when(pl.Series(inside)).then(0.0).otherwise(pl.col("visits"))
    )
    case = case_of(reference, over, features=(*FEATURES, "asked_at"))
    assert "recovered.back" in findings(case, "recovered")


@pytest.mark.parametrize("lasting", [False, True])
def test_an_episode_that_goes_on_in_one_place_is_not_over(lasting: bool) -> None:
    """All rows together are back once others do well; where an input departed for good, the loss says it is not over."""
    rng = np.random.default_rng(25)
    reference, current = windows(rng)
    position = np.linspace(0, 1, current.height)
    west = current["region"].to_numpy() == "west"
    inside = (position > 0.1) & (position < 0.4)
    share = np.where(
        inside, np.where(west, 0.6, 0.4), np.where(west & lasting & (position > 0.1), 0.25, 0.0)
    )
    kept = np.where(
        ~west & (position >= 0.4) & (rng.random(current.height) < 0.4),
        current["said"].to_numpy(),
        current["label"].to_numpy(),
    )
    current = current.with_columns(pl.Series("label", kept if lasting else current["label"]))
    off = pl.Series(west & ((position > 0.1) if lasting else inside))
    current = flipped(current, share, rng).with_columns(
        visits=pl.when(off).then(pl.col("visits") + 4.0).otherwise(pl.col("visits"))
    )
    found = findings(case_of(reference, current), "recovered")
    assert ("recovered.back" in found) is not lasting


def test_an_episode_is_not_over_where_the_newest_labels_are_missing() -> None:
    """A quiet end that few labels tell of, while the newest rows have none yet, is no end."""
    rng = np.random.default_rng(5)
    reference, current = windows(rng)
    position = np.linspace(0, 1, current.height)
    over = flipped(current, np.where((position > 0.1) & (position < 0.5), 0.5, 0.0), rng)
    late = over.with_columns(
        label=pl.when(pl.Series(position > 0.65)).then(None).otherwise(pl.col("label"))
    )
    outcomes = findings(case_of(reference, late), "recovered")
    assert outcomes == {}
    assert cleared(case_of(reference, late), "recovered") == set()


def test_an_episode_that_an_input_places_may_be_slight() -> None:
    """Where an input was off for a while, a rise of the loss in just that while counts, and its end too."""
    rng = np.random.default_rng(15)
    reference, current = windows(rng)
    position = np.linspace(0, 1, current.height)
    inside = (position > 0.2) & (position < 0.5)
    slight = flipped(current, np.where(inside, 0.12, 0.0), rng)
    off = slight.with_columns(
        pl.when(pl.Series(inside)).then(0.0).otherwise(pl.col("visits")).alias("visits")
    )
    assert "recovered.back" in findings(case_of(reference, off), "recovered")
    lasting = np.where(position > 0.2, 0.12, 0.0)
    assert "recovered.back" not in findings(
        case_of(reference, flipped(current, lasting, rng)), "recovered"
    )


def test_only_an_event_at_the_onset_is_planned(tmp_path: Any) -> None:
    """A chaos run that begins with the symptom is the null; one a day earlier is not, nor is a deploy."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    bad = flipped(current, np.where(np.linspace(0, 1, current.height) > 0.6, 0.5, 0.0), rng)
    onset = at(current)[int(0.6 * current.height)]
    for kind, when, planned in (
        ("chaos", onset, True),
        ("chaos", onset - 2 * DAY, False),
        ("deploy", onset, False),
    ):
        path = tmp_path / f"{kind}{int(when)}.csv"
        stamp = int(when)
        path.write_text(f"timestamp,kind,entity,description\n{stamp},{kind},scoring,game day\n")
        case = case_of(reference, bad, changes=TableSpec(uri=str(path)))
        assert ("planned.coincides" in findings(case, "planned")) is planned, (kind, when)


@pytest.mark.parametrize(
    ("kind", "description", "least", "most"),
    [
        ("calendar", "announced migration window", 0.9, 1.0),
        ("flag", "load test on scoring", 0.9, 1.0),
        ("calendar", "summer campaign", 0.0, 0.2),
    ],
)
def test_only_work_that_is_meant_to_disturb_is_surely_planned(
    tmp_path: Any, kind: str, description: str, least: float, most: float
) -> None:
    """A migration or a load test at the onset is a planned event; a campaign there is hardly a reason by itself."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    bad = flipped(current, np.where(np.linspace(0, 1, current.height) > 0.6, 0.5, 0.0), rng)
    stamp = int(at(current)[int(0.6 * current.height)])
    path = tmp_path / "changes.csv"
    path.write_text(f"timestamp,kind,entity,description\n{stamp},{kind},shop,{description}\n")
    case = case_of(reference, bad, changes=TableSpec(uri=str(path)))
    assert least <= findings(case, "planned")["planned.coincides"].strength <= most


def test_a_drill_goes_before_a_holiday_that_lies_nearer(tmp_path: Any) -> None:
    """Of two entries about the onset, the one that was meant to disturb is the planned event."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    bad = flipped(current, np.where(np.linspace(0, 1, current.height) > 0.6, 0.5, 0.0), rng)
    onset = int(at(current)[int(0.6 * current.height)])
    path = tmp_path / "changes.csv"
    lines = (
        "timestamp,kind,entity,description",
        f"{onset},calendar,ops,public holiday",
        f"{onset - 3600},chaos,scoring,fallback drill",
    )
    path.write_text("\n".join(lines))
    told = findings(case_of(reference, bad, changes=TableSpec(uri=str(path))), "planned")
    assert "fallback drill" in told["planned.coincides"].statement


@pytest.mark.parametrize(("place", "named"), [("north", True), ("south", False)])
def test_announced_work_that_names_the_place_of_the_loss(
    tmp_path: Any, place: str, named: bool
) -> None:
    """Work in one region, a day before the loss rose there for some hours of each day, is told by the region."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    where = [
        pl.Series(rng.choice(["north", "south", "west"], f.height)) for f in (reference, current)
    ]
    reference, current = (
        f.with_columns(region=w) for f, w in zip((reference, current), where, strict=True)
    )
    hours = (at(current) % DAY) < DAY / 3
    loss = np.where(hours & (current["region"] == "north").to_numpy(), 0.6, 0.0)
    path = tmp_path / "changes.csv"
    stamp = int(at(current)[0] - DAY / 2)
    path.write_text(
        f"timestamp,kind,entity,description\n{stamp},calendar,ops,planned exercise in {place} every night\n"
    )
    changes = TableSpec(uri=str(path))
    case = case_of(reference, flipped(current, loss, rng), changes=changes, segments=["region"])
    assert ("planned.names_place" in findings(case, "planned")) is named


def test_an_event_after_the_rise_is_not_its_cause(tmp_path: Any) -> None:
    """A calendar event in the middle of a window that was bad from its first row did not begin it."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    bad = flipped(current, np.full(current.height, 0.15), rng)
    path = tmp_path / "changes.csv"
    stamp = int(at(current)[current.height // 3])
    path.write_text(f"timestamp,kind,entity,description\n{stamp},calendar,shop,campaign\n")
    case = case_of(reference, bad, changes=TableSpec(uri=str(path)))
    assert "planned.coincides" not in findings(case, "planned")


def test_an_input_that_moved_but_in_the_holdback_is_feedback() -> None:
    """Answers that flow into an input of all but one row in ten are told by the rows that they spare."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng)
    held = [pl.Series("holdback", rng.choice(["yes", "no"], 4000, p=[0.1, 0.9])) for _ in range(2)]
    reference, current = reference.with_columns(held[0]), current.with_columns(held[1])
    fed = current.with_columns(
        pl.when(pl.col("holdback") == "no")
        .then(pl.col("visits") + 2.5 * (pl.col("score") - 0.5) + 0.5)
        .otherwise(pl.col("visits"))
    )
    case = case_of(reference, fed, segments=("region", "holdback"))
    found = findings(case, "feedback")["feedback.spared_by_name"]
    assert found.subject.names == ("visits",)
    assert found.scope.values == ("no",)
    assert (
        "train_serve_skew" in found.against
    )  # who is steered has such values, whoever computes them
    explains = findings(case, "feedback")["feedback.explains"]
    assert (explains.subject.names, explains.against) == ((), ("covariate_shift",))
    even = current.with_columns(pl.col("visits") + 2.5 * (pl.col("score") - 0.5) + 0.5)
    calm = case_of(reference, even, segments=("region", "holdback"))
    assert not [n for n in findings(calm, "feedback") if "spared" in n]


@pytest.mark.parametrize("everywhere", [False, True])
def test_what_a_lot_spared_unharmed_clears_labels_and_the_world(everywhere: bool) -> None:
    """Labels and the world are the same for both parts of a lot: they are out where one alone is harmed, and only there."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng)
    held = [pl.Series("holdback", rng.choice(["yes", "no"], 4000, p=[0.2, 0.8])) for _ in range(2)]
    reference, current = reference.with_columns(held[0]), current.with_columns(held[1])
    steered = (current["holdback"] == "no").to_numpy()
    fed = current.with_columns(
        pl.when(pl.col("holdback") == "no")
        .then(pl.col("visits") + 2.5 * (pl.col("score") - 0.5) + 0.5)
        .otherwise(pl.col("visits"))
    )
    fed = flipped(fed, np.where(steered | everywhere, 0.35, 0.0), rng)
    found = findings(case_of(reference, fed, segments=("region", "holdback")), "feedback")
    assert ("feedback.unharmed" in found) is not everywhere
    assert "feedback.spared_by_name" in found


def test_a_group_that_inputs_tell_apart_is_no_holdback() -> None:
    """Who works less was not spared by lot: an input that moved elsewhere alone, and draws answers, is no feedback."""
    rng = np.random.default_rng(31)
    frames = [
        f.with_columns(
            hours=pl.when(pl.col("age") > 1.2).then(pl.lit("few")).otherwise(pl.lit("full"))
        )
        for f in windows(rng)
    ]
    moved = frames[1].with_columns(
        amount=pl.when(pl.col("hours") == "full")
        .then(1.8 * pl.col("amount") + 0.5)
        .otherwise(pl.col("amount"))
    )
    moved = answered(moved, moved["label"].to_numpy())
    found = findings(case_of(frames[0], moved, segments=("region", "hours")), "feedback")
    assert not [n for n in found if "spared" in n]


def test_a_tie_that_turned_round_but_in_the_holdback_is_feedback() -> None:
    """What flows back need not move an input's own values; a tie that only loosens, as of old values, is none."""
    rng = np.random.default_rng(18)
    reference, current = windows(rng)
    held = [pl.Series("holdback", rng.choice(["yes", "no"], 4000, p=[0.2, 0.8])) for _ in range(2)]
    reference, current = reference.with_columns(held[0]), current.with_columns(held[1])
    steered = (held[1] == "no").to_numpy()
    rank = np.sort(current["visits"].to_numpy()[steered])
    order = (-current["score"].to_numpy()[steered] + rng.normal(0, 0.2, steered.sum())).argsort()
    fed = current["visits"].to_numpy().copy()
    fed[np.flatnonzero(steered)[order]] = rank
    case = case_of(
        reference, current.with_columns(visits=pl.Series(fed)), segments=("region", "holdback")
    )
    found = findings(case, "feedback")["feedback.spared_by_name"]
    assert found.subject.names == ("visits",)
    assert "there alone" in found.statement
    stale = current["visits"].to_numpy().copy()
    stale[steered] = rng.permutation(stale[steered])
    loose = case_of(
        reference, current.with_columns(visits=pl.Series(stale)), segments=("region", "holdback")
    )
    assert not [n for n in findings(loose, "feedback") if "spared" in n]


def test_a_growing_tie_to_the_answers_is_feedback() -> None:
    """An input into which the answers flow, more with every round, is named; a sudden change is not."""
    rng = np.random.default_rng(7)
    reference, current = windows(rng)
    grown = np.linspace(0, 2.0, current.height)
    fed = current.with_columns(pl.col("visits") - pl.Series(grown) * (pl.col("score") - 0.5) * 2)
    sudden = current.with_columns(
        pl.col("visits") - pl.Series(np.where(grown > 1, 2.0, 0.0)) * (pl.col("score") - 0.5) * 2
    )
    assert findings(case_of(reference, fed), "feedback")["feedback.grows"].subject.names == (
        "visits",
    )
    assert findings(case_of(reference, sudden), "feedback") == {}


@pytest.mark.parametrize(("name", "told"), [("hour", False), ("price", True)])
def test_no_answer_moves_the_clock(name: str, told: bool) -> None:
    """An hour whose tie to the answers grows shows who came when; any other number of its range is fed."""
    rng = np.random.default_rng(7)
    reference, current = (f.with_columns((12 + pl.col("visits")).alias(name)) for f in windows(rng))
    grown = np.linspace(0, 6, current.height)
    fed = current.with_columns(pl.col(name) - pl.Series(grown) * (pl.col("score") - 0.5))
    features = ("amount", "age", "kind", name)
    found = findings(case_of(reference, fed, features=features), "feedback")
    assert ("feedback.grows" in found) is told


def test_answers_that_fade_by_themselves_are_no_feedback() -> None:
    """Where answers lose their tie to an input that stays as it was, nothing flowed back into it."""
    rng = np.random.default_rng(7)
    reference, current = windows(rng)
    fade = np.linspace(0, 1, current.height)
    noise = rng.random(current.height)
    score = (1 - fade) * current["score"].to_numpy() + fade * noise
    worse = current.with_columns(score=pl.Series(score), said=pl.Series((score > 0.5).astype(int)))
    assert findings(case_of(reference, worse), "feedback") == {}


def test_a_constant_has_no_tie() -> None:
    """A constant column gives no correlation instead of NaN."""
    assert tie(np.ones(500), np.arange(500.0)) is None


def test_the_slice_that_is_hit_is_named() -> None:
    """The slice of a planted loss is described by its column, and blames no mode by itself."""
    rng = np.random.default_rng(8)
    reference, current = windows(rng)
    hit = (current["kind"].to_numpy() == "b") & (current["age"].to_numpy() > 0)
    found = findings(
        case_of(reference, flipped(current, np.where(hit, 0.6, 0.0), rng)), "worst_slices"
    )["slices.worst"]
    assert "kind = b" in found.statement
    assert found.supports == ()
    assert found.chart["kind"] == "slices"


def test_texts_are_sliced_by_groups_that_look_alike() -> None:
    """When only one kind of text got worse, the slice is a group of texts called by a typical one."""
    from ruleout.incident._model import Columns, DataSpec, Incident, SymptomSpec, TableSpec
    from ruleout.profile import build_case

    rng = np.random.default_rng(9)
    topics = {
        "parcel": "where is my parcel it has not arrived yet order",
        "refund": "please send me my money back refund the payment",
        "login": "cannot log in password reset account locked",
    }

    def table(n: int, hurt: float) -> pl.DataFrame:
        kind = rng.choice(list(topics), n)
        words = [" ".join(rng.permutation(topics[k].split())) for k in kind]
        truth = rng.integers(0, 2, n)
        wrong = rng.random(n) < np.where(kind == "refund", 0.05 + hurt, 0.05)
        return pl.DataFrame({"body": words, "y": truth, "p": np.where(wrong, 1 - truth, truth)})

    columns = Columns(target="y", prediction="p", positive=1, text="body")
    data = DataSpec(TableSpec(frame=table(1500, 0.0)), TableSpec(frame=table(1500, 0.6)), columns)
    case = build_case(
        Incident(title="t", task="binary", symptom=SymptomSpec(metric="accuracy"), data=data)
    )
    case.significant = True
    found = findings(case, "worst_slices")["slices.worst"]
    assert "body = group" in found.statement
    assert "money" in found.statement or "refund" in found.statement


def test_a_tie_of_factors_is_seen_in_ranks() -> None:
    """What a loop multiplies grows without bound; a few huge values must not hide that all are in order."""
    rng = np.random.default_rng(17)
    said = rng.random(4000)
    grown = np.linspace(0.0, 8.0, 4000)
    fed = np.exp(rng.normal(size=4000) + grown * said)
    found = tie(fed, said)
    assert found is not None
    assert found.last > 0.6
    assert found.z > 6
    assert found.gradual > 6


def test_a_weekend_that_is_always_worse_does_not_hide_a_change() -> None:
    """Hours and weekdays that both windows hold alike are no part of the metric's own variation."""
    from ruleout.checks.symptom._season import spread_beside_season

    rng = np.random.default_rng(18)

    def window(start: float, days: int) -> pl.DataFrame:
        frame = rows(6000, rng, start=start, days=days)
        weekend = (frame["ts"].dt.weekday() >= 6).to_numpy()
        return flipped(frame, np.where(weekend, 0.35, 0.02), rng)

    reference, current = window(START, 28), window(START + 28 * 86_400, 7)
    assert (
        spread_beside_season(case_of(reference, flipped(current, np.full(6000, 0.05), rng))) < 0.7
    )
    monday = current.filter(pl.col("ts").dt.weekday() <= 2)
    assert spread_beside_season(case_of(reference, monday)) == 1.0


def test_arms_that_are_answered_otherwise_are_no_population() -> None:
    """A mix that moved between groups which get other answers to the same inputs is an assignment gone wrong."""
    rng = np.random.default_rng(19)
    reference, current = (
        frame.with_columns(arm=pl.Series(np.where(rng.random(4000) < share, "b", "a")))
        for frame, share in zip(windows(rng), (0.1, 0.7), strict=True)
    )

    def served(frame: pl.DataFrame) -> pl.DataFrame:
        odd = 1 / (1 + np.exp(-rng.normal(size=frame.height)))
        score = np.where((frame["arm"] == "b").to_numpy(), odd, frame["score"].to_numpy())
        return frame.with_columns(score=pl.Series(score), said=pl.Series((score > 0.5).astype(int)))

    case = case_of(served(reference), served(current), segments=("region", "arm"))
    found = findings(case, "benign_mix")
    assert found["assignment.arms"].supports == ("experiment_misassignment",)


def test_a_surrogate_that_errs_on_a_population_finds_no_arms() -> None:
    """Groups that an input tells apart may be answered otherwise than a surrogate has it, and are people all the same."""
    rng = np.random.default_rng(19)
    frames = []
    for frame, share in zip(windows(rng), (0.1, 0.7), strict=True):
        group = (rng.random(4000) < share) & (frame["amount"].to_numpy() > frame["amount"].median())
        odd = 1 / (1 + np.exp(-rng.normal(size=4000)))
        score = np.where(group, odd, frame["score"].to_numpy())
        frames.append(
            frame.with_columns(
                club=pl.Series(np.where(group, "b", "a")),
                score=pl.Series(score),
                said=pl.Series((score > 0.5).astype(int)),
            )
        )
    case = case_of(*frames, segments=("region", "club"))
    assert "assignment.arms" not in findings(case, "benign_mix")


@pytest.mark.parametrize("name", ["arm", "club"])
def test_groups_drawn_by_lot_and_named_for_an_experiment_are_its_arms(name: str) -> None:
    """Where no input tells groups apart their name decides: a club may grow, an arm was to keep its share."""
    rng = np.random.default_rng(19)
    frames = [
        frame.with_columns(pl.Series(name, np.where(rng.random(4000) < share, "b", "a")))
        for frame, share in zip(windows(rng), (0.1, 0.7), strict=True)
    ]
    harder = [
        flipped(frame, np.where((frame[name] == "b").to_numpy(), 0.4, 0.0), rng) for frame in frames
    ]
    found = findings(case_of(*harder, segments=("region", name)), "benign_mix")
    assert "benign_mix.explains" in found
    assert ("assignment.arms" in found) == (name == "arm")


def test_groups_that_an_input_tells_apart_are_no_arms() -> None:
    """A group that asks otherwise is a population, whatever it is called."""
    rng = np.random.default_rng(19)
    frames = []
    for frame, share in zip(windows(rng), (0.1, 0.7), strict=True):
        group = (rng.random(4000) < share) & (frame["amount"].to_numpy() > frame["amount"].median())
        frames.append(frame.with_columns(arm=pl.Series(np.where(group, "b", "a"))))
    harder = [
        flipped(frame, np.where((frame["arm"] == "b").to_numpy(), 0.4, 0.0), rng)
        for frame in frames
    ]
    assert "assignment.arms" not in findings(
        case_of(*harder, segments=("region", "arm")), "benign_mix"
    )


@pytest.mark.parametrize(("there", "planned"), [(True, True), (False, False)])
def test_what_was_planned_for_one_place_hurts_there(
    tmp_path: Any, there: bool, planned: bool
) -> None:
    """Planned work at one region's site is the null where that region lost, and not where all regions did alike."""
    from ruleout.incident._model import TableSpec

    rng = np.random.default_rng(6)
    reference, current = windows(rng)
    late = np.linspace(0, 1, current.height) > 0.6
    place = str(current["region"].min())
    hit = late & ((current["region"] == place).to_numpy() | (not there))
    bad = flipped(current, np.where(hit, 0.5, 0.0), rng)
    stamp = int(at(current)[int(0.6 * current.height)])
    path = tmp_path / "changes.csv"
    path.write_text(
        f"timestamp,kind,entity,description\n{stamp},calendar,{place},planned service\n"
    )
    case = case_of(reference, bad, changes=TableSpec(uri=str(path)))
    assert ("planned.coincides" in findings(case, "planned")) is planned


@pytest.mark.parametrize("again", [True, False])
def test_an_episode_whose_damage_comes_again_is_not_over(again: bool) -> None:
    """A loss that is back is no recovery while recomputed inputs still differ now and then."""
    from ruleout.incident._model import ParityProbe, TableSpec

    rng = np.random.default_rng(25)
    reference, current = (f.with_row_index("key") for f in windows(rng))
    position = np.linspace(0, 1, current.height)
    inside = pl.Series((position > 0.1) & (position < 0.4))
    late = pl.Series((position > 0.8) & (position < 0.9) & again)
    bad = flipped(current, np.where(inside, 0.5, 0.0), rng)
    wrong = bad.with_columns(visits=pl.when(inside | late).then(9.0).otherwise(pl.col("visits")))
    probe = ParityProbe(TableSpec(frame=current.select("key", "visits")), "key")
    found = findings(case_of(reference, wrong, parity=probe), "recovered")
    assert ("recovered.back" in found) is not again
