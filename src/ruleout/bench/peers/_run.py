"""Running baselines and other products on the same incidents, and comparing what they say with the truth."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ruleout import incident
from ruleout._errors import RuleoutError
from ruleout.bench._score import Result, compare
from ruleout.bench.peers._baselines import CALM, Guess, baselines
from ruleout.profile import Case, build_case

_SHELF = ".handed"
"""Folder of a corpus where incidents lie as peers read them."""

_UNNAMED = "unnamed"
"""Stands for a mode where a peer names a column and no mode: it is never right, its subject may be."""


def answered(guesses: Sequence[Guess]) -> dict[str, Any]:
    """Guesses in the form of a diagnosis; an empty list is no answer."""
    hypotheses = [
        {
            "failure_mode": mode or _UNNAMED,
            "subject": {"kind": kind, "names": list(names)},
            "probability": 1.0 if k == 0 else 0.0,
        }
        for k, (mode, kind, names) in enumerate(guesses[:25])
    ]
    calm = bool(guesses) and guesses[0] == CALM
    verdict = "inconclusive" if not guesses else "no_incident" if calm else "cause_found"
    return {"hypotheses": hypotheses, "verdict": verdict}


def run_baselines(root: Path, names: Sequence[str]) -> dict[str, list[Result]]:
    """Every baseline on the incidents `names` of the corpus `root`; each is laid out for the peers on the way."""
    truth = _truth(root)
    ways = baselines([truth[n] for n in names])
    out: dict[str, list[Result]] = {way: [] for way in ways}
    for name in names:
        case = build_case(incident.load(root / name))
        hand_over(case, root / _SHELF / name)
        for way, guess in ways.items():
            started = time.process_time()
            told = answered(guess(case))
            out[way].append(compare(name, truth[name], told, time.process_time() - started))
    return out


def run_peer(root: Path, names: Sequence[str], command: str, patience: float) -> list[Result]:
    """One product in its own environment.

    The command reads one folder a line from standard input and answers with one line of JSON: a list of
    `[mode or null, kind of subject, [names]]`, likeliest first; `[]` is no answer. A folder holds
    `reference.parquet`, `current.parquet`, `roles.json`, and `offline.parquet` where there is a parity probe.

    Args:
        root: the corpus.
        names: incidents of it.
        command: command line of the adapter.
        patience: seconds for one incident; the adapter is started anew after one that took longer.
    """
    truth = _truth(root)
    out = []
    with _Adapter(command).running() as adapter:
        for name in names:
            folder = root / _SHELF / name
            if not (folder / "roles.json").is_file():
                hand_over(build_case(incident.load(root / name)), folder)
            started = time.perf_counter()
            guesses, failure = adapter.ask(folder, patience)
            told = compare(name, truth[name], answered(guesses), time.perf_counter() - started)
            out.append(Result(**{**asdict(told), "failure": failure}))
    return out


def hand_over(case: Case, folder: Path) -> None:
    """Write what a peer may see: the sampled windows with the roles of their columns, and the parity probe."""
    folder.mkdir(parents=True, exist_ok=True)
    case.reference.frame.write_parquet(folder / "reference.parquet")
    case.current.frame.write_parquet(folder / "current.parquet")
    columns = case.incident.data.columns
    roles = {
        "task": case.task,
        "metric": case.metric.name,
        "features": list(case.features),
        "numeric": list(case.numeric),
        "categorical": list(case.categorical),
        "target": columns.target,
        "prediction": columns.prediction,
        "score": columns.score,
        "timestamp": columns.timestamp,
        "id": columns.id,
    }
    if case.parity is not None:
        case.parity.write_parquet(folder / "offline.parquet")
    (folder / "roles.json").write_text(json.dumps(roles), encoding="utf-8")


class _Adapter:
    """The process of a peer, started when it is needed and again when it hangs."""

    def __init__(self, command: str) -> None:
        self.command = shlex.split(command)
        self.process: subprocess.Popen[str] | None = None

    @contextmanager
    def running(self) -> Iterator[_Adapter]:
        """The adapter; its process ends with the block."""
        try:
            yield self
        finally:
            self._stop()

    def _stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, folder: Path, patience: float) -> tuple[list[Guess], str]:
        """Guesses for one folder, and what went wrong."""
        if self.process is None or self.process.poll() is not None:
            self.process = self._start()
        if self.process.stdin is None or self.process.stdout is None:
            raise RuleoutError(f"{self.command[0]} has no pipes")
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        line = _line(self.process, patience)
        if line is None:
            self._stop()
            return [], f"no answer within {patience:g} s"
        try:
            told = json.loads(line)
            return [(m, str(kind), tuple(map(str, names))) for m, kind, names in told], ""
        except ValueError:
            return [], f"no answer: {line.strip()[:200]}"

    def _start(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(  # noqa: S603
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        except OSError as error:
            raise RuleoutError(f"cannot run {self.command[0]!r}: {error}") from error


def _line(process: subprocess.Popen[str], patience: float) -> str | None:
    """The next line of a process, or None when it takes too long or has ended."""
    from threading import Thread

    found: list[str] = []

    def read() -> None:
        if process.stdout is not None:
            found.append(process.stdout.readline())

    reader = Thread(target=read, daemon=True)
    reader.start()
    reader.join(patience)
    return found[0] if found and found[0] else None


def _truth(root: Path) -> Mapping[str, Any]:
    told: dict[str, Any] = json.loads((root / "truth.json").read_text(encoding="utf-8"))
    return told
