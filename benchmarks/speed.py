"""How long a diagnosis takes, from process start, beside a bare Polars summary of the same files.

    python -m benchmarks.speed            # 12,000 rows a window, and 200,000 x 60 columns
    python -m benchmarks.speed --full     # ... and 1,000,000 x 60 columns

CPU seconds are those of the child process (user and system, all threads); peak memory is its own. Exits 1 when
a limit is passed; the limits leave room for slow machines and catch only real regressions.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

_YAML = """version: 1
title: Speed
task: binary
symptom: {metric: accuracy}
data:
  reference: reference.parquet
  current: current.parquet
  columns: {id: id, timestamp: ts, target: y, prediction: decision, score: p, positive: 1}
"""
_SUMMARY = """
import sys, polars as pl
for path in sys.argv[1:]:
    frame = pl.read_parquet(path)
    numeric = pl.selectors.numeric()
    frame.select(numeric.null_count().name.suffix("_0"), numeric.mean().name.suffix("_m"),
                 numeric.std().name.suffix("_s"),
                 *[numeric.quantile(q).name.suffix(f"_{q}") for q in (0.05, 0.25, 0.5, 0.75, 0.95)])
    for name in frame.select(pl.selectors.string()).columns:
        if name != "id":
            frame.get_column(name).value_counts()
"""


class Size(NamedTuple):
    """One problem, and what it may cost."""

    rows: int
    numeric: int
    categorical: int
    cpu_limit: float
    """Seconds; several times what an idle machine takes, for others may be working beside it."""

    memory_limit: float
    """Megabytes."""


class Cost(NamedTuple):
    """What a child process used."""

    cpu: float
    wall: float
    peak_mb: float


SMALL = Size(12_000, 15, 6, 15.0, 800)
LARGE = Size(200_000, 50, 10, 60.0, 1200)
FULL = Size(1_000_000, 50, 10, 80.0, 1600)


def make(folder: Path, size: Size, seed: int = 0) -> None:
    """Write an incident of two Parquet files: one feature of many arrives a hundred times too large."""
    rng = np.random.default_rng(seed)
    for name, start in (("reference", 0), ("current", 14)):
        frame = _window(rng, size, start, broken=name == "current")
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "incident.yaml").write_text(_YAML, encoding="utf-8")


def _window(rng: np.random.Generator, size: Size, start: int, *, broken: bool) -> pl.DataFrame:
    n = size.rows
    x = rng.lognormal(0, 1, (n, size.numeric))
    raw = np.log(x[:, 0]) - np.log(x[:, 1]) + 0.5 * np.log(x[:, 2])
    seen = raw + (np.log(100.0) if broken else 0.0)
    score = 1 / (1 + np.exp(-2 * seen))
    minutes = np.sort(rng.uniform(start * 1440, (start + 14) * 1440, n))
    began = np.datetime64("2026-01-01T00:00:00", "ms")
    columns = {
        "id": [f"{start}-{i}" for i in range(n)],
        "ts": began + (minutes * 60_000).astype("timedelta64[ms]"),
        "y": (rng.random(n) < 1 / (1 + np.exp(-2 * raw))).astype(np.int8),
        "p": score,
        "decision": (score >= 0.5).astype(np.int8),
        **{f"x{j}": x[:, j] * (100 if broken and j == 0 else 1) for j in range(size.numeric)},
    }
    for j in range(size.categorical):
        levels = np.array([f"v{k}" for k in range(4 + 12 * j)])
        columns[f"c{j}"] = levels[rng.integers(len(levels), size=n)]
    return pl.DataFrame(columns)


def cost(command: list[str]) -> Cost:
    """Run a command and measure it.

    Raises:
        subprocess.CalledProcessError: when it fails.
    """
    started = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    wall = time.monotonic() - started
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / unit)


def measure(size: Size) -> bool:
    """Print one line about `size`; whether it stayed inside its limits."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        # A child's peak begins at its parent's size: what makes the tables must not be the one that measures.
        maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder, size))
        maker.start()
        maker.join()
        paths = [str(folder / f"{name}.parquet") for name in ("reference", "current")]
        bare = cost([sys.executable, "-c", _SUMMARY, *paths])
        out = str(folder / "diagnosis.json")
        command = str(Path(sys.executable).with_name("ruleout"))
        full = cost([command, "diagnose", place, "--quiet", "--json", out])
    columns = size.numeric + size.categorical
    print(
        f"{size.rows:>9,} + {size.rows:,} rows x {columns} columns: "
        f"diagnosis {full.cpu:.1f} CPU s, {full.wall:.1f} s, {full.peak_mb:.0f} MB; "
        f"Polars summary {bare.cpu:.1f} CPU s, {bare.peak_mb:.0f} MB; "
        f"ratio {full.cpu / bare.cpu:.1f}"
    )
    good = full.cpu <= size.cpu_limit and full.peak_mb <= size.memory_limit
    if not good:
        print(f"          over the limit of {size.cpu_limit} CPU s or {size.memory_limit} MB")
    return good


def main() -> int:
    """Measure the sizes; 1 when one is over its limits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--full", action="store_true", help="also 1,000,000 rows a window")
    sizes = [SMALL, LARGE, *([FULL] if parser.parse_args().full else [])]
    within = [measure(size) for size in sizes]
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
