import numpy as np
import pytest

from ruleout.stats import _boosting as boosting


def r2(y: np.ndarray, said: np.ndarray) -> float:
    return float(1 - ((y - said) ** 2).mean() / y.var())


def test_a_curved_function_with_an_interaction_is_learned() -> None:
    """On rows that it has not seen, the booster explains most of a bent, crossed function."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4))
    y = np.sin(2 * x[:, 0]) + x[:, 1] * (x[:, 2] > 0)
    made = boosting.fit(x[:3000], y[:3000], rng=rng)
    assert r2(y[3000:], made.raw(x[3000:])[:, 0]) > 0.85
    assert made.gain[3] < 0.05 * made.gain.sum()


def test_noise_teaches_little() -> None:
    """Where nothing is to be learned, unseen rows are not explained."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3000, 3)), rng.normal(size=3000)
    made = boosting.fit(x[:2000], y[:2000], rng=rng, trees=20)
    assert r2(y[2000:], made.raw(x[2000:])[:, 0]) < 0.05


def test_logistic_margins_are_log_odds() -> None:
    """Predicted probabilities agree with the shares that they stand for."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4000, 2))
    truth = boosting.sigmoid(1.5 * x[:, 0])
    y = (rng.random(4000) < truth).astype(float)
    made = boosting.fit(x, y, rng=rng, loss="logistic", trees=40, depth=3)
    said = boosting.sigmoid(made.raw(x)[:, 0])
    assert said.mean() == pytest.approx(y.mean(), abs=0.01)
    assert np.abs(said - truth).mean() < 0.06


def test_codes_need_no_order() -> None:
    """Codes whose numbers say nothing are grouped by what they do; unseen ones get the usual answer."""
    rng = np.random.default_rng(3)
    effect = rng.normal(size=20)
    code = rng.integers(0, 20, 3000)
    x = code[:, None].astype(float)
    made = boosting.fit(x, effect[code], rng=rng, categorical=np.array([True]))
    assert r2(effect[code], made.raw(x)[:, 0]) > 0.95
    assert np.isfinite(made.raw(np.array([[99.0], [np.nan]]))).all()


def test_missing_values_are_a_group_of_their_own() -> None:
    """Rows whose value is missing are told from all others."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 1))
    lost = rng.random(2000) < 0.3
    x[lost] = np.nan
    made = boosting.fit(x, lost.astype(float), rng=rng)
    said = made.raw(x)[:, 0]
    assert said[lost].min() > 0.9
    assert said[~lost].max() < 0.1


def test_many_outputs_are_fitted_together() -> None:
    """One ensemble answers for several targets at once."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3000, 3))
    y = np.stack([x[:, 0], -x[:, 1], np.abs(x[:, 2])], axis=1)
    said = boosting.fit(x, y, rng=rng, trees=120).raw(x)
    assert said.shape == (3000, 3)
    assert min(r2(y[:, k], said[:, k]) for k in range(3)) > 0.8


def test_a_weight_of_nothing_leaves_rows_out() -> None:
    """Rows of weight 0 do not move the answers for the others."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2000, 1))
    y = np.where(np.arange(2000) < 1000, x[:, 0], 50.0)
    weight = (np.arange(2000) < 1000).astype(float)
    said = boosting.fit(x, y, rng=rng, weight=weight).raw(x[:1000])[:, 0]
    assert r2(y[:1000], said) > 0.9


def test_one_seed_gives_one_ensemble() -> None:
    """The same rows and generator give the same answers, bit for bit."""
    x = np.random.default_rng(7).normal(size=(8000, 2))
    a, b = (
        boosting.fit(x, x[:, 0], rng=np.random.default_rng(8), trees=5, rows=2000).raw(x)
        for _ in range(2)
    )
    assert (a == b).all()


def test_no_rows_or_columns_are_refused() -> None:
    """A booster of nothing says which shape it got."""
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        boosting.fit(np.empty((0, 3)), np.empty(0), rng=np.random.default_rng(0))


def test_a_column_of_mostly_zeros_is_resolved_where_it_is_not_zero() -> None:
    """With fine bins, a target that lives in one value in a hundred is learned; with quantiles of all rows it is not."""
    rng = np.random.default_rng(9)
    n = 8_000
    x = np.where(rng.random((n, 1)) < 0.9, 0.0, rng.integers(1, 200, (n, 1)) * 10.0)
    y = ((x[:, 0] > 500) & (x[:, 0] < 700)).astype(float)
    errors = [
        float(
            ((boosting.fit(x, y, rng=rng, trees=60, fine=fine).raw(x)[:, 0] - y) ** 2).mean()
            / y.var()
        )
        for fine in (False, True)
    ]
    assert errors[0] > 0.7
    assert errors[1] < 0.25
