"""A rule behind the model: rows that one condition on one input selects get one answer, whatever their score."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Clear, Finding, Onset, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.reproduction._gap import class_codes, has_scores
from ruleout.checks.reproduction._locate import locate
from ruleout.checks.reproduction._repairs import acquits, described
from ruleout.checks.reproduction._stories import asked_for, is_answer, new_constant
from ruleout.checks.reproduction._view import SERVED, replay
from ruleout.profile import Case, Which, decision_threshold, iso, spread_rows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_ROWS = 20_000
_LEAST = 100
_LEAST_OFF = 25
_USUAL = 0.02
"""Share of reference decisions that may leave their scores: beyond it the log is no decision of these scores."""

_ONE_ANSWER = 0.97
_STRAY = 0.01
"""Share of the rows that got the answer which may lie beyond the condition."""

_ALL = 0.9
_OTHERS = 0.05
"""Share of the rows that a rule over scores must spare, to be told from answers that are one everywhere."""

_OFTEN = 0.03
"""Share of the overruled rows from which a class counts as overruled."""

_NATS = 25.0
"""Evidence that so many rows do not all meet a condition by chance, less the number of conditions tried."""

_FLAT = 0.6
"""Least ratio of the rates of overruled rows far from and near to the old line: a moved line leaves far rows be."""

_MOST_VALUES = 200
_KINDS = frozenset({"deploy", "config", "flag", "commit", "model", "data", "schema"})
_BEFORE = 0.05
"""Share of the window by which a change may come before its first effect."""


@check(
    "overruled",
    layer="integration",
    rung="reproduction",
    looks_for=("change_regression",),
    needs=("data.columns.prediction",),
)
def overruled(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do decisions that leave their scores all have one input on one side of a line, and one answer?

    A moved threshold overrules the scores next to it and no others; a rule that a release put behind the
    model overrules whatever meets its condition.
    """
    del rng
    logged = _logged(case)
    if logged is None:
        return
    off = logged.decided != logged.expected
    if off.sum() < _LEAST_OFF:
        told = f"decisions follow from their scores ({1 - off.mean():.1%})"
        yield Clear(("change_regression",), Subject(), told, 0.005, "rule.none")
        return
    answers, counts = np.unique(logged.decided[off], return_counts=True)
    answer = int(answers[counts.argmax()])
    if counts.max() < _ONE_ANSWER * off.sum():
        return
    # Classes that are never overruled are none of it: a class that is always renamed meets a condition too.
    hit = np.unique(logged.expected[off], return_counts=True)
    often = hit[0][hit[1] >= _OFTEN * off.sum()]
    eligible = (logged.expected != answer) & np.isin(logged.expected, often)
    found = _condition(case, logged.rows, off & eligible, eligible)
    if found is not None and _whatever_score(logged, found, off, answer):
        yield _finding(case, logged, found, off, answer)


