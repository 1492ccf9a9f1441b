"""Undoing faults in embeddings: rescaling, and leaving out what carries nothing."""

from __future__ import annotations

import numpy as np
import polars as pl

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.inputs.embedding_space import strangers
from ruleout.experiments._undone import Undone
from ruleout.profile import Case
from ruleout.profile._embedding import embedding_statistics
from ruleout.profile._unstructured import embeddings, space


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
    if plan.options.get("scattered"):
        inside &= _strange(case, name)
    if plan.options.get("gain") is not None:
        return Undone(features={name: _brought_back(case, name, inside, plan)})
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


def _brought_back(case: Case, name: str, inside: np.ndarray, plan: RepairPlan) -> pl.Series:
    gain, offset = (np.asarray(plan.options[key], dtype=float) for key in ("gain", "offset"))
    series = case.current.frame.get_column(name)
    values = [
        (np.asarray(vector, dtype=float) * gain + offset).tolist()
        if hit and vector is not None and len(vector) == len(gain)
        else vector
        for vector, hit in zip(series.to_list(), inside, strict=True)
    ]
    inner = getattr(series.dtype, "inner", None)
    whole = inner is None or not inner.is_float()
    return pl.Series(name, values, dtype=pl.List(pl.Float64) if whole else series.dtype)


def _strange(case: Case, name: str) -> np.ndarray:
    """(n,) current rows whose vector is strange by itself."""
    fitted, sample = space(case, name), embeddings(case, "current", name)
    old = embedding_statistics(embeddings(case, "reference", name).vectors, fitted, own=True)
    odd = strangers(case, sample.rows, old, embedding_statistics(sample.vectors, fitted))
    out = np.zeros(case.current.rows, bool)
    if odd is not None:
        out[sample.rows[odd]] = True
    return out
