"""The numbers of the page, each from results alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout import modes
from ruleout.bench._score import Result, calibration

Measure = Callable[[Result], bool]
Results = Sequence[Result]
_RESAMPLES = 1_000


@dataclass(frozen=True, slots=True)
class Share:
    """A share of incidents with its interval."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if not self.n:
            return "–"
        if self.low == self.high:
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def share(results: Results, measure: Measure, seed: int = 0) -> Share:
    """A share with a 95% interval from resampling modes, not rows: incidents of one mode stand or fall together."""
    groups: dict[str, list[bool]] = {}
    for r in results:
        groups.setdefault(r.mode, []).append(measure(r))
    listed = [groups[mode] for mode in sorted(groups)]
    hits = np.array([sum(g) for g in listed], dtype=float)
    sizes = np.array([len(g) for g in listed], dtype=float)
    if not len(sizes):
        return Share(float("nan"), float("nan"), float("nan"), 0)
    value = float(hits.sum() / sizes.sum())
    if len(sizes) == 1:
        low, high = _wilson(int(hits[0]), int(sizes[0]))
        return Share(value, low, high, int(sizes[0]))
    picked = np.random.default_rng(seed).integers(0, len(sizes), size=(_RESAMPLES, len(sizes)))
    drawn = hits[picked].sum(axis=1) / sizes[picked].sum(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    if low == high:
        # All or none right: resampling sees no chance, so count each mode as one trial.
        low, high = _wilson(round(value * len(sizes)), len(sizes))
    return Share(value, float(low), float(high), int(sizes.sum()))


def _wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a proportion (1927), for a single mode."""
    p, wide = hits / n, z * z / n
    middle, half = p + wide / 2, z * np.sqrt(p * (1 - p) / n + wide / (4 * n))
    return float((middle - half) / (1 + wide)), float((middle + half) / (1 + wide))


def faults(results: Results) -> list[Result]:
    """Incidents of one cause that can be told."""
    return [r for r in results if not r.null and r.second is None and r.identifiable]


def nulls(results: Results) -> list[Result]:
    """Incidents in which nobody is to be accused."""
    return [r for r in results if r.null]


def doubles(results: Results) -> list[Result]:
    """Incidents of two causes."""
    return [r for r in results if r.second is not None]


def right(r: Result) -> bool:
    """Mode and subject."""
    return r.right


def in_three(r: Result) -> bool:
    """Mode and subject among the first three."""
    return r.in_top3


def layer_right(r: Result) -> bool:
    """The layer of the first answer."""
    known = modes.load().get(r.answer)
    return r.right_mode or (known is not None and known.layer == r.layer)


def by(results: Results, key: Callable[[Result], Sequence[str]]) -> dict[str, list[Result]]:
    """Results by the groups that `key` puts each in."""
    groups: dict[str, list[Result]] = {}
    for r in results:
        for name in key(r):
            groups.setdefault(name, []).append(r)
    return dict(sorted(groups.items()))


def covered(results: Results) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage (n,) and share wrong (n,) when only the surest answers are given, from few to all."""
    ordered = sorted(results, key=lambda r: (-r.probability, r.name))
    wrong = np.cumsum([not r.right for r in ordered])
    n = np.arange(1, len(ordered) + 1)
    return n / max(len(ordered), 1), wrong / n


def right_at(results: Results, coverage: float) -> float:
    """Share right among the surest answers that cover this much."""
    at, wrong = covered(results)
    k = int(np.searchsorted(at, coverage))
    return float(1 - wrong[min(k, len(wrong) - 1)]) if len(wrong) else float("nan")


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of the reliability plot."""

    said: float
    seen: float
    n: int


def reliability(results: Results, bins: int = 10) -> list[Bin]:
    """Mean probability of the first answer and share right, in bins of equal width."""
    p = np.array([r.probability for r in results])
    y = np.array([r.right for r in results], dtype=float)
    which = np.minimum((p * bins).astype(int), bins - 1)
    return [
        Bin(float(p[which == b].mean()), float(y[which == b].mean()), int((which == b).sum()))
        for b in np.unique(which)
    ]


def headline(results: Results) -> dict[str, str]:
    """The row of a corpus in the first table."""
    single, quiet, two = faults(results), nulls(results), doubles(results)
    ece, brier = calibration(results)
    clear = [r for r in results if r.identifiable]
    return {
        "incidents": str(len(results)),
        "top-1": str(share(single, right)),
        "top-3": str(share(single, in_three)),
        "mode alone": str(share(single, lambda r: r.right_mode)),
        "layer": str(share(single, layer_right)),
        "false accusations": _count(quiet, lambda r: r.accused),
        "benign called benign": str(share(quiet, right)),
        "both of two causes": str(share(two, lambda r: r.both)),
        "right at 90% coverage": f"{right_at(clear, 0.9):.2f}",
        "Brier": f"{brier:.3f}",
        "ECE": f"{ece:.3f}",
        "ECE where the truth can be told": f"{calibration(clear)[0]:.3f}",
        "CPU s (median, 95%)": _times(results),
        "peak memory MB": f"{max((r.megabytes for r in results), default=0):.0f}",
        "crashes": str(sum(bool(r.failure) for r in results)),
    }


def _count(results: Results, measure: Measure) -> str:
    hits = sum(map(measure, results))
    if not results:
        return "–"
    return f"{hits} of {len(results)} (below {_wilson(hits, len(results))[1]:.1%})"


def _times(results: Results) -> str:
    if not results:
        return "–"
    middle, late = np.quantile([r.seconds for r in results], [0.5, 0.95])
    return f"{middle:.1f}, {late:.1f}"


def worst(results: Results, n: int = 20) -> list[Result]:
    """The surest mistakes; accusations of the innocent first."""
    wrong = [r for r in results if not r.right]
    return sorted(wrong, key=lambda r: (not r.accused, -r.probability, r.name))[:n]


def peer_row(results: Results, ours: Mapping[str, Result]) -> dict[str, str]:
    """A peer on its incidents, beside this product on the same ones."""
    single, quiet = faults(results), nulls(results)
    same = [ours[r.name] for r in results if r.name in ours]
    named = [r for r in single if r.named is not None]
    return {
        "incidents": str(len(results)),
        "top-1": str(share(single, right)),
        "top-3": str(share(single, in_three)),
        "subject alone": str(share(named, lambda r: bool(r.named))),
        "false accusations": _count(quiet, lambda r: r.verdict == "cause_found" and not r.right),
        "no answer": f"{np.mean([not r.top3 for r in results]):.0%}" if results else "–",
        "ours on the same, top-1": str(share(faults(same), right)),
    }
