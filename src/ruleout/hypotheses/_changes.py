"""Change events against the onset: how likely each is the one, base rates included."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from ruleout._records import AlignedChange, Onset
from ruleout.hypotheses._propose import Candidate
from ruleout.profile import Case, iso
from ruleout.profile._case import ChangeEvent

_GRACE = 0.02
"""Share of the observed time that separates a cause from its first visible effect."""

_LEADING = 0.5
"""Probability from which a hypothesis may date the incident."""


def seconds(instant: str) -> float:
    """Epoch seconds of an ISO 8601 instant."""
    return datetime.fromisoformat(instant).timestamp()


def align_changes(case: Case, onset: Onset | None) -> tuple[AlignedChange, ...]:
    """Every change with the probability that an onset like this one belongs to it and not to chance.

    A change that fits is weighed against how often changes fall so near by accident: with many
    deploys a day, nearness proves nothing. Without an onset nothing is aligned.
    """
    if not case.changes:
        return ()
    likelihoods = {c.id: _density(case, c, onset) for c in case.changes}
    # Chance: the onset anywhere in the observed time, as likely a priori as all changes together.
    chance = max(1.0, float(len(case.changes)) ** 0.5)
    total = chance + sum(likelihoods.values())
    return tuple(
        AlignedChange(
            c.id, iso(c.at), c.kind, c.entity, c.description, c.ref, likelihoods[c.id] / total
        )
        for c in case.changes
    )


def _density(case: Case, change: ChangeEvent, onset: Onset | None) -> float:
    """Likelihood ratio of the onset being caused by this change against falling anywhere."""
    if onset is None or case.current.time is None or not case.current.rows:
        return 0.0
    spans = [t for t in (case.reference.time, case.current.time) if t is not None and len(t)]
    begin, end = min(float(t[0]) for t in spans), max(float(t[-1]) for t in spans)
    length = max(end - begin, 1.0)
    at, low, high = (seconds(v) for v in (onset.at, onset.low, onset.high))
    width = max((high - low) / 3.3, _GRACE * length / 4)
    late = at - change.at
    # An effect may follow its cause with a lag, but not precede it by more than the onset's own error.
    scale = width if late < 0 else width + _GRACE * length
    return length / (scale * math.sqrt(2 * math.pi)) * math.exp(-0.5 * (late / scale) ** 2)


def sharpest_onset(
    case: Case, candidates: Sequence[Candidate], symptom: Onset | None
) -> Onset | None:
    """When it began: the onset of a clearly leading hypothesis if that is sharper than the metric's own.

    An input that breaks does so at an instant; a metric of few rows shows it hours later. One that is broken
    from the first row of the window does not say when that began.
    """
    lead = max(candidates, key=lambda c: c.probability, default=None)
    time = case.current.time
    if lead is None or lead.onset is None or lead.probability < _LEADING:
        return symptom
    if time is None or not len(time):
        return symptom
    if seconds(lead.onset.at) <= float(time[0]) + _GRACE * float(time[-1] - time[0]):
        return symptom
    return lead.onset if symptom is None or _width(lead.onset) < _width(symptom) else symptom


def _width(onset: Onset) -> float:
    return seconds(onset.high) - seconds(onset.low)


def leading_change(aligned: Sequence[AlignedChange]) -> Mapping[str, float]:
    """The change that fits best, if it fits better than chance and all others together."""
    best = max(aligned, key=lambda c: c.alignment, default=None)
    return {best.id: best.alignment} if best is not None and best.alignment >= 0.5 else {}
