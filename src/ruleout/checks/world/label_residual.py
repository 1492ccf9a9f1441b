"""Do labels still follow from inputs as in the reference; if not, everywhere alike, by class, by source or by region?

Rule: learn P(y | x) on the reference (cross-fitted, from inputs alone, so that a changed model cannot move it); fit
class-wise flips to the current labels; ask whether what is still off depends on the inputs. Alike everywhere speaks for
noise, along one pair of classes or by a label source for corrupted labels, by region or through one input's effect
for concept drift. Rows alone cannot part a changed world from labels spoilt in that manner, so every finding
supports its neighbours too. Assumes inputs logged as they were: a data-path fault breaks the relation as well.
Reference: Natarajan et al. (2013); see `stats/_flips.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Scope, Subject
from ruleout._registry import check
from ruleout.checks.inputs._calendar import follows_clock
from ruleout.checks.inputs._departure import departures
from ruleout.checks.measurement.label_audit import confirmed
from ruleout.checks.reproduction._view import replay
from ruleout.checks.world._bins import Binned, binned
from ruleout.checks.world._residual import Residual, effect_blame, residual
from ruleout.checks.world._view import NO_HARM, View, split, view
from ruleout.checks.world.decomposition import fraction
from ruleout.profile import Case
from ruleout.stats._flips import Flips
from ruleout.stats._slices import Condition, Slice, find_slices
from ruleout.stats._twosample import normal_sf

MODES = ("concept_drift", "corrupted_labels", "label_noise")
_LEAST_RATE = 0.02
_DEPENDS = 0.08
_LEAST_GAIN = 12.0
_APART = 0.8
_CERTAIN = 1e-3
"""Chance of so large a difference of one slice, after all that were tried, for it to be the place."""

_POWER = 0.05
_DISTORTED = 0.6
"""What is left of the evidence where the input that labels no longer follow from has itself moved far."""

_OVERLAP = 0.05
_AT_INPUTS = 0.5
"""Least share of the change, at 95%, that must lie at unchanged inputs to point at what answers are held against."""

_CERTAIN_OF_CHANGE = (
    "label_residual.uniform",
    "label_residual.classes",
    "label_residual.place",
    "label_residual.region",
)
"""What shows that labels part from inputs, whatever the answers; a faint change does not."""

_UNSEEN = 0.7
"""Least share of the change that unseen inputs must carry for it to be theirs, however many rows are like the old ones."""

_FOREIGN = 0.3
"""What is left of the evidence where nearly all inputs are unlike the reference's: it may be the reach of what was learned."""


