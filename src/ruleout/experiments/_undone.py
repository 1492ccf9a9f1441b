"""What a repair hands back: the logged world with one thing undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout.profile import Case, Outputs, spread_rows

_DAMAGED_ROWS = 8_000


@dataclass(frozen=True, slots=True)
class Damaged:
    """Reference rows with the same damage done to them."""

    rows: NDArray[np.int64]
    """(k,) rows of the reference sample."""

    features: Mapping[str, pl.Series]
    """Columns of k values, damaged."""

    share: float
    """Share of the current rows that suffer the damage."""

    hit: NDArray[np.bool_] | None = None
    """Which of them do (n,), where that is known."""


@dataclass(frozen=True, slots=True)
class Undone:
    """One thing undone. Give what the repair changes; leave the rest."""

    features: Mapping[str, pl.Series] = field(default_factory=dict)
    """Current feature columns (n rows of the current sample) to replay through the predictor."""

    outputs: Outputs | None = None
    """Answers that replace the served ones, as they are."""

    truth: NDArray[np.generic] | None = None
    """Labels that replace the recorded ones, coded like `Case.truth`."""

    keep: NDArray[np.bool_] | None = None
    """Current rows that remain."""

    weight: NDArray[np.float64] | None = None
    """Weights of the current rows (what the current window would be without the fault)."""

    reference_weight: NDArray[np.float64] | None = None
    """Weights of the reference rows that make them look like the current window: the share of
    the change that the weighted reference reproduces is what the hypothesis explains."""

    damaged: Damaged | None = None
    """For damage that loses information: the same done to the reference. The share of the change
    that it reproduces there is what the hypothesis explains."""

    method: str = "repair_replay"


def damaged_rows(case: Case) -> NDArray[np.int64]:
    """Rows (k,) of the reference, evenly spread over time, that are enough to measure damage on."""
    return spread_rows(case.reference.rows, _DAMAGED_ROWS)


def surrogate(case: Case) -> bool:
    """Whether only a surrogate can replay: then damage is better done to the reference.

    There the surrogate's own errors stand on both sides of the comparison.
    """
    return case.predictor is None or case.predictor.kind == "surrogate"
