"""Do labels belong to their rows? To a neighbour's, to nobody's, or to the opposite answer?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Onset, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.measurement._labels import (
    association,
    known_labels,
    label_subject,
    window_profiles,
)
from ruleout.checks.reproduction._view import replay
from ruleout.profile import Case, Which, iso, text_series
from ruleout.stats._maps import relabelling
from ruleout.stats._relation import nearest_round

Floats = NDArray[np.float64]
MODES = ("evaluation_bug", "corrupted_labels")
_WINDOWS: tuple[Which, Which] = ("reference", "current")
_WHOLE = 0.7
"""Share of the rows since its beginning that a shift must have moved, to be undone by moving all of them."""

_LAGS = 24
_NEAR = 3
"""Lags around one that tell what rows so far apart have in common anyway."""

_LEAST = 300
_SURE = 5.0
"""Standard errors by which a lag must stand out; among 48 lags chance does that once in thirty thousand windows."""

_WEAK = 0.12
"""Correlation of labels and answers below which nothing can be told."""


@check(
    "label_alignment",
    layer="data",
    rung="measurement",
    looks_for=MODES,
    needs=("data.columns.target", "data.columns.prediction"),
)
def label_alignment(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Correlate answers with the labels of the rows around them, and with the labels turned round."""
    del rng
    if not (case.labelled("reference") and case.labelled("current")) or case.current.rows < _LEAST:
        yield Abstained(MODES, "too few labelled rows in one of the windows", "data.columns.target")
        return
    before, after = window_profiles(case, "reference"), window_profiles(case, "current")
    usual = association(*before)
    if usual < _WEAK:
        why = f"answers hardly go with labels in the reference either (r = {usual:.2f})"
        yield Abstained(MODES, why)
        return
    shifted = _shifted(case, before, after, usual)
    if shifted is not None:
        yield shifted
        return
    turned = list(_turned(case, after, usual))
    yield from turned
    if not turned:
        yield from _lost(case, after, usual)


def shifted_lag(case: Case) -> int | None:
    """By how many rows labels belong to other rows' answers; None where they go with their own."""
    if not (case.labelled("reference") and case.labelled("current")) or case.current.rows < _LEAST:
        return None
    before, after = window_profiles(case, "reference"), window_profiles(case, "current")
    usual = association(*before)
    found = _shifted(case, before, after, usual) if usual >= _WEAK else None
    return None if found is None else int(found.statistic)


def _shifted(
    case: Case, before: tuple[Floats, Floats], after: tuple[Floats, Floats], usual: float
) -> Finding | None:
    """A lag at which labels go with answers as they should without one."""
    if case.current.rows < case.current.total_rows:
        return None  # the sample has no neighbours
    n = len(after[0])
    lags = np.arange(-_LAGS, _LAGS + 1)
    rose = np.array([_at_lag(after, int(lag)) - _beside(after, int(lag)) for lag in lags])
    rose[lags == 0] = -np.inf
    place = int(rose.argmax())
    lag = int(lags[place])
    others = rose[(lags != 0) & (lags != lag)]
    noise = max(float(np.std(others)), 1 / np.sqrt(n))
    z = float((rose[place] - np.median(others)) / noise)
    # Rows that follow one another in a season are alike: only what goes beyond that belongs to a row.
    own = usual - _beside(before, 0)
    share = float(np.clip(rose[place] / own, 0.0, 1.0)) if own > _WEAK else 0.0
    lost = (usual - association(*after)) / max(own, _WEAK)
    usually = _at_lag(before, lag) - _beside(before, lag)
    if z < _SURE or share < 0.12 or lost < 0.3 * share or usually > 0.3 * rose[place]:
        return None
    since, cut = _since(case, after, lag)
    inside = after[0][cut:], after[1][cut:]
    whole = (_at_lag(inside, lag) - _beside(inside, lag)) / own
    if (n - cut) / n * min(whole, 1.0) < 0.6 * share:
        since, whole = None, 0.0  # shifted rows are found all over: none of them is the first
    told = (
        f"{share:.0%} of the labels belong to the row {abs(lag)} {'before' if lag > 0 else 'after'}: answers "
        f"correlate {_at_lag(after, lag):.2f} with labels {abs(lag)} rows {'later' if lag > 0 else 'earlier'}, "
        f"{association(*after):.2f} with their own ({usual:.2f} in the reference)"
    )
    subject = label_subject(case)
    scope = Scope(since=since)
    onset = None if since is None else Onset(iso(since), iso(since), iso(since))
    return Finding(
        "labels.shifted", subject, told, float(lag), z, None, min(1.0, max(share * 2, share / max(lost, 0.1))), ("evaluation_bug",),
        against=("concept_drift", "label_noise", "corrupted_labels"), scope=scope, onset=onset,
        # Where only some of the rows are shifted, moving all of them spoils the others.
        repairs=(RepairPlan("realign_labels", subject, scope, {"lag": lag}),) if whole > _WHOLE else (),
    )  # fmt: skip