@check(
    "ruled_scores",
    layer="integration",
    rung="reproduction",
    looks_for=("change_regression",),
    needs=("data.columns.prediction",),
)
def ruled_scores(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Do the rows that share one new answer all have one input on one side of a line, and those alone?

    A fallback answers whoever asks while the model does not; a rule answers whoever meets its condition.
    """
    del rng
    new = new_constant(case) if has_scores(case.outputs("current")) else None
    if new is None:
        return
    rows = spread_rows(case.current.rows, _ROWS)
    flagged = is_answer(case.outputs("current").take(rows), new.value)
    if flagged.sum() < _LEAST_OFF or asked_for(case, rows, flagged):
        return
    place = locate(case, rows, flagged.astype(float))
    eligible = place.inside.copy()
    eligible[: int(flagged.argmax())] = False
    found = _condition(case, rows, flagged & eligible, eligible)
    if found is None:
        return
    if _never_seen(case, found.name, rows[flagged & eligible]):
        return  # a model may well give one answer to inputs that are all beyond what it knows
    met = found.holds & eligible
    rate, spread = float(flagged[met].mean()), float(met.sum() / max(eligible.sum(), 1))
    if rate < _ALL or spread > 1 - _OTHERS:
        return
    shown = ", ".join(f"{v:.4g}" for v in new.value[:4])
    told = (
        f"{rate:.0%} of the rows whose {found.words}{described(place.scope)} get the very same answer ({shown}), "
        f"and hardly any others: a rule answers in place of the model"
    )
    onset = _first(case, rows[met], flagged[met]) or place.onset
    subject = _changed(case, onset) or SERVED
    plan = RepairPlan("without_constant", subject, place.scope, {"answer": new.value})
    yield Finding(
        "rule.answers", subject, told, rate, found.nats / 10, None, 1.0, ("change_regression",),
        scope=place.scope, onset=onset, repairs=(plan,),
    )  # fmt: skip
    others = ("fallback_overload", "hardware_fault", "runtime_numerics", "feedback_loop")
    yield acquits("rule.explains", told, 10.0, others)


def _never_seen(case: Case, name: str, rows: NDArray[np.int64]) -> bool:
    """Whether most of some current rows hold values of an input that the reference never held."""
    if case.kind(name) == "categorical":
        codes = case.codes("current", name)[rows]
        return bool(
            np.isin(codes, np.unique(case.codes("reference", name)), invert=True).mean() > 0.5
        )
    before, now = case.reference.numeric(name), case.current.numeric(name)[rows]
    known = before[np.isfinite(before)]
    if not len(known):
        return True
    return bool(((now < known.min()) | (now > known.max()) | ~np.isfinite(now)).mean() > 0.5)


class _Logged(NamedTuple):
    """Decisions of sampled current rows, and those that their scores ask for."""

    rows: NDArray[np.int64]
    decided: NDArray[np.int64]
    expected: NDArray[np.int64]
    margin: Floats
    """How far each row's score is from another decision."""

    threshold: float | None


class _Condition(NamedTuple):
    """One input on one side of a line, or at one value."""

    name: str
    words: str
    holds: Mask
    """Sampled rows (n,) that meet it."""

    nats: float


def _logged(case: Case) -> _Logged | None:
    columns = case.incident.data.columns
    if case.task not in ("binary", "multiclass") or columns.prediction is None:
        return None
    if case.task == "multiclass":
        before, after = (_by_largest(case, which) for which in ("reference", "current"))
        return after if before is not None and _follows(before) else None
    threshold = None
    pairs = {}
    for which in ("reference", "current"):
        scores = _scores(case, which)
        if scores is None:
            return None
        rows, score, decided = scores
        if threshold is None:
            threshold = decision_threshold(score, decided.astype(np.int32))
        expected = (score >= threshold).astype(np.int64)
        near = np.abs(score - threshold)
        # A hair's breadth from the line is rounding.
        expected = np.where(near < 1e-6, decided, expected)
        pairs[which] = _Logged(rows, decided, expected, near, threshold)
    return pairs["current"] if _follows(pairs["reference"]) else None


def _follows(logged: _Logged) -> bool:
    return float((logged.decided != logged.expected).mean()) <= _USUAL


def _scores(case: Case, which: Which) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]] | None:
    """Rows, scores and decisions: as logged, or scored by a model that reproduces the reference."""
    rows = spread_rows(case.table(which).rows, _ROWS)
    served = case.outputs(which).take(rows)
    score, view = served.score, replay(case)
    if score is None and view is not None and view.exact:
        side = view.reference if which == "reference" else view.current
        rows, served, score = side.rows, side.served, side.intended.score
    if score is None:
        return None
    decided = class_codes(served)
    known = np.isfinite(score) & (decided >= 0)
    return (rows[known], score[known], decided[known]) if known.sum() >= _LEAST else None


def _by_largest(case: Case, which: Which) -> _Logged | None:
    rows = spread_rows(case.table(which).rows, _ROWS)
    served = case.outputs(which).take(rows)
    scores, view = served.scores, replay(case)
    if scores is None and view is not None and view.exact:
        side = view.reference if which == "reference" else view.current
        rows, served, scores = side.rows, side.served, side.intended.scores
    if scores is None:
        return None
    decided = class_codes(served)
    known = np.isfinite(scores).all(axis=1) & (decided >= 0)
    if known.sum() < _LEAST:
        return None
    ordered = np.sort(scores[known], axis=1)
    margin = ordered[:, -1] - ordered[:, -2]
    return _Logged(rows[known], decided[known], scores[known].argmax(axis=1), margin, None)


def _condition(case: Case, rows: NDArray[np.int64], off: Mask, eligible: Mask) -> _Condition | None:
    """The condition on one input that the overruled rows meet and the fewest others do, or None."""
    found = [
        condition
        for name in case.features
        if case.kind(name) in ("numeric", "categorical")
        for condition in _conditions(case, name, rows, off, eligible)
    ]
    best = max(found, key=lambda c: c.nats, default=None)
    return best if best is not None and best.nats > _NATS else None


