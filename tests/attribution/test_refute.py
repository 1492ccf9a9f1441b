import sys

import numpy as np
import pytest

from ruleout._errors import MissingExtra
from ruleout.attribution import estimate_effect, second_opinion


def confounded(n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cause whose bearers differ; its effect is 0.5."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 2))
    cause = rng.random(n) < 1 / (1 + np.exp(-0.8 * x[:, 0]))
    return cause, 0.5 * cause + x[:, 0] + rng.normal(0, 0.5, n), x


def test_dowhy_agrees_and_does_not_refute() -> None:
    """A real effect: DoWhy's estimate is near ours, its placebo near zero, and a weak hidden cause does not undo it."""
    pytest.importorskip("dowhy", reason="dowhy is not installed (ruleout[causal])")
    cause, outcome, x = confounded()
    told = second_opinion(cause, outcome, x, rng=np.random.default_rng(1))
    mine = estimate_effect(cause, outcome, x, rng=np.random.default_rng(1))
    assert told.value == pytest.approx(mine.value, abs=0.1)
    assert told.adjusted_for == ("w0", "w1")
    by_name = {r.name: r for r in told.refutations}
    assert set(by_name) == {"placebo", "random_cause", "subset", "hidden_cause"}
    assert abs(by_name["placebo"].effect) < 0.15
    assert by_name["subset"].effect == pytest.approx(told.value, abs=0.1)
    assert by_name["hidden_cause"].effect > 0.15
    assert told.refuted == ()


def test_a_cause_that_nobody_has_is_refused() -> None:
    """Fewer than 20 rows on a side cannot be compared, with DoWhy or without it."""
    with pytest.raises(ValueError, match="3 of 100 rows"):
        second_opinion(
            np.arange(100) < 3, np.zeros(100), np.zeros((100, 1)), rng=np.random.default_rng(0)
        )


def test_without_dowhy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing DoWhy is said with the line that installs it."""
    monkeypatch.setitem(sys.modules, "dowhy", None)
    with pytest.raises(MissingExtra, match=r"ruleout\[causal\]"):
        second_opinion(*confounded(200), rng=np.random.default_rng(0))
