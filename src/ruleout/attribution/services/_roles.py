"""What part each service plays: the cause, what amplifies it, what keeps it going, what merely follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ruleout._records import Role, Subject
from ruleout.attribution.services._calls import Calls
from ruleout.attribution.services._failures import failed_spans
from ruleout.attribution.services._records import ServiceHypothesis
from ruleout.attribution.services._safeguards import Amplified

_SHARE = 0.1
"""Of the probability of what is named, so much goes to a storm that runs beside it."""

_LEADS = 0.5
"""Probability from which on the first hypothesis' chain says who merely follows."""

_FOLLOWS = 0.2
"""Of the first's probability: who has less, and lies on its chain, follows."""

_FEW = 10
_WELL = 1.25
_ILL = 1.5


def with_roles(
    named: Sequence[ServiceHypothesis],
    amplified: Sequence[Amplified],
    tree: Calls | None,
    period: np.ndarray,
) -> tuple[ServiceHypothesis, ...]:
    """The hypotheses with their roles, and one for a retry storm that runs beside the cause.

    A storm amplifies while its trigger is there, and sustains the incident where the trigger has gone
    and requests still suffer (metastable failure; Huang et al., OSDI 2022).
    """
    if not named:
        return ()
    told = _followers(named)
    if not amplified or tree is None or named[0].failure_mode == "traffic_surge":
        return told
    storm = max(amplified, key=lambda one: (one.now / one.usual, one.caller))
    role: Role = "sustaining" if _outlives(tree, period, storm) else "amplifier"
    whole = sum(one.probability for one in told)
    first = told[0]
    beside = ServiceHypothesis(
        failure_mode="retry_storm",
        subject=Subject("edge", (storm.caller, storm.callee)),
        probability=_SHARE * whole,
        role=role,
        chain=first.chain,
        onset=first.onset,
        signals=("missing_retry_budget",),
    )
    rest = [replace(one, probability=one.probability * (1 - _SHARE)) for one in told]
    return tuple(sorted([*rest, beside], key=lambda one: -one.probability))


def _followers(named: Sequence[ServiceHypothesis]) -> tuple[ServiceHypothesis, ...]:
    first = named[0]
    own = first.subject.names[0]
    total = sum(one.probability for one in named if one.subject.names[0] == own)
    if total < _LEADS:
        return tuple(named)
    after = set(first.chain[1:])
    return tuple(
        replace(one, role="consequence")
        if one.subject.names[0] in after - {own} and one.probability < _FOLLOWS * total
        else one
        for one in named
    )


def _outlives(tree: Calls, period: np.ndarray, storm: Amplified) -> bool:
    """Whether the storm's callee is well again in the last third while requests still suffer."""
    inside = period == 2
    if not inside.any():
        return False
    time = tree.time
    begin, end = float(time[inside].min()), float(time[inside].max())
    late = inside & (time >= begin + 2 * (end - begin) / 3)
    early = inside & ~late
    usual = (period == 0) | (period == 1)
    entry = tree.entry == np.arange(len(tree.entry))
    server = entry & (tree.service == tree.services.index(storm.callee))
    root = tree.parent < 0
    trigger = [_level(tree, server & part) for part in (usual, early, late)]
    asked = [_level(tree, root & part) for part in (usual, late)]
    if any(value is None for value in (*trigger, *asked)):
        return False
    before, during, after = (float(value or 0.0) for value in trigger)
    well, still = (float(value or 0.0) for value in asked)
    failing = failed_spans(tree)
    suffering = (
        still > _ILL * well or failing[root & late].mean() > failing[root & usual].mean() + 0.1
    )
    return bool(during > _ILL * before and after < _WELL * before and suffering)


def _level(tree: Calls, rows: np.ndarray) -> float | None:
    """Median milliseconds of some spans; None for few."""
    return float(np.median(tree.duration[rows])) if rows.sum() >= _FEW else None
