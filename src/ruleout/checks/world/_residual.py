"""Do outcomes still follow from inputs as the reference taught, and if not, in which manner?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._calendar import follows_clock
from ruleout.checks.world._view import MOST_CLASSES, View, expected_classes, split, view
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit
from ruleout.stats._effects import effect_drift
from ruleout.stats._flips import (
    Flips,
    Part,
    fit_flips,
    heterogeneity,
    label_residual,
    overlap_weights,
)

_PLACED = 0.4
"""Share of the largest change of an effect at which an input is blamed before one that the clock tells."""


@dataclass(frozen=True, slots=True)
class Residual:
    """Labels against what the reference learned from inputs alone."""

    rate: float
    """Share of current labels that are off (classes), or outside the reference's 98% band (numbers)."""

    usual: float
    """The same share in the reference."""

    z: float
    """Departure of `rate` from `usual`."""

    gain: float
    """Log likelihood that flips (numbers: none) gain in all, nats; small when `rate` may be the fit's fault."""

    depends: float
    """Correlation of what is off with the inputs, after class-wise flips (or a straight line) are allowed for
    and over what the reference shows at equal inputs."""

    depends_z: float
    disagreement: tuple[Floats, Floats]
    """How unlikely each row's label is, in [0, 1], reference and current."""

    flips: Flips | None
    line: tuple[float, float] | None
    """Numbers: current labels = a + b * expected, fitted robustly."""

    power: float
    """How well the reference's labels follow from inputs: 1 is perfectly, 0 not at all."""


def residual(case: Case) -> Residual | None:
    """The residual of a case, computed once; None without labels, inputs or a class in either window."""
    if "world residual" not in case.cache:
        seen = view(case)
        case.cache["world residual"] = None if seen is None else _build(case, seen)
    found: Residual | None = case.cache["world residual"]
    return found


def _build(case: Case, seen: View) -> Residual | None:
    if seen.reference.truth.dtype.kind == "f":
        return _numbers(case, seen)
    if not 2 <= len(case.classes) <= MOST_CLASSES:
        return None
    return _classes(case, seen)


def _classes(case: Case, seen: View) -> Residual:
    rng, ref, cur = case.rng("world residual"), seen.reference, seen.current
    before, after = ref.truth.astype(np.int64), cur.truth.astype(np.int64)
    count = len(case.classes)
    share = np.bincount(before, minlength=count) / len(before)
    known = share[after] > 0  # a class that the reference never had is a matter of its own
    expected, expected_now = expected_classes(case, seen)
    expected_now = expected_now[known]
    factor = _balance(case, count)
    flips_before = fit_flips(expected, before)
    then, then_now = (_normal(p * factor) for p in (expected, expected_now))
    now = fit_flips(then_now, after[known])
    first = 1 if count == 2 else 0  # two classes: one indicator says all
    weight = _equal_inputs(case, seen)
    depends, z = heterogeneity(
        Part(
            ref.x,
            label_residual(then, np.eye(count), before)[:, first:],
            weight[0] * factor[before],
        ),
        Part(cur.x[known], now.residual[:, first:], weight[1][known]),
        rng=rng,
        categorical=seen.categorical,
    )
    disagree = 1.0 - then[np.arange(len(before)), before], np.zeros(len(after))
    disagree[1][known] = 1.0 - then_now[np.arange(int(known.sum())), after[known]]
    base = float(np.log(share[before]).mean())
    spread = float(
        np.sqrt(max(now.rate * (1 - now.rate), 0.01) * (1 / len(before) + 1 / len(after)))
    )
    return Residual(
        rate=now.rate,
        usual=flips_before.rate,
        z=(now.rate - flips_before.rate) / spread,
        gain=now.gain * int(known.sum()),
        depends=depends,
        depends_z=z,
        disagreement=disagree,
        flips=now,
        line=None,
        power=_quality(expected, before, base),
    )


def _normal(raw: Floats) -> Floats:
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def _quality(expected: Floats, before: NDArray[np.int64], base: float) -> float:
    reached = float(np.log(expected[np.arange(len(before)), before]).mean())
    return float(np.clip(1.0 - reached / base, 0.0, 1.0)) if base < 0 else 0.0


def _balance(case: Case, count: int) -> Floats:
    """Factor (K,) on P(y | x) where the class balance alone changed (Saerens et al. 2002), else ones."""
    parts = split(case)
    return np.ones(count) if parts is None else parts.factor


