"""Do outcomes still follow from inputs as the reference taught, and if not, in which manner?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ruleout.checks.world._view import View, view
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._crossfit import cross_fit
from ruleout.stats._effects import EffectDrift, effect_drift
from ruleout.stats._flips import Flips, class_probabilities, fit_flips, heterogeneity

MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Residual:
    """Labels against what the reference learned from inputs alone."""

    rate: float
    """Share of current labels that are off (classes), or outside the reference's 98% band (numbers)."""

    usual: float
    """The same share in the reference."""

    z: float
    """Departure of `rate` from `usual`."""

    depends: float
    """Correlation of what is off with the inputs, after class-wise flips (or a straight line) are allowed for."""

    depends_z: float
    usual_depends: float
    effects: EffectDrift
    """Change of each encoded column's effect on the label, (F,)."""

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
    expected, expected_now = class_probabilities(
        ref.x, before, cur.x, count, rng=rng, categorical=seen.categorical)
    usual, now = fit_flips(expected, before), fit_flips(expected_now, after)
    first = 1 if count == 2 else 0  # two classes: one indicator says all
    old = heterogeneity(ref.x, usual.residual[:, first:], rng=rng, categorical=seen.categorical)
    new = heterogeneity(cur.x, now.residual[:, first:], rng=rng, categorical=seen.categorical)
    eye = np.eye(count)[:, first:]
    effects = effect_drift((ref.x, eye[before]), (cur.x, eye[after]), rng=rng, categorical=seen.categorical)
    disagree = [1.0 - p[np.arange(len(y)), y] for p, y in ((expected, before), (expected_now, after))]
    base = float(np.log(np.maximum(np.bincount(before, minlength=count)[before] / len(before), 1e-9)).mean())
    fit_quality = float(np.log(expected[np.arange(len(before)), before]).mean())
    spread = float(np.sqrt(max(now.rate * (1 - now.rate), 0.01) * (1 / len(before) + 1 / len(after))))
    return Residual(
        rate=now.rate, usual=usual.rate, z=(now.rate - usual.rate) / spread,
        depends=new.correlation, depends_z=new.z, usual_depends=max(old.correlation, 0.0),
        effects=effects, disagreement=(disagree[0], disagree[1]), flips=now, line=None,
        power=float(np.clip(1.0 - fit_quality / base, 0.0, 1.0)) if base < 0 else 0.0,
    )


def _numbers(case: Case, seen: View) -> Residual:
    rng, ref, cur = case.rng("world residual"), seen.reference, seen.current
    before, after = ref.truth.astype(float), cur.truth.astype(float)
    own, foreign = cross_fit(ref.x, before, cur.x, rng=rng, categorical=seen.categorical, trees=60, depth=4)
    gap = before - own
    low, high = np.quantile(gap, [0.01, 0.99])
    a, b = _line(foreign, after)
    straight = after - a - b * foreign
    usual, now = gap, after - foreign
    off = float(((now < low) | (now > high)).mean())
    base = 0.02
    old = heterogeneity(ref.x, _clipped(usual, gap), rng=rng, categorical=seen.categorical)
    new = heterogeneity(cur.x, _clipped(straight, gap * max(abs(b), 0.1)), rng=rng, categorical=seen.categorical)
    scale = float(before.std()) or 1.0
    effects = effect_drift(
        (ref.x, before[:, None] / scale), (cur.x, after[:, None] / scale), rng=rng, categorical=seen.categorical)
    spread = float(np.sqrt(max(off * (1 - off), 0.01) * (1 / len(before) + 1 / len(after))))
    width = float(np.median(np.abs(gap))) or 1e-9
    unlikely = [np.abs(r) / (np.abs(r) + 2 * width) for r in (usual, now)]
    return Residual(
        rate=off, usual=base, z=(off - base) / spread, depends=new.correlation, depends_z=new.z,
        usual_depends=max(old.correlation, 0.0), effects=effects,
        disagreement=(unlikely[0], unlikely[1]), flips=None, line=(a, b),
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


def effect_blame(seen: View, effects: EffectDrift, *, most: int = 2) -> tuple[str, ...]:
    """Input columns whose effect on the label changed beyond its usual spread: the leader and its equals."""
    excess = np.maximum(effects.size - 1.5 * effects.usual, 0.0)
    by_name: dict[str, float] = {}
    for name, value in zip(seen.owner, excess.tolist(), strict=True):
        by_name[name] = max(by_name.get(name, 0.0), value)
    ranked = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] <= 0:
        return ()
    return tuple(name for name, value in ranked[:most] if value >= 0.7 * ranked[0][1])


