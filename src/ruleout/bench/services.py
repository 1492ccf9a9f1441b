"""Score the analysis of services on labelled incidents, with chance and simple baselines beside it.

`python -m ruleout.bench.services` reads the incident folders under `RULEOUT_DATA/services`, whose
`truth.json` names the entities at fault, the failure modes that count as right, and the change.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ruleout._records import Finding
from ruleout.attribution.services import ServicesResult, analyse
from ruleout.incident import Incident, load

_PARTS = ("metrics", "traces", "logs", "topology")


class Score(NamedTuple):
    """How one incident was answered."""

    case: str
    system: str
    fault: str
    rank: int
    """Place of the first right entity, from 1; 99 when it was not named."""

    probability: float
    """Probability given to the first entity."""

    mode: bool | None
    """Whether the first hypothesis' failure mode is right; None where the truth does not say."""

    change: bool | None
    """Whether the first hypothesis names the right change, or rightly none."""

    decoy: float
    """Probability given to any one change that was planted to mislead."""

    chance: float
    """Chance of the first entity being right when drawn from all."""

    departure: bool
    """Whether the entity with the largest departure of a metric would have been right."""

    latest: bool | None
    """Whether the most recent change would have been right."""

    seconds: float


def score_case(
    folder: Path, truth: dict[str, Any], name: str, without: Sequence[str] = ()
) -> Score:
    """Diagnose one incident folder and compare with its truth.

    Args:
        folder: of the incident.
        truth: its entry of `truth.json`.
        name: of the case.
        without: parts of the telemetry that are withheld.
    """
    incident = _withheld(load(folder), without)
    started = time.process_time()
    result = analyse(incident, np.random.default_rng(0))
    seconds = time.process_time() - started
    right = [i for i, one in enumerate(entities(result), 1) if one in truth["services"]]
    top = result.hypotheses[0] if result.hypotheses else None
    refs = {one.id: one.ref or "none" for one in result.changes}
    blamed = refs.get(top.change or "", "none") if top else "none"
    return Score(
        case=name,
        system=system_of(name),
        fault=truth.get("fault", incident.symptom.metric or "?"),
        rank=right[0] if right else 99,
        probability=result.ranking[0][1] if result.ranking else 0.0,
        mode=bool(top and top.failure_mode in truth["failure_modes"])
        if "failure_modes" in truth
        else None,
        change=blamed == truth["change"] if "change" in truth else None,
        decoy=max((_mass(result, refs, ref) for ref in truth.get("decoys", [])), default=0.0),
        chance=len(truth["services"]) / max(len(result.ranking), 1),
        departure=_largest_departure(result) in truth["services"],
        latest=_latest(result, incident) == truth["change"] if "change" in truth else None,
        seconds=seconds,
    )


def _withheld(incident: Incident, without: Sequence[str]) -> Incident:
    spec = incident.telemetry
    kept = replace(
        spec,
        metrics=() if "metrics" in without else spec.metrics,
        traces=() if "traces" in without else spec.traces,
        logs=() if "logs" in without else spec.logs,
        topology=() if "topology" in without else spec.topology,
    )
    return replace(incident, telemetry=kept)


def entities(result: ServicesResult) -> list[str]:
    """Entities in the order in which a reader of the hypotheses meets them."""
    return list(dict.fromkeys(name for one in result.hypotheses for name in one.subject.names))


def _mass(result: ServicesResult, refs: dict[str, str], ref: str) -> float:
    return sum(one.probability for one in result.hypotheses if refs.get(one.change or "") == ref)


def _largest_departure(result: ServicesResult) -> str | None:
    """The first entity by the size of a metric's departure in units of its own spread."""
    found = [
        outcome
        for checked in result.checked
        if checked.check == "metric_departure"
        for outcome in checked.outcomes
        if isinstance(outcome, Finding)
    ]
    if not found:
        return None
    return max(found, key=lambda one: (one.statistic, one.subject.names)).subject.names[0]


