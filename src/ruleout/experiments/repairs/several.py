"""One cause in several inputs: what undoes it in each, done at once."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import REPAIRS, repair
from ruleout.experiments._undone import Damaged, Undone
from ruleout.profile import Case


@repair("several", undoes=("unit_change", "precision_loss", "category_recode", "partial_batch"))
def several(case: Case, plan: RepairPlan) -> Undone:
    """Carry out the plans in `options["plans"]`, each on inputs of its own, as one repair.

    Raises:
        RuleoutError: when one of them cannot be carried out, or they mend the same inputs or by different methods.
    """
    made = [REPAIRS[part.repair].run(case, part) for part in plan.options["plans"]]
    names = [n for one in made for n in (one.damaged.features if one.damaged else one.features)]
    if len({one.method for one in made}) > 1 or len(set(names)) < len(names):
        raise RuleoutError("repairs of several inputs do not go together")
    if any(one.damaged is not None for one in made):
        return Undone(damaged=_damaged([one.damaged for one in made]), method=made[0].method)
    features = {name: column for one in made for name, column in one.features.items()}
    keep: NDArray[np.bool_] | None = None
    for one in made:
        if one.keep is not None:
            keep = one.keep if keep is None else keep & one.keep
    return Undone(features=features, keep=keep, method=made[0].method)


def _damaged(parts: list[Damaged | None]) -> Damaged:
    """Reference rows that suffer the damage of every part."""
    given = [part for part in parts if part is not None]
    if len(given) < len(parts) or any(len(p.rows) != len(given[0].rows) for p in given):
        raise RuleoutError("repairs of several inputs do not go together")
    features: dict[str, pl.Series] = {n: c for p in given for n, c in p.features.items()}
    hits = [p.hit for p in given if p.hit is not None]
    hit = np.any(hits, axis=0) if len(hits) == len(given) else None
    return Damaged(given[0].rows, features, max(p.share for p in given), hit)
