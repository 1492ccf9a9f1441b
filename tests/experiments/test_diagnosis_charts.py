"""Charts of a whole diagnosis, from a case whose fault is known."""

import json
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from ruleout._records import (
    AlignedChange,
    Evidence,
    Explained,
    Hypothesis,
    RepairPlan,
    Scope,
    Subject,
)
from ruleout.checks.symptom import as_symptom, measure
from ruleout.checks.world._view import split
from ruleout.experiments import Bench, Tried, charts, subject_charts
from ruleout.incident import from_frames
from ruleout.postmortem import KINDS
from ruleout.postmortem.draw import drawing
from ruleout.profile import Case, build_case

DAY = 86_400
START = 1_793_923_200.0
PLAN = RepairPlan(
    "rescale", Subject("feature", ("x",)), Scope(column="country", values=("DE",)), {"slope": 100.0, "offset": 0.0}
)  # fmt: skip
CHANGES = (AlignedChange("C1", "2026-11-08T00:00:00Z", "deploy", "ingest", "cents", None, 0.9),)


def window(rng: np.random.Generator, start: float, *, broken: bool) -> pl.DataFrame:
    """Two days in which `x` decides; when broken, German rows arrive a hundred times too large."""
    n = 3_000
    x, noise = rng.uniform(0.0, 10.0, n), rng.normal(size=n)
    country = rng.choice(["DE", "FR", "US"], n, p=[0.4, 0.3, 0.3])
    seen = np.where((country == "DE") & broken, 100 * x, x)
    return pl.DataFrame(
        {
            "ts": np.sort(rng.uniform(start, start + 2 * DAY, n)),
            "country": country,
            "x": seen,
            "noise": noise,
            "said": (seen > 5.0).astype(int),
            "label": ((x + 0.3 * noise) > 5.0).astype(int),
        }
    ).with_columns(pl.from_epoch("ts", time_unit="s"))


@cache
def case(*, broken: bool = True) -> Case:
    rng = np.random.default_rng(5)
    return build_case(
        from_frames(
            window(rng, START, broken=False),
            window(rng, START + 2 * DAY, broken=broken),
            task="binary", metric="accuracy", timestamp="ts", target="label", prediction="said", segments=["country"],
        )
    )  # fmt: skip


def made(*, broken: bool = True) -> dict[str, dict[str, object]]:
    found = case(broken=broken)
    cause = Tried("change of unit: x", PLAN, Explained(0.95, 0.9, 1.0, "surrogate_replay"))
    return charts(found, as_symptom(found), CHANGES, Bench(found), [cause])


def test_all_are_drawn() -> None:
    """Every chart is JSON of a known kind, and becomes a picture."""
    found = made()
    assert list(found) == ["metric", "undo", "waterfall", "slices", "confusion"]
    for chart in found.values():
        assert chart["kind"] in KINDS
        assert json.loads(json.dumps(chart, allow_nan=False)) == chart
        picture = drawing(chart)
        assert picture is not None
        assert picture.body.startswith("<svg")


def test_metric_over_time_falls_at_the_boundary() -> None:
    """Blocks before the incident lie near the reference level, those in it near the current one."""
    chart = made()["metric"]
    boundary = START + 2 * DAY
    pairs = [(t, v) for t, v in zip(chart["times"], chart["values"], strict=True) if v is not None]
    before, after = ([v for t, v in pairs if (t < boundary) == side] for side in (True, False))
    change = measure(case())
    assert abs(np.mean(before) - change.reference) < 0.01
    assert abs(np.mean(after) - change.current) < 0.01
    assert chart["changes"][0]["id"] == "C1"
    assert all(
        low <= value <= high
        for low, value, high in zip(chart["low"], chart["values"], chart["high"], strict=True)
        if value is not None
    )


def test_undone_metric_is_the_replayed_one() -> None:
    """The third bar stands where the repair puts the metric, near the reference."""
    chart = made()["undo"]
    assert chart["labels"] == ["reference", "current", "without change of unit: x"]
    reference, current, undone = chart["values"]
    assert current < reference - 0.1
    assert abs(undone - reference) < 0.02


def test_only_the_slice_that_lost_is_hit() -> None:
    """A segment is hit when it lost more than the others; those that did not are not."""
    rows = made()["slices"]["rows"]
    assert {r["name"]: r["hit"] for r in rows} == {
        "country = DE": True,
        "country = FR": False,
        "country = US": False,
    }


