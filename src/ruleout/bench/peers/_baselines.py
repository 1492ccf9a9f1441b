"""What a team does without a diagnosis: blame the last change, the largest drift, the usual suspect, anything."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout import modes
from ruleout.profile import Case

Guess = tuple[str | None, str, tuple[str, ...]]
"""Failure mode (None: it names none), kind and names of the subject."""

Baseline = Callable[[Case], list[Guess]]

CALM: Guess = ("random_fluctuation", "none", ())
_PSI_ALARM = 0.2
"""The rule of thumb of credit scoring: above it a population has moved (Siddiqi 2006)."""

_BINS = 10
_ALPHA = 0.01
_KINDS: Mapping[str, str] = {
    "model": "wrong_version",
    "schema": "schema_change",
    "calendar": "planned_event",
    "chaos": "planned_event",
}
"""What a change of a kind is blamed for; any other kind is a regression of what was changed."""


def most_recent_change(case: Case) -> list[Guess]:
    """Blame the changes, the nearest to the start of the current window first; no change log, no answer.

    Without times, the latest change comes first. Where the model or a plan is blamed, no name is asked for.
    """
    time = case.current.time
    start = float(time[0]) if time is not None and len(time) else float("inf")
    ordered = sorted(case.changes, key=lambda c: (abs(c.at - start), -c.at))
    found: list[Guess] = [
        (_KINDS.get(c.kind, "change_regression"), "service", tuple(c.entity.split(",")))
        for c in ordered
    ]
    return list(dict.fromkeys(found))


def largest_psi(case: Case) -> list[Guess]:
    """Features by population stability index; calm below 0.2."""
    return _drifted(case, _psi, lambda value, _n: value >= _PSI_ALARM)


def largest_ks(case: Case) -> list[Guess]:
    """Features by Kolmogorov-Smirnov distance (categories: half the L1 distance); calm where none is significant."""

    def alarms(value: float, n: float) -> bool:
        # The one-term tail of the Kolmogorov distribution, corrected for the number of features.
        return 2 * math.exp(-2 * n * value**2) < _ALPHA / max(len(case.features), 1)

    return _drifted(case, _distance, alarms)


def largest_z(case: Case) -> list[Guess]:
    """Numeric features by the z-score of their mean; calm below 3."""
    return _drifted(case, _z, lambda value, _n: value >= 3)


def _drifted(
    case: Case,
    measure: Callable[[Case, str], float],
    alarms: Callable[[float, float], bool],
) -> list[Guess]:
    n, m = case.reference.rows, case.current.rows
    size = n * m / max(n + m, 1)
    scored = sorted((-measure(case, f), f) for f in (*case.numeric, *case.categorical))
    named: list[Guess] = [
        ("covariate_shift", "feature", (f,)) for value, f in scored if alarms(-value, size)
    ]
    return named or [CALM]


def _shares(case: Case, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of the reference's deciles, or of categories, with missing values apart."""
    if name in case.numeric:
        x, y = case.reference.numeric(name), case.current.numeric(name)
        known = x[np.isfinite(x)] if np.isfinite(x).any() else np.zeros(1)
        inner = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
        a = np.where(np.isnan(x), -1, np.searchsorted(inner, x))
        b = np.where(np.isnan(y), -1, np.searchsorted(inner, y))
    else:
        a, b = case.codes("reference", name), case.codes("current", name)
    width = int(max(a.max(initial=-1), b.max(initial=-1))) + 2
    p, q = (np.bincount(v.astype(np.int64) + 1, minlength=width) / max(len(v), 1) for v in (a, b))
    return p, q


def _psi(case: Case, name: str) -> float:
    p, q = (np.maximum(v, 1e-4) for v in _shares(case, name))
    return float(((q - p) * np.log(q / p)).sum())


def _distance(case: Case, name: str) -> float:
    if name not in case.numeric:
        p, q = _shares(case, name)
        return float(np.abs(p - q).sum() / 2)
    x, y = (np.sort(t.numeric(name)) for t in (case.reference, case.current))
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if not len(x) or not len(y):
        return float(len(x) != len(y))
    at = np.concatenate([x, y])
    below = [np.searchsorted(v, at, side="right") / len(v) for v in (x, y)]
    return float(np.abs(below[0] - below[1]).max())


def _z(case: Case, name: str) -> float:
    if name not in case.numeric:
        return 0.0
    x, y = (t.numeric(name) for t in (case.reference, case.current))
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if len(x) < 2 or len(y) < 2:
        return 0.0
    error = float(np.hypot(x.std() / len(x) ** 0.5, y.std() / len(y) ** 0.5))
    return abs(float(y.mean() - x.mean())) / max(error, 1e-12)


def at_random(case: Case) -> list[Guess]:
    """Any mode, any feature, the same ones for the same incident."""
    rng = np.random.default_rng(zlib.crc32(case.incident.title.encode()) + case.current.rows)
    names = sorted(modes.load())
    features = [*case.features] or [""]
    picked = rng.choice(len(names), size=3, replace=False)
    return [(names[k], "feature", (features[int(rng.integers(len(features)))],)) for k in picked]


def usual_suspect(truths: Sequence[Mapping[str, Any]]) -> Baseline:
    """The causes that are commonest in the very incidents that are scored, with the largest drift as subject."""
    common = [mode for mode, _ in Counter(t["mode"] for t in truths).most_common(3)]

    def guess(case: Case) -> list[Guess]:
        mode, kind, names = largest_psi(case)[0]
        del mode
        return [(m, kind, names) for m in common]

    return guess


def baselines(truths: Sequence[Mapping[str, Any]]) -> dict[str, Baseline]:
    """Every baseline by its name in the table."""
    return {
        "most recent change": most_recent_change,
        "largest PSI": largest_psi,
        "largest KS": largest_ks,
        "largest z-score": largest_z,
        "commonest cause": usual_suspect(truths),
        "random": at_random,
    }
