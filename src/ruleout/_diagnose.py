"""The whole flow, from an incident to its diagnosis."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ruleout import _arguments, modes
from ruleout import hypotheses as weighing
from ruleout._errors import SourceError
from ruleout._records import (
    Abstained,
    AlignedChange,
    Checked,
    Diagnosis,
    Hypothesis,
    IncidentRef,
    NotChecked,
    RuledOut,
    Run,
    SourceStatus,
    Subject,
    Symptom,
)
from ruleout._version import __version__
from ruleout.checks._run import run_checks
from ruleout.checks.symptom import as_symptom
from ruleout.experiments import Bench, Tried, charts, repaired_case, subject_charts
from ruleout.hypotheses import Candidate, Numbered
from ruleout.incident import Incident
from ruleout.profile import Case, build_case, names_quality
from ruleout.sources import fingerprint, steady

if TYPE_CHECKING:
    from ruleout.attribution.services import ServicesResult

Progress = Callable[[str], None]
_WORTH_UNDOING = 24
"""Repairs are replayed for so many hypotheses, likeliest first."""

_WHOLE = 0.98
"""A cause that explains this much leaves nothing to diagnose."""

_SURE = 0.8
"""Probability from which a cause that explains nothing has happened all the same, and another did the harm."""

_WORTH_A_PICTURE = 3


def run(
    incident: Incident,
    *,
    trust_model: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
    observe: Callable[[Examined], None] | None = None,
) -> Diagnosis:
    """Diagnose an incident.

    Args:
        incident: what `ruleout.incident.load` or the Python door made.
        trust_model: allow models whose loading executes code.
        seed: fixes every random choice; the same incident and seed give the same answer.
        progress: told what is going on.
        observe: given the first pass over the tables, weighed, before a second cause is looked for.

    Raises:
        IncidentError: the incident contradicts its tables, or the seed is negative or no whole number.
        SourceError: a table cannot be read, and nothing else could be checked.
    """
    seed = _arguments.checked_seed(seed)
    told = _diagnosed(incident, seed, trust_model, progress, observe)
    return _with_steady_reasons(told, incident)


def _with_steady_reasons(told: Diagnosis, incident: Incident) -> Diagnosis:
    """Nothing in the answer may depend on where the folder is, on the clock or on addresses in memory."""
    sources = tuple(
        s if s.reason is None else replace(s, reason=steady(s.reason, incident))
        for s in told.run.sources
    )
    missed = tuple(replace(n, needs=steady(n.needs, incident)) for n in told.not_checked)
    return replace(told, not_checked=missed, run=replace(told.run, sources=sources))


def _diagnosed(
    incident: Incident,
    seed: int,
    trust_model: bool,  # noqa: FBT001 - passed on as it came
    progress: Progress | None,
    observe: Callable[[Examined], None] | None,
) -> Diagnosis:
    started = time.perf_counter()
    say = progress or (lambda _: None)
    services = None
    if has_telemetry(incident):
        from ruleout.attribution.services import analyse  # tables alone do without

        rng = np.random.default_rng(seed)
        services = analyse(incident, rng, progress)
    if services is not None and incident.data.reference is None and incident.data.current is None:
        return _of_services(incident, services, started)
    of_path = (
        services is not None
        and incident.symptom.entity is not None
        # Who reports a metric of the answers is a witness of the tables' symptom, not its own.
        and not names_quality(incident.symptom.metric)
    )
    try:
        case = build_case(
            _of_tables(incident) if of_path else incident,
            trust_model=trust_model,
            seed=seed,
            progress=progress,
            changes=services.seen.changes if services is not None and services.seen else (),
            reported=_reported(services),
        )
        symptom = as_symptom(case)
        found = examine(case, symptom, say)
        _refuse_unread(found)
    except SourceError as error:
        if services is None:
            raise
        failed = SourceStatus("data", "failed", None, str(error))
        return _of_services(
            incident, replace(services, sources=(*services.sources, failed)), started
        )
    if observe is not None:
        observe(found)
    diagnose_rest(found, say)
    onset = weighing.sharpest_onset(case, found.candidates, symptom.onset)
    found.changes = weighing.align_changes(case, onset)
    told = _close(found, started)
    if services is None:
        return told
    return (_along_path if of_path else _with_services)(told, services, found, started)


def _refuse_unread(found: Examined) -> None:
    """Nothing to tell where a table could not be read and no check could look at what else there is.

    Raises:
        SourceError: why the table could not be read.
    """
    looked = any(not isinstance(o, Abstained) for done in found.checked for o in done.outcomes)
    if found.case.unread and not looked:
        raise next(iter(found.case.unread.values()))


def _reported(services: ServicesResult | None) -> frozenset[str] | None:
    """Names of the metrics in the telemetry; None where there is telemetry that could not be read."""
    if services is None:
        return frozenset()
    if services.seen is None:
        return None
    return frozenset(services.seen.telemetry.metrics["metric"].unique().to_list())


def _of_tables(incident: Incident) -> Incident:
    """The incident with its symptom left out: that is a service's, and the tables have a metric of their own."""
    own = replace(incident.symptom, metric=None, entity=None, direction=None)
    return replace(incident, symptom=own)