def test_waterfall_takes_no_more_than_the_change() -> None:
    """Shares that overlap are not stacked: a second cause that explains the same is left out."""
    found = case()
    cause = Tried("a", PLAN, Explained(0.9, 0.8, 1.0, "surrogate_replay"))
    twice = charts(found, as_symptom(found), (), Bench(found), [cause, cause._replace(label="b")])
    assert [s["label"] for s in twice["waterfall"]["steps"]] == ["a"]


def test_confusion_counts_every_row() -> None:
    """Both matrices hold all labelled rows."""
    chart = made()["confusion"]
    assert np.sum(chart["reference"]) == np.sum(chart["current"]) == 3_000


def test_quiet_case_blames_nobody() -> None:
    """Without a symptom there is nobody who is hit and nothing that was confused."""
    found = case(broken=False)
    names = charts(found, as_symptom(found), (), Bench(found), [])
    assert list(names) == ["metric"]


def test_repeats() -> None:
    """The same case gives the same charts."""
    assert made() == made()


def test_without_times_there_is_no_time_axis() -> None:
    """Tables without timestamps still give the undone metric."""
    rng = np.random.default_rng(5)
    tables = [window(rng, START, broken=b).drop("ts") for b in (False, True)]
    found = build_case(from_frames(*tables, task="binary", target="label", prediction="said"))
    cause = Tried("x", PLAN, Explained(0.9, 0.8, 1.0, "surrogate_replay"))
    assert list(charts(found, as_symptom(found), (), Bench(found), [cause])) == [
        "undo",
        "waterfall",
        "confusion",
    ]


def test_parts_of_the_change_are_drawn_and_add_up() -> None:
    """Once a check has split a harmful change, its parts lead from the reference's metric to the current one."""
    assert "parts" not in made()
    split(case(broken=True))
    chart: dict[str, Any] = made()["parts"]
    assert chart["kind"] == "waterfall"
    steps = {s["label"]: s["value"] for s in chart["steps"]}
    assert sum(steps.values()) == pytest.approx(chart["end"] - chart["start"], abs=1e-9)
    assert steps["unseen inputs"] < -0.1  # a hundredfold lies where the reference has nothing
    assert drawing(chart)
    split(case(broken=False))
    assert "parts" not in made(broken=False)


def about(
    kind: str, *names: str, probability: float = 0.9, status: str = "supported"
) -> Hypothesis:
    """A hypothesis about columns, with one piece of evidence."""
    return Hypothesis(
        rank=1, failure_mode="unit_change", layer="data", subject=Subject(kind, names), probability=probability,
        status=status, role="root_cause", evidence_for=("E1",),
    )  # fmt: skip


def seen(chart: dict[str, Any]) -> Evidence:
    return Evidence(
        id="E1", check="c", layer="data", subject=Subject(), statement="s", statistic=None, effect=None,
        p_value=None, supports=(), against=(), signal="c.seen", chart=chart,
    )  # fmt: skip


@pytest.mark.parametrize(("column", "kind"), [("x", "histogram"), ("country", "bars")])
def test_a_cause_without_a_chart_gets_one_of_its_column(column: str, kind: str) -> None:
    """Both windows of the column that the answer blames are drawn, in shares that add up."""
    made = subject_charts(case(), [about("feature", column)], [seen({})])
    (chart,) = made.values()
    assert chart["kind"] == kind
    assert json.loads(json.dumps(chart, allow_nan=False)) == chart
    for which in ("reference", "current"):
        assert sum(chart[which]) == pytest.approx(1.0, abs=1e-4)
    assert drawing(chart) is not None


def test_parts_of_the_metric_are_no_picture_of_a_column() -> None:
    """A waterfall says how much moved; the column that moved is still to be seen."""
    parts = seen({"kind": "waterfall", "metric": "accuracy", "start": 1.0, "end": 0.5, "steps": []})
    assert "subject x" in subject_charts(case(), [about("feature", "x")], [parts])


def test_labels_are_drawn_as_classes() -> None:
    """What the labels hold is told by class."""
    (chart,) = subject_charts(case(), [about("label", "label")], [seen({})]).values()
    assert sorted(chart["categories"]) == ["0", "1"]


