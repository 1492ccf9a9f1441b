"""Answers under other classes' names: all of them renamed, or some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.reproduction._gap import class_codes, gap, has_scores, known_answers
from ruleout.checks.reproduction._hit import Hit
from ruleout.profile import Outputs
from ruleout.stats._maps import relabelling

Floats = NDArray[np.float64]
_FOLDED = 0.6
"""Least correlation, in the reference, of how far scores and their reproduction lie from one half."""


def renamed(classes: int, found: Hit) -> tuple[float, dict[str, Any]] | None:
    """Share of the difference that a renaming of the classes explains, and which; None where there is none.

    `order[k]` is the name that class k carries; `part` the share of rows that carry it, where not all do.
    """
    if classes < 2:
        return None
    if classes == 2:
        order: dict[str, Any] = {"order": (1, 0)}
        whole = _renaming(found, flipped)
        part = None if found.replay.exact else _partly_flipped(found)
        better = part is not None and part[0] > whole + 0.1
        return (part[0], order | {"part": part[1]}) if part and better else (whole, order)
    said, meant = class_codes(found.served), class_codes(found.intended)
    known = (said >= 0) & (meant >= 0)
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (meant[known], said[known]), 1)
    names = relabelling(table)
    if (names == np.arange(classes)).all():
        return None
    share = _renaming(found, lambda answers: permuted(answers, names))
    return share, {"order": tuple(int(k) for k in names)}


def _partly_flipped(found: Hit) -> tuple[float, float] | None:
    """Shares of the difference and of the rows that some answers under the other class's name explain; None without any.

    Nothing says which rows these are but the score itself: how far it lies from one half is what it always was,
    whichever side it is on. Another model's is not.
    """
    said, meant = found.served.score, found.intended.score
    side = found.replay.reference
    if said is None or meant is None or side.served.score is None or side.intended.score is None:
        return None
    usual = _folded(side.served.score, side.intended.score)
    if usual < _FOLDED or _folded(said, meant) < 0.85 * usual:
        return None
    own, other = (
        gap(found.served, a, found.replay.spread) for a in (found.intended, flipped(found.intended))
    )
    turned = other < own
    if not 0.1 < float(turned.mean()) < 0.95:
        return None
    share = found.explained(found.intended.where(turned, flipped(found.intended)))
    return share, float(turned.mean())


def _folded(a: Floats, b: Floats) -> float:
    """Correlation of how far two scores (n,) lie from one half."""
    x, y = np.abs(a - 0.5), np.abs(b - 0.5)
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 50 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return 0.0
    return float(np.corrcoef(x[known], y[known])[0, 1])


def _renaming(found: Hit, rename: Callable[[Outputs], Outputs]) -> float:
    """Share of the gap that a renaming explains.

    Bare decisions that are wrong always look renamed, so there the rows of the place that were right count against it.
    """
    share = found.explained(rename(found.intended))
    if has_scores(found.served) or not found.replay.exact:
        return share
    side = found.replay.current
    inside = found.place.inside & known_answers(side.served)
    served, intended = side.served.take(inside), side.intended.take(inside)
    before, after = (
        float(np.nanmean(gap(served, answers, found.replay.spread)))
        for answers in (intended, rename(intended))
    )
    return min(share, 1.0 - after / before) if before > 0 else 0.0


def flipped(outputs: Outputs) -> Outputs:
    """Two-class answers with the classes exchanged."""
    codes = class_codes(outputs)
    decision = np.where(codes < 0, -1, 1 - codes).astype(np.int32)
    score = None if outputs.score is None else 1 - outputs.score
    scores = None if outputs.scores is None else outputs.scores[:, ::-1]
    return Outputs(decision, score, scores)


def permuted(outputs: Outputs, order: NDArray[np.int64]) -> Outputs:
    """Answers in which class k is called `order[k]`."""
    table = np.append(order, -1)
    decision = table[outputs.decision].astype(np.int32)
    scores = None if outputs.scores is None else outputs.scores[:, np.argsort(order)]
    return Outputs(decision, outputs.score, scores)
