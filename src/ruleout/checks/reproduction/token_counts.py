"""Token counts that no longer follow from the length of texts: another tokenizer, vocabulary or chat template.

Rule: tokens of a context grow with the characters of its text at a rate that is the tokenizer's; another template adds
the same number to each. Tokens that the vocabulary lacks become more common with another vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.inputs._locate import Located, locate
from ruleout.checks.reproduction._generation import Log, log_of
from ruleout.profile import Case, Which, numeric_array, text_series

Floats = NDArray[np.float64]
MODES = ("tokenizer_mismatch",)

_LEAST = 200
_RATE = 0.05
"""Relative change of the tokens for a character from which on it counts."""

_SURE = 6.0
_TIED = 0.5
"""Least correlation of tokens and characters in the reference: below it the count is of something else."""

_LEAST_UNKNOWN = 0.5
"""Relative rise of the mean number of unknown tokens."""


class _Rates(NamedTuple):
    column: str
    slopes: tuple[float, float]
    z: float
    where: Located


@check("token_counts", layer="model", rung="reproduction", looks_for=MODES)
def token_counts(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do texts of one length take more or fewer tokens than before, or hold more unknown ones?"""
    del rng
    log = log_of(case)
    if log is None:
        return
    rates = _rates(case, log)
    unknown = _unknown(case, log)
    yield from unknown
    if rates is None:
        return
    before, now = rates.slopes
    told = f"{rates.column}: {1000 * now:.4g} tokens for 1,000 characters {rates.where.words}, {1000 * before:.4g} before"
    if abs(now / before - 1) < _RATE or abs(rates.z) < _SURE:
        if not unknown:
            yield Clear(MODES, Subject(), told, _RATE, "tokens.rate.same")
        return
    yield Finding(
        "tokens.rate", Subject("feature", (rates.column,)), told, now / before, rates.z, None,
        float(np.clip(abs(now / before - 1) / 0.15, 0.3, 1.0)), MODES,
        against=("covariate_shift", "unit_change", "train_serve_skew", "concept_drift", "precision_loss"),
        scope=rates.where.scope, onset=rates.where.onset,
    )  # fmt: skip


def _rates(case: Case, log: Log) -> _Rates | None:
    """Tokens for a character in both windows, in the rows where the count departs from what it was."""
    for column in log.roles.get("context_size", ()):
        sides = []
        for which in ("reference", "current"):
            size, chars = numeric_array(case.table(which).frame, column), _characters(case, which)
            if chars is None:
                return None
            sides.append((chars, size))
        (x, y), (u, v) = sides
        known, fresh = np.isfinite(x) & np.isfinite(y), np.isfinite(u) & np.isfinite(v)
        if min(known.sum(), fresh.sum()) < _LEAST or np.ptp(x[known]) == 0:
            continue
        if np.corrcoef(x[known], y[known])[0, 1] < _TIED:
            continue
        before = _line(x[known], y[known])
        rest = v - (before.at + before.slope * u)
        usual = float(np.std(y[known] - (before.at + before.slope * x[known]))) or 1.0
        where = locate(case, np.arange(len(v)), np.clip(rest / (3 * usual), -2.0, 2.0))
        inside = fresh & where.rows
        # Languages differ in their rates: a place is compared with its own past.
        same = known & _there(case, where)
        if same.sum() >= _LEAST // 2 and np.ptp(x[same]) > 0:
            before = _line(x[same], y[same])
        if inside.sum() < _LEAST // 2 or np.ptp(u[inside]) == 0:
            continue
        now = _line(u[inside], v[inside])
        z = (now.slope - before.slope) / float(np.hypot(before.error, now.error))
        return _Rates(column, (before.slope, now.slope), z, where)
    return None


def _there(case: Case, where: Located) -> NDArray[np.bool_]:
    """Reference rows (n,) of the segment that a place in the current window names; all, where it names none."""
    rows = case.reference.rows
    if where.scope.column is None:
        return np.ones(rows, dtype=bool)
    text = text_series(case.reference.frame, where.scope.column)
    held = text.is_in(list(where.scope.values)).fill_null(value=False)
    return np.asarray(held.to_numpy())


class _Line(NamedTuple):
    at: float
    slope: float
    error: float


def _line(x: Floats, y: Floats) -> _Line:
    middle = x - x.mean()
    slope = float((middle * y).sum() / (middle**2).sum())
    rest = y - y.mean() - slope * middle
    error = float(np.sqrt((rest**2).mean() / (middle**2).sum())) + 1e-12
    return _Line(float(y.mean() - slope * x.mean()), slope, error)


def _characters(case: Case, which: Which) -> Floats | None:
    """Characters of each row's text: as logged, or of the text itself."""
    frame = case.table(which).frame
    for name in frame.columns:
        if name.lower() in (
            "chars",
            "n_chars",
            "num_chars",
            "char_count",
            "characters",
            "text_length",
        ):
            return numeric_array(frame, name)
    text = case.incident.data.columns.text
    if text is None or not case.table(which).has(text):
        return None
    lengths = text_series(frame, text).str.len_chars()
    return np.asarray(lengths.cast(float).to_numpy(), dtype=float)


def _unknown(case: Case, log: Log) -> list[Finding]:
    out = []
    for column in log.roles.get("unknown", ()):
        before, now = (numeric_array(t.frame, column) for t in (case.reference, case.current))
        old, new = before[np.isfinite(before)], now[np.isfinite(now)]
        if min(len(old), len(new)) < _LEAST:
            continue
        spread = (
            float(np.hypot(old.std() / np.sqrt(len(old)), new.std() / np.sqrt(len(new)))) + 1e-12
        )
        risen, z = float(new.mean() - old.mean()), float(new.mean() - old.mean()) / spread
        if z < _SURE or risen < _LEAST_UNKNOWN * max(float(old.mean()), 1e-9):
            continue
        where = locate(case, np.arange(len(now)), (now - old.mean()) / max(risen, 1e-9))
        told = f"unknown tokens ({column}): {new.mean():.3g} in the mean {where.words}, {old.mean():.3g} before"
        out.append(
            Finding(
                "tokens.unknown",
                Subject("feature", (column,)),
                told,
                risen,
                z,
                None,
                min(1.0, z / 12),
                MODES,
                against=(
                    "covariate_shift",
                    "unit_change",
                    "train_serve_skew",
                    "concept_drift",
                    "precision_loss",
                ),
                scope=where.scope,
                onset=where.onset,
            )
        )
    return out
