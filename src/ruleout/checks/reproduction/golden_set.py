"""Fixed inputs with stored answers: does what serves now still give them?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._repairs import acquits
from ruleout.checks.reproduction._view import SERVED, usable_models
from ruleout.checks.reproduction.model_reproduction import ELSEWHERE
from ruleout.profile import Case, model_outputs, numeric_array, text_series
from ruleout.stats._maps import isotonic

Floats = NDArray[np.float64]
MODES = (
    "wrong_version",
    "runtime_numerics",
    "calibration_change",
    "class_map_mismatch",
    "bad_retrain",
    "class_weight_change",
)
_AGAINST = (*ELSEWHERE, "feature_swap", "threshold_change")
_UNCLEAR = (
    "wrong_version",
    "bad_retrain",
    "runtime_numerics",
    "class_weight_change",
    "calibration_change",
)
_FEW = 20
_UNTIED = 0.25
"""Correlation of stored and served scores below which another version is no explanation of the latter."""

_STUCK = ("hardware_fault", "fallback_overload", "observability_failure")
_ON_SOME = ("mixed_versions", "hardware_fault", "change_regression")
_LEFT = 0.06
"""Share of the change that a mere map of stored scores may leave: both are exact, only the map is fitted."""

_LEAST = 20


@check(
    "golden_set",
    layer="model",
    rung="reproduction",
    looks_for=(*MODES, "mixed_versions", "hardware_fault"),
    needs=("probes.golden",),
)
def golden_set(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Compare stored with served scores of the golden inputs, and say what map lies between them."""
    del rng
    probe, frame = case.incident.golden, case.golden
    if probe is None or frame is None:
        yield Abstained(MODES, "there is no golden set", "probes.golden")
        return
    if probe.expected not in frame.columns or probe.served not in frame.columns:
        lacks = probe.expected if probe.expected not in frame.columns else probe.served
        yield Abstained(MODES, f"the golden set has no column {lacks!r}", "probes.golden")
        return
    expected, served = numeric_array(frame, probe.expected), numeric_array(frame, probe.served)
    known = np.isfinite(expected) & np.isfinite(served)
    if known.sum() < _LEAST:
        yield Abstained(MODES, f"only {known.sum()} golden rows have both scores", "probes.golden")
        return
    off = np.abs(served - expected) > 0.02 * float(expected[known].std()) + 1e-6
    off &= known
    if off.sum() < max(2, 0.01 * known.sum()):
        told = f"{1 - off.sum() / known.sum():.1%} of {known.sum()} golden inputs get their stored score"
        yield Clear(MODES, Subject(), told, 0.01, "golden.same")
        return
    yield from _differs(case, expected, served, off, known)


def _differs(
    case: Case, expected: Floats, served: Floats, off: NDArray[np.bool_], known: NDArray[np.bool_]
) -> Iterator[Outcome]:
    share = float(off.sum() / known.sum())
    head = f"{share:.1%} of {known.sum()} golden inputs no longer get their stored score"
    kind, told, supports = _relation(case, expected, served, off)
    subject = SERVED
    if kind == "constant":
        subject = Subject("pipeline", ())
    elif kind in ("partial", "lost_on_one", "lost_on_some", "stuck"):
        subject = Subject("host", _on_some(case, off)[1])
    size = share * float(np.sqrt(known.sum()) / 0.1)
    yield Finding(f"golden.{kind}", subject, f"{head}{told}", share, size, None, 1.0, supports)
    yield acquits("golden.departs", head, size, _AGAINST)


