"""What to do about a diagnosis, in the order in which to do it."""

from __future__ import annotations

from typing import Final, NamedTuple

from ruleout import modes
from ruleout._records import Diagnosis, Hypothesis, Remedy, SafeguardGap, Symptom
from ruleout.postmortem import _story as story
from ruleout.postmortem import _words as words

_WHEN: Final = {"mitigate": "now", "fix": "for good", "prevent": "for next time"}


class Action(NamedTuple):
    """Something to do, all in words."""

    text: str
    when: str
    effect: str
    """What it promises and whether it can be taken back; may be empty."""

    done: str
    """How to see that it has worked."""

    @property
    def line(self) -> str:
        """The action with its effect."""
        text = self.text.rstrip(".")
        return f"{text} ({self.effect})" if self.effect else text


def actions(diagnosis: Diagnosis) -> tuple[Action, ...]:
    """Mitigations, then fixes; while nothing is proven, the next observation comes first."""
    if diagnosis.verdict == "inconclusive":
        return _careful(diagnosis)
    found = [
        _action(remedy, diagnosis.symptom)
        for kind in ("mitigate", "fix")
        for hypothesis in story.causes(diagnosis)
        for remedy in hypothesis.remedies
        if remedy.kind == kind
    ]
    return _once(found) or (_first_step(diagnosis),)


def prevention(diagnosis: Diagnosis) -> tuple[Action, ...]:
    """What would have prevented it: the remedies that say so, else the catalogue's advice."""
    if diagnosis.verdict == "inconclusive":
        return ()
    found: list[Action] = []
    for hypothesis in story.causes(diagnosis):
        mode = modes.load().get(hypothesis.failure_mode)
        said = [r for r in hypothesis.remedies if r.kind == "prevent"]
        known = (
            [Remedy("prevent", text, reversible=True) for text in mode.prevention] if mode else []
        )
        found += [_action(r, diagnosis.symptom) for r in said or known]
    return _once(found)


def missing(gap: SafeguardGap) -> str:
    """A safeguard that is missing, and where."""
    where = words.listed([words.clean(n, 60) for n in gap.on], 3)
    return f"{words.clean(gap.safeguard.replace('_', ' '), 60)} on {where}"


def _once(found: list[Action]) -> tuple[Action, ...]:
    return tuple(
        {a.text: a for a in reversed(found)}[text] for text in words.unique(a.text for a in found)
    )


def _careful(diagnosis: Diagnosis) -> tuple[Action, ...]:
    """The observation that decides, then what can be tried because it can be taken back."""
    found = [_first_step(diagnosis)]
    for hypothesis in story.rivals(diagnosis):
        found += [
            _if_so(hypothesis, _action(remedy, diagnosis.symptom))
            for remedy in hypothesis.remedies
            if remedy.kind == "mitigate" and remedy.reversible
        ][:1]
    return _once(found)


def _if_so(hypothesis: Hypothesis, action: Action) -> Action:
    return action._replace(text=f"If it is {story.name(hypothesis)}: {action.text}", when="if so")


def _first_step(diagnosis: Diagnosis) -> Action:
    if diagnosis.verdict == "no_incident":
        return Action(
            "Nothing to repair: close the alert and note why", "now", "", "the alert is closed"
        )
    if diagnosis.next_evidence:
        needed = words.need_text(diagnosis.next_evidence[0].gather)
        done = "a new diagnosis with it names one cause"
        return Action(f"Get {needed} before changing anything", "now", "", done)
    return Action(
        "Change nothing on this evidence alone", "now", "", "more evidence names one cause"
    )


def _action(remedy: Remedy, symptom: Symptom) -> Action:
    when = _WHEN.get(remedy.kind, words.clean(remedy.kind, 20))
    return Action(
        words.clean(remedy.action), when, _effect(remedy, symptom), _done(remedy, symptom)
    )


def _effect(remedy: Remedy, symptom: Symptom) -> str:
    if remedy.kind == "prevent":
        return ""
    parts = []
    if remedy.expected_effect is not None:
        change = words.signed(remedy.expected_effect, symptom.change or remedy.expected_effect)
        parts.append(f"expected {words.clean(symptom.metric or 'metric', 40)} {change}")
    parts.append("reversible" if remedy.reversible else "not reversible")
    return ", ".join(parts)


def _done(remedy: Remedy, symptom: Symptom) -> str:
    if remedy.kind == "prevent":
        return "the same fault, injected again, raises an alarm before users notice"
    if symptom.metric is None or symptom.reference is None:
        return "a new diagnosis of the time after it finds no incident"
    metric, scale = words.clean(symptom.metric, 40), symptom.change or symptom.reference
    before = words.figure(symptom.reference, scale)
    if remedy.expected_effect is not None and symptom.current is not None:
        goal = words.figure(symptom.current + remedy.expected_effect, scale)
        return f"{metric} is back near {goal} (it was {before}) and stays there"
    return f"{metric} is back near {before} and stays there"
