"""Undoing faults in embeddings: rescaling, and leaving out what carries nothing."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.experiments._undone import Undone
from ruleout.profile import Case
from ruleout.profile._unstructured import embeddings


@repair("vectors", undoes=("embedding_mismatch", "silent_nulls", "stale_features"))
def vectors(case: Case, plan: RepairPlan) -> Undone:
    """Rescale vectors in scope to the reference's length, or leave the rows in scope out.

    A rotation into another encoder's space has no inverse without that encoder; if only part of
    the rows suffers, the others speak for the repair.

    Raises:
        RuleoutError: when all rows suffer and rescaling would not help.
    """
    name = plan.subject.names[0]
    inside = case.scope_rows(plan.scope)
    if plan.options.get("scale"):
        return Undone(features={name: _rescaled(case, name, inside)})
    sample = embeddings(case, "current", name)
    hit = np.zeros(case.current.rows, bool)
    signal = plan.options.get("signal")
    if signal == "embedding.zero":
        empty = (np.nan_to_num(sample.vectors) == 0).all(axis=1)
        hit[sample.rows[empty]] = True
    else:
        hit = inside
    if hit.all():
        raise RuleoutError(f"all vectors in {name} suffer; encoding them again is the only repair")
    return Undone(keep=~hit, method="exclusion")


def _rescaled(case: Case, name: str, inside: np.ndarray) -> pl.Series:
    old = embeddings(case, "reference", name).vectors
    new = embeddings(case, "current", name).vectors
    lengths = [np.nanmedian(np.linalg.norm(side, axis=1)) for side in (old, new)]
    factor = float(lengths[0] / lengths[1]) if lengths[1] > 0 else 1.0
    series = case.current.frame.get_column(name)
    values = [
        [v * factor for v in vector] if hit and vector is not None else vector
        for vector, hit in zip(series.to_list(), inside, strict=True)
    ]
    return pl.Series(name, values, dtype=series.dtype)