def _beside(pair: tuple[Floats, Floats], lag: int) -> float:
    """Median correlation of answers with the labels around a lag; rows' own are left out."""
    near = [k for k in range(lag - _NEAR, lag + _NEAR + 1) if k]
    return float(np.median([_at_lag(pair, k) for k in near]))


def _at_lag(pair: tuple[Floats, Floats], lag: int) -> float:
    """Correlation of answers with the labels `lag` rows later."""
    label, answer = pair
    if lag == 0:
        return association(label, answer)
    if lag > 0:
        return association(label[lag:], answer[:-lag])
    return association(label[:lag], answer[-lag:])


def _since(case: Case, after: tuple[Floats, Floats], lag: int) -> tuple[float | None, int]:
    """The row from which the lagged label fits better than the own one, as an instant and as a position."""
    label, answer = after
    there = np.roll(label, -lag, axis=0)
    gain = ((there - label) * answer).sum(axis=1)
    cut = int(np.argmax(np.cumsum(gain[::-1])[::-1]))
    time = case.current.time
    if time is None or cut < 0.02 * len(gain) or not np.isfinite(time[cut]):
        return None, 0
    return float(time[cut]), cut


def _turned(case: Case, after: tuple[Floats, Floats], usual: float) -> Iterator[Outcome]:
    """Labels that say the opposite, everywhere or in some values of a segment; or renamed classes."""
    now = association(*after)
    if len(case.classes) > 2:
        yield from _renamed(case)
        return
    if len(case.classes) != 2:
        yield from _rescaled(case)
        return
    view = replay(case)
    if view is not None and view.departed:
        return  # the answers turned, not the labels
    sure = _labels_moved(case) * (1.0 if view is not None else 0.6)
    if now < -0.3 * usual:
        told = (
            f"labels say the opposite of the answers (r = {now:.2f}, {usual:.2f} in the reference)"
        )
        yield _flipped(
            case, told, Scope(), sure * float(np.clip((-now / usual - 0.3) / 0.4, 0.1, 1.0))
        )
        return
    for column in case.segments:
        values = _opposite_values(case, after, column, usual)
        if values:
            told = (
                f"labels say the opposite of the answers where {column} is {', '.join(values[:4])}"
            )
            yield _flipped(case, told, Scope(column=column, values=values), sure)
            return


def _opposite_values(
    case: Case, after: tuple[Floats, Floats], column: str, usual: float
) -> tuple[str, ...]:
    text = text_series(case.current.frame, column).fill_null("").to_numpy().astype(str)
    names, index = np.unique(text, return_inverse=True)
    if not 2 <= len(names) <= 100:
        return ()
    label, answer = after
    out = []
    for place, name in enumerate(names):
        rows = index == place
        if rows.sum() >= 60:
            here = association(label[rows], answer[rows])
            if here < -0.3 * usual and here * np.sqrt(rows.sum()) < -4:
                out.append(str(name))
    return tuple(out) if len(out) < len(names) else ()


