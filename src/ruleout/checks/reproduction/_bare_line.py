"""A line that moved, where neither scores nor a model are at hand: bare decisions tell of both lines.

Rule: decisions are learnt from inputs on one half of the reference. Another line turns decisions one way alone, and
those that the learner gets wrong the other way become fewer than they were; another model turns some each way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.reproduction._hit import hit
from ruleout.profile import Case, Which, spread_rows
from ruleout.stats import _boosting as boosting
from ruleout.stats._twosample import proportions
from ruleout.stats._views import weighted_auc

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_ROWS = 8_000
_LEAST = 300
_FOLLOWS = 0.9
"""AUC from which the reference's own decisions are ordered well enough to tell."""

_TURNED = 0.02
"""Share of decisions that must have turned one way, beyond what the learner gets wrong."""

_FEWER = 0.75
"""What may be left of its errors the other way, as a share of the usual."""

_NEARER, _FEW = 0.65, 30
"""AUC with which decisions that turned lie nearer to the old line than those that did not."""

_CERTAIN = 1e-6


class Line(NamedTuple):
    """Decisions of one order of rows, drawn at another place."""

    before: float
    """Share of positive decisions in the reference."""

    after: float
    turned: float
    """Share of decisions that turned, all one way."""

    sure: float
    """How surely none turned the other way, in [0, 1]."""


def moved_line(case: Case, rng: np.random.Generator) -> Line | None:
    """The line that current bare decisions were drawn by, if it is another one of the reference's order; else None."""
    found = hit(case)
    if found is None or found.replay.exact or case.representations:
        return None
    here = np.zeros(case.current.rows, dtype=bool)
    here[found.replay.current.rows] = found.place.inside
    x, said, coded = _rows(case, "reference", np.ones(case.reference.rows, dtype=bool))
    later, now, _ = _rows(case, "current", here)
    if not x.shape[1] or not _moved(said, now):
        return None
    learn = np.arange(len(said)) % 2 == 0
    fitted = boosting.fit(x[learn], said[learn].astype(float), rng=rng, categorical=coded)
    old, new = fitted.raw(x[~learn])[:, 0], fitted.raw(later)[:, 0]
    if _auc(old, said[~learn]) < _FOLLOWS:
        return None
    line = float(np.quantile(old, 1 - said[~learn].mean()))
    usual, found_now = _turned(old > line, said[~learn]), _turned(new > line, now)
    main = int(np.argmax(np.subtract(found_now, usual)))
    rise, left = found_now[main] - usual[main], found_now[1 - main] / max(usual[1 - main], 1e-9)
    if rise < _TURNED or left > _FEWER:
        return None
    side = (new > line) == (main == 0)
    if not _nearest_first(np.abs(new[side] - line), now[side] == (main == 1)):
        return None
    sure = float(np.clip((1 - left) / 0.6, 0.3, 1.0))
    return Line(float(said.mean()), float(now.mean()), rise, sure)


def _moved(said: Mask, now: Mask) -> bool:
    """Whether another share of decisions (n,) and (m,) is positive, and there are enough to look closer."""
    if min(len(said), len(now)) < _LEAST or not 0 < now.mean() < 1:
        return False
    hits, sizes = (float(said.sum()), float(now.sum())), (len(said), len(now))
    return proportions(hits, sizes).p_value < _CERTAIN


def _nearest_first(gap: Floats, turned: Mask) -> bool:
    """Whether decisions that turned lay nearer to the line; one answer given to some rows turns the surest as often."""
    few = min(turned.sum(), (~turned).sum()) < _FEW
    return not few and _auc(-gap, turned) >= _NEARER


def _turned(meant: Mask, said: Mask) -> tuple[float, float]:
    """Shares of rows decided negative that were meant positive, and the reverse."""
    return float((meant & ~said).mean()), float((~meant & said).mean())


def _rows(case: Case, which: Which, mask: Mask) -> tuple[Floats, Mask, Mask]:
    """Inputs (n, F), positive decisions (n,), and which inputs are categories (F,)."""
    decision = case.outputs(which).decision.astype(np.int64)
    rows = np.flatnonzero(mask & (decision >= 0))
    rows = rows[spread_rows(len(rows), _ROWS)]
    x, coded = case.encode(case.table(which).frame[rows])
    return x, decision[rows] == 1, coded


def _auc(score: Floats, positive: Mask) -> float:
    return weighted_auc(
        score[~positive],
        np.ones(int((~positive).sum())),
        score[positive],
        np.ones(int(positive.sum())),
    )
