"""The current rows whose answers do not follow, where they are, and what they look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.reproduction._gap import answer_vector, gap, known_answers
from ruleout.checks.reproduction._locate import Place, locate
from ruleout.checks.reproduction._view import Replay, replay
from ruleout.profile import Case, Outputs, text_series
from ruleout.stats import _boosting as boosting
from ruleout.stats._twosample import proportions

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hit:
    """Rows that do not follow."""

    replay: Replay
    place: Place
    rows: Mask
    """Looked-at current rows (n,) to be explained: the wrong ones if the replay is exact, all of
    the place if it is not."""

    served: Outputs
    intended: Outputs
    """Answers of the rows to be explained, (m,)."""

    before: float
    """Their mean gap."""

    floor: float
    """The mean gap that a perfect explanation would leave."""

    def explained(self, answers: Outputs) -> float:
        """Share of the gap that is gone if `answers` (m,) were intended instead."""
        after = gap(self.served, answers, self.replay.spread)
        left = float(np.nanmean(after)) if np.isfinite(after).any() else self.before
        room = self.before - self.floor
        return float(np.clip((self.before - left) / room, -1.0, 1.0)) if room > 1e-9 else 0.0

    @property
    def share(self) -> float:
        """Share of all looked-at rows that are to be explained."""
        return float(self.rows.mean())


def hit(case: Case) -> Hit | None:
    """The rows that depart, computed once; None when none do or nothing can be replayed."""
    if "reproduction hit" not in case.cache:
        case.cache["reproduction hit"] = _hit(case)
    found: Hit | None = case.cache["reproduction hit"]
    return found


def _hit(case: Case) -> Hit | None:
    view = replay(case)
    if view is None or not view.departed:
        return None
    side = view.current
    place = locate(case, side.rows, view.flag())
    rows = view.wrong if view.exact else place.inside & known_answers(side.served)
    if rows.sum() < 20:
        return None
    before = float(np.nanmean(side.gap[rows]))
    floor = 0.0 if view.exact else min(view.usual, before)
    return Hit(view, place, rows, side.served.take(rows), side.intended.take(rows), before, floor)


def disorder(found: Hit, rng: np.random.Generator) -> float:
    """How little served answers have to do with intended ones: 0 equal, 1 as good as shuffled."""
    shuffled = found.intended.take(rng.permutation(int(found.rows.sum())))
    chance = np.nanmean(gap(found.served, shuffled, found.replay.spread))
    return float(found.before / chance) if chance > 1e-9 else 0.0


def structure(case: Case, found: Hit, rng: np.random.Generator) -> float:
    """Share of the difference between served and intended that the inputs predict, out of sample.

    A different model differs as a function of its inputs; noise does not.
    """
    return _predictable(case, found, difference(found), rng)


def obedience(case: Case, found: Hit, rng: np.random.Generator) -> float:
    """Share of the served answers themselves that the inputs predict, out of sample.

    Any model's answers follow its inputs; garbage does not.
    """
    answers = answer_vector(found.served)
    top = int(np.nan_to_num(answers).std(axis=0).argmax())
    return _predictable(case, found, answers[:, top], rng)


def _predictable(case: Case, found: Hit, rest: Floats, rng: np.random.Generator) -> float:
    frame = found.replay.current.frame.filter(found.rows)
    if case.representations:
        x, coded = case.encode(case.current.frame)
        x = x[found.replay.current.rows[found.rows]]
    else:
        x, coded = case.encode(frame)
    known = np.isfinite(rest)
    x, rest = x[known], rest[known]
    if len(x) < 100 or not x.shape[1]:
        return 0.0
    half = rng.random(len(x)) < 0.5
    fitted = boosting.fit(x[half], rest[half], rng=rng, categorical=coded, trees=40, rate=0.2)
    left = rest[~half] - fitted.raw(x[~half])[:, 0]
    spread = float(((rest[~half] - rest[half].mean()) ** 2).sum())
    return float(max(0.0, 1 - (left**2).sum() / spread)) if spread > 1e-12 else 0.0


def difference(found: Hit) -> Floats:
    """Served minus intended as one number a row (m,): value, score, or probability of the decision."""
    served, intended = found.served, found.intended
    if served.decision.dtype.kind == "f":
        return np.asarray(served.decision.astype(float) - intended.decision.astype(float))
    if served.score is not None and intended.score is not None:
        return served.score - intended.score
    if served.scores is not None and intended.scores is not None:
        top = intended.scores.argmax(axis=1)
        rows = np.arange(len(top))
        return np.asarray(served.scores[rows, top] - intended.scores[rows, top])
    return np.asarray(served.decision != intended.decision, dtype=np.float64)


def misassigned(case: Case, found: Hit) -> tuple[float, float, float] | None:
    """Share of the hit values before and after with its p-value, if the sample ratio is off."""
    column, values = found.place.scope.column, list(found.place.scope.values)
    if column is None:
        return None
    shares, counts = [], []
    for frame in (case.reference.frame, case.current.frame):
        text = text_series(frame, column)
        counts.append(len(text) - text.null_count())
        shares.append(int(text.is_in(values).sum()) / max(counts[-1], 1))
    if not 0.02 < shares[0] < 0.98:
        return None
    test = proportions((shares[0] * counts[0], shares[1] * counts[1]), (counts[0], counts[1]))
    if test.p_value > 1e-6 or abs(test.effect) < 0.04:
        return None
    return shares[0], shares[1], test.p_value
