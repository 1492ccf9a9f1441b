"""How much of the change lies in who came (inputs, classes), and how much in what became of them.

Rule: reweight the reference to the current inputs (or class balance); what the weighted reference reproduces of the
change is due to the mix, the rest is not. A shift that reproduces nothing is reported as harmless, however large.
Assumes labels of both windows. Reference: Cai, Namkoong and Yadlowsky (2023); see `stats/_decompose.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, RepairPlan, Subject
from ruleout._registry import check
from ruleout.checks.inputs._departure import departures
from ruleout.checks.inputs.clock import tells_time
from ruleout.checks.reproduction._generation import judged
from ruleout.checks.world._view import NO_HARM, Split, View, split, view
from ruleout.checks.world.unfamiliar import unfamiliar
from ruleout.profile import Case
from ruleout.stats._decompose import Share

MODES = ("covariate_shift", "prior_shift")
_AT_UNCHANGED = ("shift_decomposition.conditional", "shift_decomposition.no_inputs")
_UNSEEN = 0.5
"""Least share of the change that unseen inputs must carry for it to be theirs."""

_FAR = 0.85
OVERLAP = 0.05
"""Share of the reference that must speak for the current window: below, the change cannot be divided."""

_PLAINLY = 0.6
"""AUC from which the windows are told apart whatever the reference does by itself."""


@check(
    "shift_decomposition",
    layer="data",
    rung="world",
    looks_for=MODES,
    needs=("data.reference", "data.current", "data.columns.target"),
)
def shift_decomposition(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Split the metric's change into class balance, inputs, unseen inputs and the rest."""
    del rng  # the split is shared between checks and draws from the case's own generator
    if case.significant is False:
        return [Abstained(MODES, NO_HARM)]
    seen, parts = view(case), split(case)
    if seen is None or parts is None:
        return [
            Abstained(
                MODES,
                "fewer than 200 labelled rows in a window, or no inputs",
                "data.columns.target",
            )
        ]
    if case.significant is None and not _harmful(seen, parts):
        return [
            Clear(
                MODES,
                Subject(),
                _harmless(case, seen, parts),
                _width(parts.parts.change),
                "shift_decomposition.harmless",
            )
        ]
    if parts.parts.overlap < OVERLAP or parts.parts.supported < OVERLAP:
        too_far = f"too little overlap: the weighted reference is worth {parts.parts.overlap:.1%} of its rows"
        apart = list(_apart(case, seen, parts))
        return [*_prior(case, parts), *(apart or [Abstained(("covariate_shift",), too_far)])]
    told = [*_inputs(case, seen, parts), *_unseen(case, seen, parts), *_rest(parts)]
    if unfamiliar(case):
        # To what learned from the reference such rows are like others: their inputs did not stay as they were.
        why = "the harm lies where the reference has nothing, in words or beyond a range"
        told = [o for o in told if isinstance(o, Finding) and o.signal not in _AT_UNCHANGED]
        told.append(Abstained(("covariate_shift",), why))
    if not any(isinstance(o, Finding) for o in told):
        told += _apart(case, seen, parts)
    return [*_prior(case, parts), *told]


def fraction(part: Share, whole: Share) -> tuple[float, float, float]:
    """A part as a share of the whole change, with its interval at the whole's estimate."""
    if abs(whole.value) < 1e-12:
        return 0.0, 0.0, 0.0
    low, high = sorted((part.low / whole.value, part.high / whole.value))
    return part.value / whole.value, low, high


def blamed(seen: View, gain: np.ndarray[Any, Any], *, most: int = 3) -> tuple[str, ...]:
    """Input columns that carry a classifier's gain: the leader, and others with at least half of its share."""
    by_name: dict[str, float] = {}
    for name, share in zip(seen.owner, gain.tolist(), strict=True):
        by_name[name] = by_name.get(name, 0.0) + share
    ranked = sorted(by_name.items(), key=lambda item: (-item[1], item[0]))
    if not ranked or ranked[0][1] <= 0:
        return ()
    return tuple(name for name, share in ranked[:most] if share >= 0.5 * ranked[0][1])


