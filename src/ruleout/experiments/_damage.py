"""What cannot be undone is done to the reference: how much harm does the same damage do there?"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.checks.symptom import Change
from ruleout.experiments._undone import Damaged
from ruleout.profile import Case
from ruleout.stats._bootstrap import block_count, contiguous_blocks, resampled

Floats = NDArray[np.float64]
_RESAMPLES = 300


def replay_damage(
    case: Case, change: Change, damaged: Damaged, rng: np.random.Generator
) -> tuple[float, Floats] | None:
    """Share of the symptom that the damage reproduces in the reference, and draws of it (B,).

    Both sides go through the predictor, so that what a surrogate gets wrong cancels. None without
    a predictor.

    Raises:
        ModelError: when the model cannot score the damaged rows.
    """
    if case.predictor is None or not len(damaged.rows):
        return None
    frame = case.reference.frame[damaged.rows]
    spoilt = frame.with_columns(
        [pl.Series(name, column) for name, column in damaged.features.items()]
    )
    truth = case.truth("reference")[damaged.rows]
    blocks = block_count(len(damaged.rows))
    index = contiguous_blocks(len(damaged.rows), blocks)
    metric = change.metric
    weight = case.weight("reference")
    weight = None if weight is None else weight[damaged.rows]
    sums = [
        metric.sums(truth, case.predictor.predict(side), index, blocks, weight)
        for side in (frame, spoilt)
    ]
    both = resampled(np.concatenate(sums, axis=1), _RESAMPLES, rng)
    width = sums[0].shape[1]
    harm = metric.finish(both[:, width:]) - metric.finish(both[:, :width])
    whole = [float(metric.finish(side.sum(axis=0)[None])[0]) for side in sums]
    symptom = rng.choice(change.current_draws, _RESAMPLES) - rng.choice(
        change.reference_draws, _RESAMPLES
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = damaged.share * harm / symptom
        point = (
            damaged.share * (whole[1] - whole[0]) / np.float64(change.current - change.reference)
        )
    return float(point), np.asarray(draws)
