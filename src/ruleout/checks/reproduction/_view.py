"""What the checks of this rung share: who would have answered as in the reference, and how far off it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ruleout._errors import RuleoutError
from ruleout._records import Subject
from ruleout.checks.inputs._departure import departures
from ruleout.checks.inputs._foreign import foreign
from ruleout.checks.reproduction._gap import answer_spread, gap, known_answers
from ruleout.checks.reproduction._locate import Place, locate
from ruleout.profile import Case, Outputs, Which, agreement, model_outputs, spread_rows
from ruleout.profile._replayer import surrogate
from ruleout.stats import _boosting as boosting

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROWS = 6_000
"""Rows of each window that are replayed by the checks of this rung."""

LEAST = 100
_SURE = 5.0
_MORE = 0.12
"""Share of current answers that a new model must give beyond those it happens to give before."""

_STRANGE = 0.6
"""Distance of an input from its reference above which a surrogate has no say on its rows."""

EXACT = 0.97
"""Share of reference answers a model must give to be the one that served them."""

SERVED = Subject("model", ("current",))
"""What serves: the subject of every mode that is the model's or its deployment's."""


@dataclass(frozen=True, slots=True)
class Side:
    """Replayed rows of one window."""

    rows: NDArray[np.int64]
    """Their positions in the sample, ascending, (n,)."""

    frame: pl.DataFrame
    served: Outputs
    intended: Outputs
    """What whoever answered the reference would have answered."""

    gap: Floats
    """Distance (n,) of served and intended; NaN where no answer was logged."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Served answers beside those of whoever answered the reference."""

    name: str
    """Key in `models`, or `surrogate`."""

    exact: bool
    """Whether a model reproduces the reference; otherwise a surrogate stands in for it."""

    predict: Callable[[pl.DataFrame], Outputs]
    reference: Side
    current: Side
    spread: float
    usual: float
    """Mean gap in the reference, on rows that the replayer was not fitted to."""

    tolerance: float
    """A gap above this is not numerical or surrogate noise."""

    departure: float
    """Exact: share of current rows above the tolerance beyond the reference's. Surrogate: share of
    the unexplained variance of the answers that knowing the window explains."""

    z: float
    """The departure in units of its noise."""

    @property
    def departed(self) -> bool:
        """Whether the current answers are not those that the reference's answerer would give."""
        return self.z > _SURE and self.departure > (0.004 if self.exact else 0.06)

    @property
    def wrong(self) -> Mask:
        """Current rows (n,) whose answer is off by more than the tolerance."""
        return np.nan_to_num(self.current.gap, nan=0.0) > self.tolerance

    def flag(self) -> Floats:
        """How much each current row (n,) is hit: 0 or 1, NaN unknown."""
        return np.where(np.isfinite(self.current.gap), self.wrong.astype(float), np.nan)


def replay(case: Case) -> Replay | None:
    """The replay of a case, computed once; None when nothing can stand in for the model."""
    if "reproduction replay" not in case.cache:
        case.cache["reproduction replay"] = _replay(case)
    found: Replay | None = case.cache["reproduction replay"]
    return found


def matches(case: Case, name: str) -> dict[Which, float]:
    """Share of answers in each window that the model called `name` gives; computed once.

    Raises:
        ModelError: when the model cannot score the rows.
    """
    key = f"agreement {name}"
    if not case.cache.get(key):
        case.cache[key] = {
            which: agreement(case, case.outputs(which).take(rows), answers)
            for which, rows, answers in _both(case, lambda frame: model_outputs(case, name, frame))
        }
    found: dict[Which, float] = case.cache[key]
    return found


def usable_models(case: Case) -> list[str]:
    """Models that can score the rows, in the order of the incident."""
    usable = []
    for name in case.models:
        try:
            matches(case, name)
        except RuleoutError:
            continue
        usable.append(name)
    return usable


def reference_model(case: Case) -> str | None:
    """The model that served the reference, by its answers."""
    scored = [(matches(case, name).get("reference", 0.0), name) for name in usable_models(case)]
    fitting = [(share, name) for share, name in scored if share >= EXACT]
    # Of two that both reproduce, the one meant to serve comes first.
    return max(fitting, key=lambda pair: (pair[0], pair[1] == "current"))[1] if fitting else None


