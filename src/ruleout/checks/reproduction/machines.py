"""Does a machine that answers wrongly report errors of its own hardware?

Rule: the rows of one value of a segment carry most of the rise in loss, the value names an entity of the telemetry,
and a count of errors of memory, links or arithmetic rose on that entity beyond what it ever was, and on no other as
much. Wrong answers of a machine have other causes too (its build, its region, its labels), which leave such counts alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.measurement._telemetry import inside, metrics_of
from ruleout.checks.world.new_category import loss_share
from ruleout.profile import Case, text_series

MODES = ("hardware_fault",)
_ERRORS = re.compile(
    r"(^|[^a-z])(ecc|xid|sdc|mce|aer|smart)([^a-z]|$)|uncorrect|parity.?err|machine.?check|bad.?block|reallocated"
    r"|bit.?flip|nan.?(count|out|ratio)|nvlink.?err|pcie.?err|retired.?page",
    re.IGNORECASE,
)
"""How counts of a machine's own errors are named; heat and slowness make no answer wrong."""

_MOST, _PART = 0.6, 0.7
"""Share of the rise in loss that the rows of a machine must carry, and of all rows that they may be."""

_POINTS = 3
_APART = 3.0


@check(
    "machine_errors",
    layer="infrastructure",
    rung="reproduction",
    looks_for=MODES,
    needs=("telemetry.metrics", "data.columns.target", "data.columns.timestamp"),
)
def machine_errors(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Look for hardware errors of the machine whose rows carry the rise in loss."""
    del rng
    errors = _errors(case)
    known = {str(e) for e in errors["entity"].unique().to_list()}
    places = [(n, v) for n in case.segments for v in case.vocabulary(n) if v in known]
    if not places:
        why = "no count of a machine's own errors is of a value of a segment"
        yield Abstained(MODES, why, "telemetry.metrics")
        return
    risen = {place: _rise(errors.filter(pl.col("entity") == place[1]), case) for place in places}
    best = max(places, key=lambda p: (risen[p][0], p))
    others = max((risen[p][0] for p in places if p[1] != best[1]), default=0.0)
    most, words = risen[best]
    if 0 < most < _APART * others:
        yield Abstained(MODES, f"{words}, and others report more errors as well")
        return
    if most <= 0:
        told = "no machine reports more errors of its own than before"
        # Hardware may err and count nothing: this rules nobody out.
        yield Clear((), Subject(), told, 0.1, "host.no_errors")
        return
    name, value = best
    rows = np.asarray(text_series(case.current.frame, name).fill_null("") == value)
    share = loss_share(case, rows)
    if share is None or share < _MOST or rows.mean() > _PART:
        text = f"{words}, but its rows do not carry the rise in loss"
        yield Abstained(MODES, text)
        return
    subject = Subject("host", (value,))
    scope = Scope(column=name, values=(value,))
    yield Finding(
        "host.errors", subject, f"{words}, and its rows carry {share:.0%} of the rise in loss", most,
        share, None, 1.0, MODES,
        against=("concept_drift", "corrupted_labels", "label_noise", "observability_failure", "covariate_shift"),
        scope=scope, repairs=(RepairPlan("keep", subject, scope),),
    )  # fmt: skip


def _errors(case: Case) -> pl.DataFrame:
    """Metrics that count a machine's own errors, in order of time."""
    metrics = metrics_of(case)
    named = [m for m in metrics["metric"].unique().to_list() if _ERRORS.search(str(m))]
    return metrics.filter(pl.col("metric").is_in(named))


def _rise(series: pl.DataFrame, case: Case) -> tuple[float, str]:
    """By how much the error counts of one entity rose beyond their highest before, and which did so most, in words."""
    best = (0.0, "")
    for (metric,), one in series.group_by(["metric"], maintain_order=True):
        value = one["value"].to_numpy()
        steps = np.diff(value)
        if (steps >= 0).all() and (steps > 0).sum() >= _POINTS:  # a counter that runs on
            counts = one[1:].with_columns(value=pl.Series(steps))
        else:
            counts = one
        before, now = (inside(counts, case, which) for which in ("reference", "current"))
        if min(len(before), len(now)) < _POINTS:
            continue
        rise = float(now.mean() - max(before.max(), 0.0))
        if rise > best[0]:
            words = f"{one['entity'][0]} {metric} went from {before.mean():.3g} to {now.mean():.3g}"
            best = (rise, words)
    return best
