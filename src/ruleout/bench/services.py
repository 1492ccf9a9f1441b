"""Score the analysis of services on labelled incidents, with chance and simple baselines beside it.

`python -m ruleout.bench.services` reads the incident folders under `RULEOUT_DATA/services`, whose
`truth.json` names the entities at fault, the failure modes that count as right, and the change.
`--write docs/benchmark-services.md` writes every table of that page.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ruleout.bench._services_choice import blame_left_out, leave_out, left_out_table
from ruleout.bench._services_score import SOURCES, Score, score_case
from ruleout.bench._services_tables import (
    brier,
    by_system,
    calibration_error,
    reliability,
    risk_coverage,
    table,
)

__all__ = ["page", "reliability", "risk_coverage", "score_all", "score_case", "table"]


def root_folder() -> Path:
    """Where the labelled incidents are."""
    return Path(os.environ.get("RULEOUT_DATA", "../shared/data")) / "services"


def score_all(
    root: Path,
    only: str = "",
    sources: str = "all",
    shift: float = 0.0,
    told: Callable[[Score], None] | None = None,
) -> list[Score]:
    """Every labelled incident under `root` whose name begins with `only`, scored.

    Args:
        root: the folder with `truth.json`.
        only: prefix of the cases.
        sources: which telemetry is left, a key of `SOURCES`.
        shift: seconds by which the told windows are wrong.
        told: hears each score as it comes.
    """
    truth = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    scores = []
    for name in sorted(truth):
        if name.startswith(only):
            one = score_case(root / name, truth[name], name, SOURCES[sources], shift)
            scores.append(one)
            if told is not None:
                told(one)
    return scores


def _line(one: Score) -> None:
    sys.stdout.write(
        f"{one.rank:3d} p={one.probability:.2f} mode={one.mode} change={one.change}"
        f" decoy={one.decoy:.2f} {one.fault:14s} {one.case}\n"
    )


def left_out(scores: Sequence[Score]) -> str:
    """Both leave-one-out tables, and the changes'."""
    used, chosen, known = blame_left_out(scores)
    parts = [
        left_out_table(leave_out(scores, lambda one: f"{one.system}: {_fault(one)}")),
        left_out_table(leave_out(scores, lambda one: one.system.partition("/")[0])),
    ]
    if known:
        parts.append(
            f"Right change: {used} of {known} with the constants in use, {chosen} of {known} with the "
            "score of none and the heat chosen on the other incidents."
        )
    return "\n\n".join(parts)


def _fault(one: Score) -> str:
    """The fault type; incidents that are each of their own kind are left out together."""
    return one.fault if one.right_change is None else "all"


_HEAD = """# Benchmark of services

Written by `RULEOUT_DATA=... python -m ruleout.bench.services --write {path}` on {n} labelled incidents of real
and authored systems. The rules were made while looking at these incidents, so the figures are an upper bound of
what to expect elsewhere; what the choice of the constants alone has flattered is told below.

`AC@k` is the share of incidents with a right entity among the first k, `Avg@5` its mean over k from 1 to 5,
`mode` and `change` the share whose first hypothesis has the right failure mode and change (or rightly none).
The columns after `chance` (an entity drawn from all) are AC@1 of simple rankings of the metrics: the largest robust
departure, the same after BARO, the correlation with the symptom; `latest` blames the last change. `s` is
processor seconds, reading included.
"""


def page(root: Path, path: str) -> str:
    """Every table of the page on services, as Markdown."""
    whole = score_all(root)
    parts = [
        _HEAD.format(path=path, n=len(whole)),
        "## All sources",
        table(whole),
        "## Calibration",
        reliability(whole),
        "Surest answers first:",
        risk_coverage(whole),
        "## Fewer sources",
    ]
    for sources in ("metrics+topology", "metrics", "traces"):
        few = score_all(root, sources=sources)
        parts += [f"Left: {sources}.", by_system(few), _brier(few)]
    parts.append("## Windows told a minute wrong")
    for shift in (-60.0, 60.0):
        parts += [
            f"Windows and notice off by {shift:+.0f} s.",
            by_system(score_all(root, shift=shift)),
        ]
    parts += ["## Constants chosen without what they are scored on", _CHOICE, left_out(whole)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_CHOICE = """The weights of the four groups of evidence (symptom's flow, added time, behaviour, metrics), the temperature and
the score of the unknown, chosen by log-loss on all cases but the ones left out: all of one fault type, or all
of one family. The rules themselves are the same in both columns."""


def _brier(scores: Sequence[Score]) -> str:
    return f"Brier {brier(scores):.3f}; expected calibration error {calibration_error(scores):.3f}."


def main(argv: Sequence[str] | None = None) -> int:
    """Print (or write) the tables for the labelled incidents under RULEOUT_DATA/services."""
    parser = argparse.ArgumentParser(prog="ruleout.bench.services", description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the cases to score")
    parser.add_argument(
        "--sources", default="all", choices=sorted(SOURCES), help="the telemetry that is left"
    )
    parser.add_argument(
        "--shift", type=float, default=0.0, help="seconds by which the told windows are wrong"
    )
    parser.add_argument(
        "--leave-out", action="store_true", help="also choose the constants on the rest"
    )
    parser.add_argument("--cases", action="store_true", help="print one line a case")
    parser.add_argument("--write", metavar="FILE", help="write the whole page of tables instead")
    options = parser.parse_args(argv)
    root = root_folder()
    if not (root / "truth.json").exists():
        sys.stderr.write(f"no labelled incidents under {root}; set RULEOUT_DATA\n")
        return 2
    if options.write:
        Path(options.write).write_text(page(root, options.write), encoding="utf-8")
        return 0
    told = _line if options.cases else None
    scores = score_all(root, options.only, options.sources, options.shift, told)
    text = [table(scores), reliability(scores), risk_coverage(scores)]
    if options.leave_out:
        text.append(left_out(scores))
    sys.stdout.write("\n\n".join(text) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
