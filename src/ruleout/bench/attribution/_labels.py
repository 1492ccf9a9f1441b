"""Concept drift against spoilt labels: the same rows twice, and an audit that tells them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from ruleout._diagnose import run as diagnose
from ruleout.bench.attribution._cases import Case, make, pools
from ruleout.bench.attribution._cases import incident_of as tables_of
from ruleout.incident import Incident
from ruleout.incident._model import AuditProbe, TableSpec

_LABELS = ("corrupted_labels", "label_noise")
AUDITED = (100, 300, 1_000)
"""Labels that an audit looks at again, of 12,000."""


class Told(NamedTuple):
    """Probability of concept drift, and of the likelier fault of labels."""

    drift: float
    labels: float


def run(many: int, seed: int) -> pl.DataFrame:
    """One row for each case, truth and size of the audit: what is said of it without an audit and with that one."""
    rows = []
    for case, audited in _cases(many, seed):
        plain = _told(_incident(case, None))
        for (truth, many_labels), labels in audited.items():
            told = _told(_incident(case, labels))
            right = (
                told.drift > told.labels if truth == "concept drift" else told.labels > told.drift
            )
            rows.append(
                {
                    "truth": truth,
                    "audited": many_labels,
                    "pool": case.pool,
                    "decided": max(plain) >= 0.5,
                    "right": right,
                    "sure": (told.drift if truth == "concept drift" else told.labels) >= 0.5,
                }
            )
    return pl.DataFrame(rows)


def _cases(many: int, seed: int) -> Iterator[tuple[Case, dict[tuple[str, int], pl.DataFrame]]]:
    """Labels turned in a region of the inputs; audits that confirm them (the world turned), and audits that turn them back.

    Of each size, by truth and size.
    """
    rng = np.random.default_rng(seed)
    known = pools(rng)
    made = 0
    for attempt in range(8 * many):
        case = make(known[attempt % len(known)], "conditional", rng)
        if case is None or made == many:
            continue
        made += 1
        current = case.current.with_row_index("row_", offset=case.reference.height)
        drawn = rng.permutation(current.height)
        audited = {
            (truth, size): current[np.sort(drawn[:size]).tolist()].select(
                "row_", pl.col(column).alias("audited_")
            )
            for size in AUDITED
            for truth, column in (("concept drift", "label_"), ("spoilt labels", "was_"))
        }
        before = case.reference.with_row_index("row_").drop("was_")
        yield replace(case, reference=before, current=current.drop("was_")), audited


def _incident(case: Case, audited: pl.DataFrame | None) -> Incident:
    whole = tables_of(case)
    columns = replace(whole.data.columns, id="row_")
    probe = None if audited is None else AuditProbe(TableSpec(frame=audited), "row_", "audited_")
    return replace(whole, data=replace(whole.data, columns=columns), audit=probe)


def _told(incident: Incident) -> Told:
    likely: dict[str, float] = {}
    for h in diagnose(incident).hypotheses:
        likely[h.failure_mode] = max(h.probability, likely.get(h.failure_mode, 0.0))
    return Told(likely.get("concept_drift", 0.0), max(likely.get(m, 0.0) for m in _LABELS))


def by_truth(told: pl.DataFrame) -> pl.DataFrame:
    """How often rows alone were undecided, and an audit of each size decided rightly."""
    return told.group_by("audited", "truth", maintain_order=True).agg(
        pl.len().alias("cases"),
        (~pl.col("decided")).mean().alias("undecided without an audit"),
        pl.col("right").mean().alias("the likelier one with an audit"),
        pl.col("sure").mean().alias("at even odds or better with an audit"),
    )
