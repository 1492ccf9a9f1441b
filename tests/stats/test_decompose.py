from typing import Any

import numpy as np
import pytest
from worlds import Drawn, draw

from ruleout.stats._decompose import Decomposition, Window, decompose
from ruleout.stats._prior import balance_by_labels


def split(a: Drawn, b: Drawn, *, balanced: bool = False, seed: int = 0) -> Decomposition:
    def window(d: Drawn) -> Window:
        return Window(d.x, d.loss, lambda w: 1 - float(np.average(d.loss, weights=w)), d.y)

    return decompose(
        window(a),
        window(b),
        rng=np.random.default_rng(seed),
        balance=balance_by_labels(a.y, b.y, 2) if balanced else None,
        draws=60,
    )


def parts(found: Decomposition) -> dict[str, float]:
    return {k: getattr(found, k).value for k in ("balance", "covariates", "conditional", "unseen")}


@pytest.mark.parametrize("seed", range(3))
def test_parts_add_up_exactly(seed: int) -> None:
    """Whatever moved, the four parts sum to the change to rounding."""
    rng = np.random.default_rng(seed)
    found = split(
        draw(1500, rng), draw(1500, rng, near=seed, positives=1.0 + seed), balanced=seed == 2
    )
    assert sum(parts(found).values()) == pytest.approx(found.change.value, abs=1e-12)


def test_covariate_shift_is_booked_on_the_inputs() -> None:
    """More rows where the rule is unsure: at least three quarters of the drop lie in the inputs."""
    rng = np.random.default_rng(1)
    found = split(draw(6000, rng), draw(6000, rng, near=1.5))
    assert found.change.value < -0.03
    assert parts(found)["covariates"] / found.change.value > 0.75


def test_flipped_labels_are_booked_on_the_relation() -> None:
    """Labels flipped at unchanged inputs leave nothing for the inputs."""
    rng = np.random.default_rng(2)
    a, b = draw(4000, rng), draw(4000, rng)
    flip = (b.x[:, 1] > 0.5) & (rng.random(4000) < 0.4)
    found = split(a, b._replace(y=np.where(flip, 1 - b.y, b.y)))
    assert parts(found)["conditional"] / found.change.value == pytest.approx(1.0, abs=0.12)
    assert found.covariates.low < 0 < found.covariates.high or abs(found.covariates.value) < 0.01


def test_unseen_inputs_are_booked_apart() -> None:
    """Rows in a place the reference never had carry the drop that they bring."""
    rng = np.random.default_rng(3)
    a, b = draw(3000, rng), draw(3000, rng)
    x, y = b.x.copy(), b.y.copy()
    x[:600, 4] = 25.0
    y[:600] = 1 - b.decision[:600]
    found = split(a, b._replace(x=x, y=y))
    assert found.supported == pytest.approx(0.8, abs=0.02)
    assert parts(found)["unseen"] / found.change.value > 0.85


def test_rows_beyond_the_reference_lend_no_weight_to_its_edge() -> None:
    """Where one input goes on beyond the reference and others shift as well, the inputs' part is that of the rows in common."""
    rng = np.random.default_rng(8)
    a, b = draw(9000, rng), draw(9000, rng, near=1.5)
    a = Drawn(*(v[a.x[:, 2] < 0.8] for v in a))
    beyond = b.x[:, 2] >= 0.8
    found = split(a, b._replace(y=np.where(beyond, b.decision, b.y)))
    alone = split(a, Drawn(*(v[~beyond] for v in b)))
    assert found.supported == pytest.approx(float((~beyond).mean()), abs=0.02)
    assert parts(found)["covariates"] == pytest.approx(parts(alone)["covariates"], abs=0.006)


def test_nothing_in_common_is_all_unseen() -> None:
    """Disjoint windows put the whole change on unseen inputs and claim no support."""
    rng = np.random.default_rng(4)
    a, b = draw(1000, rng), draw(1000, rng)
    found = split(a, b._replace(x=b.x + 100.0, y=1 - b.y))
    assert found.supported < 0.05
    assert parts(found)["unseen"] == pytest.approx(found.change.value, abs=0.02)


def test_balance_is_taken_out_first() -> None:
    """With the class balance taken out first, precision's fall is the class balance's."""
    rng = np.random.default_rng(5)
    a, b = draw(5000, rng), draw(5000, rng, positives=0.15)

    def window(d: Drawn) -> Window:
        said = d.decision == 1

        def precision(w: Any) -> float:
            return float(w[said] @ d.y[said] / w[said].sum())

        return Window(d.x, d.loss, precision, d.y)

    found = decompose(
        window(a), window(b), rng=rng, balance=balance_by_labels(a.y, b.y, 2), draws=40
    )
    assert found.change.value < -0.15
    assert parts(found)["balance"] / found.change.value == pytest.approx(1.0, abs=0.15)


def test_intervals_cover_no_change() -> None:
    """Between two draws of one world, the 90% interval of the relation's part holds zero in most of 20 runs."""
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(100 + seed)
        found = split(draw(800, rng), draw(800, rng), seed=seed)
        held += found.conditional.low <= 0 <= found.conditional.high
    assert held >= 14