def _relation(
    case: Case, expected: Floats, served: Floats, off: NDArray[np.bool_]
) -> tuple[str, str, tuple[str, ...]]:
    x, y = expected[off], served[off]
    before = float(np.abs(y - x).mean())
    version = _version(case, served, off)
    if version is not None:
        new = version == "current"
        told = f"; models.{version} gives what is served"
        modes = (
            ("bad_retrain", "class_weight_change") if new else ("wrong_version", "mixed_versions")
        )
        return "new_version" if new else "other_version", told, modes
    if len(case.classes) == 2 and float(np.abs(1 - x - y).mean()) < 0.05 * before:
        return "permuted", ": served is one minus stored", ("class_map_mismatch",)
    column, values = _on_some(case, off)
    if len(np.unique(np.round(y, 6))) == 1 and len(x) >= 5 and len(np.unique(np.round(x, 6))) > 3:
        told = f": all of them get {float(y[0]):.4g}"
        if len(values) == 1:
            return "stuck", f"{told}, all where {column} is {values[0]}", _STUCK
        return "constant", told, ("fallback_overload", "observability_failure", "hardware_fault")
    if values:
        return _on_hosts(x, y, f", all where {column} is {', '.join(values[:4])}", len(values))
    return _map_or_noise(x, y, before) if len(x) >= 40 else ("differs", "", _UNCLEAR)


def _on_hosts(x: Floats, y: Floats, told: str, hosts: int) -> tuple[str, str, tuple[str, ...]]:
    """Another model's answers on some machines go with the stored ones; garbage does not."""
    if len(x) < _FEW or abs(_tie(x, y)) >= _UNTIED:
        return "partial", told, _ON_SOME
    told += ", and what they get has nothing to do with it"
    return "lost_on_one" if hosts == 1 else "lost_on_some", told, _ON_SOME


def _tie(x: Floats, y: Floats) -> float:
    """Correlation of stored and served scores (n,); 0 where either is constant."""
    return float(np.corrcoef(x, y)[0, 1]) if x.std() > 0 and y.std() > 0 else 0.0


def _map_or_noise(x: Floats, y: Floats, before: float) -> tuple[str, str, tuple[str, ...]]:
    odd = np.arange(len(x)) % 2 == 1
    left = float(np.abs(isotonic(x[odd], y[odd])(x[~odd]) - y[~odd]).mean())
    alike = _tie(x, y)
    if left < _LEFT * before and alike > 0.7:
        return (
            "map",
            ": served is a monotone map of stored",
            ("calibration_change", "class_weight_change"),
        )
    moved = y - x
    both_ways = 1 - 2 * abs(float((moved > 0).mean()) - 0.5)
    if both_ways > 0.7 and alike > 0.9 and left > 0.8 * before:
        return "noise", ", up and down alike", ("runtime_numerics",)
    if float(np.median(y)) < 0.3 * float(np.median(x)):
        told = ": the stored answers' classes are given little chance"
        return "lost", told, ("class_map_mismatch", "wrong_version")
    unclear = tuple(mode for mode in _UNCLEAR if mode != "calibration_change")
    return "unmapped", ", and no monotone map of the stored ones", unclear


def _on_some(case: Case, off: NDArray[np.bool_]) -> tuple[str, tuple[str, ...]]:
    """A segment column and its values in which golden answers differ while in others they do not."""
    frame = case.golden
    for column in case.segments:
        if frame is None or column not in frame.columns:
            continue
        text = text_series(frame, column).fill_null("").to_numpy().astype(str)
        names, index = np.unique(text, return_inverse=True)
        counts = np.bincount(index)
        rates = np.bincount(index, weights=off.astype(float)) / counts
        big = counts >= 10
        high, low = big & (rates > 0.3), big & (rates < 0.02)
        if high.any() and low.any() and (high | low)[big].all():
            return column, tuple(str(name) for name in names[high])
    return "", ()


def _version(case: Case, served: Floats, off: NDArray[np.bool_]) -> str | None:
    """A model at hand that gives the served scores where they differ from the stored ones."""
    if case.golden is None or case.task not in ("binary", "regression"):
        return None
    if any(name not in case.golden.columns for name in case.features):
        return None
    for name in usable_models(case):
        try:
            said = model_outputs(case, name, case.golden.filter(off))
        except RuleoutError:
            continue
        score = said.decision.astype(float) if said.score is None else said.score
        scale = float(served[off].std()) + 1e-6
        if float((np.abs(score - served[off]) < 0.02 * scale + 1e-5).mean()) > 0.9:
            return name
    return None
