import diagnoses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleout.postmortem import KINDS
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
def test_any_data_becomes_a_figure(kind, parts) -> None:
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


@pytest.mark.parametrize("name", ["unit_change", "undecided", "services"])
def test_lifelike_charts_are_pictures(name) -> None:
    """No chart of the lifelike cases falls back to a table."""
    made = diagnoses.CASES[name]()
    for chart in [*made.charts.values(), *(e.chart for e in made.evidence if e.chart)]:
        found = drawing(chart)
        assert found is not None
        assert "<table" not in found.body


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


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_ticks_lie_inside(low, size) -> None:
    """Ticks are few, ordered, inside the axis, and their labels differ."""
    low, high = spread([low, low + size])
    marks = ticks(low, high)
    assert 1 <= len(marks) <= 7
    assert marks == sorted(marks)
    if len(marks) > 1 and marks[1] - marks[0] > 1e-6 * abs(marks[0]):
        assert len({tick_label(m, marks) for m in marks}) == len(marks) or abs(marks[-1]) >= 1e5
