import numpy as np
import polars as pl
import pytest

from ruleout._errors import IncidentError
from ruleout.attribution import (
    attribute_mechanisms,
    divide,
    estimate_effect,
    mechanisms,
    movers,
    topology,
)
from ruleout.incident import from_frames
from ruleout.profile import build_case
from ruleout.stats._decompose import Share

GROUPS = {"a": [0], "b": [1], "c": [2]}


def test_the_input_that_moved_gets_the_share() -> None:
    """Of three inputs, all harmful, only the one that moved brings anything, and the shares add up."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 3))
    loss = x.sum(axis=1) + rng.normal(size=4000)
    told = divide((x, loss), np.exp(x[:, 1]), GROUPS, Share(1.0, 0.9, 1.1), rng=rng)
    shares = {s.name: s.value for s in told}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["b"] == pytest.approx(1.0, abs=0.05)


def test_two_movers_share_by_their_harm() -> None:
    """Two inputs that moved alike, one three times as harmful, share three to one, and the intervals hold it."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5000, 3))
    loss = 3 * x[:, 0] + x[:, 1] + rng.normal(size=5000)
    weight = np.exp(0.7 * (x[:, 0] + x[:, 1]))
    told = {s.name: s for s in divide((x, loss), weight, GROUPS, Share(4, 3.8, 4.2), rng=rng)}
    for name, true in (("a", 3.0), ("b", 1.0), ("c", 0.0)):
        assert told[name].value == pytest.approx(true, abs=0.3)
        assert name == "c" or told[name].low < true < told[name].high


def test_shares_of_a_faint_loss_are_not_those_of_its_noise() -> None:
    """Where single errors are mostly chance, inputs of known harm still get their shares, and start from the weights of another part."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(12_000, 3))
    loss = (rng.random(12_000) < np.clip(0.2 + 0.06 * x[:, 0] + 0.03 * x[:, 1], 0, 1)).astype(float)
    base = np.where(x[:, 2] > 0, 2.0, 0.5)
    weight = base * np.exp(0.8 * (x[:, 0] + x[:, 1]))
    told = divide((x, loss), weight, GROUPS, Share(1.0, 0.9, 1.1), rng=rng, base=base)
    shares = {s.name: s.value for s in told}
    assert shares["a"] == pytest.approx(2 / 3, abs=0.1)
    assert shares["c"] == pytest.approx(0.0, abs=0.1)


def test_players_are_sources_when_declared() -> None:
    """Columns of one source make one player, and wide tables end in `(all others)`."""
    assert movers(["a", "b", "c"], np.array([1.0, 2.0, 0.5]), {"crm": ["a", "c"]}) == {
        "b": [1],
        "crm": [0, 2],
    }
    wide = movers([f"x{k}" for k in range(30)], np.arange(30.0))
    assert next(iter(wide)) == "x29"
    assert len(wide) == 5
    assert sorted(c for columns in wide.values() for c in columns) == list(range(30))


def chain(
    n: int, rng: np.random.Generator, *, root: float = 0.0, link: float = 1.0
) -> dict[str, np.ndarray]:
    """A -> B -> C, with the root's level and the strength of A -> B to change."""
    a = rng.normal(root, 1.0, n)
    b = link * a + rng.normal(0, 0.7, n) + (link - 1.0) * 3.0
    return {"A": a, "B": b, "C": 1.5 * b + rng.normal(0, 0.7, n)}


@pytest.mark.parametrize(("change", "blamed"), [({"root": 1.0}, "A"), ({"link": 1.3}, "B")])
def test_the_changed_link_of_a_chain_is_blamed(change: dict[str, float], blamed: str) -> None:
    """Along A -> B -> C, the mechanism that changed gets the blame; what passes it on gets little."""
    rng = np.random.default_rng(3)
    told = attribute_mechanisms(
        chain(4000, rng),
        chain(4000, rng, **change),
        [("A", "B"), ("B", "C")],
        "C",
        rng=rng,
        draws=10,
    )
    whole = sum(m.value for m in told)
    assert told[0].node == blamed
    assert told[0].value / whole > 0.8