def has_telemetry(incident: Incident) -> bool:
    """Whether the incident has metrics, traces or logs to read."""
    told = incident.telemetry
    return bool(told.metrics or told.traces or told.logs)


def _of_services(incident: Incident, result: ServicesResult, started: float) -> Diagnosis:
    """The diagnosis of an incident that is seen in telemetry alone."""
    checked = (*result.checked, weighing.null_checks(incident, result))
    rows = weighing.number(checked)
    ranked, layers = weighing.settled(weighing.service_hypotheses(result, rows), result.unknown)
    sunk, open_ = _ledger(ranked, rows, checked, _failed(result.sources))
    return Diagnosis(
        incident=IncidentRef(incident.title, incident.task, fingerprint(incident)),
        symptom=weighing.as_asked(incident, result.symptom),
        verdict=weighing.verdict(ranked),
        layers=layers,
        hypotheses=ranked,
        ruled_out=sunk,
        not_checked=open_,
        next_evidence=(),
        safeguard_gaps=weighing.linked_gaps(result.safeguard_gaps, rows),
        evidence=tuple(r.evidence for r in rows),
        changes=result.changes,
        run=_run_block(result.sources, started),
        charts=result.charts,
    )


def _failed(sources: Sequence[SourceStatus]) -> dict[str, str]:
    return {s.name: s.reason or "empty" for s in sources if s.status != "ok"}


def _ledger(
    ranked: Sequence[Hypothesis],
    rows: Sequence[Numbered],
    checked: Sequence[Checked],
    failed: Mapping[str, str],
) -> tuple[tuple[RuledOut, ...], tuple[NotChecked, ...]]:
    """What was ruled out and what nobody looked for, where telemetry has hypotheses; no mode is in both."""
    named = {h.failure_mode for h in ranked}
    sunk = weighing.ruled_out((), rows, named)
    gone = {told.failure_mode for told in sunk}
    return sunk, weighing.not_checked(checked, named | gone, failed, gone)


def _with_services(
    told: Diagnosis, result: ServicesResult, found: Examined, started: float
) -> Diagnosis:
    """One diagnosis from tables and telemetry together."""
    rows = weighing.number(result.checked, len(found.rows) + 1)
    others = weighing.service_hypotheses(result, rows)
    lineage = found.case.incident.data.sources
    left = found.unknown * (result.unknown + result.no_incident)
    ranked, layers = weighing.settled(
        weighing.beside(told.hypotheses, others, found.unknown, lineage), left
    )
    seen = {s.name for s in told.run.sources}
    sources = (*told.run.sources, *(s for s in result.sources if s.name not in seen))
    sunk = _sunk(told, ranked, rows)
    gone = {one.failure_mode for one in sunk}
    settled = gone | {h.failure_mode for h in ranked}
    failed = _failed(sources) | _not_undone(found)
    return replace(
        told,
        verdict=weighing.verdict(ranked),
        layers=layers,
        hypotheses=ranked,
        ruled_out=sunk,
        not_checked=weighing.not_checked([*found.checked, *result.checked], settled, failed, gone),
        safeguard_gaps=weighing.linked_gaps(result.safeguard_gaps, rows),
        evidence=(*told.evidence, *(r.evidence for r in rows)),
        run=_run_block(sources, started),
        charts={**result.charts, **told.charts},
    )


