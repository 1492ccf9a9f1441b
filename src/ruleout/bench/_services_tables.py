"""The scores of services as Markdown tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ruleout.bench._services_baselines import METHODS
from ruleout.bench._services_score import Score

_BINS = (0.0, 0.3, 0.5, 0.7, 0.9, 1.01)
_COVERAGES = (0.25, 0.5, 0.75, 0.9, 1.0)


def table(scores: Sequence[Score]) -> str:
    """Accuracy by system and fault, the AC@1 of chance and of simple methods beside it."""
    groups: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for one in scores:
        groups[one.system, one.fault].append(one)
        groups[one.system, "all"].append(one)
        groups["all", "all"].append(one)
    faults: dict[str, int] = defaultdict(int)
    for system, _ in groups:
        faults[system] += 1
    lines = [
        "| system | fault | n | AC@1 | AC@3 | Avg@5 | mode | change | chance | "
        + " | ".join([*METHODS, "latest", "s |"]),
        "|---|---|" + "--:|" * (9 + len(METHODS)),
    ]
    for (system, fault), part in sorted(groups.items()):
        # Where nearly every incident is a fault of its own, rows of one say nothing.
        if fault != "all" and len(part) < 2 and faults[system] > 6:
            continue
        lines.append(f"| {system} | {fault} | {len(part)} | {' | '.join(_numbers(part))} |")
    return "\n".join(lines)


def by_system(scores: Sequence[Score]) -> str:
    """The table without its rows by fault."""
    rows = table(scores).splitlines()
    return "\n".join(
        row for row in rows if not row.startswith("| ") or "| all |" in row or "| fault |" in row
    )


def brier(scores: Sequence[Score]) -> float:
    """Mean squared distance of the first entity's probability from its being right."""
    return float(np.mean([(one.probability - (one.rank == 1)) ** 2 for one in scores]))


def _numbers(part: Sequence[Score]) -> list[str]:
    average = np.mean([[one.rank <= k for k in range(1, 6)] for one in part])
    simple = [[one.baselines.get(method) for one in part] for method in METHODS]
    return [
        mean([one.rank == 1 for one in part]),
        mean([one.rank <= 3 for one in part]),
        f"{average:.2f}",
        mean([one.mode for one in part]),
        mean([one.change for one in part]),
        mean([one.chance for one in part]),
        *(mean([None if rank is None else rank == 1 for rank in ranks]) for ranks in simple),
        mean([one.latest for one in part]),
        mean([one.seconds for one in part]),
    ]


def reliability(scores: Sequence[Score]) -> str:
    """How often entities named at a probability were right."""
    lines = ["| probability of the first | n | said | right |", "|---|--:|--:|--:|"]
    for low, high in pairwise(_BINS):
        part = [one for one in scores if low <= one.probability < high]
        if part:
            said = np.mean([one.probability for one in part])
            lines.append(
                f"| {low:.1f}-{min(high, 1.0):.1f} | {len(part)} | {said:.2f} | {_right(part):.2f} |"
            )
    error = calibration_error(scores)
    worst = max(scores, key=lambda one: one.decoy)
    lines.append(f"\nBrier {brier(scores):.3f}; expected calibration error {error:.3f}.")
    if worst.decoy > 0:
        lines.append(f"Largest probability of a planted change: {worst.decoy:.2f} ({worst.case}).")
    return "\n".join(lines)


def calibration_error(scores: Sequence[Score]) -> float:
    """Mean distance of what is said and what is right over the bins, weighted by their size."""
    total = 0.0
    for low, high in pairwise(_BINS):
        part = [one for one in scores if low <= one.probability < high]
        if part:
            said = float(np.mean([one.probability for one in part]))
            total += len(part) / len(scores) * abs(said - _right(part))
    return total


def risk_coverage(scores: Sequence[Score]) -> str:
    """Share of wrong first entities among the surest answers, by how many are answered."""
    ordered = sorted(scores, key=lambda one: (-one.probability, one.case))
    lines = ["| answered | n | least probability | wrong |", "|--:|--:|--:|--:|"]
    for coverage in _COVERAGES:
        part = ordered[: max(round(coverage * len(ordered)), 1)]
        lines.append(
            f"| {coverage:.0%} | {len(part)} | {part[-1].probability:.2f} | {1 - _right(part):.2f} |"
        )
    return "\n".join(lines)


def _right(part: Sequence[Score]) -> float:
    return float(np.mean([one.rank == 1 for one in part]))


def mean(values: Sequence[float | bool | None]) -> str:
    """The mean of what is known, `-` where nothing is."""
    known = [float(value) for value in values if value is not None]
    return f"{np.mean(known):.2f}" if known else "-"
