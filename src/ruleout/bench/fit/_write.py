"""Fitted weights as readable files, and what was gained as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ruleout._version import __version__
from ruleout.bench.fit._design import Design
from ruleout.bench.fit._judge import Fitted, compared, data_set, families
from ruleout.bench.fit._solve import as_table
from ruleout.hypotheses import Calibration

_FIGURES = (
    "top1_identifiable",
    "top3_identifiable",
    "top1_all_faults",
    "false_accusation",
    "ece",
    "brier",
)


def write_folder(folder: Path, fitted: Fitted, incidents: int) -> None:
    """Write `fitted.toml` (the weights that moved) and `calibration.toml`."""
    folder.mkdir(parents=True, exist_ok=True)
    head = f"# Fitted by ruleout {__version__} on {incidents} closed incidents, from the shipped weights.\n"
    lines = [head, "# Nats at full strength; only what moved by 0.05 and more.\n"]
    for signal, row in as_table(fitted.problem, fitted.weights).items():
        lines.append(f'\n["{signal}"]\n')
        lines += [f"{mode} = {nats:.2f}\n" for mode, nats in row.items()]
    (folder / "fitted.toml").write_text("".join(lines), encoding="utf-8")
    (folder / "calibration.toml").write_text(
        head + calibration_text(fitted.calibration), encoding="utf-8"
    )


def calibration_text(how: Calibration) -> str:
    """The calibration as the lines of its file."""
    return (
        f"version = 1\ntemperature = {how.temperature:.4g}\n"
        f"unknown = {how.unknown:.4g}\nlapse = {how.lapse:.4g}\n"
    )


def told(fitted: Fitted, incidents: int) -> str:
    """How many weights moved, and the calibration."""
    moved = sum(len(row) for row in as_table(fitted.problem, fitted.weights).values())
    how = fitted.calibration
    return (
        f"{incidents} incidents, {len(fitted.weights)} weights heard, {moved} moved by 0.05 nats or more\n"
        f"calibration: temperature {how.temperature:.3f}, unknown {how.unknown:+.2f}, lapse {how.lapse:.3f}\n"
    )


def checked(designs: Sequence[Design], spread: float) -> str:
    """Figures out of fold, by held-out data set and by held-out mode family."""
    lines = [f"{'held out':12s} {'answers by':14s} " + " ".join(f"{f[:17]:>17s}" for f in _FIGURES)]
    for name, fold in (("data set", data_set), ("mode family", families)):
        if len({fold(d) for d in designs}) < 2:
            lines.append(
                f"{name:12s} cannot be held out: all {len(designs)} incidents are of one; add one of another"
            )
            continue
        for way, figures in compared(designs, fold, spread).items():
            values = " ".join(f"{figures[f]:17.3f}" for f in _FIGURES)
            lines.append(f"{name:12s} {way:14s} {values}")
    return "\n".join(lines) + "\n"