def _sunk(
    told: Diagnosis, ranked: Sequence[Hypothesis], rows: Sequence[Numbered]
) -> tuple[RuledOut, ...]:
    """What the tables rule out, and what telemetry does; what either suspects stays out of the list."""
    named = {h.failure_mode for h in ranked if h.probability >= weighing.LISTED}
    kept = [one for one in told.ruled_out if one.failure_mode not in named]
    known = {one.failure_mode for one in kept} | {h.failure_mode for h in ranked}
    both = (*kept, *weighing.ruled_out((), rows, known))
    return tuple(sorted(both, key=lambda one: one.failure_mode))


def _not_undone(found: Examined) -> dict[str, str]:
    return {f"repair {r}": f"not undone: {why}" for r, why in found.bench.refused.items()}


def _along_path(
    told: Diagnosis, result: ServicesResult, found: Examined, started: float
) -> Diagnosis:
    """The diagnosis of a service's symptom, with what its tables have to say about it."""
    from ruleout.attribution.latency import ladder

    stages = ladder(found.case, result, found.case.rng("latency_stages"))
    nulls = weighing.null_checks(found.case.incident, result)
    checked = (*result.checked, *(() if stages is None else (stages.checked,)), nulls)
    rows = weighing.number(checked, len(found.rows) + 1)
    services = weighing.service_hypotheses(result, rows)
    everything = [*found.rows, *rows]
    ranked, layers = weighing.settled(
        weighing.along_path(
            services, told.hypotheses, result.unknown, (stages, everything, result.symptom)
        ),
        0.0,
    )
    seen = {s.name for s in told.run.sources}
    sources = (*told.run.sources, *(s for s in result.sources if s.name not in seen))
    sunk, open_ = _ledger(ranked, everything, [*found.checked, *checked], _failed(sources))
    return replace(
        told,
        symptom=weighing.as_asked(found.case.incident, result.symptom),
        verdict=weighing.verdict(ranked),
        layers=layers,
        hypotheses=ranked,
        ruled_out=sunk,
        not_checked=open_,
        next_evidence=(),
        safeguard_gaps=weighing.linked_gaps(result.safeguard_gaps, rows),
        evidence=tuple(r.evidence for r in everything),
        changes=result.changes,
        run=_run_block(sources, started),
        charts={
            **({"waterfall": stages.chart} if stages and stages.chart else {}),
            **result.charts,
        },
    )


@dataclass(slots=True)
class Examined:
    """One pass down the ladder, and what it left to say."""

    case: Case
    symptom: Symptom
    checked: list[Checked]
    rows: list[Numbered]
    candidates: list[Candidate]
    bench: Bench
    unknown: float
    changes: tuple[AlignedChange, ...] = ()


def examine(case: Case, symptom: Symptom, say: Progress, first: int = 1) -> Examined:
    """Run the checks, propose hypotheses, undo them and weigh them; evidence is numbered from `first`."""
    case.significant = symptom.significant
    say("running checks")
    checked = list(run_checks(case))
    rows = weighing.number(checked, first)
    candidates = weighing.propose(rows)
    weighing.weigh(candidates, rows)
    joint = weighing.unite(candidates, case.incident.data.sources)
    if joint:
        candidates += joint
        weighing.weigh(candidates, rows)
    candidates = weighing.absorb(candidates)
    weighing.weigh(candidates, rows)
    say("undoing what might have done it")
    bench = Bench(case)
    undo(candidates, bench)
    unknown = weighing.weigh(candidates, rows)
    return Examined(case, symptom, checked, rows, candidates, bench, unknown)


def undo(candidates: Sequence[Candidate], bench: Bench) -> None:
    """Replay the repairs of the likeliest hypotheses and keep what each explains."""
    for candidate in sorted(candidates, key=lambda c: (-c.probability, c.key))[:_WORTH_UNDOING]:
        best = bench.best(candidate.mode, candidate.plans)
        if best is not None:
            candidate.undone_by, candidate.explained = best
    weighing.unmask(candidates, bench.together)


