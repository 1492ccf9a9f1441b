"""Score the analysis of services on labelled incidents, with chance and simple baselines beside it."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ruleout.attribution.services import ServicesResult, analyse
from ruleout.incident import load


class Score(NamedTuple):
    """How one incident was answered."""

    case: str
    system: str
    fault: str
    rank: int
    """Place of the first right entity, from 1; 99 when it was not named."""

    probability: float
    """Probability given to the first entity."""

    mode_right: bool | None
    change_right: bool | None
    """Whether the first hypothesis names the right change, or rightly none."""

    decoy: float
    """Probability given to changes that were planted to mislead."""

    entities: int
    seconds: float


def score_case(folder: Path, truth: dict[str, Any], name: str) -> Score:
    """Diagnose one incident folder and compare with its truth."""
    incident = load(folder)
    started = time.process_time()
    result = analyse(incident, np.random.default_rng(0))
    seconds = time.process_time() - started
    names = entities(result)
    right = [i for i, one in enumerate(names, 1) if one in truth["services"]]
    modes = truth.get("failure_modes")
    top = result.hypotheses[0] if result.hypotheses else None
    refs = {one.id: one.ref for one in result.changes}
    blamed = refs.get(top.change or "", "none") if top else "none"
    decoy = {
        ref: sum(one.probability for one in result.hypotheses if refs.get(one.change or "") == ref)
        for ref in truth.get("decoys", [])
    }
    return Score(
        case=name,
        system=system_of(name),
        fault=truth.get("fault", incident.symptom.metric or "?"),
        rank=right[0] if right else 99,
        probability=result.ranking[0][1] if result.ranking else 0.0,
        mode_right=None if modes is None else bool(top and top.failure_mode in modes),
        change_right=blamed == truth["change"] if "change" in truth else None,
        decoy=max(decoy.values(), default=0.0),
        entities=len(names),
        seconds=seconds,
    )


def entities(result: ServicesResult) -> list[str]:
    """Entities in the order in which a reader of the hypotheses meets them."""
    names: list[str] = []
    for one in result.hypotheses:
        for name in one.subject.names:
            if name not in names:
                names.append(name)
    return names


def system_of(case: str) -> str:
    """The family of a case: its folder, and the part of its name before the date."""
    family, _, rest = case.partition("/")
    head = rest.split("_")[0]
    return f"{family}/{head}" if head in {"ob", "tt", "high", "low"} else family


def table(scores: Sequence[Score]) -> str:
    """AC@1, AC@3, mode accuracy and mean seconds by system and fault, as Markdown."""
    groups: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.system, one.fault].append(one)
        groups[one.system, "all"].append(one)
        groups["all", "all"].append(one)
    lines = [
        "| system | fault | n | AC@1 | AC@3 | mode | change | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (system, fault), part in sorted(groups.items()):
        top = np.mean([one.rank == 1 for one in part])
        three = np.mean([one.rank <= 3 for one in part])
        modes = [one.mode_right for one in part if one.mode_right is not None]
        mode = f"{np.mean(modes):.2f}" if modes else "-"
        changes = [one.change_right for one in part if one.change_right is not None]
        change = f"{np.mean(changes):.2f}" if changes else "-"
        seconds = np.mean([one.seconds for one in part])
        lines.append(
            f"| {system} | {fault} | {len(part)} | {top:.2f} | {three:.2f} | {mode} | {change} | {seconds:.2f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables for the labelled incidents under RULEOUT_DATA/services."""
    parser = argparse.ArgumentParser(prog="ruleout.bench.services", description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the cases to score")
    parser.add_argument("--cases", action="store_true", help="print one line a case")
    options = parser.parse_args(argv)
    root = Path(os.environ.get("RULEOUT_DATA", "../shared/data")) / "services"
    if not (root / "truth.json").exists():
        print(f"no labelled incidents under {root}; set RULEOUT_DATA")  # noqa: T201 command output
        return 2
    truth = json.loads((root / "truth.json").read_text())
    scores = []
    for name in sorted(truth):
        if name.startswith(options.only):
            one = score_case(root / name, truth[name], name)
            scores.append(one)
            if options.cases:
                print(
                    f"{one.rank:3d} p={one.probability:.2f} {one.mode_right} {one.change_right} {one.decoy:.2f} {one.fault:14s} {name}"
                )  # noqa: T201
    print(table(scores))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
