"""Aggregates published over a part of their events: low for every row, by a share of its own."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._context import context
from ruleout.checks.inputs._defaults import defaulted, rest_fell
from ruleout.checks.inputs._departure import Departure, departures, like_rows, scope_words
from ruleout.checks.inputs._launch import first_served
from ruleout.checks.inputs.scales import best_map, lost_counts
from ruleout.checks.inputs.staleness import Regressions
from ruleout.profile import Case
from ruleout.stats._dial import round_the_clock
from ruleout.stats._relation import nearest_round
from ruleout.stats._thinning import Thinning, thinning

Floats = NDArray[np.float64]
_LEAST_LEVELS = 6
_MENDED = 0.3
"""What may be left of the distance once the reference is thinned likewise, as a share of it."""

_FELL, _ALIKE = 0.8, 0.15
"""A factor below which a sum has fallen, and how near the shares that inputs keep must lie to have lost the same events."""

_STEADY = 1_000.0
"""Concentration of the shares of a sum of many events, which hardly differ."""

_CUT_OFF = 5.0
"""Standard errors from which what goes with an input has not fallen along with it."""


class Low(NamedTuple):
    """One input that is low throughout."""

    found: Departure
    told: Thinning
    unit: bool = False
    """Whether the one share that it keeps is a ratio of units."""

    @property
    def kept(self) -> float:
        """The share of itself that the input keeps over all rows."""
        return 1 - self.told.part * (1 - self.told.mean)

    def goes_with(self, other: Low) -> bool:
        """Whether the two lost about the same share in the same rows."""
        one, two = self.found, other.found
        place = (one.scope.column, one.scope.values) == (two.scope.column, two.scope.values)
        shared = int((one.rows & two.rows).sum()) / max(int((one.rows | two.rows).sum()), 1)
        return place and shared > 1 - _ALIKE and abs(self.kept - other.kept) < _ALIKE


@check("thin_aggregates", layer="data", rung="inputs", looks_for=("partial_batch",))
def thin_aggregates(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Is a non-negative input low for all rows, each by a share of its own, while the rest of the rows is as it was?

    The reference is thinned by random shares until it looks like the current window. A world that got smaller does the
    same to the marginal, but shows in what goes with the input; events that are missing from a sum do not. A sum of many
    events loses the same share in every row; where counts lost it too, it is no unit of its own.
    """
    del rng
    lost = {d.name for d in defaulted(case) if d.value != "0"}
    moved = [
        found
        for name, found in departures(case).items()
        if found.departed and name not in lost and case.kind(name) == "numeric"
    ]
    low = [one for found in moved if (one := _low(case, found)) is not None]
    sums = [one for found in moved if (one := _scaled(case, found)) is not None]
    low += [s for s in sums if any(s.goes_with(o) and _together(case, s, o) for o in low)]
    unsure = [one.found.name for one in sums if not one.unit]
    if unsure and not low:
        fell = ", ".join(unsure)
        yield Abstained(("partial_batch",), f"{fell} fell by one factor, as a unit or a sum does")
        return
    if not low:
        told = "no input that counts or sums is low throughout"
        yield Clear(("partial_batch",), Subject(), told, 0.1, "thinning.none")
        return
    for group in _groups(case, low):
        names = [one.found.name for one in group]
        known = [z for one in group if (z := _apart(case, one.found, names)) is not None]
        found = _finding(group, cut_off=max(known, default=0.0) > _CUT_OFF)
        yield _never_whole(found) if first_served(case) else found


def _values(case: Case, found: Departure) -> tuple[Floats, Floats]:
    before = case.reference.numeric(found.name)[like_rows(case, found)]
    after = case.current.numeric(found.name)[found.rows]
    return before[np.isfinite(before)], after[np.isfinite(after)]


def _scaled(case: Case, found: Departure) -> Low | None:
    """A sum that keeps one share of itself in all rows."""
    before, after = _values(case, found)
    told = best_map(before, after)
    if told is None or told.offset != 0 or not 0 < told.slope < _FELL or before.min() < 0:
        return None
    near, far = told.distance_before, told.distance_after
    unit = nearest_round(told.slope, 1e-6) is not None and not lost_counts(told, before, after)
    return Low(found, Thinning(1.0, told.slope, _STEADY, near, far, whole=False), unit)


