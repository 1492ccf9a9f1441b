"""Inputs that moved alone: their row still orders them as before, and did not move with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._context import Context, context
from ruleout.checks.inputs._defaults import defaulted
from ruleout.checks.inputs._departure import Departure, departures, scope_words
from ruleout.checks.inputs.scales import best_map, is_temperature, known_values, quantile_chart
from ruleout.checks.inputs.staleness import adjusted
from ruleout.profile import Case
from ruleout.stats._relation import Affine, clip, grid

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_LEAST_LINK = 0.25
"""Below this correlation with its row, the row cannot say whether a value moved with it."""

_CELLS = 20
_WIDE = 60
_LEAST_ROWS = 200


class Alone(NamedTuple):
    """What the rest of the rows says of an input that moved."""

    before: float
    """Correlation of the input's ranks with what the rest of its row says, in the reference."""

    after: float
    """... and now, each window ranked within itself."""

    stayed: float
    """Divergence (nats a row) of the rows' expectations now from those of the reference."""

    world: float
    """... from those the rows would have, had the world moved the input as far as it moved."""

    @property
    def alone(self) -> bool:
        """Whether the order is kept and the rows did not go along."""
        kept = 0.85 * self.before < self.after < 1.2 * self.before + 0.05
        return kept and self.stayed < 0.3 * self.world