@pytest.mark.parametrize(
    ("hypothesis", "chart"),
    [
        (about("feature", "x"), {"kind": "table", "columns": [], "rows": []}),
        (about("feature", "x", status="ruled_out"), {}),
        (about("feature", "x", probability=0.01), {}),
        (about("feature", "gone"), {}),
        (about("model", "x"), {}),
    ],
)
def test_no_second_chart_and_none_of_what_is_unlikely(
    hypothesis: Hypothesis, chart: dict[str, Any]
) -> None:
    """A cause that its own check has drawn, that is unlikely or that is no column gets none."""
    assert subject_charts(case(), [hypothesis], [seen(chart)]) == {}


def test_a_segment_with_one_value_is_no_slice() -> None:
    """A value that every row has cannot have lost more than the rest."""
    rng = np.random.default_rng(6)
    tables = [
        window(rng, START + k * 2 * DAY, broken=k > 0).with_columns(build=pl.lit("b1"))
        for k in (0, 1)
    ]
    found = build_case(
        from_frames(
            *tables, task="binary", metric="accuracy", timestamp="ts", target="label", prediction="said",
            segments=["build", "country"],
        )
    )  # fmt: skip
    rows = charts(found, as_symptom(found), (), Bench(found), [])["slices"]["rows"]
    assert {row["name"].partition(" = ")[0] for row in rows} == {"country"}


def test_whole_numbers_have_no_comb() -> None:
    """Bins of a whole-numbered column hold equally many numbers each, so that none is empty by its edges alone."""
    rng = np.random.default_rng(7)
    tables = [
        window(rng, START + k * 2 * DAY, broken=False).with_columns(
            queue=pl.Series(rng.integers(0, 31, 3_000))
        )
        for k in (0, 1)
    ]
    found = build_case(from_frames(*tables, task="binary", target="label", prediction="said"))
    (chart,) = subject_charts(found, [about("feature", "queue")], [seen({})]).values()
    assert chart["kind"] == "histogram"
    assert min(chart["reference"][:-1]) > 0.04
    assert "row by row" in chart["note"]


def test_a_moved_column_has_no_such_note() -> None:
    """Where the two windows differ to the eye, nothing is said of rows."""
    (chart,) = subject_charts(case(), [about("feature", "x")], [seen({})]).values()
    assert "note" not in chart


def test_a_reported_metric_lends_no_name_to_what_the_rows_give() -> None:
    """What is drawn from rows is not called by the name of somebody else's number."""
    rng = np.random.default_rng(8)
    tables = [window(rng, START + k * 2 * DAY, broken=k > 0) for k in (0, 1)]
    roles = {"timestamp": "ts", "target": "label", "prediction": "said"}
    for asked, drawn in (("acc", "acc"), ("judge_accuracy", "accuracy")):
        found = build_case(from_frames(*tables, task="binary", metric=asked, **roles))
        made = charts(found, as_symptom(found), (), Bench(found), [])
        assert made["metric"]["metric"] == drawn


def test_labels_that_run_out_leave_a_gap() -> None:
    """A block with a label or two has no point of the metric."""
    rng = np.random.default_rng(9)
    before, after = (window(rng, START + k * 2 * DAY, broken=k > 0) for k in (0, 1))
    row = pl.int_range(pl.len())
    late = after.with_columns(label=pl.when((row < 2_000) | (row == 2_990)).then("label"))
    found = build_case(
        from_frames(before, late, task="binary", timestamp="ts", target="label", prediction="said")
    )
    chart = charts(found, as_symptom(found), (), Bench(found), [])["metric"]
    assert chart["values"][-1] is None
    assert chart["low"][-1] is None
    assert chart["values"][0] is not None


def test_a_text_is_shown_by_examples() -> None:
    """What texts hold is told by a few of each window, long ones cut with a sign of it."""
    rng = np.random.default_rng(10)
    tables = [
        window(rng, START + k * 2 * DAY, broken=False).with_columns(
            body=pl.Series([f"{word} number {i} of many words " + "x" * 300 for i in range(3_000)])
        )
        for k, word in enumerate(("order", "film"))
    ]
    found = build_case(
        from_frames(*tables, task="binary", target="label", prediction="said", text="body")
    )
    (chart,) = subject_charts(found, [about("feature", "body")], [seen({})]).values()
    assert len(chart["reference"]) == 6
    assert all(text.startswith("film") for text in chart["current"])
    assert all(len(text) <= 201 and text.endswith("…") for text in chart["current"])
    assert drawing(chart) is not None
