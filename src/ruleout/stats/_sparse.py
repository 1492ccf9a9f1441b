"""Parts of a change, read on the assumption that few of them moved.

Method: Bayesian model averaging over which parts are exactly nought (Hoeting et al. 1999, with the spikes and slabs of
George and McCulloch 1993). A change of the world usually touches few of its mechanisms and leaves the others as they were
(sparse mechanism shifts: Schoelkopf et al. 2021), so an estimate that is within its own noise is sooner noise than a part.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ruleout.stats._boosting import Floats

_TINY = 1e-9
"""Beside the largest part: an error smaller than this is that of rounding."""


def sparse_parts(
    parts: Floats, covariance: Floats, moved: NDArray[np.bool_] | None = None
) -> Floats:
    """Parts (K,) of a change with those steadied that are within their noise; their sum stays what it was.

    Beforehand, every set of one part or more that holds those in `moved` is as likely as every other, and the parts in it are
    about as large as the largest estimate. Given a set, the parts outside are nought and the others take up what these
    were found to be, by generalised least squares. The answer is the mean over the sets, weighed by how well each agrees with
    `parts`.

    Args:
        parts: estimates, in any unit.
        covariance: of their errors, (K, K), in the square of that unit. A part without error (nought where it was never
            looked for) stays as it is.
        moved: whose mechanism is seen to have moved by more than the parts themselves, (K,); none of these is held for nought.
    """
    scale = float(max(abs(parts.sum()), np.abs(parts).max(initial=0.0)))
    if scale == 0.0 or not np.isfinite(covariance).all():
        return parts
    loose = np.flatnonzero(np.diag(covariance) > (_TINY * scale) ** 2)
    if len(loose) < 2:
        return parts
    told = parts[loose] / scale
    noise = covariance[np.ix_(loose, loose)] / scale**2 + _TINY**2 * np.eye(len(loose))
    sure = set() if moved is None else set(np.flatnonzero(moved[loose]).tolist())
    sets = [
        chosen
        for size in range(1, len(loose) + 1)
        for chosen in combinations(range(len(loose)), size)
        if sure <= set(chosen)
    ]
    likely = np.array([_log_likelihood(told, noise, chosen) for chosen in sets])
    weight = np.exp(likely - likely.max())
    given = np.array([_given(told, noise, chosen) for chosen in sets])
    steadied = parts.copy()
    steadied[loose] = scale * (weight @ given) / weight.sum()
    return steadied


def _log_likelihood(told: Floats, noise: Floats, chosen: tuple[int, ...]) -> float:
    """Log density of the estimates (K,), up to a constant, when the parts in `chosen` are normal with a spread of 1."""
    slab = np.zeros(len(told))
    slab[list(chosen)] = 1.0
    covariance = noise + np.diag(slab)
    _, size = np.linalg.slogdet(covariance)
    return float(-0.5 * (size + told @ np.linalg.solve(covariance, told)))


def _given(told: Floats, noise: Floats, chosen: tuple[int, ...]) -> Floats:
    """The parts (K,) nearest to `told` in units of its noise that are nought outside `chosen` and have the same sum."""
    outside = [k for k in range(len(told)) if k not in chosen]
    rules = np.concatenate([np.ones((1, len(told))), np.eye(len(told))[outside]])
    wanted = np.concatenate([[told.sum()], np.zeros(len(outside))])
    gain = noise @ rules.T @ np.linalg.pinv(rules @ noise @ rules.T)
    return np.asarray(told + gain @ (wanted - rules @ told))