def diagnose_rest(found: Examined, say: Progress) -> None:
    """Undo the leading cause and diagnose what is left of the symptom; a second cause joins the list."""
    lead = max(found.candidates, key=lambda c: c.probability, default=None)
    if lead is None or lead.undone_by is None or lead.explained is None or lead.probability < 0.3:
        return
    if modes.mode(lead.mode).is_null or not _leaves_some(lead):
        return
    fullest = found.bench.fullest(lead.mode, lead.plans)
    undone = found.bench.undone(fullest or lead.undone_by)
    rest = None if undone is None else repaired_case(found.case, undone)
    if rest is None:
        return
    symptom = as_symptom(rest)
    if not symptom.significant:
        return
    say("diagnosing what is left")
    again = examine(rest, symptom, say, first=len(found.rows) + 1)
    weighing.join_second(lead, found.candidates, found.rows, again.candidates, again.rows)


def _leaves_some(lead: Candidate) -> bool:
    """Whether undoing a cause leaves a part of the symptom, or all of it though the cause is sure and its replay exact."""
    told = lead.explained
    if told is None or told.fraction > _WHOLE:
        return False
    exact = told.method == "repair_replay" and lead.probability >= _SURE
    return exact or told.fraction >= 0.1


def _close(found: Examined, started: float) -> Diagnosis:
    case, symptom, candidates = found.case, found.symptom, found.candidates
    incident = case.incident
    named = weighing.leading_change(found.changes)
    by_candidate = {
        c.key: name for c in candidates for name in named if not modes.mode(c.mode).is_null
    }
    ranked, layers = weighing.settled(
        weighing.rank(candidates, found.checked, symptom, by_candidate), found.unknown
    )
    sunk = weighing.ruled_out(candidates, found.rows)
    gone = {r.failure_mode for r in sunk}
    settled = gone | {h.failure_mode for h in ranked}
    failed = _failed(case.sources) | _not_undone(found)
    evidence = tuple(r.evidence for r in found.rows)
    return Diagnosis(
        incident=IncidentRef(incident.title, incident.task, fingerprint(incident)),
        symptom=symptom,
        verdict=weighing.verdict(ranked),
        layers=layers,
        hypotheses=tuple(_by_version(h, incident) for h in ranked),
        ruled_out=sunk,
        not_checked=weighing.not_checked(found.checked, settled, failed, gone),
        next_evidence=weighing.next_evidence(candidates, missing_parts(case)),
        safeguard_gaps=(),
        evidence=evidence,
        changes=found.changes,
        run=_run_block(case.sources, started),
        charts={
            **charts(case, symptom, found.changes, found.bench, _tried(ranked, candidates)),
            **subject_charts(case, ranked, evidence),
        },
    )


def _by_version(told: Hypothesis, incident: Incident) -> Hypothesis:
    """A model that the incident names by its role is named by its version as well, where it has one."""
    role = told.subject.names[0] if told.subject.kind == "model" and told.subject.names else ""
    spec = incident.models.get(role)
    if spec is None or spec.version is None or len(told.subject.names) > 1:
        return told
    return replace(told, subject=Subject("model", (role, str(spec.version))))


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
        if told.status == "ruled_out":
            continue
        names = tuple(sorted(told.subject.names))
        candidate = by_key.get((told.failure_mode, told.subject.kind, names))
        if candidate is None or candidate.undone_by is None or candidate.explained is None:
            continue
        shown = ", ".join(modes.called(n, told.subject.kind) for n in told.subject.names[:2])
        title = modes.mode(told.failure_mode).title.lower()
        label = f"{title}: {shown}" if shown else title
        found.append(Tried(label, candidate.undone_by, candidate.explained))
    return found


def _run_block(sources: Sequence[SourceStatus], started: float) -> Run:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    megabytes = peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
    elapsed = time.perf_counter() - started
    return Run(__version__, round(elapsed, 3), round(megabytes, 1), tuple(sources))
