"""Which slice of the rows got worse than it was.

Rule: difference in differences of the loss over conjunctions of at most three conditions, found on one half of the rows
and confirmed on the other. It says who is hit; by itself it blames nobody, because a fault in the data path and a
change of the world both have places. Reference: see `stats/_slices.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ruleout._records import Abstained, Clear, Finding, Outcome, Subject
from ruleout._registry import check
from ruleout.checks.world._bins import Binned, binned
from ruleout.checks.world._view import NO_HARM, view
from ruleout.profile import Case
from ruleout.stats._slices import Slice, find_slices


@check(
    "worst_slices",
    layer="data",
    rung="world",
    looks_for=(),
    needs=("data.reference", "data.current", "data.columns.target"),
)
def worst_slices(case: Case, rng: np.random.Generator) -> Iterable[Outcome]:
    """Name the slices whose loss rose more than that of the rest."""
    if case.significant is False:
        return [Abstained((), NO_HARM)]
    seen = view(case)
    if seen is None:
        return [
            Abstained(
                (), "fewer than 200 labelled rows in a window, or no inputs", "data.columns.target"
            )
        ]
    table = binned(case, seen)
    if not table.names:
        return [Abstained((), "no column to slice by")]
    found = find_slices(
        (table.reference, seen.reference.loss),
        (table.current, seen.current.loss),
        table.ordered,
        rng=rng,
    )
    case.cache["world slices"] = tuple((table.describe(s.conditions), s) for s in found)
    if not found:
        return [
            Clear((), Subject(), "no slice got worse than the rest of the rows", 0.1, "slices.none")
        ]
    return [_finding(table, found)]


def _finding(table: Binned, found: list[Slice]) -> Finding:
    worst = found[0]
    names = tuple(dict.fromkeys(table.names[c.column] for c in worst.conditions))
    return Finding(
        signal="slices.worst",
        subject=Subject("segment", names),
        statement=(
            f"where {table.describe(worst.conditions)} ({worst.rows} rows) the loss went from {worst.before:.3g} to "
            f"{worst.after:.3g}, {worst.extra:+.3g} [{worst.low:+.3g}, {worst.high:+.3g}] more than elsewhere"
        ),
        statistic=worst.extra,
        effect=worst.share,
        p_value=worst.p_value,
        strength=float(np.clip(worst.share, 0.0, 1.0)),
        supports=(),
        chart={
            "kind": "slices",
            "metric": "loss",
            "title": "Who is hit",
            "rows": [
                {
                    "name": table.describe(s.conditions),
                    "n": s.rows,
                    "before": s.before,
                    "after": s.after,
                    "low": s.low,
                    "high": s.high,
                }
                for s in found
            ],
        },
    )