def _conditions(
    case: Case, name: str, rows: NDArray[np.int64], off: Mask, eligible: Mask
) -> Iterator[_Condition]:
    if case.kind(name) == "categorical":
        codes = case.codes("current", name)[rows]
        if not 2 <= len(case.vocabulary(name)) <= _MOST_VALUES:
            return
        code = int(np.bincount(codes[off] + 1).argmax()) - 1
        word = case.vocabulary(name)[code] if code >= 0 else "missing"
        yield _weighed(name, f"{name} is {word}", codes == code, off, eligible)
        return
    value = case.current.numeric(name)[rows]
    known = off & np.isfinite(value)
    if known.sum() < (1 - _STRAY) * off.sum():
        return
    low, high = np.quantile(value[known], [_STRAY / 2, 1 - _STRAY / 2])
    yield _weighed(name, f"{name} is {high:.6g} or less", value <= high, off, eligible)
    yield _weighed(name, f"{name} is {low:.6g} or more", value >= low, off, eligible)


def _weighed(name: str, words: str, holds: Mask, off: Mask, eligible: Mask) -> _Condition:
    """A condition with its evidence: rows overruled at random would meet it as often as the others do."""
    inside, n = float((holds & off).sum()), float(off.sum())
    usual = (float((holds & eligible).sum()) + 1) / (float(eligible.sum()) + 2)
    hit = min(inside / n, 1 - 1e-9)
    nats = n * (hit * np.log(hit / usual) + (1 - hit) * np.log((1 - hit) / max(1 - usual, 1e-9)))
    enough = hit >= 1 - 2 * _STRAY
    return _Condition(name, words, holds, float(nats) if enough else 0.0)


def _whatever_score(logged: _Logged, found: _Condition, off: Mask, answer: int) -> bool:
    """Whether rows far from another decision are overruled as often as rows near to one."""
    met = found.holds & (logged.expected != answer)
    middle = float(np.median(logged.margin[met]))
    far, near = met & (logged.margin > middle), met & (logged.margin <= middle)
    if min(far.sum(), near.sum()) < _LEAST_OFF // 2:
        return False
    # The farthest quarter as well: a line that moved a long way spares it.
    farthest = met & (logged.margin >= float(np.quantile(logged.margin[met], 0.9)))
    rates = [float(off[part].mean()) for part in (far, near, farthest)]
    return min(rates) > 0 and min(rates[0], rates[2]) >= _FLAT * rates[1]


def _finding(case: Case, logged: _Logged, found: _Condition, off: Mask, answer: int) -> Finding:
    met = np.flatnonzero(found.holds & (logged.expected != answer))
    place = locate(case, logged.rows[met], off[met].astype(float))
    label = case.classes[answer] if answer < len(case.classes) else str(answer)
    rate = float(off[met][place.inside].mean())
    told = (
        f"{rate:.0%} of the rows whose {found.words}{described(place.scope)} are answered {label} although "
        f"their scores say otherwise, and hardly any others: a rule overrules the model"
    )
    onset = _first(case, logged.rows[met], off[met]) or place.onset
    subject = _changed(case, onset) or SERVED
    options = {} if logged.threshold is None else {"threshold": logged.threshold}
    return Finding(
        "rule.overrules", subject, told, rate, found.nats / 10, None,
        float(np.clip(0.6 + found.nats / 200, 0.0, 1.0)), ("change_regression",),
        against=("threshold_change", "calibration_change", "concept_drift", "feedback_loop", "category_recode"),
        scope=place.scope, onset=onset,
        repairs=(RepairPlan("old_threshold", subject, Scope(since=place.scope.since), options),),
    )  # fmt: skip


def _first(case: Case, rows: NDArray[np.int64], off: Mask) -> Onset | None:
    """When the first of the rows (n,) that meet the condition was overruled; None without times.

    A rule that is rolled out step by step has no jump, but it has a first row.
    """
    times = case.current.time
    hit = np.flatnonzero(off)
    if times is None or not len(hit):
        return None
    at = float(times[rows[hit[0]]])
    spans = [times[rows[: hit[0]]], case.reference.time]
    earlier = [float(t[-1]) for t in spans if t is not None and len(t) and t[-1] <= at]
    low = max(earlier, default=at)
    return Onset(iso(at), iso(low), iso(at)) if np.isfinite(at) and np.isfinite(low) else None


def _changed(case: Case, onset: Onset | None) -> Subject | None:
    """What was changed when the rule began, where one thing alone was."""
    time = case.current.time
    if onset is None or time is None:
        return None
    low, high = (datetime.fromisoformat(v).timestamp() for v in (onset.low, onset.high))
    early = low - _BEFORE * float(time[-1] - time[0])
    entities = {c.entity for c in case.changes if c.kind in _KINDS and early <= c.at <= high}
    return Subject("change", (entities.pop(),)) if len(entities) == 1 else None
