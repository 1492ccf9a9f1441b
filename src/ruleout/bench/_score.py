"""Scoring the engine on a corpus: who was right about mode and subject, who was accused falsely."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ruleout import modes
from ruleout._errors import RuleoutError

Heard = dict[str, Any] | None
Answered = tuple[dict[str, Any], Heard]

_FREE = frozenset({"none", "pipeline", "model", "label", "metric"})
"""Subjects that name no one thing: the mode says it all."""


@dataclass(frozen=True)
class Result:
    """How one incident was answered, beside what was true."""

    name: str
    mode: str
    subject: tuple[str, ...]
    second: str | None
    null: bool
    identifiable: bool
    dataset: str
    model: str
    tags: tuple[str, ...]
    answer: str
    answered: tuple[str, ...]
    probability: float
    verdict: str
    top3: tuple[str, ...]
    right_mode: bool
    right: bool
    """Mode and subject."""

    in_top3: bool
    accused: bool
    """A cause was found where there is none."""

    both: bool
    """Both causes of two are among the first three."""

    seconds: float
    failure: str = ""
    layer: str = field(default="")
    named: bool | None = None
    """Whether the first answer names what was hit, whatever the mode; None where the truth names nothing."""

    right_rank: int = 0
    """Place of the first right hypothesis; 0 if none is listed."""

    because: str = ""
    """The strongest evidence for the first answer, in its own words."""

    megabytes: float = 0.0
    """Peak memory of the process so far."""


def _names(subject: Mapping[str, Any] | None) -> set[str]:
    return {str(n) for n in (subject or {}).get("names", ())}


def subject_fits(truth: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
    """Whether an answered subject names what was hit (or another name of the same thing).

    At least one of the answered names must be right and at most half of them wrong. Where the truth
    names nothing in particular (a policy, a pipeline), any subject fits.
    """
    answered = _names(subject)
    wanted = [truth["subject"], *truth.get("accepted", ())]
    if truth["subject"]["kind"] in _FREE or not truth["subject"]["names"]:
        return True
    for item in wanted:
        names = _names(item)
        if not names:
            if item["kind"] == subject.get("kind"):
                return True
            continue
        hit = len(answered & names)
        if hit and hit * 2 >= len(answered):
            return True
    return False


def _fits(truth: Mapping[str, Any], hypothesis: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the mode fits, and whether mode and subject do."""
    mode = hypothesis["failure_mode"]
    if mode != truth["mode"]:
        # A mode that cannot be told from the true one is as right as it gets.
        return (True, True) if mode in truth["also"] else (False, False)
    return True, subject_fits(truth, hypothesis["subject"])


def _named(truths: Sequence[Mapping[str, Any]], top: Mapping[str, Any]) -> bool | None:
    wanted = [t for t in truths if t["subject"]["kind"] not in _FREE and t["subject"]["names"]]
    named = [t for t in wanted if _names(t["subject"]) or t.get("accepted")]
    return any(_hits(t, top["subject"]) for t in named) if named else None