def _flipped(case: Case, told: str, scope: Scope, strength: float) -> Finding:
    subject = label_subject(case)
    return Finding(
        "labels.flipped", subject, told, -1.0, 10.0, None, strength, ("corrupted_labels",),
        against=("covariate_shift",), scope=scope,
        repairs=(RepairPlan("relabel", subject, scope, {"order": (1, 0)}),),
    )  # fmt: skip


def _renamed(case: Case) -> Iterator[Outcome]:
    """One renaming of the recorded classes makes the confusion matrix the reference's again."""
    size = len(case.classes)
    truth, said = (
        case.truth("current").astype(np.int64),
        case.outputs("current").decision.astype(np.int64),
    )
    known = (truth >= 0) & (said >= 0)
    table = np.zeros((size, size), dtype=np.int64)
    np.add.at(table, (truth[known], said[known]), 1)
    order = relabelling(table)
    moved = order != np.arange(size)
    right = np.trace(table) / max(table.sum(), 1)
    fixed = table[np.arange(size), order].sum() / max(table.sum(), 1)
    if not moved.any() or fixed - right < 0.05 or fixed < 1.15 * right:
        return
    view = replay(case)
    if view is not None and view.departed:
        return
    strength = _restored(case, (float(fixed) - right)) * (1.0 if view is not None else 0.7)
    if strength < 0.05:
        return
    told = ", ".join(
        f"{case.classes[k]} for {case.classes[int(order[k])]}" for k in np.flatnonzero(moved)[:3]
    )
    subject = label_subject(case)
    yield Finding(
        "labels.flipped", subject,
        f"one renaming of the recorded classes ({told}) lifts agreement from {right:.0%} to {fixed:.0%}",
        float(fixed - right), float((fixed - right) * np.sqrt(known.sum()) * 2), None,
        strength, ("corrupted_labels",), against=("covariate_shift",),
        repairs=(RepairPlan("relabel", subject, Scope(), {"order": tuple(int(k) for k in order)}),),
    )  # fmt: skip


def _restored(case: Case, gain: float) -> float:
    """How surely a renaming of labels that lifts agreement by `gain` is what happened, in [0, 1].

    It must bring agreement back to the reference's, and the labels' shares, not the answers', must
    have moved: answers that were misled by their inputs would have moved those.
    """
    usual, now = (1 - float(np.nanmean(case.loss(which))) for which in _WINDOWS)
    back = gain / max(usual - now, 0.02)
    sure = float(np.clip((back - 0.5) / 0.35, 0.0, 1.0))
    return sure * _labels_moved(case)


def _labels_moved(case: Case) -> float:
    """1 where the answers' class shares stayed, or the labels' moved far more; else 0.3."""
    size = len(case.classes)
    moves = []
    for codes in (
        [case.outputs(which).decision.astype(np.int64) for which in _WINDOWS],
        [case.truth(which).astype(np.int64) for which in _WINDOWS],
    ):
        shares = [np.bincount(c[c >= 0], minlength=size) / max((c >= 0).sum(), 1) for c in codes]
        moves.append(0.5 * float(np.abs(shares[0] - shares[1]).sum()))
    return 1.0 if moves[0] < 0.05 or moves[1] > 2 * moves[0] else 0.3


