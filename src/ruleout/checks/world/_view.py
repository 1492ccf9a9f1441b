"""What the checks of this rung share: the labelled rows of both windows as arrays, and the split of the change."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._calendar import follows_calendar
from ruleout.checks.world._detail import classes_by_detail
from ruleout.profile import DATE_COLUMNS, Case, Outputs, Which
from ruleout.stats._boosting import Floats
from ruleout.stats._decompose import Decomposition, Window, decompose
from ruleout.stats._density import Ratio, density_ratio
from ruleout.stats._flips import class_probabilities
from ruleout.stats._prior import Balance, balance_by_inputs, balance_by_labels, class_shares
from ruleout.stats._twosample import categories, ks

ROWS = 12_000
"""Rows of each window that the models of this rung look at."""

WIDEST = 120
"""Encoded columns that the models of this rung look at; of more, the most telling ones."""

BLOCKS = 24
MOST_CLASSES = 20
LEAST = 200
"""Labelled rows a window needs before anything is split."""

NO_HARM = "the metric did not change: no harm to place"
"""Why a check of the world looks at nothing: without harm, its modes are neither seen nor ruled out."""


@dataclass(frozen=True, slots=True)
class Side:
    """The looked-at rows of one window."""

    rows: NDArray[np.int64]
    """Their positions in the sample, ascending, (n,)."""

    x: Floats
    """Encoded inputs (n, F)."""

    loss: Floats
    """Per-row loss (n,), finite."""

    truth: NDArray[np.generic]
    outputs: Outputs
    block: NDArray[np.int64]
    """Time block of each row (n,)."""


@dataclass(frozen=True, slots=True)
class View:
    """Both windows side by side."""

    reference: Side
    current: Side
    categorical: NDArray[np.bool_]
    """Which encoded columns are codes, (F,)."""

    owner: tuple[str, ...]
    """The input column that each encoded column belongs to, (F,)."""

    lower_is_worse: bool
    """Whether a fall of the metric is the harm."""


def view(case: Case) -> View | None:
    """The view of a case, computed once; None when a window has too few labelled rows or no inputs."""
    if "world view" not in case.cache:
        case.cache["world view"] = _build(case)
    found: View | None = case.cache["world view"]
    return found


def _build(case: Case) -> View | None:
    sides = []
    categorical = np.empty(0, dtype=bool)
    both: tuple[Which, Which] = ("reference", "current")
    for which in both:
        loss = case.loss(which)
        known = np.flatnonzero(np.isfinite(loss))
        if len(known) < LEAST:
            return None
        if len(known) > ROWS:
            known = np.sort(case.rng(f"world rows {which}").choice(known, ROWS, replace=False))
        x, categorical = _encoded(case, which, known)
        if x.shape[1] == 0:
            return None
        block = (np.arange(len(known)) * BLOCKS // len(known)).astype(np.int64)
        sides.append(
            Side(
                known.astype(np.int64),
                x,
                loss[known],
                case.truth(which)[known],
                case.outputs(which).take(known),
                block,
            )
        )
    owner = column_owners(case, len(categorical))
    keep = telling_columns(sides[0], sides[1])
    keep = keep[~(_ages(case, owner) | _of_the_calendar(case, owner))[keep]]
    if not len(keep):
        return None
    sides = [replace(side, x=side.x[:, keep]) for side in sides]
    names = tuple(owner[k] for k in keep)
    return View(sides[0], sides[1], categorical[keep], names, case.metric.higher_is_better)


def _ages(case: Case, owner: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which encoded columns are ages of dates (F,): how dates are kept is the data path's doing, not the world's."""
    dates = np.array([case.kind(name) == "datetime" for name in owner], dtype=bool)
    place = np.cumsum(dates) - 1
    return np.asarray(dates & (place % DATE_COLUMNS == DATE_COLUMNS - 1))


