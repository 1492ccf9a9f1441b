from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ruleout._records import Subject
from ruleout.checks.world._census import census
from ruleout.hypotheses._weights import worth
from ruleout.incident._model import TableSpec, TelemetrySpec
from served_world import FEATURES, START, abstained, case_of, cleared, findings, rows

HOUR = 3_600.0


def harder(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Rows of kind `b` have labels that are often wrong, in any window."""
    hit = (frame["kind"] == "b").to_numpy() & (rng.random(frame.height) < 0.35)
    return frame.with_columns(
        pl.Series("label", np.where(hit, 1 - frame["label"].to_numpy(), frame["label"].to_numpy()))
    )


def asked(rng: np.random.Generator, more: float = 1.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All that was asked in eight days and in the two days after them, with `more` of it."""
    busy = int(1500 * more)
    return harder(rows(6000, rng), rng), harder(
        rows(busy, rng, start=START + 8 * 86_400, days=2), rng
    )


def counted(folder: Path, frames: list[pl.DataFrame]) -> TelemetrySpec:
    """Telemetry with a gateway's hourly count of the rows of `frames`, and a gauge that follows its load."""
    time = np.concatenate([f["ts"].dt.epoch("us").to_numpy() / 1e6 for f in frames])
    hours = np.arange(START, START + 10 * 86_400, HOUR)
    count = np.histogram(time, bins=np.append(hours, hours[-1] + HOUR))[0].astype(float)
    told = pl.concat(
        pl.DataFrame({"timestamp": hours, "entity": "gateway", "metric": name, "value": value})
        for name, value in (("asked", count), ("cpu", 40 + 0.2 * count))
    )
    told.write_csv(folder / "metrics.csv")
    return TelemetrySpec(metrics=(str(folder / "metrics.csv"),))


def without_most_of_a(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The log of a filter that drops nine of ten rows of kind `a`."""
    return frame.filter((pl.col("kind") != "a") | pl.Series(rng.random(frame.height) < 0.1))


def test_a_count_of_requests_tells_a_cut_log_where_the_rate_has_changed(tmp_path: Path) -> None:
    """Traffic doubled and the log dropped a group: by time nothing is short, beside the gateway's count it is."""
    rng = np.random.default_rng(1)
    reference, all_now = asked(rng, more=2.0)
    current = without_most_of_a(all_now, rng)
    case = case_of(reference, current, telemetry=counted(tmp_path, [reference, all_now]))
    told = census(case)
    assert told is not None
    assert told.metric == "asked"
    assert told.same
    assert told.share == pytest.approx(0.55, abs=0.04)
    found = findings(case, "selection")["selection.uncounted"]
    assert found.subject == Subject("feature", ("kind",))
    assert "benign_mix" in found.against


def test_a_log_that_holds_all_that_was_counted_lost_nothing(tmp_path: Path) -> None:
    """When fewer of a group ask, the gateway counts fewer too, and a cut log is ruled out."""
    rng = np.random.default_rng(2)
    reference, everyone = asked(rng)
    current = without_most_of_a(everyone, rng)
    case = case_of(reference, current, telemetry=counted(tmp_path, [reference, current]))
    assert cleared(case, "selection") == {"selection_bias"}
    assert "benign_mix.by_input" in findings(case, "benign_mix")


def test_a_gauge_that_follows_the_load_counts_nobody(tmp_path: Path) -> None:
    """Utilisation rises with the rows but is not nothing without them: it is no count of requests."""
    rng = np.random.default_rng(3)
    reference, current = asked(rng)
    spec = counted(tmp_path, [reference, current])
    table = pl.read_csv(tmp_path / "metrics.csv").filter(pl.col("metric") == "cpu")
    table.write_csv(tmp_path / "metrics.csv")
    assert census(case_of(reference, current, telemetry=spec)) is None


def test_without_times_or_counts_a_mix_speaks_for_the_log_as_well() -> None:
    """Nothing parts who came from what was logged, so a mix that explains the change leaves both open."""
    rng = np.random.default_rng(4)
    reference, everyone = asked(rng, more=3.0)
    current = without_most_of_a(everyone, rng)
    case = case_of(reference.drop("ts"), current.drop("ts"), times=False)
    found = findings(case, "selection")
    assert found["selection.open"].supports == ("selection_bias",)
    assert found["selection.open"].against == ()
    assert "benign_mix.by_input" in findings(case, "benign_mix")


def test_inputs_that_did_not_move_leave_no_cut_open() -> None:
    """Harm at an unchanged mix is no matter of what was logged."""
    rng = np.random.default_rng(5)
    reference, current = asked(rng)
    flip = rng.random(current.height) < 0.2
    current = current.with_columns(
        pl.Series("label", np.where(flip, 1 - current["label"], current["label"]))
    )
    case = case_of(reference, current)
    assert cleared(case, "selection") == {"selection_bias"}
    assert not abstained(case, "selection")


def test_what_speaks_against_a_shift_of_inputs_speaks_against_a_cut_log() -> None:
    """A default value that filled a column is no mix of rows, whoever they are."""
    assert worth("defaults.value", "selection_bias", 0.0) == worth(
        "defaults.value", "covariate_shift", 0.0
    )
    assert worth("selection.lost", "selection_bias", 3.0) > 0
    assert worth("shift_decomposition.inputs", "selection_bias", 0.0) == 0.0


@pytest.mark.parametrize("people", [False, True])
def test_a_window_tells_by_its_own_beginning_what_its_log_lost(people: bool) -> None:
    """Windows drawn at other rates are compared with nothing; rows before and after the mix moved are.

    Where as many came as before and only others (`people`), nothing was lost.
    """
    rng = np.random.default_rng(6)
    reference, everyone = asked(rng, more=4.0)
    late = everyone["ts"].dt.epoch("s") >= START + 8.8 * 86_400
    cut = pl.concat([everyone.filter(~late), without_most_of_a(everyone.filter(late), rng)])
    if people:
        others = cut.filter(pl.col("ts").dt.epoch("s") >= START + 8.8 * 86_400)
        again = others[np.sort(rng.integers(0, others.height, int(late.sum())))]
        times = everyone.filter(late)["ts"]
        cut = pl.concat([everyone.filter(~late), again.with_columns(times)])
    found = findings(case_of(reference, cut), "selection")
    assert ("selection.lost" in found) is not people
    if not people:
        assert "of the rows that the window began with" in found["selection.lost"].statement


@pytest.mark.parametrize(
    ("made", "words", "told"),
    [
        (8.0, "request-logger,Sample the request log at half", True),
        (8.0, "billing,Release 2.8 of the invoices", False),
        (5.0, "request-logger,Sample the request log at half", False),
    ],
)
def test_a_change_of_the_logger_when_the_mix_moved_speaks_for_a_cut_log(
    tmp_path: Path, made: float, words: str, told: bool
) -> None:
    """Only words of what is logged or let in, and only of a change made as the mix moved, say more than the mix does."""
    rng = np.random.default_rng(7)
    reference, everyone = asked(rng, more=4.0)
    current = without_most_of_a(everyone, rng)
    path = tmp_path / "changes.csv"
    path.write_text(
        f"timestamp,kind,entity,description\n{START + made * 86_400:.0f},config,{words}\n"
    )
    case = case_of(reference, current, changes=TableSpec(uri=str(path)))
    found = findings(case, "selection")
    assert "selection.open" in found
    assert ("selection.announced" in found) is told


def test_a_cut_log_speaks_against_every_mix_whichever_column_shows_it(tmp_path: Path) -> None:
    """What was lost by the gateway's count explains mixes of other columns too, but never speaks against itself."""
    rng = np.random.default_rng(8)
    reference, everyone = asked(rng)
    current = without_most_of_a(everyone, rng)
    case = case_of(reference, current, telemetry=counted(tmp_path, [reference, everyone]))
    found = findings(case, "selection")["selection.explains"]
    assert found.subject == Subject()
    assert worth(found.signal, "benign_mix", 0.0) < 0
    assert worth(found.signal, "selection_bias", 0.0) == 0.0


@pytest.mark.parametrize(("metric", "told"), [("requests_total_per_h", True), ("cpu", False)])
def test_requests_that_come_at_one_rate_are_counted_by_their_name(
    tmp_path: Path, metric: str, told: bool
) -> None:
    """Without busy hours nothing correlates: a count of requests whose log is a sample of them is known by its name."""
    rng = np.random.default_rng(9)
    reference, everyone = asked(rng)
    current = without_most_of_a(everyone, rng)
    hours = np.arange(START, START + 10 * 86_400, HOUR)
    count = rng.poisson(4 * 6000 / (8 * 24), len(hours))
    pl.DataFrame(
        {"timestamp": hours, "entity": "router", "metric": metric, "value": count}
    ).write_csv(tmp_path / "metrics.csv")
    spec = TelemetrySpec(metrics=(str(tmp_path / "metrics.csv"),))
    found = census(case_of(reference, current, telemetry=spec))
    assert (found is not None) is told
    if found is not None:
        assert not found.same
        assert found.share == pytest.approx(0.55, abs=0.05)


def test_of_many_small_slices_the_selected_column_is_named(tmp_path: Path) -> None:
    """Some districts gone and the others whole: their few rows scatter, and what goes with them shows both blurred."""
    rng = np.random.default_rng(3)
    reference, all_now = (
        f.with_columns(district=pl.Series([f"d{k}" for k in rng.integers(0, 24, f.height)]))
        for f in asked(rng)
    )
    number = pl.col("district").str.strip_prefix("d").cast(pl.Int64)
    reference, all_now = (
        f.with_columns(
            amount=pl.col("amount") + number / 12,
            label=pl.when(number < 12).then(1 - pl.col("label")).otherwise(pl.col("label")),
        )
        for f in (reference, all_now)
    )
    current = all_now.filter((number >= 8) | (number == 3))
    case = case_of(
        reference,
        current,
        features=(*FEATURES, "district"),
        telemetry=counted(tmp_path, [reference, all_now]),
    )
    assert findings(case, "selection")["selection.uncounted"].subject.names == ("district",)


def test_what_the_log_wrote_is_no_census_and_counts_by_label_add_up(tmp_path: Path) -> None:
    """Rows written fall with the log; requests that are told by zone are counted together."""
    rng = np.random.default_rng(1)
    reference, all_now = asked(rng, more=2.0)
    current = without_most_of_a(all_now, rng)
    hours = np.arange(START, START + 10 * 86_400, HOUR)

    def counts(*frames: pl.DataFrame) -> np.ndarray:
        time = np.concatenate([f["ts"].dt.epoch("us").to_numpy() / 1e6 for f in frames])
        return np.histogram(time, bins=np.append(hours, hours[-1] + HOUR))[0].astype(float)

    series = {"rows_written": counts(reference, current)}
    for zone in ("north", "south", "west"):
        part = [f.filter(pl.col("region") == zone) for f in (reference, all_now)]
        series[f'requests{{zone="{zone}"}}'] = counts(*part)
    pl.concat(
        pl.DataFrame({"timestamp": hours, "entity": "gateway", "metric": name, "value": value})
        for name, value in series.items()
    ).write_csv(tmp_path / "metrics.csv")
    spec = TelemetrySpec(metrics=(str(tmp_path / "metrics.csv"),))
    told = census(case_of(reference, current, telemetry=spec))
    assert told is not None
    assert told.metric == "requests"
    assert told.share == pytest.approx(0.55, abs=0.04)
