"""Are the newest labels final? Late positives look like a model that lost its touch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Onset, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.measurement._labels import known_labels, label_subject
from ruleout.checks.reproduction._generation import judged
from ruleout.profile import Case, Which, iso
from ruleout.stats._twosample import normal_sf

Floats = NDArray[np.float64]
_MODES = ("immature_labels",)
_BLOCKS = 20


@check(
    "label_maturity",
    layer="data",
    rung="measurement",
    looks_for=_MODES,
    needs=("data.columns.target",),
)
def label_maturity(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """By the column that says when each label is final; without it, by what only the newest rows lack."""
    del rng
    if case.incident.data.columns.target is None:
        yield Abstained(_MODES, "there are no labels", "data.columns.target")
        return
    final = case.incident.data.columns.label_available_at
    if final is not None and case.current.has(final):
        if np.isfinite(case.current.numeric(final)).any():
            by_column = _by_column(case, final)
            yield by_column
            ripening = _censored(case) if isinstance(by_column, Finding) else None
            if ripening is not None:
                yield replace(ripening, signal="labels.ripening", against=("prior_shift",))
        else:
            yield Abstained(_MODES, f"{final} holds no instants", "data.columns.label_available_at")
        return
    if case.current.time is None or case.current.rows < 200:
        yield Abstained(
            _MODES, "rows carry no time, or are too few", "data.columns.label_available_at"
        )
        return
    # Where answers are judged, judgements that get worse are the symptom itself.
    censored = None if judged(case) else _censored(case)
    seen = [outcome for outcome in (_pending(case), censored) if outcome is not None]
    yield from seen
    if not seen:
        yield Abstained(
            _MODES, "nothing says when labels become final; the newest look like the rest",
            "data.columns.label_available_at",
        )  # fmt: skip


def mature_rows(case: Case) -> NDArray[np.bool_] | None:
    """Current rows (n,) whose label was final when it was read; None when nothing says so."""
    final = case.incident.data.columns.label_available_at
    if final is None or not case.current.has(final):
        return None
    available = case.current.numeric(final)
    if not np.isfinite(available).any():
        return None
    return np.asarray(~(available > as_of(case)))


def as_of(case: Case) -> float:
    """When the labels were read: when the incident was noticed, or the last row."""
    noticed = case.incident.symptom.noticed_at
    time = case.current.time
    last = float(np.nanmax(time)) if time is not None and np.isfinite(time).any() else np.inf
    return last if noticed is None else max(noticed, last)


def _by_column(case: Case, final: str) -> Outcome:
    mature = mature_rows(case)
    late = 0.0 if mature is None else float(1 - mature.mean())
    if late < 0.005:
        told = f"{1 - late:.1%} of the current labels were final when they were read"
        return Clear(_MODES, Subject(), told, 0.005, "labels.mature")
    truth = case.truth("current")
    told = f"{late:.1%} of the current labels become final only after they were read ({final})"
    early = _early_labels(case, truth, mature)
    subject = label_subject(case)
    since = _first_late(case, mature)
    return Finding(
        "labels.immature", subject, told + early[0], late, late * float(np.sqrt(case.current.rows)), None,
        min(1.0, 0.5 + 2 * late) * early[1], _MODES, against=("concept_drift", "prior_shift"),
        onset=since, repairs=(RepairPlan("mature_rows", subject),),
    )  # fmt: skip


def _early_labels(
    case: Case, truth: NDArray[np.generic], mature: NDArray[np.bool_] | None
) -> tuple[str, float]:
    """Whether labels that are not final differ from those that are; if not, they do no harm."""
    if mature is None:
        return "", 1.0
    known = known_labels(truth)
    old, new = known & mature, known & ~mature
    if min(old.sum(), new.sum()) < 30:
        return "", 1.0
    loss = case.loss("current")
    means = [float(np.nanmean(loss[rows])) for rows in (old, new)]
    noise = float(np.nanstd(loss[known])) * np.sqrt(1 / old.sum() + 1 / new.sum()) + 1e-12
    z = (means[1] - means[0]) / noise
    if z > 3:
        return f"; their loss is {means[1]:.3g}, that of final ones {means[0]:.3g}", 1.0
    # Outcomes that are rare and not in yet change the mean loss little, and always to one side.
    rest = _residual(case, "current")
    if rest is not None:
        fallen = [float(np.nanmean(rest[rows])) for rows in (old, new)]
        noise = float(np.nanstd(rest[known])) * np.sqrt(1 / old.sum() + 1 / new.sum()) + 1e-12
        if abs(fallen[1] - fallen[0]) > 3 * noise:
            told = f"{fallen[1]:+.3g}, of final ones by {fallen[0]:+.3g}"
            return f"; they differ from the answers by {told} in the mean", 1.0
    return "; their loss is that of final ones", 0.3 if z < 1.5 else 0.7


def _first_late(case: Case, mature: NDArray[np.bool_] | None) -> Onset | None:
    time = case.current.time
    if time is None or mature is None or mature.all():
        return None
    at = float(time[int(np.argmin(mature))])
    return Onset(iso(at), iso(at), iso(at)) if np.isfinite(at) else None


def _pending(case: Case) -> Finding | None:
    """Labels that are missing, the more the newer the row."""
    known = known_labels(case.truth("current"))
    before = known_labels(case.truth("reference"))
    missing = (~known).astype(float)
    if missing.mean() < 0.03 or missing.mean() < 2 * (1 - before.mean()):
        return None
    slope, z = _trend(missing)
    if z < 5 or slope <= 0:
        return None
    subject = label_subject(case)
    told = f"{missing.mean():.1%} of the current labels are missing, the more the newer the row"
    return Finding(
        "labels.pending", subject, told, slope, z, float(normal_sf(min(z, 30.0))), min(1.0, z / 15), _MODES,
        repairs=(RepairPlan("oldest_rows", subject, Scope(), {"share": 0.5}),),
    )  # fmt: skip


def _censored(case: Case) -> Finding | None:
    """Labels that fall behind the answers toward the newest rows, though the oldest keep up."""
    rest = _residual(case, "current")
    usual = _residual(case, "reference")
    if rest is None or usual is None:
        return None
    usual = usual[np.isfinite(usual)]
    if not len(usual):
        return None
    rest = (rest - float(usual.mean())) / (float(usual.std()) or 1.0)
    known = np.isfinite(rest)
    if known.sum() < 500:
        return None
    values = rest[known]
    slope, z = _trend(-values)
    third = len(values) // 4
    oldest, newest = float(values[:third].mean()), float(values[-third:].mean())
    if z < 6 or newest > -0.15 or oldest < 0.55 * newest:
        return None
    subject = label_subject(case)
    told = (
        "labels fall behind the answers toward the newest rows "
        f"(by {-oldest:.2f} of their spread in the oldest quarter, {-newest:.2f} in the newest)"
    )
    return Finding(
        "labels.censored", subject, told, slope, z, float(normal_sf(min(z, 30.0))), min(1.0, z / 15), _MODES,
        against=("prior_shift",),
        repairs=(RepairPlan("oldest_rows", subject, Scope(), {"share": 0.25}),),
    )  # fmt: skip


def _residual(case: Case, window: Which) -> Floats | None:
    """Label minus answer (n,) for two classes with a score, or for numbers."""
    truth, served = case.truth(window), case.outputs(window)
    if truth.dtype.kind == "f":
        return np.asarray(truth.astype(float) - served.decision.astype(float))
    if len(case.classes) != 2:
        return None
    answer = served.score
    if answer is None:
        codes = served.decision.astype(np.int64)
        answer = np.where(codes < 0, np.nan, codes.astype(float))
    codes = truth.astype(np.int64)
    return np.asarray(np.where(codes < 0, np.nan, codes.astype(float)) - answer)


def _trend(values: Floats) -> tuple[float, float]:
    """Slope of (n,) values over the window, from first to last row, and its z over blocks."""
    blocks = min(_BLOCKS, len(values) // 10)
    index = np.arange(len(values)) * blocks // len(values)
    means = np.bincount(index, weights=values) / np.bincount(index)
    place = (np.arange(blocks) + 0.5) / blocks - 0.5
    slope = float((place * (means - means.mean())).sum() / (place**2).sum())
    left = means - means.mean() - slope * place
    noise = float(np.sqrt((left**2).sum() / max(blocks - 2, 1) / (place**2).sum())) + 1e-12
    return slope, slope / noise
