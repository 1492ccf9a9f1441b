"""What a diagnosis says, in sentences and groups; the writers only lay it out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from ruleout import modes
from ruleout._records import AlignedChange, Diagnosis, Hypothesis, NextEvidence, Symptom
from ruleout.postmortem import _words as words
from ruleout.profile import METRICS, known_metric

STATUS: Final = {
    "confirmed": "confirmed",
    "supported": "supported",
    "possible": "possible",
    "ruled_out": "ruled out",
}
LABEL: Final = {
    "cause_found": "CAUSE FOUND",
    "inconclusive": "UNDECIDED",
    "no_incident": "NO INCIDENT",
}
_METHOD: Final = {
    "repair_replay": "the repair was replayed through the model",
    "surrogate_replay": "the repair was replayed through a surrogate of the model",
    "reweighting": "rows were re-weighted",
    "version_swap": "the versions were swapped",
    "trace_replay": "the critical path was replayed",
    "error_masking": "its failures were masked in the traces",
    "damage_replay": "the damage was done to the reference",
    "exclusion": "the affected rows were left out",
    "audit": "audited labels were put in",
}
_LABELS: Final = {
    "mature": "labels are final",
    "immature": "labels are not final yet",
    "missing": "no labels",
    "estimated": "estimated without labels",
    "unknown": "nothing says whether labels are final",
    "none": "",
}


_OPEN: Final = 0.2
"""A fault that is at least so likely is told even where the answer is that there is none."""

_NEITHER: Final = frozenset({"bias", "mean_prediction", "mean_score"})
"""Metrics of which neither more nor less is good in itself."""

_STANDS: Final = re.compile(r"; it stands for ([^;]+)")
_WORST: Final = re.compile(r"where (.+) \((\d+) rows\) the loss went from (\S+) to (\S+),")


class Group(NamedTuple):
    """Failure modes under one heading."""

    heading: str
    items: tuple[str, ...]


def name(hypothesis: Hypothesis) -> str:
    """The failure mode and what it struck."""
    subject = words.subject_text(hypothesis.subject)
    title = words.mode_title(hypothesis.failure_mode)
    if hypothesis.subject.kind == "change" and hypothesis.subject.names:
        # A change is done to things; nothing is in it.
        return f"{title} ({', '.join(hypothesis.subject.names)})"
    if hypothesis.failure_mode == "change_regression" and hypothesis.change:
        # Several changes to one service are as many hypotheses.
        title = f"{title} ({words.clean(hypothesis.change, 20)})"
    return f"{title} in {subject}" if subject else title


def chain(hypothesis: Hypothesis) -> tuple[str, ...]:
    """From the subject to the metric; what stands twice in a row is one step."""
    first, rest = hypothesis.chain[:1], hypothesis.chain[1:]
    named = (modes.called(name, hypothesis.subject.kind) for name in first)
    return tuple(name for name, _ in groupby((*named, *rest)))


def standing(hypothesis: Hypothesis) -> str:
    """The status, and the role when it is not the root cause's."""
    role = "" if hypothesis.role == "root_cause" else f", {hypothesis.role.replace('_', ' ')}"
    return f"{STATUS[hypothesis.status]}{role}"


def causes(diagnosis: Diagnosis) -> tuple[Hypothesis, ...]:
    """The best hypothesis and every further root cause beside it; none while undecided."""
    if not diagnosis.hypotheses or diagnosis.verdict == "inconclusive":
        return ()
    first, *rest = diagnosis.hypotheses
    beside = (h for h in rest if h.role == "root_cause" and h.probability >= 0.5 and _held(h))
    return (first, *beside)


def _held(hypothesis: Hypothesis) -> bool:
    return hypothesis.status in {"confirmed", "supported"}


def headline(diagnosis: Diagnosis) -> str:
    """The verdict in one sentence (two when there are two causes)."""
    if diagnosis.verdict == "no_incident":
        return _nothing(diagnosis)
    if diagnosis.verdict == "inconclusive":
        return _undecided(diagnosis)
    found = causes(diagnosis)
    if not found:
        return "A cause was found, but no hypothesis describes it."
    sentences = [f"{name(found[0])}: {proof(found[0], diagnosis.symptom)}."]
    sentences += [f"Beside it, {name(h)}: {proof(h, diagnosis.symptom)}." for h in found[1:3]]
    return " ".join(sentences)


def proof(hypothesis: Hypothesis, symptom: Symptom) -> str:
    """How sure, and what that rests on."""
    likely = f"{words.percent(hypothesis.probability)} likely"
    explained = hypothesis.explained
    if explained is None:
        tail = {
            "confirmed": "confirmed by an intervention",
            "supported": "supported by the evidence, not proven by undoing it",
        }.get(hypothesis.status, "not proven")
        return f"{likely}, {tail}"
    what = f"the change in {words.clean(symptom.metric, 40)}" if symptom.metric else "the symptom"
    verb = (
        "undoing it takes away"
        if hypothesis.status == "confirmed"
        else "undoing it would take away"
    )
    return f"{likely}; {verb} {share(hypothesis)} of {what}"