@check(
    "monotone_relation", layer="data", rung="inputs", looks_for=("train_serve_skew", "unit_change")
)
def monotone_relation(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did an input move, in the same order of rows, while the inputs it goes with stayed?

    A world that moves an input moves its correlates with it: reference rows reweighted to the new
    values say how far. Another way to compute the value leaves them where they were and keeps the
    order (a logarithm, a root, another window of aggregation). A factor that is too small to part from the
    world's own moves by itself, such as between two currencies, is one where it moved alone. Large units, bounds and
    grids have checks of their own.
    """
    del rng
    found = departures(case)
    moved = [n for n, d in found.items() if d.departed]
    gone = {d.name for d in defaulted(case)}
    for name in moved:
        if name in gone or case.kind(name) != "numeric":
            continue
        told = moved_alone(case, found[name])
        if told is not None and told.alone and not _has_own_check(case, found[name]):
            yield _finding(case, found[name], told)
    if not moved:
        nothing = "no input's distribution moved"
        yield Clear(("train_serve_skew",), Subject(), nothing, 0.3, "bent.none")


def _has_own_check(case: Case, found: Departure) -> bool:
    before, after = known_values(case, found.name, found)
    told = best_map(before, after)
    # A line with a scale and a zero of its own is no unit: it is a bent copy that a line comes near to.
    plain = told is not None and (told.slope == 1 or told.offset == 0 or is_temperature(told))
    return (
        len(after) < _LEAST_ROWS
        or plain
        or clip(before, after) is not None
        or grid(before, after) is not None
    )


def moved_alone(case: Case, found: Departure) -> Alone | None:
    """Whether an input's correlates went where a shift of the world would have taken them.

    Args:
        case: both windows.
        found: the departure of a numeric input.

    Returns:
        None where the rest of the row says too little of the input, or too few rows are affected.
    """
    ctx = context(case)
    if found.name not in ctx.names:
        return None
    here = found.rows[ctx.rows_after]
    keep = ctx.without(found.name)
    if here.sum() < _LEAST_ROWS or not keep.any():
        return None
    x, now = _wide(ctx.before[:, keep]), _wide(ctx.after[here][:, keep])
    y = ctx.before[:, ctx.of(found.name)][:, 0]
    gram = x.T @ x + 0.01 * len(x) * np.eye(x.shape[1])
    beta = np.linalg.solve(gram, x.T @ (y - y.mean()))
    said, says = x @ beta, now @ beta
    before = adjusted(_correlation(said, y), len(y), x.shape[1])
    if before < _LEAST_LINK:
        return None
    own = case.current.numeric(found.name)[ctx.rows_after][here]
    after = _correlation(says, _midranks(own))
    weight = _weights(case, found, ctx, here)
    stayed, world = _divergences(said, says, weight)
    if world * len(says) < 3 * _CELLS:
        return None  # the shift is too small, or the link too loose, to part the two stories
    return Alone(before, after, stayed, world)


def _wide(x: Floats) -> Floats:
    return np.concatenate([x, x**2], axis=1) if x.shape[1] <= _WIDE else x


def _correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def _midranks(values: Floats) -> Floats:
    """Ranks (n,) in [0, 1], ties in the middle; missing at one half."""
    known = np.sort(values[np.isfinite(values)])
    low, high = (np.searchsorted(known, values, side) for side in ("left", "right"))
    return np.where(np.isfinite(values), 0.5 * (low + high) / max(len(known), 1), 0.5)


def _weights(case: Case, found: Departure, ctx: Context, here: Mask) -> Floats:
    """Weights (n,) of the reference rows that give the input its current distribution."""
    before = case.reference.numeric(found.name)[ctx.rows_before]
    after = case.current.numeric(found.name)[ctx.rows_after][here]
    known = np.isfinite(before)
    edges = np.unique(np.quantile(before[known], np.linspace(0, 1, _CELLS + 1)[1:-1]))
    home = np.searchsorted(edges, np.where(known, before, edges[0]), "right")
    there = np.searchsorted(edges, after[np.isfinite(after)], "right")
    width = len(edges) + 1
    was, now = np.bincount(home[known], minlength=width), np.bincount(there, minlength=width)
    ratio = (now / max(now.sum(), 1)) / np.maximum(was / max(was.sum(), 1), 1e-9)
    return np.where(known, np.minimum(ratio, 50.0)[home], 1.0)


def _divergences(said: Floats, says: Floats, weight: Floats) -> tuple[float, float]:
    """How far current expectations lie from the reference's, plain and reweighted (Kullback-Leibler).

    Less what as many cells give by chance.
    """
    edges = np.unique(np.quantile(said, np.linspace(0, 1, _CELLS + 1)[1:-1]))
    width = len(edges) + 1
    home, there = np.searchsorted(edges, said, "right"), np.searchsorted(edges, says, "right")
    now = (np.bincount(there, minlength=width) + 0.5) / (len(says) + 0.5 * width)
    chance = (width - 1) / 2 * (1 / len(says) + 1 / len(said))
    out = []
    for w in (np.ones(len(said)), weight):
        was = np.bincount(home, weights=w, minlength=width) / w.sum()
        was = (was * len(said) + 0.5) / (len(said) + 0.5 * width)
        out.append(max(float((now * np.log(now / was)).sum()) - chance, 0.0))
    return out[0], out[1]


def _finding(case: Case, found: Departure, told: Alone) -> Finding:
    before, after = known_values(case, found.name, found)
    subject = Subject("feature", (found.name,))
    factor = best_map(before, after, small=True)
    if factor is not None and (factor.offset != 0 or factor.slope <= 0):
        factor = None
    how = "computed otherwise" if factor is None else f"{factor.slope:.6g} times what it was"
    sentence = (
        f"{found.name} moved{scope_words(found)} while the inputs it goes with stayed, and its order among them is kept "
        f"(r = {told.after:.2f}, {told.before:.2f} before): it is {how}"
    )
    undone = RepairPlan("unbend", subject, found.scope)
    if factor is not None:
        undone = RepairPlan("rescale", subject, found.scope, {"slope": factor.slope, "offset": 0.0})
    return Finding(
        "bent.alone" if factor is None else "bent.factor",
        subject,
        sentence,
        told.world - told.stayed,
        found.distance / max(found.usual, 1e-6),
        None,
        float(np.clip(1.0 - told.stayed / max(0.3 * told.world, 1e-9), 0.3, 1.0)),
        ("train_serve_skew",) if factor is None else ("unit_change",),
        ("covariate_shift", "concept_drift"),
        found.scope,
        found.onset,
        (undone,),
        quantile_chart(found.name, before, after, factor or Affine(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
    )
