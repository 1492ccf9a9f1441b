"""Weights of evidence, from readable data files: what each signal is worth to each mode, in nats."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from ruleout._errors import IncidentError

Weights = Mapping[str, Mapping[str, float]]

SUPPORT = 3.0
"""What a finding gives a mode it supports when the files say nothing."""

AGAINST = -2.0
CLEAR = -2.5


CALIBRATION = "calibration.toml"
"""The file of a folder of weights that holds no weights."""

ENVIRONMENT = "RULEOUT_WEIGHTS"
"""Names a folder of weights of one's own, as `ruleout fit` writes it."""


def own_folder() -> Path | None:
    """The user's folder of weights, if the environment names one.

    Raises:
        IncidentError: there is no such folder, or nothing in it could be weights.
    """
    named = os.environ.get(ENVIRONMENT)
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise IncidentError(
            f"--weights or {ENVIRONMENT} is {named!r}; there is no such folder; write one with 'ruleout fit'"
        )
    if not any(entry.suffix == ".toml" for entry in folder.iterdir()):
        raise IncidentError(
            f"--weights or {ENVIRONMENT} is {named!r}; that folder holds no weights (.toml); write them with 'ruleout fit'"
        )
    return folder


def load_weights() -> Weights:
    """Signal -> mode -> nats at strength 1: the shipped ones, and over them the user's own.

    Raises:
        ValueError: when two files weigh the same signal.
        IncidentError: `RULEOUT_WEIGHTS` names no folder, or a file in it cannot be read.
    """
    return _load(os.environ.get(ENVIRONMENT))


@cache
def _load(named: str | None) -> Weights:
    if named:
        return _over(_load(None), _own(own_folder()))
    return _merged(files("ruleout.hypotheses").joinpath("weights").iterdir())


def _over(shipped: Weights, own: Weights) -> Weights:
    both = {s: {**shipped.get(s, {}), **own.get(s, {})} for s in (*shipped, *own)}
    return MappingProxyType({s: MappingProxyType(row) for s, row in both.items()})


def _own(folder: Path | None) -> Weights:
    listed = [p for p in folder.iterdir() if p.name != CALIBRATION] if folder else []
    try:
        return _merged(listed)
    except (ValueError, UnicodeDecodeError) as error:
        raise IncidentError(f"weights in {folder} cannot be read: {error}") from error


def _merged(entries: Iterable[Traversable]) -> Weights:
    merged: dict[str, Mapping[str, float]] = {}
    for entry in sorted(entries, key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for signal, row in _tables(tomllib.loads(entry.read_text(encoding="utf-8"))):
            if signal in merged:
                raise ValueError(
                    f"{entry.name}: signal {signal!r} is already weighed in another file"
                )
            merged[signal] = MappingProxyType(row)
    return MappingProxyType(merged)


def _tables(document: Mapping[str, object], prefix: str = "") -> list[tuple[str, dict[str, float]]]:
    """Leaf tables of a TOML document with dotted names, so that `[a.b]` and `["a.b"]` are one."""
    found: list[tuple[str, dict[str, float]]] = []
    numbers = {k: float(v) for k, v in document.items() if isinstance(v, int | float)}
    if numbers and prefix:
        found.append((prefix, numbers))
    for name, value in document.items():
        if isinstance(value, Mapping):
            found.extend(_tables(value, f"{prefix}.{name}" if prefix else name))
    return found


def weight(signal: str, mode: str, *, supports: bool, against: bool) -> float:
    """Nats that a finding of `signal` at full strength gives to `mode`."""
    return worth(signal, mode, SUPPORT if supports else AGAINST if against else 0.0)


LIKE = MappingProxyType({"selection_bias": "covariate_shift"})
"""Modes that what speaks against another speaks against as well: a log that is cut is a mix of rows that moved."""


def worth(signal: str, mode: str, default: float) -> float:
    """What the weights say of a signal and a mode, or against a mode like it, else `default`."""
    row = load_weights().get(signal, {})
    if mode in row or default > 0:
        return row.get(mode, default)
    return min(default, row.get(LIKE.get(mode, mode), 0.0))