def _low(case: Case, found: Departure) -> Low | None:
    before, after = _values(case, found)
    if len(np.unique(before[:2_000])) < _LEAST_LEVELS or round_the_clock(before):
        return None
    scaled = best_map(before, after)
    if scaled is not None and scaled.offset == 0:  # one factor for all: told by its own check
        return None
    if (before == 0).mean() < (after == 0).mean() and not rest_fell(before, after):
        return None
    told = thinning(before, after)
    if told is None or told.distance_after > _MENDED * told.distance_before:
        return None
    if scaled is not None and scaled.slope == 1 and scaled.distance_after < told.distance_after:
        # All moved by as much, and more exactly than thinning has it.
        return None
    return Low(found, told)


def _apart(case: Case, found: Departure, group: Collection[str]) -> float | None:
    """Standard errors between an input's fall and the fall of what the rest of its row says of it.

    The inputs of its own group are left out: they fell with it. None where the rest never said anything of it.
    """
    ctx = context(case)
    if found.name not in ctx.names:
        return None
    rest = Regressions(ctx, label=bool(ctx.after[:, ctx.label].any()))
    link = rest.link(found.name, without=group)
    if link is None:
        return None
    rows = found.rows[ctx.rows_after]
    fell, told = float(link.observed[rows].mean()), float(link.expected[rows].mean())
    # A population that differs in the input differs in its companions by the squared correlation.
    due = fell * link.before**2
    error = math.sqrt(float(link.expected.var()) * (1 / max(rows.sum(), 1) + 1 / len(ctx.before)))
    return (told - due) / max(error, 1e-9)


def _never_whole(found: Finding) -> Finding:
    """What is cut off in all rows since the first that a model served is computed otherwise, rather than published early each time."""
    scope = found.scope
    if found.signal != "thinning.cut_off" or scope.since is not None or scope.column is not None:
        return found
    return replace(found, signal="thinning.never", supports=("train_serve_skew", "partial_batch"))


def _together(case: Case, one: Low, other: Low) -> bool:
    """Whether two inputs come from one source, as far as lineage is declared."""
    return _source(case, one) == _source(case, other)


def _source(case: Case, one: Low) -> str:
    sources = case.incident.data.sources
    return next((s for s, columns in sources.items() if one.found.name in columns), "")


def _groups(case: Case, low: list[Low]) -> Iterator[list[Low]]:
    """Inputs of one source that are low together; where lineage is not declared, those that lost one share in the same rows."""
    groups: list[list[Low]] = []
    for one in low:
        source = _source(case, one)
        for group in groups:
            if _together(case, one, group[0]) and (source or one.goes_with(group[0])):
                group.append(one)
                break
        else:
            groups.append([one])
    yield from groups


def _finding(group: list[Low], *, cut_off: bool) -> Finding:
    first = max(group, key=lambda one: one.told.distance_before)
    names = tuple(one.found.name for one in group)
    told = first.told
    subject = Subject("feature", names)
    rest = "while the rest of the rows stayed as it was" if cut_off else "as if thinned"
    statement = (
        f"{', '.join(names)}: {told.part:.0%} of the values keep about {told.mean:.0%} of themselves"
        f"{scope_words(first.found)}, {rest} (distance {told.distance_before:.3f} before, "
        f"{told.distance_after:.3f} from the reference thinned likewise)"
    )
    options = {
        one.found.name: [one.told.part, one.told.mean, one.told.spread, one.told.whole]
        for one in group
    }
    return Finding(
        "thinning.cut_off" if cut_off else "thinning.marginal",
        subject,
        statement,
        told.mean,
        told.distance_before / max(first.found.usual, 1e-6),
        None,
        1.0 - 0.5 * min(1.0, told.distance_after / (_MENDED * told.distance_before)),
        ("partial_batch",),
        ("covariate_shift", "unit_change", "concept_drift", "silent_nulls") if cut_off else (),
        first.found.scope,
        first.found.onset,
        (RepairPlan("thin_out", subject, first.found.scope, options),),
    )
