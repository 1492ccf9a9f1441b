import sys

import numpy as np
import pytest

from ruleout._errors import IncidentError, MissingExtra
from ruleout.attribution import propose_graph


def collider(n: int = 3_000) -> dict[str, np.ndarray]:
    """Two causes of one effect, and what the effect passes on to."""
    rng = np.random.default_rng(1)
    a, b = rng.exponential(1.0, n), rng.normal(size=n)
    c = a + b + 0.5 * rng.normal(size=n)
    return {"a": a, "b": b, "c": c, "d": c + 0.5 * rng.normal(size=n), "same": np.ones(n)}


def test_a_graph_is_proposed_with_its_caution() -> None:
    """Two causes of one effect and its consequence are found, their ways too, and the first sentence is the caution."""
    pytest.importorskip("causallearn", reason="causal-learn is not installed (ruleout[discovery])")
    told = propose_graph(collider(), rng=np.random.default_rng(0))
    found = {(e.cause, e.effect) for e in told.edges if e.directed}
    assert found == {("a", "c"), ("b", "c"), ("c", "d")}
    assert min(e.stability for e in told.edges) >= 0.7
    assert told.sentences()[0].startswith("A proposal, not a finding")
    assert "a -> c" in " ".join(told.sentences())


def test_independent_columns_get_no_edge() -> None:
    """Columns that have nothing to do with each other stay apart."""
    pytest.importorskip("causallearn", reason="causal-learn is not installed (ruleout[discovery])")
    x = np.random.default_rng(2).normal(size=(2_000, 4))
    told = propose_graph({f"x{k}": x[:, k] for k in range(4)}, rng=np.random.default_rng(0))
    assert told.edges == ()


def test_too_little_for_a_graph_is_refused() -> None:
    """One varying column, or too few complete rows, is an error that says what is needed."""
    pytest.importorskip("causallearn", reason="causal-learn is not installed (ruleout[discovery])")
    rng = np.random.default_rng(3)
    with pytest.raises(IncidentError, match="1 columns vary"):
        propose_graph({"x": rng.normal(size=500), "y": np.ones(500)}, rng=rng)
    with pytest.raises(IncidentError, match="150 rows are complete"):
        propose_graph({"x": rng.normal(size=150), "y": rng.normal(size=150)}, rng=rng)


def test_without_causal_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing causal-learn is said with the line that installs it."""
    monkeypatch.setitem(sys.modules, "causallearn.search.ConstraintBased.PC", None)
    with pytest.raises(MissingExtra, match=r"ruleout\[discovery\]"):
        propose_graph(collider(), rng=np.random.default_rng(0))
