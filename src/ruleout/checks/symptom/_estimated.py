"""Performance while labels are missing: estimated from calibrated scores, and the labels that are still due filled in.

Assumes that P(label | inputs) is as in the reference where inputs can be weighted, else that P(label | score) is. A change
of the relation breaks both, so where some current labels are
known they are compared with what their scores promise, and the estimate carries a warning when they disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.measurement.label_maturity import as_of, mature_rows
from ruleout.checks.world._view import WIDEST
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit
from ruleout.stats._density import density_ratio
from ruleout.stats._estimate import (
    Estimated,
    calibrate,
    contradiction,
    estimate_classification,
    estimate_loss,
)
from ruleout.stats._twosample import normal_sf

LEAST_OVERLAP = 0.05
"""Effective share of the reference's rows under the weights; below, they are not used."""

_METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "auc": "roc_auc",
}
_LEAST = 200
_KNOWN = 50
_ROWS = 20_000
"""Rows of each window that an estimate looks at."""


@dataclass(frozen=True, slots=True)
class PerformanceEstimate:
    """What the metric probably is, without all labels."""

    metric: str
    reference: float
    estimate: Estimated
    rows: int
    """Rows whose outcome was estimated."""

    known: int
    """Rows whose label is known."""

    caution: str
    """A reason not to believe it, or an empty text."""


def estimate_performance(case: Case) -> PerformanceEstimate | None:
    """Estimate the metric on the current window; None where neither scores nor a loss to learn from exist."""
    before = np.isfinite(case.loss("reference"))
    if before.sum() < _LEAST:
        return None
    if case.task == "regression":
        return _regression(case, before)
    if case.task == "binary" and case.metric.name in _METRICS:
        return _binary(case)
    return None


def _binary(case: Case) -> PerformanceEstimate | None:
    old, new = case.outputs("reference"), case.outputs("current")
    if old.score is None or new.score is None:
        return None
    truth, now = case.truth("reference").astype(np.int64), case.truth("current").astype(np.int64)
    usable = (truth >= 0) & np.isfinite(old.score)
    given = np.isfinite(new.score) & (new.decision.astype(float) >= 0)
    if usable.sum() < _LEAST or given.sum() < _LEAST:
        return None
    rng = case.rng("estimated performance")
    rows, now_rows = (_some(np.flatnonzero(keep), rng) for keep in (usable, given))
    learned = old.score[rows], (truth[rows] == 1).astype(float)
    weight = _weights(case, (rows, old.score), (now_rows, new.score), rng)
    told = estimate_classification(
        _METRICS[case.metric.name],
        learned,
        new.score[now_rows],
        new.decision[now_rows] == 1,
        rng=rng,
        weight=weight,
        foretold=None if weight is None else _foretold(case, learned, rows, now_rows, rng),
    )
    known = given & (now >= 0)
    return PerformanceEstimate(
        metric=case.metric.name,
        reference=case.metric.value(case.truth("reference"), old),
        estimate=told,
        rows=int((given & ~known).sum()),
        known=int(known.sum()),
        caution=_disagreement(learned, weight, new.score[known], now[known] == 1, rng),
    )


