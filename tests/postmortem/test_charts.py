import re
import xml.etree.ElementTree as ET
from pathlib import Path

import diagnoses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleout.postmortem import KINDS, png, svg
from ruleout.postmortem.draw import drawing, figure
from ruleout.postmortem.draw._figure import DRAWN
from ruleout.postmortem.draw._svg import spread, tick_label, ticks

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = sorted({f for kind in KINDS.values() for f in kind.__annotations__})


def test_every_kind_is_drawn() -> None:
    """The contract and the pictures know the same kinds."""
    assert set(KINDS) == set(DRAWN)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(parts=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6))
def test_any_data_becomes_a_figure(kind: str, parts: dict[str, object]) -> None:
    """Whatever a check hands over is shown, as a picture or as a table."""
    assert figure({**parts, "kind": kind}).startswith("<figure")


def test_unknown_kind_becomes_a_table() -> None:
    """A kind from a later version is still readable."""
    text = figure({"kind": "from_the_future", "answer": 42})
    assert "<table>" in text
    assert "answer" in text
    assert "42" in text


def test_no_chart_draws_nothing() -> None:
    """Empty and foreign values leave no empty frame."""
    assert figure({}) == figure(None) == figure("bars") == ""


@pytest.mark.parametrize("name", ["unit_change", "two_causes", "undecided", "services"])
def test_lifelike_charts_are_pictures(name: str) -> None:
    """No chart of the lifelike cases falls back to a table."""
    made = diagnoses.CASES[name]()
    for chart in [*made.charts.values(), *(e.chart for e in made.evidence if e.chart)]:
        found = drawing(chart)
        assert found is not None
        assert ("<table" in found.body) == (chart["kind"] == "table")


def test_fitted_line_is_told() -> None:
    """The quantile chart says the relation that it shows."""
    chart = {
        "kind": "quantiles",
        "reference": [1, 2, 3],
        "current": [12, 22, 32],
        "fit": {"a": 2, "b": 10},
    }
    assert "now = 2.00 + 10.0 × before" in figure(chart)


def test_images_must_be_small_pictures() -> None:
    """Only short base64 of PNG or JPEG becomes an image."""
    body = figure(
        {
            "kind": "images",
            "reference": [diagnoses.png(1, 2, 3), "x onerror=1", "A" * 90_000],
            "current": [],
        }
    )
    assert body.count("<img") == 1


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e9))
def test_ticks_lie_inside(low: float, size: float) -> None:
    """Ticks are few, in order, inside the axis, and no two have the same label."""
    low, high = spread([low, low + size])
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 7
    assert low - 1e-6 <= marks[0] < marks[-1] <= high + 1e-6
    assert len({tick_label(m, marks) for m in marks}) == len(marks)


def test_all_kinds_are_tried() -> None:
    """The lifelike diagnoses hold every kind of chart, so each is looked at."""
    made = [diagnoses.CASES[n]() for n in ("unit_change", "two_causes", "undecided", "services")]
    charts = [c for d in made for c in (*d.charts.values(), *(e.chart for e in d.evidence))]
    assert {c["kind"] for c in charts if c} == set(KINDS)


def test_many_classes_are_cut_to_those_that_changed() -> None:
    """A large confusion matrix keeps the classes in which something moved, and says so."""
    found = drawing(diagnoses.two_causes().charts["confusion"])
    assert found is not None
    assert "class_03 predicted as class_07: <1% to 61%" in found.description
    assert found.note == "4 classes that changed less are not drawn"


def test_picture_of_its_own() -> None:
    """A chart can leave the page: styles, title and legend are inside the SVG."""
    text = svg(diagnoses.unit_change().charts["undo"])
    ET.fromstring(text)  # noqa: S314 - our own output
    assert "var(" not in text
    assert "accuracy: before, during, and with the cause undone" in text
    assert text.count(">reference<") == 2