@dataclass(frozen=True, slots=True)
class Serving:
    """A model that gives the current answers, everywhere or in a place."""

    name: str
    place: Place
    rows: NDArray[np.int64]
    """Positions in the current sample that it answered."""


def serves_now(case: Case, name: str) -> Serving | None:
    """Where the model called `name` gives the current answers; None when nowhere in particular."""
    key = f"serves now {name}"
    if key not in case.cache:
        case.cache[key] = _serves_now(case, name)
    found: Serving | None = case.cache[key]
    return found


def _serves_now(case: Case, name: str) -> Serving | None:
    rows = spread_rows(case.current.rows, ROWS)
    served = case.outputs("current").take(rows)
    answers = model_outputs(case, name, case.current.frame[rows])
    spread = answer_spread(case.outputs("reference"))
    distance = gap(served, answers, spread)
    distance[~known_answers(served)] = np.nan
    same = np.where(
        np.isfinite(distance), (distance <= _tolerance(case, spread)).astype(float), np.nan
    )
    if not np.isfinite(same).any():
        return None
    if np.nanmean(same) < matches(case, name).get("reference", 0.0) + _MORE:
        # As many answers agree by chance, or it answered both windows.
        return None
    return Serving(name, locate(case, rows, same), rows[np.nan_to_num(same) > 0])


def _tolerance(case: Case, spread: float) -> float:
    return 0.02 * (1.0 if case.task == "regression" else min(spread, 0.3)) + 1e-9


def _both(
    case: Case, predict: Callable[[pl.DataFrame], Outputs]
) -> list[tuple[Which, NDArray[np.int64], Outputs]]:
    found: list[tuple[Which, NDArray[np.int64], Outputs]] = []
    for which in ("reference", "current"):
        rows = spread_rows(case.table(which).rows, ROWS)
        if len(rows):
            found.append((which, rows, predict(case.table(which).frame[rows])))
    return found


def _replay(case: Case) -> Replay | None:
    if not case.current.rows or not case.reference.rows:
        return None
    name = reference_model(case)
    if name is not None:
        return _exact(case, name)
    return _by_surrogate(case)


def _side(
    case: Case, which: Which, rows: NDArray[np.int64], answers: Outputs, spread: float
) -> Side:
    served = case.outputs(which).take(rows)
    distance = gap(served, answers, spread)
    distance[~known_answers(served)] = np.nan
    return Side(rows, case.table(which).frame[rows], served, answers, distance)


def _exact(case: Case, name: str) -> Replay | None:
    def predict(frame: pl.DataFrame) -> Outputs:
        return model_outputs(case, name, frame)

    spread = answer_spread(case.outputs("reference"))
    sides = {
        which: _side(case, which, rows, said, spread) for which, rows, said in _both(case, predict)
    }
    reference, current = sides["reference"], sides["current"]
    tolerance = _tolerance(case, spread)
    wrong = [float((s.gap[np.isfinite(s.gap)] > tolerance).mean()) for s in (reference, current)]
    n = [int(np.isfinite(s.gap).sum()) for s in (reference, current)]
    if min(n) < LEAST:
        return None
    both = (wrong[0] * n[0] + wrong[1] * n[1] + 0.5) / (sum(n) + 1)
    noise = float(np.sqrt(both * (1 - both) * (1 / n[0] + 1 / n[1])))
    usual = float(np.nanmean(reference.gap))
    departure = wrong[1] - wrong[0]
    return Replay(
        name=name,
        exact=True,
        predict=predict,
        reference=reference,
        current=current,
        spread=spread,
        usual=usual,
        tolerance=tolerance,
        departure=departure,
        z=departure / noise,
    )


