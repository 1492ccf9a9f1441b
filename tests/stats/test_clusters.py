import numpy as np

from ruleout.stats._clusters import k_means


def test_separate_groups_are_found() -> None:
    """Three far groups come back whole, whatever their order."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 600)
    x = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])[truth] + rng.normal(0, 0.5, (600, 2))
    group, centres = k_means(x, 3, rng=rng)
    assert centres.shape == (3, 2)
    assert all(len(np.unique(group[truth == k])) == 1 for k in range(3))


def test_fewer_rows_than_clusters() -> None:
    """Equal rows make one cluster, not an error."""
    group, centres = k_means(np.ones((5, 2)), 8, rng=np.random.default_rng(2))
    assert len(centres) == 1
    assert (group == 0).all()