def moved(case: Case, seen: View, parts: Split) -> bool:
    """Whether the inputs moved more than the reference's halves differ: together, or the foremost by itself.

    Where some input is never at rest, the windows are always told apart by it.
    """
    ratio = parts.parts.ratio
    usual = max(parts.usual_auc - 0.5, 0.0)
    if ratio.auc - 0.5 > 1.5 * usual + 3.0 * ratio.se:
        return True
    foremost = departures(case).get(seen.owner[int(ratio.gain.argmax())])
    return (
        ratio.auc > _PLAINLY
        and foremost is not None
        and foremost.departed
        and foremost.distance > 3.0 * foremost.usual
    )


def _harmful(seen: View, parts: Split) -> bool:
    change = parts.parts.change
    return change.high < 0 if seen.lower_is_worse else change.low > 0


def _width(share: Share) -> float:
    return (share.high - share.low) / 2


def _harmless(case: Case, seen: View, parts: Split) -> str:
    change, ratio = parts.parts.change, parts.parts.ratio
    how = "moved" if moved(case, seen, parts) else "did not move"
    return (
        f"inputs {how} (windows told apart with AUC {ratio.auc:.2f}), but the metric changed by "
        f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]: no harm"
    )


def waterfall(case: Case, parts: Split) -> Mapping[str, Any]:
    """The parts as chart data."""
    p = parts.parts
    steps = (
        ("class balance", p.balance),
        ("inputs", p.covariates),
        ("outcome given inputs", p.conditional),
        ("unseen inputs", p.unseen),
    )
    return {
        "kind": "waterfall",
        "metric": case.metric.name,
        "start": p.reference,
        "end": p.current,
        "steps": [
            {"label": label, "value": s.value, "low": s.low, "high": s.high}
            for label, s in steps
            if s.value != 0.0
        ],
        "title": "What moved the metric",
    }


def _prior(case: Case, parts: Split) -> Iterator[Outcome]:
    prior, p = parts.prior, parts.parts
    if not len(prior.reference):
        yield Abstained(("prior_shift",), "the task has no classes")
        return
    if _one_answer(case):
        told = "every answer is the same: how common a class is, is the metric itself and no reason for it"
        yield Abstained(("prior_shift",), told)
        return
    subject = Subject("label", (case.incident.data.columns.target or "label",))
    if not p.balanced:
        why = (
            "the class balance did not move"
            if not prior.moved
            else (
                f"the classes changed from within (distance {prior.conditional:.2f}, p = {prior.conditional_p:.1g})"
            )
        )
        yield Clear(("prior_shift",), Subject(), why, 0.02, "class_balance.steady")
        return
    share, low, high = fraction(p.balance, p.change)
    k = int(np.abs(prior.current - prior.reference).argmax())
    text = (
        f"class {case.classes[k]!r} went from {prior.reference[k]:.1%} to {prior.current[k]:.1%} of the rows "
        f"while each class still looks the same; that alone explains {share:.0%} [{low:.0%}, {high:.0%}] "
        "of the change"
    )
    if high < 0.25:
        yield Clear(("prior_shift",), Subject(), text, 0.25, "class_balance.harmless")
        return
    yield Finding(
        signal="class_balance.shift",
        subject=subject,
        statement=text,
        statistic=prior.distance,
        effect=share,
        p_value=prior.p_value,
        # Classes that moved beside another cause explain a part; those that are the cause explain most of it.
        strength=float(np.clip((share - 0.3) / 0.5, 0.05, 1.0)),
        supports=("prior_shift",),
        against=("concept_drift", "label_noise", "corrupted_labels"),
        repairs=(RepairPlan("reweight", subject, options={"to": "classes"}),),
        chart={
            "kind": "bars",
            "categories": list(case.classes[:30]),
            "format": "share",
            "reference": prior.reference[:30].tolist(),
            "current": prior.current[:30].tolist(),
        },
    )


def _one_answer(case: Case) -> bool:
    """Whether known answers of both windows are one, as where an outcome was judged and nothing predicted.

    A log of a language model that only tells whether it answered may hold a few rows where it did not.
    """
    said = [case.outputs(which).decision.astype(float) for which in ("reference", "current")]
    known = np.concatenate([d[d >= 0] for d in said])
    if not len(known):
        return False
    return judged(case) or bool((known == known[0]).all())