def _by_surrogate(case: Case) -> Replay | None:
    fitted = case.predictor
    if fitted is None or fitted.kind != "surrogate":
        fitted = surrogate(case)
    if fitted is None or fitted.fidelity < 0.3:
        return None
    held = np.sort(np.asarray(case.cache["surrogate held"]))
    spread = answer_spread(case.outputs("reference"))
    now = spread_rows(case.current.rows, ROWS)
    reference = _side(
        case, "reference", held, fitted.predict(_frame(case, "reference", held)), spread
    )
    current = _side(case, "current", now, fitted.predict(_frame(case, "current", now)), spread)
    judged = judgeable(case)[now]
    # Where every row is strange, only what knowing the window explains beyond all inputs counts.
    strange = bool(judged.sum() < LEAST)
    if not strange:
        current.gap[~judged] = np.nan
    usual = reference.gap[np.isfinite(reference.gap)]
    if len(usual) < LEAST or np.isfinite(current.gap).sum() < LEAST:
        return None
    tolerance = float(np.quantile(usual, 0.98))
    departure, z = _departure(case, current, tolerance, strange=strange)
    return Replay(
        name="surrogate",
        exact=False,
        predict=fitted.predict,
        reference=reference,
        current=current,
        spread=spread,
        usual=float(usual.mean()),
        tolerance=tolerance,
        departure=departure,
        z=z,
    )


def _departure(
    case: Case, current: Side, tolerance: float, *, strange: bool
) -> tuple[float, float]:
    """The larger of the departures of all current rows and of the place where most are off."""
    flag = np.where(np.isfinite(current.gap), (current.gap > tolerance).astype(float), np.nan)
    place = locate(case, current.rows, flag)
    tried = [_map_moved(case, None)]
    if place.contrast or place.scope.since is not None:
        tried.append(_map_moved(case, place))
    told = [(moved.level, moved.z) for moved in tried]
    # Noise twice as large as ever is a departure too, though nothing predicts it.
    if not strange:
        told += [(min(moved.noise / 4, 1.0), moved.noise_z) for moved in tried if moved.noise > 1.0]
    sure = [pair for pair in told if pair[1] > _SURE]
    return max(sure or told, key=lambda pair: pair[0])


def judgeable(case: Case) -> Mask:
    """Current rows (n,) that a surrogate of the reference's model can speak for.

    Not those where an input has moved so far that its values there and its reference hardly overlap: a surrogate
    knows no answers for them, and what looks like another model's may be the same model's to strange inputs.
    Nor those whose vectors have left the space that the reference's fill.
    """
    if "judgeable" not in case.cache:
        known = ~foreign(case)
        for name, found in departures(case).items():
            if found.departed and case.kind(name) != "categorical":
                before, after = case.reference.numeric(name), case.current.numeric(name)
                strange = found.rows & np.isfinite(after)
                if _apart(before[np.isfinite(before)], after[strange]) > _STRANGE:
                    known &= ~strange
        case.cache["judgeable"] = known
    found_rows: Mask = case.cache["judgeable"]
    return found_rows


def _apart(before: Floats, after: Floats) -> float:
    """Largest gap of two distribution functions; 0 for small samples."""
    if min(len(before), len(after)) < 30:
        return 0.0
    points = np.sort(after)
    ranks = np.searchsorted(np.sort(before), points, side="right") / len(before)
    return float(np.abs(ranks - np.arange(1, len(points) + 1) / len(points)).max())


def _frame(case: Case, which: Which, rows: NDArray[np.int64]) -> pl.DataFrame:
    return case.table(which).frame[rows]


@dataclass(frozen=True, slots=True)
class _Moved:
    """Whether some current rows get their answers otherwise than the reference's did."""

    level: float
    """Share of what inputs leave open that belonging to these rows explains."""

    z: float
    noise: float
    """Their unexplained variance over the reference's, minus 1."""

    noise_z: float


