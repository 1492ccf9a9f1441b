"""Is it only that more rows come from a group that was always harder?

Rule: for every declared segment and every input of few categories, weight the reference to the current mix of its
groups. Where that reproduces the change and no group changed within, nothing is broken: the metric moved because its
population did (the two halves of a Kitagawa-Oaxaca decomposition). Of several such columns the one that moved most is
meant: what follows from a change of mix moves less than the mix. A declared segment is how the owner sees the
population and counts in full. Along a mere input it counts where the weighted reference cannot be told from the current
window any more: groups came in other numbers and nothing else moved. Where more moved than their numbers, inputs
shifted, and the groups are a part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._defaults import names_served
from ruleout.checks.inputs._departure import departures
from ruleout.checks.world._arms import arms_by_answers, arms_by_plan
from ruleout.checks.world._view import NO_HARM, View, split, view
from ruleout.checks.world.history import announcement
from ruleout.profile import Case
from ruleout.stats._boosting import Floats
from ruleout.stats._density import density_ratio
from ruleout.stats._prior import balance_weights

MODES = ("benign_mix",)
_DRAWS = 60
_MOST_GROUPS = 40
_LITTLE = 0.3
"""What may be left of the change within groups, even where chance alone does not leave it."""

_LEFT = 0.25
"""What may be left of telling the windows apart once the groups have the current shares."""


_STRETCHES = 4
_MOVED, _PLAIN = 0.08, 0.15
"""Share of the rows that changed groups from which a mix moved, and from which it plainly did."""


class Mix(NamedTuple):
    """What the mix of one segment's groups does to the metric."""

    change: float
    mixed: float
    """Part of the change that the current mix brings at the reference's rates."""

    low: float
    high: float
    """90% interval of the rest: the change within groups."""

    least: float
    """Smallest share of the change that the mix explains, at 90%."""


