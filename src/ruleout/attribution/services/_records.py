"""What the analysis of the services behind a prediction returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ruleout._records import (
    AlignedChange,
    Checked,
    Explained,
    Onset,
    Role,
    SafeguardGap,
    SourceStatus,
    Subject,
    Symptom,
)

if TYPE_CHECKING:
    from ruleout.attribution.services._scene import Observed


class Signal(NamedTuple):
    """One thing seen about one entity that speaks for its being the cause."""

    entity: str
    name: str
    """Key of the signal, e.g. `symptom_flow`, `behaviour`, `metric.cpu`."""

    weight: float
    """Evidence in nats that this entity is the cause."""

    modes: Mapping[str, float]
    """Failure modes it speaks for, with shares."""

    statement: str
    statistic: float
    effect: float
    of: str = ""
    """Whose loss it takes over, where it is told as another's."""


class Null(NamedTuple):
    """One way in which the alarm is nobody's fault."""

    mode: str
    subject: Subject
    probability: float
    statement: str
    by_itself: bool = False
    """Whether the symptom's own series shows it, whatever others do."""


@dataclass(frozen=True, slots=True)
class ServiceHypothesis:
    """An entity with a failure mode, and how far it can be believed to be the cause."""

    failure_mode: str
    subject: Subject
    probability: float
    role: Role = "root_cause"
    chain: tuple[str, ...] = ()
    """From the cause to the symptom."""

    onset: Onset | None = None
    change: str | None = None
    """Id of the change that did it, among `ServicesResult.changes`."""

    explained: Explained | None = None
    signals: tuple[str, ...] = ()
    """Signals of the findings that speak for it."""


@dataclass(frozen=True, slots=True)
class ServicesResult:
    """Everything telemetry and changes have to say about an incident."""

    symptom: Symptom
    checked: tuple[Checked, ...]
    hypotheses: tuple[ServiceHypothesis, ...]
    """Likeliest first; their probabilities, `unknown` and those of the nulls sum to 1."""

    unknown: float
    nulls: tuple[Null, ...] = ()
    """Null hypotheses, likeliest first."""
    safeguard_gaps: tuple[SafeguardGap, ...] = ()
    changes: tuple[AlignedChange, ...] = ()
    sources: tuple[SourceStatus, ...] = ()
    ranking: tuple[tuple[str, float], ...] = ()
    """Entities by probability, whatever the mode."""

    signals: tuple[Signal, ...] = ()
    """Everything that spoke for an entity, before it was summed."""

    suspicion: tuple[tuple[str, float], ...] = ()
    """Score of every change by its reference (else its id), and of `none`; empty without changes."""

    lineage: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Features by the entity that fills them, where the incident's lineage and telemetry share its name."""

    charts: Mapping[str, Any] = field(default_factory=dict)

    seen: Observed | None = field(default=None, repr=False)
    """What all of it was told from; None where there was nothing to look at."""

    @property
    def no_incident(self) -> float:
        """Probability that nothing is at fault."""
        return sum(one.probability for one in self.nulls)