@check(
    "label_residual",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.target"),
)
def label_residual(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare current labels with what the reference's inputs teach."""
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    seen, found = view(case), residual(case)
    if seen is None or found is None:
        return [
            Abstained(
                MODES,
                "too few labelled rows, no inputs, or more than 20 classes",
                "data.columns.target",
            )
        ]
    excess, parts = found.rate - found.usual, split(case)
    off = excess > _LEAST_RATE and found.z > 4 and found.gain > _LEAST_GAIN
    hint = found.gain > _LEAST_GAIN if found.flips is not None else found.z > 3
    apart = (
        parts is not None and parts.parts.ratio.auc > _APART
    )  # far apart, misfit does not cancel
    tied = found.depends > _DEPENDS and found.depends_z > (4 if hint else np.inf if apart else 9)
    if not off and not tied:
        faint = _faint(case)
        told = [faint if faint is not None else _clear(found)]
    else:
        told = list(_findings(case, seen, found, rng, tied=tied))
    return [*told, *_audited(case, found, told)]


def _audited(case: Case, found: Residual, told: Sequence[Outcome]) -> Iterator[Finding]:
    """What parted from inputs are labels that an audit confirms: then it is the relation that changed.

    An audit of n rows would have met with n times the excess if labels were to blame, and with none of it by a chance of
    exp(-n times the excess). Inputs that moved far, or that the reference does not reach, part labels from inputs as well.
    """
    sure = confirmed(case)
    if not sure or _unreached(case):
        return
    met = -float(np.expm1(-sure * max(found.rate - found.usual, _LEAST_RATE)))
    left = _at_inputs(case)
    for one in told:
        if not isinstance(one, Finding) or "concept_drift" not in one.supports:
            continue
        if any(_distorted(case, name) for name in one.subject.names):
            continue
        yield replace(
            one,
            signal="label_residual.audited",
            statement=f"{sure} audited labels confirm the recorded ones: it is not labels that part from inputs",
            strength=met,
            supports=("concept_drift",),
            against=(),
            repairs=(),
        )
        if left is None or one.signal not in _CERTAIN_OF_CHANGE:
            continue
        share, low = left
        yield replace(
            one,
            signal="label_residual.left",
            statement=(
                f"{share:.0%} (at least {low:.0%}) of the change happened at unchanged inputs, and labels part from inputs "
                "though an audit confirms them: what is left is the relation"
            ),
            strength=met * low,
            supports=("concept_drift",),
            against=(),
            repairs=(),
        )


def _at_inputs(case: Case) -> tuple[float, float] | None:
    """The share of the change at unchanged inputs and its lower end in [0, 1], where most of it is there and answers are as ever."""
    parts, answers = split(case), replay(case)
    if parts is None or (answers is not None and answers.departed):
        return None
    share, low, _ = fraction(parts.parts.conditional, parts.parts.change)
    return (share, float(np.clip(low, 0.0, 1.0))) if low >= _AT_INPUTS else None


def _faint(case: Case) -> Finding | None:
    """What happened at unchanged inputs, where no manner of disagreement shows: too few rows, or too slow a change."""
    there = _at_inputs(case)
    if there is None or replay(case) is None:
        return None
    share, low = there
    text = (
        f"{share:.0%} (at least {low:.0%}) of the change happened at unchanged inputs and with answers as ever, and labels "
        "do not say in which manner: the world changed, or the labels"
    )
    return Finding(
        signal="label_residual.faint",
        subject=_label(case),
        statement=text,
        statistic=share,
        effect=share,
        p_value=None,
        strength=low,
        supports=("concept_drift", "corrupted_labels", "label_noise"),
    )


def _clear(found: Residual) -> Outcome:
    if found.power < _POWER:
        return Abstained(
            MODES, f"labels hardly follow from inputs even in the reference ({found.power:.0%})"
        )
    return Clear(
        MODES,
        Subject(),
        f"labels follow from inputs as in the reference: {found.rate:.1%} are off ({found.usual:.1%} there), "
        f"and what is off does not depend on inputs (r = {found.depends:.2f})",
        float(_LEAST_RATE / np.sqrt(found.power)),
        "label_residual.none",
    )


def _findings(
    case: Case, seen: View, found: Residual, rng: np.random.Generator, *, tied: bool
) -> Iterator[Outcome]:
    table = binned(case, seen)
    slices = find_slices(
        (table.reference, found.disagreement[0]),
        (table.current, found.disagreement[1]),
        table.ordered,
        rng=rng,
        depth=2,
    )
    place = next(
        (s for s in slices if s.share > 0.5 and s.extra > 0.05 and s.p_value < _CERTAIN), None
    )
    there = [] if place is None else [c for c in place.conditions if _no_input(case, table, c)]
    label = _label(case)
    if place is not None and there:
        for one in _source(label, found, place, table, there[0]):
            yield _out_of_reach(one, _FOREIGN) if _unreached(case) else one
    elif tied:
        yield from _region(case, seen, found, slices, table)
    elif (mapping := _mapping(case, found)) is not None:
        yield _finding("mapping", label, found, mapping, ("corrupted_labels", "label_noise"))
        changed = _finding(
            "classes", _pair(case, found) or label, found, mapping, ("concept_drift",)
        )
        yield replace(changed, against=())
    else:
        text = (
            f"{found.rate:.1%} of the labels disagree with what inputs say ({found.usual:.1%} in the reference), "
            f"everywhere alike (dependence on inputs r = {found.depends:.2f})"
        )
        told = _finding(
            "uniform", label, found, text, ("label_noise", "corrupted_labels", "concept_drift")
        )
        reach = _reach(case)
        yield told if reach == 1 else _out_of_reach(told, reach)


def _reach(case: Case) -> float:
    """How much of what the reference teaches bears on the current rows, in [0, 1]: little where they hardly overlap.

    Inputs that are never at rest part any two windows, and say nothing of that.
    """
    parts = split(case)
    if parts is None or parts.usual_auc >= _APART:
        return 1.0
    told = float(np.clip((parts.parts.overlap - _OVERLAP) / _OVERLAP, 0.0, 1.0))
    return _FOREIGN + (1 - _FOREIGN) * told


def _unreached(case: Case) -> bool:
    """Whether most current rows are unlike any of the reference, and the change is not seen among the others."""
    parts = split(case)
    if parts is None:
        return False
    p = parts.parts
    seen, unseen = fraction(p.conditional, p.change)[1], fraction(p.unseen, p.change)[1]
    return (parts.parts.supported <= 0.5 and seen <= 0 < unseen) or unseen > _UNSEEN


def _out_of_reach(told: Finding, reach: float) -> Finding:
    return replace(
        told,
        statement=f"{told.statement}; but the inputs hardly overlap, and the reference teaches little about such rows",
        strength=told.strength * reach,
        against=("prior_shift",),
    )


def _label(case: Case) -> Subject:
    return Subject("label", (case.incident.data.columns.target or "label",))


def _finding(
    kind: str,
    subject: Subject,
    found: Residual,
    text: str,
    supports: tuple[str, ...],
    *,
    scope: Scope | None = None,
) -> Finding:
    return Finding(
        signal=f"label_residual.{kind}",
        subject=subject,
        statement=text,
        statistic=found.rate,
        effect=found.rate - found.usual,
        p_value=max(2 * normal_sf(abs(found.z)), 1e-300),
        strength=float(np.clip((found.rate - found.usual) / 0.10, 0.2, 1.0)),
        supports=supports,
        against=("covariate_shift", "prior_shift"),
        scope=scope or Scope(),
    )


def _no_input(case: Case, table: Binned, condition: Condition) -> bool:
    """Whether a condition is on a segment that is no input."""
    name = table.names[condition.column]
    return name in case.segments and name not in case.features


def _source(
    label: Subject, found: Residual, place: Slice, table: Binned, first: Condition
) -> Iterator[Finding]:
    """What went off in one segment that is no input: by who wrote its labels, or by what happened there."""
    where = table.describe(place.conditions)
    value = table.levels[first.column][first.low] if not table.ordered[first.column] else None
    scope = (
        Scope(column=table.names[first.column], values=(value,)) if value is not None else Scope()
    )
    text = (
        f"labels went off where {where}: their disagreement with inputs rose by {place.extra:.2f} more than "
        f"elsewhere (p = {place.p_value:.1g}), and that column is no input"
    )
    there = Subject("segment", scope.values or (table.names[first.column],))
    yield _finding(
        "by_source", label, found, text, ("corrupted_labels", "label_noise"), scope=scope
    )
    changed = _finding("place", there, found, text, ("concept_drift",), scope=scope)
    yield replace(changed, against=())


def _region(
    case: Case, seen: View, found: Residual, slices: Sequence[Slice], table: Binned
) -> Iterator[Finding]:
    names, where, label = _region_names(case, seen, slices, table), "", _label(case)
    if slices:
        where = f", most of all where {table.describe(slices[0].conditions)}"
    text = (
        f"labels no longer follow from inputs as in the reference (r = {found.depends:.2f} between what is off and "
        f"the inputs){where}; what changed is tied to {', '.join(names) or 'no single input'}"
    )
    against = ("covariate_shift", "prior_shift", "label_noise")
    trust = _DISTORTED if any(_distorted(case, name) for name in names) else 1.0
    if _unreached(case):
        text = f"{text}; but most rows lie where the reference has none, and where it has some nothing changed"
        trust *= _FOREIGN
    again = (RepairPlan("audited_labels", label),) if case.audit is not None else ()
    for kind, subject, modes, repairs in (
        ("region", Subject("feature", names) if names else label, ("concept_drift",), ()),
        ("region_labels", label, ("corrupted_labels",), again),
    ):
        yield Finding(
            signal=f"label_residual.{kind}",
            subject=subject,
            statement=text,
            statistic=found.depends,
            effect=found.depends,
            p_value=max(2 * normal_sf(abs(found.depends_z)), 1e-300),
            strength=float(np.clip(found.depends / 0.25, 0.2, 1.0)) * trust,
            supports=modes,
            against=against,
            repairs=repairs,
        )


def _distorted(case: Case, name: str) -> bool:
    """Whether an input moved so far that what it says now may not be what it said."""
    moved = departures(case).get(name)
    return moved is not None and moved.distance > max(0.2, 5 * moved.usual)


def _region_names(
    case: Case, seen: View, slices: Sequence[Slice], table: Binned
) -> tuple[str, ...]:
    """The inputs of the slice that holds all of the disagreement, else those whose effect changed most."""
    rows = len(seen.current.x)
    whole = [s for s in slices if s.share > 0.8 and s.extra > 0.18 and s.rows < 0.65 * rows]
    if whole:
        best = min(whole, key=lambda s: len(s.conditions))
        names = _names(best, table)
        return tuple(n for n in names if not _clock(case, n)) or names
    blamed = effect_blame(case, seen)
    if slices and blamed and all(_clock(case, n) for n in blamed):
        # What began within the window goes with the weekday; the place beside it is where it happened.
        return tuple(n for n in _names(slices[0], table) if not _clock(case, n)) or blamed
    return blamed


def _names(found: Slice, table: Binned) -> tuple[str, ...]:
    return tuple(dict.fromkeys(table.names[c.column] for c in found.conditions))


def _clock(case: Case, name: str) -> bool:
    return name in case.kinds and follows_clock(case, name)


def _mapping(case: Case, found: Residual) -> str | None:
    """The sentence for labels that went through another table, or None when they did not."""
    if found.line is not None and abs(found.line[1] - 1.0) >= 0.25:
        a, b = found.line
        return f"labels are now {a:.3g} + {b:.3g} times what inputs say: another unit or another target"
    return None if found.flips is None else _class_mapping(case, found.flips)


def _pair(case: Case, found: Residual) -> Subject | None:
    """The two of several classes between which most of what is off went; None where there are but two."""
    if found.flips is None or len(case.classes) < 3:
        return None
    return Subject("class", tuple(case.classes[k] for k in found.flips.pair))


def _class_mapping(case: Case, flips: Flips) -> str | None:
    start, end = (case.classes[k] for k in flips.pair)
    if flips.rate > 0.45 and len(case.classes) == 2:
        return f"{flips.rate:.0%} of the labels are the other class: the polarity has changed"
    if (
        len(case.classes) > 2
        and flips.pair_share > 2.5 / len(case.classes)
        and flips.pair_share > 0.4
    ):
        return f"{flips.pair_share:.0%} of the labels that are off went from {start!r} to {end!r} or back"
    if flips.asymmetry > 0.75 and len(case.classes) == 2:
        return f"labels that are off go one way: {start!r} became {end!r} in {flips.transition[flips.pair]:.0%} of cases"
    return None
