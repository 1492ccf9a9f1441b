"""Does the metric look like this at these hours and weekdays always?

Rule: the reference's rows at the same hours and weekdays, weighted to the current ones, show the same level. Where they
also have the inputs of the current window, these did not shift: those who come at such times came. Assumes timestamps,
and a reference that went through the current hours and kinds of days more than once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.world._episodes import Timed, timed
from ruleout.checks.world._view import BLOCKS, LEAST, NO_HARM, split, view
from ruleout.checks.world.history import NEEDS
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._calendar import BINS, CELLS, DAY, calendar_cells, hours, repeated, weekdays
from ruleout.stats._density import density_ratio
from ruleout.stats._prior import balance_weights
from ruleout.stats._twosample import normal_sf

_ENOUGH = 0.6, 0.75
"""Share of the change that the season must bring, where chance may have brought the rest and where it cannot."""

_ENOUGH_ALIKE = 0.3, 0.4
"""The same where the season brings all of the inputs' shift: few of the reference's rows tell its share."""

_LEFT = 0.3
"""What the season may leave of telling the windows' inputs apart, where it is to have brought all of it."""

_YEAR, _YEARS, _ABOUT = 364 * DAY, 5, 3 * DAY
"""A year of whole weeks, how many of them are looked back, and how far a week may lie beside its own."""

_WEEKS_ROWS = 300
"""Rows of the same weeks, and of others, that the reference needs."""

_DAYS = 40
"""Days, or groups of them, that are left out in turn to see how sure a season is."""

_FEW = 60
"""Labelled rows of the current window: a night is short, and it is the reference that tells of its season."""

_OTHER_DAYS = 0.2
"""Share of rows on days of a kind that the reference hardly holds, from which it says nothing of the season."""


