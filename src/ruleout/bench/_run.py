"""The whole benchmark as one command: make what the manifest lists, score it, let the peers answer."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ruleout._version import __version__
from ruleout.bench._score import Result, read_results, score_corpus, write_results
from ruleout.bench.corpus import Recipe, make_recipes, manifest_recipes, sample, tenth
from ruleout.bench.corpus._manifest import VERSION
from ruleout.bench.peers import run_baselines, run_peer

RESULTS, DESIGNS, ABOUT = "results.jsonl", "designs.jsonl", "run.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What of the manifest is run, and with whom."""

    seed: int = 1
    part: str = "all"
    """`all`, `tenth`, or a number of incidents."""

    offset: int = 0
    """Which incidents of each stratum a number picks."""

    jobs: int = 1
    rows: int | None = None
    peers: tuple[tuple[str, str], ...] = ()
    """Names and command lines of peers in environments of their own."""

    peer_limit: int = 60
    patience: float = 60.0
    words: tuple[str, ...] = field(default=())
    """The command line, for the record."""


def recipes(plan: Plan) -> list[Recipe]:
    """The lines of the manifest that a plan asks for."""
    listed = manifest_recipes(seed=plan.seed)
    if plan.part == "all":
        return listed
    return tenth(listed) if plan.part == "tenth" else sample(listed, int(plan.part), plan.offset)


def run(out: Path, plan: Plan) -> list[Result]:
    """Make, score and compare in the folder `out`; a run that was cut short goes on where it was.

    Writes incident folders with `truth.json`, `results.jsonl`, `designs.jsonl` (what every hypothesis heard,
    for the fit), `peer-NAME.jsonl` for baselines and peers, and `run.json` (versions, seed, date, CPU time).
    """
    chosen = recipes(plan)
    started, used = time.perf_counter(), _cpu()
    truth = make_recipes(out, chosen, jobs=plan.jobs, rows=plan.rows)
    made, used = time.perf_counter() - started, _cpu() - used
    results = score_corpus(
        out, jobs=plan.jobs, out=out / RESULTS, designs=out / DESIGNS, resume=True
    )
    scored = time.perf_counter() - started - made
    about = {
        "version": __version__,
        "manifest": VERSION,
        "date": datetime.now(UTC).date().isoformat(),
        "command": " ".join(plan.words),
        "asked": len(chosen),
        "made": len(truth),
        "make_seconds": round(made, 1),
        "make_cpu": round(used, 1),
        "score_seconds": round(scored, 1),
        **{k: v for k, v in asdict(plan).items() if k in {"seed", "part", "offset", "jobs"}},
    }
    (out / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    compare_peers(out, plan)
    return results


def _cpu() -> float:
    """CPU seconds of this process and of those it started."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, both))


def compare_peers(out: Path, plan: Plan) -> None:
    """Baselines on every incident, peers on a spread of them; what was answered before stays."""
    names = [r.name for r in read_results(out / RESULTS)]
    if not (out / "peer-random.jsonl").is_file():
        for name, told in run_baselines(out, names).items():
            write_results(_place(out, name), told)
    for name, command in plan.peers:
        if not _place(out, name).is_file():
            some = spread(names, plan.peer_limit)
            write_results(_place(out, name), run_peer(out, some, command, plan.patience))


def spread(names: Sequence[str], n: int) -> list[str]:
    """At most `n` names, evenly over the list."""
    if n >= len(names):
        return list(names)
    return [names[k * len(names) // n] for k in range(n)]


def _place(out: Path, name: str) -> Path:
    return out / f"peer-{name.replace(' ', '_')}.jsonl"