@check(
    "benign_mix",
    layer="none",
    rung="world",
    looks_for=(*MODES, "experiment_misassignment"),
    needs=("data.reference", "data.current", "data.columns.target"),
)
def benign_mix(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Compare mix and rate over the declared segments, then over the inputs of few categories."""
    seen = view(case)
    if seen is None:
        return [Abstained(MODES, "fewer than 200 labelled rows in a window", "data.columns.target")]
    if case.significant is False:
        return [_harmless(case, seen, rng) or Abstained(MODES, NO_HARM)]
    told = [
        out for names in (case.segments, _grouping(case)) for out in _best(case, seen, names, rng)
    ]
    if not told:
        why = "no segment has between 2 and 200 groups in both windows"
        return [Abstained(MODES, why, "data.columns.segments")]
    found = [out for out in told if isinstance(out, Finding)]
    first = next((out for out in found if out.signal != "benign_mix.announced"), None)
    return [out for out in found if first and out.subject == first.subject] or told[:1]


def _harmless(case: Case, seen: View, rng: np.random.Generator) -> Finding | None:
    """Groups that come in other numbers, beside a metric that held within them and as a whole, and nothing else moved."""
    moved = [
        (_distance(case, seen, n), n) for n in (*case.segments, *_grouping(case)) if _few(case, n)
    ]
    moved = [(far, n) for far, n in moved if far > max(_MOVED, 3.0 * _usual(case, seen, n))]
    if not moved:
        return None
    far, name = max(moved)
    mix = mix_of(case, seen, name, rng, draws=_DRAWS)
    if mix is None or not mix.low <= 0 <= mix.high or not _alone(case, seen, name):
        return None
    text = (
        f"{far:.0%} of the rows are of other groups of {name} than before; within its groups {case.metric.name} held "
        f"({mix.change - mix.mixed:+.3g} [{mix.low:+.3g}, {mix.high:+.3g}]), and nothing else tells the windows apart"
    )
    return Finding(
        "benign_mix.harmless", Subject("segment", (name,)), text, far, far / _MOVED, None,
        float(np.clip(far / _PLAIN, 0.0, 1.0)), MODES,
    )  # fmt: skip


def _few(case: Case, name: str) -> bool:
    """Whether a column parts people into a few groups; which machine served them is nobody's doing but the machines'."""
    return 2 <= len(case.vocabulary(name)) <= _MOST_GROUPS and not names_served(name)


def _usual(case: Case, seen: View, name: str) -> float:
    """Widest distance of the groups' shares between a stretch of the reference and all of it."""
    codes = _groups(case, seen, name)[0]
    size = len(case.vocabulary(name)) + 1
    whole = np.bincount(codes, minlength=size) / len(codes)
    parts = [np.bincount(p, minlength=size) / len(p) for p in np.array_split(codes, _STRETCHES)]
    return max(0.5 * float(np.abs(p - whole).sum()) for p in parts)


def _best(
    case: Case, seen: View, names: Sequence[str], rng: np.random.Generator
) -> Iterator[Outcome]:
    """Judge the column that moved most of those whose mix may explain the change; nothing where no column has groups."""
    told = [(name, mix_of(case, seen, name, rng, draws=0)) for name in names]
    known = [(mix.mixed / mix.change, name) for name, mix in told if mix and mix.change]
    if not known:
        return
    able = [name for share, name in known if share >= 0.5]
    if not able:
        share, name = max(known)
        text = f"the mix of {name} explains {share:.0%} of the change of {case.metric.name}, that of others less"
        yield Clear(MODES, Subject(), text, 0.25, "benign_mix.rates_moved")
        return
    yield from _judge(case, seen, min(able, key=lambda n: (-_distance(case, seen, n), n)), rng)


def _distance(case: Case, seen: View, name: str) -> float:
    """Total variation between the windows' shares of the groups of one column."""
    before, now = (
        np.bincount(codes, minlength=len(case.vocabulary(name)) + 1) / len(codes)
        for codes in _groups(case, seen, name)
    )
    return 0.5 * float(np.abs(now - before).sum())


def _groups(case: Case, seen: View, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group of each looked-at row of both windows; 0 is for missing."""
    ref, cur = seen.reference.rows, seen.current.rows
    return (
        case.codes("reference", name)[ref].astype(np.int64) + 1,
        case.codes("current", name)[cur].astype(np.int64) + 1,
    )


def _alone(case: Case, seen: View, name: str) -> bool:
    """Whether nothing but the shares of these groups moved: with them equal, the windows are (nearly) alike."""
    parts = split(case)
    if parts is None:
        return False
    before, now = _groups(case, seen, name)
    left = density_ratio(
        seen.reference.x,
        seen.current.x,
        rng=case.rng(f"world mix {name}"),
        categorical=seen.categorical,
        weight=balance_weights(before, now, len(case.vocabulary(name)) + 1),
    )
    whole = parts.parts.ratio.auc - 0.5
    return left.auc - 0.5 < max(_LEFT * whole, 3.0 * left.se)


def _grouping(case: Case) -> list[str]:
    """Inputs of few categories whose shares moved and to which nothing else happened."""
    return [
        name
        for name, moved in departures(case).items()
        if moved.departed
        and case.kind(name) == "categorical"
        and name not in case.segments
        and 2 <= len(case.vocabulary(name)) <= _MOST_GROUPS
    ]


def _judge(case: Case, seen: View, name: str, rng: np.random.Generator) -> Iterator[Outcome]:
    mix = mix_of(case, seen, name, rng, draws=_DRAWS)
    if mix is None:
        yield Abstained(MODES, f"the mix of {name} cannot be told from chance")
        return
    share = mix.mixed / mix.change
    rest = abs(mix.change - mix.mixed) / abs(mix.change)
    alone = _alone(case, seen, name)
    # no group got worse: within them the metric held, or even went the other way
    kept = mix.low <= 0 <= mix.high or (alone and share >= 1)
    flat = rest < _LITTLE or (kept and rest < (1.0 if alone else 0.35))
    text = (
        f"the mix of {name} explains {share:.0%} of the change of {case.metric.name}; within groups it moved by "
        f"{mix.change - mix.mixed:+.3g} [{mix.low:+.3g}, {mix.high:+.3g}]"
    )
    if not flat or mix.least < 0.4:
        yield Clear(MODES, Subject(), text, 0.25, "benign_mix.rates_moved")
        return
    case.cache["world mix"] = name, share  # who asks whether rows were cut from the log needs it
    case.cache["world benign"] = name  # a campaign that brought this mix is not a cause of its own
    subject = Subject("segment", (name,))
    if alone:
        text = (
            f"{text}; with its groups at their current shares nothing else tells the windows apart"
        )
    kind = "explains" if name in case.segments else "by_input" if alone else "among_inputs"
    found = Finding(
        signal=f"benign_mix.{kind}",
        subject=subject,
        statement=text,
        statistic=mix.mixed,
        effect=share,
        p_value=None,
        strength=float(np.clip(1.0 - (0.4 * rest if alone else rest), 0.0, 1.0)),
        supports=MODES,
        against=("covariate_shift", "concept_drift", "label_noise", "corrupted_labels"),
        repairs=(RepairPlan("reweight", subject, options={"to": "segment", "column": name}),),
    )
    yield found
    yield from _told_apart(case, name, found)


def _told_apart(case: Case, name: str, found: Finding) -> Iterator[Finding]:
    """What says that a mix which explains the change was made by an experiment, or was expected."""
    arms = arms_by_answers(case, name) or arms_by_plan(case, name)
    if arms is not None:
        told = f"{found.statement}; {arms}: an arm whose share was changed, not a population"
        yield replace(
            found,
            signal="assignment.arms",
            statement=told,
            supports=("experiment_misassignment",),
            against=(
                *MODES,
                "calibration_change",
                "class_weight_change",
                "bad_retrain",
                "wrong_version",
            ),
            strength=1.0,
            repairs=found.repairs,
        )
        return
    event = announcement(case)
    if event is not None:
        told = f"people were expected when the mix of {name} moved: {event.description}"
        yield replace(
            found, signal="benign_mix.announced", statement=told, strength=1.0, repairs=()
        )


def mix_of(
    case: Case, seen: View, name: str, rng: np.random.Generator, *, draws: int
) -> Mix | None:
    """Mix and rate parts over the groups of one column; None for too few or too many groups.

    The intervals take `draws` bootstrap draws; without any they are NaN.
    """
    ref, cur = seen.reference, seen.current
    before, now = case.codes("reference", name)[ref.rows], case.codes("current", name)[cur.rows]
    if not 2 <= len(np.unique(before)) <= 200:
        return None
    size = len(case.vocabulary(name)) + 1
    was, now_is = (case.metric.weighed(side.truth, side.outputs) for side in (ref, cur))

    def parts(a: Floats, b: Floats) -> tuple[float, float]:
        """Change and mixed part for bootstrap counts of the rows of both windows."""
        weight = _group_weights(before, now, size, a, b)
        start, mixed = was(a), was(weight)
        return now_is(b) - start, mixed - start

    change, mixed = parts(np.ones(len(before)), np.ones(len(now)))
    if not draws:
        return Mix(change, mixed, np.nan, np.nan, np.nan)
    drawn = np.array(
        [parts(_counts(len(before), rng), _counts(len(now), rng)) for _ in range(draws)]
    )
    drawn = drawn[np.isfinite(drawn).all(axis=1) & (drawn[:, 0] != 0)]
    if len(drawn) < draws / 2:  # the metric is not to be had from most draws
        return None
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], [0.05, 0.95])
    least = float(np.quantile(drawn[:, 1] / drawn[:, 0], 0.05))
    return Mix(change, mixed, float(low), float(high), least)


def _counts(n: int, rng: np.random.Generator) -> Floats:
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(float)


def _group_weights(
    before: NDArray[np.int32], now: NDArray[np.int32], size: int, a: Floats, b: Floats
) -> Floats:
    old = np.bincount(before + 1, weights=a, minlength=size)
    new = np.bincount(now + 1, weights=b, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(old > 0, (new / new.sum()) / (old / old.sum()), 0.0)
    return np.asarray(a * factor[before + 1])