def _of_the_calendar(case: Case, owner: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which encoded columns go on with time (F,): they tell any two windows apart, and nothing of who came."""
    going = {name for name in set(owner) if follows_calendar(case, name)}
    return np.array([name in going for name in owner], dtype=bool)


def telling_columns(reference: Side, current: Side) -> NDArray[np.int64]:
    """Columns of wide tables that are worth a model: those that moved most, and those most tied to loss or label.

    All columns, in order, where there are at most `WIDEST`.
    """
    width = reference.x.shape[1]
    if width <= WIDEST:
        return np.arange(width)
    x, now = (np.where(np.isfinite(s.x), s.x, np.nan) for s in (reference, current))
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns that are all missing
        spread = np.nanstd(x, axis=0) + 1e-12
        moved = np.abs(np.nanmean(now, axis=0) - np.nanmean(x, axis=0)) / spread
        missing = np.abs(np.isnan(now).mean(axis=0) - np.isnan(x).mean(axis=0))
        scaled = np.nan_to_num((x - np.nanmean(x, axis=0)) / spread)
    told = [np.nan_to_num(moved) + 3 * missing]
    targets = (
        np.nan_to_num(t - np.nanmean(t)) for t in (reference.loss, reference.truth.astype(float))
    )
    told += [np.abs(scaled.T @ t) for t in targets]
    third = WIDEST // 3
    best = {int(k) for score in told for k in np.argsort(-score, kind="stable")[:third]}
    return np.array(sorted(best), dtype=np.int64)


def _encoded(case: Case, which: Which, rows: NDArray[np.int64]) -> tuple[Floats, NDArray[np.bool_]]:
    frame = case.table(which).frame
    if case.representations:  # these are cached by frame: encode all, then choose
        x, categorical = case.encode(frame)
        return x[rows], categorical
    return case.encode(frame[rows])


def column_owners(case: Case, width: int) -> tuple[str, ...]:
    """The input column of each encoded column, in the order of `Case.encode`."""
    names: list[str] = []
    for name, kind in case.kinds.items():
        if name in case.representations:
            names += [name] * len(case.representations[name].names)
        elif kind in ("categorical", "numeric"):
            names.append(name)
        elif kind == "datetime":
            names += [name] * DATE_COLUMNS
    if len(names) != width:
        raise ValueError(f"encoding has {width} columns, but the inputs account for {len(names)}")
    return tuple(names)


def window(case: Case, side: Side) -> Window:
    """One side in the form that the decomposition takes; the metric is the incident's own."""
    classes = None if side.truth.dtype.kind == "f" else side.truth.astype(np.int64)
    outputs = side.outputs
    said = (
        outputs.decision.astype(float) if classes is None else (outputs.decision == 1).astype(float)
    )
    moments = [said] if outputs.score is None else [said, outputs.score, outputs.score**2]
    label = side.truth.astype(float) if classes is None else (classes == 1).astype(float)
    return Window(
        x=side.x,
        loss=side.loss,
        moments=np.nan_to_num(np.stack(moments, axis=1)),
        outcomes=np.stack([label, label * moments[-1]], axis=1)
        if outputs.score is not None
        else label[:, None],
        metric=case.metric.weighed(side.truth, side.outputs),
        classes=classes,
        block=side.block,
    )


@dataclass(frozen=True, slots=True)
class Split:
    """The decomposition of the symptom, and what it rests on."""

    parts: Decomposition
    usual_auc: float
    """AUC of telling the two halves of the reference apart: how much inputs move anyway."""

    prior: PriorTest
    factor: Floats
    """How much commoner each class became, (K,), where that was taken out of the change; else ones."""


@dataclass(frozen=True, slots=True)
class PriorTest:
    """Whether the class balance moved and the classes still look the same."""

    reference: Floats
    current: Floats
    distance: float
    p_value: float
    conditional: float
    """Largest KS distance of the score, or shift of decisions, within a class."""

    conditional_p: float

    @property
    def moved(self) -> bool:
        """Whether the balance moved, beyond chance and by a point or more."""
        return self.p_value < 1e-3 and self.distance >= 0.01


def split(case: Case) -> Split | None:
    """The decomposition of a case's symptom, computed once; None without a view."""
    if "world split" not in case.cache:
        case.cache["world split"] = _split(case)
    found: Split | None = case.cache["world split"]
    return found


def _split(case: Case) -> Split | None:
    seen = view(case)
    if seen is None:
        return None
    rng = case.rng("world split")
    ref, cur = seen.reference, seen.current
    prior = prior_test(case, seen)
    marginal = density_ratio(ref.x, cur.x, rng=rng, categorical=seen.categorical)
    half, usual = len(ref.x) // 2, 0.5
    if (
        marginal.auc - 0.5 > 3.0 * marginal.se
    ):  # only then is it worth asking how much inputs move anyway
        usual = density_ratio(ref.x[:half], ref.x[half:], rng=rng, categorical=seen.categorical).auc
    balance = _balance(case, seen, prior, marginal)
    parts = decompose(
        window(case, ref),
        window(case, cur),
        rng=rng,
        categorical=seen.categorical,
        balance=balance,
        ratio=marginal if balance is None else None,
    )
    factor = np.ones(len(case.classes)) if balance is None else balance.factor()
    return Split(parts, usual, prior, factor)


def _balance(case: Case, seen: View, prior: PriorTest, marginal: Ratio) -> Balance | None:
    """The change of class balance, when it is news of its own; else None."""
    if not len(prior.reference):
        return None
    codes = seen.reference.truth.astype(np.int64)
    if prior.moved and _classes_unchanged(prior):
        return balance_by_labels(codes, seen.current.truth.astype(np.int64), len(case.classes))
    if marginal.auc - 0.5 < 4 * marginal.se or len(case.classes) > MOST_CLASSES:
        return None  # a balance that moved without any input is a matter of the labels
    # seen from the inputs alone, so that labels which also changed their meaning do not hide it
    balance = balance_by_inputs(codes, *expected_classes(case, seen))
    if np.abs(balance.factor() - 1).max() < 0.1:
        return None
    left = density_ratio(
        seen.reference.x,
        seen.current.x,
        rng=case.rng("world balance"),
        categorical=seen.categorical,
        weight=balance.weights(),
    )
    explained = left.auc - 0.5 < max(0.3 * (marginal.auc - 0.5), 1.5 * left.se)
    return balance if explained else None


def expected_classes(case: Case, seen: View) -> tuple[Floats, Floats]:
    """P(class | inputs) as the reference teaches it (n, K) out of fold, and at the current rows (m, K)."""
    if "world classes" not in case.cache and case.representations:
        case.cache["world classes"] = classes_by_detail(case, seen)
    if "world classes" not in case.cache:
        case.cache["world classes"] = class_probabilities(
            seen.reference.x,
            seen.reference.truth.astype(np.int64),
            seen.current.x,
            len(case.classes),
            rng=case.rng("world classes"),
            categorical=seen.categorical,
            trees=80,
        )
    found: tuple[Floats, Floats] = case.cache["world classes"]
    return found


def _classes_unchanged(prior: PriorTest) -> bool:
    """Within classes nothing moved, or so little beside the balance that the balance is the news."""
    return prior.conditional_p > 1e-3 or prior.conditional < 0.35 * prior.distance


def prior_test(case: Case, seen: View) -> PriorTest:
    """Compare class shares, and the outputs within each class, between the windows."""
    classes = len(case.classes)
    ref, cur = seen.reference, seen.current
    if classes < 2 or ref.truth.dtype.kind == "f":
        return PriorTest(np.empty(0), np.empty(0), 0.0, 1.0, 0.0, 1.0)
    before, after = ref.truth.astype(np.int64), cur.truth.astype(np.int64)
    counts = [np.bincount(t[t >= 0], minlength=classes) for t in (before, after)]
    found = categories(*counts)
    worst, p_value, tests = 0.0, 1.0, 0
    for k in range(classes):
        if min(counts[0][k], counts[1][k]) < 30:
            continue
        tests += 1
        distance, p = _within(
            ref.outputs.take(before == k), cur.outputs.take(after == k), k, classes
        )
        worst, p_value = max(worst, distance), min(p_value, p)
    return PriorTest(
        class_shares(before, classes),
        class_shares(after, classes),
        found.effect,
        found.p_value,
        worst,
        min(1.0, p_value * max(tests, 1)),
    )


def _within(before: Outputs, after: Outputs, k: int, classes: int) -> tuple[float, float]:
    if before.score is not None and after.score is not None:
        test = ks(before.score, after.score)
        return test.effect, test.p_value
    if before.scores is not None and after.scores is not None:
        test = ks(before.scores[:, k], after.scores[:, k])
        return test.effect, test.p_value
    counts = [
        np.bincount(d[d >= 0], minlength=classes)
        for d in (before.decision.astype(np.int64), after.decision.astype(np.int64))
    ]
    test = categories(*counts)
    return test.effect, test.p_value
