"""A small world whose causes are known: inputs, a logistic rule, a fixed decision."""

from typing import Any, NamedTuple

import numpy as np


class Drawn(NamedTuple):
    x: Any
    y: Any
    decision: Any
    score: Any

    @property
    def loss(self) -> Any:
        return (self.y != self.decision).astype(float)


def rule(x: Any) -> Any:
    """Log-odds of the positive class."""
    return 1.5 * x[:, 0] - x[:, 1] + 0.8 * x[:, 2] * (x[:, 3] > 0)


def draw(n: int, rng: np.random.Generator, *, near: float = 0.0, positives: float = 1.0) -> Drawn:
    """Rows of the world; `near` pulls the first input to where the rule is unsure, `positives` favours them."""
    x = rng.normal(size=(4 * n, 5))
    z = rule(x)
    y = (rng.random(4 * n) < 1 / (1 + np.exp(-z))).astype(int)
    weight = np.exp(-near * np.abs(x[:, 0])) * np.where(y == 1, positives, 1.0)
    rows = rng.choice(4 * n, n, replace=False, p=weight / weight.sum())
    return Drawn(x[rows], y[rows], (z[rows] > 0).astype(int), 1 / (1 + np.exp(-z[rows])))