def share(hypothesis: Hypothesis) -> str:
    """The explained share with its interval, or a dash."""
    explained = hypothesis.explained
    if explained is None:
        return "–"
    low, high = words.percent(explained.low), words.percent(explained.high)
    return f"{words.percent(explained.fraction)} ({low} to {high})"


def method(hypothesis: Hypothesis) -> str:
    """How the explained share was found."""
    if hypothesis.explained is None:
        return "not undone"
    known = hypothesis.explained.method
    return _METHOD.get(known, words.clean(known.replace("_", " "), 60))


def elsewhere(diagnosis: Diagnosis) -> float:
    """The mass on something that is not in the list."""
    unknown = words.finite(diagnosis.layers.get("unknown")) or 0.0
    return max(unknown, 1.0 - sum(h.probability for h in diagnosis.hypotheses))


def _nothing(diagnosis: Diagnosis) -> str:
    symptom = diagnosis.symptom
    why = ""
    if diagnosis.hypotheses:
        first = diagnosis.hypotheses[0]
        why = f"{name(first)} ({words.percent(first.probability)} likely)"
    if symptom.metric is None or symptom.change is None:
        return f"Nothing is broken as far as could be seen: {why or 'no symptom was found'}."
    metric = words.clean(symptom.metric, 40)
    if diagnosis.hypotheses and diagnosis.hypotheses[0].failure_mode == "monitor_defect":
        return f"What is reported is wrong, not what is served: {why}."
    if not symptom.significant and better(symptom):
        return f"{metric} got better, not worse. If that is not so, the two windows are exchanged."
    if symptom.significant:
        told = f"{metric} did change, but nothing is broken: {why or 'no fault was found'}."
    else:
        told = (
            f"The change in {metric} is within its usual variation: {why or 'no fault was found'}."
        )
    open_ = [h for h in diagnosis.hypotheses[1:3] if h.probability >= _OPEN]
    said = words.listed([f"{name(h)} ({words.percent(h.probability)})" for h in open_])
    return f"{told} Not ruled out: {said}." if said else told


def better(symptom: Symptom) -> bool:
    """Whether a metric of quality moved the good way, by more than its interval gives to chance."""
    known = METRICS.get(known_metric(symptom.metric or "") or "")
    if known is None or symptom.low is None or symptom.high is None:
        return False
    if known.name in _NEITHER:
        return False
    return symptom.low > 0 if known.higher_is_better else symptom.high < 0


def rivals(diagnosis: Diagnosis) -> tuple[Hypothesis, ...]:
    """The best hypothesis and those, at most two, that are at least half as likely."""
    first, *rest = diagnosis.hypotheses[:3] or (None,)
    if first is None:
        return ()
    return (first, *(h for h in rest if h.probability >= 0.5 * first.probability))


def _undecided(diagnosis: Diagnosis) -> str:
    if not diagnosis.hypotheses:
        return "No cause can be named: nothing that was looked for was found."
    said = [f"{name(h)} ({words.percent(h.probability)})" for h in rivals(diagnosis)]
    if len(said) > 1:
        sentence = f"No single cause can be named: {words.listed(said)} remain open"
    else:
        sentence = f"No cause is proven: the likeliest is {said[0]}"
    if (rest := elsewhere(diagnosis)) >= 0.15:
        sentence += f", and {words.percent(rest)} is on something not in the list"
    return f"{sentence}."


class Move(NamedTuple):
    """The symptom's numbers as text."""

    metric: str
    before: str
    after: str
    change: str
    interval: str
    labels: str

    @property
    def told(self) -> str:
        """The change with its interval; empty where one of the windows gives no number."""
        return f"{self.change} ({self.interval})" if self.change else ""

    def line(self, gap: str = ", ") -> str:
        """All of it but the metric's name."""
        told = f"{gap}{self.told}" if self.told else ""
        labels = f"; {self.labels}" if self.labels else ""
        return f"{self.before} → {self.after}{told}{labels}"


def move(symptom: Symptom) -> Move | None:
    """The metric before and after, or None when there is none."""
    if symptom.metric is None or (symptom.reference is None and symptom.current is None):
        return None
    scale = symptom.change or symptom.reference or symptom.current
    known = symptom.low is not None and symptom.high is not None
    interval = f"{words.signed(symptom.low, scale)} to {words.signed(symptom.high, scale)}"
    return Move(
        words.clean(symptom.metric, 40),
        words.figure(symptom.reference, scale),
        words.figure(symptom.current, scale),
        "" if symptom.change is None else words.signed(symptom.change, scale),
        interval if known else "interval unknown",
        _LABELS.get(symptom.labels, words.clean(symptom.labels, 40)),
    )


