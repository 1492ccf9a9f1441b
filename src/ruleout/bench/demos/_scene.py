"""What the demos share: the rhythm of a shop's day, and writing an incident's folder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import numpy as np
import polars as pl
from numpy.typing import NDArray

Rng = np.random.Generator
Floats = NDArray[np.float64]
Texts = NDArray[np.str_]
Mask = NDArray[np.bool_]

_DAY = 86_400.0
_HOURLY = np.array(
    [14, 9, 6, 5, 5, 8, 18, 34, 48, 58, 64, 68, 72, 70, 66, 64, 66, 72, 84, 96, 98, 84, 56, 30],
    dtype=float,
)
"""Requests by hour of the day, in any unit."""


def instant(text: str) -> float:
    """Epoch seconds of an ISO 8601 instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def rhythm(rng: Rng, start: float, days: int, rows: int, weekend: float = 1.25) -> Floats:
    """Sorted request times (rows,), epoch seconds: busy evenings, quiet nights, weekends apart."""
    first = datetime.fromtimestamp(start, UTC)
    weekday = [(first + timedelta(days=d)).weekday() for d in range(days)]
    daily = np.array([weekend if day >= 5 else 1.0 for day in weekday]) * rng.uniform(
        0.93, 1.07, days
    )
    share = np.outer(daily, _HOURLY).ravel()
    hour = rng.choice(len(share), size=rows, p=share / share.sum())
    return np.sort(start + hour * 3600.0 + np.floor(rng.uniform(0, 3_600_000, rows)) / 1000)


def times(seconds: Floats) -> pl.Series:
    """Epoch seconds as a UTC column of milliseconds."""
    whole = pl.Series(np.round(seconds * 1000).astype(np.int64))
    return whole.cast(pl.Datetime("ms")).dt.replace_time_zone("UTC")


def draw(rng: Rng, shares: Mapping[str, float], rows: int) -> Texts:
    """Names (rows,) in proportion to their shares."""
    weights = np.array(list(shares.values()))
    return rng.choice(np.array(list(shares)), size=rows, p=weights / weights.sum())


def sigmoid(x: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-x)))


def logistic(x: Floats, y: Floats, ridge: float = 1.0, steps: int = 12) -> Floats:
    """Coefficients (d,) of a ridge logistic regression of 0/1 `y` (n,) on `x` (n, d), by Newton."""
    beta = np.zeros(x.shape[1])
    for _ in range(steps):
        p = sigmoid(x @ beta)
        curve = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        beta = beta + np.linalg.solve(curve, x.T @ (y - p) - ridge * beta)
    return beta


def write_text(folder: Path, name: str, text: str) -> None:
    """Write an indented block of text as a file of its own."""
    (folder / name).write_text(as_file(text), encoding="utf-8")


def as_file(text: str) -> str:
    """An indented block of text as it stands in a file of its own."""
    return dedent(text).lstrip("\n")
