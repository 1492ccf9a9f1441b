"""What designs would be answered under given weights, and how that compares out of fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleout import modes
from ruleout.bench._score import Result, compare, right_ones, summary
from ruleout.bench.fit._calibrate import EVERYTHING, LAPSE, fit_calibration
from ruleout.bench.fit._design import Design
from ruleout.bench.fit._solve import SPREAD, Problem, Vector, fit, problem
from ruleout.hypotheses import PLAIN, Calibration, load_calibration

Fold = Callable[[Design], str]


def families(design: Design) -> str:
    """The family of a design's true mode: modes of a family are confusable and share signals."""
    return _families()[_truth(design)["mode"]]


def data_set(design: Design) -> str:
    """The data set that a design's incident was made from."""
    return str(_truth(design)["dataset"])


def _truth(design: Design) -> Mapping[str, Any]:
    return design.truth or {}


def _families() -> dict[str, str]:
    """Mode -> family: its code's letter and the tens of its number, as the catalogue groups them."""
    out = {}
    for name, mode in modes.load().items():
        letter, number = mode.code[0], int("".join(c for c in mode.code if c.isdigit()) or 0)
        out[name] = f"{letter}{(number - 1) // 4 if letter != 'N' else 0}"
    return out


def marks(design: Design) -> list[bool]:
    """Which hypotheses of a design are right."""
    hypotheses = [{"failure_mode": r.mode, "subject": r.subject} for r in design.rows]
    return right_ones(_truth(design), hypotheses)


def answer(design: Design, logits: Vector, how: Calibration) -> dict[str, Any]:
    """The diagnosis of a design as JSON: hypotheses by probability, and the verdict."""
    chances, _ = how.spread(logits)
    keys = [(r.mode, r.kind, r.names) for r in design.rows]
    order = sorted(range(len(keys)), key=lambda k: (-chances[k], keys[k]))
    told = [
        {
            "failure_mode": design.rows[k].mode,
            "subject": design.rows[k].subject,
            "probability": float(chances[k]),
        }
        for k in order[:25]
    ]
    sure = bool(told) and chances[order[0]] >= 0.5
    null = sure and modes.mode(design.rows[order[0]].mode).is_null
    verdict = "no_incident" if null else "cause_found" if sure else "inconclusive"
    return {"hypotheses": told, "verdict": verdict}


def judged(designs: Sequence[Design], logits: Sequence[Vector], how: Calibration) -> list[Result]:
    """Every design's answer beside its truth."""
    return [
        compare(d.name, _truth(d), answer(d, x, how), 0.0)
        for d, x in zip(designs, logits, strict=True)
    ]


def by_incident(told: Problem, logits: Vector) -> list[Vector]:
    """Log-odds (R,) of all hypotheses, cut by incident."""
    ends = np.cumsum(np.bincount(told.incident, minlength=told.count))[:-1]
    return np.split(logits, ends)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights by parameter and the calibration that goes with them."""

    problem: Problem
    weights: Vector
    calibration: Calibration

    def logits(self, designs: Sequence[Design]) -> list[Vector]:
        """Log-odds of the hypotheses of other designs; what was never seen keeps its shipped weight."""
        other = problem(designs, marks)
        place = self.problem.index()
        mapped = [
            self.weights[place[name]] if name in place else start
            for name, start in zip(other.parameters, other.start, strict=True)
        ]
        return by_incident(other, other.logits(np.array(mapped)))


def train(
    designs: Sequence[Design],
    *,
    spread: float = SPREAD,
    fold: Fold = data_set,
    before: Calibration = PLAIN,
    parts: Sequence[str] = LAPSE,
) -> Fitted:
    """Fit the weights, then the calibration on log-odds that were predicted out of fold."""
    told = problem(designs, marks)
    weights = fit(told, spread=spread) if spread > 0 else told.start.copy()
    outside = (
        _outside(designs, fold, spread) if spread > 0 else by_incident(told, told.logits(weights))
    )
    right = [np.array(marks(d), dtype=bool) for d in designs]
    return Fitted(told, weights, fit_calibration(outside, right, before=before, parts=parts))


def _outside(designs: Sequence[Design], fold: Fold, spread: float) -> list[Vector]:
    out: list[Vector] = [np.zeros(0)] * len(designs)
    for inside, held in splits(designs, fold, most=5):
        told = problem([designs[k] for k in inside], marks)
        fitted = Fitted(told, fit(told, spread=spread), PLAIN)
        for k, x in zip(held, fitted.logits([designs[k] for k in held]), strict=True):
            out[k] = x
    return out


def splits(
    designs: Sequence[Design], fold: Fold, most: int = 100
) -> list[tuple[list[int], list[int]]]:
    """(inside, held out) for every group of the fold; groups are merged until there are at most `most`."""
    names = sorted({fold(d) for d in designs})
    number = {name: k % most for k, name in enumerate(names)}
    groups = [number[fold(d)] for d in designs]
    return [
        (
            [k for k, g in enumerate(groups) if g != held],
            [k for k, g in enumerate(groups) if g == held],
        )
        for held in sorted(set(groups))
    ]


def compared(
    designs: Sequence[Design], fold: Fold, spread: float = SPREAD
) -> dict[str, dict[str, float]]:
    """Figures out of fold of what ships, of a new calibration, and of new weights with it."""
    start = problem(designs, marks)
    shipped = by_incident(start, start.logits(start.start))
    results: dict[str, list[Result]] = {}
    for inside, held in splits(designs, fold):
        some, rest = [designs[k] for k in inside], [designs[k] for k in held]
        raw = [shipped[k] for k in held]
        fitted = train(some, spread=spread, fold=fold)
        answers = {
            "uncalibrated": judged(rest, raw, PLAIN),
            "shipped": judged(rest, raw, load_calibration()),
            "lapse": judged(rest, raw, train(some, spread=0.0).calibration),
            "calibrated": judged(rest, raw, train(some, spread=0.0, parts=EVERYTHING).calibration),
            "fitted": judged(rest, fitted.logits(rest), fitted.calibration),
        }
        for way, told in answers.items():
            results.setdefault(way, []).extend(told)
    return {way: summary(told) for way, told in results.items()}