def _rescaled(case: Case) -> Iterator[Outcome]:
    """Recorded numbers are a constant times what they were, beside answers that stayed."""
    from ruleout.checks.reproduction._locate import locate

    before, after = _log_ratio(case, "reference"), _log_ratio(case, "current")
    usual = before[np.isfinite(before)]
    if len(usual) < 100 or np.isfinite(after).sum() < 100:
        return
    low, centre, high = np.quantile(usual, [0.01, 0.5, 0.99])
    odd = np.where(np.isfinite(after), ((after < low) | (after > high)).astype(float), np.nan)
    if np.nanmean(odd) < 0.06:
        return
    place = locate(case, np.arange(case.current.rows), odd)
    inside = after[place.inside & np.isfinite(after)]
    step = float(np.median(inside) - centre)
    width = [float(np.subtract(*np.quantile(v, [0.75, 0.25]))) for v in (inside, usual)]
    if abs(step) < 0.35 or abs(step) < 1.2 * width[1] or width[0] > 1.6 * width[1] + 0.02:
        return
    if _answers_moved(case, place.inside):
        return
    factor = float(np.exp(step))
    view = replay(case)
    told = f"recorded {case.incident.data.columns.target} is {factor:.3g} times what answers and reference say"
    subject = label_subject(case)
    # Records change their unit by a known factor; a world in which all takes longer, by any.
    unit = nearest_round(factor) is not None
    yield Finding(
        "labels.rescaled" if unit else "labels.stretched", subject, told, factor,
        abs(step) / (width[1] + 1e-9) * np.sqrt(len(inside)), None,
        1.0 if view is not None and not view.departed else 0.6, ("corrupted_labels",),
        against=("concept_drift", "covariate_shift") if unit else ("covariate_shift",), scope=place.scope, onset=place.onset,
        repairs=(RepairPlan("relabel", subject, place.scope, {"factor": factor}),) if unit else (),
    )  # fmt: skip


def _answers_moved(case: Case, inside: NDArray[np.bool_]) -> bool:
    """Whether it is the answers of these current rows, and not their labels, that left the reference's level."""
    labels = [case.truth(which).astype(float) for which in _WINDOWS]
    answers = [case.outputs(which).decision.astype(float) for which in _WINDOWS]
    gaps = [abs(_log_level(now[inside]) - _log_level(before)) for before, now in (labels, answers)]
    return gaps[1] > gaps[0]


def _log_level(values: Floats) -> float:
    """Median of the logarithms of the positive values; 0 where there are none."""
    return float(np.median(np.log(values[values > 0]))) if (values > 0).any() else 0.0


def _log_ratio(case: Case, window: Which) -> Floats:
    truth = case.truth(window).astype(float)
    said = case.outputs(window).decision.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(truth / said)
    return np.where((truth > 0) & (said > 0), ratio, np.nan)


def _lost(case: Case, after: tuple[Floats, Floats], usual: float) -> Iterator[Outcome]:
    """Labels that have nothing to do with the answers any more, though both look as before."""
    now = association(*after)
    if now > 0.6 * usual:
        told = f"labels go with the answers of their own rows (r = {now:.2f}, {usual:.2f} in the reference)"
        yield Clear((), Subject(), told, 0.4 * usual, "labels.aligned")
        return
    truth = [case.truth(which) for which in ("reference", "current")]
    shares = [_shares(t[known_labels(t)], len(case.classes)) for t in truth]
    view = replay(case)
    if view is None or view.departed or not len(shares[0]):
        return
    if 0.5 * float(np.abs(shares[0] - shares[1]).sum()) > 0.03 or abs(now) > 0.2 * usual:
        return
    spread = [float((window_profiles(case, w)[1] ** 2).mean()) for w in ("reference", "current")]
    if spread[1] < 0.25 * spread[0]:
        return  # answers that hardly vary go with no labels, sound or not
    told = (
        f"labels have nothing to do with the answers any more (r = {now:.2f}, {usual:.2f} before), though "
        "the classes' shares and the way from inputs to answers stay"
    )
    yield Finding(
        "labels.shuffled", label_subject(case), told, now, (usual - now) * np.sqrt(case.current.rows), None,
        1.0, ("evaluation_bug", "label_noise", "corrupted_labels"),
    )  # fmt: skip


def _shares(truth: NDArray[np.generic], classes: int) -> Floats:
    if truth.dtype.kind == "f" or not classes or not len(truth):
        return np.empty(0)
    return np.bincount(truth.astype(np.int64), minlength=classes) / len(truth)