def unmeasured(symptom: Symptom) -> str:
    """Why there is no metric to show."""
    reason = _LABELS.get(symptom.labels, "")
    return f"not measured ({reason})" if reason else "not measured"


def stands_for(diagnosis: Diagnosis) -> str:
    """The metric that was asked for and why another was measured; empty where it was that one."""
    for item in diagnosis.evidence:
        if item.check == "metric_change" and (told := _STANDS.search(item.statement)):
            return words.clean(told[1], 160)
    return ""


def sure(diagnosis: Diagnosis) -> tuple[str, str]:
    """How sure the answer is, and what that rests on."""
    if not diagnosis.hypotheses:
        return "unknown", "no hypothesis was proposed"
    first = diagnosis.hypotheses[0]
    rests = STATUS[first.status]
    if diagnosis.verdict != "no_incident":
        rests += f"; {method(first)}"
    return words.percent(first.probability), rests


def unmoved(diagnosis: Diagnosis) -> bool:
    """Whether the metric did no more than it usually does."""
    return diagnosis.verdict == "no_incident" and diagnosis.symptom.significant is False


def begun(diagnosis: Diagnosis) -> tuple[str, str]:
    """When it began, by the symptom or else by a found cause; and the interval or the reason."""
    if diagnosis.symptom.onset is not None:
        onset = diagnosis.symptom.onset
        return f"{words.onset_at(onset)} UTC", words.between(onset)
    for hypothesis in causes(diagnosis):
        if hypothesis.onset is not None:
            interval = words.between(hypothesis.onset)
            return f"{words.onset_at(hypothesis.onset)} UTC", f"{interval}, by the cause".lstrip(
                ", "
            )
    if unmoved(diagnosis):
        if better(diagnosis.symptom):
            return "nothing began", "the metric did not get worse"
        return "nothing began", "the metric did what it usually does"
    dated = diagnosis.incident.task == "none" or any(
        chart(diagnosis, key).get("times") for key in ("metric", "series")
    )
    return "not known", "no single point in time" if dated else "no timestamps in both windows"


def since(diagnosis: Diagnosis) -> str:
    """When it began, in one phrase."""
    short, more = begun(diagnosis)
    return f"{short} ({more})" if more else short


