"""Bad stretches of a window: by the loss of its rows, by an input that was elsewhere for a while, by the metric itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout.checks.inputs._departure import departures
from ruleout.checks.world._view import LEAST
from ruleout.profile import Case, Which
from ruleout.stats._boosting import Floats
from ruleout.stats._changepoint import pulse

_PLACED = 4.0
"""z of the loss in a stretch that an input has placed."""

_BLOCK = 100
"""Rows in which a metric that is no mean over rows is taken."""

_FEWEST = 10
"""Blocks of either window from which on a metric's stretch is told."""


class Timed(NamedTuple):
    """Labelled rows of one window in order of time."""

    time: Floats
    loss: Floats
    rows: NDArray[np.int64]


def timed(case: Case, which: Which, least: int = LEAST) -> Timed | None:
    """Time and loss of the labelled rows; None without timestamps or with fewer than `least` rows."""
    time = case.table(which).time
    if time is None:
        return None
    loss = case.loss(which)
    rows = np.flatnonzero(np.isfinite(loss) & np.isfinite(time))
    if len(rows) < least:
        return None
    rows = rows[np.argsort(time[rows], kind="stable")]
    return Timed(time[rows], loss[rows], rows.astype(np.int64))


class Stretch(NamedTuple):
    """A bad stretch of the labelled rows (n,), and the rows since it ended."""

    bad: NDArray[np.bool_]
    since: NDArray[np.bool_]
    z: float
    by_metric: bool = False
    """Whether it shows in the metric, and not in the mean loss of rows."""


def worst_stretch(case: Case, before: Timed, now: Timed) -> Stretch | None:
    """The stretch whose loss stands out most, if it is long and ended well before the window did."""
    variance = float(now.loss.var()) or 1e-9
    blocks = int(np.clip(len(now.loss) // 40, 8, 60))
    block = (np.arange(len(now.loss)) * blocks // len(now.loss)).astype(np.int64)
    weight = np.bincount(block).astype(float)
    values = np.bincount(block, weights=now.loss) / weight
    worst = pulse(values, weight, float(before.loss.mean()), variance)
    long = 0.1 if case.significant else 0.25
    left = blocks - worst.stop
    if worst.z < 6 or worst.stop - worst.start < long * blocks or left < 0.2 * blocks:
        return None
    bad = (block >= worst.start) & (block < worst.stop)
    return Stretch(bad, block >= worst.stop, float(worst.z))


def departed_stretch(case: Case, before: Timed, now: Timed) -> Stretch | None:
    """The stretch in which an input had departed and has come back, if the loss was worse in it.

    When it was is known from the input, so that a rise too small to be found by search counts.
    """
    best: Stretch | None = None
    base = float(before.loss.mean())
    for moved in departures(case).values():
        scope = moved.scope
        if not moved.departed or scope.since is None or scope.until is None:
            continue
        bad = (now.time >= scope.since) & (now.time < scope.until)
        since = now.time >= scope.until
        if bad.mean() < 0.1 or since.mean() < 0.2:
            continue
        error = float(np.sqrt(now.loss.var() / bad.sum() + before.loss.var() / len(before.loss)))
        z = (float(now.loss[bad].mean()) - base) / max(error, 1e-300)
        if z > _PLACED and (best is None or z > best.z):
            best = Stretch(bad, since, z)
    return best


class Levels(NamedTuple):
    """What is lost, before, in a bad stretch and since, larger being worse."""

    name: str
    base: float
    during: float
    after: float
    error: float
    """Standard error of `after - base`."""

    sign: float = 1.0
    """-1 where what is told is better when it is larger."""

    def told(self, share: float) -> str:
        """In words; `share` is the stretch's of the window."""
        before, bad, since = (self.sign * v for v in (self.base, self.during, self.after))
        return f"{self.name} was {bad:.3g} for {share:.0%} of the window and is {since:.3g} since (reference {before:.3g})"


def levels(case: Case, found: Stretch, before: Timed, now: Timed) -> Levels:
    """The loss, or the metric where the stretch was found in that alone."""
    if not found.by_metric:
        base = float(before.loss.mean())
        during, after = (float(now.loss[part].mean()) for part in (found.bad, found.since))
        variance = now.loss.var() / found.since.sum() + before.loss.var() / len(before.loss)
        return Levels("the loss", base, during, after, float(np.sqrt(variance)))
    sign = -1.0 if case.metric.higher_is_better else 1.0
    usual, noise = _usual_blocks(case, before)
    during, after = (_metric_of(case, now.rows[part]) for part in (found.bad, found.since))
    error = noise * np.sqrt(_BLOCK / found.since.sum() + 1 / len(usual))
    base = float(_metric_of(case, before.rows, "reference"))
    return Levels(case.metric.name, sign * base, sign * during, sign * after, float(error), sign)


def metric_stretch(case: Case, before: Timed, now: Timed) -> Stretch | None:
    """The stretch in which the metric itself stands out most, if it is long and ended well before the window did.

    Errors of decisions hardly see rankings and probabilities that went wrong, least of all where one class is rare.
    """
    if len(now.rows) < _FEWEST * _BLOCK or len(before.rows) < _FEWEST * _BLOCK:
        return None
    sign = -1.0 if case.metric.higher_is_better else 1.0
    usual, noise = _usual_blocks(case, before)
    block = _blocks(len(now.rows))
    values = sign * _by_block(case, "current", now.rows, block)
    if not (np.isfinite(values).all() and np.isfinite(usual).all() and noise > 0):
        return None
    worst = pulse(values, np.ones(len(values)), float(np.mean(sign * usual)), noise**2)
    left = len(values) - worst.stop
    if worst.z < 6 or worst.stop - worst.start < 0.1 * len(values) or left < 0.2 * len(values):
        return None
    bad = (block >= worst.start) & (block < worst.stop)
    return Stretch(bad, block >= worst.stop, float(worst.z), by_metric=True)


def _usual_blocks(case: Case, before: Timed) -> tuple[Floats, float]:
    """The metric in blocks of the reference, and their standard deviation."""
    values = _by_block(case, "reference", before.rows, _blocks(len(before.rows)))
    return values, float(np.std(values))


def _blocks(rows: int) -> NDArray[np.int64]:
    """Block (n,) of each row in order of time."""
    return (np.arange(rows) // _BLOCK).clip(max=max(rows // _BLOCK - 1, 0)).astype(np.int64)


def _by_block(
    case: Case, which: Which, rows: NDArray[np.int64], block: NDArray[np.int64]
) -> Floats:
    outputs, truth = case.outputs(which).take(rows), case.truth(which)[rows]
    weight = case.weight(which)
    weight = None if weight is None else weight[rows]
    sums = case.metric.sums(truth, outputs, block, int(block.max()) + 1, weight)
    return np.asarray(case.metric.finish(sums))


def _metric_of(case: Case, rows: NDArray[np.int64], which: Which = "current") -> float:
    weight = case.weight(which)
    weight = None if weight is None else weight[rows]
    return case.metric.value(case.truth(which)[rows], case.outputs(which).take(rows), weight)