def test_text_has_no_picture() -> None:
    """A chart that is no drawing is refused with the way out."""
    with pytest.raises(ValueError, match="kind 'texts' has no picture; html"):
        svg({"kind": "texts", "reference": ["a"], "current": []})


def test_png_for_chat() -> None:
    """With the extra installed, a chart becomes a PNG."""
    pytest.importorskip("vl_convert", reason="needs ruleout[charts]")
    assert png(diagnoses.unit_change().charts["undo"]).startswith(b"\x89PNG")


def test_contract_is_documented() -> None:
    """Every kind stands in the user's page with every part that it can have."""
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for kind, parts in KINDS.items():
        named = set(parts.__annotations__) - {"kind", "title", "name", "note"}
        assert not {part for part in named if part not in rows[kind]}, kind


def test_a_class_without_rows_has_no_shares() -> None:
    """A row of the matrix that nobody fell into shows dashes, not nought per cent, and has not moved."""
    counts = {
        "reference": [[9, 1, 0], [1, 9, 0], [0, 0, 0]],
        "current": [[9, 1, 0], [1, 9, 0], [0, 5, 5]],
    }
    text = figure({"kind": "confusion", "classes": ["a", "b", "refusal"], **counts})
    assert text.count(">–<") == 3
    assert "nan" not in text
    assert "refusal predicted as b: –" in text
    assert 'class="cell moved"' not in text


def test_names_of_entities_leave_room_for_numbers() -> None:
    """A long replica name is cut before the scale beside it."""
    rows = [{"entity": "model-server-sdwz66nht-fsfn8", "metric": "m", "values": [0.0, 46.9]}]
    text = figure({"kind": "series", "times": [1.8e9, 1.8e9 + 60], "rows": rows})
    assert "fsfn8</text>" not in text
    assert "model-server" in text


def test_slices_name_their_metric() -> None:
    """A chart with a title of its own still says what is measured: a loss that rose is no gain."""
    rows = [{"name": "client = app", "n": 10, "before": 0.1, "after": 0.5}]
    text = figure({"kind": "slices", "metric": "loss", "title": "Who is hit", "rows": rows})
    assert "loss, reference" in text


def test_blame_is_no_probability() -> None:
    """A share of the blame is called that, next to hypotheses with probabilities."""
    nodes = [{"id": "psp", "role": "root_cause", "score": 0.98}]
    text = figure({"kind": "graph", "nodes": nodes, "edges": []})
    assert "root cause · blame 98%" in text


def test_no_change_is_no_fit() -> None:
    """The line of no change is drawn once, and not as what was fitted."""
    sides = {"reference": [1.0, 2.0, 3.0], "current": [1.0, 1.5, 2.0]}
    text = figure({"kind": "quantiles", **sides, "fit": {"a": 0.0, "b": 1.0}})
    assert "fitline" not in text
    assert "identity" in text


def test_metrics_sampled_at_different_times_are_lines() -> None:
    """A row whose neighbour was sampled in between is one line; a long silence is still a gap."""
    times = [1.8e9 + t for t in range(40)]
    every_other = [None if t % 2 or 20 <= t < 30 else float(t) for t in range(40)]
    rows = [{"entity": "a", "metric": "m", "values": every_other}]
    (line,) = re.findall(
        r'<path d="([^"]*)"', figure({"kind": "series", "times": times, "rows": rows})
    )
    assert line.count("L") == 13
    assert line.count("M") == 2


def test_short_times_are_not_nothing() -> None:
    """A step of a third of a millisecond does not read as none."""
    path = [{"service": "a", "operation": "queue", "start_ms": 0.0, "duration_ms": 0.31}]
    path.append({"service": "a", "operation": "infer", "start_ms": 0.4, "duration_ms": 120.0})
    text = figure({"kind": "spans", "reference": path, "current": path})
    assert ">0.3 ms<" in text
    assert ">120 ms<" in text
