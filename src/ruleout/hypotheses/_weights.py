"""Weights of evidence, from readable data files: what each signal is worth to each mode, in nats."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

SUPPORT = 3.0
"""What a finding gives a mode it supports when the files say nothing."""

AGAINST = -2.0
CLEAR = -2.5


@cache
def load_weights() -> Mapping[str, Mapping[str, float]]:
    """Signal -> mode -> nats at strength 1, merged from all files.

    Raises:
        ValueError: when two files weigh the same signal.
    """
    merged: dict[str, Mapping[str, float]] = {}
    folder = files("ruleout.hypotheses").joinpath("weights")
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
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


def worth(signal: str, mode: str, default: float) -> float:
    """What the weights say of a signal and a mode, else `default`."""
    row = load_weights().get(signal)
    return row[mode] if row is not None and mode in row else default
