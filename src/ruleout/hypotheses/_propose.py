"""From findings to hypotheses: numbered evidence, and (failure mode, subject) pairs worth weighing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ruleout._records import (
    Abstained,
    Checked,
    Clear,
    Evidence,
    Explained,
    Finding,
    Onset,
    RepairPlan,
    Subject,
)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An outcome with its evidence row."""

    evidence: Evidence
    finding: Finding | None
    clear: Clear | None


@dataclass(slots=True)
class Candidate:
    """A hypothesis while it is being weighed."""

    mode: str
    subject: Subject
    proposers: list[Numbered] = field(default_factory=list)
    """Findings that support this mode for this very subject, strongest first."""

    known_as: tuple[Subject, ...] = ()
    """Subjects under which signs of it were found, where they are not its own."""

    joint: tuple[RepairPlan, ...] | None = None
    """Repairs of all its inputs at once, in place of those that its findings propose for each."""

    explained: Explained | None = None
    undone_by: RepairPlan | None = None
    weights: dict[str, float] = field(default_factory=dict)
    logit: float = 0.0
    probability: float = 0.0

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What makes two candidates the same, in whatever order a finding lists the names."""
        return (self.mode, self.subject.kind, tuple(sorted(self.subject.names)))

    @property
    def plans(self) -> list[RepairPlan]:
        """Repairs that its findings propose, without repeats."""
        if self.joint is not None:
            return list(self.joint)
        seen: list[RepairPlan] = []
        for numbered in self.proposers:
            for plan in numbered.finding.repairs if numbered.finding else ():
                if plan not in seen:
                    seen.append(plan)
        return seen

    @property
    def onset(self) -> Onset | None:
        """The onset of its strongest finding that has one."""
        return next(
            (n.finding.onset for n in self.proposers if n.finding and n.finding.onset), None
        )


def number(checked: Sequence[Checked], first: int = 1) -> list[Numbered]:
    """Evidence rows for all findings and clears, in the order of the ladder, numbered from `first`."""
    rows: list[Numbered] = []
    for done in checked:
        for outcome in done.outcomes:
            if isinstance(outcome, Abstained):
                continue
            rows.append(_row(f"E{len(rows) + first}", done, outcome))
    return rows


def _row(name: str, done: Checked, outcome: Finding | Clear) -> Numbered:
    if isinstance(outcome, Finding):
        evidence = Evidence(
            name,
            done.check,
            done.layer,
            outcome.subject,
            outcome.statement,
            outcome.statistic,
            outcome.effect,
            outcome.p_value,
            outcome.supports,
            outcome.against,
            outcome.signal,
            outcome.strength,
            outcome.chart,
        )
        return Numbered(evidence, outcome, None)
    evidence = Evidence(
        name,
        done.check,
        done.layer,
        outcome.subject,
        outcome.statement,
        None,
        outcome.would_have_seen,
        None,
        (),
        outcome.modes,
        outcome.signal or done.check,
        1.0,
    )
    return Numbered(evidence, None, outcome)


def propose(rows: Iterable[Numbered]) -> list[Candidate]:
    """One candidate for each (mode, subject) that a finding supports."""
    found: dict[tuple[str, str, tuple[str, ...]], Candidate] = {}
    for row in rows:
        if row.finding is None:
            continue
        for mode in row.finding.supports:
            fresh = Candidate(mode, row.finding.subject)
            found.setdefault(fresh.key, fresh).proposers.append(row)
    for candidate in found.values():
        candidate.proposers.sort(key=lambda n: -n.evidence.strength)
    return list(found.values())


def touches(a: Subject, b: Subject) -> bool:
    """Whether evidence about one subject bears on a hypothesis about the other."""
    return not a.names or not b.names or bool(set(a.names) & set(b.names))
