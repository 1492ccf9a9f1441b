"""Fitting weights of evidence: a conditional softmax over the hypotheses of each incident.

The likelihood of an incident is the probability of the hypotheses that are right, or of "something else" where
none is. Every weight is pulled towards the value that ships, and keeps its sign. Solved by L-BFGS with
projection on the signs (Bertsekas 1982: the two-metric projection), numpy alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout.bench.fit._design import Design, Heard, Parameter
from ruleout.hypotheses import load_weights

Vector = NDArray[np.float64]

SPREAD = 1.0
"""Standard deviation in nats of a weight around the shipped one, before any incident was seen."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Incidents as one sparse matrix: row r hears parameter p with strength x."""

    parameters: tuple[Parameter, ...]
    start: Vector
    """(P,) the shipped weights: the mean of the prior."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    strength: Vector
    offset: Vector
    """(R,) log-odds of each hypothesis before evidence."""

    incident: NDArray[np.int64]
    """(R,) number of the incident of each hypothesis."""

    right: NDArray[np.bool_]
    """(R,) whether the hypothesis is right."""

    count: int

    def logits(self, weights: Vector) -> Vector:
        """(R,) log-odds under `weights` (P,)."""
        heard = np.bincount(
            self.row, self.strength * weights[self.column], minlength=len(self.offset)
        )
        return self.offset + heard

    def index(self) -> Mapping[Parameter, int]:
        """Place of each parameter."""
        return {p: k for k, p in enumerate(self.parameters)}


def shipped(term: Heard) -> float:
    """Nats that the weights in force give to a term at full strength."""
    return load_weights().get(term.signal, {}).get(term.key, term.default)


def parameter(term: Heard) -> Parameter:
    """The number that a term calls on; unlisted ones are parted by what they default to."""
    listed = term.key in load_weights().get(term.signal, {})
    return (term.signal, term.key) if listed else (term.signal, f"{term.key}|{term.default:g}")


def problem(designs: Sequence[Design], is_right: Callable[[Design], Sequence[bool]]) -> Problem:
    """The incidents of `designs` as arrays; `is_right` marks the hypotheses of one design."""
    names: dict[Parameter, int] = {}
    start: list[float] = []
    cells: list[tuple[int, int, float]] = []
    offset: list[float] = []
    incident: list[int] = []
    right: list[bool] = []
    for number, one in enumerate(designs):
        right.extend(is_right(one))
        for row in one.rows:
            for term in row.terms:
                name = parameter(term)
                if name not in names:
                    names[name] = len(names)
                    start.append(shipped(term))
                cells.append((len(offset), names[name], term.strength))
            offset.append(row.prior)
            incident.append(number)
    rows, columns, strengths = zip(*cells, strict=True) if cells else ((), (), ())
    return Problem(
        tuple(names),
        np.array(start),
        np.array(rows, dtype=np.int64),
        np.array(columns, dtype=np.int64),
        np.array(strengths),
        np.array(offset),
        np.array(incident, dtype=np.int64),
        np.array(right, dtype=bool),
        len(designs),
    )


def loss(told: Problem, weights: Vector, spread: float = SPREAD) -> tuple[float, Vector]:
    """Negative log posterior and its gradient (P,)."""
    logit = told.logits(weights)
    top = np.zeros(told.count)
    np.maximum.at(top, told.incident, logit)
    scale = np.exp(logit - top[told.incident])
    rest = np.exp(-top)
    total = rest + np.bincount(told.incident, scale, minlength=told.count)
    good = np.bincount(told.incident, scale * told.right, minlength=told.count)
    # Where no hypothesis is right, "something else" is.
    lost = good == 0
    mass = np.where(lost, rest, good)
    chance = scale / total[told.incident]
    wanted = scale * told.right / mass[told.incident]
    slope = chance - wanted
    gradient = np.bincount(told.column, told.strength * slope[told.row], minlength=len(weights))
    away = (weights - told.start) / spread**2
    value = float(np.log(total / mass).sum() + 0.5 * (away * (weights - told.start)).sum())
    return value, gradient + away


def fit(told: Problem, *, spread: float = SPREAD, steps: int = 200) -> Vector:
    """The weights (P,) of highest posterior; each keeps the sign of its shipped value."""
    sign = np.where(told.start >= 0, 1.0, -1.0)

    def project(w: Vector) -> Vector:
        kept: Vector = sign * np.maximum(sign * w, 0.0)
        return kept

    here = told.start.copy()
    value, gradient = loss(told, here, spread)
    memory: list[tuple[Vector, Vector]] = []
    for _ in range(steps):
        free = ~((here == 0) & (sign * gradient > 0))
        step = _direction(gradient * free, memory, spread) * free
        new, better, after = _search(told, here, value, step, gradient, project, spread)
        if new is None or value - better < 1e-7 * max(1.0, abs(value)):
            break
        moved, turned = new - here, after - gradient
        if float(moved @ turned) > 1e-12:
            memory = [*memory[-9:], (moved, turned)]
        here, value, gradient = new, better, after
    return here


def _direction(gradient: Vector, memory: Sequence[tuple[Vector, Vector]], spread: float) -> Vector:
    """L-BFGS two-loop recursion (Nocedal 1980); the prior's curvature scales the first step."""
    q = gradient.copy()
    kept = []
    for moved, turned in reversed(memory):
        share = float(moved @ q) / float(moved @ turned)
        q -= share * turned
        kept.append(share)
    if memory:
        moved, turned = memory[-1]
        q *= float(moved @ turned) / float(turned @ turned)
    else:
        q *= min(spread**2, 1.0 / max(1.0, float(np.linalg.norm(gradient))))
    for (moved, turned), share in zip(memory, reversed(kept), strict=True):
        q += (share - float(turned @ q) / float(moved @ turned)) * moved
    return -q


def _search(
    told: Problem,
    here: Vector,
    value: float,
    step: Vector,
    gradient: Vector,
    project: Callable[[Vector], Vector],
    spread: float,
) -> tuple[Vector | None, float, Vector]:
    """Backtrack along the projected step until the loss falls enough (Armijo)."""
    length = 1.0
    for _ in range(30):
        new = project(here + length * step)
        better, after = loss(told, new, spread)
        if better <= value + 1e-4 * float(gradient @ (new - here)):
            return new, better, after
        length /= 2
    return None, value, gradient


def as_table(told: Problem, weights: Vector, least: float = 0.05) -> dict[str, dict[str, float]]:
    """Weights that moved by at least `least` nats: signal -> mode -> nats."""
    out: dict[str, dict[str, Any]] = {}
    for (signal, key), old, new in zip(told.parameters, told.start, weights, strict=True):
        if abs(new - old) >= least and "|" not in key:
            out.setdefault(signal, {})[key] = round(float(new), 2)
    return {signal: dict(sorted(row.items())) for signal, row in sorted(out.items())}
