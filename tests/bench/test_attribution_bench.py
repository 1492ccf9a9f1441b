import numpy as np
import pytest

from ruleout.bench import attribution as bench


@pytest.fixture(scope="module")
def pool() -> bench.Pool:
    return bench._generated(np.random.default_rng(1), "additive", 0.0)


@pytest.mark.parametrize("kind", ["conditional", "covariates+conditional", "balance+conditional"])
def test_true_parts_are_what_the_windows_show(pool: bench.Pool, kind: str) -> None:
    """The stages' parts sum to the change of accuracy that the drawn windows show, within sampling error."""
    case = next(
        c for s in range(9) if (c := bench.make(pool, kind, np.random.default_rng(s))) is not None
    )
    accuracy = [float((f["label_"] == f["said_"]).mean()) for f in (case.reference, case.current)]
    assert sum(case.truth.values()) == pytest.approx(accuracy[1] - accuracy[0], abs=0.025)
    assert set(case.truth) == set(kind.split("+"))


def test_ours_is_near_the_truth_and_the_halves_are_scored(pool: bench.Pool) -> None:
    """On a mixed change the decomposition's shares are within 15 points, and every method tells all parts."""
    case = bench.make(pool, "covariates+conditional", np.random.default_rng(3))
    assert case is not None
    whole = sum(case.truth.values())
    for method, tell in bench.METHODS.items():
        told = tell(case)
        assert set(told.value) == set(bench.PARTS), method
    mine = bench.ours(case)
    assert all(abs(mine.value[p] - case.truth.get(p, 0.0)) / abs(whole) < 0.15 for p in bench.PARTS)
    assert set(mine.held) == set(bench.PARTS)