def _latest(result: ServicesResult, incident: Incident) -> str:
    """Reference of the last change before the incident was noticed."""
    noticed = incident.symptom.noticed_at
    limit = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(noticed)) if noticed else "9999"
    before = [one for one in result.changes if one.at <= limit]
    return (before[-1].ref or "none") if before else "none"


def system_of(case: str) -> str:
    """The family of a case: its folder, and the part of its name before the first underscore."""
    family, _, rest = case.partition("/")
    head = rest.split("_")[0]
    return f"{family}/{head}" if "_" in rest else family


def table(scores: Sequence[Score]) -> str:
    """Accuracy by system and fault as Markdown, baselines beside it."""
    groups: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.system, one.fault].append(one)
        groups[one.system, "all"].append(one)
        groups["all", "all"].append(one)
    lines = [
        "| system | fault | n | AC@1 | AC@3 | Avg@5 | mode | change | chance | departure | latest | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (system, fault), part in sorted(groups.items()):
        average = np.mean([[one.rank <= k for k in range(1, 6)] for one in part])
        numbers = [
            _mean([one.rank == 1 for one in part]),
            _mean([one.rank <= 3 for one in part]),
            f"{average:.2f}",
            _mean([one.mode for one in part]),
            _mean([one.change for one in part]),
            _mean([one.chance for one in part]),
            _mean([one.departure for one in part]),
            _mean([one.latest for one in part]),
            _mean([one.seconds for one in part]),
        ]
        lines.append(f"| {system} | {fault} | {len(part)} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def reliability(scores: Sequence[Score]) -> str:
    """How often entities named at a probability were right, and accuracy against coverage."""
    lines = ["| probability of the first | n | said | right |", "|---|--:|--:|--:|"]
    for low, high in ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
        part = [one for one in scores if low <= one.probability < high]
        if part:
            said = np.mean([one.probability for one in part])
            right = np.mean([one.rank == 1 for one in part])
            lines.append(
                f"| {low:.1f}-{min(high, 1.0):.1f} | {len(part)} | {said:.2f} | {right:.2f} |"
            )
    brier = np.mean([(one.probability - (one.rank == 1)) ** 2 for one in scores])
    ordered = sorted(scores, key=lambda one: -one.probability)
    half = ordered[: max(len(ordered) // 2, 1)]
    risk = 1 - np.mean([one.rank == 1 for one in half])
    lines.append(f"\nBrier {brier:.3f}; risk at half coverage {risk:.2f}")
    worst = max(scores, key=lambda one: one.decoy)
    lines.append(f"Largest probability of a planted change: {worst.decoy:.2f} ({worst.case})")
    return "\n".join(lines)


def _mean(values: Sequence[float | bool | None]) -> str:
    known = [float(value) for value in values if value is not None]
    return f"{np.mean(known):.2f}" if known else "-"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables for the labelled incidents under RULEOUT_DATA/services."""
    parser = argparse.ArgumentParser(prog="ruleout.bench.services", description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the cases to score")
    parser.add_argument(
        "--without", nargs="*", default=(), choices=_PARTS, help="telemetry to withhold"
    )
    parser.add_argument("--cases", action="store_true", help="print one line a case")
    options = parser.parse_args(argv)
    root = Path(os.environ.get("RULEOUT_DATA", "../shared/data")) / "services"
    if not (root / "truth.json").exists():
        sys.stderr.write(f"no labelled incidents under {root}; set RULEOUT_DATA\n")
        return 2
    truth = json.loads((root / "truth.json").read_text())
    scores = []
    for name in sorted(truth):
        if not name.startswith(options.only):
            continue
        one = score_case(root / name, truth[name], name, options.without)
        scores.append(one)
        if options.cases:
            sys.stdout.write(
                f"{one.rank:3d} p={one.probability:.2f} mode={one.mode} change={one.change}"
                f" decoy={one.decoy:.2f} {one.fault:14s} {name}\n"
            )
    sys.stdout.write(f"{table(scores)}\n\n{reliability(scores)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