def _hits(truth: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
    answered = _names(subject)
    wanted = [_names(s) for s in (truth["subject"], *truth.get("accepted", ()))]
    return any(len(answered & w) * 2 >= len(answered) > 0 for w in wanted if answered & w)


def _because(answer: Mapping[str, Any], top: Mapping[str, Any]) -> str:
    """The statement of the weightiest evidence of a hypothesis."""
    told = {e["id"]: e.get("statement", "") for e in answer.get("evidence", ())}
    weights = top.get("weights") or {}
    best = max((k for k in weights if k in told), key=lambda k: float(weights[k]), default="")
    return str(told.get(best, ""))[:240]


def right_ones(truth: Mapping[str, Any], hypotheses: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Which hypotheses (as JSON) are right in mode and subject: about the cause, or one of two."""
    truths = [truth, *([truth["second"]] if truth.get("second") else [])]
    return [any(_fits(t, h)[1] for t in truths) for h in hypotheses]


def compare(
    name: str, truth: Mapping[str, Any], answer: Mapping[str, Any], seconds: float
) -> Result:
    """Set a diagnosis (as JSON) beside the truth of its incident."""
    ranked = [h for h in answer["hypotheses"] if h["failure_mode"] != "unknown"]
    nobody: dict[str, Any] = {"failure_mode": "none", "subject": {}, "probability": 0.0}
    top: Mapping[str, Any] = ranked[0] if ranked else nobody
    truths = [truth, *([truth["second"]] if truth.get("second") else [])]
    fits = [_fits(t, top) for t in truths]
    firsts = ranked[:3]
    found = [any(_fits(t, h)[1] for h in firsts) for t in truths]
    null = bool(truth["null"])
    calm = answer["verdict"] == "no_incident"
    right_mode = any(m for m, _ in fits) or (null and calm)
    right = any(s for _, s in fits) or (null and calm)
    marked = right_ones(truth, ranked)
    accused = null and answer["verdict"] == "cause_found" and not right_mode
    return Result(
        name=name,
        mode=truth["mode"],
        subject=tuple(sorted(_names(truth["subject"]))[:4]),
        second=truths[1]["mode"] if len(truths) > 1 else None,
        null=null,
        identifiable=bool(truth["identifiable"]),
        dataset=truth["dataset"],
        model=truth["model"],
        tags=tuple(truth["tags"]),
        answer=top["failure_mode"],
        answered=tuple(sorted(_names(top["subject"]))[:4]),
        probability=float(top["probability"]),
        verdict=answer["verdict"],
        top3=tuple(h["failure_mode"] for h in firsts),
        right_mode=right_mode,
        right=right,
        in_top3=any(found) or right,
        accused=accused,
        both=len(truths) > 1 and all(found),
        seconds=seconds,
        layer=_layer(truth["mode"]),
        named=_named(truths, top),
        right_rank=marked.index(True) + 1 if any(marked) else 0,
        because=_because(answer, top),
        megabytes=float((answer.get("run") or {}).get("peak_mb") or 0.0),
    )


def _layer(mode: str) -> str:
    return str(modes.mode(mode).layer)


def _in_process(folder: Path, seed: int, truth: Mapping[str, Any]) -> Answered:
    from ruleout import _diagnose, incident
    from ruleout.bench.fit._design import as_json, design
    from ruleout.postmortem import _codec

    kept: list[_diagnose.Examined] = []
    told = _codec.encode(_diagnose.run(incident.load(folder), seed=seed, observe=kept.append))
    heard = as_json(design(folder.name, kept[0], truth)) if kept else None
    return told, heard


_COMMAND = "from ruleout.cli._main import main; raise SystemExit(main())"


def _by_command(folder: Path, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "diagnosis.json"
        line = [sys.executable, "-c", _COMMAND, "diagnose", str(folder)]
        line += ["--json", str(out), "--seed", str(seed), "--quiet"]
        done = subprocess.run(line, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise RuleoutError(f"exit status {done.returncode}: {done.stderr.strip()[-300:]}")
        answer: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return answer


def score_one(
    folder: Path, truth: Mapping[str, Any], *, command: bool, seed: int
) -> tuple[Result, Heard]:
    """Diagnose one folder and compare; a crash is a wrong answer that says so.

    Returns:
        The result, and what the hypotheses heard (see `ruleout.bench.fit`) unless the command was called.
    """
    started = time.process_time()
    answer: dict[str, Any] = {"hypotheses": [], "verdict": "failed"}
    heard: Heard = None
    failure = ""
    try:
        if command:
            answer = _by_command(folder, seed)
        else:
            answer, heard = _in_process(folder, seed, truth)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its score
        failure = f"{type(error).__name__}: {error}"[:300]
    result = compare(folder.name, truth, answer, time.process_time() - started)
    return replace(result, failure=failure), heard


def _job(job: tuple[Path, Mapping[str, Any], bool, int]) -> tuple[Result, Heard]:
    folder, truth, command, seed = job
    return score_one(folder, truth, command=command, seed=seed)


def score_corpus(
    folder: Path | str,
    *,
    limit: int | None = None,
    only: str | None = None,
    jobs: int = 1,
    command: bool = False,
    seed: int = 0,
    out: Path | None = None,
    designs: Path | None = None,
    resume: bool = False,
) -> list[Result]:
    """Diagnose every incident of a corpus folder, or a stratified part of it.

    Args:
        folder: what `make` wrote.
        limit: at most so many, spread evenly over the list.
        only: one failure mode.
        jobs: processes.
        command: call the command line instead of the engine in this process.
        seed: the engine's seed.
        out: file for the results, one JSON object a line, written as they come.
        designs: file for what the hypotheses heard, for `ruleout fit --designs`.
        resume: keep the results that `out` holds and answer the rest.
    """
    root = Path(folder)
    truth = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    names = [n for n, t in sorted(truth.items()) if only in (None, t["mode"])]
    if limit is not None and limit < len(names):
        names = [names[k] for k in np.linspace(0, len(names) - 1, limit).round().astype(int)]
    kept: list[Result] = []
    if resume and out is not None and out.is_file():
        kept = [r for r in read_results(out) if r.name in names]
    done = {r.name for r in kept}
    # In an order that mixes causes: a run that is cut short is still a fair sample.
    left = sorted((n for n in names if n not in done), key=lambda n: zlib.crc32(n.encode()))
    work = [(root / n, truth[n], command, seed) for n in left]
    mode = "a" if done else "w"
    with ExitStack() as stack:
        files = [
            stack.enter_context(p.open(mode, encoding="utf-8")) if p else None
            for p in (out, designs)
        ]
        pool = stack.enter_context(ProcessPoolExecutor(jobs)) if jobs > 1 else None
        for result, heard in (pool or _Here()).map(_job, work):
            kept.append(result)
            for file, row in zip(files, (asdict(result), heard), strict=True):
                if file is not None and row is not None:
                    file.write(_line(row))
                    file.flush()
    return kept


class _Here:
    """A pool of none: the work is done in this process."""

    map = staticmethod(map)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def write_results(path: Path, results: Sequence[Result]) -> None:
    """One JSON object a line."""
    path.write_text("".join(_line(asdict(r)) for r in results), encoding="utf-8")


def calibration(results: Sequence[Result], bins: int = 10) -> tuple[float, float]:
    """Expected calibration error and Brier score of the first answer's probability."""
    if not results:
        return float("nan"), float("nan")
    p = np.array([r.probability for r in results])
    y = np.array([float(r.right) for r in results])
    which = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [
        abs(p[which == b].mean() - y[which == b].mean()) * (which == b).mean()
        for b in np.unique(which)
    ]
    return float(np.sum(gaps)), float(((p - y) ** 2).mean())


def summary(results: Sequence[Result]) -> dict[str, float]:
    """The figures that the corpus is judged by."""
    faults = [r for r in results if not r.null]
    single = [r for r in faults if r.second is None]
    clear = [r for r in single if r.identifiable]
    double = [r for r in faults if r.second is not None]
    nulls = [r for r in results if r.null]
    ece, brier = calibration(results)
    return {
        "incidents": len(results),
        "identifiable": len(clear),
        "top1_mode_identifiable": _share(clear, "right_mode"),
        "top1_identifiable": _share(clear, "right"),
        "top3_identifiable": _share(clear, "in_top3"),
        "top1_all_faults": _share(single, "right"),
        "both_of_two": _share(double, "both"),
        "false_accusation": _share(nulls, "accused"),
        "null_right": _share(nulls, "right"),
        "ece": ece,
        "ece_identifiable": calibration([r for r in results if r.identifiable])[0],
        "brier": brier,
        "cpu_seconds": float(np.mean([r.seconds for r in results])) if results else float("nan"),
        "failures": sum(bool(r.failure) for r in results),
    }


def _share(results: Sequence[Result], what: str) -> float:
    return float(np.mean([getattr(r, what) for r in results])) if results else float("nan")


def grouped(results: Iterable[Result], key: str) -> list[tuple[str, int, float, float, float]]:
    """(group, n, right mode, right, in the first three) by mode, layer, dataset, model or tag."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        value = getattr(result, key)
        for name in value if isinstance(value, tuple) else (value,):
            groups.setdefault(str(name), []).append(result)
    return [
        (k, len(g), _share(g, "right_mode"), _share(g, "right"), _share(g, "in_top3"))
        for k, g in sorted(groups.items())
    ]


def read_results(path: Path) -> list[Result]:
    """Results that a run wrote (also one that was cut short)."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    lists = ("subject", "tags", "answered", "top3")
    whole: list[dict[str, Any]] = [
        {k: tuple(v) if k in lists else v for k, v in row.items()} for row in rows
    ]
    return [Result(**row) for row in whole]


def report(results: Sequence[Result]) -> str:
    """Summary, shares by group and the table of mistakes, as text."""
    lines = [f"{k:26s} {v:8.3f}" for k, v in summary(results).items()]
    for key in ("layer", "mode", "dataset", "model", "tags"):
        lines += ["", f"{key:28s} {'n':>4s} {'mode':>6s} {'right':>6s} {'top3':>6s}"]
        lines += [
            f"{name:28s} {n:4d} {a:6.2f} {b:6.2f} {c:6.2f}"
            for name, n, a, b, c in grouped(results, key)
        ]
    wrong = [r for r in results if not r.right]
    lines += ["", f"{len(wrong)} mistakes"]
    for r in sorted(wrong, key=lambda r: (r.mode, r.name)):
        mark = "!" if r.accused else " " if r.identifiable else "~"
        told = r.failure or f"{r.answer} {','.join(r.answered)} p={r.probability:.2f} {r.verdict}"
        true = f"{r.mode} {','.join(r.subject)}" + (f" + {r.second}" if r.second else "")
        lines.append(f"{mark} {r.name} {r.dataset}/{r.model}: {true} -> {told}")
    return "\n".join(lines)
