"""Did the log lose or gain a part of the traffic, instead of the traffic changing?

Rule: rows per unit of time by slice of the columns that moved most. When people change, some slices grow as others
shrink; when a logging rule drops rows, the untouched slices keep their absolute rate and the others fall (or, for
bots and double logging, rise). Assumes timestamps and windows logged at the same usual rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.world._bins import Binned, binned
from ruleout.checks.world._view import NO_HARM, split, view
from ruleout.checks.world.decomposition import blamed, moved
from ruleout.profile import Case

MODES = ("selection_bias",)
_NEEDS = "data.columns.timestamp"
_SAMPLED = (0.3, 2.0)
"""Rates outside of this range of each other come from how the windows were drawn."""


class Rates(NamedTuple):
    """Rows per unit of time, current over reference."""

    whole: float
    least: float
    """Smallest ratio among slices with enough rows."""

    most: float
    usual: float
    """Spread of the log rate between blocks of the reference."""


@check(
    "selection",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.timestamp"),
)
def selection(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare absolute rates of the slices of the columns that moved."""
    del rng
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    if case.reference.time is None or case.current.time is None:
        return [Abstained(MODES, "rates need a timestamp", _NEEDS)]
    seen, parts = view(case), split(case)
    if seen is None or parts is None:
        return [Abstained(MODES, "too few labelled rows or no inputs", "data.columns.target")]
    names = blamed(seen, parts.parts.ratio.gain)
    if not moved(case, seen, parts) or not names:
        return [
            Clear(MODES, Subject(), "the mix of the inputs did not move", 0.1, "selection.none")
        ]
    table = binned(case, seen)
    return list(_judge(case, table, names))


def _judge(case: Case, table: Binned, names: tuple[str, ...]) -> Iterator[Outcome]:
    rates = slice_rates(case, table, names[0])
    if rates is None:
        yield Abstained(MODES, f"rates of {names[0]} cannot be compared", _NEEDS)
        return
    room = max(0.15, 2.0 * rates.usual)
    if not _SAMPLED[0] < rates.whole < _SAMPLED[1]:
        text = f"{rates.whole:.2f} times the usual rate: the windows were not drawn at one rate"
        yield Abstained(MODES, text, _NEEDS)
        return
    lost = rates.whole < 1 - room and abs(rates.most - 1) <= room and rates.least < 0.6
    gained = rates.whole > 1 + room and abs(rates.least - 1) <= room and rates.most > 1.6
    if not (lost or gained):
        text = (
            f"{rates.whole:.2f} times the usual rate, {rates.least:.2f} to {rates.most:.2f} by slice of {names[0]}: "
            "not a part that was cut out or added"
        )
        if abs(np.log(rates.whole)) < room:
            yield Clear(MODES, Subject(), text, room, "selection.steady_volume")
        else:
            yield Abstained(MODES, text)
        return
    subject = Subject("feature", names)
    verb = "lost" if lost else "gained"
    yield Finding(
        signal=f"selection.{verb}",
        subject=subject,
        statement=(
            f"the log {verb} rows ({rates.whole:.2f} times the usual rate): some slices of {names[0]} keep their "
            f"absolute rate ({(rates.most if lost else rates.least):.2f}) while others are at "
            f"{(rates.least if lost else rates.most):.2f}"
        ),
        statistic=rates.whole,
        effect=abs(rates.whole - 1),
        p_value=None,
        strength=1.0,
        supports=MODES,
        against=("covariate_shift", "benign_mix"),
        repairs=(RepairPlan("reweight", subject, options={"to": "inputs"}),),
    )


def slice_rates(case: Case, table: Binned, name: str) -> Rates | None:
    """Rates by bin of one column; None when the column is not binned or a window has no extent in time."""
    if name not in table.names or case.reference.time is None or case.current.time is None:
        return None
    spans = [float(np.nanmax(t) - np.nanmin(t)) for t in (case.reference.time, case.current.time)]
    if min(spans) <= 0:
        return None
    column = table.names.index(name)
    size = int(max(table.reference[:, column].max(), table.current[:, column].max())) + 1
    totals = case.reference.total_rows / spans[0], case.current.total_rows / spans[1]
    before, now = (
        np.bincount(bins[:, column], minlength=size) / len(bins)
        for bins in (table.reference, table.current)
    )
    enough = before * len(table.reference) >= 50
    if enough.sum() < 2:
        return None
    ratio = now[enough] * totals[1] / (before[enough] * totals[0])
    return Rates(totals[1] / totals[0], float(ratio.min()), float(ratio.max()), _usual(case))


def _usual(case: Case) -> float:
    time = case.reference.time
    if time is None:
        return 0.0
    count, _ = np.histogram(time[np.isfinite(time)], bins=8)
    return float(np.std(np.log(count[1:-1] + 0.5)))