def _some(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= _ROWS else np.sort(rng.choice(rows, _ROWS, replace=False))


def _weights(
    case: Case,
    reference: tuple[NDArray[np.int64], Floats],
    current: tuple[NDArray[np.int64], Floats],
    rng: np.random.Generator,
) -> Floats | None:
    """Density ratio at the reference's rows (n,) of inputs and answers; None where it cannot be had or overlap is poor.

    Each window is told by the rows that are looked at and the answers of all.
    """
    sides = []
    kinds = np.empty(0, dtype=bool)
    for table, (rows, said) in ((case.reference, reference), (case.current, current)):
        x, kinds = case.encode(table.frame)
        sides.append(np.concatenate([x, said[:, None]], axis=1)[rows])
    if not 0 < len(kinds) <= WIDEST:
        return None
    ratio = density_ratio(sides[0], sides[1], rng=rng, categorical=np.append(kinds, False))
    return ratio.reference if ratio.ess >= LEAST_OVERLAP else None


def _foretold(
    case: Case,
    learned: tuple[Floats, Floats],
    rows: NDArray[np.int64],
    now_rows: NDArray[np.int64],
    rng: np.random.Generator,
) -> Floats:
    """P(positive) of the looked-at current rows (m,), learned from the inputs and the score of the reference's."""
    said = learned[0], case.outputs("current").score
    assert said[1] is not None  # noqa: S101 - the caller has looked
    x, kinds = case.encode(case.reference.frame)
    now, _ = case.encode(case.current.frame)
    sides = [
        np.concatenate([a, _log_odds(score)[:, None]], axis=1)
        for a, score in ((x[rows], said[0]), (now[now_rows], said[1][now_rows]))
    ]
    _, foretold = cross_fit(
        sides[0],
        learned[1],
        sides[1],
        rng=rng,
        categorical=np.append(kinds, False),
        loss="logistic",
        trees=60,
    )
    return foretold


def _log_odds(score: Floats) -> Floats:
    """Scores (n,) stretched where they are near certain, if they are probabilities; else as they are."""
    if score.min() < 0 or score.max() > 1:
        return score
    inside = np.clip(score, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(inside / (1 - inside)))


def _disagreement(
    learned: tuple[Floats, Floats],
    weight: Floats | None,
    score: Floats,
    outcome: NDArray[np.bool_],
    rng: np.random.Generator,
) -> str:
    """A warning when known current labels are not what their scores promise."""
    if len(score) < _KNOWN:
        return (
            "no current labels are known: a changed relation of outcome to score would go unnoticed"
        )
    promised = calibrate(*learned, score, rng=rng, weight=weight)
    band = np.digitize(promised, np.quantile(promised, [0.25, 0.5, 0.75]))
    worst, text = 0.0, ""
    for k in range(4):
        rows = band == k
        spread = float(np.sqrt((promised[rows] * (1 - promised[rows])).sum()))
        z = abs(float((outcome[rows] - promised[rows]).sum())) / max(spread, 1e-9)
        if z > worst:
            worst, text = (
                z,
                f"{outcome[rows].mean():.0%} instead of {promised[rows].mean():.0%} positive",
            )
    if 8 * normal_sf(worst) > 0.01:
        return ""
    return (
        f"the {len(score)} current labels that are known contradict their scores ({text}): the relation changed, and "
        "this estimate is too favourable"
    )


def _regression(case: Case, before: NDArray[np.bool_]) -> PerformanceEstimate | None:
    if case.metric.name != "mae":
        return None
    x, categorical = case.encode(case.reference.frame)
    now, _ = case.encode(case.current.frame)
    said, said_now = (case.outputs(w).decision.astype(float) for w in ("reference", "current"))
    loss, loss_now = case.loss("reference"), case.loss("current")
    rng = case.rng("estimated performance")
    rows, now_rows = _some(np.flatnonzero(before), rng), _some(np.arange(len(now)), rng)
    learned = cross_fit(
        np.concatenate([x, said[:, None]], axis=1)[rows],
        loss[rows],
        np.concatenate([now, said_now[:, None]], axis=1)[now_rows],
        rng=rng,
        categorical=np.append(categorical, False),
        trees=60,
        depth=4,
        fine=True,
    )
    weight = _weights(case, (rows, said), (now_rows, said_now), rng)
    seen = np.isfinite(loss_now[now_rows])
    known = loss_now[now_rows][seen], learned[1][seen]
    return PerformanceEstimate(
        metric="mae",
        reference=float(loss[before].mean()),
        estimate=estimate_loss(loss[rows], learned, rng=rng, weight=weight),
        rows=int((~np.isfinite(loss_now)).sum()),
        known=int(np.isfinite(loss_now).sum()),
        caution=_larger_losses((loss[rows], learned[0]), known, weight),
    )


def _larger_losses(
    reference: tuple[Floats, Floats], known: tuple[Floats, Floats], weight: Floats | None
) -> str:
    """A warning when known current losses are not what was learned of them."""
    many = len(known[0])
    if many < _KNOWN:
        return "no current labels are known: a changed relation would go unnoticed"
    found = contradiction(reference, known, weight=weight, rows=_KNOWN)
    if 2 * found.bands * normal_sf(abs(found.z)) > 0.01:
        return ""
    return (
        f"the {many} current labels that are known contradict the learned loss ({found.known:.3g} instead of "
        f"{found.promised:.3g}): the relation changed, and this estimate is too {'' if found.z > 0 else 'un'}favourable"
    )


def expected_labels(case: Case) -> Floats | None:
    """P(positive) of each current row (m,): its label where it is known, else what its score promises, and its age where delays are known.

    For labels that come late: a metric over these does not dip on the newest rows. Where `label_available_at` says how long the
    reference's labels took, a row that is still open is the less likely positive the more positives of its age are known (delayed
    feedback as in Chapelle 2014, with delays as they were). None without scores.
    """
    old, new = case.outputs("reference"), case.outputs("current")
    if case.task != "binary" or old.score is None or new.score is None:
        return None
    truth, now = case.truth("reference").astype(np.int64), case.truth("current").astype(np.int64)
    usable = (truth >= 0) & np.isfinite(old.score)
    if usable.sum() < _LEAST:
        return None
    promised = calibrate(
        old.score[usable],
        (truth[usable] == 1).astype(float),
        np.nan_to_num(new.score),
        rng=case.rng("expected labels"),
    )
    due = _still_due(case, truth)
    if due is None:
        return np.where(now >= 0, (now == 1).astype(float), promised)
    mature = mature_rows(case)
    settled = (now >= 0) & (True if mature is None else mature | (now == 1))
    negatives, positives = (1 - promised) * due[0], promised * due[1]
    both = negatives + positives
    open_ = np.where(both > 0, positives / np.where(both > 0, both, 1.0), promised)
    return np.where(settled, (now == 1).astype(float), open_)


def _still_due(case: Case, truth: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Share of the reference's negatives and of its positives whose label took longer than each current row's age, (m,) each.

    None where delays or ages are not told, or a class has too few.
    """
    final = case.incident.data.columns.label_available_at
    before, now = case.reference, case.current
    if final is None or not before.has(final) or before.time is None or now.time is None:
        return None
    delay = before.numeric(final) - before.time
    age = as_of(case) - now.time
    shares = []
    for k in (0, 1):
        took = np.sort(delay[(truth == k) & np.isfinite(delay)])
        if len(took) < _KNOWN:
            return None
        shares.append(1 - np.searchsorted(took, np.nan_to_num(age), side="right") / len(took))
    return shares[0], shares[1]