def _equal_inputs(case: Case, seen: View) -> tuple[Floats, Floats]:
    parts = split(case)
    if parts is None:
        return np.ones(len(seen.reference.x)), np.ones(len(seen.current.x))
    return overlap_weights(parts.parts.ratio.reference, parts.parts.ratio.current)


def _numbers(case: Case, seen: View) -> Residual:
    rng, ref, cur = case.rng("world residual"), seen.reference, seen.current
    before, after = ref.truth.astype(float), cur.truth.astype(float)
    own, foreign = cross_fit(
        ref.x, before, cur.x, rng=rng, categorical=seen.categorical, trees=60, depth=4
    )
    gap = before - own
    low, high = np.quantile(gap, [0.01, 0.99])
    a, b = _line(foreign, after)
    straight = after - a - b * foreign
    now = after - foreign
    off = float(((now < low) | (now > high)).mean())
    base = 0.02
    weight = _equal_inputs(case, seen)
    reach = gap * max(abs(b), 0.1)
    depends, z = heterogeneity(
        Part(ref.x, _clipped(gap, gap), weight[0]),
        Part(cur.x, _clipped(straight, reach), weight[1]),
        rng=rng,
        categorical=seen.categorical,
    )
    spread = float(np.sqrt(max(off * (1 - off), 0.01) * (1 / len(before) + 1 / len(after))))
    width = float(np.median(np.abs(gap))) or 1e-9
    unlikely = [np.abs(r) / (np.abs(r) + 2 * width) for r in (gap, now)]
    return Residual(
        rate=off,
        usual=base,
        z=(off - base) / spread,
        gain=np.inf,
        depends=depends,
        depends_z=z,
        disagreement=(unlikely[0], unlikely[1]),
        flips=None,
        line=(a, b),
        power=float(np.clip(1.0 - gap.var() / max(before.var(), 1e-12), 0.0, 1.0)),
    )


def _line(x: Floats, y: Floats, *, steps: int = 5) -> tuple[float, float]:
    """Straight line y = a + b x by iteratively trimmed least squares (half of the rows at worst are off)."""
    keep = np.ones(len(x), dtype=bool)
    a, b = 0.0, 1.0
    for _ in range(steps):
        spread = float(x[keep].var())
        if spread <= 0:
            return float(np.median(y)), 0.0
        b = float(np.cov(x[keep], y[keep], ddof=0)[0, 1]) / spread
        a = float(y[keep].mean() - b * x[keep].mean())
        gap = np.abs(y - a - b * x)
        keep = gap <= np.quantile(gap, 0.8)
    return a, b


def _clipped(values: Floats, like: Floats) -> Floats:
    """Values (n, 1) without the tails that would drown the rest."""
    reach = 4.0 * float(np.median(np.abs(like - np.median(like)))) or 1.0
    clipped = np.clip(values, -reach, reach)
    return np.asarray((clipped - clipped.mean())[:, None])


def effect_blame(case: Case, seen: View, *, most: int = 2) -> tuple[str, ...]:
    """Input columns whose effect on the label changed beyond its usual spread: the leader and its equals."""
    ref, cur = seen.reference, seen.current
    if ref.truth.dtype.kind == "f":
        scale = float(ref.truth.astype(float).std()) or 1.0
        y, y_now = (s.truth.astype(float)[:, None] / scale for s in (ref, cur))
    else:
        eye = np.eye(len(case.classes))[:, 1 if len(case.classes) == 2 else 0 :]
        y, y_now = (eye[s.truth.astype(np.int64)] for s in (ref, cur))
    effects = effect_drift(
        (ref.x, y), (cur.x, y_now), rng=case.rng("world effects"), categorical=seen.categorical
    )
    excess = np.maximum(effects.size - 1.5 * effects.usual, 0.0)
    by_name: dict[str, float] = {}
    for name, value in zip(seen.owner, excess.tolist(), strict=True):
        by_name[name] = max(by_name.get(name, 0.0), value)
    ranked = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] <= 0:
        return ()
    # What began within the window goes with the weekday, which is not where it happened.
    placed = [(n, v) for n, v in ranked if v > 0 and not follows_clock(case, n)]
    if placed and placed[0][1] > _PLACED * ranked[0][1]:
        ranked = placed
    return tuple(name for name, value in ranked[:most] if value >= 0.7 * ranked[0][1])
