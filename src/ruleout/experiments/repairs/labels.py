"""Giving rows the labels they should have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import RepairPlan
from ruleout._registry import repair
from ruleout.checks.measurement.label_audit import audited
from ruleout.checks.measurement.label_maturity import mature_rows as final_labels
from ruleout.experiments._undone import Undone
from ruleout.profile import Case
from ruleout.sources._labels import label_codes, label_text


@repair(
    "audited_labels",
    undoes=("label_noise", "corrupted_labels", "evaluation_bug", "immature_labels"),
)
def audited_labels(case: Case, plan: RepairPlan) -> Undone:
    """Judge by the audited labels, on the rows that were audited.

    Raises:
        RuleoutError: when no audited label belongs to a sampled current row.
    """
    del plan
    found = audited(case)
    if found is None or not len(found.rows):
        raise RuleoutError("no audited label belongs to a sampled current row")
    truth = _unknown(case)
    truth[found.rows] = found.audited.astype(truth.dtype)
    return Undone(truth=truth, method="audit")


@repair("realign_labels", undoes=("evaluation_bug",))
def realign_labels(case: Case, plan: RepairPlan) -> Undone:
    """Give each row in scope the label that its neighbour has."""
    lag = int(plan.options["lag"])
    truth = case.truth("current")
    place = np.clip(np.arange(len(truth)) + lag, 0, len(truth) - 1)
    return Undone(truth=np.where(case.scope_rows(plan.scope), truth[place], truth))


@repair("relabel", undoes=("corrupted_labels",))
def relabel(case: Case, plan: RepairPlan) -> Undone:
    """Undo a renaming of classes, or a factor of recorded numbers, in the rows in scope."""
    truth = case.truth("current")
    rows = case.scope_rows(plan.scope)
    if "factor" in plan.options:
        return Undone(
            truth=np.where(rows, truth.astype(float) / float(plan.options["factor"]), truth)
        )
    order = np.append(np.asarray(plan.options["order"], dtype=np.int32), -1)
    return Undone(truth=np.where(rows, order[truth.astype(np.int64)], truth).astype(np.int32))


@repair("normalise_labels", undoes=("evaluation_bug",))
def normalise_labels(case: Case, plan: RepairPlan) -> Undone:
    """Write the labels or predictions of one column as the reference does."""
    name = str(plan.options["column"])
    table: Mapping[str, str] = plan.options["table"]
    text = label_text(case.current.frame.get_column(name)).replace(dict(table))
    codes = label_codes(text.to_numpy().astype(object), case.classes)
    if name == case.incident.data.columns.target:
        return Undone(truth=codes)
    return Undone(outputs=replace(case.outputs("current"), decision=codes))


@repair("mature_rows", undoes=("immature_labels",))
def mature_rows(case: Case, plan: RepairPlan) -> Undone:
    """Judge by the rows whose label was final.

    Raises:
        RuleoutError: when nothing says which are, or none is.
    """
    del plan
    rows = final_labels(case)
    if rows is None or not rows.any():
        raise RuleoutError("no current label was final when it was read")
    return Undone(keep=rows, method="exclusion")


@repair("oldest_rows", undoes=("immature_labels",))
def oldest_rows(case: Case, plan: RepairPlan) -> Undone:
    """Judge by the oldest rows, whose labels have had time."""
    rows = np.arange(case.current.rows) < float(plan.options["share"]) * case.current.rows
    return Undone(keep=rows, method="exclusion")


def _unknown(case: Case) -> NDArray[np.generic]:
    truth = case.truth("current")
    if truth.dtype.kind == "f":
        return np.full(len(truth), np.nan)
    return np.full(len(truth), -1, dtype=np.int32)