def test_a_graph_of_another_tool_leads_to_the_right_blame() -> None:
    """An incident of tables with a DOT text: the changed link of A -> B -> C gets the blame, its passers-on little."""
    rng = np.random.default_rng(8)
    windows = [pl.DataFrame(chain(3000, rng, link=link)) for link in (1.0, 1.3)]
    said = [w.with_columns(said=1.5 * pl.col("B")) for w in windows]
    incident = from_frames(
        *said, task="regression", metric="mae", target="C", prediction="said", features=["A", "B"]
    )
    told = mechanisms(build_case(incident), graph="digraph { A -> B -> C }")
    assert told is not None
    assert told[0].node == "B"
    assert told[0].parents == ("A",)
    assert told[0].value / sum(m.value for m in told) > 0.8
    assert mechanisms(build_case(incident)) is None


def test_mechanisms_add_up_to_the_change() -> None:
    """The values sum to the change of the outcome's mean."""
    rng = np.random.default_rng(4)
    a, b = chain(2000, rng), chain(2000, rng, root=0.5, link=1.2)
    told = attribute_mechanisms(a, b, [("A", "B"), ("B", "C")], "C", rng=rng, draws=5)
    assert sum(m.value for m in told) == pytest.approx(b["C"].mean() - a["C"].mean())


def test_only_ancestors_are_mechanisms() -> None:
    """A node that the outcome causes is left out; a cycle is an error that shows it."""
    order, parents = topology([("A", "B"), ("B", "C"), ("C", "D")], "C")
    assert order == ["A", "B", "C"]
    assert parents == {"A": (), "B": ("A",), "C": ("B",)}
    with pytest.raises(IncidentError, match="has a cycle"):
        topology([("A", "B"), ("B", "A")], "A")


def test_a_missing_column_is_named() -> None:
    """A node without a column is an error that names it."""
    rng = np.random.default_rng(5)
    with pytest.raises(IncidentError, match="'Z'"):
        attribute_mechanisms(chain(50, rng), chain(50, rng), [("Z", "C")], "C", rng=rng)


def test_a_confounded_difference_is_adjusted() -> None:
    """A cause whose bearer differs: the naive difference is far off, the adjusted effect near the truth."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(6000, 3))
    cause = rng.random(6000) < 1 / (1 + np.exp(-1.2 * x[:, 0]))
    outcome = 0.5 * cause + 1.0 * x[:, 0] + rng.normal(0, 0.5, 6000)
    told = estimate_effect(cause, outcome, x, rng=rng)
    assert told.naive > 1.0
    assert told.value == pytest.approx(0.5, abs=0.1)
    assert not told.refuted
    assert told.robustness > 0.1


def test_no_effect_is_not_invented() -> None:
    """A cause without effect: the interval holds zero or nearly so, and little hiding would explain it away."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(5000, 2))
    cause = rng.random(5000) < 1 / (1 + np.exp(-x[:, 0]))
    told = estimate_effect(cause, x[:, 0] + rng.normal(0, 0.5, 5000), x, rng=rng)
    assert abs(told.value) < 0.06
    assert told.robustness < 0.05


def test_a_cause_that_nobody_has_is_refused() -> None:
    """Fewer than 20 rows on a side cannot be compared."""
    with pytest.raises(ValueError, match="3 of 100 rows"):
        estimate_effect(
            np.arange(100) < 3, np.zeros(100), np.zeros((100, 1)), rng=np.random.default_rng(0)
        )


@pytest.mark.parametrize("seed", range(3))
def test_two_mechanisms_that_moved_share_the_change_rightly(seed: int) -> None:
    """Where a cause and the outcome itself moved, each gets its own part to within a tenth of the larger, and an unmoved one nothing."""
    rng = np.random.default_rng(seed)

    def world(up: float, out: float) -> dict[str, np.ndarray]:
        a = rng.normal(up, 1.0, 6000)
        b = 0.7 * a + rng.normal(size=6000)
        return {"a": a, "b": b, "y": -0.9 * b + rng.normal(out, 1.0, 6000)}

    told = attribute_mechanisms(
        world(0.0, 0.0), world(0.8, 0.6), [("a", "b"), ("b", "y")], "y", rng=rng
    )
    found = {m.node: m.value for m in told}
    assert found["a"] == pytest.approx(-0.9 * 0.7 * 0.8, abs=0.07)
    assert found["y"] == pytest.approx(0.6, abs=0.07)
    assert abs(found["b"]) < 0.03
