"""The whole flow, from an incident to its diagnosis."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ruleout
from ruleout import hypotheses as weighing
from ruleout import modes
from ruleout._records import (
    AlignedChange,
    Checked,
    Diagnosis,
    Hypothesis,
    IncidentRef,
    Run,
    SourceStatus,
    Symptom,
)
from ruleout.checks._run import run_checks
from ruleout.checks.symptom import as_symptom
from ruleout.experiments import Bench, Tried, charts
from ruleout.hypotheses import Candidate, Numbered
from ruleout.incident import Incident
from ruleout.profile import Case, build_case
from ruleout.sources import fingerprint

Progress = Callable[[str], None]
_WORTH_UNDOING = 24
"""Repairs are replayed for so many hypotheses, likeliest first."""

_WORTH_A_PICTURE = 3


def run(
    incident: Incident,
    *,
    trust_model: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diagnosis:
    """Diagnose an incident.

    Args:
        incident: what `ruleout.incident.load` or the Python door made.
        trust_model: allow models whose loading executes code.
        seed: fixes every random choice; the same incident and seed give the same answer.
        progress: told what is going on.

    Raises:
        IncidentError: the incident contradicts its tables.
        SourceError: a table cannot be read.
    """
    started = time.perf_counter()
    say = progress or (lambda _: None)
    case = build_case(incident, trust_model=trust_model, seed=seed, progress=progress)
    symptom = as_symptom(case)
    case.significant = symptom.significant
    say("running checks")
    checked = list(run_checks(case))
    rows = weighing.number(checked)
    candidates = weighing.propose(rows)
    weighing.weigh(candidates, rows)
    say("undoing what might have done it")
    bench = Bench(case)
    undo(candidates, bench)
    unknown = weighing.weigh(candidates, rows)
    changes = weighing.align_changes(case, symptom.onset)
    return _close(case, symptom, checked, rows, candidates, unknown, changes, bench, started)


def undo(candidates: Sequence[Candidate], bench: Bench) -> None:
    """Replay the repairs of the likeliest hypotheses and keep what each explains."""
    for candidate in sorted(candidates, key=lambda c: (-c.probability, c.key))[:_WORTH_UNDOING]:
        best = bench.best(candidate.mode, candidate.plans)
        if best is not None:
            candidate.undone_by, candidate.explained = best


def _close(
    case: Case,
    symptom: Symptom,
    checked: Sequence[Checked],
    rows: Sequence[Numbered],
    candidates: Sequence[Candidate],
    unknown: float,
    changes: Sequence[AlignedChange],
    bench: Bench,
    started: float,
) -> Diagnosis:
    incident = case.incident
    named = weighing.leading_change(changes)
    by_candidate = {
        c.key: name for c in candidates for name in named if not modes.mode(c.mode).is_null
    }
    ranked = weighing.rank(candidates, checked, symptom, by_candidate)
    sunk = weighing.ruled_out(candidates, rows)
    settled = {r.failure_mode for r in sunk} | {h.failure_mode for h in ranked}
    failed = {s.name: s.reason or "empty" for s in case.sources if s.status != "ok"}
    return Diagnosis(
        incident=IncidentRef(incident.title, incident.task, fingerprint(incident)),
        symptom=symptom,
        verdict=weighing.verdict(ranked),
        layers=weighing.layers(candidates, unknown),
        hypotheses=ranked,
        ruled_out=sunk,
        not_checked=weighing.not_checked(checked, settled, failed),
        next_evidence=weighing.next_evidence(candidates, missing_parts(case)),
        safeguard_gaps=(),
        evidence=tuple(r.evidence for r in rows),
        changes=tuple(changes),
        run=_run_block(case.sources, started),
        charts=charts(case, symptom, changes, bench, _tried(ranked, candidates)),
    )


def missing_parts(case: Case) -> list[str]:
    """Parts that the incident could have had and has not."""
    columns = case.incident.data.columns
    here: Mapping[str, Any] = {
        "probes.audit": case.audit,
        "probes.parity": case.parity,
        "probes.golden": case.golden,
        "models.current": case.models.get("current"),
        "models.previous": case.models.get("previous"),
        "changes": case.changes or None,
        "data.columns.timestamp": columns.timestamp,
        "data.columns.target": columns.target,
    }
    return [name for name, part in here.items() if part is None]


def _tried(ranked: Sequence[Hypothesis], candidates: Sequence[Candidate]) -> list[Tried]:
    """The repairs that were replayed for the hypotheses worth a picture, likeliest first."""
    by_key = {c.key: c for c in candidates}
    found: list[Tried] = []
    for told in ranked[:_WORTH_A_PICTURE]:
        candidate = by_key.get((told.failure_mode, told.subject.kind, told.subject.names))
        if candidate is None or candidate.undone_by is None or candidate.explained is None:
            continue
        names = ", ".join(told.subject.names[:2])
        title = modes.mode(told.failure_mode).title.lower()
        label = f"{title}: {names}" if names else title
        found.append(Tried(label, candidate.undone_by, candidate.explained))
    return found


def _run_block(sources: Sequence[SourceStatus], started: float) -> Run:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    elapsed = time.perf_counter() - started
    return Run(ruleout.__version__, round(elapsed, 3), round(megabytes, 1), tuple(sources))