def _inputs(case: Case, seen: View, parts: Split) -> Iterator[Outcome]:
    p = parts.parts
    share, low, high = fraction(p.covariates, p.change)
    names = blamed(seen, p.ratio.gain)
    text = (
        f"reweighting the reference to the current inputs reproduces {share:.0%} [{low:.0%}, {high:.0%}] of the "
        f"change of {case.metric.name}"
    )
    if not moved(case, seen, parts) or high < 0.25:
        if fraction(p.unseen, p.change)[1] > _UNSEEN:
            return  # inputs did it, where no reweighting of the reference reaches
        yield Clear(("covariate_shift",), Subject(), text, 0.25, "shift_decomposition.no_inputs")
        return
    if low <= 0:
        return
    yield Finding(
        signal="shift_decomposition.inputs",
        subject=Subject("feature", names),
        statement=f"{text}; most of the shift lies in {', '.join(names)}",
        statistic=p.ratio.auc,
        effect=share,
        p_value=None,
        # Other hours than usual are no shift of their own: whether they are always so is the season's to say.
        strength=float(np.clip(share, 0.0, 1.0)) * (0.5 if _clocks(case, names) else 1.0),
        supports=("covariate_shift",),
        against=("concept_drift", "label_noise", "corrupted_labels", "evaluation_bug")
        if low > 0.6
        else (),
        repairs=(RepairPlan("reweight", Subject("feature", names), options={"to": "inputs"}),),
        chart=waterfall(case, parts),
    )


def _clocks(case: Case, names: tuple[str, ...]) -> bool:
    return bool(names) and all(tells_time(case, name) for name in names)


def _unseen(case: Case, seen: View, parts: Split) -> Iterator[Outcome]:
    p = parts.parts
    share, low, high = fraction(p.unseen, p.change)
    if low <= 0.1:
        return
    names = blamed(seen, p.ratio.gain)
    yield Finding(
        signal="shift_decomposition.unseen",
        subject=Subject("feature", names),
        statement=(
            f"{1 - p.supported:.1%} of the rows lie where the reference has none; they carry "
            f"{share:.0%} [{low:.0%}, {high:.0%}] of the change of {case.metric.name}"
        ),
        statistic=1 - p.supported,
        effect=share,
        p_value=None,
        strength=float(np.clip(low, 0.3, 1)),
        supports=("covariate_shift",),
        chart=waterfall(case, parts),
    )


def _apart(case: Case, seen: View, parts: Split) -> Iterator[Outcome]:
    """Inputs so far apart that the change cannot be divided, while nothing says that it lies elsewhere."""
    p = parts.parts
    _, low, _ = fraction(p.conditional, p.change)
    if p.ratio.auc < _FAR or low > 0.3:
        return
    names = blamed(seen, p.ratio.gain)
    yield Finding(
        signal="shift_decomposition.apart",
        subject=Subject("feature", names),
        statement=(
            f"the inputs of the windows hardly overlap (told apart with AUC {p.ratio.auc:.2f}, most of all by "
            f"{', '.join(names)}); the change is compatible with the inputs alone"
        ),
        statistic=p.ratio.auc,
        effect=p.ratio.auc - 0.5,
        p_value=None,
        strength=1.0,
        supports=("covariate_shift",),
        chart=waterfall(case, parts),
    )


def _rest(parts: Split) -> Iterator[Outcome]:
    p = parts.parts
    share, low, high = fraction(p.conditional, p.change)
    if low < 0.5:
        return
    yield Finding(
        signal="shift_decomposition.conditional",
        subject=Subject(),
        statement=(
            f"{share:.0%} [{low:.0%}, {high:.0%}] of the change happened at unchanged inputs: the mix of rows "
            "is not the cause"
        ),
        statistic=share,
        effect=share,
        p_value=None,
        strength=float(np.clip(share, 0.0, 1.0)),
        supports=(),
        against=("covariate_shift", "prior_shift", "benign_mix", "selection_bias"),
    )