def season_weight(before: Floats, now: Floats) -> Floats | None:
    """Weights (n,) that give the reference the current mix of hours and weekdays; None where it lacks them.

    Where the reference holds the same weeks of earlier years, those rows and no others. Else the finest calendar that
    it holds rows for: where a weekday has too few rows at some hours, its kind of
    day (working or weekend) at these hours stands for it, then the weekday alone, and hours alone only if neither will do.
    """
    yearly = same_weeks(before, now)
    if yearly is not None:
        return yearly.astype(float)
    days = len(np.unique(before // DAY))
    if not _holds(hours(before), hours(now)):
        return None
    for cells in _CALENDARS:
        old, new = cells(before), cells(now)
        if _holds(old, new) and repeated(days, weekday=cells is not hours):
            return balance_weights(old, new, CELLS)
    return None


def same_weeks(before: Floats, now: Floats) -> NDArray[np.bool_] | None:
    """Reference rows (n,) of the current weeks of earlier years; None where they are few, or nearly all there are."""
    first, last = float(np.nanmin(now)) - _ABOUT, float(np.nanmax(now)) + _ABOUT
    rows = np.zeros(len(before), dtype=bool)
    for years in range(1, _YEARS + 1):
        then = before + years * _YEAR
        rows |= (then >= first) & (then <= last)
    return rows if min(rows.sum(), (~rows).sum()) >= _WEEKS_ROWS else None


def _holds(old: NDArray[np.int64], new: NDArray[np.int64]) -> bool:
    """Whether the reference has rows (n,) in every cell that more than a few of the current ones (m,) lie in."""
    count, wanted = np.bincount(old, minlength=CELLS), np.bincount(new, minlength=CELLS)
    return bool((count[wanted > 0.002 * len(new)] >= 15).all())


def _hours_of_weekdays(time: Floats) -> NDArray[np.int64]:
    return calendar_cells(time, weekday=True)


def _hours_of_kinds(time: Floats) -> NDArray[np.int64]:
    return np.asarray(hours(time) + BINS * (weekdays(time) >= 5), dtype=np.int64)


_CALENDARS = (_hours_of_weekdays, _hours_of_kinds, weekdays, hours)
"""How finely the clock may be told, finest first."""


@check("season", layer="none", rung="world", looks_for=("seasonality",), needs=NEEDS)
def season(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare the current window with the same hours and weekdays of the reference."""
    modes = ("seasonality",)
    before, now = timed(case, "reference"), timed(case, "current", _FEW)
    if before is None or now is None:
        why = f"needs timestamps, {LEAST} labelled rows in the reference and {_FEW} now"
        return [Abstained(modes, why, "data.columns.timestamp")]
    if case.significant is False:
        return [Abstained(modes, NO_HARM)]
    weight = season_weight(before.time, now.time)
    if weight is None:
        return [
            Abstained(modes, "the reference does not cover the current hours and weekdays twice")
        ]
    truth, outputs = (
        case.truth("reference")[before.rows],
        case.outputs("reference").take(before.rows),
    )
    start = case.metric.value(truth, outputs)
    seasonal = case.metric.value(truth, outputs, weight)
    end = case.metric.value(case.truth("current")[now.rows], case.outputs("current").take(now.rows))
    if not np.isfinite([start, seasonal, end]).all() or end == start:
        return [Abstained(modes, "the metric cannot be computed in both windows")]
    share = (seasonal - start) / (end - start)
    rest = _day_blocks(before, now, weight, rng)
    when = "at the hours and weekdays of the current window"
    if same_weeks(before.time, now.time) is not None:
        when = "in the same weeks of earlier years"
    text = (
        f"{when} {case.metric.name} was {seasonal:.3g} in the reference "
        f"({start:.3g} over all of it, {end:.3g} now): {share:.0%} of the change is the season"
    )
    beyond = rest < 0.005
    alike = _inputs_of_season(case, before, weight)
    least = _ENOUGH_ALIKE if alike else _ENOUGH
    explains = share >= least[int(beyond)]
    # What the season leaves is small, yet more than chance: less sure that it was all.
    strength = float(np.clip(share, 0.0, 1.0)) * (0.7 if beyond else 1.0)
    if explains:
        error = _of_days(
            before.time, lambda kept: case.metric.value(truth, outputs, weight * kept)
            - case.metric.value(truth, outputs, kept)
        )  # fmt: skip
        strength *= float(np.clip((abs(seasonal - start) / error - 1) / 2, 0.2, 1.0))
    found = _explains(case, text, seasonal, share, strength)
    told: list[Outcome] = [found if explains else _other_than_season(case, share, text)]
    return [*told, _came_as_always(found)] if alike else told


def _of_days(time: Floats, told: Callable[[Floats], float]) -> float:
    """Standard error of a figure of reference rows (n,), from leaving out its days in turn (the jackknife).

    Few days of one kind may have been worse by chance; that is no season.
    """
    day = (time // DAY).astype(np.int64)
    days = np.unique(day)
    groups = np.searchsorted(days, day) * min(len(days), _DAYS) // len(days)
    figures = np.array([told((groups != g).astype(float)) for g in np.unique(groups)])
    figures = figures[np.isfinite(figures)]
    n = len(figures)
    return (
        math.sqrt((n - 1) / n * float(((figures - figures.mean()) ** 2).sum()))
        if n > 1
        else math.inf
    )


def _explains(case: Case, text: str, seasonal: float, share: float, strength: float) -> Finding:
    subject = Subject("metric", (case.metric.name,))
    return Finding(
        signal="season.explains",
        subject=subject,
        statement=text,
        statistic=seasonal,
        effect=share,
        p_value=None,
        strength=strength,
        supports=("seasonality",),
        against=("concept_drift", "covariate_shift", "label_noise", "corrupted_labels"),
        repairs=(RepairPlan("reweight", subject, options={"to": "season"}),),
    )


def _came_as_always(found: Finding) -> Finding:
    """Where the season brings the inputs here, they did not shift, whatever else may have happened."""
    text = (
        "with the reference's rows at the current hours and weekdays, nothing tells the inputs of the windows "
        "apart: those who come now come at these times always"
    )
    return replace(
        found,
        signal="season.inputs",
        subject=Subject(),  # it speaks of any input
        statement=text,
        strength=1.0,
        supports=(),
        against=("covariate_shift", "selection_bias", "benign_mix"),
        repairs=(),
    )


def _inputs_of_season(case: Case, before: Timed, weight: Floats) -> bool:
    """Whether inputs moved, and the reference at the current hours and weekdays has them where they are now."""
    seen, parts = view(case), split(case)
    if seen is None or parts is None:
        return False
    ratio = parts.parts.ratio
    every = np.zeros(case.reference.rows)
    every[before.rows] = weight
    of_rows = every[seen.reference.rows]
    if ratio.auc - 0.5 < 4.0 * ratio.se or not of_rows.sum():
        return False
    left = density_ratio(
        seen.reference.x,
        seen.current.x,
        rng=case.rng("season inputs"),
        categorical=seen.categorical,
        weight=of_rows,
    )
    # Few of the reference's rows lie at these times: what they leave is told from chance less well.
    kept = float(of_rows.sum() ** 2 / (of_rows**2).sum()) / len(of_rows)
    return left.auc - 0.5 < max(_LEFT * (ratio.auc - 0.5), 2.0 * left.se / math.sqrt(kept))


def _other_than_season(case: Case, share: float, text: str) -> Outcome:
    """A season that brings little is ruled out; one that brings half is a part of something."""
    modes = ("seasonality",)
    if share > 0.4:
        return Abstained(modes, f"{text}, and something else may have added to it")
    if _other_days(case):
        return Abstained(
            modes, "the reference hardly holds the kind of days that the current window does"
        )
    return Clear(modes, Subject(), text, 0.4, "season.none")


def _other_days(case: Case) -> bool:
    """Whether the current window has working days or weekends that the reference has too few of to compare with."""
    times = [t for t in (case.reference.time, case.current.time) if t is not None]
    if len(times) < 2:
        return False
    shares = [np.bincount(weekdays(t[np.isfinite(t)]) >= 5, minlength=2) / len(t) for t in times]
    return bool((shares[1][shares[0] < 0.02] > _OTHER_DAYS).any())


def _day_blocks(before: Timed, now: Timed, weight: Floats, rng: np.random.Generator) -> float:
    """One-sided p-value of a loss beyond what the season brings: current against weighted reference, by blocks of time."""

    def mean(part: Timed, w: Floats) -> Floats:
        index = (np.arange(len(part.loss)) * BLOCKS // len(part.loss)).astype(np.int64)
        return np.stack(
            [np.bincount(index, weights=w * part.loss), np.bincount(index, weights=w)], axis=1
        )

    a, b = mean(before, weight), mean(now, np.ones(len(now.loss)))
    draws = np.array(
        [
            _ratio(b[rng.integers(0, BLOCKS, BLOCKS)]) - _ratio(a[rng.integers(0, BLOCKS, BLOCKS)])
            for _ in range(300)
        ]
    )
    gap = _ratio(b) - _ratio(a)
    return float(normal_sf(gap / max(float(np.nanstd(draws)), 1e-12)))


def _ratio(sums: Floats) -> float:
    return float(sums[:, 0].sum() / max(float(sums[:, 1].sum()), 1e-12))
