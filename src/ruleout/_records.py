"""The frozen records that the stages exchange. Standard library only.

A check returns *outcomes* (`Finding`, `Clear`, `Abstained`); the engine turns findings into numbered
`Evidence`, weighs `Hypothesis` by it, and closes with one `Diagnosis`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Layer = Literal["data", "model", "infrastructure", "integration", "none", "unknown"]
Status = Literal["confirmed", "supported", "possible", "ruled_out"]
Role = Literal["root_cause", "amplifier", "sustaining", "consequence"]
Verdict = Literal["cause_found", "inconclusive", "no_incident"]
SubjectKind = Literal[
    "feature",
    "segment",
    "class",
    "label",
    "model",
    "service",
    "host",
    "metric",
    "edge",
    "source",
    "change",
    "pipeline",
    "none",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding or a hypothesis is about, by the incident's own names."""

    kind: SubjectKind = "none"
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Onset:
    """When something began: the likeliest instant and a 90% interval, ISO 8601 in UTC."""

    at: str
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Which current rows are affected; the default is all of them."""

    since: float | None = None
    """Only rows at or after this instant (epoch seconds)."""

    until: float | None = None
    """Only rows before this instant (epoch seconds)."""

    column: str | None = None
    """Only rows where this column ..."""

    values: tuple[str, ...] = ()
    """... has one of these values, as text."""


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """A named repair with its parameters, ready to be replayed."""

    repair: str
    """The id under which the repair is registered."""

    subject: Subject
    scope: Scope = Scope()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A check saw something."""

    signal: str
    """Key of the weights file: the kind of thing seen, e.g. `quantile_relation.scale`."""

    subject: Subject
    statement: str
    """One sentence with its numbers, for a person."""

    statistic: float
    effect: float
    """Size of the departure in units of its own noise or scale; larger is stronger."""

    p_value: float | None
    strength: float
    """In [0, 1]: the share of the signal's full weight that this finding has earned."""

    supports: tuple[str, ...]
    """Failure modes proposed with this subject."""

    against: tuple[str, ...] = ()
    """Failure modes it speaks against for the same subject (or for any subject)."""

    scope: Scope = Scope()
    onset: Onset | None = None
    repairs: tuple[RepairPlan, ...] = ()
    chart: Mapping[str, Any] = field(default_factory=dict)
    """Data for the report: `{"kind": "quantiles", ...}`; small, JSON-ready."""


@dataclass(frozen=True, slots=True)
class Clear:
    """A check looked and saw nothing."""

    modes: tuple[str, ...]
    """The failure modes that this rules out."""

    subject: Subject
    statement: str
    would_have_seen: float
    """Smallest effect this sample would have shown with 80% power, in the check's own units."""

    signal: str = ""


@dataclass(frozen=True, slots=True)
class Abstained:
    """A check did not look, or could not."""

    modes: tuple[str, ...]
    reason: str
    needs: str = ""
    """The part of the incident that would let it look, e.g. `probes.audit`."""


Outcome = Finding | Clear | Abstained


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check returned, with its name and where it stands on the ladder."""

    check: str
    layer: Layer
    rung: str
    outcomes: tuple[Outcome, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured fact, numbered; the row a reader can follow back to the query."""

    id: str
    check: str
    layer: Layer
    subject: Subject
    statement: str
    statistic: float | None
    effect: float | None
    p_value: float | None
    supports: tuple[str, ...]
    against: tuple[str, ...]
    signal: str = ""
    strength: float = 1.0
    chart: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explained:
    """The share of the symptom that goes away when the hypothesis is undone."""

    fraction: float
    low: float
    high: float
    method: str
    """`repair_replay`, `surrogate_replay`, `reweighting`, `version_swap`, `trace_replay`, ..."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something to do, and what it should bring."""

    kind: str
    """`mitigate`, `fix` or `prevent`."""

    action: str
    reversible: bool
    expected_effect: float | None = None
    """Change of the symptom's metric that the replay promises, in the metric's units."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A failure mode with a subject, and how far it can be believed."""

    rank: int
    failure_mode: str
    layer: Layer
    subject: Subject
    probability: float
    status: Status
    role: Role = "root_cause"
    explained: Explained | None = None
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    onset: Onset | None = None
    change: str | None = None
    chain: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight of evidence in nats by evidence id, plus `prior`."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """The metric's change, with an interval that respects autocorrelation."""

    metric: str | None
    reference: float | None
    current: float | None
    change: float | None
    low: float | None
    high: float | None
    significant: bool | None
    onset: Onset | None
    labels: str
    """`mature`, `immature`, `missing`, `estimated`, `unknown` (what should date them does not) or `none` (the task has no labels)."""


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A mode that a check looked for and did not find."""

    failure_mode: str
    subject: Subject | None
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A mode that nobody looked for, and what that needs."""

    failure_mode: str
    needs: str


@dataclass(frozen=True, slots=True)
class NextEvidence:
    """An observation that would move the probabilities most."""

    gather: str
    separates: tuple[str, ...]
    information_gain_bits: float


@dataclass(frozen=True, slots=True)
class SafeguardGap:
    """A safeguard whose absence shows in behaviour."""

    safeguard: str
    on: tuple[str, ...]
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AlignedChange:
    """A change event, and how well its time fits the onset (a probability, base rates included)."""

    id: str
    at: str
    kind: str
    entity: str
    description: str
    ref: str | None
    alignment: float


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What became of one source: `ok`, `empty` or `failed`, with rows or the reason."""

    name: str
    status: str
    rows: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """About this run; the only part of a diagnosis that may differ between repeats."""

    ruleout: str
    seconds: float
    peak_mb: float
    sources: tuple[SourceStatus, ...]


@dataclass(frozen=True, slots=True)
class IncidentRef:
    """Which incident was diagnosed."""

    title: str
    task: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The answer: format version 1 of the public contract."""

    incident: IncidentRef
    symptom: Symptom
    verdict: Verdict
    layers: Mapping[str, float]
    hypotheses: tuple[Hypothesis, ...]
    ruled_out: tuple[RuledOut, ...]
    not_checked: tuple[NotChecked, ...]
    next_evidence: tuple[NextEvidence, ...]
    safeguard_gaps: tuple[SafeguardGap, ...]
    evidence: tuple[Evidence, ...]
    changes: tuple[AlignedChange, ...]
    run: Run
    version: int = 1
    charts: Mapping[str, Any] = field(default_factory=dict)
    """Report-only chart data (not part of the JSON contract): metric over time, waterfall, ..."""