def _map_moved(case: Case, place: Place | None) -> _Moved:
    """Whether inputs are turned into answers otherwise than before, in all current rows or in a place.

    One booster learns the answers of both windows together, so that inputs that nobody has seen
    before count for neither side. Then two more learn its errors, one of them knowing which rows are
    in question. What the knowing one predicts better on rows that none was fitted to is the
    departure in level; errors that grew beyond the reference's are a departure in noise.
    """
    x, y, coded, current, rows = _pooled(case)
    if min(current.sum(), (~current).sum()) < LEAST:
        return _Moved(0.0, 0.0, 0.0, 0.0)
    asked = current.copy()
    if place is not None:
        asked[current] = case.scope_rows(place.scope)[rows[current]]
    rng = case.rng("map moved")
    fit = rng.random(len(x)) < 0.5
    rest = y - _fitted(x[fit], y[fit], coded, rng, trees=60).raw(x)
    blind = _fitted(x[fit], rest[fit], coded, rng, trees=25).raw(x)
    aware_x = np.column_stack([x, asked.astype(float)])
    aware = _fitted(aware_x[fit], rest[fit], np.append(coded, False), rng, trees=25).raw(aware_x)
    loss = ((rest - blind) ** 2).sum(axis=1)
    better = loss - ((rest - aware) ** 2).sum(axis=1)
    here, there = asked & ~fit, ~current & ~fit
    if min(here.sum(), there.sum()) < 20:
        return _Moved(0.0, 0.0, 0.0, 0.0)
    # Both windows' rows gain from knowing; judged together they tell more surely.
    told = better[~fit]
    sure = float(told.mean() / (told.std() / np.sqrt(len(told)) + 1e-12))
    noise = float(better[here].std()) / np.sqrt(here.sum()) + 1e-12
    usual, now = float(loss[there].mean()), float(loss[here].mean())
    error = np.hypot(
        loss[there].std() / np.sqrt(there.sum()), loss[here].std() / np.sqrt(here.sum())
    )
    return _Moved(
        level=float(better[here].mean() / max(now, 1e-12)),
        z=max(float(better[here].mean() / noise), sure),
        noise=now / max(usual, 1e-12) - 1,
        noise_z=float((now - usual) / max(error, 1e-12)),
    )


def _pooled(case: Case) -> tuple[Floats, Floats, Mask, Mask, NDArray[np.int64]]:
    """Encoded inputs, answers, coded columns, whether current, and positions, of both windows."""
    if "pooled answers" not in case.cache:
        parts = [_encoded_answers(case, which) for which in ("reference", "current")]
        case.cache["pooled answers"] = (
            np.concatenate([part[0] for part in parts]),
            np.concatenate([part[1] for part in parts]),
            parts[0][2],
            np.repeat([False, True], [len(part[0]) for part in parts]),
            np.concatenate([part[3] for part in parts]),
        )
    found: tuple[Floats, Floats, Mask, Mask, NDArray[np.int64]] = case.cache["pooled answers"]
    return found


def _fitted(
    x: Floats, y: Floats, coded: Mask, rng: np.random.Generator, *, trees: int
) -> boosting.Booster:
    return boosting.fit(x, y, rng=rng, categorical=coded, trees=trees, rate=0.2)


def _encoded_answers(case: Case, which: Which) -> tuple[Floats, Floats, Mask, NDArray[np.int64]]:
    """Encoded inputs and standardised answers, with positions, of up to 4,000 rows of a window."""
    served = case.outputs(which)
    rows = spread_rows(case.table(which).rows, 4_000)
    answers = _few_columns(case, served.take(rows))
    known = np.isfinite(answers).all(axis=1)
    if which == "current":
        known &= judgeable(case)[rows]
    if case.representations:  # cached by frame: encode all, then choose
        encoded, coded = case.encode(case.table(which).frame)
        x = encoded[rows]
    else:
        x, coded = case.encode(case.table(which).frame[rows])
    return x[known], answers[known], coded, rows[known]


def _few_columns(case: Case, outputs: Outputs) -> Floats:
    """Answers as at most 6 numbers a row; many classes are projected at random."""
    if outputs.decision.dtype.kind == "f":
        return outputs.decision.astype(float)[:, None] / answer_spread(case.outputs("reference"))
    if outputs.score is not None:
        return outputs.score[:, None]
    classes = len(case.classes)
    hot = outputs.scores
    if hot is None:
        hot = (outputs.decision[:, None] == np.arange(classes)).astype(float)
        hot[outputs.decision == -1] = np.nan
    if classes <= 6:
        return hot[:, 1:] if classes == 2 else hot
    return hot @ case.rng("class projection").normal(size=(classes, 6))