def hit(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Segments, classes, hosts and slices that lost clearly more than the whole."""
    named = [h.subject for h in causes(diagnosis) if h.subject.kind in {"segment", "class", "host"}]
    told = {name for subject in named for name in subject.names}
    slices = (text for value, text in _worst_slices(diagnosis) if value not in told)
    return (*(words.subject_text(subject) for subject in named), *slices)


def struck(diagnosis: Diagnosis, most: int = 3) -> tuple[str, str]:
    """Who is hit, and why that is not known where it is not."""
    parts = hit(diagnosis)
    if parts:
        return words.listed(parts, most), ""
    if unmoved(diagnosis):
        return "nobody", "as far as could be seen"
    if rows := _worst_rows(diagnosis):
        return rows
    if reporting := _reporting(diagnosis):
        return reporting, "where the symptom is seen"
    if diagnosis.incident.task == "none":
        return "not localised", "telemetry has no segments"
    return "not localised", "no segment stands out, or none was looked at"


def _worst_rows(diagnosis: Diagnosis) -> tuple[str, str] | None:
    """Rows by their inputs that lost most, where it is the answers that are worse and no segment stands out."""
    metric = diagnosis.symptom.metric or ""
    if known_metric(metric) is None and metric != "output_shift":
        return None
    told = (_WORST.match(e.statement) for e in diagnosis.evidence if e.check == "worst_slices")
    found = next((match for match in told if match), None)
    if found is None or found[1].count(" and ") > 1:
        return None  # three conditions describe a corner, not who is hit
    where, rows, before, after = found.groups()
    loss = f"their loss went from {before} to {after} ({rows} rows)"
    return f"rows where {words.clean(where, 120)}", loss


def _reporting(diagnosis: Diagnosis) -> str:
    """The service whose symptom it is, where telemetry has one."""
    nodes = chart(diagnosis, "graph").get("nodes")
    for node in nodes if isinstance(nodes, Sequence) else ():
        if isinstance(node, Mapping) and node.get("role") == "symptom":
            return words.clean(node.get("id", ""), 60)
    # A service that is its own cause has one role only; the chain to the metric ends in it.
    told = next((h.chain for h in causes(diagnosis)), ()) if nodes else ()
    reports = [name for name in told if name != diagnosis.symptom.metric]
    return words.clean(reports[-1], 60) if reports else ""


def who(diagnosis: Diagnosis) -> str:
    """Who is hit, in one phrase."""
    short, more = struck(diagnosis)
    return f"{short}: {more}" if more else short


def _worst_slices(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Value and text of each segment's value that was hit, the worst first."""
    rows = chart(diagnosis, "slices").get("rows")
    change = diagnosis.symptom.change
    if not isinstance(rows, Sequence) or not change:
        return []
    moved: list[tuple[float, str, str]] = []
    for row in rows:
        if not isinstance(row, Mapping):
            continue
        before, after = words.finite(row.get("before")), words.finite(row.get("after"))
        if before is None or after is None:
            continue
        ratio = (after - before) / change
        # By size alone, a slice is hit when it lost clearly more than the whole did.
        if row.get("hit", ratio >= 1.25) and ratio > 1:
            told = f"{words.figure(before, change)} → {words.figure(after, change)}"
            name = str(row.get("name", "?"))
            moved.append((ratio, name.partition(" = ")[2], f"{words.clean(name, 40)} {told}"))
    return [(value, text) for _, value, text in sorted(moved, key=lambda item: -item[0])]


def parts(step: NextEvidence) -> str:
    """Which hypotheses an observation would part."""
    titles = [words.mode_title(m) for m in step.separates]
    return f"{titles[0]} from {titles[1]}" if len(titles) == 2 else words.listed(titles, 4)


def ruled_out(diagnosis: Diagnosis) -> tuple[Group, ...]:
    """Ruled-out modes by the check that looked; the busiest check first."""
    check_of = {e.id: e.check for e in diagnosis.evidence}
    groups: dict[str, list[str]] = {}
    for entry in diagnosis.ruled_out:
        heads = words.unique(check_of.get(b, b) for b in entry.because)
        subject = words.subject_text(entry.subject, 2)
        title = words.mode_title(entry.failure_mode)
        groups.setdefault(_heads(heads), []).append(f"{title} ({subject})" if subject else title)
    return _largest_first(groups)


def _heads(checks: Sequence[str]) -> str:
    return words.listed([words.check_name(c) for c in checks], 3) or "unnamed check"


def not_checked(diagnosis: Diagnosis) -> tuple[Group, ...]:
    """Modes that nobody looked for, by the part of the incident that this would need."""
    groups: dict[str, list[str]] = {}
    given = {s.name for s in diagnosis.run.sources if s.status == "ok"}
    for entry in diagnosis.not_checked:
        need = words.clean(entry.needs, 120) or "something that no incident can supply"
        if need in given:
            # Nobody should go and look for what is there.
            need = f"{need} does not hold what would show it"
        groups.setdefault(need, []).append(words.mode_title(entry.failure_mode))
    return _largest_first(groups)


def _largest_first(groups: Mapping[str, list[str]]) -> tuple[Group, ...]:
    made = [Group(heading, tuple(words.unique(items))) for heading, items in groups.items()]
    return tuple(sorted(made, key=lambda group: -len(group.items)))


def changes(diagnosis: Diagnosis) -> tuple[AlignedChange, ...]:
    """Change events: those that a cause names first, then by how well they fit the onset."""
    blamed = _blamed(diagnosis)
    return tuple(sorted(diagnosis.changes, key=lambda c: (c.id not in blamed, -c.alignment)))


def _blamed(diagnosis: Diagnosis) -> set[str]:
    named: set[str] = set()
    for hypothesis in causes(diagnosis):
        if hypothesis.change:
            named.add(hypothesis.change)
        if hypothesis.subject.kind == "change":
            named.update(hypothesis.subject.names)
    return named


def fitting(diagnosis: Diagnosis) -> str:
    """The change that fits the onset best, in one phrase; empty without changes."""
    aligned = changes(diagnosis)
    if not aligned:
        return ""
    best = aligned[0]
    if all(c.alignment < 0.005 for c in aligned) and not _blamed(diagnosis):
        many = f"none of the {len(aligned)} changes fits"
        return f"{many if len(aligned) > 1 else 'the one change does not fit'} the onset"
    told = (
        f"{words.day_and_hour(best.at)} {words.clean(best.kind, 20)} {words.clean(best.entity, 40)}"
    )
    more = f" (+{len(aligned) - 1} more)" if len(aligned) > 1 else ""
    return f"{told} fits the onset {words.percent(best.alignment)}{more}: {words.clean(best.description, 120)}"


def chart(diagnosis: Diagnosis, key: str) -> Mapping[str, Any]:
    """A named chart, or an empty one."""
    found = diagnosis.charts.get(key)
    return found if isinstance(found, Mapping) else {}


def failed_sources(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Sources that gave nothing, with the reason."""
    bad = (s for s in diagnosis.run.sources if s.status != "ok")
    return tuple(f"{words.clean(s.name, 60)} {s.status}{_because(s.reason)}" for s in bad)


def _because(reason: str | None) -> str:
    return f": {words.clean(reason, 160)}" if reason else ""
