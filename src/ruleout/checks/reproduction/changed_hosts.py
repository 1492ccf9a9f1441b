"""Whether the rows of just those machines went wrong on which something was changed, from then on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import names_served
from ruleout.checks.reproduction.provenance import names_a_model, tells_of_a_model
from ruleout.checks.world.new_category import loss_share
from ruleout.profile import Case, ChangeEvent, iso

Mask = NDArray[np.bool_]
MODES = ("change_regression",)
_SHIPPED = frozenset({"deploy", "config", "flag", "commit"})
_BURST = 0.05
"""Share of the current window within which the machines of one roll-out are changed."""

_CARRIED = 0.7
"""Share of the rise in loss that rows of the changed machines carry since."""

_MOST = 0.8
"""... and their share of the rows at most: where everything was changed, nothing is left to compare with."""

_NAMES, _NAME = re.compile(r"[\w.-]*\w"), 3
"""Words of a change, and how long the name of a machine must be to be no word of another meaning."""

_FEW = 50
_SURE = 4.0
"""Standard errors by which their loss must have risen more than the others'."""


class _Rolled(NamedTuple):
    column: str
    values: tuple[str, ...]
    changes: tuple[ChangeEvent, ...]


@check(
    "changed_hosts",
    layer="integration",
    rung="reproduction",
    looks_for=MODES,
    needs=("data.columns.segments", "data.columns.timestamp", "changes", "labels"),
)
def changed_hosts(case: Case, rng: np.random.Generator) -> Iterator[Outcome]:
    """Did the loss rise on the machines that a change names, since it was made, and on no others?

    Difference in differences by machine (Card and Krueger, 1994): whatever the change broke, what it did not touch is
    as it was. Changes that put another model there are told by what that model answers.
    """
    del rng
    rolled = [one for name in case.segments for one in _rolled(case, name)]
    if not rolled:
        yield Abstained(MODES, "no change names values of a segment", "changes")
        return
    for one in rolled:
        yield from _compared(case, one)


def _rolled(case: Case, name: str) -> Iterator[_Rolled]:
    """Changes within the window that were made to values of a segment, by burst."""
    time = case.current.time
    if time is None or name in case.features:
        return
    first, last = float(np.nanmin(time)), float(np.nanmax(time))
    room = _BURST * (last - first)
    named = sorted(
        (c for c in case.changes if c.kind in _SHIPPED and first - room <= c.at <= last),
        key=lambda c: c.at,
    )
    made = [(c, _made_to(case, name, c)) for c in named]
    bursts: list[list[tuple[ChangeEvent, tuple[str, ...]]]] = []
    for change, values in made:
        if not values:
            continue
        if bursts and change.at - bursts[-1][0][0].at <= room:
            bursts[-1].append((change, values))
        else:
            bursts.append([(change, values)])
    for burst in bursts:
        every = dict.fromkeys(value for _, values in burst for value in values)
        yield _Rolled(name, tuple(every), tuple(change for change, _ in burst))


def _made_to(case: Case, name: str, change: ChangeEvent) -> tuple[str, ...]:
    """The values of a segment that a change was made to: its entity, or machines that its words name."""
    words = case.vocabulary(name)
    if change.entity in words:
        return () if names_a_model(change) else (change.entity,)
    # A service may be called after the model that it serves, whatever was changed of it.
    said = change.description.replace(change.entity, "")
    if not names_served(name) or tells_of_a_model(said):
        return ()
    named = set(_NAMES.findall(said))
    return tuple(word for word in words if len(word) >= _NAME and word in named)


def _compared(case: Case, one: _Rolled) -> Iterator[Outcome]:
    time = case.current.time
    if time is None:
        return
    words = case.vocabulary(one.column)
    codes = [k for k, word in enumerate(words) if word in one.values]
    at = min(c.at for c in one.changes)
    hit = np.isin(case.codes("current", one.column), codes)
    since = hit & (time >= at)
    listed = ", ".join(one.values[:4])
    subject = Subject("host" if names_served(one.column) else "segment", one.values)
    gap, error = _apart(case, hit, time >= at, codes, one.column)
    share = loss_share(case, since)
    told = f"{one.column} {listed}, changed at {iso(at)} ({one.changes[0].description})"
    if share is None or not math.isfinite(gap) or since.mean() > _MOST:
        yield Abstained(MODES, f"{told}: too few rows on either side to compare")
        return
    if share < _CARRIED or gap < _SURE * error:
        yield Clear(MODES, subject, f"{told}, fares no worse than what was not changed", 0.3)
        return
    scope = Scope(since=at, column=one.column, values=one.values)
    text = (
        f"{told}: its loss rose by {gap:.3g} more than elsewhere since, and these rows carry {share:.0%} of the rise in "
        "loss"
    )
    yield Finding(
        "hosts.changed", subject, text, gap, gap / max(error, 1e-12), None, 1.0, MODES,
        against=(
            "stale_features", "silent_nulls", "join_loss", "category_recode", "unit_change", "precision_loss", "feature_swap",
            "time_shift", "schema_change", "train_serve_skew", "hardware_fault", "mixed_versions", "evaluation_bug",
            "concept_drift", "label_noise", "corrupted_labels",
        ),
        scope=scope, repairs=(RepairPlan("keep", subject, scope),),
    )  # fmt: skip


def _apart(case: Case, hit: Mask, late: Mask, codes: list[int], column: str) -> tuple[float, float]:
    """Rise of the mean loss of the changed machines beyond that of the others, and its standard error; NaN where few."""
    before, now = case.loss("reference"), case.loss("current")
    was = np.isin(case.codes("reference", column), codes)
    parts = [now[hit & late], before[was], now[~hit & late], before[~was]]
    known = [part[np.isfinite(part)] for part in parts]
    if min(len(part) for part in known) < _FEW:
        return math.nan, math.nan
    means = [float(part.mean()) for part in known]
    error = math.sqrt(sum(float(part.var()) / len(part) for part in known))
    return means[0] - means[1] - (means[2] - means[3]), error
